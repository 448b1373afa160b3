/*
 * Gives the room back of shards that have left: their rows are deleted by marks, which RocksDB would carry out only when so much is
 * written that it sees a need. It asks for that once a while has gone by without another deletion, and for the files of these
 * shards alone. Loop thread only; all work is the store's, in the background.
 */
#ifndef EK_WORKER_RECLAIM_H
#define EK_WORKER_RECLAIM_H

#include "common/limits.h"
#include "worker/store.h"

/* All zero: there is nothing to give back. */
struct ek_reclaim {
    uint8_t swept[EK_SHARDS_MAX / 8]; /* a bit for each shard */
    uint64_t since_us;                /* the last deletion, or the flush behind it; 0 = nothing is to be done */
    bool flushed;                     /* the marks are in files, or on their way there */
};

/* The rows of a shard were deleted. */
void ek_reclaim_swept(struct ek_reclaim *reclaim, uint16_t shard, uint64_t now_us);
/* Now and then; `shards` of the cluster. */
void ek_reclaim_run(struct ek_reclaim *reclaim, struct ek_store *store, uint32_t shards, uint64_t now_us);

#endif
