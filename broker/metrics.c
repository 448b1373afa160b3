#include "broker/metrics.h"

#include "broker/balance.h"
#include "broker/drain.h"
#include "broker/moves.h"
#include "common/hash.h"

#include <stdlib.h>

enum { SECOND_US = 1000000 };

static double rate(uint64_t now, uint64_t *before, double seconds)
{
    double result = now >= *before ? (double)(now - *before) / seconds : 0;
    *before = now;
    return result;
}

static void take_worker_rates(struct ek_worker *worker, double seconds)
{
    worker->busy_ratio = rate(worker->heartbeat.busy_us, &worker->busy_before_us, seconds) / SECOND_US;
    worker->reads_per_second = rate(worker->reads, &worker->reads_before, seconds);
    worker->writes_per_second = rate(worker->writes, &worker->writes_before, seconds);
    worker->write_bytes_per_second = rate(worker->write_bytes, &worker->write_bytes_before, seconds);
}

void ek_metrics_tick(struct ek_broker *broker, uint64_t now_us)
{
    if (now_us - broker->second_us < SECOND_US)
        return;
    double seconds = (double)(now_us - broker->second_us) / SECOND_US;
    broker->second_us = now_us;
    broker->reads_per_second = rate(broker->reads, &broker->reads_before, seconds);
    broker->writes_per_second = rate(broker->writes, &broker->writes_before, seconds);
    for (size_t i = 0; i < broker->worker_count; i++)
        take_worker_rates(&broker->workers[i], seconds);
    ek_histogram_fade(&broker->queue_wait);
    ek_histogram_fade(&broker->end_to_end);
}

static struct ek_latency_view latency_of(const struct ek_histogram *histogram)
{
    return (struct ek_latency_view){.p50_us = ek_histogram_percentile(histogram, 0.5),
                                    .p99_us = ek_histogram_percentile(histogram, 0.99)};
}

/* Queues are FIFO, save that jobs which were taken back stand in front; either way the first is the oldest that waits. */
static uint64_t oldest_age_ms(const struct ek_shard *shard, uint64_t now_us)
{
    const struct ek_broker_job *oldest = shard->writes.first ? shard->writes.first : shard->queue.first;
    return oldest ? (now_us - oldest->arrived_us) / 1000 : 0;
}

static struct ek_shard_view view_shard(const struct ek_broker *broker, const struct ek_shard *shard, uint64_t now_us)
{
    return (struct ek_shard_view){
        .first_prefix = ek_shard_first(shard->number, broker->config.shards),
        .last_prefix = ek_shard_first(shard->number + 1u, broker->config.shards) - 1,
        .worker = shard->holder,
        .state = shard->state,
        .epoch = shard->epoch,
        .position = shard->given > shard->floor ? shard->given : shard->floor,
        .queued_jobs = shard->queue.count,
        .queued_bytes = shard->bytes,
        .oldest_job_age_ms = oldest_age_ms(shard, now_us),
        .in_flight_jobs = shard->writes.count + shard->reads.count,
        .stored_bytes = shard->load.stored_bytes,
        .target = shard->move ? shard->move->target : EK_NOBODY,
        .busy_us = ek_balance_busy_us(broker, shard->number),
    };
}

static struct ek_worker_view view_worker(const struct ek_broker *broker, int index, uint64_t now_us)
{
    const struct ek_worker *worker = &broker->workers[index];
    const struct ek_plan *plan = ek_balance_plan(broker);
    struct ek_worker_view view = {
        .id = worker->id,
        .state = worker->state,
        .full = worker->has_credit && worker->heartbeat.credit_bytes == 0,
        .draining = worker->drain.wanted,
        .drained = ek_drain_is_over(broker, index),
        .safe_to_stop = ek_drain_is_safe_to_stop(broker, index),
        .planned = plan->round > 0 && worker->state == EK_WORKER_UP,
        .load = plan->loads[index],
        .shards = worker->shards,
        .capacity_milli = worker->capacity_milli,
        .disk_used_bytes = worker->heartbeat.stored_bytes,
        .stored_keys = worker->heartbeat.stored_keys,
        .busy_ratio = worker->busy_ratio,
        .reads_per_second = worker->reads_per_second,
        .writes_per_second = worker->writes_per_second,
        .write_bytes_per_second = worker->write_bytes_per_second,
        .in_flight_jobs = (uint64_t)worker->in_flight_jobs + worker->in_flight_cancels + worker->in_flight_reads,
        .credit_jobs = worker->heartbeat.credit_jobs,
        .credit_bytes = worker->heartbeat.credit_bytes,
        .disk_free_bytes = worker->heartbeat.disk_free_bytes,
        .commit_p50_us = worker->heartbeat.commit_p50_us,
        .commit_p99_us = worker->heartbeat.commit_p99_us,
        .heartbeat_age_ms = worker->heard_us ? (now_us - worker->heard_us) / 1000 : 0,
    };
    memcpy(view.name, worker->name, sizeof view.name);
    memcpy(view.endpoint, worker->endpoint, sizeof view.endpoint);
    memcpy(view.alarm, worker->heartbeat.alarm, sizeof view.alarm);
    return view;
}

static void add_shard(struct ek_snapshot *snapshot, const struct ek_shard_view *shard)
{
    snapshot->queued_bytes += shard->queued_bytes;
    if (shard->oldest_job_age_ms > snapshot->oldest_job_age_ms)
        snapshot->oldest_job_age_ms = shard->oldest_job_age_ms;
    if (shard->worker == EK_NOBODY)
        return;
    struct ek_worker_view *worker = &snapshot->workers[shard->worker];
    worker->queued_jobs += shard->queued_jobs;
    worker->queued_bytes += shard->queued_bytes;
    worker->stored_bytes += shard->stored_bytes;
    worker->quarantined |= shard->state == EK_SHARD_QUARANTINED;
}

static struct ek_move_view view_move(const struct ek_move *move, uint64_t now_us)
{
    uint64_t copying_us = now_us - move->copying_us;
    bool copies = move->phase == EK_MOVE_COPYING;
    struct ek_move_view view = {
        .number = move->number,
        .shard = move->shard,
        .reason = ek_move_reason_name(move->reason),
        .phase = ek_move_phase_name(move->phase),
        .open = move->phase<EK_MOVE_DONE, .copied_bytes = move->copied_bytes, .total_bytes = move->total_bytes> move->copied_bytes
                    ? move->total_bytes
                    : move->copied_bytes,
        .bytes_per_second = copies && copying_us ? move->copied_bytes * SECOND_US / copying_us : 0,
        .eta_ms = UINT64_MAX,
        .started_unix_ms = move->started_unix_ms,
        .ended_unix_ms = move->ended_unix_ms,
        .longest_hold_us = move->longest_hold_us,
        .restarts = move->attempts ? move->attempts - 1 : 0,
    };
    if (view.bytes_per_second)
        view.eta_ms = (view.total_bytes - view.copied_bytes) * 1000 / view.bytes_per_second;
    memcpy(view.source, move->source_name, sizeof view.source);
    memcpy(view.target, move->target_name, sizeof view.target);
    memcpy(view.error, move->error, sizeof view.error);
    return view;
}

static void add_moves(struct ek_snapshot *snapshot, const struct ek_broker *broker, uint64_t now_us)
{
    size_t count = 0;
    for (const struct ek_move *move = broker->moves; move; move = move->next)
        count++;
    snapshot->moves = ek_alloc_zero(count + 1, sizeof *snapshot->moves);
    snapshot->moves_active = broker->moves_active;
    for (const struct ek_move *move = broker->moves; move; move = move->next) {
        snapshot->moves[snapshot->move_count++] = view_move(move, now_us);
        bool counts = move->phase < EK_MOVE_CLEANING;
        if (counts && move->target != EK_NOBODY)
            snapshot->workers[move->target].moves_in++;
        if (counts && move->source != EK_NOBODY)
            snapshot->workers[move->source].moves_out++;
    }
}

static void view_plan(struct ek_plan_view *view, const struct ek_broker *broker, uint64_t now_us)
{
    view->plan = *ek_balance_plan(broker);
    view->entry_count = view->plan.count < EK_PLAN_SHOWN_MAX ? view->plan.count : EK_PLAN_SHOWN_MAX;
    view->held_count = view->plan.held_count < EK_PLAN_SHOWN_MAX ? view->plan.held_count : EK_PLAN_SHOWN_MAX;
    memcpy(view->entries, view->plan.entries, view->entry_count * sizeof *view->entries);
    memcpy(view->held, view->plan.held, view->held_count * sizeof *view->held);
    view->plan.entries = view->entries;
    view->plan.held = view->held;
    view->plan.loads = NULL;
    view->age_ms = view->plan.round ? (now_us - view->plan.planned_us) / 1000 : 0;
    view->balance = !broker->settings[EK_SETTING_BALANCE_OFF];
    view->paused = broker->settings[EK_SETTING_MOVES_PAUSED];
}

struct ek_snapshot *ek_snapshot_take(const struct ek_broker *broker, uint64_t now_us)
{
    struct ek_snapshot *snapshot = ek_alloc_zero(1, sizeof *snapshot);
    snapshot->time_unix_ms = ek_time_unix_ms(&broker->time, now_us);
    snapshot->generation = broker->config.generation;
    snapshot->uptime_ms = (now_us - broker->config.started_us) / 1000;
    snapshot->ledger = broker->ledger;
    snapshot->queue_limit_bytes = broker->config.queue_bytes_max;
    snapshot->reads_per_second = broker->reads_per_second;
    snapshot->writes_per_second = broker->writes_per_second;
    snapshot->queue_wait = latency_of(&broker->queue_wait);
    snapshot->end_to_end = latency_of(&broker->end_to_end);
    snapshot->worker_count = broker->worker_count;
    snapshot->workers = ek_alloc_zero(broker->worker_count, sizeof *snapshot->workers);
    for (size_t i = 0; i < broker->worker_count; i++) {
        snapshot->workers[i] = view_worker(broker, (int)i, now_us);
        snapshot->dead_kept += broker->workers[i].heartbeat.dead_kept;
    }
    snapshot->shard_count = broker->config.shards;
    snapshot->shards = ek_alloc_zero(snapshot->shard_count, sizeof *snapshot->shards);
    for (size_t i = 0; i < snapshot->shard_count; i++) {
        snapshot->shards[i] = view_shard(broker, &broker->shards[i], now_us);
        add_shard(snapshot, &snapshot->shards[i]);
        snapshot->busy_us += snapshot->shards[i].busy_us / (double)snapshot->shard_count;
    }
    view_plan(&snapshot->plan, broker, now_us);
    add_moves(snapshot, broker, now_us);
    memcpy(snapshot->alarms, broker->alarms, sizeof snapshot->alarms);
    snapshot->alarm_count = broker->alarm_count;
    return snapshot;
}

void ek_snapshot_destroy(struct ek_snapshot **snapshot)
{
    if (!*snapshot)
        return;
    free((*snapshot)->workers);
    free((*snapshot)->shards);
    free((*snapshot)->moves);
    free(*snapshot);
    *snapshot = NULL;
}
