/* What the planner thinks, and what it was told, as people read them. */
#include "client/cli/columns.h"
#include "client/cli/view.h"

#include <stdio.h>
#include <string.h>

static const struct ek_column entry_columns[] = {
    {"SHARD", "shard", EK_AS_COUNT},
    {"SOURCE", "source", EK_AS_TEXT},
    {"TARGET", "target", EK_AS_TEXT},
    {"REASON", "reason", EK_AS_TEXT},
    {"BYTES", "bytes", EK_AS_BYTES},
    {"BY", "resource", EK_AS_TEXT},
    {"SOURCE'S LOAD", "source_loads", EK_AS_TEXT},
    {"TARGET'S LOAD", "target_loads", EK_AS_TEXT},
    {"WHAT FOR", "words", EK_AS_TEXT},
};

static const struct ek_column load_columns[] = {
    {"WORKER", "worker", EK_AS_TEXT},        {"BUSY", "busy", EK_AS_TEXT},   {"WRITES", "writes", EK_AS_TEXT},
    {"NETWORK", "network", EK_AS_TEXT},      {"BYTES", "bytes", EK_AS_TEXT}, {"NOISE", "noise", EK_AS_RATIO},
    {"HOT SHARD", "hot_shard", EK_AS_COUNT},
};

static json_t *load(struct ek_slice json)
{
    return json_loadb((const char *)json.data, json.size, 0, NULL);
}

static const char *text_of(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

static double number_of(const json_t *object, const char *member)
{
    return json_number_value(json_object_get(object, member));
}

/* ---- moves ---- */

/* "1.30 -> 1.10"; drains and repairs have no such figures. */
static void set_loads(json_t *entry, const char *side)
{
    char before[64];
    char after[64];
    char name[64];
    char text[64];
    (void)snprintf(before, sizeof before, "%s_load_before", side);
    (void)snprintf(after, sizeof after, "%s_load_after", side);
    (void)snprintf(name, sizeof name, "%s_loads", side);
    double from = number_of(entry, before);
    double to = number_of(entry, after);
    if (from == 0 && to == 0)
        return;
    (void)snprintf(text, sizeof text, "%.2f -> %.2f", from, to);
    (void)json_object_set_new(entry, name, json_string(text));
}

static const char *purpose_of(const json_t *entry)
{
    static const struct {
        const char *reason;
        const char *words;
    } all[] = {{"repair", "nobody holds it"},
               {"drain", "its worker is to end empty"},
               {"full_disk", "its worker's disk is full"},
               {"balance", "its worker carries more than its share"},
               {"exchange", "goes together with others the other way"}};
    const char *reason = text_of(entry, "reason");
    for (size_t i = 0; reason && i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].reason, reason) == 0)
            return all[i].words;
    return "";
}

static void append_entries(struct ek_buffer *out, const json_t *entries, const char *title, const char *last_column, bool held)
{
    struct ek_column columns[EK_COLUMN_COUNT(entry_columns)];
    size_t count = json_array_size(entries);
    if (count == 0)
        return;
    memcpy(columns, entry_columns, sizeof columns);
    columns[EK_COLUMN_COUNT(columns) - 1].title = last_column;
    for (size_t i = 0; i < count; i++) {
        json_t *entry = json_array_get(entries, i);
        bool waived = json_is_true(json_object_get(entry, "cooldown_waived"));
        const char *rule = text_of(entry, "held_back_by");
        char words[EK_CELL_BYTES];
        (void)snprintf(words, sizeof words, "%.120s%s", held ? (rule ? rule : "") : purpose_of(entry),
                       waived ? "; its cooldown is waived" : "");
        (void)json_object_set_new(entry, "words", json_string(words));
        set_loads(entry, "source");
        set_loads(entry, "target");
    }
    ek_append_text(out, "\n%s\n", title);
    ek_columns(out, entries, columns, EK_COLUMN_COUNT(columns));
}

/* ---- workers ---- */

static void append_loads(struct ek_buffer *out, const json_t *workers)
{
    static const char *const resources[] = {"busy", "writes", "network", "bytes"};
    if (json_array_size(workers) == 0)
        return;
    for (size_t i = 0; i < json_array_size(workers); i++) {
        json_t *worker = json_array_get(workers, i);
        for (size_t r = 0; r < sizeof resources / sizeof *resources; r++) {
            char name[64];
            char text[64];
            (void)snprintf(name, sizeof name, "%s_utilisation", resources[r]);
            double utilisation = number_of(worker, name);
            (void)snprintf(name, sizeof name, "%s_load_ratio", resources[r]);
            (void)snprintf(text, sizeof text, "%.2f (%.1f %%)", number_of(worker, name), 100 * utilisation);
            (void)json_object_set_new(worker, resources[r], json_string(text));
        }
    }
    ek_append_text(out, "\nwhat each worker carries, of the mean (and of what it can carry):\n");
    ek_columns(out, workers, load_columns, EK_COLUMN_COUNT(load_columns));
}

/* ---- the state ---- */

static void append_state(struct ek_buffer *out, const json_t *plan)
{
    char age[EK_CELL_BYTES];
    char ratio[EK_CELL_BYTES];
    const char *switched = text_of(plan, "balance");
    const char *quiet = text_of(plan, "quiet_because");
    const json_t *resources = json_object_get(plan, "resources_balanced");
    ek_cell(age, json_object_get(plan, "age_ms"), EK_AS_MS);
    ek_cell(ratio, json_object_get(plan, "max_over_mean_load"), EK_AS_RATIO);
    if (switched && strcmp(switched, "off") == 0)
        ek_append_text(out, "balancing is off, drains and repairs go on");
    else if (json_is_true(json_object_get(plan, "balancing")))
        ek_append_text(out, "balancing%s", json_is_true(json_object_get(plan, "urgent")) ? ", urgently" : "");
    else
        ek_append_text(out, "quiet: %s", quiet ? quiet : "there is nothing to do");
    if (json_is_true(json_object_get(plan, "moves_paused")))
        ek_append_text(out, "; moves are paused");
    ek_append_text(out, "; load max over mean %s; balanced by ", ratio);
    for (size_t i = 0; i < json_array_size(resources); i++)
        ek_append_text(out, "%s%s", i ? ", " : "", json_string_value(json_array_get(resources, i)));
    ek_append_text(out, "%s; workers wanted %.0f; moves under way %.0f; planned %s ago\n",
                   json_array_size(resources) ? "" : "nothing", number_of(plan, "workers_wanted"), number_of(plan, "moves_active"),
                   age);
}

bool ek_view_plan(struct ek_buffer *out, struct ek_slice json)
{
    char title[64];
    json_t *plan = load(json);
    const json_t *moves = json_object_get(plan, "moves");
    const json_t *held = json_object_get(plan, "held");
    const json_t *workers = json_object_get(plan, "workers");
    bool understood = json_is_array(moves) && json_is_array(held) && json_is_array(workers);
    if (understood && number_of(plan, "round") == 0)
        ek_append_text(out, "nothing was planned yet: the broker or its workers have just started\n");
    else if (understood) {
        (void)snprintf(title, sizeof title, "would move now (%zu of %.0f):", json_array_size(moves),
                       number_of(plan, "moves_planned"));
        append_state(out, plan);
        append_entries(out, moves, title, "WHAT FOR", false);
        append_entries(out, held, "held back:", "HELD BACK BECAUSE", true);
        append_loads(out, workers);
    }
    json_decref(plan);
    return understood;
}

/* ---- settings ---- */

bool ek_view_settings(struct ek_buffer *out, struct ek_slice json)
{
    char limit[EK_CELL_BYTES];
    json_t *settings = load(json);
    const char *balance = text_of(settings, "balance");
    bool paused = json_is_true(json_object_get(settings, "moves_paused"));
    const json_t *bytes = json_object_get(settings, "copy_limit_bytes_per_second");
    double active = number_of(settings, "moves_active");
    double open = number_of(settings, "moves_open");
    bool understood = balance != NULL;
    ek_cell(limit, bytes, EK_AS_BYTE_RATE);
    if (understood)
        ek_append_text(out,
                       "balancing   %s\n"
                       "moves       %s; %.0f under way, %.0f waiting or ending\n"
                       "copy limit  %s\n",
                       strcmp(balance, "off") == 0 ? "off: only drains and repairs move shards" : "on",
                       paused ? "paused: none begins" : "begin as planned or asked for", active, open > active ? open - active : 0,
                       json_is_number(bytes) ? limit : "none, but what the planner grants");
    json_decref(settings);
    return understood;
}
