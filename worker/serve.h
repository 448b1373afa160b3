/*
 * The loop's side of reads: its own small view of the shards (epoch, serving, synced position), and the reads that wait until their
 * position is synced. What may be served goes to reads.h. It owns no socket and no thread; loop thread only.
 */
#ifndef EK_WORKER_SERVE_H
#define EK_WORKER_SERVE_H

#include "worker/commit.h"
#include "worker/reads.h"

struct ek_serve_shard {
    uint64_t epoch;
    uint64_t position; /* synced */
    bool serving;
};

struct ek_serve_wait {
    struct ek_parcel *parcel; /* one user each */
    const struct ek_worker_job *job;
};

struct ek_serve {
    struct ek_store *store;
    const struct ek_stamps *stamps;
    struct ek_load *load;
    struct ek_link link; /* reads of another one are stale */
    uint32_t shard_count;
    struct ek_serve_shard shards[EK_SHARDS_MAX];
    struct ek_serve_wait *waits; /* in the order of arrival */
    size_t wait_count;
    size_t wait_capacity;
    struct ek_read *ready; /* memory for one run */
    struct ek_parcel **ready_parcels;
    uint32_t *ready_bytes;
    size_t ready_capacity;
    size_t parcels_capacity;
    size_t bytes_capacity;
    struct ek_reads reads;
    uint64_t busy_us;
};

/* All are borrowed. */
struct ek_serve *ek_serve_new(struct ek_store *store, const struct ek_stamps *stamps, struct ek_load *load);
void ek_serve_destroy(struct ek_serve **serve);

/* A link was adopted: `holdings` is everything that the worker holds. */
void ek_serve_adopt(struct ek_serve *serve, struct ek_link link, uint32_t shards, const struct ek_holding *holdings, size_t count);
void ek_serve_assign(struct ek_serve *serve, const struct ek_holding *holdings, size_t count);
void ek_serve_synced(struct ek_serve *serve, const struct ek_commit_position *positions, size_t count);

/* Enters a read; takes a user of the parcel. */
void ek_serve_add(struct ek_serve *serve, struct ek_parcel *parcel, const struct ek_worker_job *job);
/* Serves what can be served now, or a part of it when that is much: `ret_more` then tells to call again.
 * A failure is the store's: the process must end. */
EK_MUST enum ek_status ek_serve_run(struct ek_serve *serve, struct ek_answers *answers, bool *ret_more, struct ek_error *error);

#endif
