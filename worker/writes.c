#include "worker/writes.h"

#include "common/hash.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MIN = 256, PREFIX_VALUES = 256, HEAD_KEY_BYTES = 6, DISTRIBUTED_MIN = 8 };

void ek_writes_done(struct ek_writes *writes)
{
    free(writes->items);
    free(writes->slots);
    free(writes->buckets);
    free(writes->order);
    free(writes->spare);
    *writes = (struct ek_writes){0};
}

void ek_writes_clear(struct ek_writes *writes)
{
    writes->count = 0;
    writes->slot_count = 0;
    writes->viewed = false;
}

/* ---- the view by key ---- */

static uint32_t *bucket_of(const struct ek_writes *writes, uint64_t hash)
{
    return &writes->buckets[hash & (writes->bucket_count - 1)];
}

static void rebuild_buckets(struct ek_writes *writes, size_t bucket_count)
{
    if (bucket_count > writes->bucket_count) {
        free(writes->buckets);
        writes->buckets = ek_alloc(bucket_count * sizeof *writes->buckets);
        writes->bucket_count = bucket_count;
    }
    memset(writes->buckets, 0xff, writes->bucket_count * sizeof *writes->buckets);
    for (size_t i = 0; i < writes->slot_count; i++) {
        uint32_t *bucket = bucket_of(writes, writes->slots[i].hash);
        writes->slots[i].next = *bucket;
        *bucket = (uint32_t)i;
    }
}

static uint32_t find_slot(const struct ek_writes *writes, struct ek_slice key, uint64_t hash)
{
    uint32_t at = *bucket_of(writes, hash);
    while (at != EK_WRITES_NONE && !(writes->slots[at].hash == hash && ek_slice_equal(writes->slots[at].key, key)))
        at = writes->slots[at].next;
    return at;
}

static uint32_t add_slot(struct ek_writes *writes, struct ek_slice key, uint64_t hash)
{
    if (writes->slot_count >= writes->bucket_count)
        rebuild_buckets(writes, writes->bucket_count * 2);
    writes->slots = ek_grow(writes->slots, &writes->slot_capacity, writes->slot_count + 1, sizeof *writes->slots);
    uint32_t *bucket = bucket_of(writes, hash);
    uint32_t at = (uint32_t)writes->slot_count++;
    writes->slots[at] = (struct ek_writes_slot){.key = key, .hash = hash, .latest = EK_WRITES_NONE, .next = *bucket};
    *bucket = at;
    return at;
}

static void view(struct ek_writes *writes, uint32_t index)
{
    struct ek_write *write = &writes->items[index];
    uint64_t hash = ek_hash(write->key);
    uint32_t slot = find_slot(writes, write->key, hash);
    if (slot == EK_WRITES_NONE)
        slot = add_slot(writes, write->key, hash);
    write->slot = slot;
    write->previous = writes->slots[slot].latest;
    writes->slots[slot].latest = index;
}

static void build_view(struct ek_writes *writes)
{
    size_t wanted = writes->bucket_count ? writes->bucket_count : BUCKETS_MIN;
    while (wanted < writes->count)
        wanted *= 2;
    writes->slot_count = 0;
    rebuild_buckets(writes, wanted);
    for (size_t i = 0; i < writes->count; i++)
        view(writes, (uint32_t)i);
    writes->viewed = true;
}

void ek_writes_add(struct ek_writes *writes, const struct ek_write *write)
{
    writes->items = ek_grow(writes->items, &writes->capacity, writes->count + 1, sizeof *writes->items);
    writes->items[writes->count++] = *write;
    if (writes->viewed)
        view(writes, (uint32_t)(writes->count - 1));
}

const struct ek_write *ek_writes_find(struct ek_writes *writes, struct ek_slice key)
{
    if (writes->count == 0)
        return NULL;
    if (!writes->viewed)
        build_view(writes);
    uint32_t slot = find_slot(writes, key, ek_hash(key));
    if (slot == EK_WRITES_NONE || writes->slots[slot].latest == EK_WRITES_NONE)
        return NULL;
    return &writes->items[writes->slots[slot].latest];
}

void ek_writes_undo(struct ek_writes *writes, size_t count)
{
    while (writes->count > count) {
        const struct ek_write *write = &writes->items[--writes->count];
        if (writes->viewed)
            writes->slots[write->slot].latest = write->previous;
    }
}

/* ---- the order of the store ---- */

static uint64_t head_of(const struct ek_write *write)
{
    uint8_t head[8] = {0};
    ek_put_u16(head, write->prefix);
    memcpy(head + 2, write->key.data, write->key.size < HEAD_KEY_BYTES ? write->key.size : HEAD_KEY_BYTES);
    return ek_get_u64(head);
}

static int compare_order(const void *left, const void *right, void *context)
{
    const struct ek_writes_order *a = left;
    const struct ek_writes_order *b = right;
    const struct ek_write *items = context;
    if (a->head != b->head)
        return a->head < b->head ? -1 : 1;
    int order = ek_slice_compare(items[a->index].key, items[b->index].key);
    return order ? order : (a->index > b->index) - (a->index < b->index);
}

/* One stable pass of a radix sort over 8 bits of the head. */
static void distribute(const struct ek_writes_order *from, struct ek_writes_order *to, size_t count, unsigned shift)
{
    size_t starts[PREFIX_VALUES + 1] = {0};
    for (size_t i = 0; i < count; i++)
        starts[((from[i].head >> shift) & 0xff) + 1]++;
    for (size_t value = 0; value < PREFIX_VALUES; value++)
        starts[value + 1] += starts[value];
    for (size_t i = 0; i < count; i++)
        to[starts[(from[i].head >> shift) & 0xff]++] = from[i];
}

/* Hash prefixes are spread evenly, so two passes over them leave short runs for the comparing sort. A pass goes through its
 * counters, however few the writes are. */
static void sort(struct ek_writes *writes)
{
    size_t count = writes->count;
    writes->order = ek_grow(writes->order, &writes->order_capacity, count, sizeof *writes->order);
    writes->spare = ek_grow(writes->spare, &writes->spare_capacity, count, sizeof *writes->spare);
    for (size_t i = 0; i < count; i++)
        writes->order[i] = (struct ek_writes_order){.head = head_of(&writes->items[i]), .index = (uint32_t)i};
    if (count < DISTRIBUTED_MIN) {
        qsort_r(writes->order, count, sizeof *writes->order, compare_order, writes->items);
        return;
    }
    distribute(writes->order, writes->spare, count, 48);
    distribute(writes->spare, writes->order, count, 56);
    for (size_t i = 0; i < count;) {
        size_t end = i + 1;
        while (end < count && writes->order[end].head >> 48 == writes->order[i].head >> 48)
            end++;
        if (end - i > 1)
            qsort_r(writes->order + i, end - i, sizeof *writes->order, compare_order, writes->items);
        i = end;
    }
}

static bool same_key(const struct ek_writes *writes, const struct ek_writes_order *a, const struct ek_writes_order *b)
{
    return a->head == b->head && ek_slice_equal(writes->items[a->index].key, writes->items[b->index].key);
}

const struct ek_writes_order *ek_writes_sorted(struct ek_writes *writes, size_t *ret_count)
{
    size_t kept = 0;
    if (writes->count)
        sort(writes);
    for (size_t i = 0; i < writes->count; i++) {
        bool repeated = i + 1 < writes->count && same_key(writes, &writes->order[i], &writes->order[i + 1]);
        if (!repeated)
            writes->order[kept++] = writes->order[i];
    }
    *ret_count = kept;
    return writes->order;
}
