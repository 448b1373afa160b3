#include "worker/judge.h"

#include "common/operations.h"
#include "worker/dead.h"

#include <stdlib.h>

void ek_judge_init(struct ek_judge *judge, struct ek_row_reader reader, struct ek_letter_reader letter_reader)
{
    *judge = (struct ek_judge){.shards = ek_alloc_zero(EK_SHARDS_MAX, sizeof *judge->shards), .letter_reader = letter_reader};
    for (size_t i = 0; i < EK_SHARDS_MAX; i++)
        judge->shards[i].group_first = judge->shards[i].group_letter = EK_JUDGE_NONE;
    ek_apply_init(&judge->apply, reader);
}

void ek_judge_done(struct ek_judge *judge)
{
    for (size_t i = 0; i < EK_SHARDS_MAX; i++)
        ek_producers_done(&judge->shards[i].memory);
    free(judge->shards);
    free(judge->entries);
    free(judge->letters);
    ek_buffer_done(&judge->bodies);
    ek_buffer_done(&judge->reply_body);
    ek_apply_done(&judge->apply);
}

void ek_judge_begin(struct ek_judge *judge)
{
    for (size_t i = 0; i < judge->touched_count; i++) {
        struct ek_judge_shard *shard = &judge->shards[judge->touched[i]];
        shard->group_first = shard->group_letter = EK_JUDGE_NONE;
        shard->group_jobs = 0;
        shard->group_operations = 0;
        shard->group_bytes = 0;
        shard->group_expires_unix_ms = 0;
    }
    judge->touched_count = 0;
    judge->entry_count = 0;
    judge->letter_count = 0;
    judge->replayed_bytes = 0;
    ek_buffer_clear(&judge->bodies);
    ek_writes_clear(&judge->apply.writes);
}

bool ek_judge_has_link(const struct ek_judge *judge, struct ek_link link)
{
    return link.link == judge->link.link && link.generation == judge->link.generation;
}

bool ek_judge_is_current(const struct ek_judge *judge, struct ek_link link, const struct ek_worker_job *job)
{
    if (!ek_judge_has_link(judge, link) || job->shard >= judge->shard_count)
        return false;
    const struct ek_judge_shard *shard = &judge->shards[job->shard];
    return shard->epoch == job->epoch && shard->epoch != 0 && shard->state == EK_HOLDING_SERVING;
}

/* ---- entering a verdict ---- */

static void chain(struct ek_judge *judge, const struct ek_worker_job *job, uint32_t index)
{
    struct ek_judge_shard *shard = &judge->shards[job->shard];
    if (shard->group_first == EK_JUDGE_NONE) {
        shard->group_first = index;
        judge->touched[judge->touched_count++] = job->shard;
    } else
        judge->entries[shard->group_last].next = index;
    shard->group_last = index;
    shard->group_jobs++;
    shard->group_operations += job->count;
    shard->group_bytes += job->body.size;
}

static void enter(struct ek_judge *judge, const struct ek_worker_job *job, bool used, enum ek_wire_status status,
                  struct ek_slice body)
{
    struct ek_producers *memory = &judge->shards[job->shard].memory;
    uint32_t index = (uint32_t)judge->entry_count++;
    judge->entries = ek_grow(judge->entries, &judge->entry_capacity, judge->entry_count, sizeof *judge->entries);
    struct ek_judge_entry *entry = &judge->entries[index];
    uint64_t confirmed = job->confirmed < memory->position ? job->confirmed : memory->position;
    /* In its place and whole, for a copy of what was written just now waits until all that was written before has left the
     * processor. */
    entry->verdict = (struct ek_verdict){.position = job->position,
                                         .count = job->count,
                                         .stamp_unix_ms = job->stamp_unix_ms,
                                         .producer = job->producer,
                                         .number = job->producer ? job->number : 0,
                                         .lowest = job->producer ? job->lowest : 0,
                                         /* Said only where there is something to drop: most records are shorter without it. */
                                         .confirmed = memory->thin.count ? confirmed : 0,
                                         .closed = job->closed,
                                         .used = used,
                                         .status = used ? status : EK_WIRE_OK,
                                         .body = used ? body : ek_slice_of(NULL, 0)};
    entry->body_at = judge->bodies.size;
    entry->next = EK_JUDGE_NONE;
    ek_producers_record(memory, &entry->verdict);
    ek_buffer_append(&judge->bodies, entry->verdict.body.data, entry->verdict.body.size);
    chain(judge, job, index);
}

struct ek_verdict ek_judge_verdict(const struct ek_judge *judge, const struct ek_judge_entry *entry)
{
    struct ek_verdict verdict = entry->verdict;
    if (verdict.body.size)
        verdict.body.data = judge->bodies.data + entry->body_at;
    return verdict;
}

/* ---- answers that change no row ---- */

static void answer(struct ek_worker_reply *ret, const struct ek_worker_job *job, enum ek_wire_status status, uint64_t position)
{
    *ret = (struct ek_worker_reply){.token = job->token, .status = status, .position = position};
}

/* What is kept of an earlier copy. The bytes are copied, because entering the repetition may drop them. */
static void stored(struct ek_judge *judge, const struct ek_worker_job *job, struct ek_worker_reply *ret)
{
    const struct ek_producers *memory = &judge->shards[job->shard].memory;
    const struct ek_stored_reply *kept = ek_producers_reply(memory, job->producer, job->producer ? job->number : job->position);
    answer(ret, job, EK_WIRE_UNKNOWN, job->position);
    ret->repeated = true;
    if (!kept)
        return; /* its sender has said that it needs the reply no more */
    ret->status = kept->status;
    ret->position = kept->position;
    if (kept->body_bytes) {
        ek_buffer_clear(&judge->reply_body);
        ek_buffer_append(&judge->reply_body, kept->body, kept->body_bytes);
        ret->body = ek_buffer_slice(&judge->reply_body);
    }
}

static void misnumbered(struct ek_judge *judge, const struct ek_worker_job *job, enum ek_numbering numbering, uint64_t awaited,
                        struct ek_worker_reply *ret)
{
    if (numbering == EK_NUMBER_SEEN)
        stored(judge, job, ret);
    else if (numbering == EK_NUMBER_FORGOTTEN)
        answer(ret, job, EK_WIRE_FORGOTTEN, job->position);
    else
        answer(ret, job, EK_WIRE_GAP, awaited);
}

/*
 * A position that was used up before: the answer of then, as far as it is kept. It was this job that used it up, applied or not; so
 * a producer that was forgotten since must not hear FORGOTTEN, which says that what was sent only once was not applied.
 */
static void repeat(struct ek_judge *judge, const struct ek_worker_job *job, struct ek_worker_reply *ret)
{
    const struct ek_producers *memory = &judge->shards[job->shard].memory;
    uint64_t awaited = 0;
    enum ek_numbering numbering =
        job->producer ? ek_producers_look(memory, job->producer, job->number, &awaited) : EK_NUMBER_FORGOTTEN;
    if (numbering == EK_NUMBER_FORGOTTEN || numbering == EK_NUMBER_SEEN)
        stored(judge, job, ret);
    else /* an awaited number, too: it was refused at this position as a gap, and is sent again from there on */
        answer(ret, job, EK_WIRE_GAP, awaited);
}

/* ---- jobs ---- */

static struct ek_outcome_of_job cancel(struct ek_judge *judge, const struct ek_worker_job *job)
{
    enum ek_wire_status cause;
    if (ek_decode_cause(job->body, &cause) != EK_OK || (cause == EK_WIRE_OK && job->producer))
        return ek_apply_refuse(&judge->apply, EK_WIRE_FAILED, 0, "the cause of this cancellation cannot be read");
    return (struct ek_outcome_of_job){.status = cause};
}

static enum ek_status judge_new(struct ek_judge *judge, const struct ek_worker_job *job, struct ek_worker_reply *ret)
{
    struct ek_outcome_of_job outcome = {0};
    enum ek_status status = EK_OK;
    if (job->kind == EK_JOB_CANCEL)
        outcome = cancel(judge, job);
    else if (job->kind == EK_JOB_DEAD)
        outcome = ek_dead_set_aside(judge, job);
    else if (ek_dead_is_asked(job))
        status = ek_dead_run(judge, job, &outcome);
    else
        status = ek_apply_job(&judge->apply, job, judge->shard_count, EK_APPLY_VERSIONS, &outcome);
    if (status != EK_OK)
        return status;
    enter(judge, job, true, outcome.status, outcome.body);
    answer(ret, job, outcome.status, job->position);
    ret->body = outcome.body;
    return EK_OK;
}

/* At the awaited position. */
static enum ek_status judge_next(struct ek_judge *judge, const struct ek_worker_job *job, struct ek_worker_reply *ret)
{
    const struct ek_producers *memory = &judge->shards[job->shard].memory;
    uint64_t awaited;
    enum ek_numbering numbering = job->producer ? ek_producers_look(memory, job->producer, job->number, &awaited) : EK_NUMBER_NEW;
    if (numbering == EK_NUMBER_NEW)
        return judge_new(judge, job, ret);
    misnumbered(judge, job, numbering, awaited, ret);
    enter(judge, job, false, EK_WIRE_OK, ek_slice_of(NULL, 0));
    return EK_OK;
}

enum ek_status ek_judge_write(struct ek_judge *judge, struct ek_link link, const struct ek_worker_job *job,
                              struct ek_worker_reply *ret)
{
    if (!ek_judge_is_current(judge, link, job)) {
        answer(ret, job, EK_WIRE_STALE, 0);
        return EK_OK;
    }
    const struct ek_producers *memory = &judge->shards[job->shard].memory;
    if (job->position == 0 || job->position > memory->position + 1) {
        answer(ret, job, EK_WIRE_OUT_OF_ORDER, memory->position + 1);
        return EK_OK;
    }
    if (job->position <= memory->position) {
        repeat(judge, job, ret);
        return EK_OK;
    }
    return judge_next(judge, job, ret);
}

void ek_judge_expect(const struct ek_judge *judge, const struct ek_worker_job *job, unsigned left)
{
    if (job->shard >= judge->shard_count)
        return;
    const struct ek_judge_shard *shard = &judge->shards[job->shard];
    if (left == EK_JUDGE_STEPS) {
        __builtin_prefetch(shard);
        __builtin_prefetch(&shard->memory.table);
        __builtin_prefetch(&shard->group_first);
    } else
        ek_producers_expect(&shard->memory, job->producer, EK_PRODUCERS_STEPS - left);
}

static bool same_reply(const struct ek_worker_reply *a, const struct ek_worker_reply *b)
{
    return a->status == b->status && a->position == b->position && ek_slice_equal(a->body, b->body);
}

enum ek_status ek_judge_follow(struct ek_judge *judge, const struct ek_fed *fed, bool *ret_agrees)
{
    *ret_agrees = fed->job.position == judge->shards[fed->job.shard].memory.position + 1;
    if (!*ret_agrees)
        return EK_OK;
    struct ek_worker_reply reply;
    enum ek_status status = judge_next(judge, &fed->job, &reply);
    *ret_agrees = status == EK_OK && same_reply(&reply, &fed->reply);
    return status;
}

bool ek_judge_read(const struct ek_judge *judge, struct ek_link link, const struct ek_worker_job *job, struct ek_worker_reply *ret)
{
    if (!ek_judge_is_current(judge, link, job)) {
        answer(ret, job, EK_WIRE_STALE, 0);
        return false;
    }
    uint64_t awaited;
    enum ek_numbering numbering = ek_producers_look(&judge->shards[job->shard].memory, job->producer, job->number, &awaited);
    if (numbering == EK_NUMBER_SEEN)
        return true;
    if (numbering == EK_NUMBER_FORGOTTEN)
        answer(ret, job, EK_WIRE_FORGOTTEN, 0);
    else
        answer(ret, job, EK_WIRE_GAP, awaited);
    return false;
}
