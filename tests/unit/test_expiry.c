/* Which expired rows leave the files, held against a real compaction. */
#include "tests/support/engine_rig.h"
#include "tests/support/run_suite.h"

/* The store itself, so that a compaction can be asked for: the product leaves that to RocksDB. */
#include "worker/store_rocksdb.c" /* NOLINT(bugprone-suspicious-include) */

#include "common/operations.h"

#include <check.h>

enum { LIVE_BYTES = 1 << 20, TTL_MS = 1000, STAMP = 10000 };

static struct ek_engine_rig rig;

static void setup(void)
{
    ek_engine_rig_open(&rig, LIVE_BYTES);
}

static void teardown(void)
{
    ek_engine_rig_done(&rig);
}

/* Every row goes through the filter, whatever level it lies in. */
static void compact(void)
{
    char *text = NULL;
    rocksdb_flushoptions_t *flush = rocksdb_flushoptions_create();
    rocksdb_compactoptions_t *whole = rocksdb_compactoptions_create();
    rocksdb_flush_cf(rig.store->db, flush, rig.store->spaces[EK_STORE_ROWS], &text);
    ck_assert_ptr_null(text);
    rocksdb_compactoptions_set_bottommost_level_compaction(whole, 2);
    rocksdb_compact_range_cf_opt(rig.store->db, rig.store->spaces[EK_STORE_ROWS], whole, NULL, 0, NULL, 0);
    rocksdb_compactoptions_destroy(whole);
    rocksdb_flushoptions_destroy(flush);
}

static struct ek_worker_job put_job(const char *key, uint64_t ttl_ms, uint64_t stamp_unix_ms)
{
    struct ek_operation put = ek_rig_put(key, "value");
    put.ttl_ms = ttl_ms;
    struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_WRITE, &put, 1);
    job.stamp_unix_ms = stamp_unix_ms;
    return job;
}

static void put(const char *key, uint64_t ttl_ms, uint64_t stamp_unix_ms)
{
    struct ek_worker_job job = put_job(key, ttl_ms, stamp_unix_ms);
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_OK);
}

/* What the broker sends to an idle shard: here to that of `key`. */
static struct ek_worker_job empty_write(const char *key, uint64_t stamp_unix_ms)
{
    static const uint8_t cause_ok[] = {0x91, 0x00};
    struct ek_worker_job job = put_job(key, 0, stamp_unix_ms);
    job.kind = EK_JOB_CANCEL;
    job.body = ek_slice_of(cause_ok, sizeof cause_ok);
    return job;
}

static void pass_time(const char *key, uint64_t stamp_unix_ms)
{
    struct ek_worker_job job = empty_write(key, stamp_unix_ms);
    struct ek_worker_reply reply = ek_rig_run(&rig, &job);
    ck_assert_int_eq(reply.status, EK_WIRE_OK);
    ck_assert_uint_eq(reply.position, job.position);
}

static bool is_stored(const char *key)
{
    return ek_rig_value(&rig, key) != NULL;
}

/* A key of another shard than `key`. */
static const char *elsewhere(const char *key)
{
    static char other[24];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(other, sizeof other, "other%d", i);
        if (ek_rig_shard(other) != ek_rig_shard(key))
            break;
    }
    return other;
}

START_TEST(a_row_leaves_once_its_shards_stamp_has_passed_its_expiry)
{
    put("short", TTL_MS, STAMP);
    put("long", 100 * TTL_MS, STAMP);
    put("ever", 0, STAMP);
    pass_time("short", STAMP + TTL_MS - 1);
    compact();
    ck_assert(is_stored("short"));
    pass_time("short", STAMP + TTL_MS);
    ck_assert(is_stored("short")); /* only a compaction drops it */
    compact();
    ck_assert(!is_stored("short"));
    ck_assert(is_stored("long"));
    ck_assert(is_stored("ever"));
}
END_TEST

/* The expiry lies decades before this machine's clock. */
START_TEST(the_workers_own_clock_does_not_count)
{
    put("k", 1, STAMP);
    compact();
    ck_assert(is_stored("k"));
}
END_TEST

START_TEST(the_stamp_of_one_shard_says_nothing_of_another)
{
    const char *other = elsewhere("k");
    put("k", TTL_MS, STAMP);
    put(other, TTL_MS, STAMP);
    pass_time(other, STAMP + 10 * TTL_MS);
    compact();
    ck_assert(is_stored("k"));
    ck_assert(!is_stored(other));
}
END_TEST

START_TEST(a_stamp_that_is_not_synced_drops_nothing)
{
    put("k", TTL_MS, STAMP);
    struct ek_worker_job job = empty_write("k", STAMP + TTL_MS);
    ek_rig_begin(&rig);
    (void)ek_rig_judge(&rig, &job);
    compact();
    ck_assert(is_stored("k"));
    ek_rig_commit(&rig);
    compact();
    ck_assert(!is_stored("k"));
}
END_TEST

START_TEST(a_restart_knows_the_stamp_again)
{
    put("dropped", TTL_MS, STAMP);
    put("kept", 3 * TTL_MS, STAMP);
    pass_time("dropped", STAMP + 2 * TTL_MS);
    pass_time("kept", STAMP + 2 * TTL_MS);
    ek_engine_rig_restart(&rig);
    compact();
    ck_assert(!is_stored("dropped"));
    ck_assert(is_stored("kept"));
}
END_TEST

START_TEST(a_row_that_was_put_anew_is_judged_by_its_own_expiry)
{
    put("kept", TTL_MS, STAMP);
    put("kept", 0, STAMP + 1);
    put("gone", 0, STAMP);
    compact(); /* the older version lies in a file of its own */
    put("gone", TTL_MS, STAMP + 1);
    pass_time("kept", STAMP + 2 * TTL_MS);
    pass_time("gone", STAMP + 2 * TTL_MS);
    compact();
    ck_assert(is_stored("kept"));
    ck_assert(!is_stored("gone")); /* and does not give the older one free */
}
END_TEST

START_TEST(conditions_and_increments_see_no_difference)
{
    for (int compacted = 0; compacted < 2; compacted++) {
        const char *key = compacted ? "a" : "b";
        put(key, TTL_MS, STAMP);
        pass_time(key, STAMP + TTL_MS);
        if (compacted)
            compact();
        ck_assert_int_eq(is_stored(key), !compacted);
        struct ek_operation if_absent = ek_rig_put(key, "1");
        if_absent.condition = EK_CONDITION_ABSENT;
        struct ek_operation steps[] = {ek_rig_key(EK_OPERATION_EXISTS, key), ek_rig_key(EK_OPERATION_DELETE, key),
                                       ek_rig_increment(key, 4), ek_rig_key(EK_OPERATION_DELETE, key), if_absent};
        struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_WRITE, steps, sizeof steps / sizeof *steps);
        job.stamp_unix_ms = STAMP + TTL_MS;
        struct ek_worker_reply reply = ek_rig_run(&rig, &job);
        ck_assert_int_eq(reply.status, EK_WIRE_OK);
        const uint8_t wanted[] = {0x95, EK_WIRE_NOT_FOUND, EK_WIRE_NOT_FOUND, 0x92, EK_WIRE_OK, 4, EK_WIRE_OK, EK_WIRE_OK};
        ck_assert_uint_eq(reply.body.size, sizeof wanted);
        ck_assert_mem_eq(reply.body.data, wanted, sizeof wanted);
    }
}
END_TEST

START_TEST(a_shard_tells_until_when_its_rows_expire_and_knows_it_after_a_restart)
{
    uint16_t shard = ek_rig_shard("k");
    put("k", 0, STAMP);
    ck_assert_uint_eq(ek_engine_expiry(rig.engine, shard), 0);
    put("k", TTL_MS, STAMP + 1);
    put("k", TTL_MS / 2, STAMP + 2);
    ck_assert_uint_eq(ek_engine_expiry(rig.engine, shard), STAMP + 1 + TTL_MS);
    ek_engine_rig_restart(&rig);
    ck_assert_uint_eq(ek_engine_expiry(rig.engine, shard), STAMP + 1 + TTL_MS);
    pass_time("k", STAMP + 1 + TTL_MS);
    ck_assert_uint_eq(ek_engine_expiry(rig.engine, shard), 0);
    ek_engine_rig_restart(&rig);
    ck_assert_uint_eq(ek_engine_expiry(rig.engine, shard), 0);
}
END_TEST

START_TEST(a_snapshot_keeps_stamp_and_expiry)
{
    const char *other = elsewhere("k");
    uint16_t shard = ek_rig_shard("k");
    ek_engine_rig_done(&rig);
    ek_engine_rig_open(&rig, 512); /* so few bytes of records that snapshots follow soon */
    put("k", TTL_MS, STAMP);
    for (int i = 0; i < 200; i++)
        put(other, 0, STAMP);
    ck_assert_uint_eq(rig.engine->live.shards[shard].since, 0); /* its records are gone */
    ek_engine_rig_restart(&rig);
    ck_assert_uint_eq(ek_engine_expiry(rig.engine, shard), STAMP + TTL_MS);
    ck_assert_uint_eq(rig.engine->judge.shards[shard].memory.stamp_unix_ms, STAMP);
}
END_TEST

/* With a producer the cause OK makes no sense: a number would be used up as if its job were done. */
START_TEST(only_the_broker_writes_nothing)
{
    struct ek_worker_job job = empty_write("k", STAMP);
    job.producer = 7;
    job.number = job.lowest = 1;
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_FAILED);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("expiry");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_row_leaves_once_its_shards_stamp_has_passed_its_expiry);
    tcase_add_test(tests, the_workers_own_clock_does_not_count);
    tcase_add_test(tests, the_stamp_of_one_shard_says_nothing_of_another);
    tcase_add_test(tests, a_stamp_that_is_not_synced_drops_nothing);
    tcase_add_test(tests, a_restart_knows_the_stamp_again);
    tcase_add_test(tests, a_row_that_was_put_anew_is_judged_by_its_own_expiry);
    tcase_add_test(tests, conditions_and_increments_see_no_difference);
    tcase_add_test(tests, a_shard_tells_until_when_its_rows_expire_and_knows_it_after_a_restart);
    tcase_add_test(tests, a_snapshot_keeps_stamp_and_expiry);
    tcase_add_test(tests, only_the_broker_writes_nothing);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
