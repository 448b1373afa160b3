#include "common/operations.h"
#include "tests/support/engine_rig.h"
#include "tests/support/run_suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ek_engine_rig rig;

enum { GROUP_BYTES_MAX = 8192 };

static void set_up(void)
{
    ek_engine_rig_open(&rig, 4096); /* so that snapshots come soon */
}

static void tear_down(void)
{
    ek_engine_rig_done(&rig);
}

static uint64_t pick(unsigned *seed, uint64_t below)
{
    return (uint64_t)rand_r(seed) % below;
}

/* ---- restarts ---- */

static struct ek_operation any_operation(unsigned *seed, char *key, size_t key_bytes)
{
    (void)snprintf(key, key_bytes, "k%d", (int)pick(seed, 200));
    switch (pick(seed, 5)) {
    case 0:
        return ek_rig_put(key, "value");
    case 1:
        return ek_rig_key(EK_OPERATION_DELETE, key);
    case 2: {
        struct ek_operation put = ek_rig_put(key, "5");
        put.condition = EK_CONDITION_VERSION;
        put.version = 1 + pick(seed, 3);
        return put;
    }
    default:
        return ek_rig_increment(key, (int64_t)pick(seed, 100));
    }
}

/* A job as a broker might send it: thin, numbered, with a gap now and then, a repetition, or one that makes no sense. */
static void judge_any(unsigned *seed)
{
    char key[16];
    struct ek_operation operation = any_operation(seed, key, sizeof key);
    struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_WRITE, &operation, 1);
    const struct ek_producers *memory = &rig.engine->judge.shards[job.shard].memory;
    job.stamp_unix_ms = 1000 + pick(seed, 100000);
    job.confirmed = pick(seed, memory->position + 1);
    if (pick(seed, 3)) {
        uint64_t awaited;
        job.producer = 1000 + pick(seed, 20);
        (void)ek_producers_look(memory, job.producer, 0, &awaited);
        job.number = pick(seed, 10) ? awaited : 1 + pick(seed, awaited + 2);
        job.lowest = awaited > 4 ? awaited - pick(seed, 4) : 1;
    }
    if (pick(seed, 20) == 0)
        job.kind = EK_JOB_TRANSACTION;
    if (pick(seed, 20) == 0)
        job.kind = EK_JOB_DELETE; /* mostly not true */
    if (pick(seed, 20) == 0)
        job.position -= pick(seed, 3);
    (void)ek_rig_judge(&rig, &job);
}

static size_t book_bytes(void)
{
    struct ek_store_cursor *cursor = ek_store_walk(rig.store, EK_STORE_BOOK, ek_slice_of("\4", 1), ek_slice_of(NULL, 0));
    struct ek_slice key;
    struct ek_slice value;
    size_t bytes = 0;
    for (; ek_store_cursor_entry(cursor, &key, &value); ek_store_cursor_step(cursor))
        bytes += value.size;
    ck_assert_int_eq(ek_store_cursor_close(&cursor, NULL), EK_OK);
    return bytes;
}

START_TEST(a_restart_rebuilds_the_state_exactly)
{
    unsigned seed = (unsigned)_i + 1;
    struct ek_buffer before = {0};
    struct ek_buffer after = {0};
    for (int start = 0; start < 12; start++) {
        for (uint64_t group = pick(&seed, 40); group > 0; group--) {
            ek_rig_begin(&rig);
            for (uint64_t jobs = pick(&seed, 60); jobs > 0; jobs--)
                judge_any(&seed);
            ek_rig_commit(&rig);
            ck_assert_uint_lt(rig.engine->live.bytes, 2 * rig.live_bytes_max + GROUP_BYTES_MAX);
        }
        ek_buffer_clear(&before);
        ek_buffer_clear(&after);
        ek_rig_state(&rig, &before);
        size_t live_bytes = rig.engine->live.bytes;
        uint32_t dirty = rig.engine->live.dirty;
        ck_assert_uint_eq(book_bytes(), live_bytes);
        ek_engine_rig_restart(&rig);
        ek_rig_state(&rig, &after);
        ck_assert_msg(ek_slice_equal(ek_buffer_slice(&before), ek_buffer_slice(&after)), "seed %d, start %d", _i + 1, start);
        ck_assert_uint_eq(rig.engine->live.bytes, live_bytes);
        ck_assert_uint_eq(rig.engine->live.dirty, dirty);
    }
    ek_buffer_done(&before);
    ek_buffer_done(&after);
}
END_TEST

START_TEST(a_reply_survives_a_restart)
{
    struct ek_operation increment = ek_rig_increment("n", 5);
    struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_WRITE, &increment, 1);
    job.producer = 1000;
    job.number = 1;
    (void)ek_rig_run(&rig, &job);
    ek_engine_rig_restart(&rig);
    struct ek_worker_reply reply = ek_rig_run(&rig, &job);
    ck_assert(reply.repeated);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_INCREMENT, 0).number, 5);
    ck_assert_str_eq(ek_rig_value(&rig, "n"), "5");
    job = ek_rig_job(&rig, EK_JOB_WRITE, &increment, 1);
    ck_assert_uint_eq(job.position, 2);
    job.producer = 1000;
    job.number = 2;
    reply = ek_rig_run(&rig, &job);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_INCREMENT, 0).number, 10);
}
END_TEST

START_TEST(what_was_not_committed_never_was)
{
    struct ek_operation put = ek_rig_put("a", "1");
    struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_WRITE, &put, 1);
    ek_rig_begin(&rig);
    (void)ek_rig_judge(&rig, &job);
    ek_engine_rig_restart(&rig);
    ck_assert_ptr_null(ek_rig_value(&rig, "a"));
    ck_assert_uint_eq(rig.engine->judge.shards[job.shard].memory.position, 0);
}
END_TEST

/* ---- identity and roles ---- */

START_TEST(each_start_raises_the_incarnation)
{
    struct ek_identity first = rig.engine->identity;
    ck_assert_uint_eq(first.incarnation, 1);
    ek_engine_rig_restart(&rig);
    ck_assert_uint_eq(rig.engine->identity.incarnation, 2);
    ck_assert_mem_eq(rig.engine->identity.worker.bytes, first.worker.bytes, sizeof first.worker.bytes);
}
END_TEST

START_TEST(another_cluster_or_an_older_broker_is_refused_unchanged)
{
    struct ek_error error;
    struct ek_worker_welcome welcome = {.link = {9, 7}, .shards = EK_RIG_SHARDS};
    ck_assert_int_eq(ek_engine_adopt(rig.engine, &welcome, &error), EK_OK);
    struct ek_worker_welcome other = welcome;
    other.link = (struct ek_link){10, 8};
    other.cluster.bytes[3] = 1;
    ck_assert_int_eq(ek_engine_adopt(rig.engine, &other, &error), EK_MISMATCH);
    other = welcome;
    other.shards++;
    ck_assert_int_eq(ek_engine_adopt(rig.engine, &other, &error), EK_MISMATCH);
    other = welcome;
    other.link.generation = 6;
    ck_assert_int_eq(ek_engine_adopt(rig.engine, &other, &error), EK_DENIED);
    ck_assert_uint_eq(rig.engine->identity.generation, 7);
    ck_assert_uint_eq(rig.engine->judge.link.link, 9);
    rig.link = (struct ek_link){20, 7};
    ek_engine_rig_restart(&rig);
    ck_assert_uint_eq(rig.engine->identity.generation, 7);
}
END_TEST

START_TEST(roles_are_durable_and_never_go_back)
{
    struct ek_holding news[] = {{.shard = 2, .state = EK_HOLDING_RELEASED, .epoch = 9},
                                {.shard = 3, .state = EK_HOLDING_RELEASED, .epoch = EK_RIG_EPOCH - 1}};
    ck_assert_int_eq(ek_engine_assign(rig.engine, rig.link, news, 2, NULL), EK_OK);
    ck_assert_int_eq(news[0].state, EK_HOLDING_RELEASED);
    ck_assert_uint_eq(news[1].epoch, EK_RIG_EPOCH);
    ck_assert_int_eq(news[1].state, EK_HOLDING_SERVING);
    ek_engine_rig_restart(&rig); /* which assigns epoch 3 to all again */
    static struct ek_holding report[EK_SHARDS_MAX];
    ck_assert_uint_eq(ek_engine_report(rig.engine, report), EK_RIG_SHARDS);
    ck_assert_uint_eq(report[2].epoch, 9);
    ck_assert_int_eq(report[2].state, EK_HOLDING_RELEASED);
    struct ek_link old = {rig.link.link - 1, rig.link.generation};
    ck_assert_int_eq(ek_engine_assign(rig.engine, old, news, 1, NULL), EK_AGAIN);
    news[0].shard = EK_RIG_SHARDS;
    ck_assert_int_eq(ek_engine_assign(rig.engine, rig.link, news, 1, NULL), EK_MALFORMED);
}
END_TEST

/* ---- directories that cannot be used ---- */

static void put_raw(enum ek_store_space space, const char *key, size_t key_bytes, const char *value, size_t value_bytes)
{
    ek_store_put(rig.store, space, ek_slice_of(key, key_bytes), ek_slice_of(value, value_bytes), ek_slice_of(NULL, 0));
    ck_assert_int_eq(ek_store_commit(rig.store, NULL), EK_OK);
}

static enum ek_status open_again(void)
{
    struct ek_engine *engine = ek_alloc_zero(1, sizeof *engine);
    struct ek_error error = {0};
    enum ek_status status = ek_engine_open(engine, rig.store, EK_BOOK_LIVE_BYTES_MAX, &error);
    if (status == EK_OK)
        ek_engine_done(engine);
    else
        ck_assert_uint_gt(strlen(error.text), 10);
    free(engine);
    return status;
}

START_TEST(a_newer_format_is_refused)
{
    const char newer[] = {EK_BOOK_FORMAT + 1, 'x', 'x'};
    put_raw(EK_STORE_BOOK, "\1", 1, newer, sizeof newer);
    ck_assert_int_eq(open_again(), EK_NEWER);
}
END_TEST

START_TEST(damaged_book_keeping_is_refused)
{
    ck_assert_int_eq(open_again(), EK_OK);
    put_raw(EK_STORE_BOOK, "\4\0\0\0\0\0\1\0\0", 9, "\1\1", 2);
    ck_assert_int_eq(open_again(), EK_CORRUPT);
}
END_TEST

START_TEST(a_missing_record_is_noticed)
{
    struct ek_book_record record;
    struct ek_verdict verdict = {.position = 5, .count = 1, .used = true};
    struct ek_buffer bytes = {0};
    ek_book_record_begin(&bytes, &record);
    ek_book_record_shard(&bytes, &record, 1, 5, 0, 1);
    ek_book_record_verdict(&bytes, &record, &verdict);
    put_raw(EK_STORE_BOOK, "\4\0\0\0\0\0\1\0\0", 9, (const char *)bytes.data, bytes.size);
    ek_buffer_done(&bytes);
    ck_assert_int_eq(open_again(), EK_CORRUPT);
}
END_TEST

START_TEST(another_programs_database_is_refused)
{
    ek_store_delete(rig.store, EK_STORE_BOOK, ek_slice_of("\1", 1));
    for (uint16_t i = 0; i < EK_RIG_SHARDS; i++) {
        struct ek_book_key key = ek_book_key_of(EK_BOOK_ROLE, i);
        ek_store_delete(rig.store, EK_STORE_BOOK, ek_slice_of(key.bytes, key.size));
    }
    put_raw(EK_STORE_ROWS, "their key", 9, "their value", 11);
    ck_assert_int_eq(open_again(), EK_MISMATCH);
}
END_TEST

START_TEST(a_directory_serves_one_worker)
{
    struct ek_error error = {0};
    struct ek_store *store = NULL;
    struct ek_store_options options = {.directory = rig.directory, .cache_bytes = 1 << 20, .write_buffer_bytes = 1 << 20};
    ck_assert_int_eq(ek_store_open(&options, &store, &error), EK_IN_USE);
    ck_assert_ptr_nonnull(strstr(error.text, rig.directory));
    ck_assert_ptr_null(store);
    options.directory = "/proc/evenkeel";
    ck_assert_int_ne(ek_store_open(&options, &store, &error), EK_OK);
    ck_assert_ptr_nonnull(strstr(error.text, "/proc/evenkeel"));
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("engine");
    TCase *tests = tcase_create("engine");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, a_restart_rebuilds_the_state_exactly, 0, 4);
    tcase_add_test(tests, a_reply_survives_a_restart);
    tcase_add_test(tests, what_was_not_committed_never_was);
    tcase_add_test(tests, each_start_raises_the_incarnation);
    tcase_add_test(tests, another_cluster_or_an_older_broker_is_refused_unchanged);
    tcase_add_test(tests, roles_are_durable_and_never_go_back);
    tcase_add_test(tests, a_newer_format_is_refused);
    tcase_add_test(tests, damaged_book_keeping_is_refused);
    tcase_add_test(tests, a_missing_record_is_noticed);
    tcase_add_test(tests, another_programs_database_is_refused);
    tcase_add_test(tests, a_directory_serves_one_worker);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
