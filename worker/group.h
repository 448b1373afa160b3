/*
 * What the storage thread does with its queue, without the thread: which items belong together, judging and writing such a group,
 * and handing back what came of it. Items are taken and given by commit.h (or by a simulator); it owns neither engine nor load.
 *
 * One thread at a time, the engine's. After a failure of the store the process must end, with nothing acknowledged.
 */
#ifndef EK_WORKER_GROUP_H
#define EK_WORKER_GROUP_H

#include "worker/answers.h"
#include "worker/engine.h"
#include "worker/learn.h"
#include "worker/load.h"
#include "worker/parcel.h"
#include "worker/survey.h"

/* A group takes jobs until one of these is reached. */
#define EK_COMMIT_OPERATIONS_GOAL 32768u
#define EK_COMMIT_BYTES_GOAL      (16u * EK_MIB)

enum ek_commit_kind {
    EK_COMMIT_JOBS,
    EK_COMMIT_ADOPT,  /* make a broker's generation durable */
    EK_COMMIT_ASSIGN, /* make roles durable */
    EK_COMMIT_LOSS,   /* make accepted losses durable */
    EK_COMMIT_LEARN,  /* a step of a move */
    EK_COMMIT_SURVEY, /* open a survey as of the groups before */
    EK_COMMIT_FLUSH,  /* begin to bring what is in memory into files */
    EK_COMMIT_STOP    /* finish what is before it, then end the thread */
};

struct ek_commit_item {
    struct ek_commit_item *next;
    enum ek_commit_kind kind;
    struct ek_parcel *parcel;         /* JOBS; the item is one of its users */
    struct ek_worker_welcome welcome; /* ADOPT */
    struct ek_link link;              /* ASSIGN, LOSS, SURVEY */
    struct ek_loss *losses;           /* LOSS; as many as there is room in `holdings` */
    struct ek_holding *holdings;      /* ASSIGN: what to do; done, and after ADOPT and LOSS: what holds */
    size_t holding_count;
    struct ek_learn_step *step; /* LEARN */
    uint64_t check;             /* SURVEY: its number; then what was opened, or NULL for a link that is over */
    struct ek_survey *survey;
    uint32_t *passed; /* done JOBS: reads with a number that may be served, by index */
    uint32_t passed_count;
    bool begun; /* done FLUSH: nothing was in its way */
};

struct ek_commit_position {
    uint16_t shard;
    uint64_t position;
};

/* A group, or one item of another kind, that is done. */
struct ek_commit_done {
    struct ek_commit_done *next;
    struct ek_commit_item *items;
    struct ek_answers answers;
    struct ek_commit_position *positions; /* shards that moved, synced */
    size_t position_count;
    uint64_t took_us;
    bool failed;                 /* the store did: `error` tells, nothing of the group may be said, and the process ends */
    struct ek_identity identity; /* after ADOPT */
    uint64_t dead_kept;          /* dead letters afterwards */
    enum ek_status status; /* ADOPT: EK_MISMATCH or EK_DENIED when the broker was refused; ASSIGN, LOSS: EK_AGAIN, EK_MALFORMED */
    struct ek_error error;
};

/* The last item of the group that begins with `first`: jobs up to the goals, or one item of another kind. */
struct ek_commit_item *ek_group_end(struct ek_commit_item *first);
/* Carries out done->items, which are such a group, and fills in the rest but for `took_us`. Everything in `answers` is synced when
 * it returns EK_OK; anything else is the store's failure, told in `error`. */
EK_MUST enum ek_status ek_group_run(struct ek_engine *engine, struct ek_commit_done *done, struct ek_error *error);
/* Notes in the load what expires since what was just run, unless it was jobs. */
void ek_group_note_expiry(const struct ek_engine *engine, const struct ek_commit_done *done, struct ek_load *load);
/* Adds the group of jobs that was just run to the load, to each shard what its operations added (cost.h), and what expires. The
 * group may have been handed on: nothing of it is looked at. */
void ek_group_note_jobs(const struct ek_engine *engine, uint64_t took_us, struct ek_load *load);
/* Frees it with its items and what is left of its answers; parcels lose their user. */
void ek_commit_done_destroy(struct ek_commit_done *done);

#endif
