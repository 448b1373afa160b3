/* The broker's empty writes to idle shards where rows expire. */
#include "broker/idle.h"
#include "tests/support/broker_rig.h"
#include "tests/support/run_suite.h"

#include <check.h>

enum { WORKER = 11, CLIENT = 21, SHARD = 3 };

static struct rig rig;
static struct ek_link link_of_worker;

/* The worker lives, and says of SHARD until when its rows expire. */
static void beat(uint64_t expires_unix_ms)
{
    struct ek_shard_load load = {.shard = SHARD, .expires_unix_ms = expires_unix_ms};
    struct ek_heartbeat heartbeat = {
        .link = link_of_worker, .credit_jobs = 100, .credit_bytes = EK_MIB, .credit_reads = 100, .load_count = 1};
    rig_step(
        &rig,
        (struct ek_event){
            .type = EK_EVENT_WORKER_HEARTBEAT, .peer = WORKER, .link = link_of_worker, .heartbeat = &heartbeat, .loads = &load});
}

static void setup(void)
{
    rig_open(&rig, NULL, 0);
    link_of_worker = rig_join(&rig, WORKER, 0, NULL);
}

static void teardown(void)
{
    struct ek_ledger ledger;
    ck_assert(rig_balanced(&rig, &ledger));
    rig_close(&rig);
}

/* Lets `for_us` go by under heartbeats; then what is to be sent is sent. */
static void pass(uint64_t for_us, uint64_t expires_unix_ms)
{
    for (uint64_t gone_us = 0; gone_us < for_us; gone_us += EK_IDLE_US / 20) {
        beat(expires_unix_ms);
        rig_tick(&rig, EK_IDLE_US / 20);
    }
    rig_dispatch(&rig);
}

START_TEST(a_shard_where_rows_expire_gets_an_empty_write_when_nobody_writes)
{
    struct ek_ledger ledger;
    pass(EK_IDLE_US / 2, UINT64_MAX);
    ck_assert_ptr_null(rig_sent(&rig, 0));
    pass(EK_IDLE_US, UINT64_MAX);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 1);
    ck_assert_int_eq(rig_sent(&rig, 0)->kind, EK_JOB_CANCEL);
    ck_assert_uint_eq(rig_sent(&rig, 0)->shard, SHARD);
    ck_assert_uint_eq(rig_sent(&rig, 0)->producer, 0);
    ck_assert_uint_eq(rig_sent(&rig, 0)->position, 1);
    ck_assert_uint_gt(rig_sent(&rig, 0)->stamp_unix_ms, 1700000000000 + EK_IDLE_US / 1000);
    ck_assert_mem_eq(rig_sent(&rig, 0)->body.data, "\x91\x00", rig_sent(&rig, 0)->body.size);
    rig_reply(&rig, WORKER, link_of_worker, rig_sent(&rig, 0)->token, EK_WIRE_OK, 1);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_REPLY), 0);
    ck_assert(rig_balanced(&rig, &ledger));
    ck_assert_uint_eq(ledger.queued + ledger.in_flight, 0);
    struct ek_snapshot *snapshot = ek_snapshot_take(rig.broker, rig.now_us);
    ck_assert_uint_eq(snapshot->shards[SHARD].queued_bytes, 0);
    ck_assert_uint_eq(snapshot->shards[SHARD].position, 1);
    ek_snapshot_destroy(&snapshot);
}
END_TEST

START_TEST(a_shard_without_expiring_rows_gets_none)
{
    pass(5 * EK_IDLE_US, 0);
    ck_assert_ptr_null(rig_sent(&rig, 0));
}
END_TEST

START_TEST(a_write_of_a_client_does_as_well)
{
    pass(EK_IDLE_US / 2, UINT64_MAX);
    rig_write(&rig, CLIENT, SHARD, 0, 0);
    rig_dispatch(&rig);
    rig_reply(&rig, WORKER, link_of_worker, rig_sent(&rig, 0)->token, EK_WIRE_OK, 1);
    pass(EK_IDLE_US * 3 / 4, UINT64_MAX);
    ck_assert_ptr_null(rig_sent(&rig, 0));
    pass(EK_IDLE_US / 2, UINT64_MAX);
    ck_assert_ptr_nonnull(rig_sent(&rig, 0));
    ck_assert_uint_eq(rig_sent(&rig, 0)->position, 2);
}
END_TEST

START_TEST(only_one_is_under_way_and_a_new_link_gets_it_again)
{
    pass(EK_IDLE_US + EK_IDLE_US / 2, UINT64_MAX);
    uint64_t token = rig_sent(&rig, 0)->token;
    pass(3 * EK_IDLE_US, UINT64_MAX);
    ck_assert_ptr_null(rig_sent(&rig, 0));
    const int shards[] = {SHARD, -1};
    link_of_worker = rig_join(&rig, WORKER, 0, shards);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_sent(&rig, 0)->token, token);
    ck_assert_uint_eq(rig_sent(&rig, 0)->position, 1);
}
END_TEST

START_TEST(a_shard_whose_worker_is_away_and_a_stopping_broker_get_none)
{
    beat(UINT64_MAX);
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = WORKER});
    rig_tick(&rig, 2 * EK_IDLE_US);
    struct ek_ledger ledger;
    ck_assert(rig_balanced(&rig, &ledger));
    ck_assert_uint_eq(ledger.accepted, 0);
    const int shards[] = {SHARD, -1};
    link_of_worker = rig_join(&rig, WORKER, 0, shards);
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_STOP});
    rig_tick(&rig, EK_IDLE_US / 20);
    ck_assert(rig_balanced(&rig, &ledger));
    ck_assert_uint_eq(ledger.accepted, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("idle shards");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_shard_where_rows_expire_gets_an_empty_write_when_nobody_writes);
    tcase_add_test(tests, a_shard_without_expiring_rows_gets_none);
    tcase_add_test(tests, a_write_of_a_client_does_as_well);
    tcase_add_test(tests, only_one_is_under_way_and_a_new_link_gets_it_again);
    tcase_add_test(tests, a_shard_whose_worker_is_away_and_a_stopping_broker_get_none);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
