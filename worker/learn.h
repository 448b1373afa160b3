/*
 * The storage side of a move: a learner's range is emptied, filled with a copy, compared with what the source sent, and fed the
 * writes that came after it; a former holder's rows are deleted. A part of the engine: same thread, between its groups. It talks
 * to nobody; what is to be told the broker stands in the item.
 *
 * Only a durable role permits deleting rows: an incomplete learner's, or that of a shard which was released at the epoch named.
 */
#ifndef EK_WORKER_LEARN_H
#define EK_WORKER_LEARN_H

#include "common/transport.h"
#include "worker/copy.h"

enum ek_learn_kind {
    EK_LEARN_FILL,
    EK_LEARN_COPY,
    EK_LEARN_CHUNK,
    EK_LEARN_VERIFY, /* a part of the comparison; again while `more` */
    EK_LEARN_FEED,
    EK_LEARN_DROP, /* the attempt is over; what the steps before it brought goes */
    EK_LEARN_SWEEP /* delete what is left of a released shard */
};

/* One step, and what it came to. */
struct ek_learn_step {
    enum ek_learn_kind kind;
    struct ek_link link;
    struct ek_attempt attempt;
    uint64_t epoch;        /* FILL, SWEEP */
    uint64_t position;     /* CHUNK: of the copy */
    struct ek_frame frame; /* CHUNK, FEED: what the bytes below borrow from */
    bool has_frame;
    struct ek_copy_chunk chunk;
    struct ek_fed *fed; /* FEED */
    uint32_t fed_count;
    /* afterwards */
    bool reports; /* `report` is to be sent over `link` */
    struct ek_move_report report;
    bool more;              /* VERIFY is to be asked again */
    bool emptied;           /* SWEEP has deleted rows */
    struct ek_copy *copy;   /* COPY: the caller's */
    uint64_t written_bytes; /* to the disk, that is */
};

/* A copy that is coming in. */
struct ek_learner {
    bool active;
    struct ek_attempt attempt;
    uint64_t next_chunk;
    uint64_t position; /* of the copy */
    uint64_t entries;
    uint64_t hash;
    uint64_t bytes;
    bool all_here; /* the last chunk came; this and the rest belong to the comparison */
    struct ek_buffer memory;
    struct ek_copy_range range;
    struct ek_store_cursor *cursor;
    enum ek_store_space space;
    uint64_t seen_entries;
    uint64_t seen_hash;
};

void ek_learners_done(struct ek_engine *engine);
/* Another link was adopted: all attempts of the one before are over. */
void ek_learners_forget(struct ek_engine *engine);
/* Roles have changed: attempts whose learner is none any more are over. */
void ek_learners_tidy(struct ek_engine *engine);
/* After a start: the range of a learner that was not complete is emptied, in the batch under construction. */
void ek_learners_recover(struct ek_engine *engine);
/* Adds to the batch under construction the deletion of everything of a shard but its role and its position. */
void ek_learn_empty(struct ek_engine *engine, uint16_t shard);
/* Whether nothing of it is stored; false when the store cannot tell. */
bool ek_learn_is_empty(struct ek_engine *engine, uint16_t shard);

/* Carries the step out. What is wrong with the attempt is reported; a status is the store's failure, and ends the process. */
EK_MUST enum ek_status ek_learn_run(struct ek_engine *engine, struct ek_learn_step *step, struct ek_error *error);
/* Frees the step's frame, jobs and copy. */
void ek_learn_step_done(struct ek_learn_step *step);

#endif
