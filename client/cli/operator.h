/*
 * Commands of an operator: words that the broker carries out, and what it says of them. One thread.
 */
#ifndef EK_CLI_OPERATOR_H
#define EK_CLI_OPERATOR_H

#include "client/cli/cli.h"

/* Has the broker carry out `words` and prints its JSON, or with plain text `done`. Returns the exit code. */
int ek_operator_command(const struct ek_cli *cli, const char *const *words, size_t count, const char *done);

#endif
