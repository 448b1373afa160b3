#include "tests/bench/raw.h"

#include "common/clock.h"
#include "common/hash.h"
#include "tests/bench/tool.h"
#include "worker/book.h"
#include "worker/options.h"

#include <stdlib.h>
#include <string.h>

#define PRODUCER (UINT64_C(1760000000000) << 20) /* ids are as large: a time in milliseconds, then a counter */

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, EK_RAW_KEY_BYTES);
}

static void draw_one(struct ek_raw *raw, size_t row, uint64_t number)
{
    char key[EK_BENCH_KEY_BYTES];
    ek_bench_key(key, "user", number);
    struct ek_slice slice = ek_slice_of(key, sizeof key);
    (void)ek_row_key(raw->rows[row], ek_hash_prefix(slice), slice);
}

size_t ek_raw_draw(struct ek_raw *raw, size_t count)
{
    for (size_t i = 0; i < count; i++)
        draw_one(raw, i, ek_random_below(&raw->random, raw->keys));
    qsort(raw->rows, count, EK_RAW_KEY_BYTES, compare);
    return count;
}

size_t ek_raw_draw_next(struct ek_raw *raw, size_t count)
{
    size_t drawn = 0;
    for (; drawn < count && raw->loaded < raw->keys; drawn++)
        draw_one(raw, drawn, raw->loaded++);
    qsort(raw->rows, drawn, EK_RAW_KEY_BYTES, compare);
    return drawn;
}

static uint16_t shard_of(const struct ek_raw *raw, size_t row)
{
    return ek_shard_of(ek_get_u16(raw->rows[row]), (uint32_t)raw->shards);
}

/* The earlier jobs of the producer on this shard are answered by now: they were in earlier groups. */
static void record_job(struct ek_raw *raw, struct ek_book_record *record, uint16_t shard, struct ek_verdict *verdict)
{
    verdict->position = raw->shard[shard].position + 1;
    verdict->number = verdict->lowest = ++raw->shard[shard].jobs;
    raw->shard[shard].position += verdict->count;
    ek_book_record_shard(&raw->scratch, record, shard, verdict->position, 0, 1);
    ek_book_record_verdict(&raw->scratch, record, verdict);
}

/* Sorted rows are in the order of their shards, as a record has to be. */
static void put_record(struct ek_raw *raw, size_t count)
{
    struct ek_book_record record;
    struct ek_verdict verdict = {.stamp_unix_ms = ek_clock_unix_ms(), .producer = PRODUCER, .used = true, .status = EK_WIRE_OK};
    ek_buffer_clear(&raw->scratch);
    ek_book_record_begin(&raw->scratch, &record);
    for (size_t at = 0, end; at < count; at = end) {
        uint16_t shard = shard_of(raw, at);
        for (end = at + 1; end < count && shard_of(raw, end) == shard;)
            end++;
        verdict.count = (uint32_t)(end - at);
        record_job(raw, &record, shard, &verdict);
    }
    (void)ek_store_put_record(raw->store, ek_buffer_slice(&raw->scratch));
}

void ek_raw_put(struct ek_raw *raw, size_t count)
{
    struct ek_error error;
    for (size_t i = 0; i < count; i++) {
        uint8_t head[EK_ROW_HEAD_BYTES_MAX];
        size_t head_bytes = ek_row_head(head, ++raw->version, 0);
        const uint8_t *value = raw->values + ek_random_below(&raw->random, EK_MIB);
        ek_store_put(raw->store, EK_STORE_ROWS, ek_slice_of(raw->rows[i], EK_RAW_KEY_BYTES), ek_slice_of(head, head_bytes),
                     ek_slice_of(value, (size_t)raw->value_bytes));
    }
    if (raw->shards)
        put_record(raw, count);
    if (ek_store_commit(raw->store, &error) != EK_OK)
        ek_tool_fail("%s", error.text);
    raw->bytes += count * (EK_BENCH_KEY_BYTES + raw->value_bytes);
}

void ek_raw_get(struct ek_raw *raw, size_t count)
{
    for (size_t at = 0; at < count; at += EK_STORE_GETS_MAX) {
        struct ek_error error;
        struct ek_slice keys[EK_STORE_GETS_MAX];
        struct ek_pinned found[EK_STORE_GETS_MAX];
        size_t batch = count - at < EK_STORE_GETS_MAX ? count - at : EK_STORE_GETS_MAX;
        for (size_t i = 0; i < batch; i++)
            keys[i] = ek_slice_of(raw->rows[at + i], EK_RAW_KEY_BYTES);
        if (ek_store_get_many(raw->store, keys, batch, found, &error) != EK_OK)
            ek_tool_fail("%s", error.text);
        for (size_t i = 0; i < batch; i++) {
            if (!found[i].holder)
                ek_tool_fail("a key is missing: load them first");
            raw->bytes += found[i].bytes.size;
            ek_pinned_done(&found[i]);
        }
    }
}

static void open_store(struct ek_raw *raw)
{
    char *flags[] = {"storage", "--data", (char *)raw->data, "--cache", (char *)raw->cache, NULL};
    struct ek_worker_options options;
    struct ek_error error;
    ek_worker_options_parse(5, flags, &options);
    if (ek_store_open(&options.store, &raw->store, &error) != EK_OK)
        ek_tool_fail("%s", error.text);
}

void ek_raw_open(struct ek_raw *raw)
{
    if (!raw->data || !raw->keys || !raw->group || raw->shards > EK_SHARDS_MAX)
        ek_tool_fail("--data is missing, --keys or --group is 0, or --shards above %u", EK_SHARDS_MAX);
    size_t value_bytes = EK_MIB + (size_t)raw->value_bytes;
    raw->values = ek_alloc(value_bytes);
    ek_bench_values(raw->values, value_bytes, raw->random);
    raw->rows = ek_alloc((size_t)raw->group * sizeof *raw->rows);
    open_store(raw);
}

void ek_raw_close(struct ek_raw *raw)
{
    ek_store_close(&raw->store);
    ek_buffer_done(&raw->scratch);
    free(raw->rows);
    free(raw->values);
}
