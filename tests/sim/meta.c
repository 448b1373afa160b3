/* The broker's durable state on a simulated disk. */
#include "broker/meta.h"
#include "tests/sim/disk.h"
#include "tests/sim/world.h"

#include <stdlib.h>
#include <string.h>

struct ek_meta {
    struct sim_directory *directory;
};

static struct sim_directory directory;

struct sim_directory *sim_directory(void)
{
    return &directory;
}

enum ek_status ek_meta_open(const char *name, uint32_t shards, struct ek_meta **ret_meta, struct ek_meta_state *ret_state,
                            struct ek_error *error)
{
    (void)name, (void)error;
    sim_sleep_us(sim_delay_us(directory.sync_us * 4));
    if (!directory.made) {
        directory.made = true;
        directory.shards = shards;
        for (size_t i = 0; i < sizeof directory.cluster.bytes; i++)
            directory.cluster.bytes[i] = (uint8_t)sim_random();
    }
    *ret_state = (struct ek_meta_state){.cluster = directory.cluster,
                                        .generation = directory.generation,
                                        .shards = directory.shards,
                                        .ceiling_unix_ms = directory.ceiling_unix_ms,
                                        .record_count = directory.record_count};
    ret_state->records = ek_alloc(sizeof directory.records);
    memcpy(ret_state->records, directory.records, sizeof directory.records);
    struct ek_meta *meta = ek_alloc(sizeof *meta);
    meta->directory = &directory;
    *ret_meta = meta;
    return EK_OK;
}

void ek_meta_close(struct ek_meta **meta)
{
    free(*meta);
    *meta = NULL;
}

void ek_meta_state_done(struct ek_meta_state *state)
{
    free(state->records);
    state->records = NULL;
}

static bool same(const struct ek_record *a, const struct ek_record *b)
{
    if (a->type != b->type)
        return false;
    return a->type == EK_RECORD_WORKER ? memcmp(a->worker.bytes, b->worker.bytes, sizeof a->worker.bytes) == 0
                                       : a->shard == b->shard;
}

static void take_away(const struct ek_worker_id *worker)
{
    struct ek_record gone = {.type = EK_RECORD_WORKER, .worker = *worker};
    for (size_t at = 0; at < directory.record_count; at++)
        if (same(&directory.records[at], &gone))
            directory.records[at] = directory.records[--directory.record_count];
}

static void put(const struct ek_record *record)
{
    size_t at = 0;
    if (record->type == EK_RECORD_WORKER_GONE) {
        take_away(&record->worker);
        return;
    }
    while (at < directory.record_count && !same(&directory.records[at], record))
        at++;
    if (at == SIM_RECORDS_MAX)
        abort();
    directory.records[at] = *record;
    if (at == directory.record_count)
        directory.record_count++;
}

/* Nobody else reads the directory: whether a write is there when its program ends before the sync is settled at its start. */
static enum ek_status write_all(const struct ek_record *records, size_t count, uint64_t generation, uint64_t ceiling_unix_ms)
{
    bool early = sim_chance(50);
    for (int pass = 0; pass < 2; pass++) {
        if (pass == (early ? 0 : 1)) {
            for (size_t i = 0; i < count; i++)
                put(&records[i]);
            directory.generation = generation ? generation : directory.generation;
            directory.ceiling_unix_ms = ceiling_unix_ms ? ceiling_unix_ms : directory.ceiling_unix_ms;
        }
        if (pass == 0)
            sim_sleep_us(sim_delay_us(directory.sync_us));
    }
    return EK_OK;
}

enum ek_status ek_meta_write_office(struct ek_meta *meta, uint64_t generation, uint64_t ceiling_unix_ms, struct ek_error *error)
{
    (void)meta, (void)error;
    return write_all(NULL, 0, generation, ceiling_unix_ms);
}

enum ek_status ek_meta_write_records(struct ek_meta *meta, const struct ek_record *records, size_t count, struct ek_error *error)
{
    (void)meta, (void)error;
    return write_all(records, count, 0, 0);
}

enum ek_status ek_meta_write_floors(struct ek_meta *meta, const struct ek_record *records, size_t count, uint64_t ceiling_unix_ms,
                                    struct ek_error *error)
{
    (void)meta, (void)error;
    return write_all(records, count, 0, ceiling_unix_ms);
}
