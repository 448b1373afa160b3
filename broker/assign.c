#include "broker/assign.h"

#include "common/bytes.h"

#include <stdlib.h>

struct table {
    const struct ek_assign_shard *shards;
    size_t shard_count;
    const bool *usable;
    size_t worker_count;
    int *holders;     /* after the moves so far */
    size_t *counts;   /* shards by worker, likewise */
    size_t *searched; /* by worker: below this shard it has no empty one left */
};

/* The usable worker with fewest shards, the first of equals; -1 when none is usable. */
static int fewest(const struct table *table)
{
    int found = -1;
    for (size_t i = 0; i < table->worker_count; i++)
        if (table->usable[i] && (found < 0 || table->counts[i] < table->counts[found]))
            found = (int)i;
    return found;
}

/* An empty shard of `holder`, or -1. */
static int empty_shard_of(struct table *table, int holder)
{
    for (size_t *at = &table->searched[holder]; *at < table->shard_count; (*at)++)
        if (table->holders[*at] == holder && table->shards[*at].empty && table->shards[*at].holder == holder)
            return (int)*at;
    return -1;
}

/* The empty shard that should leave for a worker with `least` shards: of the fullest worker that has one; -1 when nothing improves.
 */
static int next_to_leave(struct table *table, size_t least)
{
    int found = -1;
    size_t most = least + 1;
    for (size_t i = 0; i < table->worker_count; i++) {
        if (!table->usable[i] || table->counts[i] <= most)
            continue;
        int shard = empty_shard_of(table, (int)i);
        if (shard >= 0) {
            found = shard;
            most = table->counts[i];
        }
    }
    return found;
}

static struct ek_assign_move move(struct table *table, size_t shard, int target)
{
    if (table->holders[shard] >= 0)
        table->counts[table->holders[shard]]--;
    table->holders[shard] = target;
    table->counts[target]++;
    return (struct ek_assign_move){.shard = (uint16_t)shard, .target = target};
}

static size_t plan(struct table *table, struct ek_assign_move *moves)
{
    size_t count = 0;
    int target = fewest(table);
    if (target < 0)
        return 0;
    for (size_t i = 0; i < table->shard_count; i++)
        if (table->holders[i] < 0)
            moves[count++] = move(table, i, fewest(table));
    for (int shard; (shard = next_to_leave(table, table->counts[target = fewest(table)])) >= 0;)
        moves[count++] = move(table, (size_t)shard, target);
    return count;
}

size_t ek_assign_evenly(const struct ek_assign_shard *shards, size_t shard_count, const bool *usable, size_t worker_count,
                        struct ek_assign_move *ret_moves)
{
    struct table table = {.shards = shards, .shard_count = shard_count, .usable = usable, .worker_count = worker_count};
    table.holders = ek_alloc_zero(shard_count, sizeof *table.holders);
    table.counts = ek_alloc_zero(worker_count, sizeof *table.counts);
    table.searched = ek_alloc_zero(worker_count, sizeof *table.searched);
    for (size_t i = 0; i < shard_count; i++) {
        table.holders[i] = shards[i].holder;
        if (shards[i].holder >= 0)
            table.counts[shards[i].holder]++;
    }
    size_t count = plan(&table, ret_moves);
    free(table.holders);
    free(table.counts);
    free(table.searched);
    return count;
}
