/*
 * A line on a terminal that tells how far something is; nothing at all elsewhere. One thread.
 */
#ifndef EK_CLI_PROGRESS_H
#define EK_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct ek_progress {
    bool shown; /* standard error is a terminal */
    bool drawn;
    uint64_t total; /* 0 = unknown */
    uint64_t started_us;
    uint64_t next_us; /* when to draw again */
};

enum { EK_BAR_BYTES = 48 };
/* "[#####     ]  50 %" */
void ek_bar(char out[EK_BAR_BYTES], uint64_t done, uint64_t total);

void ek_progress_init(struct ek_progress *progress, uint64_t total);
/* `done` of the total; `count` of `what`, such as "rows". Draws at most ten times a second. */
void ek_progress_show(struct ek_progress *progress, uint64_t done, uint64_t count, const char *what);
/* Likewise, with a line of the caller's own behind the bar. */
void ek_progress_say(struct ek_progress *progress, uint64_t done, const char *text);
/* Wipes the line, so that others can write there. */
void ek_progress_clear(struct ek_progress *progress);

#endif
