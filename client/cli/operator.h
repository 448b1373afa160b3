/*
 * Commands of an operator: words that the broker carries out, and what it says of them. One thread.
 */
#ifndef EK_CLI_OPERATOR_H
#define EK_CLI_OPERATOR_H

#include "client/cli/cli.h"
#include "common/bytes.h"

/* Has the broker carry out `words` and prints its JSON, or with plain text `done`. Returns the exit code. */
int ek_operator_command(const struct ek_cli *cli, const char *const *words, size_t count, const char *done);
/* Likewise; `view` lays the answer out for people, and says false of one that it does not understand. */
int ek_operator_show(const struct ek_cli *cli, const char *const *words, size_t count,
                     bool (*view)(struct ek_buffer *out, struct ek_slice json));

#endif
