/* import: records from a file into the store. The formats are in import_json.c and import_csv.c. */
#include "client/cli/import.h"

#include "client/cli/connect.h"
#include "client/cli/errand.h"
#include "common/json.h"
#include "client/cli/output.h"
#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { POLL_EVERY = 128 };

struct ek_import_slot {
    struct ek_import *import;
    struct ek_import_slot *next; /* when unused */
    uint64_t line;
    size_t bytes;
};

enum format { NDJSON, CSV, DUMP };

struct import_options {
    uint64_t format;
    const char *key;
    const char *template;
    const char *separator;
    uint64_t errors_max;
};
static const struct import_options defaults = {.format = NDJSON, .separator = ","};

static const struct ek_option options_table[] = {
    {"format", EK_OPTION_CHOICE, offsetof(struct import_options, format), 0, 0, "ndjson|csv|dump", "of the file (default ndjson)"},
    {"key", EK_OPTION_TEXT, offsetof(struct import_options, key), 0, 0, "FIELD", "the field that is the key"},
    {"template", EK_OPTION_TEXT, offsetof(struct import_options, template), 0, 0, "T",
     "the key made of fields: 'product:{Package}'"},
    {"separator", EK_OPTION_TEXT, offsetof(struct import_options, separator), 0, 0, "C",
     "csv: between columns (default ,); \\t = tab"},
    {"max-errors", EK_OPTION_NUMBER, offsetof(struct import_options, errors_max), 0, UINT64_MAX, "N",
     "go on until there are more errors than this (default 0)"},
    {.name = NULL},
};

bool ek_import_reject(struct ek_import *import, uint64_t line, enum ek_outcome outcome, const char *text)
{
    if (import->errors++ == 0) {
        (void)snprintf(import->first_error.text, sizeof import->first_error.text, "line %llu: %.400s", (unsigned long long)line,
                       text);
        import->first_outcome = outcome;
    }
    import->stopped = import->stopped || import->errors > import->errors_max;
    ek_progress_clear(&import->progress);
    (void)fprintf(stderr, "%s:%llu: %s\n", import->path, (unsigned long long)line, text);
    return !import->stopped;
}

static void complete(void *context, const struct ek_completion *completions, size_t count)
{
    struct ek_import_slot *slot = context;
    struct ek_import *import = slot->import;
    (void)count;
    import->under_way--;
    import->bytes_under_way -= slot->bytes;
    slot->next = import->unused;
    import->unused = slot;
    if (completions[0].outcome == EK_OUTCOME_OK) {
        import->imported++;
        return;
    }
    struct ek_error error;
    ek_explain(import->cli, completions[0].outcome, completions[0].text, &error);
    (void)ek_import_reject(import, slot->line, completions[0].outcome, error.text);
}

static void wait_for_room(struct ek_import *import, size_t bytes)
{
    while (import->under_way && (!import->unused || import->bytes_under_way + bytes > EK_IMPORT_BYTES_MAX)) {
        (void)ek_client_poll(import->client, -1);
        ek_progress_show(&import->progress, import->lines.consumed, import->imported, "records");
    }
}

bool ek_import_record(struct ek_import *import, uint64_t line, struct ek_slice key, struct ek_slice value, uint64_t ttl_ms)
{
    struct ek_request request = {.kind = EK_PUT, .key = key.data, .key_size = key.size, .put.ttl_ms = ttl_ms};
    request.value = value.size ? (const void *)value.data : "";
    request.value_size = value.size;
    wait_for_room(import, key.size + value.size);
    if (import->stopped)
        return false;
    struct ek_import_slot *slot = import->unused;
    import->unused = slot->next;
    slot->line = line;
    slot->bytes = key.size + value.size;
    import->under_way++;
    import->bytes_under_way += slot->bytes;
    enum ek_outcome outcome = ek_submit_patiently(import->client, &request, import->timeout_ms, complete, slot);
    if (outcome)
        complete(slot, &(struct ek_completion){.outcome = outcome, .text = ek_why_not_taken(outcome)}, 1);
    if (line % POLL_EVERY == 0) {
        (void)ek_client_poll(import->client, 0);
        ek_progress_show(&import->progress, import->lines.consumed, import->imported, "records");
    }
    return !import->stopped;
}

static int answer(struct ek_import *import, enum ek_outcome outcome, const char *text, uint64_t duration_ms)
{
    if (!import->cli->json) {
        char imported[EK_FIGURE_BYTES];
        char errors[EK_FIGURE_BYTES];
        (void)printf("%s imported, %s errors, in %.3f s\n", ek_figure_count(imported, (double)import->imported),
                     ek_figure_count(errors, (double)import->errors), (double)duration_ms / 1e3);
        if (import->expired)
            (void)printf("%s left out: they have expired\n", ek_figure_count(imported, (double)import->expired));
        return outcome ? ek_fail(import->cli, outcome, "the import stopped: %s", text) : ek_output_end(0);
    }
    struct ek_buffer out = {0};
    ek_json_open(&out, NULL, '{');
    ek_json_text(&out, "status", ek_outcome_name(outcome));
    if (outcome)
        ek_json_text(&out, "error", text);
    ek_json_uint(&out, "imported", import->imported);
    ek_json_uint(&out, "errors", import->errors);
    ek_json_uint(&out, "expired", import->expired);
    ek_json_uint(&out, "duration_ms", duration_ms);
    ek_json_close(&out, '{');
    ek_buffer_append(&out, "\n", 1);
    ek_output_write(ek_buffer_slice(&out));
    ek_buffer_done(&out);
    return ek_output_end(ek_exit_code(outcome));
}

static int import_all(struct ek_import *import, enum format format)
{
    static enum ek_status (*const formats[])(struct ek_import *, struct ek_error *) = {
        [NDJSON] = ek_import_ndjson, [CSV] = ek_import_csv, [DUMP] = ek_import_dump};
    struct ek_error error;
    struct stat file;
    bool sized = fstat(import->lines.fd, &file) == 0 && S_ISREG(file.st_mode);
    ek_progress_init(&import->progress, sized ? (uint64_t)file.st_size : 0);
    import->slots = ek_alloc_zero(EK_IMPORT_RECORDS_MAX, sizeof *import->slots);
    for (size_t i = 0; i < EK_IMPORT_RECORDS_MAX; i++) {
        import->slots[i] = (struct ek_import_slot){.import = import, .next = import->unused};
        import->unused = &import->slots[i];
    }
    uint64_t started_us = ek_clock_monotonic_us();
    enum ek_status status = formats[format](import, &error);
    while (import->under_way) {
        (void)ek_client_poll(import->client, -1);
        ek_progress_show(&import->progress, import->lines.consumed, import->imported, "records");
    }
    ek_progress_clear(&import->progress);
    uint64_t duration_ms = (ek_clock_monotonic_us() - started_us) / 1000;
    if (import->stopped)
        return answer(import, import->first_outcome, import->first_error.text, duration_ms);
    return answer(import, ek_outcome_of(status), error.text, duration_ms);
}

/* What the options say, or an exit code. */
static int take_options(const struct ek_cli *cli, const struct import_options *options, struct ek_import *import)
{
    struct ek_error error;
    bool tab = strcmp(options->separator, "\\t") == 0 || strcmp(options->separator, "tab") == 0;
    import->separator = options->separator[0];
    if (tab)
        import->separator = '\t';
    if (!tab && (strlen(options->separator) != 1 || strchr("\"\r\n", import->separator)))
        return ek_fail(cli, EK_OUTCOME_USAGE, "--separator takes one character, such as `;` or `\\t`, not `%.40s`",
                       options->separator);
    if (options->format == DUMP && (options->key || options->template))
        return ek_fail(cli, EK_OUTCOME_USAGE, "a dump holds its keys: leave --key and --template out");
    if (options->format != DUMP && !options->key && !options->template)
        return ek_fail(cli, EK_OUTCOME_USAGE,
                       "which field is the key? name it with --key FIELD, or make it with --template 'user:{id}'");
    if (options->template) {
        enum ek_status status = ek_template_parse(options->template, &import->key, &error);
        return status ? ek_fail(cli, ek_outcome_of(status), "%s", error.text) : 0;
    }
    if (options->key)
        ek_template_of_field(options->key, &import->key);
    return 0;
}

static int open_and_import(const struct ek_cli *cli, struct ek_import *import, enum format format)
{
    /* The text of a dump may be six times the value, when every byte is written as \u00xx. */
    size_t line_bytes_max = format == DUMP ? 6u * (EK_VALUE_BYTES_MAX + EK_KEY_BYTES_MAX) + EK_KIB : EK_VALUE_BYTES_MAX;
    struct ek_error error;
    enum ek_status status = ek_lines_open(&import->lines, import->path, line_bytes_max, &error);
    if (status)
        return ek_fail(cli, ek_outcome_of(status), "%s", error.text);
    enum ek_outcome outcome = ek_connect(cli, NULL, &import->client);
    if (outcome)
        return ek_exit_code(outcome);
    outcome = ek_connect_await(cli, import->client);
    if (outcome)
        return ek_fail_outcome(cli, outcome, ek_client_error(import->client));
    return import_all(import, format);
}

static int run_import(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    const struct import_options *given = options;
    struct ek_import import = {.cli = cli, .path = words[0], .lines.fd = -1, .errors_max = given->errors_max};
    (void)count;
    import.timeout_ms = ek_cli_long_timeout(cli);
    int code = take_options(cli, given, &import);
    if (!code)
        code = open_and_import(cli, &import, (enum format)given->format);
    ek_client_close(&import.client);
    ek_template_done(&import.key);
    ek_lines_done(&import.lines);
    free(import.slots);
    return code;
}

const struct ek_command ek_command_import = {
    .name = "import",
    .synopsis = "FILE|-",
    .summary = "records from a file of JSON lines, CSV or a dump",
    .details =
        "ndjson: the bytes of each line become the value. csv: the first row names the columns, and the value is a JSON object\n"
        "of the row. In a template {field} stands for a field, {{ and }} for braces: 'order:{{{user}}}/{id}' puts all orders of\n"
        "a user on one hash tag. dump: what `evenkeel export` wrote.",
    .words_min = 1,
    .words_max = 1,
    .options = options_table,
    .defaults = &defaults,
    .options_size = sizeof defaults,
    .run = run_import,
};
