/*
 * What each shard costs: counters that the storage thread (writes) and the loop (reads) both add to, and the shard's size, which
 * the loop estimates from what RocksDB says of its ranges and what was written since the last flush. It plans nothing. Adding is
 * safe from any thread; everything else is the loop's.
 */
#ifndef EK_WORKER_LOAD_H
#define EK_WORKER_LOAD_H

#include "common/messages.h"
#include "worker/cost.h"

#include <stdatomic.h>

struct ek_load_shard {
    _Atomic uint64_t operations; /* these four since the start */
    _Atomic uint64_t bytes_in;
    _Atomic uint64_t bytes_out;
    _Atomic uint64_t busy_ns;         /* of the time of groups, what its operations added; of reads, their part */
    _Atomic uint64_t expires_unix_ms; /* as in ek_shard_load */
    uint64_t table_bytes;             /* RocksDB's figure */
    uint64_t flushed_at;              /* bytes_in up to here is thought to be in files */
    struct ek_shard_load told;        /* what the broker knows */
};

struct ek_load {
    struct ek_load_shard shards[EK_SHARDS_MAX];
    struct ek_cost cost; /* of writes; the storage thread's */
};

struct ek_load *ek_load_new(void);
void ek_load_destroy(struct ek_load **load);

void ek_load_add(struct ek_load *load, uint16_t shard, uint64_t operations, uint64_t bytes_in, uint64_t bytes_out,
                 uint64_t busy_ns);
/* Until when rows of the shard expire, 0 = none will; from the thread that writes. */
void ek_load_expires(struct ek_load *load, uint16_t shard, uint64_t expires_unix_ms);
/* Bytes of a copy were stored: no work that the shard costs, but a part of its size until RocksDB's figures have it. */
void ek_load_copied(struct ek_load *load, uint16_t shard, uint64_t bytes);
/* RocksDB's figures: `table_bytes` of each of `shards` shards, and what lies unflushed in all. */
void ek_load_measure(struct ek_load *load, uint32_t shards, const uint64_t *table_bytes, uint64_t unflushed_bytes);
uint64_t ek_load_stored_bytes(const struct ek_load *load, uint16_t shard);
/* The shards whose figures changed since the last call; `ret` has room for `shards`. Returns the count. */
size_t ek_load_changed(struct ek_load *load, uint32_t shards, struct ek_shard_load *ret);
/* A new broker knows nothing yet. */
void ek_load_forget_told(struct ek_load *load);
/* Nor does it of a shard that was served elsewhere until now. */
void ek_load_forget_shard(struct ek_load *load, uint16_t shard);

#endif
