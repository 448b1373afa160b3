/* balance: whether, and how fast, shards move by themselves. */
#include "client/cli/cli.h"
#include "client/cli/operator.h"
#include "client/cli/output.h"
#include "client/cli/view.h"
#include "common/args.h"
#include "common/limits.h"

#include <stdio.h>
#include <string.h>

enum { NUMBER_BYTES = 24 };

static bool is_word(const char *word)
{
    static const char *const known[] = {"on", "off", "status", "pause", "resume"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(word, known[i]) == 0)
            return true;
    return false;
}

static int set_limit(const struct ek_cli *cli, const char *word)
{
    char number[NUMBER_BYTES];
    uint64_t bytes = 0;
    if (strcmp(word, "none") != 0 && (ek_parse_size(word, &bytes) != EK_OK || bytes < EK_COPY_RATE_MIN || bytes > INT64_MAX))
        return ek_fail(cli, EK_OUTCOME_USAGE, "`%.80s` is no limit: give bytes a second like 20M, 64K at least, or none", word);
    (void)snprintf(number, sizeof number, "%llu", (unsigned long long)bytes);
    return ek_operator_show(cli, (const char *[]){"balance", "limit", number}, 3, ek_view_settings);
}

static int run_balance(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    (void)options;
    if (count == 2 && strcmp(words[0], "limit") == 0)
        return set_limit(cli, words[1]);
    if (count != 1 || !is_word(words[0]))
        return ek_fail(cli, EK_OUTCOME_USAGE,
                       "balance wants on, off, status, pause, resume, or limit and a size; see: evenkeel help balance");
    return ek_operator_show(cli, (const char *[]){"balance", words[0]}, 2, ek_view_settings);
}

const struct ek_command ek_command_balance = {
    .name = "balance",
    .synopsis = "on|off|status|pause|resume|limit SIZE|limit none",
    .summary = "whether shards move by themselves, and how fast",
    .details = "  on, off        shards move so that no worker carries much more than its share, or only for drains and repairs\n"
               "  pause, resume  no move begins, whoever asks for it; those under way go on\n"
               "  limit SIZE     what one copy may take a second, such as 20M; none: what the planner grants\n"
               "  status         what holds now\n"
               "All of it outlives the broker. See also: evenkeel plan",
    .words_min = 1,
    .words_max = 2,
    .run = run_balance,
};
