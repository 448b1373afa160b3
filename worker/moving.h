/*
 * The loop's side of moves: copies that are given to learners, copies that are fetched from sources, and released shards whose
 * rows are to be deleted. It threads orders, chunks and steps between the broker, other workers and the storage thread; what they
 * mean is learn.h's. Loop thread only.
 *
 * Limits: EK_COPIES_MAX copies given, as many fetched; of each fetch one chunk asked for and two in the storage thread; twice the
 * largest chunk on its way to learners.
 */
#ifndef EK_WORKER_MOVING_H
#define EK_WORKER_MOVING_H

#include "worker/answers.h"
#include "worker/commit.h"

/* Deleted so long after a shard was released. */
#define EK_RELEASE_GRACE_US UINT64_C(10000000)

struct ek_moving;

/* All are borrowed. `commit` is the storage thread. */
struct ek_moving *ek_moving_new(struct ek_context *context, struct ek_commit *commit);
/* Closes its sockets and destroys its copies, for which the store must still be open. */
void ek_moving_destroy(struct ek_moving **moving);

/* A link was adopted: every attempt is over. */
void ek_moving_adopt(struct ek_moving *moving, struct ek_link link);
/* The shard is released since `epoch`; `due_us`: when what is left of it goes. */
void ek_moving_released(struct ek_moving *moving, uint16_t shard, uint64_t epoch, uint64_t due_us);
/* Whether the disk is short. While it is, what is being learned is given up, and nothing new is taken in; `answers` gets the
 * reports.
 */
void ek_moving_set_full(struct ek_moving *moving, bool full, struct ek_answers *answers);
/* Messages of the broker, whose fields follow. FEED takes the frame. EK_MALFORMED, EK_TOO_LARGE. */
EK_MUST enum ek_status ek_moving_order(struct ek_moving *moving, struct ek_reader *fields, struct ek_answers *answers,
                                       uint64_t now_us);
EK_MUST enum ek_status ek_moving_feed(struct ek_moving *moving, struct ek_frame *frame, struct ek_answers *answers);
/* The storage thread has carried a step out; what is to be told the broker goes to `answers`. */
void ek_moving_done(struct ek_moving *moving, struct ek_learn_step *step, struct ek_answers *answers);

/* Takes a message of another worker. A failure is the store's. */
EK_MUST enum ek_status ek_moving_serve(struct ek_moving *moving, struct ek_socket *peers, struct ek_error *error);
/* Sockets to be waited for; `items` has room for EK_COPIES_MAX. Returns their number. */
size_t ek_moving_items(const struct ek_moving *moving, struct ek_poll_item *items);
/* Takes what came from sources, asks for more, and begins deletions that are due. */
void ek_moving_run(struct ek_moving *moving, uint64_t now_us);
/* When ek_moving_run has to be called next; UINT64_MAX: only when something comes. */
uint64_t ek_moving_due_us(const struct ek_moving *moving);

#endif
