/*
 * What the programs of the measurements have in common: flags, the moment at which a measurement begins, and its figures as a line
 * of JSON. A failure ends the process with a message. One thread.
 */
#ifndef EK_BENCH_TOOL_H
#define EK_BENCH_TOOL_H

#include "common/histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `--name VALUE`; one of the two is NULL. The last one of a table has no name. */
struct ek_tool_flag {
    const char *name;
    uint64_t *number;
    const char **text;
};
/* Ends the process with 2 when a flag is unknown or no number. */
void ek_tool_flags(int argc, char **argv, const struct ek_tool_flag *flags);
/* Ends the process with 1, the program's name and a text. */
_Noreturn void ek_tool_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says `ready` on standard output and waits for a line on standard input, so that several begin together; the time then, in
 * microseconds. */
uint64_t ek_tool_begin(void);

struct ek_tool_figures {
    uint64_t operations;
    uint64_t bytes;
    uint64_t took_us;
    const char *extra; /* more members, with their comma first; may be NULL */
};
/* `latency` may be NULL. */
void ek_tool_report(const struct ek_tool_figures *figures, const struct ek_histogram *latency);

/* A ZeroMQ socket without limits and without linger, and the same connected. */
void *ek_tool_socket(void *context, int kind);
void ek_tool_connect(void *socket, const char *endpoint);
/* What a call of ZeroMQ returned: less than 0 ends the process with what it says. */
void ek_tool_must(int done);

#endif
