/*
 * A snapshot as JSON, with the fields that the command line's contract lists. Pure, save for memory. Any thread.
 */
#ifndef EK_BROKER_STATS_JSON_H
#define EK_BROKER_STATS_JSON_H

#include "broker/metrics.h"

/* `what` is "stats", "full" (stats, with workers and shards), "workers" or "shards"; NULL for anything else. The caller frees the
 * text. */
char *ek_stats_json(const struct ek_snapshot *snapshot, const char *what);

#endif
