#include "tests/sim/eras.h"

#include "tests/sim/answers.h"
#include "tests/sim/disk.h"
#include "tests/sim/hazard.h"
#include "tests/sim/tally.h"
#include "worker/rows.h"

#include <stdlib.h>
#include <string.h>

enum { ERAS_MAX = 256 };

struct era {
    uint32_t shard;
    uint64_t began_us;
    uint64_t epoch;
    uint64_t position;           /* all of its writes are above */
    const struct sim_disk *disk; /* of its holder; NULL: nothing is there */
    bool adopted;
    struct sim_rows rows;
};

static struct era eras[ERAS_MAX]; /* in the order of time */
static size_t era_count;

static void forget_era(size_t at)
{
    sim_rows_copy(&(struct sim_rows){0}, &eras[at].rows);
    free(eras[at].rows.rows);
    memmove(&eras[at], &eras[at + 1], (--era_count - at) * sizeof *eras);
}

void sim_eras_assigned(const struct ek_record *before, const struct ek_record *after)
{
    if (after->type != EK_RECORD_ASSIGNMENT || after->loss.epoch == 0 || (before && before->loss.epoch == after->loss.epoch))
        return;
    /* One that a power cut took back was never told anybody. */
    for (size_t i = 0; i < era_count; i++)
        if (eras[i].shard == after->shard && eras[i].epoch >= after->loss.epoch)
            forget_era(i--);
    if (era_count == ERAS_MAX) {
        sim_fail("too many accepted losses");
        return;
    }
    sim_count(SIM_COUNT_LOSS);
    sim_tell("shard %u goes on at %llu with what its holder has", after->shard, (unsigned long long)after->loss.position);
    struct era *era = &eras[era_count++];
    *era =
        (struct era){.shard = after->shard, .began_us = sim_now_us(), .epoch = after->loss.epoch, .position = after->loss.position};
    const struct sim_disk *disk = sim_hazard_disk_of(&after->worker);
    /* Without such a role there is nothing: it is the heir of a worker that is gone, or its own disk is gone in turn. */
    enum ek_holding_state role = disk ? sim_disk_role(disk, (uint16_t)after->shard).state : EK_HOLDING_RELEASED;
    if (role != EK_HOLDING_SERVING && role != EK_HOLDING_LEARNER)
        return;
    era->disk = disk;
    sim_rows_copy(&disk->spaces[EK_STORE_ROWS], &era->rows);
}

void sim_eras_adopted(const struct sim_disk *disk, const struct ek_holding *role)
{
    for (size_t i = 0; i < era_count; i++) {
        struct era *era = &eras[i];
        if (era->adopted || era->disk != disk || era->shard != role->shard || era->epoch != role->epoch)
            continue;
        era->adopted = true;
        sim_rows_copy(&disk->spaces[EK_STORE_ROWS], &era->rows);
    }
}

/* Era `number` of the shard, from 1 on. */
static const struct era *era_of(uint32_t shard, size_t number)
{
    for (size_t i = 0; i < era_count; i++)
        if (eras[i].shard == shard && --number == 0)
            return &eras[i];
    return NULL;
}

size_t sim_eras_count(uint32_t shard)
{
    size_t count = 1;
    for (size_t i = 0; i < era_count; i++)
        count += eras[i].shard == shard;
    return count;
}

size_t sim_eras_of_position(uint32_t shard, uint64_t position)
{
    size_t number = 0;
    for (size_t i = 0; i < era_count; i++)
        number += eras[i].shard == shard && position > eras[i].position;
    return number;
}

uint64_t sim_eras_begin_us(uint32_t shard, size_t number)
{
    const struct era *era = number ? era_of(shard, number) : NULL;
    return era ? era->began_us : 0;
}

uint64_t sim_eras_end_us(uint32_t shard, size_t number)
{
    const struct era *next = era_of(shard, number + 1);
    return next ? next->began_us : SIM_NEVER;
}

static const struct sim_row *find_row(const struct sim_rows *rows, const char *key)
{
    for (size_t i = 0; i < rows->count; i++)
        if (rows->rows[i].key_size == EK_ROW_PREFIX_BYTES + strlen(key) &&
            memcmp(rows->rows[i].key + EK_ROW_PREFIX_BYTES, key, strlen(key)) == 0)
            return &rows->rows[i];
    return NULL;
}

static int compare_steps(const void *left, const void *right)
{
    const struct check_step *a = left;
    const struct check_step *b = right;
    return a->version < b->version ? -1 : a->version > b->version;
}

size_t sim_eras_rows(uint32_t shard, size_t number, unsigned tag, struct check_step steps[SIM_ERA_STEPS_MAX],
                     uint64_t ret_expiry[SIM_ERA_STEPS_MAX])
{
    const struct era *era = number ? era_of(shard, number) : NULL;
    uint64_t expiries[SIM_TAG_KEYS] = {0};
    size_t count = 0;
    for (unsigned key = 0; era && key < SIM_TAG_KEYS; key++) {
        const struct sim_row *stored = find_row(&era->rows, sim_key(tag, key));
        struct ek_row row;
        if (!stored || ek_row_decode(ek_slice_of(stored->value, stored->value_size), &row) != EK_OK)
            continue;
        struct check_step *step = &steps[count++];
        *step = (struct check_step){.key = key, .answer = CHECK_OK, .version = row.version, .ttl_ms = row.expiry_unix_ms > 0};
        answers_value(step, row.value);
        step->kind = step->is_number ? CHECK_INCREMENT : CHECK_PUT;
        step->result = step->value;
        expiries[key] = row.expiry_unix_ms;
    }
    qsort(steps, count, sizeof *steps, compare_steps);
    for (size_t i = 0; i < count; i++)
        ret_expiry[i] = expiries[steps[i].key];
    return count;
}
