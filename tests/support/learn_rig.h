/*
 * Two workers' engines on stores of their own, of which one gives a shard to the other: steps as the loop would thread them, and
 * comparisons of what both have then. For tests only; everything that goes wrong in the rig itself ends the test.
 */
#ifndef EK_TESTS_LEARN_RIG_H
#define EK_TESTS_LEARN_RIG_H

#include "tests/support/engine_rig.h"
#include "worker/learn.h"

enum { LEARN_EPOCH = EK_RIG_EPOCH + 1 };

struct learn_rig {
    struct ek_engine_rig source; /* serves every shard at EK_RIG_EPOCH */
    struct ek_engine_rig target; /* has released every shard at EK_RIG_EPOCH */
    struct ek_attempt attempt;
    struct ek_copy *copy;
    struct ek_buffer message; /* of the last chunk */
    struct ek_copy_chunk chunk;
};
extern struct learn_rig learn;

/* A key of the shard that moves: keys of one tag lie together. */
#define LEARN_KEY(name) "{m}" name

void learn_setup(void);
void learn_teardown(void);

/* Runs a step of the present attempt; returns its report, `step` 0 when there is none. */
struct ek_move_report learn_run(struct ek_engine_rig *rig, struct ek_learn_step *step);
struct ek_move_report learn_do(struct ek_engine_rig *rig, enum ek_learn_kind kind);
void learn_fill(void);
/* Of the source, as of now. */
void learn_open_copy(void);
/* The source's next chunk, into learn.chunk. */
void learn_get_chunk(uint64_t chunk);
struct ek_move_report learn_take_chunk(void);
struct ek_move_report learn_take_all(void);
struct ek_move_report learn_verify(void);
/* All of these, to the end that a move should have; returns the copy's position. */
uint64_t learn_complete(void);

/* The source judges one operation, and says it as the broker would feed it. Borrows from the rig until 8 more. */
struct ek_fed learn_write(enum ek_job_kind kind, struct ek_operation operation, uint64_t producer, uint64_t number);
/* Likewise: sets a job of one operation aside, as after three deaths. */
struct ek_fed learn_set_aside(struct ek_operation operation);
struct ek_fed learn_fed(const struct ek_worker_job *job, const struct ek_worker_reply *reply);
struct ek_move_report learn_feed(const struct ek_fed *fed, uint32_t count);

struct ek_judge_shard *learn_shard(struct ek_engine_rig *rig);
/* Rows and dead letters of the shard in that store. */
size_t learn_rows(struct ek_engine_rig *rig);
/* Both have the same rows, dead letters and memory of producers. */
void learn_check_equal(void);
/* The target ends and comes back without a broker's word. */
void learn_restart_target(void);

#endif
