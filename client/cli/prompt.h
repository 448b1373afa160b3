/*
 * A line from a person at a terminal, with editing and a history (libedit). One thread.
 */
#ifndef EK_CLI_PROMPT_H
#define EK_CLI_PROMPT_H

#include <stddef.h>

/* The next line, which the caller frees; NULL at the end of the input. */
char *ek_prompt_read(const char *prompt);

#endif
