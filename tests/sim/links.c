#include "tests/sim/links.h"

#include "common/codec.h"
#include "common/table.h"
#include "tests/sim/cluster.h"
#include "worker/book.h"

#include <inttypes.h>

/* A write, as one worker is sent it and records it, and the last link that it was sent over. */
struct sent {
    struct ek_table_link item;
    int worker;
    uint32_t shard;
    uint64_t position;
    uint64_t producer; /* 0: a thin client's */
    uint64_t number;
    struct ek_link link;
};

static struct ek_table writes;
static struct ek_link reported[SIM_PLACES_MAX]; /* by the worker's number */

static bool same_write(const struct ek_table_link *item, const void *wanted)
{
    const struct sent *a = EK_ITEM(item, const struct sent, item);
    const struct sent *b = wanted;
    return a->worker == b->worker && a->shard == b->shard && a->position == b->position && a->producer == b->producer &&
           a->number == b->number;
}

static uint64_t hash_write(const struct sent *write)
{
    return ek_mix(write->position * 64 + write->shard) ^ ek_mix(write->producer * 31 + write->number * 8 + (uint64_t)write->worker);
}

static struct sent *find_write(const struct sent *wanted)
{
    struct ek_table_link *found = ek_table_find(&writes, hash_write(wanted), same_write, wanted);
    return found ? EK_ITEM(found, struct sent, item) : NULL;
}

void sim_links_sent(const struct sim_process *to, struct ek_reader fields)
{
    uint32_t count;
    struct ek_link link;
    struct ek_worker_job job;
    if (!to || ek_decode_link(&fields, &link) != EK_OK || ek_decode_count(&fields, EK_ENVELOPE_JOBS_MAX, &count) != EK_OK)
        return;
    for (uint32_t i = 0; i < count && ek_decode_worker_job(&fields, &job) == EK_OK; i++) {
        struct sent wanted = {
            .worker = to->number, .shard = job.shard, .position = job.position, .producer = job.producer, .number = job.number};
        if (!job.producer)
            wanted.number = 0;
        struct sent *write = find_write(&wanted);
        if (!write) {
            write = sim_alloc(1, sizeof *write);
            *write = wanted;
            ek_table_add(&writes, &write->item, hash_write(&wanted));
        }
        write->link = link;
    }
}

void sim_links_reported(const struct sim_process *from, struct ek_reader fields)
{
    struct ek_link link;
    if (ek_decode_link(&fields, &link) == EK_OK)
        reported[from->number] = link;
}

struct ek_link sim_links_of(const struct sim_process *worker)
{
    return reported[worker->number];
}

static bool is_older(struct ek_link a, struct ek_link b)
{
    return a.generation < b.generation || (a.generation == b.generation && a.link < b.link);
}

void sim_links_recorded(struct ek_slice bytes)
{
    struct ek_book_record record;
    uint16_t shard;
    struct ek_verdict verdict;
    const struct sim_process *worker = sim_self();
    if (!worker || ek_book_record_open(bytes, &record) != EK_OK)
        return;
    while (ek_book_record_next(&record, &shard, &verdict) == EK_OK) {
        const struct sent *write = find_write(&(struct sent){.worker = worker->number,
                                                             .shard = shard,
                                                             .position = verdict.position,
                                                             .producer = verdict.producer,
                                                             .number = verdict.number});
        if (write && is_older(write->link, reported[worker->number]))
            sim_fail("%s carries out position %" PRIu64 " of shard %u, sent over link %" PRIu64 " of generation %" PRIu64
                     ", after it reported to link %" PRIu64 " of generation %" PRIu64,
                     worker->name, verdict.position, shard, write->link.link, write->link.generation, reported[worker->number].link,
                     reported[worker->number].generation);
    }
}
