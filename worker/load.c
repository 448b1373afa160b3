#include "worker/load.h"

#include <stdlib.h>
#include <string.h>

struct ek_load *ek_load_new(void)
{
    return ek_alloc_zero(1, sizeof(struct ek_load));
}

void ek_load_destroy(struct ek_load **load)
{
    free(*load);
    *load = NULL;
}

static void add(_Atomic uint64_t *counter, uint64_t value)
{
    if (value)
        atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
}

static uint64_t value_of(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void ek_load_add(struct ek_load *load, uint16_t shard, uint64_t operations, uint64_t bytes_in, uint64_t bytes_out, uint64_t busy_ns)
{
    struct ek_load_shard *entry = &load->shards[shard];
    add(&entry->operations, operations);
    add(&entry->bytes_in, bytes_in);
    add(&entry->bytes_out, bytes_out);
    add(&entry->busy_ns, busy_ns);
}

void ek_load_expires(struct ek_load *load, uint16_t shard, uint64_t expires_unix_ms)
{
    atomic_store_explicit(&load->shards[shard].expires_unix_ms, expires_unix_ms, memory_order_relaxed);
}

void ek_load_copied(struct ek_load *load, uint16_t shard, uint64_t bytes)
{
    load->shards[shard].flushed_at -= bytes; /* only the difference to bytes_in counts, also below 0 */
}

static uint64_t unflushed(const struct ek_load_shard *entry)
{
    return value_of(&entry->bytes_in) - entry->flushed_at;
}

void ek_load_measure(struct ek_load *load, uint32_t shards, const uint64_t *table_bytes, uint64_t unflushed_bytes)
{
    uint64_t counted = 0;
    for (uint32_t i = 0; i < shards; i++)
        counted += unflushed(&load->shards[i]);
    /* More counted than memory tables hold: a flush took some, from every shard about the same share. */
    double share = counted > unflushed_bytes ? (double)unflushed_bytes / (double)counted : 1.0;
    for (uint32_t i = 0; i < shards; i++) {
        struct ek_load_shard *entry = &load->shards[i];
        entry->table_bytes = table_bytes[i];
        uint64_t rest = (uint64_t)((double)unflushed(entry) * share);
        if (share < 1.0)
            entry->flushed_at = value_of(&entry->bytes_in) - rest;
    }
}

uint64_t ek_load_stored_bytes(const struct ek_load *load, uint16_t shard)
{
    return load->shards[shard].table_bytes + unflushed(&load->shards[shard]);
}

size_t ek_load_changed(struct ek_load *load, uint32_t shards, struct ek_shard_load *ret)
{
    size_t count = 0;
    for (uint32_t i = 0; i < shards; i++) {
        struct ek_load_shard *entry = &load->shards[i];
        struct ek_shard_load now = {.shard = (uint16_t)i,
                                    .stored_bytes = ek_load_stored_bytes(load, (uint16_t)i),
                                    .operations = value_of(&entry->operations),
                                    .bytes_in = value_of(&entry->bytes_in),
                                    .bytes_out = value_of(&entry->bytes_out),
                                    .busy_us = value_of(&entry->busy_ns) / 1000,
                                    .expires_unix_ms = value_of(&entry->expires_unix_ms)};
        const struct ek_shard_load *told = &entry->told;
        if (now.operations == told->operations && now.stored_bytes == told->stored_bytes && now.bytes_out == told->bytes_out &&
            now.expires_unix_ms == told->expires_unix_ms)
            continue;
        entry->told = now;
        ret[count++] = now;
    }
    return count;
}

void ek_load_forget_told(struct ek_load *load)
{
    for (size_t i = 0; i < EK_SHARDS_MAX; i++)
        load->shards[i].told = (struct ek_shard_load){0};
}

void ek_load_forget_shard(struct ek_load *load, uint16_t shard)
{
    load->shards[shard].told = (struct ek_shard_load){0};
}
