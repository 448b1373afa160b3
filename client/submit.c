#include "client/parts.h"

#include "common/hash.h"
#include "common/operations.h"

#include <string.h>

enum { OPERATION_OVERHEAD_BYTES = 48 }; /* more than an operation's encoding takes beside its bytes */

/* ---- from a request to an operation ---- */

static bool slice_fits(const void *data, size_t size)
{
    return data || size == 0;
}

static enum ek_outcome read_put(const struct ek_request *request, struct ek_operation *put)
{
    if (!slice_fits(request->value, request->value_size) || (request->put.if_absent && request->put.if_version))
        return EK_OUTCOME_USAGE;
    if (request->value_size > EK_VALUE_BYTES_MAX || request->put.ttl_ms > EK_TTL_MS_MAX)
        return EK_OUTCOME_TOO_LARGE;
    put->value = ek_slice_of(request->value, request->value_size);
    put->ttl_ms = request->put.ttl_ms;
    put->version = request->put.if_version;
    put->condition = request->put.if_absent    ? EK_CONDITION_ABSENT
                     : request->put.if_version ? EK_CONDITION_VERSION
                                               : EK_CONDITION_NONE;
    return EK_OUTCOME_OK;
}

_Static_assert(EK_DEAD_ID_SIZE == EK_DEAD_ID_BYTES, "ids are what the protocol says");

static bool cursor_fits(const struct ek_request *request)
{
    if (request->kind == EK_DEAD_LIST)
        return request->cursor_size == 0 || request->cursor_size == 2 || request->cursor_size == EK_DEAD_ID_BYTES;
    return request->cursor_size != 1;
}

static enum ek_outcome read_scan(const struct ek_request *request, struct ek_operation *scan)
{
    if (!slice_fits(request->cursor, request->cursor_size) || !cursor_fits(request))
        return EK_OUTCOME_USAGE;
    if (request->cursor_size > EK_KEY_BYTES_MAX + 2)
        return EK_OUTCOME_TOO_LARGE;
    scan->cursor = ek_slice_of(request->cursor, request->cursor_size);
    scan->limit = request->limit && request->limit < EK_SCAN_ENTRIES_MAX ? request->limit : EK_SCAN_ENTRIES_MAX;
    scan->values = request->values;
    return EK_OUTCOME_OK;
}

static enum ek_outcome read_request(const struct ek_request *request, struct ek_operation *ret)
{
    bool walks = request->kind == EK_SCAN || request->kind == EK_DEAD_LIST;
    bool names_letter = request->kind == EK_DEAD_DROP || request->kind == EK_DEAD_REPLAY;
    if (request->kind < EK_PUT || request->kind > EK_DEAD_REPLAY || !slice_fits(request->key, request->key_size) ||
        (request->key_size == 0 && !walks) || (names_letter && request->key_size != EK_DEAD_ID_BYTES))
        return EK_OUTCOME_USAGE;
    if (request->key_size > EK_KEY_BYTES_MAX)
        return EK_OUTCOME_TOO_LARGE;
    *ret = (struct ek_operation){.code = (enum ek_operation_code)request->kind,
                                 .key = ek_slice_of(request->key, request->key_size),
                                 .by = request->kind == EK_INCREMENT ? request->by : 0};
    if (request->kind == EK_PUT)
        return read_put(request, ret);
    return walks ? read_scan(request, ret) : EK_OUTCOME_OK;
}

static size_t size_of(const struct ek_operation *operation)
{
    return operation->key.size + operation->value.size + operation->cursor.size + OPERATION_OVERHEAD_BYTES;
}

/* ---- which job takes it ---- */

void ek_session_make_ready(struct ek_session *session, struct ek_lane *lane)
{
    ek_sweep_add(&session->ready, lane->shard);
}

void ek_session_wake_at(struct ek_session *session, struct ek_lane *lane, uint64_t due_us)
{
    ek_wheel_arm(&session->wheel, &lane->wake, due_us);
}

static struct ek_pending_job *open_job(struct ek_session *session, struct ek_lane *lane, enum ek_job_kind kind, bool closed)
{
    bool read = kind == EK_JOB_READ;
    struct ek_jobs *queue = read ? &lane->reads : &lane->writes;
    struct ek_pending_job *tail = TAILQ_LAST(queue, ek_jobs);
    if (tail)
        tail->closed = true;
    struct ek_pending_job *job = ek_session_take_job(session, lane, kind);
    job->serial = read ? lane->last_serial : ++lane->last_serial;
    job->closed = closed;
    job->queued = true;
    TAILQ_INSERT_TAIL(queue, job, in_lane);
    return job;
}

static bool write_fits(const struct ek_pending_job *tail, const struct ek_call *call, size_t size)
{
    return !tail->closed && tail->kind == EK_JOB_WRITE && tail->operations < EK_JOB_OPERATIONS_MAX &&
           tail->reply_bytes + call->reply_bytes <= EK_WRITE_REPLY_BYTES_MAX - EK_REPLY_HEAD_BYTES &&
           tail->body.size + size <= EK_BATCH_BYTES_MAX;
}

/* A read may join a job only if that does not make the job wait for a later write than it does already. */
static bool read_fits(const struct ek_session *session, const struct ek_lane *lane, const struct ek_pending_job *tail, size_t size)
{
    struct ek_pending_job *last_write = TAILQ_LAST(&lane->writes, ek_jobs);
    return !tail->closed && tail->operations < session->read_goal && tail->body.size + size <= EK_BATCH_BYTES_MAX &&
           (!last_write || last_write->serial <= tail->serial);
}

static bool is_read(enum ek_operation_code code)
{
    return ek_operation_fits(EK_JOB_READ, code);
}

/* The open job that takes `call`, whose operations need up to `size` bytes. */
static struct ek_pending_job *job_for(struct ek_session *session, struct ek_lane *lane, const struct ek_call *call, size_t size)
{
    if (call->transaction)
        return open_job(session, lane, EK_JOB_TRANSACTION, true);
    if (ek_operation_names_letter((enum ek_operation_code)call->code))
        return open_job(session, lane, EK_JOB_WRITE, true);
    if (!is_read((enum ek_operation_code)call->code)) {
        struct ek_pending_job *tail = TAILQ_LAST(&lane->writes, ek_jobs);
        return tail && write_fits(tail, call, size) ? tail : open_job(session, lane, EK_JOB_WRITE, false);
    }
    struct ek_pending_job *tail = TAILQ_LAST(&lane->reads, ek_jobs);
    bool scan = call->code == EK_OPERATION_SCAN || call->code == EK_OPERATION_DEAD_LIST;
    if (!tail || scan || !read_fits(session, lane, tail, size))
        return open_job(session, lane, EK_JOB_READ, scan);
    /* Writes that have left count too: they may have to leave once more. */
    tail->serial = lane->last_serial;
    return tail;
}

/* The body's end, with room for `size` more bytes. */
static struct ek_buffer *body_of(struct ek_pending_job *job, size_t size)
{
    if (job->body.size == 0) {
        (void)ek_buffer_reserve(&job->body, EK_BODY_HEAD_BYTES + size);
        ek_buffer_advance(&job->body, EK_BODY_HEAD_BYTES);
    }
    return &job->body;
}

static struct ek_lane *lane_of(struct ek_session *session, uint16_t prefix)
{
    return &session->lanes[ek_shard_of(prefix, session->welcome.shards)];
}

static void place(struct ek_session *session, struct ek_call *call, const struct ek_operation *operations, size_t size)
{
    ek_session_place_staged(session); /* came before */
    struct ek_lane *lane = session->lanes ? lane_of(session, call->prefix) : NULL;
    struct ek_pending_job *job = lane ? job_for(session, lane, call, size) : session->lobby;
    struct ek_buffer *body = body_of(job, size);
    size_t before = body->size;
    for (size_t i = 0; i < call->count; i++)
        ek_encode_operation(body, &operations[i]);
    call->body_bytes = (uint32_t)(body->size - before);
    ek_session_add_call(session, job, call);
    if (lane)
        ek_session_make_ready(session, lane);
    session->fresh_bytes += call->body_bytes;
}

static void place_encoded(struct ek_session *session, struct ek_call *call, struct ek_slice operations)
{
    struct ek_lane *lane = lane_of(session, call->prefix);
    struct ek_pending_job *job = job_for(session, lane, call, operations.size);
    ek_buffer_append(body_of(job, operations.size), operations.data, operations.size);
    ek_session_add_call(session, job, call);
    ek_session_make_ready(session, lane);
}

/* ---- what was submitted last ---- */

/*
 * With many shards and tens of thousands of operations under way, the lane that an operation names, the open job there, its body
 * and its last submission have long left the cache: six lines, one found by the other. So some operations are gathered, and what
 * they need is fetched for all of them at once.
 */
static bool may_stage(const struct ek_session *session, size_t size)
{
    return session->lanes && size <= EK_STAGED_BYTES_MAX;
}

static void stage(struct ek_session *session, struct ek_call *call, const struct ek_operation *operation)
{
    struct ek_lane *lane = lane_of(session, call->prefix);
    ek_session_expect_bytes(lane, offsetof(struct ek_lane, wake));
    size_t before = session->staged_bytes.size;
    ek_encode_operation(&session->staged_bytes, operation);
    call->body_bytes = (uint32_t)(session->staged_bytes.size - before);
    session->staged[session->staged_count++] = call;
    if (session->staged_count == EK_STAGED_MAX)
        ek_session_place_staged(session);
}

static const struct ek_jobs *queue_for(struct ek_session *session, const struct ek_call *call)
{
    const struct ek_lane *lane = lane_of(session, call->prefix);
    return is_read((enum ek_operation_code)call->code) ? &lane->reads : &lane->writes;
}

/* The lanes are there: on to their open jobs. */
static void fetch_jobs(struct ek_session *session)
{
    for (size_t i = 0; i < session->staged_count; i++) {
        const void *last = queue_for(session, session->staged[i])->tqh_last; /* inside the job, near its start */
        ek_session_expect_bytes(last, sizeof(struct ek_pending_job));
    }
}

/* The jobs are there: on to where the next operation goes. */
static void fetch_ends(struct ek_session *session)
{
    for (size_t i = 0; i < session->staged_count; i++) {
        const struct ek_pending_job *job = TAILQ_LAST(queue_for(session, session->staged[i]), ek_jobs);
        if (!job)
            continue;
        __builtin_prefetch(job->calls.stqh_last, 1);
        ek_session_expect_bytes(job->body.data + job->body.size, session->staged[i]->body_bytes);
    }
}

void ek_session_place_staged(struct ek_session *session)
{
    if (session->staged_count == 0)
        return;
    fetch_jobs(session);
    fetch_ends(session);
    size_t count = session->staged_count;
    const uint8_t *at = session->staged_bytes.data;
    session->staged_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct ek_call *call = session->staged[i];
        place_encoded(session, call, ek_slice_of(at, call->body_bytes));
        session->fresh_bytes += call->body_bytes;
        at += call->body_bytes;
    }
    ek_buffer_clear(&session->staged_bytes);
}

void ek_session_empty_lobby(struct ek_session *session)
{
    struct ek_pending_job *lobby = session->lobby;
    size_t at = EK_BODY_HEAD_BYTES;
    ek_session_discount(session, lobby);
    for (struct ek_call *call; (call = STAILQ_FIRST(&lobby->calls));) {
        STAILQ_REMOVE_HEAD(&lobby->calls, in_job);
        struct ek_slice operations = ek_slice_of(lobby->body.data + at, call->body_bytes);
        at += call->body_bytes;
        place_encoded(session, call, operations);
    }
    ek_session_free_job(session, lobby);
    session->lobby = NULL;
}

void ek_session_read_alone(struct ek_session *session, struct ek_call *call, uint64_t serial, struct ek_slice operation)
{
    struct ek_lane *lane = lane_of(session, call->prefix);
    struct ek_pending_job *job = open_job(session, lane, EK_JOB_READ, true);
    job->alone = true;
    job->serial = serial;
    ek_buffer_append(body_of(job, operation.size), operation.data, operation.size);
    ek_session_add_call(session, job, call);
    /* Now is when the reply came. */
    ek_session_arm_deadlines(session, job, session->received_us);
    ek_session_make_ready(session, lane);
}

/* ---- submissions ---- */

/* One operation of any size is always let in. */
static bool has_room(const struct ek_session *session, size_t size)
{
    size_t pending = session->pending_bytes + session->staged_bytes.size;
    return pending == 0 || pending + size <= session->options.pending_bytes_max;
}

static struct ek_call *start_call(struct ek_session *session, uint32_t timeout_ms, ek_callback callback, void *context,
                                  uint64_t now_us)
{
    struct ek_call *call = ek_session_take_call(session);
    uint32_t limit_ms = timeout_ms ? timeout_ms : session->options.timeout_ms;
    call->callback = callback;
    call->context = context;
    call->deadline_us = limit_ms == UINT32_MAX ? UINT64_MAX : now_us + (uint64_t)limit_ms * 1000;
    if (session->options.linger_us && session->linger_until_us == 0)
        session->linger_until_us = now_us + session->options.linger_us;
    return call;
}

enum ek_outcome ek_session_submit(struct ek_session *session, const struct ek_request *request, uint32_t timeout_ms,
                                  ek_callback callback, void *context, uint64_t now_us)
{
    struct ek_operation operation;
    enum ek_outcome outcome = callback ? read_request(request, &operation) : EK_OUTCOME_USAGE;
    if (outcome != EK_OUTCOME_OK)
        return outcome;
    if (session->foreign || session->closing)
        return EK_OUTCOME_FAILED;
    size_t size = size_of(&operation);
    if (!has_room(session, size))
        return EK_OUTCOME_BUSY;
    struct ek_call *call = start_call(session, timeout_ms, callback, context, now_us);
    call->count = 1;
    call->code = (uint8_t)operation.code;
    call->prefix = ek_operation_prefix(&operation);
    call->reply_bytes = is_read(operation.code) ? 0 : (uint8_t)ek_result_bytes_max(&operation);
    if (may_stage(session, size))
        stage(session, call, &operation);
    else
        place(session, call, &operation, size);
    return EK_OUTCOME_OK;
}

static bool shares_tag(struct ek_slice key, struct ek_slice first)
{
    struct ek_slice tag = ek_hash_tag(first);
    return ek_slice_equal(key, first) || (tag.size && ek_slice_equal(ek_hash_tag(key), tag));
}

/* Reads `count` requests into the session's scratch memory and sums up what they need. */
static enum ek_outcome read_transaction(const struct ek_request *requests, size_t count, struct ek_operation *operations,
                                        size_t *ret_size)
{
    size_t size = 0;
    size_t reply_bytes = EK_REPLY_HEAD_BYTES;
    for (size_t i = 0; i < count; i++) {
        enum ek_outcome outcome = read_request(&requests[i], &operations[i]);
        if (outcome != EK_OUTCOME_OK)
            return outcome;
        if (!ek_operation_fits(EK_JOB_TRANSACTION, operations[i].code) || !shares_tag(operations[i].key, operations[0].key))
            return EK_OUTCOME_USAGE;
        size += size_of(&operations[i]);
        reply_bytes += ek_result_bytes_max(&operations[i]);
    }
    *ret_size = size;
    bool fits = size + EK_BODY_HEAD_BYTES <= EK_JOB_BODY_BYTES_MAX && reply_bytes <= EK_WRITE_REPLY_BYTES_MAX;
    return fits ? EK_OUTCOME_OK : EK_OUTCOME_TOO_LARGE;
}

enum ek_outcome ek_session_submit_transaction(struct ek_session *session, const struct ek_request *requests, size_t count,
                                              uint32_t timeout_ms, ek_callback callback, void *context, uint64_t now_us)
{
    if (count == 0 || !callback)
        return EK_OUTCOME_USAGE;
    if (count > EK_JOB_OPERATIONS_MAX)
        return EK_OUTCOME_TOO_LARGE;
    ek_buffer_clear(&session->scratch);
    struct ek_operation *operations = (void *)ek_buffer_reserve(&session->scratch, count * sizeof *operations);
    size_t size = 0;
    enum ek_outcome outcome = read_transaction(requests, count, operations, &size);
    if (outcome != EK_OUTCOME_OK)
        return outcome;
    if (session->foreign || session->closing)
        return EK_OUTCOME_FAILED;
    if (!has_room(session, size))
        return EK_OUTCOME_BUSY;
    struct ek_call *call = start_call(session, timeout_ms, callback, context, now_us);
    call->transaction = true;
    call->count = (uint16_t)count;
    call->code = (uint8_t)operations[0].code;
    call->prefix = ek_operation_prefix(&operations[0]);
    place(session, call, operations, size);
    return EK_OUTCOME_OK;
}
