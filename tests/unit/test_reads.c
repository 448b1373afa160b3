#include "worker/reads.h"
#include "worker/rows.h"
#include "common/codec.h"
#include "common/hash.h"
#include "common/operations.h"
#include "common/writer.h"
#include "tests/support/engine_rig.h"
#include "tests/support/run_suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JOBS_MAX = 300 };

static struct ek_engine_rig rig;
static struct ek_reads reads;
static struct ek_answers answers;
static struct ek_buffer copy;

static void set_up(void)
{
    ek_engine_rig_open(&rig, EK_BOOK_LIVE_BYTES_MAX);
}

static void tear_down(void)
{
    ek_reads_done(&reads);
    ek_answers_done(&answers);
    ek_buffer_done(&copy);
    ek_engine_rig_done(&rig);
}

static void put(const char *key, struct ek_slice value, uint64_t ttl_ms)
{
    struct ek_operation operation = {.code = EK_OPERATION_PUT, .key = ek_slice_text(key), .value = value, .ttl_ms = ttl_ms};
    ck_assert_int_eq(ek_rig_run_one(&rig, EK_JOB_WRITE, operation).status, EK_WIRE_OK);
}

static void put_text(const char *key, const char *value)
{
    put(key, ek_slice_text(value), 0);
}

static struct ek_reads_source source(void)
{
    return (struct ek_reads_source){.store = rig.store, .stamps = &rig.engine->stamps, .shards = EK_RIG_SHARDS};
}

/* Serves jobs and gives the replies, in the order of the jobs; bodies live until the next call. */
static void serve(const struct ek_worker_job *jobs, size_t count, struct ek_worker_reply *ret)
{
    struct ek_read asked[JOBS_MAX];
    uint32_t bytes[JOBS_MAX];
    struct ek_error error = {0};
    for (size_t i = 0; i < count; i++)
        asked[i] = (struct ek_read){.link = rig.link, .job = &jobs[i]};
    for (size_t at = 0, done; at < count; at += done) {
        ck_assert_msg(ek_reads_run(&reads, source(), asked + at, count - at, &answers, bytes + at, &done, &error) == EK_OK, "%s",
                      error.text);
        ck_assert_uint_gt(done, 0);
    }
    ek_answers_seal(&answers);
    size_t total = 0;
    for (const struct ek_answer_message *message = ek_answers_peek(&answers); message; message = message->next)
        total += message->owned.message.size;
    ek_buffer_clear(&copy);
    (void)ek_buffer_reserve(&copy, total);
    size_t got = 0;
    for (; ek_answers_peek(&answers); ek_answers_pop(&answers, false)) {
        const uint8_t *start = copy.data + copy.size;
        struct ek_slice message = ek_answers_peek(&answers)->owned.message;
        ek_buffer_append(&copy, message.data, message.size);
        enum ek_message_type type;
        struct ek_reader fields;
        struct ek_link link;
        uint32_t replies;
        ck_assert_uint_le(message.size, EK_ENVELOPE_BYTES_MAX);
        ck_assert_int_eq(ek_decode_type(ek_slice_of(start, message.size), &type, &fields), EK_OK);
        ck_assert_int_eq(type, EK_MESSAGE_WORKER_REPLIES);
        ck_assert_int_eq(ek_decode_link(&fields, &link), EK_OK);
        ck_assert_int_eq(ek_decode_count(&fields, EK_ENVELOPE_JOBS_MAX, &replies), EK_OK);
        for (uint32_t i = 0; i < replies; i++, got++) {
            ck_assert_int_eq(ek_decode_worker_reply(&fields, &ret[got]), EK_OK);
            ck_assert_uint_eq(ret[got].token, jobs[got].token);
        }
        ck_assert_int_eq(ek_decode_end(&fields), EK_OK);
    }
    ck_assert_uint_eq(got, count);
}

static struct ek_worker_reply serve_one(const struct ek_operation *operations, size_t count)
{
    struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_READ, operations, count);
    struct ek_worker_reply reply;
    serve(&job, 1, &reply);
    return reply;
}

static struct ek_operation get(const char *key)
{
    return ek_rig_key(EK_OPERATION_GET, key);
}

START_TEST(gets_answer_in_the_order_asked)
{
    put_text("{t}b", "2");
    put_text("{t}a", "1");
    put("{t}e", ek_slice_text(""), 0);
    struct ek_operation operations[] = {
        get("{t}b"), get("{t}zz"), get("{t}a"), ek_rig_key(EK_OPERATION_EXISTS, "{t}a"), ek_rig_key(EK_OPERATION_EXISTS, "{t}x"),
        get("{t}a"), get("{t}e")};
    struct ek_worker_reply reply = serve_one(operations, 7);
    struct ek_result result = ek_rig_result(&reply, EK_OPERATION_GET, 0);
    ck_assert(ek_slice_equal(result.value, ek_slice_text("2")));
    ck_assert_uint_eq(result.version, 1);
    ck_assert(!result.has_ttl);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_GET, 1).status, EK_WIRE_NOT_FOUND);
    ck_assert(ek_slice_equal(ek_rig_result(&reply, EK_OPERATION_GET, 2).value, ek_slice_text("1")));
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_GET, 3).status, EK_WIRE_OK);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_GET, 4).status, EK_WIRE_NOT_FOUND);
    ck_assert_uint_eq(ek_rig_result(&reply, EK_OPERATION_GET, 5).version, 2);
    ck_assert_uint_eq(ek_rig_result(&reply, EK_OPERATION_GET, 6).value.size, 0);
}
END_TEST

START_TEST(the_stamp_decides_what_has_expired)
{
    put("a", ek_slice_text("1"), 500); /* at 1000 */
    struct ek_operation operations[] = {get("a"), ek_rig_key(EK_OPERATION_EXISTS, "a")};
    struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_READ, operations, 2);
    struct ek_worker_reply reply;
    job.stamp_unix_ms = 1100;
    serve(&job, 1, &reply);
    struct ek_result result = ek_rig_result(&reply, EK_OPERATION_GET, 0);
    ck_assert(result.has_ttl);
    ck_assert_uint_eq(result.ttl_ms, 400);
    job.stamp_unix_ms = 1500;
    serve(&job, 1, &reply);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_GET, 0).status, EK_WIRE_NOT_FOUND);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_GET, 1).status, EK_WIRE_NOT_FOUND);
}
END_TEST

START_TEST(many_jobs_at_once_get_their_own_rows)
{
    static char keys[JOBS_MAX][16];
    static struct ek_buffer bodies[JOBS_MAX];
    struct ek_worker_job jobs[JOBS_MAX];
    struct ek_worker_reply replies[JOBS_MAX];
    for (int i = 0; i < JOBS_MAX; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "key%d", i);
        if (i % 3)
            put_text(keys[i], keys[i]);
        struct ek_operation operation = get(keys[i]);
        jobs[i] = ek_rig_job(&rig, EK_JOB_READ, &operation, 1);
        ek_buffer_append(&bodies[i], jobs[i].body.data, jobs[i].body.size);
        jobs[i].body = ek_buffer_slice(&bodies[i]);
    }
    serve(jobs, JOBS_MAX, replies);
    for (int i = 0; i < JOBS_MAX; i++) {
        struct ek_result result = ek_rig_result(&replies[i], EK_OPERATION_GET, 0);
        ck_assert_int_eq(result.status, i % 3 ? EK_WIRE_OK : EK_WIRE_NOT_FOUND);
        if (i % 3)
            ck_assert(ek_slice_equal(result.value, ek_slice_text(keys[i])));
        ek_buffer_done(&bodies[i]);
    }
}
END_TEST

START_TEST(what_does_not_fit_is_to_be_asked_for_alone)
{
    enum { ROWS = 70, VALUE_BYTES = 100000 };
    static char keys[ROWS][16];
    static struct ek_operation operations[ROWS];
    uint8_t *value = ek_alloc_zero(1, VALUE_BYTES);
    for (int i = 0; i < ROWS; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "{t}%d", i);
        put(keys[i], ek_slice_of(value, VALUE_BYTES), 0);
        operations[i] = get(keys[i]);
    }
    struct ek_worker_reply reply = serve_one(operations, ROWS);
    ck_assert_uint_le(reply.body.size, EK_READ_REPLY_BYTES_GOAL + 4096);
    int whole = 0;
    for (uint32_t i = 0; i < ROWS; i++) {
        struct ek_result result = ek_rig_result(&reply, EK_OPERATION_GET, i);
        ck_assert(result.status == EK_WIRE_OK || result.status == EK_WIRE_ALONE);
        whole += result.status == EK_WIRE_OK;
    }
    ck_assert_int_eq(whole, 10);
    free(value);
}
END_TEST

START_TEST(one_large_value_is_always_given)
{
    uint8_t *value = ek_alloc_zero(1, EK_VALUE_BYTES_MAX);
    memset(value, 'v', EK_VALUE_BYTES_MAX);
    put("a", ek_slice_of(value, EK_VALUE_BYTES_MAX), 0);
    struct ek_operation operation = get("a");
    struct ek_worker_reply reply = serve_one(&operation, 1);
    ck_assert(ek_slice_equal(ek_rig_result(&reply, EK_OPERATION_GET, 0).value, ek_slice_of(value, EK_VALUE_BYTES_MAX)));
    free(value);
}
END_TEST

START_TEST(large_replies_are_handed_over_before_more_is_read)
{
    enum { COUNT = 6, VALUE_BYTES = 3 * 1024 * 1024 };
    uint8_t *value = ek_alloc_zero(1, VALUE_BYTES);
    put("a", ek_slice_of(value, VALUE_BYTES), 0);
    struct ek_operation operation = get("a");
    struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_READ, &operation, 1);
    struct ek_read asked[COUNT];
    uint32_t bytes[COUNT];
    size_t done = 0;
    for (int i = 0; i < COUNT; i++)
        asked[i] = (struct ek_read){.link = rig.link, .job = &job};
    reads.pace = 1; /* as after large rows */
    ck_assert_int_eq(ek_reads_run(&reads, source(), asked, COUNT, &answers, bytes, &done, NULL), EK_OK);
    ck_assert_uint_eq(done, 2);
    free(value);
}
END_TEST

START_TEST(reads_that_make_no_sense_fail)
{
    struct ek_operation operations[] = {get("{t}a"), get("foreign")};
    ck_assert_int_eq(serve_one(operations, 2).status, EK_WIRE_FAILED);
    operations[1] = ek_rig_put("{t}a", "1");
    ck_assert_int_eq(serve_one(operations, 2).status, EK_WIRE_FAILED);
    struct ek_worker_job jobs[2] = {ek_rig_job(&rig, EK_JOB_READ, operations, 1), ek_rig_job(&rig, EK_JOB_READ, operations, 1)};
    struct ek_worker_reply replies[2];
    jobs[0].body.size--;
    serve(jobs, 2, replies);
    ck_assert_int_eq(replies[0].status, EK_WIRE_FAILED);
    ck_assert_int_eq(ek_rig_result(&replies[1], EK_OPERATION_GET, 0).status, EK_WIRE_NOT_FOUND);
}
END_TEST

/* ---- scans ---- */

struct found {
    struct ek_buffer cursor; /* size 0 when the scan has ended */
    uint32_t entries;
    uint32_t values;
};

/* One scan; keys are handed to `take`. */
static void scan(const char *prefix, struct found *at, uint32_t limit, bool values,
                 void (*take)(void *context, struct ek_slice key), void *context)
{
    struct ek_operation operation = {.code = EK_OPERATION_SCAN,
                                     .key = ek_slice_text(prefix),
                                     .cursor = ek_buffer_slice(&at->cursor),
                                     .limit = limit,
                                     .values = values};
    if (!operation.cursor.data)
        operation.cursor = ek_slice_text("");
    struct ek_worker_reply reply = serve_one(&operation, 1);
    ck_assert_int_eq(reply.status, EK_WIRE_OK);
    struct ek_reader body = ek_reader_of(reply.body);
    struct ek_result result;
    struct ek_slice cursor;
    ck_assert_uint_eq(ek_read_array(&body), 1);
    ck_assert_int_eq(ek_decode_result(&body, EK_OPERATION_SCAN, &result), EK_OK);
    ck_assert_int_eq(result.status, EK_WIRE_OK);
    at->entries = result.entries;
    for (uint32_t i = 0; i < result.entries; i++) {
        struct ek_entry entry;
        ck_assert_int_eq(ek_decode_entry(&body, &entry), EK_OK);
        at->values += entry.value.data != NULL;
        take(context, entry.key);
    }
    ck_assert_int_eq(ek_decode_cursor(&body, &cursor), EK_OK);
    ck_assert(ek_reader_ended(&body));
    ek_buffer_clear(&at->cursor);
    ek_buffer_append(&at->cursor, cursor.data, cursor.size);
}

struct seen {
    int counts[1000];
    int total;
    char last[32];
    bool in_order;
};

static void see(void *context, struct ek_slice key)
{
    struct seen *seen = context;
    char text[32] = "";
    memcpy(text, key.data, key.size < sizeof text ? key.size : sizeof text - 1);
    const char *digits = text + strcspn(text, "0123456789");
    seen->counts[atoi(digits)]++;
    seen->total++;
    seen->in_order = seen->in_order && strcmp(seen->last, text) < 0;
    (void)snprintf(seen->last, sizeof seen->last, "%s", text);
}

START_TEST(a_whole_store_is_walked_without_loss_or_repetition)
{
    enum { ROWS = 1000 };
    for (int i = 0; i < ROWS; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "user%03d", i);
        put_text(key, "v");
        (void)snprintf(key, sizeof key, "other%03d", i);
        if (i % 4 == 0)
            put_text(key, "v");
    }
    struct seen seen = {.in_order = true};
    struct found at = {0};
    int scans = 0;
    do {
        scan("user", &at, 7, false, see, &seen);
        ck_assert_uint_le(at.entries, 7);
        scans++;
    } while (at.cursor.size);
    ck_assert_int_eq(seen.total, ROWS);
    for (int i = 0; i < ROWS; i++)
        ck_assert_int_eq(seen.counts[i], 1);
    ck_assert_int_ge(scans, ROWS / 7);
    ck_assert_uint_eq(at.values, 0);
    ek_buffer_done(&at.cursor);
}
END_TEST

START_TEST(a_scan_of_much_that_is_empty_stops_on_the_way)
{
    enum { ROWS = 64, LISTS_A_SCAN = (EK_SCAN_ROWS_MAX - 1) / 32, LISTS_A_SHARD = 16384 / EK_RIG_SHARDS };
    for (int rows = 0; rows <= ROWS; rows += ROWS) {
        for (int i = 0; i < rows; i++) {
            char key[32];
            (void)snprintf(key, sizeof key, "user%03d", i);
            put_text(key, "v");
        }
        struct seen seen = {0};
        struct found at = {0};
        int scans = 0;
        do {
            scan("", &at, 1000, false, see, &seen);
            scans++;
        } while (at.cursor.size);
        ck_assert_int_eq(seen.total, rows);
        for (int i = 0; i < rows; i++)
            ck_assert_int_eq(seen.counts[i], 1);
        ck_assert_int_eq(scans, EK_RIG_SHARDS * ((LISTS_A_SHARD + LISTS_A_SCAN - 1) / LISTS_A_SCAN));
        ek_buffer_done(&at.cursor);
    }
}
END_TEST

/* Where the lists that a scan may look into end exactly before a row, with it and behind it. */
START_TEST(a_row_at_the_end_of_what_a_scan_may_look_into_is_found)
{
    enum { PREFIXES_A_LIST = 4 };
    uint8_t row[] = {0, 0, 'u', 's', 'e', 'r', (uint8_t)('0' + _i % 10)};
    uint8_t head[EK_ROW_HEAD_BYTES_MAX];
    ek_put_u16(row, (uint16_t)((EK_SCAN_ROWS_MAX / 32 - 2 + (uint32_t)_i) * PREFIXES_A_LIST));
    ek_store_put(rig.store, EK_STORE_ROWS, ek_slice_of(row, sizeof row), ek_slice_of(head, ek_row_head(head, 1, 0)),
                 ek_slice_text("v"));
    ck_assert_int_eq(ek_store_commit(rig.store, NULL), EK_OK);
    struct seen seen = {0};
    struct found at = {0};
    do {
        scan("", &at, 1000, false, see, &seen);
    } while (at.cursor.size);
    ck_assert_int_eq(seen.total, 1);
    ek_buffer_done(&at.cursor);
}
END_TEST

START_TEST(keys_of_one_tag_come_in_order_and_end_the_scan)
{
    for (int i = 0; i < 50; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "{u}/%02d", i);
        put_text(key, "v");
        (void)snprintf(key, sizeof key, "{u}0%02d", i);
        put_text(key, "v");
    }
    put_text("{u}", "v");
    struct seen seen = {.in_order = true};
    struct found at = {0};
    scan("{u}/", &at, 20, true, see, &seen);
    ck_assert_uint_eq(at.entries, 20);
    scan("{u}/", &at, 20, true, see, &seen);
    scan("{u}/", &at, 20, true, see, &seen);
    ck_assert_uint_eq(at.entries, 10);
    ck_assert_uint_eq(at.cursor.size, 0);
    ck_assert(seen.in_order);
    ck_assert_int_eq(seen.total, 50);
    ck_assert_uint_eq(at.values, 50);
    struct seen all = {.in_order = true};
    scan("{u}", &at, 1000, false, see, &all);
    ck_assert_int_eq(all.total, 101);
    ck_assert_uint_eq(at.cursor.size, 0);
    ek_buffer_done(&at.cursor);
}
END_TEST

START_TEST(a_cursor_skips_nothing_that_sorts_right_behind_it)
{
    static const char bytes[] = "{u}a\0\0";
    for (size_t size = 4; size <= 6; size++) {
        struct ek_operation operation = {.code = EK_OPERATION_PUT, .key = ek_slice_of(bytes, size), .value = ek_slice_text("v")};
        ck_assert_int_eq(ek_rig_run_one(&rig, EK_JOB_WRITE, operation).status, EK_WIRE_OK);
    }
    struct seen seen = {0};
    struct found at = {0};
    for (int i = 1; i <= 3; i++) {
        scan("{u}", &at, 1, false, see, &seen);
        ck_assert_int_eq(seen.total, i);
        ck_assert_int_eq(at.cursor.size != 0, i < 3);
    }
    ek_buffer_done(&at.cursor);
}
END_TEST

START_TEST(a_scan_stops_when_its_reply_is_full)
{
    enum { ROWS = 30, VALUE_BYTES = 100000 };
    uint8_t *value = ek_alloc_zero(1, VALUE_BYTES);
    for (int i = 0; i < ROWS; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "{u}%02d", i);
        put(key, ek_slice_of(value, VALUE_BYTES), 0);
    }
    struct seen seen = {.in_order = true};
    struct found at = {0};
    int scans = 0;
    do {
        scan("{u}", &at, 1000, true, see, &seen);
        ck_assert_uint_gt(at.entries, 0);
        scans++;
    } while (at.cursor.size);
    ck_assert_int_eq(scans, 3);
    ck_assert_int_eq(seen.total, ROWS);
    ek_buffer_done(&at.cursor);
    free(value);
}
END_TEST

START_TEST(a_scan_beside_others_may_have_to_be_asked_for_alone)
{
    uint8_t *value = ek_alloc_zero(1, 600000);
    put("{u}1", ek_slice_of(value, 600000), 0);
    put("{u}2", ek_slice_of(value, 600000), 0);
    struct ek_operation operations[] = {
        get("{u}1"),
        {.code = EK_OPERATION_SCAN, .key = ek_slice_text("{u}"), .cursor = ek_slice_text(""), .limit = 10, .values = true}};
    struct ek_worker_reply reply = serve_one(operations, 2);
    struct ek_reader body = ek_reader_of(reply.body);
    struct ek_result result;
    ck_assert_uint_eq(ek_read_array(&body), 2);
    ck_assert_int_eq(ek_decode_result(&body, EK_OPERATION_GET, &result), EK_OK);
    ck_assert_uint_eq(result.value.size, 600000);
    ck_assert_int_eq(ek_decode_result(&body, EK_OPERATION_SCAN, &result), EK_OK);
    ck_assert_int_eq(result.status, EK_WIRE_ALONE);
    free(value);
}
END_TEST

START_TEST(expired_rows_are_left_out_of_scans)
{
    put("{u}1", ek_slice_text("v"), 100);
    put("{u}2", ek_slice_text("v"), 0);
    struct ek_operation operation = {
        .code = EK_OPERATION_SCAN, .key = ek_slice_text("{u}"), .cursor = ek_slice_text(""), .limit = 10};
    struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_READ, &operation, 1);
    struct ek_worker_reply reply;
    job.stamp_unix_ms = 1100;
    serve(&job, 1, &reply);
    ck_assert_uint_eq(ek_rig_result(&reply, EK_OPERATION_SCAN, 0).entries, 1);
}
END_TEST

/* A write that was stamped later found the row expired; who sees what it wrote sees no row. */
START_TEST(a_read_behind_a_later_stamp_is_judged_by_that)
{
    put("{u}1", ek_slice_text("v"), 500);
    struct ek_operation write[] = {ek_rig_key(EK_OPERATION_DELETE, "{u}1"), ek_rig_put("{u}2", "w")};
    struct ek_worker_job later = ek_rig_job(&rig, EK_JOB_WRITE, write, 2);
    later.stamp_unix_ms = 1500;
    struct ek_worker_reply reply = ek_rig_run(&rig, &later);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_DELETE, 0).status, EK_WIRE_NOT_FOUND);
    struct ek_operation read[] = {get("{u}1"), get("{u}2")};
    struct ek_worker_job earlier = ek_rig_job(&rig, EK_JOB_READ, read, 2);
    struct ek_operation scan = {.code = EK_OPERATION_SCAN, .key = ek_slice_text("{u}"), .limit = 10};
    for (int restarted = 0; restarted < 2; restarted++) {
        serve(&earlier, 1, &reply);
        ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_GET, 0).status, EK_WIRE_NOT_FOUND);
        ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_GET, 1).status, EK_WIRE_OK);
        struct ek_worker_job scanning = ek_rig_job(&rig, EK_JOB_READ, &scan, 1);
        serve(&scanning, 1, &reply);
        ck_assert_uint_eq(ek_rig_result(&reply, EK_OPERATION_SCAN, 0).entries, 1);
        ek_engine_rig_restart(&rig);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("reads");
    TCase *tests = tcase_create("reads");
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, gets_answer_in_the_order_asked);
    tcase_add_test(tests, the_stamp_decides_what_has_expired);
    tcase_add_test(tests, a_read_behind_a_later_stamp_is_judged_by_that);
    tcase_add_test(tests, many_jobs_at_once_get_their_own_rows);
    tcase_add_test(tests, what_does_not_fit_is_to_be_asked_for_alone);
    tcase_add_test(tests, one_large_value_is_always_given);
    tcase_add_test(tests, large_replies_are_handed_over_before_more_is_read);
    tcase_add_test(tests, reads_that_make_no_sense_fail);
    tcase_add_test(tests, a_whole_store_is_walked_without_loss_or_repetition);
    tcase_add_test(tests, a_scan_of_much_that_is_empty_stops_on_the_way);
    tcase_add_loop_test(tests, a_row_at_the_end_of_what_a_scan_may_look_into_is_found, 0, 4);
    tcase_add_test(tests, keys_of_one_tag_come_in_order_and_end_the_scan);
    tcase_add_test(tests, a_cursor_skips_nothing_that_sorts_right_behind_it);
    tcase_add_test(tests, a_scan_stops_when_its_reply_is_full);
    tcase_add_test(tests, a_scan_beside_others_may_have_to_be_asked_for_alone);
    tcase_add_test(tests, expired_rows_are_left_out_of_scans);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
