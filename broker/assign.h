/*
 * Spreads shards by count: unassigned ones to whoever has fewest, and empty ones from those that have most. Pure: a table in, moves
 * out. Shards with data are not its business.
 */
#ifndef EK_BROKER_ASSIGN_H
#define EK_BROKER_ASSIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ek_assign_shard {
    int holder; /* index of a worker, -1 = none */
    bool empty; /* may be given to another holder freely */
};

struct ek_assign_move {
    uint16_t shard;
    int target;
};

/*
 * `usable[w]`: worker w takes and gives shards; others keep what they have. Writes at most `shard_count` moves, at most one a
 * shard, and returns their number. Afterwards usable workers differ by at most one shard as far as empty shards allow.
 * Deterministic.
 */
size_t ek_assign_evenly(const struct ek_assign_shard *shards, size_t shard_count, const bool *usable, size_t worker_count,
                        struct ek_assign_move *ret_moves);

#endif
