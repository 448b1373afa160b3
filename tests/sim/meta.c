/* The broker's durable state on a simulated disk. */
#include "broker/meta.h"
#include "tests/sim/course.h"
#include "tests/sim/disk.h"
#include "tests/sim/eras.h"
#include "tests/sim/holders.h"
#include "tests/sim/tally.h"
#include "tests/sim/world.h"

#include <stdlib.h>
#include <string.h>

enum { BEHIND_US = 2 };

struct ek_meta {
    char unused;
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
    struct sim_records *present = &directory.present;
    if (!present->made) {
        present->made = true;
        present->shards = shards;
        for (size_t i = 0; i < sizeof present->cluster.bytes; i++)
            present->cluster.bytes[i] = (uint8_t)sim_random();
        directory.durable = *present;
    }
    *ret_state = (struct ek_meta_state){.cluster = present->cluster,
                                        .generation = present->generation,
                                        .shards = present->shards,
                                        .ceiling_unix_ms = present->ceiling_unix_ms,
                                        .record_count = present->record_count};
    ret_state->records = ek_alloc(sizeof present->records);
    memcpy(ret_state->records, present->records, sizeof present->records);
    *ret_meta = ek_alloc_zero(1, sizeof **ret_meta);
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
    if (a->type == EK_RECORD_SETTING)
        return a->setting == b->setting;
    if (a->type == EK_RECORD_WORKER || a->type == EK_RECORD_DRAIN)
        return memcmp(a->worker.bytes, b->worker.bytes, sizeof a->worker.bytes) == 0;
    return a->shard == b->shard;
}

static void take_away(struct sim_records *present, enum ek_record_type type, const struct ek_worker_id *worker)
{
    struct ek_record gone = {.type = type, .worker = *worker};
    for (size_t at = 0; at < present->record_count; at++)
        if (same(&present->records[at], &gone))
            present->records[at] = present->records[--present->record_count];
}

static bool has_data(const struct sim_records *present, uint16_t shard)
{
    for (size_t i = 0; i < present->record_count; i++)
        if (present->records[i].type == EK_RECORD_FLOOR && present->records[i].shard == shard)
            return true;
    return false;
}

static void put(struct sim_records *present, const struct ek_record *record)
{
    size_t at = 0;
    if (record->type == EK_RECORD_WORKER_GONE || record->type == EK_RECORD_DRAIN_OVER) {
        take_away(present, record->type == EK_RECORD_WORKER_GONE ? EK_RECORD_WORKER : EK_RECORD_DRAIN, &record->worker);
        return;
    }
    while (at < present->record_count && !same(&present->records[at], record))
        at++;
    if (at == SIM_RECORDS_MAX)
        abort();
    bool moves = at < present->record_count && record->type == EK_RECORD_ASSIGNMENT &&
                 memcmp(record->worker.bytes, present->records[at].worker.bytes, sizeof record->worker.bytes) != 0;
    if (moves && has_data(present, record->shard))
        sim_count(SIM_COUNT_MOVE_SWITCHED);
    sim_holders_assigned(at < present->record_count ? &present->records[at] : NULL, record);
    sim_eras_assigned(at < present->record_count ? &present->records[at] : NULL, record);
    present->records[at] = *record;
    if (at == present->record_count)
        present->record_count++;
}

static uint64_t sync_time_us(void)
{
    bool slow = sim_now_us() < directory.slow_until_us;
    return slow ? sim_between(directory.slow_us / 4, directory.slow_us) : sim_delay_us(directory.sync_us);
}

/* Two may be under way at once; a sync makes everything that was written before it durable. */
static enum ek_status write_all(const struct ek_record *records, size_t count, uint64_t generation, uint64_t ceiling_unix_ms)
{
    struct sim_records *present = &directory.present;
    sim_sleep_us(sim_draw(directory.sync_us));
    for (size_t i = 0; i < count; i++)
        put(present, &records[i]);
    present->generation = generation ? generation : present->generation;
    present->ceiling_unix_ms = ceiling_unix_ms ? ceiling_unix_ms : present->ceiling_unix_ms;
    present->writes++;
    struct sim_records *written = sim_alloc(1, sizeof *written);
    *written = *present;
    sim_sleep_us(sync_time_us());
    if (written->writes > directory.durable.writes)
        directory.durable = *written;
    free(written);
    for (size_t i = 0; i < count; i++)
        sim_course_durable(&records[i]);
    sim_sleep_us(BEHIND_US); /* the disk has it, and nobody knows yet */
    return EK_OK;
}

void sim_directory_cut_power(void)
{
    if (directory.present.writes > directory.durable.writes && sim_chance(70)) {
        directory.present = directory.durable;
        sim_count(SIM_COUNT_RECORDS_LOST);
    }
    directory.durable = directory.present;
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

enum ek_status ek_meta_write_floors(struct ek_meta *meta, const struct ek_floor *floors, size_t count, uint64_t ceiling_unix_ms,
                                    struct ek_error *error)
{
    struct ek_record *records = sim_alloc(count + 1, sizeof *records);
    (void)meta, (void)error;
    for (size_t i = 0; i < count; i++)
        records[i] = (struct ek_record){.type = EK_RECORD_FLOOR, .shard = floors[i].shard, .number = floors[i].position};
    enum ek_status status = write_all(records, count, 0, ceiling_unix_ms);
    free(records);
    return status;
}
