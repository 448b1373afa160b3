/* check: what all workers have stored, against the assignment. */
#include "client/cli/cli.h"
#include "client/cli/connect.h"
#include "client/cli/output.h"
#include "client/cli/view.h"

#include <stdlib.h>
#include <string.h>

/* Without a limit it asks again as long as the broker lives, which joins the check that is under way. */
static enum ek_outcome ask(const struct ek_cli *cli, struct ek_client *client, const char **ret_json, bool *ret_lives)
{
    struct ek_broker_view broker;
    enum ek_outcome outcome;
    *ret_lives = true;
    do {
        outcome = ek_client_command(client, (const char *[]){"check"}, 1, ret_json);
        if (outcome == EK_OUTCOME_UNKNOWN)
            *ret_lives = ek_client_ping(client, &broker) == EK_OUTCOME_OK;
    } while (outcome == EK_OUTCOME_UNKNOWN && *ret_lives && !cli->timeout_given);
    return outcome;
}

/* A check changes nothing: one without an answer leaves nothing in doubt. */
static int fail(const struct ek_cli *cli, enum ek_outcome outcome, bool lives, const char *text)
{
    if (outcome != EK_OUTCOME_UNKNOWN)
        return ek_fail(cli, outcome, "%s", text);
    if (lives)
        return ek_fail(cli, EK_OUTCOME_UNAVAILABLE, "the check is not over yet; whoever asks again waits for the same one");
    return ek_fail_outcome(cli, EK_OUTCOME_UNAVAILABLE, text);
}

static int show(const struct ek_cli *cli, const char *json)
{
    struct ek_buffer out = {0};
    char *error = NULL;
    if (!ek_view_check(&out, ek_slice_text(json), &error)) {
        ek_buffer_done(&out);
        return ek_fail(cli, EK_OUTCOME_FAILED, "the broker's answer cannot be understood");
    }
    if (cli->json) {
        ek_buffer_clear(&out);
        ek_buffer_append(&out, json, strlen(json));
        ek_buffer_append(&out, "\n", 1);
    }
    ek_output_write(ek_buffer_slice(&out));
    ek_buffer_done(&out);
    int code = ek_output_end(error ? ek_exit_code(EK_OUTCOME_FAILED) : 0);
    if (error && !cli->json)
        (void)ek_fail(cli, EK_OUTCOME_FAILED, "%s", error);
    free(error);
    return code;
}

static int run_check(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    struct ek_client *client;
    const char *json;
    (void)options, (void)words, (void)count;
    enum ek_outcome outcome = ek_connect(cli, NULL, &client);
    if (outcome)
        return ek_exit_code(outcome);
    bool lives;
    outcome = ask(cli, client, &json, &lives);
    int code = outcome ? fail(cli, outcome, lives, ek_client_error(client)) : show(cli, json);
    ek_client_close(&client);
    return code;
}

const struct ek_command ek_command_check = {
    .name = "check",
    .synopsis = "",
    .summary = "compare what all workers have stored with who should hold what",
    .details = "Every row is read once, beside the service. Rows that wait for their deletion after a move are no failure. Without "
               "--timeout it takes as long as it takes.",
    .run = run_check,
};
