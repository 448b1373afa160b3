#include "client/parts.h"

#include "common/writer.h"

#include <stdlib.h>
#include <string.h>

enum {
    CALL_OVERHEAD_BYTES = sizeof(struct ek_call) + 64, /* and its share of a job */
    POOLED_BODY_BYTES_MAX = 64 * 1024,
    POOLED_BYTES_MAX = 8 * 1024 * 1024
};

static void add_chunk(struct ek_session *session)
{
    struct ek_pool_chunk *chunk = ek_alloc_aligned(alignof(struct ek_pool_chunk), sizeof *chunk);
    chunk->next = session->chunks;
    session->chunks = chunk;
    for (size_t i = 0; i < sizeof chunk->calls / sizeof *chunk->calls; i++)
        STAILQ_INSERT_HEAD(&session->free_calls, &chunk->calls[i], in_job);
}

struct ek_call *ek_session_take_call(struct ek_session *session)
{
    if (STAILQ_EMPTY(&session->free_calls))
        add_chunk(session);
    struct ek_call *call = STAILQ_FIRST(&session->free_calls);
    STAILQ_REMOVE_HEAD(&session->free_calls, in_job);
    __builtin_prefetch(STAILQ_FIRST(&session->free_calls), 1);
    memset(call, 0, sizeof *call);
    session->pending_bytes += CALL_OVERHEAD_BYTES;
    session->pending_calls++;
    return call;
}

void ek_session_free_call(struct ek_session *session, struct ek_call *call)
{
    session->pending_bytes -= CALL_OVERHEAD_BYTES;
    /* Last in, first out: the next call finds this memory in the cache. */
    STAILQ_INSERT_HEAD(&session->free_calls, call, in_job);
}

struct ek_pending_job *ek_session_take_job(struct ek_session *session, struct ek_lane *lane, enum ek_job_kind kind)
{
    struct ek_pending_job *job = TAILQ_FIRST(&session->free_jobs);
    struct ek_buffer body = {0};
    if (job) {
        TAILQ_REMOVE(&session->free_jobs, job, in_lane);
        body = job->body;
        session->free_body_bytes -= body.capacity;
    } else
        job = ek_alloc(sizeof *job);
    *job = (struct ek_pending_job){.lane = lane, .kind = kind, .body = body, .cause = EK_WIRE_EXPIRED};
    STAILQ_INIT(&job->calls);
    return job;
}

/* Bytes of operations in the body. */
static size_t body_bytes(const struct ek_pending_job *job)
{
    return job->body.size ? job->body.size - EK_BODY_HEAD_BYTES : 0;
}

void ek_session_discount(struct ek_session *session, struct ek_pending_job *job)
{
    session->pending_bytes -= job->counted_bytes;
    job->counted_bytes = 0;
}

void ek_session_strip_job(struct ek_session *session, struct ek_pending_job *job)
{
    ek_session_discount(session, job);
    ek_wheel_disarm(&session->wheel, &job->timer);
    if (job->body.capacity > POOLED_BODY_BYTES_MAX || session->free_body_bytes + job->body.capacity > POOLED_BYTES_MAX)
        ek_buffer_done(&job->body);
    ek_buffer_clear(&job->body);
    while (!STAILQ_EMPTY(&job->calls)) {
        struct ek_call *call = STAILQ_FIRST(&job->calls);
        STAILQ_REMOVE_HEAD(&job->calls, in_job);
        call->job = NULL;
        if (call->state == EK_CALL_DONE)
            ek_session_free_call(session, call);
    }
}

void ek_session_free_job(struct ek_session *session, struct ek_pending_job *job)
{
    ek_session_strip_job(session, job);
    session->free_body_bytes += job->body.capacity;
    TAILQ_INSERT_HEAD(&session->free_jobs, job, in_lane);
}

static void count_call(struct ek_session *session, struct ek_pending_job *job, struct ek_call *call)
{
    STAILQ_INSERT_TAIL(&job->calls, call, in_job);
    call->job = job;
    job->operations += call->count;
    job->waiting++;
    job->reply_bytes += call->reply_bytes;
    job->deletes += call->code == EK_OPERATION_DELETE && !call->transaction;
    if (call->deadline_us > job->deadline_us)
        job->deadline_us = call->deadline_us;
    job->counted_bytes += call->body_bytes;
    session->pending_bytes += call->body_bytes;
}

void ek_session_add_call(struct ek_session *session, struct ek_pending_job *job, struct ek_call *call)
{
    count_call(session, job, call);
    if (!ek_timer_is_armed(&job->timer) || call->deadline_us < job->timer.due_us)
        ek_wheel_arm(&session->wheel, &job->timer, call->deadline_us);
}

struct ek_slice ek_session_body(struct ek_session *session, struct ek_pending_job *job)
{
    ek_buffer_clear(&session->scratch);
    ek_write_array(&session->scratch, job->operations);
    uint8_t *start = job->body.data + EK_BODY_HEAD_BYTES - session->scratch.size;
    memcpy(start, session->scratch.data, session->scratch.size);
    return ek_slice_of(start, body_bytes(job) + session->scratch.size);
}

void ek_session_drop_given_up(struct ek_session *session, struct ek_pending_job *job)
{
    struct ek_calls all = job->calls;
    if (STAILQ_EMPTY(&all))
        return;
    size_t from = EK_BODY_HEAD_BYTES;
    size_t to = EK_BODY_HEAD_BYTES;
    ek_session_discount(session, job);
    STAILQ_INIT(&job->calls);
    job->operations = job->deletes = job->reply_bytes = job->waiting = 0;
    job->deadline_us = 0;
    for (struct ek_call *call = STAILQ_FIRST(&all), *next; call; call = next) {
        next = STAILQ_NEXT(call, in_job);
        if (call->state == EK_CALL_WAITS) {
            memmove(job->body.data + to, job->body.data + from, call->body_bytes);
            to += call->body_bytes;
            count_call(session, job, call);
        } else {
            call->job = NULL;
            if (call->state == EK_CALL_DONE)
                ek_session_free_call(session, call);
        }
        from += call->body_bytes;
    }
    job->body.size = to;
}

void ek_session_free_pools(struct ek_session *session)
{
    for (struct ek_pending_job *job; (job = TAILQ_FIRST(&session->free_jobs));) {
        TAILQ_REMOVE(&session->free_jobs, job, in_lane);
        ek_buffer_done(&job->body);
        free(job);
    }
    for (struct ek_pool_chunk *chunk = session->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    session->chunks = NULL;
}
