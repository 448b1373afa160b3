#include "common/operations.h"
#include "tests/support/engine_rig.h"
#include "tests/support/run_suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ek_engine_rig rig;

static void set_up(void)
{
    ek_engine_rig_open(&rig, EK_BOOK_LIVE_BYTES_MAX);
}

static void tear_down(void)
{
    ek_engine_rig_done(&rig);
}

static struct ek_worker_job put_job(const char *key, const char *value)
{
    struct ek_operation put = ek_rig_put(key, value);
    return ek_rig_job(&rig, EK_JOB_WRITE, &put, 1);
}

/* A numbered increment of the key "n". */
static struct ek_worker_job numbered(uint64_t producer, uint64_t number)
{
    struct ek_operation increment = ek_rig_increment("n", 1);
    struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_WRITE, &increment, 1);
    job.producer = producer;
    job.number = number;
    job.lowest = 1;
    return job;
}

static uint64_t position_of(const char *key)
{
    return rig.engine->judge.shards[ek_rig_shard(key)].memory.position;
}

/* ---- positions, links, epochs ---- */

START_TEST(what_is_stale_uses_no_position)
{
    struct ek_worker_reply reply;
    struct ek_worker_job job = put_job("a", "1");
    job.epoch = EK_RIG_EPOCH + 1;
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_STALE);
    job.epoch = EK_RIG_EPOCH - 1;
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_STALE);
    job.epoch = EK_RIG_EPOCH;
    struct ek_link old = {rig.link.link - 1, rig.link.generation};
    ck_assert_int_eq(ek_judge_write(&rig.engine->judge, old, &job, &reply), EK_OK);
    ck_assert_int_eq(reply.status, EK_WIRE_STALE);
    struct ek_link older = {rig.link.link, rig.link.generation - 1};
    ck_assert_int_eq(ek_judge_write(&rig.engine->judge, older, &job, &reply), EK_OK);
    ck_assert_int_eq(reply.status, EK_WIRE_STALE);
    job.shard = EK_RIG_SHARDS;
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_STALE);
    ck_assert_uint_eq(position_of("a"), 0);
    ck_assert_ptr_null(ek_rig_value(&rig, "a"));
}
END_TEST

START_TEST(a_released_shard_takes_nothing)
{
    struct ek_holding released = {.shard = ek_rig_shard("a"), .state = EK_HOLDING_RELEASED, .epoch = EK_RIG_EPOCH + 1};
    ck_assert_int_eq(ek_engine_assign(rig.engine, rig.link, &released, 1, NULL), EK_OK);
    struct ek_worker_job job = put_job("a", "1");
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_STALE);
    job.epoch = EK_RIG_EPOCH + 1;
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_STALE);
}
END_TEST

START_TEST(positions_come_in_order)
{
    struct ek_operation two[] = {ek_rig_put("{t}a", "1"), ek_rig_put("{t}b", "2")};
    struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_WRITE, two, 2);
    job.position = 2;
    struct ek_worker_reply reply = ek_rig_run(&rig, &job);
    ck_assert_int_eq(reply.status, EK_WIRE_OUT_OF_ORDER);
    ck_assert_uint_eq(reply.position, 1);
    job.position = 0;
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_OUT_OF_ORDER);
    job.position = 1;
    reply = ek_rig_run(&rig, &job);
    ck_assert_int_eq(reply.status, EK_WIRE_OK);
    ck_assert_uint_eq(reply.position, 1);
    ck_assert_ptr_null(reply.body.data);
    ck_assert_uint_eq(position_of("{t}a"), 2);
}
END_TEST

/* ---- repetition ---- */

START_TEST(a_repeated_thin_job_gets_the_stored_reply)
{
    struct ek_operation increment = ek_rig_increment("a", 5);
    struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_WRITE, &increment, 1);
    struct ek_worker_reply reply = ek_rig_run(&rig, &job);
    ck_assert(!reply.repeated);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_INCREMENT, 0).number, 5);
    reply = ek_rig_run(&rig, &job);
    ck_assert(reply.repeated);
    ck_assert_uint_eq(reply.position, 1);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_INCREMENT, 0).number, 5);
    ck_assert_str_eq(ek_rig_value(&rig, "a"), "5");
    struct ek_worker_job next = put_job("a", "x");
    next.confirmed = 1;
    ck_assert_int_eq(ek_rig_run(&rig, &next).status, EK_WIRE_OK);
    reply = ek_rig_run(&rig, &job);
    ck_assert_int_eq(reply.status, EK_WIRE_UNKNOWN);
    ck_assert_str_eq(ek_rig_value(&rig, "a"), "x");
}
END_TEST

START_TEST(a_number_is_applied_once)
{
    struct ek_worker_job first = numbered(100, 1);
    struct ek_worker_reply reply = ek_rig_run(&rig, &first);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_INCREMENT, 0).number, 1);
    /* once more at the same position, and, from the client, at a new one */
    reply = ek_rig_run(&rig, &first);
    ck_assert(reply.repeated);
    ck_assert_uint_eq(reply.position, 1);
    struct ek_worker_job again = numbered(100, 1);
    ck_assert_uint_eq(again.position, 2);
    reply = ek_rig_run(&rig, &again);
    ck_assert(reply.repeated);
    ck_assert_uint_eq(reply.position, 1);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_INCREMENT, 0).number, 1);
    ck_assert_uint_eq(position_of("n"), 2);
    ck_assert_str_eq(ek_rig_value(&rig, "n"), "1");
    struct ek_worker_job second = numbered(100, 2);
    second.lowest = 2;
    reply = ek_rig_run(&rig, &second);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_INCREMENT, 0).number, 2);
    again = numbered(100, 1);
    again.lowest = 2;
    reply = ek_rig_run(&rig, &again);
    ck_assert_int_eq(reply.status, EK_WIRE_UNKNOWN);
    ck_assert_str_eq(ek_rig_value(&rig, "n"), "2");
}
END_TEST

START_TEST(a_repetition_in_the_same_group_is_recognised)
{
    struct ek_worker_job first = numbered(100, 1);
    ek_rig_begin(&rig);
    (void)ek_rig_judge(&rig, &first);
    struct ek_worker_job again = numbered(100, 1);
    struct ek_worker_reply reply = ek_rig_judge(&rig, &again);
    ck_assert(reply.repeated);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_INCREMENT, 0).number, 1);
    ek_rig_commit(&rig);
    ck_assert_str_eq(ek_rig_value(&rig, "n"), "1");
}
END_TEST

START_TEST(a_gap_uses_the_position_and_no_number)
{
    struct ek_worker_job job = numbered(100, 2);
    struct ek_worker_reply reply = ek_rig_run(&rig, &job);
    ck_assert_int_eq(reply.status, EK_WIRE_GAP);
    ck_assert_uint_eq(reply.position, 1);
    ck_assert_uint_eq(position_of("n"), 1);
    struct ek_worker_job first = numbered(100, 1);
    ck_assert_int_eq(ek_rig_run(&rig, &first).status, EK_WIRE_OK);
    /* the gap's position goes out again after its number became the awaited one: it must not be applied there */
    reply = ek_rig_run(&rig, &job);
    ck_assert_int_eq(reply.status, EK_WIRE_GAP);
    ck_assert_uint_eq(reply.position, 2);
    ck_assert_str_eq(ek_rig_value(&rig, "n"), "1");
    struct ek_worker_job second = numbered(100, 2);
    ck_assert_int_eq(ek_rig_run(&rig, &second).status, EK_WIRE_OK);
    reply = ek_rig_run(&rig, &job);
    ck_assert(reply.repeated);
    ck_assert_uint_eq(reply.position, 3);
}
END_TEST

START_TEST(a_forgotten_producer_is_told_so)
{
    rig.engine->judge.shards[ek_rig_shard("n")].memory.floor = 50;
    struct ek_worker_job job = numbered(50, 1);
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_FORGOTTEN);
    ck_assert_uint_eq(position_of("n"), 1);
    job = numbered(51, 1);
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_OK);
}
END_TEST

START_TEST(what_was_applied_before_its_producer_was_forgotten_is_not_called_forgotten)
{
    struct ek_worker_job job = numbered(50, 1);
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_OK);
    struct ek_producers *memory = &rig.engine->judge.shards[ek_rig_shard("n")].memory;
    for (uint64_t other = 100; other < 100 + EK_PRODUCERS_PER_SHARD_MAX; other++) {
        struct ek_verdict verdict = {.position = memory->position + 1, .count = 1, .producer = other, .number = 1, .used = true};
        ek_producers_record(memory, &verdict);
    }
    /* The worker died before the broker heard of it: the same job again, at its position. */
    struct ek_worker_reply reply = ek_rig_run(&rig, &job);
    ck_assert_int_eq(reply.status, EK_WIRE_UNKNOWN);
    ck_assert(reply.repeated);
    job = numbered(50, 2);
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_FORGOTTEN);
}
END_TEST

static struct ek_worker_job cancel(uint64_t producer, uint64_t number, struct ek_buffer *body)
{
    struct ek_worker_job job = numbered(producer, number);
    ek_encode_cause(body, EK_WIRE_EXPIRED);
    job.kind = EK_JOB_CANCEL;
    job.body = ek_buffer_slice(body);
    return job;
}

START_TEST(a_cancelled_number_is_never_applied)
{
    struct ek_buffer body = {0};
    struct ek_worker_job job = cancel(100, 1, &body);
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_EXPIRED);
    job = numbered(100, 1);
    struct ek_worker_reply reply = ek_rig_run(&rig, &job);
    ck_assert(reply.repeated);
    ck_assert_int_eq(reply.status, EK_WIRE_EXPIRED);
    ck_assert_ptr_null(ek_rig_value(&rig, "n"));
    job = numbered(100, 2);
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_OK);
    ek_buffer_clear(&body);
    job = cancel(100, 2, &body);
    reply = ek_rig_run(&rig, &job);
    ck_assert_int_eq(reply.status, EK_WIRE_OK);
    ck_assert(reply.repeated);
    ek_buffer_clear(&body);
    job = cancel(100, 4, &body);
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_GAP);
    ek_buffer_done(&body);
}
END_TEST

/* STALE, OUT_OF_ORDER and the like mean something else to the broker: that the worker has not taken the job. */
START_TEST(a_number_is_not_cancelled_for_a_cause_that_is_not_final)
{
    static const enum ek_wire_status final[] = {EK_WIRE_USAGE,  EK_WIRE_UNKNOWN,   EK_WIRE_EXPIRED,
                                                EK_WIRE_DENIED, EK_WIRE_TOO_LARGE, EK_WIRE_DEAD};
    for (uint64_t cause = 0; cause < EK_WIRE_STATUS_COUNT; cause++) {
        struct ek_buffer body = {0};
        enum ek_wire_status expected = EK_WIRE_FAILED;
        for (size_t i = 0; i < sizeof final / sizeof *final; i++)
            expected = final[i] == cause ? final[i] : expected;
        struct ek_worker_job job = numbered(100, cause + 1);
        ek_encode_cause(&body, (enum ek_wire_status)cause);
        job.kind = EK_JOB_CANCEL;
        job.body = ek_buffer_slice(&body);
        ck_assert_int_eq(ek_rig_run(&rig, &job).status, expected);
        struct ek_worker_reply again = ek_rig_run(&rig, &job);
        ck_assert(again.repeated);
        ck_assert_int_eq(again.status, expected);
        ek_buffer_done(&body);
    }
}
END_TEST

START_TEST(reads_wait_for_their_clients_writes)
{
    struct ek_worker_reply reply;
    struct ek_worker_job read = numbered(100, 1);
    read.kind = EK_JOB_READ;
    ck_assert(!ek_judge_read(&rig.engine->judge, rig.link, &read, &reply));
    ck_assert_int_eq(reply.status, EK_WIRE_GAP);
    ck_assert_uint_eq(reply.position, 1);
    struct ek_worker_job write = numbered(100, 1);
    (void)ek_rig_run(&rig, &write);
    ck_assert(ek_judge_read(&rig.engine->judge, rig.link, &read, &reply));
    read.number = 2;
    ck_assert(!ek_judge_read(&rig.engine->judge, rig.link, &read, &reply));
    ck_assert_uint_eq(reply.position, 2);
    read.epoch++;
    ck_assert(!ek_judge_read(&rig.engine->judge, rig.link, &read, &reply));
    ck_assert_int_eq(reply.status, EK_WIRE_STALE);
}
END_TEST

/* ---- operations ---- */

START_TEST(every_operation_has_its_own_result)
{
    struct ek_operation operations[] = {ek_rig_put("{t}a", "1"),
                                        ek_rig_key(EK_OPERATION_EXISTS, "{t}a"),
                                        ek_rig_key(EK_OPERATION_EXISTS, "{t}b"),
                                        ek_rig_key(EK_OPERATION_DELETE, "{t}a"),
                                        ek_rig_key(EK_OPERATION_DELETE, "{t}a"),
                                        ek_rig_put("{t}c", "text"),
                                        ek_rig_put("{t}d", "new")};
    struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_WRITE, operations, 7);
    struct ek_worker_reply reply = ek_rig_run(&rig, &job);
    static const enum ek_wire_status wanted[] = {EK_WIRE_OK,        EK_WIRE_OK, EK_WIRE_NOT_FOUND, EK_WIRE_OK,
                                                 EK_WIRE_NOT_FOUND, EK_WIRE_OK, EK_WIRE_OK};
    for (uint32_t i = 0; i < 7; i++)
        ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_DELETE, i).status, wanted[i]);
    ck_assert_ptr_null(ek_rig_value(&rig, "{t}a"));
    ck_assert_str_eq(ek_rig_value(&rig, "{t}c"), "text");
}
END_TEST

START_TEST(increments_are_exact)
{
    struct ek_worker_reply reply = ek_rig_run_one(&rig, EK_JOB_WRITE, ek_rig_increment("n", INT64_MAX));
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_INCREMENT, 0).number, INT64_MAX);
    reply = ek_rig_run_one(&rig, EK_JOB_WRITE, ek_rig_increment("n", 1));
    struct ek_result result = ek_rig_result(&reply, EK_OPERATION_INCREMENT, 0);
    ck_assert_int_eq(result.status, EK_WIRE_FAILED);
    ck_assert_str_eq(result.text, "overflow");
    ck_assert_str_eq(ek_rig_value(&rig, "n"), "9223372036854775807");
    (void)ek_rig_run_one(&rig, EK_JOB_WRITE, ek_rig_put("n", "ten"));
    reply = ek_rig_run_one(&rig, EK_JOB_WRITE, ek_rig_increment("n", 1));
    result = ek_rig_result(&reply, EK_OPERATION_INCREMENT, 0);
    ck_assert_int_eq(result.status, EK_WIRE_FAILED);
    ck_assert_str_eq(result.text, "not a number");
    struct ek_operation operations[] = {ek_rig_put("{t}n", "-7"), ek_rig_increment("{t}n", 3), ek_rig_increment("{t}n", 14)};
    struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_WRITE, operations, 3);
    reply = ek_rig_run(&rig, &job);
    ck_assert_str_eq(ek_rig_value(&rig, "{t}n"), "10");
}
END_TEST

static struct ek_operation conditional(const char *key, uint64_t version)
{
    struct ek_operation put = ek_rig_put(key, "new");
    put.condition = version ? EK_CONDITION_VERSION : EK_CONDITION_ABSENT;
    put.version = version;
    return put;
}

START_TEST(conditions_look_at_the_version)
{
    struct ek_worker_reply reply = ek_rig_run_one(&rig, EK_JOB_WRITE, conditional("a", 5));
    struct ek_result result = ek_rig_result(&reply, EK_OPERATION_PUT, 0);
    ck_assert_int_eq(result.status, EK_WIRE_CONDITION_FAILED);
    ck_assert_uint_eq(result.version, 0);
    reply = ek_rig_run_one(&rig, EK_JOB_WRITE, conditional("a", 0));
    ck_assert_ptr_null(reply.body.data);
    reply = ek_rig_run_one(&rig, EK_JOB_WRITE, conditional("a", 0));
    result = ek_rig_result(&reply, EK_OPERATION_PUT, 0);
    ck_assert_int_eq(result.status, EK_WIRE_CONDITION_FAILED);
    ck_assert_uint_eq(result.version, 2);
    /* in one group: the second sees the first, whose version is its position */
    struct ek_operation operations[] = {conditional("a", 2), conditional("a", 4), conditional("a", 4)};
    struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_WRITE, operations, 3);
    reply = ek_rig_run(&rig, &job);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_PUT, 0).status, EK_WIRE_OK);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_PUT, 1).status, EK_WIRE_OK);
    ck_assert_uint_eq(ek_rig_result(&reply, EK_OPERATION_PUT, 2).version, 5);
}
END_TEST

START_TEST(expiry_is_judged_by_the_stamp)
{
    struct ek_operation put = ek_rig_put("a", "7");
    put.ttl_ms = 500;
    struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_WRITE, &put, 1);
    (void)ek_rig_run(&rig, &job); /* at 1000 */
    struct ek_operation exists = ek_rig_key(EK_OPERATION_EXISTS, "a");
    job = ek_rig_job(&rig, EK_JOB_WRITE, &exists, 1);
    job.stamp_unix_ms = 1499;
    struct ek_worker_reply reply = ek_rig_run(&rig, &job);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_EXISTS, 0).status, EK_WIRE_OK);
    struct ek_operation increment = ek_rig_increment("a", 1);
    job = ek_rig_job(&rig, EK_JOB_WRITE, &increment, 1);
    job.stamp_unix_ms = 1499;
    (void)ek_rig_run(&rig, &job); /* keeps the expiry */
    job = ek_rig_job(&rig, EK_JOB_WRITE, &increment, 1);
    job.stamp_unix_ms = 1500;
    reply = ek_rig_run(&rig, &job);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_INCREMENT, 0).number, 1);
    job = ek_rig_job(&rig, EK_JOB_WRITE, &exists, 1);
    job.stamp_unix_ms = 1ull << 40; /* what began anew has no expiry */
    reply = ek_rig_run(&rig, &job);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_EXISTS, 0).status, EK_WIRE_OK);
}
END_TEST

START_TEST(a_transaction_is_whole_or_nothing)
{
    struct ek_operation good[] = {ek_rig_put("{t}a", "1"), ek_rig_increment("{t}b", 2), ek_rig_key(EK_OPERATION_DELETE, "{t}z")};
    struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_TRANSACTION, good, 3);
    struct ek_worker_reply reply = ek_rig_run(&rig, &job);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_INCREMENT, 1).number, 2);
    struct ek_operation bad[] = {ek_rig_put("{t}a", "2"), ek_rig_put("{t}c", "x"), ek_rig_key(EK_OPERATION_DELETE, "{t}b"),
                                 conditional("{t}a", 99)};
    ek_rig_begin(&rig);
    struct ek_operation before = ek_rig_put("{t}c", "before");
    struct ek_worker_job first = ek_rig_job(&rig, EK_JOB_WRITE, &before, 1);
    (void)ek_rig_judge(&rig, &first);
    job = ek_rig_job(&rig, EK_JOB_TRANSACTION, bad, 4);
    reply = ek_rig_judge(&rig, &job);
    ck_assert_int_eq(reply.status, EK_WIRE_CONDITION_FAILED);
    struct ek_reader body = ek_reader_of(reply.body);
    uint32_t index;
    struct ek_result result;
    ck_assert_int_eq(ek_decode_refused(&body, &index), EK_OK);
    ck_assert_uint_eq(index, 3);
    ck_assert_int_eq(ek_decode_result(&body, EK_OPERATION_PUT, &result), EK_OK);
    ck_assert_uint_eq(result.version, 5); /* of the transaction's own first put */
    struct ek_operation after = ek_rig_increment("{t}b", 1);
    struct ek_worker_job last = ek_rig_job(&rig, EK_JOB_WRITE, &after, 1);
    reply = ek_rig_judge(&rig, &last);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_INCREMENT, 0).number, 3);
    ek_rig_commit(&rig);
    ck_assert_str_eq(ek_rig_value(&rig, "{t}a"), "1");
    ck_assert_str_eq(ek_rig_value(&rig, "{t}b"), "3");
    ck_assert_str_eq(ek_rig_value(&rig, "{t}c"), "before");
    ck_assert_uint_eq(position_of("{t}a"), 9);
}
END_TEST

START_TEST(a_transaction_needs_one_tag)
{
    struct ek_operation same[] = {ek_rig_put("a", "1"), ek_rig_increment("a", 2)};
    struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_TRANSACTION, same, 2);
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_OK);
    /* another key of the same shard */
    char other[16];
    for (int i = 0; i == 0 || ek_rig_shard(other) != ek_rig_shard("a"); i++)
        (void)snprintf(other, sizeof other, "k%d", i);
    struct ek_operation mixed[] = {ek_rig_put("a", "9"), ek_rig_put(other, "9")};
    job = ek_rig_job(&rig, EK_JOB_TRANSACTION, mixed, 2);
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_FAILED);
    ck_assert_str_eq(ek_rig_value(&rig, "a"), "3");
}
END_TEST

/* ---- jobs that cannot be carried out ---- */

static void check_failed(const struct ek_worker_job *job, uint32_t wanted_index)
{
    uint64_t before = rig.engine->judge.shards[job->shard].memory.position;
    struct ek_worker_reply reply = ek_rig_run(&rig, job);
    ck_assert_int_eq(reply.status, EK_WIRE_FAILED);
    struct ek_reader body = ek_reader_of(reply.body);
    uint32_t index;
    struct ek_result result;
    ck_assert_int_eq(ek_decode_refused(&body, &index), EK_OK);
    ck_assert_uint_eq(index, wanted_index);
    ck_assert_int_eq(ek_decode_result(&body, EK_OPERATION_PUT, &result), EK_OK);
    ck_assert_int_eq(result.status, EK_WIRE_FAILED);
    ck_assert_uint_gt(strlen(result.text), 5);
    ck_assert_uint_eq(rig.engine->judge.shards[job->shard].memory.position, before + job->count);
    struct ek_worker_job again = *job;
    reply = ek_rig_run(&rig, &again);
    ck_assert_int_eq(reply.status, EK_WIRE_FAILED);
    ck_assert(reply.repeated);
}

START_TEST(what_cannot_be_applied_fails_and_is_remembered)
{
    struct ek_operation operations[] = {ek_rig_put("{t}a", "1"), ek_rig_put("foreign", "1")};
    ck_assert_uint_ne(ek_rig_shard("{t}a"), ek_rig_shard("foreign"));
    struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_WRITE, operations, 2);
    check_failed(&job, 1);
    operations[1] = ek_rig_key(EK_OPERATION_GET, "{t}a");
    job = ek_rig_job(&rig, EK_JOB_WRITE, operations, 2);
    check_failed(&job, 1);
    operations[1] = ek_rig_put("{t}b", "1");
    job = ek_rig_job(&rig, EK_JOB_DELETE, operations, 2);
    check_failed(&job, 0);
    job = ek_rig_job(&rig, EK_JOB_WRITE, operations, 2);
    job.body.size--;
    check_failed(&job, 1);
    ck_assert_ptr_null(ek_rig_value(&rig, "{t}a"));
    static struct ek_operation many[100];
    for (int i = 0; i < 100; i++)
        many[i] = ek_rig_increment("{t}n", 1);
    job = ek_rig_job(&rig, EK_JOB_WRITE, many, 100);
    check_failed(&job, 85);
    ck_assert_ptr_null(ek_rig_value(&rig, "{t}n"));
    job = ek_rig_job(&rig, EK_JOB_WRITE, many, 85);
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_OK);
    ck_assert_str_eq(ek_rig_value(&rig, "{t}n"), "85");
}
END_TEST

START_TEST(bodies_of_garbage_end_nothing)
{
    unsigned seed = 8;
    uint8_t bytes[64];
    for (int i = 0; i < 3000; i++) {
        struct ek_worker_job job = put_job("a", "1");
        size_t size = 1 + (size_t)rand_r(&seed) % sizeof bytes;
        memcpy(bytes, job.body.data, job.body.size < sizeof bytes ? job.body.size : sizeof bytes);
        for (int j = 0; j < 4; j++)
            bytes[(size_t)rand_r(&seed) % sizeof bytes] = (uint8_t)rand_r(&seed);
        bytes[0] = 0x91;
        job.kind = (enum ek_job_kind)(1 + rand_r(&seed) % 4);
        job.body = ek_slice_of(bytes, size);
        ek_rig_begin(&rig);
        (void)ek_rig_judge(&rig, &job);
    }
    ck_assert_uint_eq(position_of("a"), 3000);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("judge");
    TCase *tests = tcase_create("judge");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_is_stale_uses_no_position);
    tcase_add_test(tests, a_released_shard_takes_nothing);
    tcase_add_test(tests, positions_come_in_order);
    tcase_add_test(tests, a_repeated_thin_job_gets_the_stored_reply);
    tcase_add_test(tests, a_number_is_applied_once);
    tcase_add_test(tests, a_repetition_in_the_same_group_is_recognised);
    tcase_add_test(tests, a_gap_uses_the_position_and_no_number);
    tcase_add_test(tests, a_forgotten_producer_is_told_so);
    tcase_add_test(tests, what_was_applied_before_its_producer_was_forgotten_is_not_called_forgotten);
    tcase_add_test(tests, a_cancelled_number_is_never_applied);
    tcase_add_test(tests, a_number_is_not_cancelled_for_a_cause_that_is_not_final);
    tcase_add_test(tests, reads_wait_for_their_clients_writes);
    tcase_add_test(tests, every_operation_has_its_own_result);
    tcase_add_test(tests, increments_are_exact);
    tcase_add_test(tests, conditions_look_at_the_version);
    tcase_add_test(tests, expiry_is_judged_by_the_stamp);
    tcase_add_test(tests, a_transaction_is_whole_or_nothing);
    tcase_add_test(tests, a_transaction_needs_one_tag);
    tcase_add_test(tests, what_cannot_be_applied_fails_and_is_remembered);
    tcase_add_test(tests, bodies_of_garbage_end_nothing);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
