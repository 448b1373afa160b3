/*
 * RocksDB by itself, opened by the worker's own code with the worker's flags and holding rows as a worker writes them: what a
 * worker could do if it did nothing else. One process, one thread.
 *
 *     storage --phases load,put,get --data DIR [--seconds N] [--keys N] [--value-size B] [--group N] [--shards N] [--seed N]
 *             [--cache SIZE] [--pause-us N]
 *
 * load writes each key once, put draws them at random for some seconds: `group` rows at a time, sorted, one synced write each. get
 * draws as many present keys, sorts them and asks for 64 at a time. Each phase that is named begins when it is told to, and ends
 * with a line of figures; its latencies are those of groups, without drawing and sorting them. With `pause-us` it rests so long
 * before each group, and disk and processors with it.
 *
 * With `shards` each group that is written also has the record that a worker writes of it, as if one producer had sent what it puts
 * into a shard as one job. Snapshots, which a worker writes when there are EK_BOOK_LIVE_BYTES_MAX of records, are left out.
 */
#include "client/cli/generator.h"
#include "common/clock.h"
#include "common/hash.h"
#include "tests/bench/tool.h"
#include "worker/book.h"
#include "worker/options.h"
#include "worker/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KEY_BYTES = EK_ROW_PREFIX_BYTES + EK_BENCH_KEY_BYTES, PAUSE_US_MAX = 999999 };

#define PRODUCER (UINT64_C(1760000000000) << 20) /* ids are as large: a time in milliseconds, then a counter */

struct storage {
    const char *phases, *data, *cache;
    uint64_t seconds, keys, value_bytes, group, random, shards, pause_us;
    struct ek_store *store;
    uint8_t *values;
    uint8_t (*rows)[KEY_BYTES]; /* keys of a group */
    uint64_t loaded, operations, bytes, version;
    uint64_t records; /* written so far */
    struct {
        uint64_t position; /* the last one used up */
        uint64_t jobs;
    } shard[EK_SHARDS_MAX];
    struct ek_buffer scratch;
    struct ek_histogram latency;
};

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, KEY_BYTES);
}

/* The keys of the next group, sorted; returns how many. */
static size_t draw(struct storage *storage, bool all)
{
    size_t count = 0;
    for (; count < storage->group && !(all && storage->loaded == storage->keys); count++) {
        char key[EK_BENCH_KEY_BYTES];
        ek_bench_key(key, "user", all ? storage->loaded++ : ek_random_below(&storage->random, storage->keys));
        struct ek_slice slice = ek_slice_of(key, sizeof key);
        (void)ek_row_key(storage->rows[count], ek_hash_prefix(slice), slice);
    }
    qsort(storage->rows, count, KEY_BYTES, compare);
    return count;
}

static uint16_t shard_of(const struct storage *storage, size_t row)
{
    return ek_shard_of(ek_get_u16(storage->rows[row]), (uint32_t)storage->shards);
}

/* The earlier jobs of the producer on this shard are answered by now: they were in earlier groups. */
static void record_job(struct storage *storage, struct ek_book_record *record, uint16_t shard, struct ek_verdict *verdict)
{
    verdict->position = storage->shard[shard].position + 1;
    verdict->number = verdict->lowest = ++storage->shard[shard].jobs;
    storage->shard[shard].position += verdict->count;
    ek_book_record_shard(&storage->scratch, record, shard, verdict->position, 0, 1);
    ek_book_record_verdict(&storage->scratch, record, verdict);
}

/* Sorted rows are in the order of their shards, as a record has to be. */
static void put_record(struct storage *storage, size_t count)
{
    struct ek_book_record record;
    struct ek_verdict verdict = {.stamp_unix_ms = ek_clock_unix_ms(), .producer = PRODUCER, .used = true, .status = EK_WIRE_OK};
    ek_buffer_clear(&storage->scratch);
    ek_book_record_begin(&storage->scratch, &record);
    for (size_t at = 0, end; at < count; at = end) {
        uint16_t shard = shard_of(storage, at);
        for (end = at + 1; end < count && shard_of(storage, end) == shard;)
            end++;
        verdict.count = (uint32_t)(end - at);
        record_job(storage, &record, shard, &verdict);
    }
    struct ek_book_key key = ek_book_key_of(EK_BOOK_RECORD, ++storage->records);
    ek_store_put(storage->store, EK_STORE_BOOK, ek_slice_of(key.bytes, key.size), ek_buffer_slice(&storage->scratch),
                 ek_slice_of(NULL, 0));
}

static void put(struct storage *storage, size_t count)
{
    struct ek_error error;
    for (size_t i = 0; i < count; i++) {
        uint8_t head[EK_ROW_HEAD_BYTES_MAX];
        size_t head_bytes = ek_row_head(head, ++storage->version, 0);
        const uint8_t *value = storage->values + ek_random_below(&storage->random, EK_MIB);
        ek_store_put(storage->store, EK_STORE_ROWS, ek_slice_of(storage->rows[i], KEY_BYTES), ek_slice_of(head, head_bytes),
                     ek_slice_of(value, (size_t)storage->value_bytes));
    }
    if (storage->shards)
        put_record(storage, count);
    if (ek_store_commit(storage->store, &error) != EK_OK)
        ek_tool_fail("%s", error.text);
    storage->bytes += count * (EK_BENCH_KEY_BYTES + storage->value_bytes);
}

static void get(struct storage *storage, size_t count)
{
    for (size_t at = 0; at < count; at += EK_STORE_GETS_MAX) {
        struct ek_error error;
        struct ek_slice keys[EK_STORE_GETS_MAX];
        struct ek_pinned found[EK_STORE_GETS_MAX];
        size_t batch = count - at < EK_STORE_GETS_MAX ? count - at : EK_STORE_GETS_MAX;
        for (size_t i = 0; i < batch; i++)
            keys[i] = ek_slice_of(storage->rows[at + i], KEY_BYTES);
        if (ek_store_get_many(storage->store, keys, batch, found, &error) != EK_OK)
            ek_tool_fail("%s", error.text);
        for (size_t i = 0; i < batch; i++) {
            if (!found[i].holder)
                ek_tool_fail("a key is missing: load them first");
            storage->bytes += found[i].bytes.size;
            ek_pinned_done(&found[i]);
        }
    }
}

static void measure(struct storage *storage, const char *phase)
{
    bool load = strcmp(phase, "load") == 0;
    bool reads = strcmp(phase, "get") == 0;
    if (!load && !reads && strcmp(phase, "put") != 0)
        ek_tool_fail("'%s' is no phase: give load, put or get", phase);
    storage->operations = storage->bytes = 0;
    storage->latency = (struct ek_histogram){0};
    uint64_t began_us = ek_tool_begin();
    uint64_t took_us = 0;
    while (load ? storage->loaded < storage->keys : took_us < storage->seconds * 1000000) {
        size_t count = draw(storage, load);
        if (storage->pause_us)
            (void)nanosleep(&(struct timespec){.tv_nsec = (long)storage->pause_us * 1000}, NULL);
        uint64_t drawn_us = ek_clock_monotonic_us();
        if (reads)
            get(storage, count);
        else
            put(storage, count);
        storage->operations += count;
        uint64_t now_us = ek_clock_monotonic_us();
        ek_histogram_add(&storage->latency, now_us - drawn_us);
        took_us = now_us - began_us;
    }
    ek_tool_report(&(struct ek_tool_figures){.operations = storage->operations, .bytes = storage->bytes, .took_us = took_us},
                   &storage->latency);
}

static void open_store(struct storage *storage)
{
    char *flags[] = {"storage", "--data", (char *)storage->data, "--cache", (char *)storage->cache, NULL};
    struct ek_worker_options options;
    struct ek_error error;
    ek_worker_options_parse(5, flags, &options);
    if (ek_store_open(&options.store, &storage->store, &error) != EK_OK)
        ek_tool_fail("%s", error.text);
}

int main(int argc, char **argv)
{
    struct storage storage = {.phases = "put", .cache = "256M", .seconds = 1, .keys = 1000000, .value_bytes = 100, .group = 10000};
    storage.random = 1;
    ek_tool_flags(argc, argv,
                  (const struct ek_tool_flag[]){{"phases", NULL, &storage.phases},
                                                {"data", NULL, &storage.data},
                                                {"cache", NULL, &storage.cache},
                                                {"seconds", &storage.seconds, NULL},
                                                {"keys", &storage.keys, NULL},
                                                {"value-size", &storage.value_bytes, NULL},
                                                {"group", &storage.group, NULL},
                                                {"shards", &storage.shards, NULL},
                                                {"pause-us", &storage.pause_us, NULL},
                                                {"seed", &storage.random, NULL},
                                                {0}});
    if (!storage.data || !storage.keys || !storage.group || storage.shards > EK_SHARDS_MAX || storage.pause_us > PAUSE_US_MAX)
        ek_tool_fail("--data is missing, --keys or --group is 0, --shards above %u, or --pause-us above %u", EK_SHARDS_MAX,
                     PAUSE_US_MAX);
    size_t value_bytes = EK_MIB + (size_t)storage.value_bytes;
    storage.values = ek_alloc(value_bytes);
    ek_bench_values(storage.values, value_bytes, storage.random);
    storage.rows = ek_alloc((size_t)storage.group * sizeof *storage.rows);
    open_store(&storage);
    char *phases = ek_copy_text(storage.phases);
    for (char *left = phases, *phase; (phase = strsep(&left, ",")) != NULL;)
        measure(&storage, phase);
    ek_store_close(&storage.store);
    free(phases);
    ek_buffer_done(&storage.scratch);
    free(storage.rows);
    free(storage.values);
    return EXIT_SUCCESS;
}
