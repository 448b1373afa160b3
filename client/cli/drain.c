/* drain: a worker gives away what it holds, so that it can be stopped for good. */
#include "client/cli/cli.h"
#include "client/cli/output.h"
#include "client/cli/progress.h"
#include "client/cli/view.h"
#include "client/cli/wait.h"
#include "common/json.h"

#include <string.h>

enum { STATE_BYTES = 32, TEXT_BYTES = 256 };

struct drain_options {
    bool wait;
    bool cancel;
};

static const struct ek_option drain_table[] = {
    {"wait", EK_OPTION_SWITCH, offsetof(struct drain_options, wait), 0, 0, NULL,
     "until it is drained; once a second how far it is"},
    {"cancel", EK_OPTION_SWITCH, offsetof(struct drain_options, cancel), 0, 0, NULL,
     "it keeps what it has, and is given shards again"},
    {.name = NULL},
};

struct drain {
    const struct ek_cli *cli;
    const char *worker; /* as it was typed */
    struct ek_wait wait;
    struct ek_progress progress;
    char state[STATE_BYTES]; /* of the last answer */
};

/* The broker does not want to: an answer with all fields, so that scripts find the state in its place. */
static int refuse(const struct drain *drain, const char *error)
{
    static const char *const unknown[] = {"shards_left", "bytes_left", "bytes_per_second", "eta_ms"};
    struct ek_buffer out = {0};
    if (!drain->cli->json)
        return ek_fail(drain->cli, EK_OUTCOME_DENIED, "%s", error);
    ek_json_open(&out, NULL, '{');
    ek_json_text(&out, "status", ek_outcome_name(EK_OUTCOME_DENIED));
    ek_json_text(&out, "worker", drain->worker);
    ek_json_text(&out, "state", "refused");
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        ek_json_null(&out, unknown[i]);
    ek_json_bool(&out, "safe_to_stop", false);
    ek_json_text(&out, "error", error);
    ek_json_close(&out, '{');
    ek_buffer_append(&out, "\n", 1);
    ek_output_write(ek_buffer_slice(&out));
    ek_buffer_done(&out);
    return ek_output_end(ek_exit_code(EK_OUTCOME_DENIED));
}

static bool is(const struct drain *drain, const char *state)
{
    return strcmp(drain->state, state) == 0;
}

/* A line of JSON each time; for people one on a terminal, and how it ended. */
static bool show(struct drain *drain, struct ek_slice json, bool last)
{
    struct ek_buffer text = {0};
    uint64_t shards = 0;
    if (!ek_view_drain(&text, json) || !ek_view_text(json, "state", drain->state, sizeof drain->state)) {
        ek_buffer_done(&text);
        return false;
    }
    (void)ek_view_number(json, "shards_left", &shards);
    if (shards > drain->progress.total)
        drain->progress.total = shards;
    if (drain->cli->json) {
        ek_output_write(json);
        ek_output_write(ek_slice_text("\n"));
    } else if (last || !is(drain, "draining")) {
        ek_progress_clear(&drain->progress);
        ek_buffer_append(&text, "\n", 1);
        ek_output_write(ek_buffer_slice(&text));
    } else {
        ek_buffer_append(&text, "", 1);
        ek_progress_say(&drain->progress, drain->progress.total - shards, (const char *)text.data);
    }
    ek_buffer_done(&text);
    return true;
}

/* Has the broker carry it out, and shows the answer. Returns the exit code. */
static int ask(struct drain *drain, const char *flag, bool last)
{
    const char *words[] = {"drain", drain->worker, flag};
    const char *json;
    enum ek_outcome outcome = ek_wait_command(&drain->wait, words, flag ? 3 : 2, &json);
    if (outcome)
        ek_progress_clear(&drain->progress);
    if (outcome == EK_OUTCOME_DENIED)
        return refuse(drain, ek_client_error(drain->wait.client));
    if (outcome)
        return ek_fail_outcome(drain->cli, outcome, ek_client_error(drain->wait.client));
    if (!show(drain, ek_slice_text(json), last))
        return ek_fail(drain->cli, EK_OUTCOME_FAILED, "the broker's answer cannot be understood");
    return ek_output_end(0);
}

static int wait_for_end(struct drain *drain)
{
    int code = 0;
    while (code == 0 && is(drain, "draining")) {
        if (!ek_wait_second(&drain->wait)) {
            ek_progress_clear(&drain->progress);
            return ek_fail(drain->cli, EK_OUTCOME_EXPIRED, "it is not drained yet, and goes on; see: evenkeel workers");
        }
        code = ask(drain, "--status", false);
    }
    return code == 0 && is(drain, "cancelled") ? ek_exit_code(EK_OUTCOME_DENIED) : code;
}

static int run_drain(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    const struct drain_options *given = options;
    struct drain drain = {.cli = cli, .worker = words[0]};
    (void)count;
    if (given->wait && given->cancel)
        return ek_fail(cli, EK_OUTCOME_USAGE, "--wait and --cancel do not go together; see: evenkeel help drain");
    enum ek_outcome outcome = ek_wait_open(&drain.wait, cli, given->wait);
    if (outcome)
        return ek_exit_code(outcome);
    ek_progress_init(&drain.progress, 0);
    int code = ask(&drain, given->cancel ? "--cancel" : NULL, !given->wait);
    if (given->wait && code == 0)
        code = wait_for_end(&drain);
    ek_wait_close(&drain.wait);
    return code;
}

const struct ek_command ek_command_drain = {
    .name = "drain",
    .synopsis = "WORKER [--wait] [--cancel]",
    .summary = "have a worker give all its shards away, so that it can be stopped",
    .details =
        "They move while they are in use, and the worker is given no new ones. It is kept over restarts of anybody; saying it\n"
        "again tells how far it is. Refused when the others' disks cannot take it, or nobody else is up. Exit 4 also when\n"
        "somebody cancels it while --wait waits. A worker is named, or given by 4 and more digits of its id.",
    .words_min = 1,
    .words_max = 1,
    .options = drain_table,
    .options_size = sizeof(struct drain_options),
    .run = run_drain,
};
