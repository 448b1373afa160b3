/*
 * What every command of `evenkeel` gets and is: the options of the program, and an entry of the table in main.c. It holds no
 * command. One thread, `bench` aside.
 */
#ifndef EK_CLI_CLI_H
#define EK_CLI_CLI_H

#include "client/cli/options.h"
#include "client/evenkeel.h"

/* For ek_submit: no deadline. */
#define EK_NO_TIMEOUT UINT32_MAX

struct ek_cli {
    const char *program;  /* argv[0] */
    const char *endpoint; /* the broker's */
    bool endpoint_given;  /* by a flag or the environment */
    bool json;
    bool timeout_given;
    uint32_t timeout_ms; /* the one given, or the default of single operations */
};

struct ek_command {
    const char *name;
    const char *synopsis; /* behind the name */
    const char *summary;
    const char *details; /* more for `help NAME`; may be NULL */
    size_t words_min, words_max;
    const struct ek_option *options; /* may be NULL */
    const void *defaults;            /* of the options' target; NULL = all zero */
    size_t options_size;             /* of the target */
    /* `words` are what is left without options. Returns the exit code. */
    int (*run)(const struct ek_cli *cli, const void *options, char **words, size_t count);
};

extern const struct ek_command ek_command_up;
extern const struct ek_command ek_command_put;
extern const struct ek_command ek_command_get;
extern const struct ek_command ek_command_del;
extern const struct ek_command ek_command_exists;
extern const struct ek_command ek_command_incr;
extern const struct ek_command ek_command_scan;
extern const struct ek_command ek_command_txn;
extern const struct ek_command ek_command_import;
extern const struct ek_command ek_command_export;
extern const struct ek_command ek_command_run;
extern const struct ek_command ek_command_bench;
extern const struct ek_command ek_command_workers;
extern const struct ek_command ek_command_shards;
extern const struct ek_command ek_command_stats;
extern const struct ek_command ek_command_dead;
extern const struct ek_command ek_command_plan;
extern const struct ek_command ek_command_balance;
extern const struct ek_command ek_command_drain;
extern const struct ek_command ek_command_move;
extern const struct ek_command ek_command_moves;
extern const struct ek_command ek_command_forget;
extern const struct ek_command ek_command_accept_clock;
extern const struct ek_command ek_command_accept_loss;
extern const struct ek_command ek_command_check;
extern const struct ek_command ek_command_ping;

/* The deadline of commands that have none unless one is given. */
uint32_t ek_cli_long_timeout(const struct ek_cli *cli);

#endif
