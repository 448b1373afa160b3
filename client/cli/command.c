/* forget, accept-loss and accept-clock: what an operator tells the broker to do. */
#include "client/cli/cli.h"
#include "client/cli/connect.h"
#include "client/cli/operator.h"
#include "client/cli/output.h"
#include "common/args.h"
#include "common/limits.h"

#include <stdio.h>
#include <string.h>

/* What is printed without --json: what `view` makes of the answer, or `done`. */
static int carry_out(const struct ek_cli *cli, const char *const *words, size_t count, const char *done,
                     bool (*view)(struct ek_buffer *out, struct ek_slice json))
{
    struct ek_client *client;
    const char *json;
    struct ek_buffer out = {0};
    enum ek_outcome outcome = ek_connect(cli, NULL, &client);
    if (outcome)
        return ek_exit_code(outcome);
    outcome = ek_client_command(client, words, count, &json);
    int code = outcome ? ek_fail_outcome(cli, outcome, ek_client_error(client)) : 0;
    if (code == 0 && view && !cli->json) {
        if (!view(&out, ek_slice_text(json)))
            code = ek_fail(cli, EK_OUTCOME_FAILED, "the broker's answer cannot be understood");
    } else if (code == 0) {
        const char *text = cli->json || !done ? json : done;
        ek_buffer_append(&out, text, strlen(text));
        ek_buffer_append(&out, "\n", 1);
    }
    ek_output_write(ek_buffer_slice(&out));
    ek_buffer_done(&out);
    ek_client_close(&client);
    return code ? code : ek_output_end(0);
}

int ek_operator_command(const struct ek_cli *cli, const char *const *words, size_t count, const char *done)
{
    return carry_out(cli, words, count, done, NULL);
}

int ek_operator_show(const struct ek_cli *cli, const char *const *words, size_t count,
                     bool (*view)(struct ek_buffer *out, struct ek_slice json))
{
    return carry_out(cli, words, count, NULL, view);
}

struct forget_options {
    bool accept_loss;
};

static const struct ek_option forget_table[] = {
    {"accept-loss", EK_OPTION_SWITCH, offsetof(struct forget_options, accept_loss), 0, 0, NULL,
     "give up what only its disk knows: its shards go on empty elsewhere"},
    {.name = NULL},
};

static int run_forget(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    const struct forget_options *given = options;
    const char *all[] = {"forget", words[0], "--accept-loss"};
    (void)count;
    return ek_operator_command(cli, all, given->accept_loss ? 3 : 2, "forgotten; see: evenkeel shards");
}

static int run_accept_loss(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    const char *all[] = {"accept-loss", words[0]};
    uint64_t shard;
    (void)options, (void)count;
    if (ek_parse_number(words[0], 0, EK_SHARDS_MAX - 1, &shard) != EK_OK)
        return ek_fail(cli, EK_OUTCOME_USAGE, "`%.80s` is no shard: give its number, see: evenkeel shards", words[0]);
    return ek_operator_command(cli, all, 2, "accepted: the shard goes on with what its worker has; see: evenkeel shards");
}

static int run_accept_clock(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    const char *all[] = {"accept-clock"};
    (void)options, (void)words, (void)count;
    return ek_operator_command(cli, all, 1, "accepted: the broker's time goes on from the wall clock");
}

const struct ek_command ek_command_forget = {
    .name = "forget",
    .synopsis = "WORKER [--accept-loss]",
    .summary = "take a worker that is gone out of the table",
    .details =
        "The worker must not be connected. While it holds shards this is refused without --accept-loss: their data is on its "
        "disk alone.",
    .words_min = 1,
    .words_max = 1,
    .options = forget_table,
    .options_size = sizeof(struct forget_options),
    .run = run_forget,
};

const struct ek_command ek_command_accept_loss = {
    .name = "accept-loss",
    .synopsis = "SHARD",
    .summary = "let a quarantined shard go on with what its worker has",
    .details = "What was acknowledged and is missing there is lost, and jobs that were under way end as unknown.",
    .words_min = 1,
    .words_max = 1,
    .run = run_accept_loss,
};

const struct ek_command ek_command_accept_clock = {
    .name = "accept-clock",
    .synopsis = "",
    .summary = "let the broker's time go on from its machine's clock, which is ahead",
    .details =
        "After a start more than a day later, or when the clock was set: the alarm `clock_step` tells of it. Rows expire by the\n"
        "broker's time, which never goes back: what has expired by the clock expires at once, and for good.",
    .run = run_accept_clock,
};
