/*
 * What time it is for a read: at least the highest stamp of the jobs of its shard whose rows it may have seen. A read is stamped
 * when it is sent, and may be served behind writes that were stamped later; by its own stamp it would see a row that one of these
 * has found expired, beside what that same one wrote.
 *
 * The thread that writes raises it before the rows can be seen; a reader asks after it has read. Any thread.
 */
#ifndef EK_WORKER_STAMPS_H
#define EK_WORKER_STAMPS_H

#include "common/limits.h"

#include <stdatomic.h>
#include <stdint.h>

struct ek_stamps {
    _Atomic uint64_t highest_unix_ms[EK_SHARDS_MAX];
};

/* `stamp_unix_ms` is not below an earlier one of the same shard. One thread at a time. */
static inline void ek_stamps_raise(struct ek_stamps *stamps, uint16_t shard, uint64_t stamp_unix_ms)
{
    atomic_store_explicit(&stamps->highest_unix_ms[shard], stamp_unix_ms, memory_order_release);
}

/* The time for a read with a stamp of its own, once its rows are read. */
static inline uint64_t ek_stamps_now(const struct ek_stamps *stamps, uint16_t shard, uint64_t stamp_unix_ms)
{
    uint64_t highest_unix_ms = atomic_load_explicit(&stamps->highest_unix_ms[shard], memory_order_acquire);
    return stamp_unix_ms > highest_unix_ms ? stamp_unix_ms : highest_unix_ms;
}

#endif
