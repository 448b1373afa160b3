/* export: the whole store as a dump (dump.h). Not a snapshot: rows that are written meanwhile may or may not be in it. */
#include "client/cli/answer.h"
#include "client/cli/cli.h"
#include "client/cli/connect.h"
#include "client/cli/dump.h"
#include "client/cli/errand.h"
#include "common/json.h"
#include "client/cli/output.h"
#include "client/cli/progress.h"
#include "common/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct export
{
    const struct ek_cli *cli;
    struct ek_client *client;
    FILE *file;
    struct ek_buffer text;   /* lines of one page */
    struct ek_buffer cursor; /* empty: from the start, or the end is reached */
    uint64_t rows;
    bool answered;
    enum ek_outcome outcome;
    struct ek_error error;
    struct ek_progress progress;
};

static void write_row(struct export *export, const struct ek_found *row, uint64_t now_ms)
{
    struct ek_buffer *out = &export->text;
    ek_json_open(out, NULL, '{');
    ek_json_bytes(out, "key", ek_slice_of(row->key, row->key_size));
    ek_json_bytes(out, "value", ek_slice_of(row->value, row->value_size));
    if (row->has_ttl)
        ek_json_uint(out, "expires_unix_ms", now_ms + row->ttl_ms);
    ek_json_close(out, '{');
    ek_buffer_append(out, "\n", 1);
}

static void take_page(void *context, const struct ek_completion *page, size_t count)
{
    struct export *export = context;
    (void)count;
    export->answered = true;
    export->outcome = page->outcome;
    ek_buffer_clear(&export->cursor);
    if (page->outcome) {
        ek_explain(export->cli, page->outcome, page->text, &export->error);
        return;
    }
    uint64_t now_ms = ek_clock_unix_ms();
    for (size_t i = 0; i < page->found_count; i++)
        write_row(export, &page->found[i], now_ms);
    export->rows += page->found_count;
    if (page->cursor)
        ek_buffer_append(&export->cursor, page->cursor, page->cursor_size);
}

static bool write_text(struct export *export)
{
    struct ek_slice text = ek_buffer_slice(&export->text);
    bool written = text.size == 0 || fwrite(text.data, 1, text.size, export->file) == text.size;
    ek_buffer_clear(&export->text);
    if (written)
        return true;
    export->outcome = EK_OUTCOME_FAILED;
    (void)snprintf(export->error.text, sizeof export->error.text, "cannot write the dump: %s", strerror(errno));
    return false;
}

static void read_page(struct export *export)
{
    struct ek_request request = {.kind = EK_SCAN, .key = "", .values = true};
    if (export->cursor.size) {
        request.cursor = export->cursor.data;
        request.cursor_size = export->cursor.size;
    }
    export->answered = false;
    enum ek_outcome outcome = ek_submit_patiently(export->client, &request, ek_cli_long_timeout(export->cli), take_page, export);
    if (outcome)
        take_page(export, &(struct ek_completion){.outcome = outcome, .text = ek_why_not_taken(outcome)}, 1);
    while (!export->answered)
        (void)ek_client_poll(export->client, -1);
}

/* The outcome, and its text, are in `export`. */
static void write_all(struct export *export)
{
    struct ek_buffer *out = &export->text;
    ek_json_open(out, NULL, '{');
    ek_json_uint(out, EK_DUMP_MARK, EK_DUMP_VERSION);
    ek_json_uint(out, "exported_unix_ms", ek_clock_unix_ms());
    ek_json_close(out, '{');
    ek_buffer_append(out, "\n", 1);
    do {
        read_page(export);
        if (export->outcome || !write_text(export))
            return;
        ek_progress_show(&export->progress, 0, export->rows, "rows");
    } while (export->cursor.size);
    ek_json_open(out, NULL, '{');
    ek_json_uint(out, EK_DUMP_ROWS, export->rows);
    ek_json_close(out, '{');
    ek_buffer_append(out, "\n", 1);
    (void)write_text(export);
}

/* A pipe, a device, a file of /dev/fd: it is written to, while a file is replaced. */
static bool is_special(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

static char *path_beside(const char *path)
{
    size_t size = strlen(path) + sizeof ".tmp";
    char *beside = ek_alloc(size);
    (void)snprintf(beside, size, "%s.tmp", path);
    return beside;
}

/* Writes to `path`, then gives it the name `target`, unless that is NULL. */
static void write_to(struct export *export, const char *path, const char *target)
{
    export->file = fopen(path, "we");
    if (!export->file) {
        export->outcome = EK_OUTCOME_USAGE;
        (void)snprintf(export->error.text, sizeof export->error.text, "cannot create %.300s: %s", path, strerror(errno));
        return;
    }
    write_all(export);
    bool synced = fflush(export->file) == 0 && (!target || fsync(fileno(export->file)) == 0);
    bool kept = fclose(export->file) == 0 && synced && (!target || export->outcome || rename(path, target) == 0);
    if (!kept && !export->outcome)
        export->outcome = EK_OUTCOME_FAILED;
    if (!kept)
        (void)snprintf(export->error.text, sizeof export->error.text, "cannot write %.300s: %s", target ? target : path,
                       strerror(errno));
    if (target && export->outcome)
        (void)unlink(path);
}

/* Beside the file first, so that there never is half a dump under its name. A link stays, and what it names is replaced. */
static void write_file(struct export *export, const char *path)
{
    if (is_special(path)) {
        write_to(export, path, NULL);
        return;
    }
    char *linked = realpath(path, NULL);
    const char *target = linked ? linked : path;
    char *beside = path_beside(target);
    write_to(export, beside, target);
    free(beside);
    free(linked);
}

static int answer(const struct export *export, bool to_stdout, uint64_t duration_ms)
{
    if (export->outcome)
        return ek_fail(export->cli, export->outcome, "%s", export->error.text);
    /* Standard output may be the dump itself. */
    FILE *to = to_stdout ? stderr : stdout;
    if (export->cli->json)
        (void)fprintf(to, "{\"status\":\"ok\",\"exported\":%llu,\"duration_ms\":%llu}\n", (unsigned long long)export->rows,
                      (unsigned long long)duration_ms);
    else
        (void)fprintf(to, "%llu rows exported in %.3f s\n", (unsigned long long)export->rows, (double)duration_ms / 1e3);
    return ek_output_end(0);
}

static int run_export(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    struct export export = {.cli = cli};
    bool to_stdout = strcmp(words[0], "-") == 0;
    (void)options, (void)count;
    enum ek_outcome outcome = ek_connect(cli, NULL, &export.client);
    if (outcome)
        return ek_exit_code(outcome);
    uint64_t started_us = ek_clock_monotonic_us();
    ek_progress_init(&export.progress, 0);
    int code;
    outcome = ek_connect_await(cli, export.client);
    if (outcome) {
        code = ek_fail_outcome(cli, outcome, ek_client_error(export.client));
    } else {
        export.file = stdout;
        if (to_stdout)
            write_all(&export);
        else
            write_file(&export, words[0]);
        ek_progress_clear(&export.progress);
        code = answer(&export, to_stdout, (ek_clock_monotonic_us() - started_us) / 1000);
    }
    ek_client_close(&export.client);
    ek_buffer_done(&export.text);
    ek_buffer_done(&export.cursor);
    return code;
}

const struct ek_command ek_command_export = {
    .name = "export",
    .synopsis = "FILE|-",
    .summary = "the whole store as a dump that import reads back",
    .details =
        "Binary keys and values and expiry are kept, versions are not. Rows that change during the export may be in it as they\n"
        "were before or after. The file appears only when it is whole; pipes and devices are written as they are.",
    .words_min = 1,
    .words_max = 1,
    .run = run_export,
};
