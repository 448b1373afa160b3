/* ping: is a broker there, and how far away. */
#include "client/cli/cli.h"
#include "client/cli/connect.h"
#include "common/json.h"
#include "client/cli/output.h"

#include <stdio.h>

static void answer(const struct ek_cli *cli, const struct ek_broker_view *view)
{
    if (!cli->json) {
        char figure[EK_FIGURE_BYTES];
        (void)printf("%s answers in %s, generation %llu, %u shards, statistics at %s\n", cli->endpoint,
                     ek_figure_us(figure, (double)view->round_trip_us), (unsigned long long)view->generation, view->shards,
                     view->stats_endpoint);
        return;
    }
    struct ek_buffer out = {0};
    ek_json_open(&out, NULL, '{');
    ek_json_text(&out, "status", "ok");
    ek_json_uint(&out, "round_trip_us", view->round_trip_us);
    ek_json_uint(&out, "generation", view->generation);
    ek_json_uint(&out, "shards", view->shards);
    ek_json_text(&out, "stats_endpoint", view->stats_endpoint);
    ek_json_close(&out, '{');
    ek_buffer_append(&out, "\n", 1);
    ek_output_write(ek_buffer_slice(&out));
    ek_buffer_done(&out);
}

static int run_ping(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    struct ek_client *client;
    struct ek_broker_view view;
    (void)options, (void)words, (void)count;
    enum ek_outcome outcome = ek_connect(cli, NULL, &client);
    if (outcome)
        return ek_exit_code(outcome);
    outcome = ek_client_ping(client, &view);
    if (outcome == EK_OUTCOME_OK)
        answer(cli, &view);
    int code = outcome ? ek_fail_outcome(cli, outcome, ek_client_error(client)) : ek_output_end(0);
    ek_client_close(&client);
    return code;
}

const struct ek_command ek_command_ping = {
    .name = "ping",
    .synopsis = "",
    .summary = "see whether the broker answers, and how fast",
    .run = run_ping,
};
