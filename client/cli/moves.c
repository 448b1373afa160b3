/* move and moves: shards on their way to other workers. */
#include "client/cli/cli.h"
#include "client/cli/operator.h"
#include "client/cli/output.h"
#include "client/cli/view.h"
#include "client/cli/wait.h"
#include "common/args.h"
#include "common/limits.h"

#include <stdio.h>
#include <unistd.h>

enum { NUMBER_BYTES = 24 };

struct moves_options {
    bool watch;
    uint64_t cancel;
};

static const struct ek_option moves_table[] = {
    {"watch", EK_OPTION_SWITCH, offsetof(struct moves_options, watch), 0, 0, NULL, "once a second, until none is left"},
    {"cancel", EK_OPTION_NUMBER, offsetof(struct moves_options, cancel), 1, INT64_MAX, "MOVE",
     "end this one; nothing of it is left behind"},
    {.name = NULL},
};

static int run_move(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    const char *all[] = {"move", words[0], words[1]};
    uint64_t shard;
    (void)options, (void)count;
    if (ek_parse_number(words[0], 0, EK_SHARDS_MAX - 1, &shard) != EK_OK)
        return ek_fail(cli, EK_OUTCOME_USAGE, "`%.80s` is no shard: give its number, see: evenkeel shards", words[0]);
    return ek_operator_command(cli, all, 3, "queued; see: evenkeel moves --watch");
}

/* True while some move is under way; `ret_code` gets what to exit with when not. */
static bool show(const struct ek_cli *cli, struct ek_wait *wait, const struct ek_screen *screen, int *ret_code)
{
    const char *json;
    struct ek_buffer out = {0};
    bool open = false;
    enum ek_outcome outcome = ek_wait_query(wait, "moves", &json);
    if (outcome) {
        *ret_code = ek_fail_outcome(cli, outcome, ek_client_error(wait->client));
        return false;
    }
    struct ek_slice text = ek_slice_text(json);
    static const char clear[] = "\033[H\033[2J";
    if (screen->rows && !cli->json)
        ek_buffer_append(&out, clear, sizeof clear - 1);
    bool understood = ek_view_moves(&out, text, screen, &open);
    if (cli->json) {
        ek_buffer_clear(&out);
        ek_buffer_append(&out, text.data, text.size);
        ek_buffer_append(&out, "\n", 1);
    }
    ek_output_write(ek_buffer_slice(&out));
    ek_buffer_done(&out);
    *ret_code = understood ? 0 : ek_fail(cli, EK_OUTCOME_FAILED, "the broker's answer cannot be understood");
    return open && understood && ek_output_flush();
}

/* Its window may have another size each time. */
static struct ek_screen screen_of(const struct moves_options *given)
{
    struct ek_screen screen = {.bars = ek_is_terminal(STDOUT_FILENO)};
    if (screen.bars && given->watch)
        ek_terminal_size(STDOUT_FILENO, &screen.rows, &screen.columns);
    return screen;
}

static int run_moves(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    const struct moves_options *given = options;
    struct ek_wait wait;
    int code = 0;
    (void)words, (void)count;
    if (given->cancel) {
        char number[NUMBER_BYTES];
        (void)snprintf(number, sizeof number, "%llu", (unsigned long long)given->cancel);
        return ek_operator_command(cli, (const char *[]){"move", "cancel", number}, 3, "cancelled");
    }
    enum ek_outcome outcome = ek_wait_open(&wait, cli, given->watch);
    if (outcome)
        return ek_exit_code(outcome);
    struct ek_screen screen;
    do
        screen = screen_of(given);
    while (show(cli, &wait, &screen, &code) && given->watch && ek_wait_second(&wait));
    ek_wait_close(&wait);
    return code ? code : ek_output_end(0);
}

const struct ek_command ek_command_move = {
    .name = "move",
    .synopsis = "SHARD WORKER",
    .summary = "give a shard to another worker, while it is in use",
    .details = "Clients see a short wait, never an error. Until the switch either side may die, and the move begins anew.",
    .words_min = 2,
    .words_max = 2,
    .run = run_move,
};

const struct ek_command ek_command_moves = {
    .name = "moves",
    .synopsis = "[--watch] [--cancel MOVE]",
    .summary = "shards that are on their way, and the last hundred that were",
    .details = "Those under way come first. On a terminal --watch shows as many as fit, with bars.",
    .options = moves_table,
    .options_size = sizeof(struct moves_options),
    .run = run_moves,
};
