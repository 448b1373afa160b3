#include "client/cli/view.h"

#include "client/cli/columns.h"

#include <stdio.h>
#include <string.h>

enum { TITLE_WIDTH = 24 };

static const struct ek_column stats_columns[] = {
    {"generation", "generation", EK_AS_COUNT},
    {"version", "version", EK_AS_TEXT},
    {"up since", "uptime_ms", EK_AS_MS},
    {"workers up", "workers_up", EK_AS_COUNT},
    {"workers known", "workers_known", EK_AS_COUNT},
    {"workers wanted", "workers_wanted", EK_AS_COUNT},
    {"shards", "shards_total", EK_AS_COUNT},
    {"shards unavailable", "shards_unavailable", EK_AS_COUNT},
    {"moves active", "moves_active", EK_AS_COUNT},
    {"reads", "reads_per_second", EK_AS_RATE},
    {"writes", "writes_per_second", EK_AS_RATE},
    {"queued jobs", "queued_jobs", EK_AS_COUNT},
    {"queued", "queued_bytes", EK_AS_BYTES},
    {"queue limit", "queue_limit_bytes", EK_AS_BYTES},
    {"oldest job", "oldest_job_age_ms", EK_AS_MS},
    {"in flight", "in_flight_jobs", EK_AS_COUNT},
    {"queue wait p50", "queue_wait_p50_us", EK_AS_US},
    {"queue wait p99", "queue_wait_p99_us", EK_AS_US},
    {"commit p50", "commit_p50_us", EK_AS_US},
    {"commit p99", "commit_p99_us", EK_AS_US},
    {"end to end p50", "end_to_end_p50_us", EK_AS_US},
    {"end to end p99", "end_to_end_p99_us", EK_AS_US},
    {"accepted jobs", "accepted_jobs", EK_AS_COUNT},
    {"  done", "done_jobs", EK_AS_COUNT},
    {"  failed", "failed_jobs", EK_AS_COUNT},
    {"  expired", "expired_jobs", EK_AS_COUNT},
    {"  dead", "dead_jobs", EK_AS_COUNT},
    {"  given back", "given_back_jobs", EK_AS_COUNT},
    {"ledger balanced", "ledger_balanced", EK_AS_YES_NO},
    {"refused jobs", "refused_jobs", EK_AS_COUNT},
    {"duplicate jobs", "duplicate_jobs", EK_AS_COUNT},
    {"dead letters kept", "dead_kept", EK_AS_COUNT},
    {"load, max over mean", "max_over_mean_load", EK_AS_RATIO},
    {"bytes, max over mean", "max_over_mean_bytes", EK_AS_RATIO},
};

static const struct ek_column worker_columns[] = {
    {"NAME", "name", EK_AS_TEXT},
    {"STATE", "state", EK_AS_TEXT},
    {"SHARDS", "shards", EK_AS_COUNT},
    {"MAY STOP", "safe_to_stop", EK_AS_YES_NO},
    {"KEYS", "stored_keys", EK_AS_COUNT},
    {"STORED", "stored_bytes", EK_AS_BYTES},
    {"LOAD", "load_ratio", EK_AS_RATIO},
    {"BUSY", "busy_ratio", EK_AS_RATIO},
    {"READS", "reads_per_second", EK_AS_RATE},
    {"WRITES", "writes_per_second", EK_AS_RATE},
    {"QUEUED", "queued_jobs", EK_AS_COUNT},
    {"IN FLIGHT", "in_flight_jobs", EK_AS_COUNT},
    {"COMMIT P99", "commit_p99_us", EK_AS_US},
    {"DISK FREE", "disk_free_bytes", EK_AS_BYTES},
    {"HEARD", "heartbeat_age_ms", EK_AS_MS},
    {"ADDRESS", "address", EK_AS_TEXT},
    {"ALARM", "alarm", EK_AS_TEXT},
};

static const struct ek_column shard_columns[] = {
    {"SHARD", "shard", EK_AS_COUNT},
    {"WORKER", "worker", EK_AS_TEXT},
    {"TARGET", "target_worker", EK_AS_TEXT},
    {"STATE", "state", EK_AS_TEXT},
    {"EPOCH", "epoch", EK_AS_COUNT},
    {"POSITION", "position", EK_AS_COUNT},
    {"QUEUED", "queued_jobs", EK_AS_COUNT},
    {"OLDEST", "oldest_job_age_ms", EK_AS_MS},
    {"IN FLIGHT", "in_flight_jobs", EK_AS_COUNT},
    {"STORED", "stored_bytes", EK_AS_BYTES},
    {"LOAD", "load_ratio", EK_AS_RATIO},
};

static const struct ek_column alarm_columns[] = {
    {"ALARM", "code", EK_AS_TEXT}, {"WORKER", "worker", EK_AS_TEXT}, {"SHARD", "shard", EK_AS_COUNT}, {"TEXT", "text", EK_AS_TEXT}};

static const struct ek_column line_columns[] = {
    {"writes", "writes_per_second", EK_AS_RATE},  {"reads", "reads_per_second", EK_AS_RATE},
    {"queued", "queued_jobs", EK_AS_COUNT},       {"oldest", "oldest_job_age_ms", EK_AS_MS},
    {"in flight", "in_flight_jobs", EK_AS_COUNT}, {"end to end p99", "end_to_end_p99_us", EK_AS_US},
    {"workers", "workers_up", EK_AS_COUNT},       {"unavailable", "shards_unavailable", EK_AS_COUNT},
};

static const struct ek_column check_columns[] = {
    {"shards checked", "shards_checked", EK_AS_COUNT},
    {"rows", "rows", EK_AS_COUNT},
    {"mismatches", "mismatches", EK_AS_COUNT},
    {"rows awaiting deletion", "rows_awaiting_deletion", EK_AS_COUNT},
    {"foreign rows", "foreign_rows", EK_AS_COUNT},
    {"shards changed", "shards_changed", EK_AS_COUNT},
    {"shards unavailable", "shards_unavailable", EK_AS_COUNT},
};

static const struct ek_column detail_columns[] = {
    {"WORKER", "worker", EK_AS_TEXT}, {"SHARD", "shard", EK_AS_COUNT}, {"TEXT", "text", EK_AS_TEXT}};

static void append_list(struct ek_buffer *out, const json_t *object, const struct ek_column *columns, size_t count)
{
    char cell[EK_CELL_BYTES];
    for (size_t i = 0; i < count; i++) {
        ek_cell(cell, json_object_get(object, columns[i].member), columns[i].unit);
        ek_append_text(out, "%s", columns[i].title);
        ek_append_spaces(out, TITLE_WIDTH - strlen(columns[i].title));
        ek_append_text(out, "%s\n", cell);
    }
}

static void append_stats(struct ek_buffer *out, const json_t *stats)
{
    append_list(out, stats, stats_columns, EK_COLUMN_COUNT(stats_columns));
    const json_t *alarms = json_object_get(stats, "alarms");
    if (json_array_size(alarms)) {
        ek_append_text(out, "\n");
        ek_columns(out, alarms, alarm_columns, EK_COLUMN_COUNT(alarm_columns));
    }
}

static json_t *load(struct ek_slice json)
{
    return json_loadb((const char *)json.data, json.size, 0, NULL);
}

bool ek_view_stats(struct ek_buffer *out, struct ek_slice json)
{
    json_t *stats = load(json);
    if (stats)
        append_stats(out, stats);
    json_decref(stats);
    return stats != NULL;
}

bool ek_view_stats_line(struct ek_buffer *out, struct ek_slice json)
{
    char cell[EK_CELL_BYTES];
    json_t *stats = load(json);
    for (size_t i = 0; stats && i < EK_COLUMN_COUNT(line_columns); i++) {
        ek_cell(cell, json_object_get(stats, line_columns[i].member), line_columns[i].unit);
        ek_append_text(out, "%s%s %s", i ? ", " : "", line_columns[i].title, cell);
    }
    if (stats)
        ek_append_text(out, "\n");
    json_decref(stats);
    return stats != NULL;
}

static bool view_table(struct ek_buffer *out, struct ek_slice json, const char *member, const struct ek_column *columns,
                       size_t count)
{
    json_t *all = load(json);
    const json_t *rows = json_object_get(all, member);
    bool understood = json_is_array(rows);
    if (understood)
        ek_columns(out, rows, columns, count);
    json_decref(all);
    return understood;
}

bool ek_view_workers(struct ek_buffer *out, struct ek_slice json)
{
    return view_table(out, json, "workers", worker_columns, EK_COLUMN_COUNT(worker_columns));
}

bool ek_view_shards(struct ek_buffer *out, struct ek_slice json)
{
    return view_table(out, json, "shards", shard_columns, EK_COLUMN_COUNT(shard_columns));
}

bool ek_view_check(struct ek_buffer *out, struct ek_slice json, char **ret_error)
{
    json_t *check = load(json);
    const json_t *status = json_object_get(check, "status");
    const json_t *error = json_object_get(check, "error");
    const json_t *details = json_object_get(check, "details");
    bool understood = json_is_string(status);
    bool ok = understood && strcmp(json_string_value(status), "ok") == 0;
    *ret_error = NULL;
    if (understood) {
        append_list(out, check, check_columns, EK_COLUMN_COUNT(check_columns));
        *ret_error = ok ? NULL : ek_copy_text(json_is_string(error) ? json_string_value(error) : "the broker does not say why");
    }
    if (json_array_size(details)) {
        ek_append_text(out, "\n");
        ek_columns(out, details, detail_columns, EK_COLUMN_COUNT(detail_columns));
    }
    json_decref(check);
    return understood;
}

bool ek_view_full(struct ek_buffer *out, struct ek_slice json)
{
    json_t *all = load(json);
    if (!all)
        return false;
    append_stats(out, all);
    const json_t *workers = json_object_get(all, "workers");
    const json_t *shards = json_object_get(all, "shards");
    if (json_is_array(workers)) {
        ek_append_text(out, "\n");
        ek_columns(out, workers, worker_columns, EK_COLUMN_COUNT(worker_columns));
    }
    if (json_is_array(shards)) {
        ek_append_text(out, "\n");
        ek_columns(out, shards, shard_columns, EK_COLUMN_COUNT(shard_columns));
    }
    json_decref(all);
    return true;
}

bool ek_view_number(struct ek_slice json, const char *member, uint64_t *ret)
{
    json_t *object = load(json);
    const json_t *value = json_object_get(object, member);
    bool found = json_is_integer(value) && json_integer_value(value) >= 0;
    if (found)
        *ret = (uint64_t)json_integer_value(value);
    json_decref(object);
    return found;
}

bool ek_view_text(struct ek_slice json, const char *member, char *out, size_t size)
{
    json_t *object = load(json);
    const char *text = json_string_value(json_object_get(object, member));
    if (text)
        (void)snprintf(out, size, "%s", text);
    json_decref(object);
    return text != NULL;
}
