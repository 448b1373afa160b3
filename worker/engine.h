/*
 * The storage side of a worker without threads and sockets: the judge, its book-keeping and the store together. A group of jobs is
 * judged, becomes one batch (rows, one record, snapshots that are due), and is synced; a start rebuilds exactly the state of the
 * last synced group. It does not decide when a group ends. One thread at a time.
 *
 * Any failure but those named leaves the store in doubt: the process must end and must not acknowledge anything more.
 */
#ifndef EK_WORKER_ENGINE_H
#define EK_WORKER_ENGINE_H

#include "worker/book.h"
#include "worker/judge.h"
#include "worker/live.h"
#include "worker/stamps.h"
#include "worker/store.h"

struct ek_learner;

struct ek_engine {
    struct ek_store *store; /* borrowed */
    struct ek_identity identity;
    struct ek_judge judge;
    struct ek_live live;
    struct ek_stamps stamps;   /* for readers beside this thread */
    struct ek_pinned read_row; /* what the judge's reader gave out last */
    struct ek_pinned read_letter;
    struct ek_pinned *kept_letters; /* that the group needs until it is written */
    size_t kept_count;
    size_t kept_capacity;
    uint64_t dead_kept; /* dead letters of the shards served here, synced */
    bool probed;        /* the group has to be written and synced even if it holds nothing */
    struct ek_error read_error;
    struct ek_buffer scratch;
    struct ek_learner *learners; /* EK_COPIES_MAX of them; worker/learn.h */
};

/* Rebuilds the state and raises the incarnation, synced. `live_bytes_max` is EK_BOOK_LIVE_BYTES_MAX but in tests. EK_NEWER: a newer
 * format. EK_MISMATCH: the store holds something else. EK_CORRUPT, EK_IO. `engine` needs ek_engine_done only after EK_OK. */
EK_MUST enum ek_status ek_engine_open(struct ek_engine *engine, struct ek_store *store, size_t live_bytes_max,
                                      struct ek_error *error);
void ek_engine_done(struct ek_engine *engine);

/* A broker took this worker in: makes its generation durable and lets jobs of this link in. EK_MISMATCH: another cluster or shard
 * count; EK_DENIED: a generation below the durable one. Nothing has changed then. */
EK_MUST enum ek_status ek_engine_adopt(struct ek_engine *engine, const struct ek_worker_welcome *welcome, struct ek_error *error);
/* Makes roles durable, those of an older epoch than the known one aside, and fills in what now holds. EK_AGAIN: not from the
 * current link; EK_MALFORMED: a shard that is none. */
EK_MUST enum ek_status ek_engine_assign(struct ek_engine *engine, struct ek_link link, struct ek_holding *holdings, size_t count,
                                        struct ek_error *error);
/* Makes losses durable that an operator accepted: role, position, and a memory without producers; then as ek_engine_assign: `ret`,
 * with room for `count`, gets what now holds. A loss that is known already changes nothing. */
EK_MUST enum ek_status ek_engine_give_up(struct ek_engine *engine, struct ek_link link, const struct ek_loss *losses, size_t count,
                                         struct ek_holding *ret, struct ek_error *error);
/* All shards with book-keeping; `ret` has room for EK_SHARDS_MAX. Returns the count. */
size_t ek_engine_report(const struct ek_engine *engine, struct ek_holding *ret);

/* Until when rows of this shard expire; 0 when none can any more at or after the shard's last stamp. */
uint64_t ek_engine_expiry(const struct ek_engine *engine, uint16_t shard);

/* The group is to prove that the store can write. */
void ek_engine_probe(struct ek_engine *engine);
/* A group: begin, jobs through `judge`, commit. The jobs' bytes must stay until the commit is done. */
void ek_engine_begin(struct ek_engine *engine);
EK_MUST enum ek_status ek_engine_commit(struct ek_engine *engine, struct ek_error *error);

/* ---- for the engine's parts ---- */

/* These two add to the batch under construction. */
void ek_engine_put_role(struct ek_engine *engine, const struct ek_holding *role);
void ek_engine_put_snapshot(struct ek_engine *engine, uint16_t shard, const struct ek_producers *memory);
/* Rows of the shard that had expired at its memory's stamp, which is synced, may vanish. */
void ek_engine_set_horizon(struct ek_engine *engine, uint16_t shard);

#endif
