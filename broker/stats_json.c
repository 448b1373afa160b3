#include "broker/stats_json.h"

#include "broker/plan_json.h"
#include "common/args.h"

#include <jansson.h>

enum { ID_TEXT_BYTES = 37 };

static void id_text(const struct ek_worker_id *id, char out[ID_TEXT_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    char *at = out;
    for (size_t i = 0; i < sizeof id->bytes; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = digits[id->bytes[i] >> 4];
        *at++ = digits[id->bytes[i] & 15];
    }
    *at = 0;
}

/* Names come from peers: what is not UTF-8 is shown as null. */
static json_t *text_or_null(const char *text)
{
    json_t *value = text[0] ? json_string(text) : NULL;
    return value ? value : json_null();
}

static void set_uint(json_t *object, const char *name, uint64_t value)
{
    (void)json_object_set_new(object, name, json_integer((json_int_t)value));
}

static void set_real(json_t *object, const char *name, double value)
{
    (void)json_object_set_new(object, name, json_real((double)(int64_t)(value * 1000 + 0.5) / 1000));
}

static const char *worker_state(const struct ek_worker_view *worker)
{
    if (worker->drained)
        return "drained";
    if (worker->state == EK_WORKER_AWAY)
        return "away";
    if (worker->state == EK_WORKER_JOINING)
        return "joining";
    return worker->quarantined ? "quarantined" : worker->draining ? "draining" : worker->full ? "full" : "up";
}

static const char *shard_state(const struct ek_shard_view *shard)
{
    switch (shard->state) {
    case EK_SHARD_SERVING:
        return shard->target == EK_NOBODY ? "serving" : "moving";
    case EK_SHARD_UNASSIGNED:
        return "unassigned";
    case EK_SHARD_QUARANTINED:
        return "quarantined";
    case EK_SHARD_AWAY:
    case EK_SHARD_OPENING:
        break;
    }
    return "away";
}

static json_t *worker_json(const struct ek_worker_view *worker)
{
    char id[ID_TEXT_BYTES];
    id_text(&worker->id, id);
    json_t *object = json_object();
    (void)json_object_set_new(object, "id", json_string(id));
    (void)json_object_set_new(object, "name", text_or_null(worker->name));
    (void)json_object_set_new(object, "state", json_string(worker_state(worker)));
    (void)json_object_set_new(object, "address", text_or_null(worker->endpoint));
    set_uint(object, "shards", worker->shards);
    set_uint(object, "stored_bytes", worker->stored_bytes);
    set_uint(object, "disk_used_bytes", worker->disk_used_bytes);
    set_uint(object, "stored_keys", worker->stored_keys);
    if (worker->planned)
        set_real(object, "load_ratio", worker->load.ratio[EK_PLAN_BUSY]);
    else
        (void)json_object_set_new(object, "load_ratio", json_null());
    set_real(object, "busy_ratio", worker->busy_ratio);
    set_real(object, "capacity", worker->capacity_milli / 1000.0);
    set_real(object, "reads_per_second", worker->reads_per_second);
    set_real(object, "writes_per_second", worker->writes_per_second);
    set_real(object, "write_bytes_per_second", worker->write_bytes_per_second);
    set_uint(object, "queued_jobs", worker->queued_jobs);
    set_uint(object, "queued_bytes", worker->queued_bytes);
    set_uint(object, "in_flight_jobs", worker->in_flight_jobs);
    set_uint(object, "credit_jobs", worker->credit_jobs);
    set_uint(object, "credit_bytes", worker->credit_bytes);
    set_uint(object, "disk_free_bytes", worker->disk_free_bytes);
    set_uint(object, "commit_p99_us", worker->commit_p99_us);
    set_uint(object, "heartbeat_age_ms", worker->heartbeat_age_ms);
    set_uint(object, "moves_in", worker->moves_in);
    set_uint(object, "moves_out", worker->moves_out);
    (void)json_object_set_new(object, "safe_to_stop", json_boolean(worker->safe_to_stop));
    (void)json_object_set_new(object, "alarm", text_or_null(worker->alarm));
    return object;
}

static json_t *workers_json(const struct ek_snapshot *snapshot)
{
    json_t *array = json_array();
    for (size_t i = 0; i < snapshot->worker_count; i++)
        (void)json_array_append_new(array, worker_json(&snapshot->workers[i]));
    return array;
}

static json_t *shard_json(const struct ek_snapshot *snapshot, size_t number)
{
    const struct ek_shard_view *shard = &snapshot->shards[number];
    json_t *object = json_object();
    set_uint(object, "shard", number);
    set_uint(object, "first_prefix", shard->first_prefix);
    set_uint(object, "last_prefix", shard->last_prefix);
    (void)json_object_set_new(object, "worker",
                              shard->worker == EK_NOBODY ? json_null() : text_or_null(snapshot->workers[shard->worker].name));
    (void)json_object_set_new(object, "target_worker",
                              shard->target == EK_NOBODY ? json_null() : text_or_null(snapshot->workers[shard->target].name));
    (void)json_object_set_new(object, "state", json_string(shard_state(shard)));
    set_uint(object, "epoch", shard->epoch);
    set_uint(object, "position", shard->position);
    set_uint(object, "queued_jobs", shard->queued_jobs);
    set_uint(object, "queued_bytes", shard->queued_bytes);
    set_uint(object, "oldest_job_age_ms", shard->oldest_job_age_ms);
    set_uint(object, "in_flight_jobs", shard->in_flight_jobs);
    set_uint(object, "stored_bytes", shard->stored_bytes);
    if (snapshot->busy_us > 0)
        set_real(object, "load_ratio", shard->busy_us / snapshot->busy_us);
    else
        (void)json_object_set_new(object, "load_ratio", json_null());
    return object;
}

static json_t *shards_json(const struct ek_snapshot *snapshot)
{
    json_t *array = json_array();
    for (size_t i = 0; i < snapshot->shard_count; i++)
        (void)json_array_append_new(array, shard_json(snapshot, i));
    return array;
}

static json_t *move_json(const struct ek_move_view *move)
{
    json_t *object = json_object();
    set_uint(object, "move", move->number);
    set_uint(object, "shard", move->shard);
    (void)json_object_set_new(object, "source", text_or_null(move->source));
    (void)json_object_set_new(object, "target", text_or_null(move->target));
    (void)json_object_set_new(object, "reason", json_string(move->reason));
    (void)json_object_set_new(object, "phase", json_string(move->phase));
    set_uint(object, "copied_bytes", move->copied_bytes);
    set_uint(object, "total_bytes", move->total_bytes);
    set_uint(object, "bytes_per_second", move->bytes_per_second);
    (void)json_object_set_new(object, "eta_ms", move->eta_ms == UINT64_MAX ? json_null() : json_integer((json_int_t)move->eta_ms));
    set_uint(object, "started_unix_ms", move->started_unix_ms);
    (void)json_object_set_new(object, "ended_unix_ms",
                              move->ended_unix_ms ? json_integer((json_int_t)move->ended_unix_ms) : json_null());
    set_uint(object, "max_write_wait_us", move->longest_hold_us);
    set_uint(object, "restarts", move->restarts);
    (void)json_object_set_new(object, "error", text_or_null(move->error));
    return object;
}

static json_t *moves_json(const struct ek_snapshot *snapshot)
{
    json_t *array = json_array();
    for (size_t i = 0; i < snapshot->move_count; i++)
        (void)json_array_append_new(array, move_json(&snapshot->moves[i]));
    return array;
}

static json_t *alarms_json(const struct ek_snapshot *snapshot)
{
    json_t *array = json_array();
    for (size_t i = 0; i < snapshot->alarm_count; i++) {
        const struct ek_alarm *alarm = &snapshot->alarms[i];
        json_t *object = json_object();
        (void)json_object_set_new(object, "code", json_string(alarm->code));
        (void)json_object_set_new(object, "worker",
                                  alarm->worker == EK_NOBODY ? json_null() : text_or_null(snapshot->workers[alarm->worker].name));
        (void)json_object_set_new(object, "shard", alarm->shard == EK_NOBODY ? json_null() : json_integer(alarm->shard));
        (void)json_object_set_new(object, "text", text_or_null(alarm->text));
        (void)json_array_append_new(array, object);
    }
    return array;
}

static void add_ledger(json_t *object, const struct ek_snapshot *snapshot)
{
    const struct ek_ledger *ledger = &snapshot->ledger;
    set_uint(object, "accepted_jobs", ledger->accepted);
    set_uint(object, "done_jobs", ledger->done);
    set_uint(object, "failed_jobs", ledger->failed);
    set_uint(object, "expired_jobs", ledger->expired);
    set_uint(object, "dead_jobs", ledger->dead);
    set_uint(object, "given_back_jobs", ledger->given_back);
    set_uint(object, "queued_jobs", ledger->queued);
    set_uint(object, "in_flight_jobs", ledger->in_flight);
    uint64_t ended = ledger->done + ledger->failed + ledger->expired + ledger->dead + ledger->given_back;
    bool balanced = ledger->accepted == ended + ledger->queued + ledger->in_flight;
    (void)json_object_set_new(object, "ledger_balanced", json_boolean(balanced));
    set_uint(object, "refused_jobs", ledger->refused);
    set_uint(object, "duplicate_jobs", ledger->duplicate);
    set_uint(object, "dead_kept", snapshot->dead_kept);
}

/* Sums and extremes over the workers that are up. */
struct spread {
    size_t up;
    double busy_sum;
    double busy_max;
    double bytes_sum;
    double bytes_max;
    uint32_t commit_p50_us;
    uint32_t commit_p99_us;
};

static struct spread spread_of(const struct ek_snapshot *snapshot)
{
    struct spread spread = {0};
    for (size_t i = 0; i < snapshot->worker_count; i++) {
        const struct ek_worker_view *worker = &snapshot->workers[i];
        if (worker->state != EK_WORKER_UP)
            continue;
        double bytes = (double)worker->stored_bytes;
        spread.up++;
        spread.busy_sum += worker->busy_ratio;
        spread.bytes_sum += bytes;
        spread.busy_max = worker->busy_ratio > spread.busy_max ? worker->busy_ratio : spread.busy_max;
        spread.bytes_max = bytes > spread.bytes_max ? bytes : spread.bytes_max;
        if (worker->commit_p99_us >= spread.commit_p99_us) {
            spread.commit_p50_us = worker->commit_p50_us;
            spread.commit_p99_us = worker->commit_p99_us;
        }
    }
    return spread;
}

static void set_ratio(json_t *object, const char *name, double max, double sum, size_t count)
{
    if (sum > 0)
        set_real(object, name, max * (double)count / sum);
    else
        (void)json_object_set_new(object, name, json_null());
}

static void add_cluster(json_t *object, const struct ek_snapshot *snapshot)
{
    struct spread spread = spread_of(snapshot);
    size_t unavailable = 0;
    for (size_t i = 0; i < snapshot->shard_count; i++)
        unavailable += snapshot->shards[i].state != EK_SHARD_SERVING;
    set_uint(object, "commit_p50_us", spread.commit_p50_us);
    set_uint(object, "commit_p99_us", spread.commit_p99_us);
    set_uint(object, "end_to_end_p50_us", snapshot->end_to_end.p50_us);
    set_uint(object, "end_to_end_p99_us", snapshot->end_to_end.p99_us);
    set_uint(object, "workers_up", spread.up);
    set_uint(object, "workers_known", snapshot->worker_count);
    if (snapshot->plan.plan.round)
        set_uint(object, "workers_wanted", snapshot->plan.plan.workers_wanted);
    else
        (void)json_object_set_new(object, "workers_wanted", json_null());
    set_uint(object, "shards_total", snapshot->shard_count);
    set_uint(object, "shards_unavailable", unavailable);
    set_uint(object, "moves_active", snapshot->moves_active);
    set_ratio(object, "max_over_mean_load", spread.busy_max, spread.busy_sum, spread.up);
    set_ratio(object, "max_over_mean_bytes", spread.bytes_max, spread.bytes_sum, spread.up);
    (void)json_object_set_new(object, "alarms", alarms_json(snapshot));
}

static json_t *stats_json(const struct ek_snapshot *snapshot)
{
    json_t *object = json_object();
    set_uint(object, "time_unix_ms", snapshot->time_unix_ms);
    set_uint(object, "generation", snapshot->generation);
    set_uint(object, "uptime_ms", snapshot->uptime_ms);
    (void)json_object_set_new(object, "version", json_string(EK_VERSION));
    add_ledger(object, snapshot);
    set_uint(object, "queued_bytes", snapshot->queued_bytes);
    set_uint(object, "queue_limit_bytes", snapshot->queue_limit_bytes);
    set_uint(object, "oldest_job_age_ms", snapshot->oldest_job_age_ms);
    set_real(object, "reads_per_second", snapshot->reads_per_second);
    set_real(object, "writes_per_second", snapshot->writes_per_second);
    set_uint(object, "queue_wait_p50_us", snapshot->queue_wait.p50_us);
    set_uint(object, "queue_wait_p99_us", snapshot->queue_wait.p99_us);
    add_cluster(object, snapshot);
    return object;
}

char *ek_stats_json(const struct ek_snapshot *snapshot, const char *what)
{
    if (strcmp(what, "plan") == 0)
        return ek_plan_json(snapshot);
    bool full = strcmp(what, "full") == 0;
    json_t *object = full || strcmp(what, "stats") == 0 ? stats_json(snapshot) : json_object();
    if (full || strcmp(what, "workers") == 0)
        (void)json_object_set_new(object, "workers", workers_json(snapshot));
    if (full || strcmp(what, "shards") == 0)
        (void)json_object_set_new(object, "shards", shards_json(snapshot));
    if (full || strcmp(what, "moves") == 0)
        (void)json_object_set_new(object, "moves", moves_json(snapshot));
    char *text = json_object_size(object) ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return text;
}
