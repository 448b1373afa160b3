#include "tests/support/session_rig.h"

#include "common/codec.h"
#include "common/operations.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 5000, TURNS_MAX = 100000 };

void ek_rig_init(struct ek_rig *rig, const struct ek_session_options *options)
{
    struct ek_session_options filled = options ? *options : (struct ek_session_options){0};
    filled.seed = filled.seed ? filled.seed : 1;
    filled.timeout_ms = filled.timeout_ms ? filled.timeout_ms : TIMEOUT_MS;
    filled.pending_bytes_max = filled.pending_bytes_max ? filled.pending_bytes_max : (size_t)64 * EK_MIB;
    *rig = (struct ek_rig){.now_us = 1000000000, .next_producer = 1000};
    rig->welcome = (struct ek_welcome){.generation = 1, .connection = 1, .shards = 512, .now_unix_ms = 1};
    memset(rig->welcome.cluster.bytes, 7, sizeof rig->welcome.cluster.bytes);
    rig->session = ek_session_new(&filled, rig->now_us);
}

void ek_rig_clear_jobs(struct ek_rig *rig)
{
    for (size_t i = 0; i < rig->job_count; i++)
        free((void *)(uintptr_t)rig->jobs[i].job.body.data);
    rig->job_count = 0;
}

void ek_rig_done(struct ek_rig *rig)
{
    ek_session_destroy(&rig->session);
    ek_rig_clear_jobs(rig);
    free(rig->jobs);
}

void ek_rig_deliver(struct ek_rig *rig, struct ek_slice message)
{
    ek_session_receive(rig->session, message, rig->now_us);
    (void)ek_session_drain(rig->session);
}

void ek_rig_send_welcome(struct ek_rig *rig, uint64_t hello)
{
    struct ek_welcome welcome = rig->welcome;
    struct ek_buffer message = {0};
    welcome.id = hello;
    welcome.producer = rig->last_hello.wants_producer && !rig->no_wishes ? rig->next_producer++ : 0;
    ek_encode_welcome(&message, &welcome);
    ek_rig_deliver(rig, ek_buffer_slice(&message));
    ek_buffer_done(&message);
}

static void take_jobs(struct ek_rig *rig, struct ek_reader *fields)
{
    uint32_t count;
    ck_assert_int_eq(ek_decode_count(fields, EK_ENVELOPE_JOBS_MAX, &count), EK_OK);
    ck_assert_uint_gt(count, 0);
    for (uint32_t i = 0; i < count; i++) {
        rig->jobs = ek_grow(rig->jobs, &rig->job_capacity, rig->job_count + 1, sizeof *rig->jobs);
        struct ek_rig_job *job = &rig->jobs[rig->job_count++];
        ck_assert_int_eq(ek_decode_job(fields, &job->job), EK_OK);
        job->job.body.data = ek_slice_copy(job->job.body);
        job->envelope = rig->envelopes;
        job->at_us = rig->now_us;
    }
    rig->envelopes++;
    ck_assert_int_eq(ek_decode_end(fields), EK_OK);
}

static void take_message(struct ek_rig *rig, struct ek_slice message)
{
    enum ek_message_type type;
    struct ek_reader fields;
    ck_assert_uint_le(message.size, EK_ENVELOPE_BYTES_MAX);
    ck_assert_int_eq(ek_decode_type(message, &type, &fields), EK_OK);
    if (type == EK_MESSAGE_HELLO) {
        rig->hellos++;
        ck_assert_int_eq(ek_decode_hello(&fields, &rig->last_hello), EK_OK);
        if (!rig->deaf)
            ek_rig_send_welcome(rig, rig->last_hello.id);
    } else if (type == EK_MESSAGE_QUERY)
        ck_assert_int_eq(ek_decode_query(&fields, &rig->last_query), EK_OK);
    else {
        ck_assert_int_eq(type, EK_MESSAGE_JOBS);
        if (message.size > rig->largest_envelope_bytes)
            rig->largest_envelope_bytes = message.size;
        take_jobs(rig, &fields);
    }
}

void ek_rig_turn(struct ek_rig *rig)
{
    struct ek_owned message;
    size_t ran;
    int turns = 0;
    do {
        ek_session_tick(rig->session, rig->now_us);
        ran = ek_session_drain(rig->session);
        while (ek_session_output(rig->session, rig->now_us, &message)) {
            take_message(rig, message.message);
            free(message.memory);
            ck_assert_int_lt(++turns, TURNS_MAX);
        }
    } while (ran);
}

void ek_rig_advance(struct ek_rig *rig, uint64_t time_us)
{
    uint64_t end_us = rig->now_us + time_us;
    int turns = 0;
    ek_rig_turn(rig);
    for (uint64_t due_us; (due_us = ek_session_due_us(rig->session)) <= end_us;) {
        /* Work that is due but cannot be done must not make the edge spin. */
        ck_assert_int_lt(++turns, TURNS_MAX);
        if (due_us > rig->now_us)
            rig->now_us = due_us;
        ek_rig_turn(rig);
    }
    rig->now_us = end_us;
    ek_rig_turn(rig);
}

static void reply(struct ek_rig *rig, const struct ek_reply *reply)
{
    struct ek_envelope envelope = {0};
    ek_encode_reply(&envelope, reply);
    struct ek_owned message = ek_envelope_seal(&envelope, EK_MESSAGE_REPLIES, NULL);
    ek_rig_deliver(rig, message.message);
    free(message.memory);
    ek_rig_turn(rig);
}

void ek_rig_reply(struct ek_rig *rig, uint64_t id, enum ek_wire_status status, uint64_t position, const struct ek_buffer *body)
{
    reply(rig, &(struct ek_reply){
                   .id = id, .status = status, .position = position, .body = body ? ek_buffer_slice(body) : ek_slice_of(NULL, 0)});
}

void ek_rig_reply_busy(struct ek_rig *rig, uint64_t id, uint32_t retry_ms)
{
    reply(rig, &(struct ek_reply){.id = id, .status = EK_WIRE_BUSY, .retry_ms = retry_ms});
}

const struct ek_rig_job *ek_rig_job(const struct ek_rig *rig, size_t index)
{
    ck_assert_msg(index < rig->job_count, "job %zu was not sent, only %zu were", index, rig->job_count);
    return &rig->jobs[index];
}

struct ek_operation ek_rig_operation(const struct ek_job *job, size_t index)
{
    struct ek_reader body = ek_reader_of(job->body);
    struct ek_operation operation = {0};
    uint32_t count;
    ck_assert_int_eq(ek_decode_operation_count(&body, &count), EK_OK);
    ck_assert_uint_lt(index, count);
    for (size_t i = 0; i <= index; i++)
        ck_assert_int_eq(ek_decode_operation(&body, &operation), EK_OK);
    return operation;
}

void ek_rig_take_note(void *context, const struct ek_completion *completions, size_t count)
{
    struct ek_rig_note *note = context;
    note->calls++;
    note->count = count;
    note->last = *completions;
    (void)snprintf(note->text, sizeof note->text, "%s", completions->text);
    (void)snprintf(note->value, sizeof note->value, "%.*s", (int)completions->reading.value_size,
                   completions->reading.value ? (const char *)completions->reading.value : "");
    note->found_version = completions->found_count ? completions->found[0].version : 0;
    note->has_cursor = completions->cursor != NULL;
}

static void submit(struct ek_rig *rig, const struct ek_request *request, uint32_t timeout_ms, struct ek_rig_note *note)
{
    ck_assert_int_eq(ek_session_submit(rig->session, request, timeout_ms, ek_rig_take_note, note, rig->now_us), EK_OUTCOME_OK);
}

void ek_rig_put(struct ek_rig *rig, const char *key, const char *value, struct ek_rig_note *note)
{
    submit(rig,
           &(struct ek_request){.kind = EK_PUT, .key = key, .key_size = strlen(key), .value = value, .value_size = strlen(value)},
           0, note);
}

void ek_rig_submit(struct ek_rig *rig, enum ek_operation_kind kind, const char *key, uint32_t timeout_ms, struct ek_rig_note *note)
{
    submit(rig, &(struct ek_request){.kind = kind, .key = key, .key_size = strlen(key), .by = 1}, timeout_ms, note);
}
