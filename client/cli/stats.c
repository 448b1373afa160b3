/* stats, workers, shards and plan: what the broker says of itself. */
#include "client/cli/cli.h"
#include "client/cli/connect.h"
#include "client/cli/output.h"
#include "client/cli/view.h"
#include "client/cli/watch.h"

struct stats_options {
    bool watch;
    bool full;
};

static const struct ek_option options_table[] = {
    {"watch", EK_OPTION_SWITCH, offsetof(struct stats_options, watch), 0, 0, NULL, "once a second, until interrupted"},
    {"full", EK_OPTION_SWITCH, offsetof(struct stats_options, full), 0, 0, NULL, "with workers and shards"},
    {.name = NULL},
};

typedef bool (*view)(struct ek_buffer *out, struct ek_slice json);

static int print(const struct ek_cli *cli, const char *json, view in_text)
{
    struct ek_buffer out = {0};
    struct ek_slice text = ek_slice_text(json);
    if (cli->json) {
        ek_buffer_append(&out, text.data, text.size);
        if (text.size == 0 || text.data[text.size - 1] != '\n')
            ek_buffer_append(&out, "\n", 1);
    } else if (!in_text(&out, text)) {
        ek_buffer_done(&out);
        return ek_fail(cli, EK_OUTCOME_FAILED, "the broker's answer cannot be understood; --json shows it as it is");
    }
    ek_output_write(ek_buffer_slice(&out));
    ek_buffer_done(&out);
    return ek_output_end(0);
}

static int ask(const struct ek_cli *cli, const char *what, view in_text)
{
    struct ek_client *client;
    const char *json;
    enum ek_outcome outcome = ek_connect(cli, NULL, &client);
    if (outcome)
        return ek_exit_code(outcome);
    outcome = ek_client_query(client, what, &json);
    int code = outcome ? ek_fail_outcome(cli, outcome, ek_client_error(client)) : print(cli, json, in_text);
    ek_client_close(&client);
    return code;
}

static int run_stats(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    const struct stats_options *given = options;
    (void)words, (void)count;
    if (given->watch)
        return ek_watch(cli, given->full);
    return given->full ? ask(cli, "full", ek_view_full) : ask(cli, "stats", ek_view_stats);
}

static int run_workers(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    (void)options, (void)words, (void)count;
    return ask(cli, "workers", ek_view_workers);
}

static int run_shards(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    (void)options, (void)words, (void)count;
    return ask(cli, "shards", ek_view_shards);
}

static int run_plan(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    (void)options, (void)words, (void)count;
    return ask(cli, "plan", ek_view_plan);
}

const struct ek_command ek_command_stats = {
    .name = "stats",
    .synopsis = "",
    .summary = "queues, rates, latencies and alarms",
    .options = options_table,
    .options_size = sizeof(struct stats_options),
    .run = run_stats,
};

const struct ek_command ek_command_workers = {
    .name = "workers",
    .synopsis = "",
    .summary = "every worker and what it holds",
    .run = run_workers,
};

const struct ek_command ek_command_shards = {
    .name = "shards",
    .synopsis = "",
    .summary = "every shard and where it lies",
    .run = run_shards,
};

const struct ek_command ek_command_plan = {
    .name = "plan",
    .synopsis = "",
    .summary = "what would move now and why, and what held other moves back",
    .details = "Loads are of the mean: a worker at 1.00 carries its share.",
    .run = run_plan,
};
