/*
 * The storage thread: takes what the loop hands it in one FIFO, makes groups of it, and hands replies back once a group is synced.
 * It owns the engine while it runs. It knows no socket; a failure of the store ends the process here, with nothing acknowledged.
 *
 * The loop pushes and takes and never waits: credit bounds what can be queued. An item that is not jobs ends a group.
 */
#ifndef EK_WORKER_COMMIT_H
#define EK_WORKER_COMMIT_H

#include "worker/answers.h"
#include "worker/engine.h"
#include "worker/load.h"
#include "worker/parcel.h"

/* A group takes jobs until one of these is reached. */
#define EK_COMMIT_OPERATIONS_GOAL 32768u
#define EK_COMMIT_BYTES_GOAL      (16u * EK_MIB)

struct ek_commit;

enum ek_commit_kind {
    EK_COMMIT_JOBS,
    EK_COMMIT_ADOPT,  /* make a broker's generation durable */
    EK_COMMIT_ASSIGN, /* make roles durable */
    EK_COMMIT_STOP    /* finish what is before it, then end the thread */
};

struct ek_commit_item {
    struct ek_commit_item *next;
    enum ek_commit_kind kind;
    struct ek_parcel *parcel;         /* JOBS; the item is one of its users */
    struct ek_worker_welcome welcome; /* ADOPT */
    struct ek_link link;              /* ASSIGN */
    struct ek_holding *holdings;      /* ASSIGN: what to do; done, and after ADOPT: what holds */
    size_t holding_count;
    uint32_t *passed; /* done JOBS: reads with a number that may be served, by index */
    uint32_t passed_count;
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
    enum ek_status status; /* ADOPT: EK_MISMATCH or EK_DENIED when the broker was refused; ASSIGN: EK_AGAIN, EK_MALFORMED */
    struct ek_error error;
};

/* Starts the thread on an opened engine. NULL when the system refuses. Signals should be blocked before. */
struct ek_commit *ek_commit_start(struct ek_engine *engine, struct ek_load *load);
/* Hands over an item of ek_alloc'ed memory. */
void ek_commit_push(struct ek_commit *commit, struct ek_commit_item *item);
/* Becomes readable when something is done. */
int ek_commit_fd(const struct ek_commit *commit);
/* Takes all that is done, oldest first; NULL when nothing is. */
struct ek_commit_done *ek_commit_take(struct ek_commit *commit);
/* Frees it with its items and what is left of its answers; parcels lose their user. */
void ek_commit_done_destroy(struct ek_commit_done *done);

/* How long the present group has been under way; 0 when idle. */
uint64_t ek_commit_stalled_us(const struct ek_commit *commit, uint64_t now_us);
/* The thread's time in groups since the start. */
uint64_t ek_commit_busy_us(const struct ek_commit *commit);
/* True once STOP is done. */
bool ek_commit_ended(const struct ek_commit *commit);
/* Waits for the end of the thread after STOP; the engine is the caller's again. */
void ek_commit_destroy(struct ek_commit **commit);

#endif
