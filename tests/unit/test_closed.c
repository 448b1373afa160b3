/* How the broker hands ended producers on: with the writes that come behind them. */
#include "broker/closed.h"
#include "tests/support/broker_rig.h"
#include "tests/support/run_suite.h"

#include <check.h>

enum { WORKER = 11, CLIENT = 21, OTHER_CLIENT = 22, SHARD = 3 };

static struct rig rig;

static void setup(void)
{
    rig_open(&rig, NULL, 0);
    (void)rig_join(&rig, WORKER, 0, NULL);
}

static void teardown(void)
{
    struct ek_ledger ledger;
    ck_assert(rig_balanced(&rig, &ledger));
    rig_close(&rig);
}

static void close_producer(uint16_t shard, uint64_t producer)
{
    struct ek_closed closed = {.shard = shard, .producer = producer};
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_CLIENT_CLOSE, .peer = CLIENT, .closed = &closed, .count = 1});
    ck_assert_uint_eq(rig.action_count, 0);
}

START_TEST(a_mark_goes_with_the_next_write_behind_what_was_queued_before)
{
    rig_write(&rig, CLIENT, SHARD, 100, 1);
    close_producer(SHARD, 100);
    rig_read(&rig, OTHER_CLIENT, SHARD, 0, 0);
    rig_write(&rig, OTHER_CLIENT, SHARD + 1, 200, 1);
    rig_write(&rig, OTHER_CLIENT, SHARD, 200, 1);
    rig_write(&rig, OTHER_CLIENT, SHARD, 200, 2);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 5);
    for (size_t i = 0; i < 5; i++) {
        bool behind = rig_sent(&rig, i)->shard == SHARD && rig_sent(&rig, i)->producer == 200 && rig_sent(&rig, i)->number == 1;
        ck_assert_uint_eq(rig_sent(&rig, i)->closed, behind ? 100 : 0);
    }
}
END_TEST

START_TEST(a_write_that_goes_out_again_has_its_mark_again)
{
    close_producer(SHARD, 100);
    rig_write(&rig, CLIENT, SHARD, 200, 1);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_sent(&rig, 0)->closed, 100);
    const uint64_t positions[RIG_SHARDS] = {0};
    (void)rig_return(&rig, WORKER, 2, positions, true);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_sent(&rig, 0)->position, 1);
    ck_assert_uint_eq(rig_sent(&rig, 0)->closed, 100);
}
END_TEST

START_TEST(a_shard_keeps_a_bounded_number_of_marks)
{
    for (uint64_t id = 1; id <= EK_CLOSED_MAX + 2; id++)
        close_producer(SHARD, id);
    for (uint64_t number = 1; number <= EK_CLOSED_MAX + 1; number++) {
        rig_write(&rig, CLIENT, SHARD, 200, number);
        rig_dispatch(&rig);
        ck_assert_uint_eq(rig_sent(&rig, 0)->closed, number <= EK_CLOSED_MAX ? number + 2 : 0);
    }
}
END_TEST

START_TEST(what_makes_no_sense_marks_nothing)
{
    close_producer(EK_SHARDS_MAX - 1, 100);
    close_producer(SHARD, 0);
    rig_write(&rig, CLIENT, SHARD, 200, 1);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_sent(&rig, 0)->closed, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("closed");
    TCase *tests = tcase_create("closed");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_mark_goes_with_the_next_write_behind_what_was_queued_before);
    tcase_add_test(tests, a_write_that_goes_out_again_has_its_mark_again);
    tcase_add_test(tests, a_shard_keeps_a_bounded_number_of_marks);
    tcase_add_test(tests, what_makes_no_sense_marks_nothing);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
