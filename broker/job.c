#include "broker/job.h"

#include "common/operations.h"

#include <stdlib.h>
#include <string.h>

enum {
    ALLOCATION_OVERHEAD = 48, /* slot, hash link and malloc's own, per job */
    BODY_AHEAD_BYTES = 128    /* of a body that is fetched ahead: most are not much longer */
};

static uint64_t token_of(const struct ek_jobs *jobs, uint32_t slot)
{
    return (uint64_t)jobs->slots[slot].uses << 32 | slot;
}

static uint32_t take_slot(struct ek_jobs *jobs, struct ek_broker_job *job)
{
    uint32_t number = jobs->first_free - 1;
    if (jobs->first_free) {
        jobs->first_free = jobs->slots[number].next_free;
        if (jobs->first_free)
            __builtin_prefetch(&jobs->slots[jobs->first_free - 1], 1);
    } else {
        number = (uint32_t)jobs->slot_count++;
        jobs->slots = ek_grow(jobs->slots, &jobs->slot_capacity, jobs->slot_count, sizeof *jobs->slots);
        jobs->slots[number].uses = 0;
    }
    jobs->slots[number].job = job;
    jobs->slots[number].uses++;
    return number;
}

static struct ek_broker_job *take_memory(struct ek_jobs *jobs, size_t body_bytes)
{
    return ek_pool_take(&jobs->pool, sizeof(struct ek_broker_job) + body_bytes);
}

static void give_memory(struct ek_jobs *jobs, struct ek_broker_job *job)
{
    ek_pool_give(&jobs->pool, job, sizeof *job + job->room_bytes);
}

struct ek_broker_job *ek_job_new(struct ek_jobs *jobs, const struct ek_job *message)
{
    struct ek_broker_job *job = take_memory(jobs, message->body.size);
    *job = (struct ek_broker_job){
        .client_job_id = message->id,
        .kind = message->kind,
        .count = message->count,
        .producer = message->route.producer,
        .number = message->route.number,
        .lowest = message->route.lowest,
        .body_bytes = (uint32_t)message->body.size,
        .room_bytes = (uint32_t)message->body.size,
        .charged_bytes = ek_job_charge(message->body.size),
    };
    memcpy(job->body, message->body.data, message->body.size);
    job->token = token_of(jobs, take_slot(jobs, job));
    return job;
}

void ek_job_free(struct ek_jobs *jobs, struct ek_broker_job *job)
{
    if (job->indexed)
        ek_table_remove(&jobs->by_number, &job->by_number);
    uint32_t number = (uint32_t)job->token;
    jobs->slots[number].job = NULL;
    jobs->slots[number].next_free = jobs->first_free;
    jobs->first_free = number + 1;
    give_memory(jobs, job);
}

struct ek_broker_job *ek_job_by_token(const struct ek_jobs *jobs, uint64_t token)
{
    uint32_t slot = (uint32_t)token;
    if (slot >= jobs->slot_count || token_of(jobs, slot) != token)
        return NULL;
    return jobs->slots[slot].job;
}

static const struct ek_broker_job *in_slot_of(const struct ek_jobs *jobs, uint64_t token)
{
    uint32_t slot = (uint32_t)token;
    return slot < jobs->slot_count ? jobs->slots[slot].job : NULL;
}

void ek_job_expect_token(const struct ek_jobs *jobs, uint64_t token)
{
    if ((uint32_t)token < jobs->slot_count)
        __builtin_prefetch(&jobs->slots[(uint32_t)token]);
}

static void fetch(const struct ek_broker_job *job, size_t body_bytes)
{
    for (size_t at = 0; job && at < sizeof *job + body_bytes; at += EK_LINE_BYTES)
        __builtin_prefetch((const char *)job + at, 1);
}

void ek_job_expect(const struct ek_jobs *jobs, uint64_t token)
{
    fetch(in_slot_of(jobs, token), 0);
}

void ek_job_expect_sent(const struct ek_broker_job *job)
{
    fetch(job, BODY_AHEAD_BYTES);
}

uint32_t ek_job_expect_free(const struct ek_jobs *jobs, uint64_t token)
{
    const struct ek_broker_job *job = in_slot_of(jobs, token);
    if (job && job->indexed)
        ek_table_expect(&jobs->by_number, job->by_number.hash);
    return job ? job->shard : EK_NO_SHARD;
}

struct number_key {
    uint64_t producer;
    uint64_t number;
    uint16_t shard;
};

static uint64_t hash_of(const struct number_key *key)
{
    return ek_mix(key->producer * 31 + key->number * 0x9e3779b97f4a7c15ull + key->shard);
}

static bool same_number(const struct ek_table_link *item, const void *wanted)
{
    const struct ek_broker_job *job = EK_ITEM(item, struct ek_broker_job, by_number);
    const struct number_key *key = wanted;
    return job->producer == key->producer && job->number == key->number && job->shard == key->shard;
}

void ek_job_expect_number(const struct ek_jobs *jobs, uint64_t producer, uint16_t shard, uint64_t number)
{
    struct number_key key = {producer, number, shard};
    ek_table_expect(&jobs->by_number, hash_of(&key));
}

void ek_job_index(struct ek_jobs *jobs, struct ek_broker_job *job)
{
    struct number_key key = {job->producer, job->number, job->shard};
    ek_table_add(&jobs->by_number, &job->by_number, hash_of(&key));
    job->indexed = true;
}

struct ek_broker_job *ek_job_by_number(const struct ek_jobs *jobs, uint64_t producer, uint16_t shard, uint64_t number)
{
    struct number_key key = {producer, number, shard};
    struct ek_table_link *found = ek_table_find(&jobs->by_number, hash_of(&key), same_number, &key);
    return found ? EK_ITEM(found, struct ek_broker_job, by_number) : NULL;
}

void ek_jobs_done(struct ek_jobs *jobs)
{
    free(jobs->slots);
    ek_table_done(&jobs->by_number);
    ek_pool_done(&jobs->pool);
    *jobs = (struct ek_jobs){0};
}

uint32_t ek_job_charge(size_t body_bytes)
{
    return (uint32_t)(sizeof(struct ek_broker_job) + ALLOCATION_OVERHEAD + body_bytes);
}

struct ek_worker_job ek_job_message(const struct ek_broker_job *job)
{
    return (struct ek_worker_job){.shard = job->shard,
                                  .kind = job->kind,
                                  .position = job->position,
                                  .stamp_unix_ms = job->stamp_unix_ms,
                                  .producer = job->producer,
                                  .number = job->number,
                                  .lowest = job->lowest,
                                  .closed = job->closed,
                                  .body = ek_slice_of(job->body, job->body_bytes),
                                  .count = job->count};
}

bool ek_job_writes(const struct ek_broker_job *job)
{
    return job->kind != EK_JOB_READ;
}

bool ek_job_passes(const struct ek_broker_job *job)
{
    return job->kind == EK_JOB_READ || job->kind == EK_JOB_DELETE || job->kind == EK_JOB_CANCEL;
}

void ek_job_cancel(struct ek_broker_job *job, enum ek_wire_status cause)
{
    struct ek_buffer body = {0};
    ek_encode_cause(&body, cause);
    if (body.size <= job->body_bytes) {
        memcpy(job->body, body.data, body.size);
        job->body_bytes = (uint32_t)body.size;
    }
    job->kind = EK_JOB_CANCEL;
    job->count = 1;
    ek_buffer_done(&body);
}

struct ek_broker_job *ek_job_rewrite(struct ek_jobs *jobs, struct ek_job_list *list, struct ek_broker_job *job,
                                     struct ek_slice body)
{
    struct ek_broker_job *other = take_memory(jobs, body.size);
    *other = *job;
    memcpy(other->body, body.data, body.size);
    other->body_bytes = other->room_bytes = (uint32_t)body.size;
    *(other->prev ? &other->prev->next : &list->first) = other;
    *(other->next ? &other->next->prev : &list->last) = other;
    if (job->indexed) {
        ek_table_remove(&jobs->by_number, &job->by_number);
        ek_job_index(jobs, other);
    }
    jobs->slots[(uint32_t)job->token].job = other;
    give_memory(jobs, job);
    return other;
}

void ek_job_list_append(struct ek_job_list *list, struct ek_broker_job *job)
{
    job->next = NULL;
    job->prev = list->last;
    *(list->last ? &list->last->next : &list->first) = job;
    list->last = job;
    list->count++;
}

void ek_job_list_prepend(struct ek_job_list *list, struct ek_broker_job *job)
{
    job->prev = NULL;
    job->next = list->first;
    *(list->first ? &list->first->prev : &list->last) = job;
    list->first = job;
    list->count++;
}

void ek_job_list_insert_after(struct ek_job_list *list, struct ek_broker_job *before, struct ek_broker_job *job)
{
    job->prev = before;
    job->next = before->next;
    *(before->next ? &before->next->prev : &list->last) = job;
    before->next = job;
    list->count++;
}

void ek_job_list_remove(struct ek_job_list *list, struct ek_broker_job *job)
{
    *(job->prev ? &job->prev->next : &list->first) = job->next;
    *(job->next ? &job->next->prev : &list->last) = job->prev;
    job->next = job->prev = NULL;
    list->count--;
}
