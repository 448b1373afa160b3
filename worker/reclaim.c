#include "worker/reclaim.h"

#include "common/hash.h"

#define REST_US UINT64_C(2000000) /* deletions of one move after the other are carried out together; and what a flush takes */

void ek_reclaim_swept(struct ek_reclaim *reclaim, uint16_t shard, uint64_t now_us)
{
    reclaim->swept[shard / 8] |= (uint8_t)(1 << shard % 8);
    reclaim->since_us = now_us;
    reclaim->flushed = false;
}

static void compact(const struct ek_reclaim *reclaim, struct ek_store *store, uint32_t shards)
{
    for (uint32_t shard = 0; shard < shards; shard++)
        if (reclaim->swept[shard / 8] >> shard % 8 & 1)
            ek_store_compact_beside(store, ek_shard_first(shard, shards), ek_shard_first(shard + 1, shards));
}

bool ek_reclaim_run(struct ek_reclaim *reclaim, struct ek_store *store, uint32_t shards, uint64_t now_us)
{
    if (reclaim->since_us == 0 || now_us - reclaim->since_us < REST_US)
        return false;
    if (!reclaim->flushed) {
        reclaim->flushed = true;
        reclaim->since_us = now_us;
        return true;
    }
    compact(reclaim, store, shards);
    *reclaim = (struct ek_reclaim){0};
    return false;
}
