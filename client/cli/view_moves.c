/* Moves, and how far a drain is, as people read them. */
#include "client/cli/columns.h"
#include "client/cli/progress.h"
#include "client/cli/view.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS_BESIDES = 4 }; /* on a screen: the line above, an empty one, the titles, and the cursor's */

static const struct ek_column move_columns[] = {
    {"MOVE", "move", EK_AS_COUNT},
    {"SHARD", "shard", EK_AS_COUNT},
    {"SOURCE", "source", EK_AS_TEXT},
    {"TARGET", "target", EK_AS_TEXT},
    {"REASON", "reason", EK_AS_TEXT},
    {"PHASE", "phase", EK_AS_TEXT},
    {"PROGRESS", "progress", EK_AS_TEXT}, /* a bar, on a terminal */
    {"COPIED", "copied_bytes", EK_AS_BYTES},
    {"OF", "total_bytes", EK_AS_BYTES},
    {"RATE", "bytes_per_second", EK_AS_BYTE_RATE},
    {"LEFT", "eta_ms", EK_AS_MS},
    {"LONGEST HOLD", "max_write_wait_us", EK_AS_US},
    {"RESTARTS", "restarts", EK_AS_COUNT},
    {"ERROR", "error", EK_AS_TEXT},
};
enum { BAR_COLUMN = 6 };

/* What becomes of a move, as far as it matters for the order of rows. */
enum stage { ACTIVE, QUEUED, OVER, STAGES };

static const char *phase_of(const json_t *move)
{
    const char *phase = json_string_value(json_object_get(move, "phase"));
    return phase ? phase : "";
}

/* In `cleaning` the shard has its new owner: nobody waits for the rest. */
static enum stage stage_of(const json_t *move)
{
    const char *phase = phase_of(move);
    if (strcmp(phase, "queued") == 0)
        return QUEUED;
    bool ended = json_is_number(json_object_get(move, "ended_unix_ms"));
    return ended || strcmp(phase, "cleaning") == 0 ? OVER : ACTIVE;
}

/* ---- order ---- */

struct row {
    json_t *move;
    enum stage stage;
    json_int_t ended_unix_ms; /* OVER */
    json_int_t number;
};

static int by_need(const void *a, const void *b)
{
    const struct row *one = a;
    const struct row *other = b;
    if (one->stage != other->stage)
        return one->stage < other->stage ? -1 : 1;
    if (one->ended_unix_ms != other->ended_unix_ms)
        return one->ended_unix_ms > other->ended_unix_ms ? -1 : 1;
    int rises = one->number < other->number ? -1 : 1;
    return one->stage == OVER ? -rises : rises;
}

static struct row *sorted(const json_t *moves, size_t counts[STAGES])
{
    size_t count = json_array_size(moves);
    struct row *rows = ek_alloc_zero(count + 1, sizeof *rows);
    for (size_t i = 0; i < count; i++) {
        json_t *move = json_array_get(moves, i);
        const json_t *ended = json_object_get(move, "ended_unix_ms");
        rows[i] = (struct row){.move = move, .stage = stage_of(move), .number = json_integer_value(json_object_get(move, "move"))};
        if (rows[i].stage == OVER)
            rows[i].ended_unix_ms = json_is_integer(ended) ? json_integer_value(ended) : INT64_MAX;
        counts[rows[i].stage]++;
    }
    qsort(rows, count, sizeof *rows, by_need);
    return rows;
}

/* On a screen of `room` rows the queue comes last, of which one row is like the other. */
static json_t *choose(const struct row *rows, const size_t counts[STAGES], size_t room)
{
    json_t *chosen = json_array();
    size_t total = counts[ACTIVE] + counts[QUEUED] + counts[OVER];
    for (size_t i = 0; i < total && i < room; i++) {
        size_t at = i;
        if (total > room && i >= counts[ACTIVE])
            at = i < counts[ACTIVE] + counts[OVER] ? i + counts[QUEUED] : i - counts[OVER];
        (void)json_array_append(chosen, rows[at].move);
    }
    return chosen;
}

/* ---- text ---- */

static void draw_bars(json_t *moves)
{
    for (size_t i = 0; i < json_array_size(moves); i++) {
        char bar[EK_BAR_BYTES];
        json_t *move = json_array_get(moves, i);
        double copied = json_number_value(json_object_get(move, "copied_bytes"));
        double total = json_number_value(json_object_get(move, "total_bytes"));
        if (stage_of(move) == QUEUED || strcmp(phase_of(move), "failed") == 0 || strcmp(phase_of(move), "cancelled") == 0)
            continue;
        bool copies = strcmp(phase_of(move), "copying") == 0;
        ek_bar(bar, copies ? (uint64_t)copied : 1, copies ? (uint64_t)total : 1);
        (void)json_object_set_new(move, "progress", json_string(bar));
    }
}

static void append_summary(struct ek_buffer *out, const json_t *moves, const size_t counts[STAGES], size_t shown)
{
    char rate[EK_CELL_BYTES];
    double bytes_per_second = 0;
    size_t total = json_array_size(moves);
    for (size_t i = 0; i < total; i++)
        bytes_per_second += json_number_value(json_object_get(json_array_get(moves, i), "bytes_per_second"));
    json_t *sum = json_real(bytes_per_second);
    ek_cell(rate, sum, EK_AS_BYTE_RATE);
    json_decref(sum);
    ek_append_text(out, "%zu under way at %s, %zu queued, %zu over", counts[ACTIVE], rate, counts[QUEUED], counts[OVER]);
    if (shown < total)
        ek_append_text(out, "; %zu are not shown", total - shown);
    ek_append_text(out, "\n\n");
}

/* From there on no line is longer than the screen, in characters. */
static void cut_lines(struct ek_buffer *out, size_t from, size_t columns)
{
    size_t to = from;
    size_t column = 0;
    for (size_t at = from; at < out->size; at++) {
        uint8_t byte = out->data[at];
        column += (byte & 0xc0) != 0x80;
        if (byte == '\n' || column <= columns)
            out->data[to++] = byte;
        if (byte == '\n')
            column = 0;
    }
    out->size = to;
}

static void append_moves(struct ek_buffer *out, const json_t *moves, const struct ek_screen *screen)
{
    size_t counts[STAGES] = {0};
    struct row *rows = sorted(moves, counts);
    size_t room = screen->rows == 0 ? SIZE_MAX : screen->rows > ROWS_BESIDES ? screen->rows - ROWS_BESIDES : 1;
    json_t *chosen = choose(rows, counts, room);
    struct ek_column columns[EK_COLUMN_COUNT(move_columns)];
    size_t count = EK_COLUMN_COUNT(move_columns);
    size_t start = out->size;
    memcpy(columns, move_columns, sizeof columns);
    if (screen->bars)
        draw_bars(chosen);
    else
        memmove(columns + BAR_COLUMN, columns + BAR_COLUMN + 1, (--count - BAR_COLUMN) * sizeof *columns);
    append_summary(out, moves, counts, json_array_size(chosen));
    ek_columns(out, chosen, columns, count);
    if (screen->columns)
        cut_lines(out, start, screen->columns);
    json_decref(chosen);
    free(rows);
}

bool ek_view_moves(struct ek_buffer *out, struct ek_slice json, const struct ek_screen *screen, bool *ret_open)
{
    json_t *all = json_loadb((const char *)json.data, json.size, 0, NULL);
    const json_t *moves = json_object_get(all, "moves");
    bool understood = json_is_array(moves);
    *ret_open = false;
    for (size_t i = 0; i < json_array_size(moves); i++)
        *ret_open |= json_is_null(json_object_get(json_array_get(moves, i), "ended_unix_ms"));
    if (json_array_size(moves))
        append_moves(out, moves, screen);
    else if (understood)
        ek_append_text(out, "no moves\n");
    json_decref(all);
    return understood;
}

static void append_draining(struct ek_buffer *out, const json_t *drain)
{
    char cell[EK_CELL_BYTES];
    const char *error = json_string_value(json_object_get(drain, "error"));
    const json_t *left = json_object_get(drain, "eta_ms");
    if (json_integer_value(json_object_get(drain, "shards_left")) == 0) {
        ek_append_text(out, "it holds no shard any more, and deletes what it gave away");
        return;
    }
    ek_cell(cell, json_object_get(drain, "bytes_left"), EK_AS_BYTES);
    ek_append_text(out, "%lld shards left, %s", (long long)json_integer_value(json_object_get(drain, "shards_left")), cell);
    ek_cell(cell, json_object_get(drain, "bytes_per_second"), EK_AS_BYTE_RATE);
    ek_append_text(out, ", %s", cell);
    ek_cell(cell, left, EK_AS_MS);
    if (json_is_number(left))
        ek_append_text(out, ", done in %s", cell);
    if (error)
        ek_append_text(out, "; it does not get on: %s", error);
}

bool ek_view_drain(struct ek_buffer *out, struct ek_slice json)
{
    json_t *drain = json_loadb((const char *)json.data, json.size, 0, NULL);
    const char *worker = json_string_value(json_object_get(drain, "worker"));
    const char *state = json_string_value(json_object_get(drain, "state"));
    bool understood = worker && state;
    if (understood)
        ek_append_text(out, "%.100s is ", worker);
    if (understood && strcmp(state, "draining") == 0) {
        ek_append_text(out, "draining: ");
        append_draining(out, drain);
    } else if (understood && strcmp(state, "drained") == 0) {
        ek_append_text(out, "drained and safe to stop; then: evenkeel forget ");
        ek_append_word(out, worker);
    } else if (understood)
        ek_append_text(out, "not being drained; it holds %lld shards",
                       (long long)json_integer_value(json_object_get(drain, "shards_left")));
    json_decref(drain);
    return understood;
}
