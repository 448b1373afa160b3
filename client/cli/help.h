/*
 * The texts of `evenkeel`, `evenkeel help` and `evenkeel help COMMAND`, made from the table of commands. One thread.
 */
#ifndef EK_CLI_HELP_H
#define EK_CLI_HELP_H

#include "client/cli/cli.h"

/* `commands` ends with NULL. What the program does, its commands and a few examples. */
void ek_help_program(const struct ek_command *const *commands, const struct ek_option *options);
void ek_help_command(const struct ek_command *command, const struct ek_option *options);
/* The name that was probably meant by `word`, or NULL. */
const char *ek_help_guess(const struct ek_command *const *commands, const char *word);

#endif
