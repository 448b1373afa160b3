#include "worker/pulse.h"

#include "common/codec.h"
#include "common/hash.h"
#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEASURE_US  ((uint64_t)3000000)
#define FADE_US     ((uint64_t)10000000)
#define RECLAIM_US  ((uint64_t)2000000)
#define US_A_SECOND UINT64_C(1000000)
enum { RATE_BYTES_MIN = 64 * 1024, RATE_FADES = 64 };
enum { RECLAIM_LEVEL0_FILES_MAX = 8 }; /* beyond it compaction is under way, and a flush might have to wait for it */

struct ek_pulse *ek_pulse_new(struct ek_store *store, struct ek_load *load, uint64_t reserve_bytes)
{
    struct ek_pulse *pulse = ek_alloc_zero(1, sizeof *pulse);
    pulse->store = store;
    pulse->load = load;
    pulse->reserve_bytes = reserve_bytes;
    return pulse;
}

void ek_pulse_destroy(struct ek_pulse **pulse)
{
    free(*pulse);
    *pulse = NULL;
}

/* Small groups say more of the sync than of the disk. */
static void note_rate(struct ek_pulse *pulse, uint64_t bytes, uint64_t took_us)
{
    if (bytes < RATE_BYTES_MIN || took_us == 0)
        return;
    uint64_t rate = bytes * US_A_SECOND / took_us;
    uint64_t faded = pulse->rate_bytes - pulse->rate_bytes / RATE_FADES;
    pulse->rate_bytes = rate > faded ? rate : faded;
}

void ek_pulse_wrote(struct ek_pulse *pulse, uint64_t bytes)
{
    pulse->written_bytes += bytes;
    pulse->unreclaimed_bytes += bytes;
}

void ek_pulse_committed(struct ek_pulse *pulse, uint64_t took_us, const struct ek_pulse_work *work)
{
    ek_histogram_add(&pulse->commits, took_us);
    ek_pace_add(&pulse->pace, work->jobs, work->body_bytes, took_us);
    note_rate(pulse, work->bytes, took_us);
    ek_pulse_wrote(pulse, work->bytes);
}

bool ek_pulse_is_overdue(const struct ek_pulse *pulse)
{
    return !pulse->credit.deletes_wait && pulse->written_bytes > pulse->credit.room_bytes;
}

/* While the disk is short, what was deleted has to leave it soon, though so little is written that RocksDB sees no need. */
static void reclaim(struct ek_pulse *pulse, const struct ek_store_figures *figures, uint64_t now_us)
{
    if (!pulse->credit.full || pulse->unreclaimed_bytes == 0 || now_us - pulse->reclaimed_us < RECLAIM_US ||
        figures->level0_files > RECLAIM_LEVEL0_FILES_MAX || figures->writes_stopped)
        return;
    pulse->reclaimed_us = now_us;
    pulse->unreclaimed_bytes = 0;
    ek_store_flush_beside(pulse->store);
    ek_store_compact_beside(pulse->store, 0, EK_PREFIXES);
}

static void measure(struct ek_pulse *pulse, uint32_t shards, uint64_t unflushed_bytes)
{
    uint32_t *bounds = ek_alloc((shards + 1u) * sizeof *bounds);
    uint64_t *bytes = ek_alloc_zero(shards, sizeof *bytes);
    for (uint32_t shard = 0; shard <= shards; shard++)
        bounds[shard] = ek_shard_first(shard, shards);
    ek_store_range_bytes(pulse->store, bounds, shards, bytes);
    ek_load_measure(pulse->load, shards, bytes, unflushed_bytes);
    free(bounds);
    free(bytes);
}

/* An alarm is told in the log when it comes, changes or ends, not with every heartbeat. */
static void tell(struct ek_pulse *pulse, const char *alarm)
{
    /* Figures in the text move; its first words tell one alarm from another. */
    bool same = strncmp(pulse->alarm, alarm, 12) == 0;
    (void)snprintf(pulse->alarm, sizeof pulse->alarm, "%s", alarm);
    if (!same)
        ek_log(EK_LOG_WARNING, "%s", *alarm ? alarm : "the last alarm is over");
}

static uint32_t capped(uint64_t value)
{
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

void ek_pulse_write(struct ek_pulse *pulse, struct ek_buffer *out, struct ek_link link, uint32_t shards,
                    const struct ek_commit *commit, uint64_t now_us)
{
    struct ek_store_figures figures;
    ek_store_figures(pulse->store, &figures);
    if (shards && now_us - pulse->measured_us >= MEASURE_US) {
        measure(pulse, shards, figures.unflushed_bytes);
        pulse->measured_us = now_us;
    }
    uint64_t p99_us = ek_histogram_percentile(&pulse->commits, 0.99);
    struct ek_worker_credit credit = ek_worker_credit_of(&figures, pulse->reserve_bytes, p99_us, &pulse->pace, &pulse->credit);
    ek_pace_fade(&pulse->pace);
    pulse->credit = credit;
    pulse->written_bytes = 0;
    tell(pulse, credit.alarm);
    reclaim(pulse, &figures, now_us);
    ek_reclaim_run(&pulse->swept, pulse->store, shards, now_us);
    struct ek_heartbeat heartbeat = {.link = link,
                                     .stalled_ms = capped(ek_commit_stalled_us(commit, now_us) / 1000),
                                     .credit_jobs = credit.jobs,
                                     .credit_bytes = credit.bytes,
                                     .credit_reads = credit.reads,
                                     .disk_free_bytes = figures.disk_free_bytes,
                                     .disk_total_bytes = figures.disk_bytes,
                                     .disk_reserve_bytes = pulse->reserve_bytes,
                                     .rate_bytes = pulse->rate_bytes,
                                     .stored_bytes = figures.table_bytes + figures.unflushed_bytes,
                                     .stored_keys = figures.keys,
                                     .commit_p50_us = capped(ek_histogram_percentile(&pulse->commits, 0.5)),
                                     .commit_p99_us = capped(p99_us),
                                     .busy_us = ek_commit_busy_us(commit),
                                     .dead_kept = pulse->dead_kept,
                                     .load_count = (uint32_t)ek_load_changed(pulse->load, shards, pulse->changed)};
    (void)snprintf(heartbeat.alarm, sizeof heartbeat.alarm, "%s", credit.alarm);
    ek_encode_heartbeat(out, &heartbeat, pulse->changed);
    if (now_us - pulse->faded_us >= FADE_US) {
        ek_histogram_fade(&pulse->commits);
        pulse->faded_us = now_us;
    }
}
