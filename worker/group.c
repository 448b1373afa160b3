#include "worker/group.h"

#include <stdlib.h>

struct ek_commit_item *ek_group_end(struct ek_commit_item *first)
{
    uint64_t operations = 0;
    uint64_t bytes = 0;
    struct ek_commit_item *item = first;
    for (; item->kind == EK_COMMIT_JOBS; item = item->next) {
        operations += item->parcel->operations;
        bytes += item->parcel->bytes;
        bool full = operations >= EK_COMMIT_OPERATIONS_GOAL || bytes >= EK_COMMIT_BYTES_GOAL;
        if (full || !item->next || item->next->kind != EK_COMMIT_JOBS)
            return item;
    }
    return item;
}

void ek_commit_done_destroy(struct ek_commit_done *done)
{
    for (struct ek_commit_item *item = done->items, *next; item; item = next) {
        next = item->next;
        if (item->parcel)
            ek_parcel_release(item->parcel);
        free(item->holdings);
        free(item->losses);
        free(item->passed);
        if (item->step)
            ek_learn_step_done(item->step);
        free(item->step);
        ek_survey_destroy(&item->survey);
        free(item);
    }
    ek_answers_done(&done->answers);
    free(done->positions);
    free(done);
}

/* ---- jobs ---- */

static void judge_read(const struct ek_judge *judge, struct ek_commit_item *item, uint32_t index, struct ek_answers *answers)
{
    struct ek_worker_reply reply;
    struct ek_parcel *parcel = item->parcel;
    if (!ek_judge_read(judge, parcel->link, &parcel->jobs[index], &reply)) {
        ek_answers_add(answers, parcel->link, &reply);
        return;
    }
    if (!item->passed)
        item->passed = ek_alloc(parcel->count * sizeof *item->passed);
    item->passed[item->passed_count++] = index;
}

/* A probe is answered when the group that it asks for is synced. */
static void take_probe(struct ek_engine *engine, const struct ek_parcel *parcel, const struct ek_worker_job *job,
                       struct ek_answers *answers)
{
    bool current = ek_judge_has_link(&engine->judge, parcel->link);
    struct ek_worker_reply reply = {.token = job->token, .status = current ? EK_WIRE_OK : EK_WIRE_STALE};
    if (current)
        ek_engine_probe(engine);
    ek_answers_add(answers, parcel->link, &reply);
}

static void expect(const struct ek_judge *judge, const struct ek_parcel *parcel, uint32_t index)
{
    enum { JOBS_EACH = 2 }; /* as long as memory takes */
    for (unsigned left = 1; left <= EK_JUDGE_STEPS && left * JOBS_EACH < parcel->count - index; left++)
        ek_judge_expect(judge, &parcel->jobs[index + left * JOBS_EACH], left);
}

static enum ek_status judge_item(struct ek_engine *engine, struct ek_commit_item *item, struct ek_answers *answers)
{
    struct ek_parcel *parcel = item->parcel;
    for (uint32_t i = 0; i < parcel->count; i++) {
        const struct ek_worker_job *job = &parcel->jobs[i];
        if (job->kind == EK_JOB_READ) {
            if (!ek_job_is_plain_read(job))
                judge_read(&engine->judge, item, i, answers);
            continue;
        }
        if (job->kind == EK_JOB_PROBE) {
            take_probe(engine, parcel, job, answers);
            continue;
        }
        struct ek_worker_reply reply;
        expect(&engine->judge, parcel, i);
        enum ek_status status = ek_judge_write(&engine->judge, parcel->link, job, &reply);
        if (status != EK_OK)
            return status;
        ek_answers_add(answers, parcel->link, &reply);
    }
    return EK_OK;
}

static void note_positions(const struct ek_judge *judge, struct ek_commit_done *done)
{
    done->positions = ek_alloc(judge->touched_count * sizeof *done->positions);
    done->position_count = judge->touched_count;
    for (size_t i = 0; i < judge->touched_count; i++)
        done->positions[i] =
            (struct ek_commit_position){.shard = judge->touched[i], .position = judge->shards[judge->touched[i]].memory.position};
}

static double work_of(const struct ek_judge_shard *shard)
{
    return ek_cost_work(shard->group_operations, shard->group_bytes);
}

void ek_group_note_jobs(const struct ek_engine *engine, uint64_t took_us, struct ek_load *load)
{
    const struct ek_judge *judge = &engine->judge;
    double work = 0;
    for (size_t i = 0; i < judge->touched_count; i++)
        work += work_of(&judge->shards[judge->touched[i]]);
    ek_cost_add(&load->cost, work, took_us);
    double each_ns = ek_cost_each_us(&load->cost) * 1000;
    for (size_t i = 0; i < judge->touched_count; i++) {
        const struct ek_judge_shard *shard = &judge->shards[judge->touched[i]];
        ek_load_add(load, judge->touched[i], shard->group_operations, shard->group_bytes, 0, (uint64_t)(work_of(shard) * each_ns));
        ek_load_expires(load, judge->touched[i], ek_engine_expiry(engine, judge->touched[i]));
    }
}

void ek_group_note_expiry(const struct ek_engine *engine, const struct ek_commit_done *done, struct ek_load *load)
{
    const struct ek_judge *judge = &engine->judge;
    /* A start knows of expiring rows from the book-keeping alone. */
    for (uint32_t i = 0; done->items->kind == EK_COMMIT_ADOPT && i < judge->shard_count; i++)
        ek_load_expires(load, (uint16_t)i, ek_engine_expiry(engine, (uint16_t)i));
    /* So does a new owner, of what it learned. */
    bool assigns = (done->items->kind == EK_COMMIT_ASSIGN || done->items->kind == EK_COMMIT_LOSS) && done->status == EK_OK;
    for (size_t i = 0; assigns && i < done->items->holding_count; i++)
        ek_load_expires(load, done->items->holdings[i].shard, ek_engine_expiry(engine, done->items->holdings[i].shard));
}

static enum ek_status run_jobs(struct ek_engine *engine, struct ek_commit_done *done, struct ek_error *error)
{
    ek_engine_begin(engine);
    for (struct ek_commit_item *item = done->items; item; item = item->next) {
        enum ek_status status = judge_item(engine, item, &done->answers);
        if (status != EK_OK) {
            *error = engine->read_error;
            return status;
        }
    }
    enum ek_status status = ek_engine_commit(engine, error);
    if (status != EK_OK)
        return status;
    ek_answers_seal(&done->answers);
    note_positions(&engine->judge, done);
    return EK_OK;
}

/* ---- what is not a job ---- */

static enum ek_status adopt(struct ek_engine *engine, struct ek_commit_item *item, struct ek_commit_done *done)
{
    done->status = ek_engine_adopt(engine, &item->welcome, &done->error);
    if (done->status == EK_OK) {
        done->identity = engine->identity;
        item->holdings = ek_alloc(EK_SHARDS_MAX * sizeof *item->holdings);
        item->holding_count = ek_engine_report(engine, item->holdings);
    }
    return done->status == EK_MISMATCH || done->status == EK_DENIED ? EK_OK : done->status;
}

static enum ek_status assign(struct ek_engine *engine, struct ek_commit_item *item, struct ek_commit_done *done)
{
    if (item->kind == EK_COMMIT_LOSS)
        done->status = ek_engine_give_up(engine, item->link, item->losses, item->holding_count, item->holdings, &done->error);
    else
        done->status = ek_engine_assign(engine, item->link, item->holdings, item->holding_count, &done->error);
    return done->status == EK_AGAIN || done->status == EK_MALFORMED ? EK_OK : done->status;
}

enum ek_status ek_group_run(struct ek_engine *engine, struct ek_commit_done *done, struct ek_error *error)
{
    enum ek_status status = EK_OK;
    switch (done->items->kind) {
    case EK_COMMIT_JOBS:
        status = run_jobs(engine, done, error);
        done->dead_kept = engine->dead_kept;
        return status;
    case EK_COMMIT_ADOPT:
        status = adopt(engine, done->items, done);
        break;
    case EK_COMMIT_ASSIGN:
    case EK_COMMIT_LOSS:
        status = assign(engine, done->items, done);
        break;
    case EK_COMMIT_LEARN:
        status = ek_learn_run(engine, done->items->step, &done->error);
        break;
    case EK_COMMIT_SURVEY:
        done->items->survey = ek_survey_open(engine, done->items->link, done->items->check);
        break;
    case EK_COMMIT_FLUSH:
        done->items->begun = ek_store_flush_beside(engine->store);
        break;
    case EK_COMMIT_STOP:
        break;
    }
    done->dead_kept = engine->dead_kept;
    if (status != EK_OK)
        *error = done->error;
    return status;
}
