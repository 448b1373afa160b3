/* put, get, del, exists, incr and scan: one instruction each. */
#include "client/cli/cli.h"
#include "client/cli/connect.h"
#include "client/cli/errand.h"
#include "client/cli/lines.h"
#include "client/cli/output.h"

#include <string.h>
#include <unistd.h>

static const struct ek_option get_options[] = {
    {"raw", EK_OPTION_SWITCH, offsetof(struct ek_operation_options, raw), 0, 0, NULL, "exactly the bytes of the value"},
    {.name = NULL},
};

static int carry_out(const struct ek_cli *cli, const struct ek_instruction *instruction, bool raw)
{
    struct ek_errands of = {.cli = cli, .timeout_ms = cli->timeout_ms};
    of.format = cli->json ? EK_ERRAND_JSON : raw ? EK_ERRAND_RAW : EK_ERRAND_PLAIN;
    enum ek_outcome outcome = ek_connect(cli, NULL, &of.client);
    if (outcome)
        return ek_exit_code(outcome);
    struct ek_errand errand = {0};
    ek_errand_start(&errand, &of, 0, instruction, NULL);
    ek_errand_await(&errand, true);
    int code = ek_errand_finish(&errand);
    ek_client_close(&of.client);
    ek_errand_done(&errand);
    return code;
}

static int make(const struct ek_cli *cli, const char *verb, const struct ek_operation_options *options, char **words, size_t count,
                struct ek_instruction *ret)
{
    struct ek_error error;
    enum ek_status status = ek_instruction_make(verb, options, words, count, ret, &error);
    return status ? ek_fail(cli, ek_outcome_of(status), "%s", error.text) : 0;
}

static int run_put(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    struct ek_instruction instruction;
    struct ek_buffer value = {0};
    struct ek_error error;
    int code = make(cli, "put", options, words, count, &instruction);
    if (code)
        return code;
    if (strcmp(words[1], "-") == 0) {
        enum ek_status status = ek_read_all(STDIN_FILENO, EK_VALUE_BYTES_MAX, &value, &error);
        if (status == EK_TOO_LARGE)
            status = ek_value_check(value.size, &error);
        if (status) {
            ek_buffer_done(&value);
            return ek_fail(cli, ek_outcome_of(status), "%s", error.text);
        }
        instruction.request.value = value.size ? (const char *)value.data : "";
        instruction.request.value_size = value.size;
    }
    code = carry_out(cli, &instruction, false);
    ek_buffer_done(&value);
    return code;
}

static int run_verb(const struct ek_cli *cli, const char *verb, const struct ek_operation_options *options, char **words,
                    size_t count)
{
    struct ek_instruction instruction;
    int code = make(cli, verb, options, words, count, &instruction);
    return code ? code : carry_out(cli, &instruction, options->raw);
}

static int run_get(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    return run_verb(cli, "get", options, words, count);
}

static int run_del(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    (void)options;
    return run_verb(cli, "del", &ek_operation_defaults, words, count);
}

static int run_exists(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    (void)options;
    return run_verb(cli, "exists", &ek_operation_defaults, words, count);
}

static int run_incr(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    (void)options;
    return run_verb(cli, "incr", &ek_operation_defaults, words, count);
}

static int run_scan(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    return run_verb(cli, "scan", options, words, count);
}

const struct ek_command ek_command_put = {
    .name = "put",
    .synopsis = "KEY VALUE|-",
    .summary = "store a value; `-` reads it from standard input",
    .details = "Answers once the value is synced. Example: evenkeel put user:42 '{\"name\":\"Ann\"}' --ttl 30m",
    .words_min = 2,
    .words_max = 2,
    .options = ek_put_option_table,
    .defaults = &ek_operation_defaults,
    .options_size = sizeof ek_operation_defaults,
    .run = run_put,
};

const struct ek_command ek_command_get = {
    .name = "get",
    .synopsis = "KEY",
    .summary = "print a value",
    .words_min = 1,
    .words_max = 1,
    .options = get_options,
    .defaults = &ek_operation_defaults,
    .options_size = sizeof ek_operation_defaults,
    .run = run_get,
};

const struct ek_command ek_command_del = {
    .name = "del",
    .synopsis = "KEY...",
    .summary = "delete keys; counts those that existed",
    .words_min = 1,
    .words_max = SIZE_MAX,
    .run = run_del,
};

const struct ek_command ek_command_exists = {
    .name = "exists",
    .synopsis = "KEY...",
    .summary = "count the keys that exist",
    .words_min = 1,
    .words_max = SIZE_MAX,
    .run = run_exists,
};

const struct ek_command ek_command_incr = {
    .name = "incr",
    .synopsis = "KEY [BY]",
    .summary = "add to a decimal number; an absent key counts as 0",
    .details = "BY is 1 unless given and may be negative: evenkeel incr stock:7 -3",
    .words_min = 1,
    .words_max = 2,
    .run = run_incr,
};

const struct ek_command ek_command_scan = {
    .name = "scan",
    .synopsis = "",
    .summary = "list keys, with a prefix or all",
    .details = "A prefix that begins with a whole hash tag, such as {user:42}/, is answered in key order. The cursor of an answer\n"
               "is null at the end of the store; else --cursor goes on there.",
    .options = ek_scan_option_table,
    .defaults = &ek_operation_defaults,
    .options_size = sizeof ek_operation_defaults,
    .run = run_scan,
};
