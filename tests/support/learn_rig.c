#include "tests/support/learn_rig.h"

#include "common/codec.h"
#include "common/letters.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

struct learn_rig learn;

void learn_setup(void)
{
    learn = (struct learn_rig){.attempt = {.shard = ek_rig_shard(LEARN_KEY("")), .number = 19}};
    ek_engine_rig_open(&learn.source, EK_BOOK_LIVE_BYTES_MAX);
    ek_engine_rig_open(&learn.target, EK_BOOK_LIVE_BYTES_MAX);
    for (uint16_t i = 0; i < EK_RIG_SHARDS; i++)
        ek_engine_rig_assign(&learn.target, i, EK_HOLDING_RELEASED, EK_RIG_EPOCH);
}

void learn_teardown(void)
{
    ek_copy_destroy(&learn.copy);
    ek_buffer_done(&learn.message);
    ek_engine_rig_done(&learn.source);
    ek_engine_rig_done(&learn.target);
}

/* ---- steps ---- */

struct ek_move_report learn_run(struct ek_engine_rig *rig, struct ek_learn_step *step)
{
    struct ek_error error = {0};
    step->link = rig->link;
    if (!step->attempt.number)
        step->attempt = learn.attempt;
    ck_assert_msg(ek_learn_run(rig->engine, step, &error) == EK_OK, "%s", error.text);
    ck_assert_int_eq(step->report.step != 0, step->reports);
    if (step->reports)
        ck_assert_uint_eq(step->report.attempt.shard, step->attempt.shard);
    return step->report;
}

struct ek_move_report learn_do(struct ek_engine_rig *rig, enum ek_learn_kind kind)
{
    struct ek_learn_step step = {.kind = kind, .epoch = EK_RIG_EPOCH};
    struct ek_move_report report = learn_run(rig, &step);
    ek_learn_step_done(&step);
    return report;
}

void learn_fill(void)
{
    ck_assert_int_eq(learn_do(&learn.target, EK_LEARN_FILL).step, EK_MOVED_EMPTIED);
    ck_assert_int_eq(learn_shard(&learn.target)->state, EK_HOLDING_FILLING);
    ck_assert_uint_eq(learn_rows(&learn.target), 0);
}

void learn_open_copy(void)
{
    struct ek_learn_step step = {.kind = EK_LEARN_COPY};
    struct ek_move_report report = learn_run(&learn.source, &step);
    ck_assert_int_eq(report.step, EK_MOVED_COPYING);
    ck_assert_uint_eq(report.position, learn_shard(&learn.source)->memory.position);
    ek_copy_destroy(&learn.copy);
    learn.copy = step.copy;
}

void learn_get_chunk(uint64_t chunk)
{
    struct ek_error error = {0};
    enum ek_message_type type;
    struct ek_reader fields;
    ek_buffer_clear(&learn.message);
    ck_assert_int_eq(ek_copy_chunk(learn.copy, 1, chunk, &learn.message, &error), EK_OK);
    ck_assert_int_eq(ek_decode_type(ek_buffer_slice(&learn.message), &type, &fields), EK_OK);
    ck_assert_int_eq(type, EK_MESSAGE_COPY_CHUNK);
    ck_assert_int_eq(ek_decode_copy_chunk(&fields, &learn.chunk), EK_OK);
    ck_assert_uint_eq(learn.chunk.chunk, chunk);
}

struct ek_move_report learn_take_chunk(void)
{
    struct ek_learn_step step = {.kind = EK_LEARN_CHUNK, .position = ek_copy_position(learn.copy), .chunk = learn.chunk};
    return learn_run(&learn.target, &step);
}

struct ek_move_report learn_take_all(void)
{
    struct ek_move_report report;
    uint64_t chunk = 0;
    do {
        learn_get_chunk(chunk++);
        report = learn_take_chunk();
    } while (report.step == EK_MOVED_FETCHED && !learn.chunk.last);
    return report;
}

struct ek_move_report learn_verify(void)
{
    struct ek_learn_step step;
    do {
        step = (struct ek_learn_step){.kind = EK_LEARN_VERIFY};
        (void)learn_run(&learn.target, &step);
    } while (step.more);
    return step.report;
}

uint64_t learn_complete(void)
{
    learn_fill();
    learn_open_copy();
    ck_assert_int_eq(learn_take_all().step, EK_MOVED_FETCHED);
    ck_assert_int_eq(learn_shard(&learn.target)->state, EK_HOLDING_FILLING);
    struct ek_move_report report = learn_verify();
    ck_assert_msg(report.step == EK_MOVED_COMPLETE, "step %d: %s", (int)report.step, report.text);
    ck_assert_int_eq(learn_shard(&learn.target)->state, EK_HOLDING_LEARNER);
    ck_assert_uint_eq(report.position, ek_copy_position(learn.copy));
    return report.position;
}

/* ---- behind the copy ---- */

struct ek_fed learn_fed(const struct ek_worker_job *job, const struct ek_worker_reply *reply)
{
    struct ek_fed fed = {.job = *job, .reply = *reply};
    fed.job.token = fed.reply.token = learn.attempt.number;
    fed.job.epoch = 0;
    return fed;
}

struct ek_fed learn_write(enum ek_job_kind kind, struct ek_operation operation, uint64_t producer, uint64_t number)
{
    static struct ek_buffer bodies[8];
    static size_t next;
    struct ek_buffer *body = &bodies[next++ % 8];
    struct ek_worker_job job = ek_rig_job(&learn.source, kind, &operation, 1);
    job.producer = producer;
    job.number = number;
    job.lowest = number ? 1 : 0;
    struct ek_worker_reply reply = ek_rig_run(&learn.source, &job);
    ek_buffer_clear(body);
    if (reply.body.data) {
        ek_buffer_append(body, reply.body.data, reply.body.size);
        reply.body = ek_buffer_slice(body);
    }
    return learn_fed(&job, &reply);
}

struct ek_fed learn_set_aside(struct ek_operation operation)
{
    static struct ek_buffer bodies[2];
    static size_t next;
    struct ek_buffer *body = &bodies[next++ % 2];
    struct ek_worker_job job = ek_rig_job(&learn.source, EK_JOB_WRITE, &operation, 1);
    struct ek_dead dead = {
        .cause = ek_slice_text("it died"), .time_unix_ms = 5, .kind = job.kind, .operations = 1, .job = job.body};
    ek_buffer_clear(body);
    ek_encode_dead(body, &dead);
    job.kind = EK_JOB_DEAD;
    job.body = ek_buffer_slice(body);
    struct ek_worker_reply reply = ek_rig_run(&learn.source, &job);
    ck_assert_int_eq(reply.status, EK_WIRE_DEAD);
    return learn_fed(&job, &reply);
}

struct ek_move_report learn_feed(const struct ek_fed *fed, uint32_t count)
{
    struct ek_learn_step step = {.kind = EK_LEARN_FEED, .fed = ek_alloc(count * sizeof *fed), .fed_count = count};
    memcpy(step.fed, fed, count * sizeof *fed);
    struct ek_move_report report = learn_run(&learn.target, &step);
    ek_learn_step_done(&step);
    return report;
}

/* ---- what both have ---- */

struct ek_judge_shard *learn_shard(struct ek_engine_rig *rig)
{
    return &rig->engine->judge.shards[learn.attempt.shard];
}

static size_t dump(struct ek_engine_rig *rig, struct ek_buffer *out)
{
    struct ek_copy_range range = ek_copy_range_of(learn.attempt.shard, EK_RIG_SHARDS);
    size_t count = 0;
    for (int space = 0; space < 2; space++) {
        struct ek_slice key;
        struct ek_slice value;
        struct ek_store_cursor *cursor =
            ek_store_walk(rig->store, (enum ek_store_space)space, ek_copy_first(&range, (enum ek_store_space)space),
                          ek_copy_end(&range, (enum ek_store_space)space));
        for (; ek_store_cursor_entry(cursor, &key, &value); ek_store_cursor_step(cursor), count++) {
            ek_buffer_append(out, key.data, key.size);
            ek_buffer_append(out, "=", 1);
            ek_buffer_append(out, value.data, value.size);
            ek_buffer_append(out, "\n", 1);
        }
        ck_assert_int_eq(ek_store_cursor_close(&cursor, NULL), EK_OK);
    }
    return count;
}

size_t learn_rows(struct ek_engine_rig *rig)
{
    struct ek_buffer all = {0};
    size_t count = dump(rig, &all);
    ek_buffer_done(&all);
    return count;
}

void learn_check_equal(void)
{
    struct ek_buffer one = {0}, other = {0};
    (void)dump(&learn.source, &one);
    (void)dump(&learn.target, &other);
    ck_assert(ek_slice_equal(ek_buffer_slice(&one), ek_buffer_slice(&other)));
    ek_book_encode_snapshot(&one, &learn_shard(&learn.source)->memory);
    ek_book_encode_snapshot(&other, &learn_shard(&learn.target)->memory);
    ck_assert(ek_slice_equal(ek_buffer_slice(&one), ek_buffer_slice(&other)));
    ck_assert_uint_eq(learn_shard(&learn.source)->letters, learn_shard(&learn.target)->letters);
    ck_assert_uint_eq(learn_shard(&learn.source)->letter_bytes, learn_shard(&learn.target)->letter_bytes);
    ek_buffer_done(&one);
    ek_buffer_done(&other);
}

void learn_restart_target(void)
{
    ek_engine_rig_reopen(&learn.target);
}
