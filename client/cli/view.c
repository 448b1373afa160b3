#include "client/cli/view.h"

#include "client/cli/output.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { GAP = 2, TITLE_WIDTH = 24, CELL_BYTES = 128, COLUMNS_MAX = 20 };

enum unit { TEXT, COUNT, BYTES, RATE, MS, US, RATIO, YES_NO };

struct column {
    const char *title;
    const char *member;
    enum unit unit;
};

static const struct column stats_columns[] = {
    {"generation", "generation", COUNT},
    {"version", "version", TEXT},
    {"up since", "uptime_ms", MS},
    {"workers up", "workers_up", COUNT},
    {"workers known", "workers_known", COUNT},
    {"workers wanted", "workers_wanted", COUNT},
    {"shards", "shards_total", COUNT},
    {"shards unavailable", "shards_unavailable", COUNT},
    {"moves active", "moves_active", COUNT},
    {"reads", "reads_per_second", RATE},
    {"writes", "writes_per_second", RATE},
    {"queued jobs", "queued_jobs", COUNT},
    {"queued", "queued_bytes", BYTES},
    {"queue limit", "queue_limit_bytes", BYTES},
    {"oldest job", "oldest_job_age_ms", MS},
    {"in flight", "in_flight_jobs", COUNT},
    {"queue wait p50", "queue_wait_p50_us", US},
    {"queue wait p99", "queue_wait_p99_us", US},
    {"commit p50", "commit_p50_us", US},
    {"commit p99", "commit_p99_us", US},
    {"end to end p50", "end_to_end_p50_us", US},
    {"end to end p99", "end_to_end_p99_us", US},
    {"accepted jobs", "accepted_jobs", COUNT},
    {"  done", "done_jobs", COUNT},
    {"  failed", "failed_jobs", COUNT},
    {"  expired", "expired_jobs", COUNT},
    {"  dead", "dead_jobs", COUNT},
    {"  given back", "given_back_jobs", COUNT},
    {"ledger balanced", "ledger_balanced", YES_NO},
    {"refused jobs", "refused_jobs", COUNT},
    {"duplicate jobs", "duplicate_jobs", COUNT},
    {"dead letters kept", "dead_kept", COUNT},
    {"load, max over mean", "max_over_mean_load", RATIO},
    {"bytes, max over mean", "max_over_mean_bytes", RATIO},
};

static const struct column worker_columns[] = {
    {"NAME", "name", TEXT},
    {"STATE", "state", TEXT},
    {"SHARDS", "shards", COUNT},
    {"KEYS", "stored_keys", COUNT},
    {"STORED", "stored_bytes", BYTES},
    {"LOAD", "load_ratio", RATIO},
    {"BUSY", "busy_ratio", RATIO},
    {"READS", "reads_per_second", RATE},
    {"WRITES", "writes_per_second", RATE},
    {"QUEUED", "queued_jobs", COUNT},
    {"IN FLIGHT", "in_flight_jobs", COUNT},
    {"COMMIT P99", "commit_p99_us", US},
    {"DISK FREE", "disk_free_bytes", BYTES},
    {"HEARD", "heartbeat_age_ms", MS},
    {"ADDRESS", "address", TEXT},
    {"ALARM", "alarm", TEXT},
};

static const struct column shard_columns[] = {
    {"SHARD", "shard", COUNT},         {"WORKER", "worker", TEXT},          {"TARGET", "target_worker", TEXT},
    {"STATE", "state", TEXT},          {"EPOCH", "epoch", COUNT},           {"POSITION", "position", COUNT},
    {"QUEUED", "queued_jobs", COUNT},  {"OLDEST", "oldest_job_age_ms", MS}, {"IN FLIGHT", "in_flight_jobs", COUNT},
    {"STORED", "stored_bytes", BYTES}, {"LOAD", "load_ratio", RATIO},
};

static const struct column move_columns[] = {
    {"MOVE", "move", COUNT},
    {"SHARD", "shard", COUNT},
    {"SOURCE", "source", TEXT},
    {"TARGET", "target", TEXT},
    {"REASON", "reason", TEXT},
    {"PHASE", "phase", TEXT},
    {"COPIED", "copied_bytes", BYTES},
    {"OF", "total_bytes", BYTES},
    {"A SECOND", "bytes_per_second", BYTES},
    {"LEFT", "eta_ms", MS},
    {"LONGEST HOLD", "max_write_wait_us", US},
    {"RESTARTS", "restarts", COUNT},
    {"ERROR", "error", TEXT},
};

static const struct column alarm_columns[] = {
    {"ALARM", "code", TEXT}, {"WORKER", "worker", TEXT}, {"SHARD", "shard", COUNT}, {"TEXT", "text", TEXT}};

static const struct column check_columns[] = {
    {"shards checked", "shards_checked", COUNT},
    {"rows", "rows", COUNT},
    {"mismatches", "mismatches", COUNT},
    {"rows awaiting deletion", "rows_awaiting_deletion", COUNT},
    {"foreign rows", "foreign_rows", COUNT},
    {"shards changed", "shards_changed", COUNT},
    {"shards unavailable", "shards_unavailable", COUNT},
};

static const struct column detail_columns[] = {{"WORKER", "worker", TEXT}, {"SHARD", "shard", COUNT}, {"TEXT", "text", TEXT}};

static const struct column line_columns[] = {
    {"writes", "writes_per_second", RATE},  {"reads", "reads_per_second", RATE},
    {"queued", "queued_jobs", COUNT},       {"oldest", "oldest_job_age_ms", MS},
    {"in flight", "in_flight_jobs", COUNT}, {"end to end p99", "end_to_end_p99_us", US},
    {"workers", "workers_up", COUNT},       {"unavailable", "shards_unavailable", COUNT},
};

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static void append(struct ek_buffer *out, const char *text)
{
    ek_buffer_append(out, text, strlen(text));
}

static void pad(struct ek_buffer *out, size_t width)
{
    while (width--)
        ek_buffer_append(out, " ", 1);
}

/* One cell as text; unknown is a dash. */
static void format(char cell[CELL_BYTES], const json_t *value, enum unit unit)
{
    char figure[EK_FIGURE_BYTES];
    double number = json_number_value(value);
    if (json_is_string(value) || (unit == TEXT && !json_is_number(value))) {
        (void)snprintf(cell, CELL_BYTES, "%.100s", json_is_string(value) ? json_string_value(value) : "-");
        for (char *at = cell; *at; at++)
            if ((unsigned char)*at < 0x20)
                *at = ' ';
        return;
    }
    const char *text = "-";
    if (json_is_boolean(value)) {
        text = json_is_true(value) ? "yes" : "no";
    } else if (json_is_number(value)) {
        switch (unit) {
        case BYTES:
            text = ek_figure_bytes(figure, number);
            break;
        case MS:
            text = ek_figure_us(figure, number * 1e3);
            break;
        case US:
            text = ek_figure_us(figure, number);
            break;
        case RATIO:
            (void)snprintf(figure, sizeof figure, "%.2f", number);
            text = figure;
            break;
        case RATE:
            (void)snprintf(cell, CELL_BYTES, "%s/s", ek_figure_count(figure, number));
            return;
        default:
            text = ek_figure_count(figure, number);
            break;
        }
    }
    (void)snprintf(cell, CELL_BYTES, "%s", text);
}

static void append_row(struct ek_buffer *out, const json_t *row, const struct column *columns, size_t count, const size_t *widths)
{
    char cell[CELL_BYTES];
    for (size_t i = 0; i < count; i++) {
        if (row)
            format(cell, json_object_get(row, columns[i].member), columns[i].unit);
        else
            (void)snprintf(cell, sizeof cell, "%s", columns[i].title);
        size_t size = strlen(cell);
        size_t space = widths[i] > size ? widths[i] - size : 0;
        bool right = columns[i].unit != TEXT;
        pad(out, right ? space : 0);
        append(out, cell);
        if (i + 1 < count)
            pad(out, (right ? 0 : space) + GAP);
    }
    append(out, "\n");
}

static void append_table(struct ek_buffer *out, const json_t *rows, const struct column *columns, size_t count)
{
    size_t widths[COLUMNS_MAX] = {0};
    char cell[CELL_BYTES];
    for (size_t i = 0; i < count; i++) {
        widths[i] = strlen(columns[i].title);
        for (size_t row = 0; row < json_array_size(rows); row++) {
            format(cell, json_object_get(json_array_get(rows, row), columns[i].member), columns[i].unit);
            widths[i] = strlen(cell) > widths[i] ? strlen(cell) : widths[i];
        }
    }
    append_row(out, NULL, columns, count, widths);
    for (size_t row = 0; row < json_array_size(rows); row++)
        append_row(out, json_array_get(rows, row), columns, count, widths);
}

static void append_list(struct ek_buffer *out, const json_t *object, const struct column *columns, size_t count)
{
    char cell[CELL_BYTES];
    for (size_t i = 0; i < count; i++) {
        format(cell, json_object_get(object, columns[i].member), columns[i].unit);
        append(out, columns[i].title);
        pad(out, TITLE_WIDTH - strlen(columns[i].title));
        append(out, cell);
        append(out, "\n");
    }
}

static void append_stats(struct ek_buffer *out, const json_t *stats)
{
    append_list(out, stats, stats_columns, COUNT_OF(stats_columns));
    const json_t *alarms = json_object_get(stats, "alarms");
    if (json_array_size(alarms)) {
        append(out, "\n");
        append_table(out, alarms, alarm_columns, COUNT_OF(alarm_columns));
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
    char cell[CELL_BYTES];
    json_t *stats = load(json);
    for (size_t i = 0; stats && i < COUNT_OF(line_columns); i++) {
        format(cell, json_object_get(stats, line_columns[i].member), line_columns[i].unit);
        append(out, i ? ", " : "");
        append(out, line_columns[i].title);
        append(out, " ");
        append(out, cell);
    }
    if (stats)
        append(out, "\n");
    json_decref(stats);
    return stats != NULL;
}

static bool view_table(struct ek_buffer *out, struct ek_slice json, const char *member, const struct column *columns, size_t count)
{
    json_t *all = load(json);
    const json_t *rows = json_object_get(all, member);
    bool understood = json_is_array(rows);
    if (understood)
        append_table(out, rows, columns, count);
    json_decref(all);
    return understood;
}

bool ek_view_workers(struct ek_buffer *out, struct ek_slice json)
{
    return view_table(out, json, "workers", worker_columns, COUNT_OF(worker_columns));
}

bool ek_view_shards(struct ek_buffer *out, struct ek_slice json)
{
    return view_table(out, json, "shards", shard_columns, COUNT_OF(shard_columns));
}

bool ek_view_moves(struct ek_buffer *out, struct ek_slice json, bool *ret_open)
{
    json_t *all = load(json);
    const json_t *rows = json_object_get(all, "moves");
    bool understood = json_is_array(rows);
    *ret_open = false;
    for (size_t i = 0; i < json_array_size(rows); i++)
        *ret_open |= json_is_null(json_object_get(json_array_get(rows, i), "ended_unix_ms"));
    if (json_array_size(rows))
        append_table(out, rows, move_columns, COUNT_OF(move_columns));
    else if (understood)
        append(out, "no moves\n");
    json_decref(all);
    return understood;
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
        append_list(out, check, check_columns, COUNT_OF(check_columns));
        *ret_error = ok ? NULL : ek_copy_text(json_is_string(error) ? json_string_value(error) : "the broker does not say why");
    }
    if (json_array_size(details)) {
        append(out, "\n");
        append_table(out, details, detail_columns, COUNT_OF(detail_columns));
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
        append(out, "\n");
        append_table(out, workers, worker_columns, COUNT_OF(worker_columns));
    }
    if (json_is_array(shards)) {
        append(out, "\n");
        append_table(out, shards, shard_columns, COUNT_OF(shard_columns));
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
