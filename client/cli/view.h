/*
 * The broker's figures, which come as JSON, as tables for people. It asks nobody and prints nothing. Pure; any thread.
 */
#ifndef EK_CLI_VIEW_H
#define EK_CLI_VIEW_H

#include "common/bytes.h"

#include <stdbool.h>

/* Each appends text for JSON as CLI.md lists its fields; false when it cannot be understood. */
bool ek_view_stats(struct ek_buffer *out, struct ek_slice json);
/* One line of the figures that move most. */
bool ek_view_stats_line(struct ek_buffer *out, struct ek_slice json);
bool ek_view_workers(struct ek_buffer *out, struct ek_slice json);
bool ek_view_shards(struct ek_buffer *out, struct ek_slice json);
/* `ret_error` gets why the check has failed, which the caller frees, or NULL. */
bool ek_view_check(struct ek_buffer *out, struct ek_slice json, char **ret_error);
/* What a terminal has room for; all zero: it is none, or everything is to be shown. */
struct ek_screen {
    size_t rows;
    size_t columns;
    bool bars;
};
/* Those under way first. With `rows` the last ones that ended come next, as many as fit; else the whole queue, and what ended last.
 * `ret_open`: some move has not ended. */
bool ek_view_moves(struct ek_buffer *out, struct ek_slice json, const struct ek_screen *screen, bool *ret_open);
/* What the planner would do now, what held it back, and what it believes of each worker. */
bool ek_view_plan(struct ek_buffer *out, struct ek_slice json);
/* Lines that say what holds now. */
bool ek_view_settings(struct ek_buffer *out, struct ek_slice json);
/* How far the worker is in giving its shards away, in a line. */
bool ek_view_drain(struct ek_buffer *out, struct ek_slice json);
/* Stats, and workers and shards where they are in it. */
bool ek_view_full(struct ek_buffer *out, struct ek_slice json);

/* A text among the members of an object, with its end; what does not fit is cut. */
bool ek_view_text(struct ek_slice json, const char *member, char *out, size_t size);
/* A whole number among the members of an object. */
bool ek_view_number(struct ek_slice json, const char *member, uint64_t *ret);

#endif
