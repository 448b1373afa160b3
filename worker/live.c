#include "worker/live.h"

#include "common/bytes.h"

#include <stdlib.h>

enum { FIRST_RECORDS = 64 };

void ek_live_init(struct ek_live *live, size_t bytes_max)
{
    *live = (struct ek_live){.bytes_max = bytes_max, .oldest = EK_LIVE_NONE, .newest = EK_LIVE_NONE};
}

void ek_live_done(struct ek_live *live)
{
    free(live->records);
    live->records = NULL;
}

static struct ek_live_record *record_at(const struct ek_live *live, size_t index)
{
    return &live->records[(live->first + index) & (live->capacity - 1)];
}

void ek_live_add(struct ek_live *live, uint64_t sequence, size_t bytes)
{
    if (live->count == live->capacity) {
        size_t capacity = live->capacity ? live->capacity * 2 : FIRST_RECORDS;
        struct ek_live_record *larger = ek_alloc(capacity * sizeof *larger);
        for (size_t i = 0; i < live->count; i++)
            larger[i] = *record_at(live, i);
        free(live->records);
        live->records = larger;
        live->capacity = capacity;
        live->first = 0;
    }
    *record_at(live, live->count++) = (struct ek_live_record){.sequence = sequence, .bytes = bytes};
    live->bytes += bytes;
}

void ek_live_touch(struct ek_live *live, uint16_t shard, uint64_t sequence)
{
    struct ek_live_shard *entry = &live->shards[shard];
    if (entry->since)
        return;
    *entry = (struct ek_live_shard){.since = sequence, .older = live->newest, .newer = EK_LIVE_NONE};
    if (live->newest == EK_LIVE_NONE)
        live->oldest = shard;
    else
        live->shards[live->newest].newer = shard;
    live->newest = shard;
    live->dirty++;
}

void ek_live_settle(struct ek_live *live, uint16_t shard)
{
    struct ek_live_shard *entry = &live->shards[shard];
    if (!entry->since)
        return;
    if (entry->older == EK_LIVE_NONE)
        live->oldest = entry->newer;
    else
        live->shards[entry->older].newer = entry->newer;
    if (entry->newer == EK_LIVE_NONE)
        live->newest = entry->older;
    else
        live->shards[entry->newer].older = entry->older;
    *entry = (struct ek_live_shard){0};
    live->dirty--;
}

uint32_t ek_live_snapshots_due(const struct ek_live *live, size_t record_bytes)
{
    if (live->bytes <= live->bytes_max)
        return 0;
    size_t half = live->bytes_max / 2 + 1;
    size_t share = record_bytes < half ? record_bytes : half;
    return (uint32_t)((uint64_t)live->dirty * share / half) + 1;
}

uint16_t ek_live_oldest(const struct ek_live *live)
{
    return live->oldest;
}

bool ek_live_drop(struct ek_live *live, uint64_t *ret_sequence)
{
    if (live->count <= 1)
        return false;
    const struct ek_live_record *record = record_at(live, 0);
    if (live->oldest != EK_LIVE_NONE && live->shards[live->oldest].since <= record->sequence)
        return false;
    *ret_sequence = record->sequence;
    live->bytes -= record->bytes;
    live->first = (live->first + 1) & (live->capacity - 1);
    live->count--;
    return true;
}
