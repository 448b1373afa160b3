/*
 * What a heartbeat says: how the storage thread is doing, how much may be sent, and what each shard costs. It asks the store for
 * its figures and sends nothing. Loop thread only.
 */
#ifndef EK_WORKER_PULSE_H
#define EK_WORKER_PULSE_H

#include "common/histogram.h"
#include "worker/commit.h"
#include "worker/credit.h"
#include "worker/reclaim.h"

struct ek_pulse {
    struct ek_store *store; /* borrowed */
    struct ek_load *load;   /* borrowed */
    uint64_t reserve_bytes;
    uint64_t dead_kept;   /* dead letters, as the storage thread said last */
    uint64_t measured_us; /* when the shards' sizes were asked for last */
    uint64_t faded_us;
    struct ek_histogram commits;
    uint64_t rate_bytes; /* a second, that the storage was seen to take: the most of late */
    struct ek_pace pace;
    struct ek_worker_credit credit; /* the last one given */
    uint64_t written_bytes;         /* since then */
    uint64_t unreclaimed_bytes;     /* written since the store was last asked to free room */
    uint64_t reclaimed_us;
    struct ek_reclaim swept; /* shards that have left */
    struct ek_shard_load changed[EK_SHARDS_MAX];
    char alarm[EK_TEXT_BYTES_MAX]; /* the last one told */
};

struct ek_pulse *ek_pulse_new(struct ek_store *store, struct ek_load *load, uint64_t reserve_bytes);
void ek_pulse_destroy(struct ek_pulse **pulse);

struct ek_pulse_work {
    uint64_t jobs;       /* that were more than cancellations */
    uint64_t body_bytes; /* of them */
    uint64_t bytes;      /* of everything */
};
/* A group of jobs took this long. */
void ek_pulse_committed(struct ek_pulse *pulse, uint64_t took_us, const struct ek_pulse_work *work);
/* Likewise a step of a move; how long it took says nothing of jobs. */
void ek_pulse_wrote(struct ek_pulse *pulse, uint64_t bytes);
/* More was written than the credit reckoned with: a heartbeat should tell the broker how the disk is now. */
bool ek_pulse_is_overdue(const struct ek_pulse *pulse);
/* Appends a heartbeat of this link to `out`. */
void ek_pulse_write(struct ek_pulse *pulse, struct ek_buffer *out, struct ek_link link, uint32_t shards,
                    const struct ek_commit *commit, uint64_t now_us);

#endif
