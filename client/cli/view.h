/*
 * The broker's figures, which come as JSON, as tables for people. It asks nobody and prints nothing. Pure; any thread.
 */
#ifndef EK_CLI_VIEW_H
#define EK_CLI_VIEW_H

#include "common/bytes.h"

/* Each appends text for JSON as CLI.md lists its fields; false when it cannot be understood. */
bool ek_view_stats(struct ek_buffer *out, struct ek_slice json);
/* One line of the figures that move most. */
bool ek_view_stats_line(struct ek_buffer *out, struct ek_slice json);
bool ek_view_workers(struct ek_buffer *out, struct ek_slice json);
bool ek_view_shards(struct ek_buffer *out, struct ek_slice json);
/* `ret_open`: some move has not ended. */
bool ek_view_moves(struct ek_buffer *out, struct ek_slice json, bool *ret_open);
/* `ret_error` gets why the check has failed, which the caller frees, or NULL. */
bool ek_view_check(struct ek_buffer *out, struct ek_slice json, char **ret_error);
/* Stats, and workers and shards where they are in it. */
bool ek_view_full(struct ek_buffer *out, struct ek_slice json);

/* A whole number among the members of an object. */
bool ek_view_number(struct ek_slice json, const char *member, uint64_t *ret);

#endif
