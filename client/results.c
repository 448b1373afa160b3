#include "client/parts.h"

#include "common/hash.h"
#include "common/letters.h"
#include "common/operations.h"

#include <string.h>

_Static_assert((int)EK_OUTCOME_OK == (int)EK_WIRE_OK && (int)EK_OUTCOME_NOT_FOUND == (int)EK_WIRE_NOT_FOUND &&
                   (int)EK_OUTCOME_CONDITION_FAILED == (int)EK_WIRE_CONDITION_FAILED &&
                   (int)EK_OUTCOME_USAGE == (int)EK_WIRE_USAGE && (int)EK_OUTCOME_UNKNOWN == (int)EK_WIRE_UNKNOWN &&
                   (int)EK_OUTCOME_EXPIRED == (int)EK_WIRE_EXPIRED && (int)EK_OUTCOME_UNAVAILABLE == (int)EK_WIRE_UNAVAILABLE &&
                   (int)EK_OUTCOME_FORGOTTEN == (int)EK_WIRE_FORGOTTEN && (int)EK_OUTCOME_BUSY == (int)EK_WIRE_BUSY &&
                   (int)EK_OUTCOME_DENIED == (int)EK_WIRE_DENIED && (int)EK_OUTCOME_TOO_LARGE == (int)EK_WIRE_TOO_LARGE &&
                   (int)EK_OUTCOME_FAILED == (int)EK_WIRE_FAILED && (int)EK_OUTCOME_DEAD == (int)EK_WIRE_DEAD,
               "outcomes are the numbers of the wire");
_Static_assert((int)EK_PUT == (int)EK_OPERATION_PUT && (int)EK_GET == (int)EK_OPERATION_GET &&
                   (int)EK_DELETE == (int)EK_OPERATION_DELETE && (int)EK_EXISTS == (int)EK_OPERATION_EXISTS &&
                   (int)EK_INCREMENT == (int)EK_OPERATION_INCREMENT && (int)EK_SCAN == (int)EK_OPERATION_SCAN &&
                   (int)EK_DEAD_LIST == (int)EK_OPERATION_DEAD_LIST && (int)EK_DEAD_DROP == (int)EK_OPERATION_DEAD_DROP &&
                   (int)EK_DEAD_REPLAY == (int)EK_OPERATION_DEAD_REPLAY,
               "kinds are the codes of the wire");

static const char *const unreadable = "the reply could not be read";

const char *ek_outcome_name(enum ek_outcome outcome)
{
    return ek_wire_status_name((enum ek_wire_status)outcome);
}

/* What callers never see became a doubt. */
static enum ek_outcome outcome_of(enum ek_wire_status status)
{
    return status <= EK_WIRE_DEAD && status != EK_WIRE_FORGOTTEN ? (enum ek_outcome)status : EK_OUTCOME_UNKNOWN;
}

static void run_callback(struct ek_session *session, struct ek_call *call, const struct ek_completion *completions, size_t count)
{
    ek_callback callback = call->callback;
    void *context = call->context;
    session->pending_calls--;
    ek_session_free_call(session, call);
    callback(context, completions, count);
}

/* ---- one result ---- */

static bool read_cursor(struct ek_reader *results, struct ek_completion *completion)
{
    struct ek_slice cursor;
    if (ek_decode_cursor(results, &cursor) != EK_OK)
        return false;
    completion->cursor = cursor.data;
    completion->cursor_size = cursor.size;
    return true;
}

static bool read_found(struct ek_session *session, struct ek_reader *results, uint32_t entries, struct ek_completion *completion)
{
    if (entries > EK_SCAN_ENTRIES_MAX)
        return false;
    session->found = ek_grow(session->found, &session->found_capacity, entries, sizeof *session->found);
    for (uint32_t i = 0; i < entries; i++) {
        struct ek_entry entry;
        if (ek_decode_entry(results, &entry) != EK_OK)
            return false;
        session->found[i] = (struct ek_found){.key = entry.key.data,
                                              .key_size = entry.key.size,
                                              .version = entry.version,
                                              .value = entry.value.data,
                                              .value_size = entry.value.size,
                                              .has_ttl = entry.has_ttl,
                                              .ttl_ms = entry.ttl_ms};
    }
    completion->found = session->found;
    completion->found_count = entries;
    return read_cursor(results, completion);
}

static bool read_dead(struct ek_session *session, struct ek_reader *results, uint32_t entries, struct ek_completion *completion)
{
    if (entries > EK_DEAD_LIST_MAX)
        return false;
    session->dead = ek_grow(session->dead, &session->dead_capacity, entries, sizeof *session->dead);
    for (uint32_t i = 0; i < entries; i++) {
        struct ek_letter letter;
        if (ek_decode_letter(results, &letter) != EK_OK)
            return false;
        session->dead[i] = (struct ek_dead_letter){.id = letter.id.data,
                                                   .shard = ek_shard_of(ek_get_u16(letter.id.data), session->welcome.shards),
                                                   .position = ek_letter_position(letter.id),
                                                   .producer = letter.producer,
                                                   .time_unix_ms = letter.time_unix_ms,
                                                   .cause = (const char *)letter.cause.data,
                                                   .cause_size = letter.cause.size,
                                                   .operations = letter.operations,
                                                   .transaction = letter.kind == EK_JOB_TRANSACTION,
                                                   .job = letter.job.data,
                                                   .job_size = letter.job.size};
    }
    completion->dead = session->dead;
    completion->dead_count = entries;
    return read_cursor(results, completion);
}

/* A job whose body is nil: every result is 0, which says enough of these only. */
static bool may_be_nil(enum ek_operation_code code)
{
    return code == EK_OPERATION_PUT || code == EK_OPERATION_DELETE || code == EK_OPERATION_EXISTS || code == EK_OPERATION_DEAD_DROP;
}

/* Reads the next result. `result` holds the text that `completion` points to. */
static bool read_result(struct ek_session *session, struct ek_reader *results, enum ek_operation_code code,
                        struct ek_result *result, struct ek_completion *completion)
{
    bool bare = !ek_read_at_array(results);
    if (ek_decode_result(results, code, result) != EK_OK)
        return false;
    completion->outcome = outcome_of(result->status);
    completion->text = result->text;
    completion->version = result->version;
    if (result->status != EK_WIRE_OK)
        return true;
    if (code == EK_OPERATION_GET)
        completion->reading = (struct ek_reading){.value = result->value.data,
                                                  .value_size = result->value.size,
                                                  .version = result->version,
                                                  .has_ttl = result->has_ttl,
                                                  .ttl_ms = result->ttl_ms};
    completion->number = result->number;
    if (code == EK_OPERATION_SCAN)
        return !bare && read_found(session, results, result->entries, completion);
    if (code == EK_OPERATION_DEAD_LIST)
        return !bare && read_dead(session, results, result->entries, completion);
    return !bare || may_be_nil(code);
}

static uint64_t version_of(const struct ek_pending_job *job, enum ek_operation_code code, size_t index)
{
    return code == EK_OPERATION_PUT || code == EK_OPERATION_INCREMENT ? job->position + index : 0;
}

/* The results behind their count; false: there are not as many as operations. */
static bool open_results(const struct ek_pending_job *job, struct ek_reader *ret)
{
    *ret = ek_reader_of(job->results);
    return job->results.data == NULL || (ek_read_array(ret) == job->operations && ek_reader_ok(ret));
}

static void read_one(struct ek_session *session, const struct ek_pending_job *job, struct ek_reader *results,
                     enum ek_operation_code code, size_t index, struct ek_result *result, struct ek_completion *completion)
{
    *completion = (struct ek_completion){.outcome = EK_OUTCOME_OK, .text = ""};
    bool read = job->results.data ? read_result(session, results, code, result, completion) : may_be_nil(code);
    if (!read) {
        ek_read_fail(results);
        session->counters.unreadable++;
        *completion = (struct ek_completion){.outcome = EK_OUTCOME_UNKNOWN, .text = unreadable};
    } else if (completion->outcome == EK_OUTCOME_OK && code != EK_OPERATION_GET)
        completion->version = version_of(job, code, index);
}

/* ---- a job that was carried out ---- */

/* Sends what did not fit again by itself, and learns how much fits. */
static void ask_alone(struct ek_session *session, const struct ek_pending_job *job, struct ek_call *call, size_t offset,
                      size_t index)
{
    session->read_goal = index > 1 ? (uint32_t)index : 1;
    ek_session_read_alone(session, call, job->serial, ek_slice_of(job->body.data + offset, call->body_bytes));
}

/* With tens of thousands under way the next calls and what their callbacks look at have long left the cache: they are asked for
 * while this one is finished. */
static void fetch_behind(const struct ek_call *call)
{
    const struct ek_call *next = STAILQ_NEXT(call, in_job);
    if (!next)
        return;
    __builtin_prefetch(next->context, 1);
    __builtin_prefetch(STAILQ_NEXT(next, in_job), 1);
}

static size_t finish_batch(struct ek_session *session, struct ek_pending_job *job)
{
    size_t ran = 0;
    size_t offset = EK_BODY_HEAD_BYTES;
    struct ek_reader results;
    struct ek_result result;
    result.status = EK_WIRE_OK; /* all that is looked at when no result is read */
    bool readable = open_results(job, &results);
    if (!readable)
        ek_read_fail(&results);
    if (job->kind == EK_JOB_READ && job->operations >= session->read_goal && session->read_goal < EK_READ_OPERATIONS_MAX)
        session->read_goal *= 2;
    for (size_t index = 0; !STAILQ_EMPTY(&job->calls); index++) {
        struct ek_call *call = STAILQ_FIRST(&job->calls);
        STAILQ_REMOVE_HEAD(&job->calls, in_job);
        fetch_behind(call);
        struct ek_completion completion;
        size_t body_bytes = call->body_bytes;
        if (readable)
            read_one(session, job, &results, (enum ek_operation_code)call->code, index, &result, &completion);
        else
            completion = (struct ek_completion){.outcome = EK_OUTCOME_UNKNOWN, .text = unreadable};
        if (call->state != EK_CALL_WAITS)
            ek_session_free_call(session, call);
        else if (result.status == EK_WIRE_ALONE && !job->alone && completion.text != unreadable)
            ask_alone(session, job, call, offset, index);
        else {
            run_callback(session, call, &completion, 1);
            ran++;
        }
        offset += body_bytes;
    }
    return ran;
}

static size_t finish_transaction(struct ek_session *session, struct ek_pending_job *job, struct ek_call *call)
{
    size_t count = call->count;
    struct ek_reader results;
    struct ek_reader body = ek_reader_of(ek_session_body(session, job));
    struct ek_result result = {0};
    uint32_t operations = 0;
    bool readable = open_results(job, &results) && ek_decode_operation_count(&body, &operations) == EK_OK;
    session->completions = ek_grow(session->completions, &session->completions_capacity, count, sizeof *session->completions);
    for (size_t i = 0; i < count; i++) {
        struct ek_completion *completion = &session->completions[i];
        struct ek_operation operation;
        readable = readable && ek_decode_operation(&body, &operation) == EK_OK;
        if (!readable) {
            *completion = (struct ek_completion){.outcome = EK_OUTCOME_UNKNOWN, .text = unreadable};
            continue;
        }
        read_one(session, job, &results, operation.code, i, &result, completion);
        /* One text's memory cannot serve all of them. */
        completion->text = "";
    }
    run_callback(session, call, session->completions, count);
    return 1;
}

/* ---- a job that was not ---- */

static const char *default_text(enum ek_wire_status status)
{
    switch (status) {
    case EK_WIRE_UNKNOWN:
        return "what became of it is no longer known: it may or may not be applied";
    case EK_WIRE_FORGOTTEN:
        return "the worker no longer knew this client: it may or may not be applied";
    case EK_WIRE_BUSY:
        return "the queues were full until the deadline";
    case EK_WIRE_EXPIRED:
        return "the deadline passed before it could be applied";
    case EK_WIRE_DEAD:
        return "set aside as a dead letter";
    default:
        return "";
    }
}

/* The same outcome for every operation; `[index, result]` tells which one was to blame. */
static size_t finish_refused(struct ek_session *session, struct ek_pending_job *job)
{
    size_t ran = 0;
    struct ek_completion completion = {.outcome = outcome_of(job->status), .text = default_text(job->status)};
    struct ek_reader body = ek_reader_of(job->results);
    struct ek_result result = {0};
    uint32_t index = 0;
    /* Which code is asked for does not matter: a refusal has no fields of its own. */
    if (job->results.data && ek_decode_refused(&body, &index) == EK_OK &&
        ek_decode_result(&body, EK_OPERATION_PUT, &result) == EK_OK) {
        completion.failed_index = index;
        completion.version = result.version;
        completion.text = result.text[0] ? result.text : completion.text;
    }
    while (!STAILQ_EMPTY(&job->calls)) {
        struct ek_call *call = STAILQ_FIRST(&job->calls);
        STAILQ_REMOVE_HEAD(&job->calls, in_job);
        if (call->state != EK_CALL_WAITS) {
            ek_session_free_call(session, call);
            continue;
        }
        run_callback(session, call, &completion, 1);
        ran++;
    }
    return ran;
}

static size_t finish_job(struct ek_session *session, struct ek_pending_job *job)
{
    /* A callback that submits the next operation finds the room of this one. */
    ek_session_discount(session, job);
    struct ek_call *call = STAILQ_FIRST(&job->calls);
    if (job->status != EK_WIRE_OK || !call)
        return finish_refused(session, job);
    if (job->kind != EK_JOB_TRANSACTION)
        return finish_batch(session, job);
    STAILQ_REMOVE_HEAD(&job->calls, in_job);
    return finish_transaction(session, job, call);
}

static void finish_given_up(struct ek_session *session, struct ek_call *call)
{
    ek_callback callback = call->callback;
    void *context = call->context;
    struct ek_completion completion = {.outcome = (enum ek_outcome)call->outcome, .text = call->text};
    session->pending_calls--;
    call->state = EK_CALL_DONE;
    if (!call->job)
        ek_session_free_call(session, call);
    callback(context, &completion, 1);
}

size_t ek_session_drain(struct ek_session *session)
{
    size_t ran = 0;
    for (struct ek_call *call; (call = STAILQ_FIRST(&session->given_up)); ran++) {
        STAILQ_REMOVE_HEAD(&session->given_up, in_given_up);
        finish_given_up(session, call);
    }
    for (struct ek_pending_job *job; (job = TAILQ_FIRST(&session->finished));) {
        TAILQ_REMOVE(&session->finished, job, in_progress);
        ran += finish_job(session, job);
        ek_session_free_job(session, job);
    }
    return ran;
}
