/* evenkeel: the command line. The table of commands, the options of the program, and which command is meant. */
#include "client/cli/cli.h"
#include "client/cli/help.h"
#include "client/cli/output.h"
#include "common/args.h"
#include "common/limits.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENDPOINT_DEFAULT "tcp://127.0.0.1:5600"
enum { TIMEOUT_DEFAULT_MS = 5000 };

static const struct ek_command *const commands[] = {
    &ek_command_up,     &ek_command_put,         &ek_command_get,
    &ek_command_del,    &ek_command_exists,      &ek_command_incr,
    &ek_command_scan,   &ek_command_txn,         &ek_command_import,
    &ek_command_export, &ek_command_run,         &ek_command_bench,
    &ek_command_stats,  &ek_command_workers,     &ek_command_shards,
    &ek_command_plan,   &ek_command_move,        &ek_command_moves,
    &ek_command_drain,  &ek_command_balance,     &ek_command_dead,
    &ek_command_forget, &ek_command_accept_loss, &ek_command_accept_clock,
    &ek_command_check,  &ek_command_ping,        NULL,
};

struct globals {
    const char *broker;
    uint64_t timeout_ms;
    bool json;
    bool help;
    bool version;
};

static const struct ek_option global_options[] = {
    {"broker", EK_OPTION_TEXT, offsetof(struct globals, broker), 0, 0, "ENDPOINT",
     "of the broker (default " ENDPOINT_DEFAULT ", or EVENKEEL_BROKER)"},
    {"json", EK_OPTION_SWITCH, offsetof(struct globals, json), 0, 0, NULL, "answer with JSON"},
    {"timeout", EK_OPTION_DURATION, offsetof(struct globals, timeout_ms), 1, EK_DEADLINE_MS_MAX, "TIME",
     "give up after this time (default 5s; import, export, run, bench, --watch, --wait: never)"},
    {"help", EK_OPTION_SWITCH, offsetof(struct globals, help), 0, 0, NULL, "print this"},
    {"version", EK_OPTION_SWITCH, offsetof(struct globals, version), 0, 0, NULL, "print the version"},
    {.name = NULL},
};

uint32_t ek_cli_long_timeout(const struct ek_cli *cli)
{
    return cli->timeout_given ? cli->timeout_ms : EK_NO_TIMEOUT;
}

static const struct ek_command *find(const char *name)
{
    for (const struct ek_command *const *command = commands; *command; command++)
        if (strcmp((*command)->name, name) == 0)
            return *command;
    return NULL;
}

static void take_globals(struct ek_cli *cli, const struct globals *globals)
{
    const char *environment = getenv("EVENKEEL_BROKER");
    bool named = environment && *environment;
    cli->endpoint = globals->broker ? globals->broker : named ? environment : ENDPOINT_DEFAULT;
    cli->endpoint_given = globals->broker || named;
    cli->json = cli->json || globals->json;
    cli->timeout_given = globals->timeout_ms != 0;
    cli->timeout_ms = cli->timeout_given ? (uint32_t)globals->timeout_ms : TIMEOUT_DEFAULT_MS;
}

static int refuse_command(const struct ek_cli *cli, const char *word)
{
    const char *guess = ek_help_guess(commands, word);
    return ek_fail(cli, EK_OUTCOME_USAGE, "there is no command `%.80s`%s%s%s; see: evenkeel help", word,
                   guess ? ", did you mean `" : "", guess ? guess : "", guess ? "`?" : "");
}

static int print_command(const struct ek_command *command)
{
    ek_help_command(command, global_options);
    return ek_output_end(0);
}

static int run_command(struct ek_cli *cli, struct globals *globals, const struct ek_command *command, char **words, size_t count)
{
    struct ek_error error;
    void *options = calloc(1, command->options_size + 1);
    if (!options)
        return ek_fail(cli, EK_OUTCOME_FAILED, "out of memory");
    if (command->defaults)
        memcpy(options, command->defaults, command->options_size);
    struct ek_option_set sets[] = {{.options = command->options, .target = options},
                                   {.options = global_options, .target = globals}};
    enum ek_status status = ek_options_take(sets, 2, words, &count, false, &error);
    take_globals(cli, globals);
    int code = 0;
    if (status)
        code = ek_fail(cli, EK_OUTCOME_USAGE, "%s; see: evenkeel help %s", error.text, command->name);
    else if (globals->help)
        code = print_command(command);
    else if (count < command->words_min || count > command->words_max)
        code = ek_fail(cli, EK_OUTCOME_USAGE, "too %s words: evenkeel %s %s; see: evenkeel help %s",
                       count < command->words_min ? "few" : "many", command->name, command->synopsis, command->name);
    else
        code = command->run(cli, options, words, count);
    free(options);
    return code;
}

static int help(const struct ek_cli *cli, char **words, size_t count)
{
    if (count == 0) {
        ek_help_program(commands, global_options);
        return ek_output_end(0);
    }
    const struct ek_command *command = find(words[0]);
    if (!command)
        return refuse_command(cli, words[0]);
    return print_command(command);
}

static int dispatch(struct ek_cli *cli, struct globals *globals, char **words, size_t count)
{
    if (globals->version) {
        (void)printf("evenkeel %s\n", EK_VERSION);
        return ek_output_end(0);
    }
    if (count == 0)
        return help(cli, NULL, 0);
    if (strcmp(words[0], "help") == 0 || strcmp(words[0], "-h") == 0)
        return help(cli, words + 1, count - 1);
    const struct ek_command *command = find(words[0]);
    return command ? run_command(cli, globals, command, words + 1, count - 1) : refuse_command(cli, words[0]);
}

/* A failure to read the options themselves is answered in JSON too. */
static bool asks_for_json(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    struct globals globals = {0};
    struct ek_error error;
    struct ek_cli cli = {.program = argv[0], .json = asks_for_json(argc, argv)};
    size_t count = argc > 0 ? (size_t)argc - 1 : 0;
    struct ek_option_set set = {.options = global_options, .target = &globals};
    ek_occupy_standard_files();
    (void)setlocale(LC_CTYPE, "");
    enum ek_status status = ek_options_take(&set, 1, argv + 1, &count, true, &error);
    if (status)
        return ek_fail(&cli, EK_OUTCOME_USAGE, "%s; see: evenkeel help", error.text);
    take_globals(&cli, &globals);
    return dispatch(&cli, &globals, argv + 1, count);
}
