/* What is done between rounds of balancing: trimming, and looking more often after a load has shifted. */
#include "tests/support/planner_rig.h"
#include "tests/support/run_suite.h"

#include <check.h>

static struct planner_rig rig;

static void close_rig(void)
{
    rig_close(&rig);
}

/* Four workers, the first of which has 1.04 of the mean. */
static void open_warm(void)
{
    rig_open(&rig, 4, 1024);
    rig_load_worker(&rig, 0, 0.53);
    for (int i = 1; i < 4; i++)
        rig_load_worker(&rig, i, 0.503);
}

/* The first worker's load as a whole goes up and down by 14 % every fifteen seconds, around 1.01 of the mean. */
static void waver(unsigned unplanned, unsigned times)
{
    rig.noisy_from = 0; /* or each step would be a shift of a calm load */
    for (unsigned i = 0; i < unplanned + times; i++) {
        rig.balance = i >= unplanned; /* before that it can be seen, and nothing is done */
        rig_load_worker(&rig, 0, 0.51 * (i % 2 ? 1.14 : 0.86));
        rig_run(&rig, 15);
    }
    rig_load_worker(&rig, 0, 0.51);
}

START_TEST(what_balancing_leaves_is_trimmed_when_some_time_has_shown_how_workers_waver)
{
    open_warm();
    rig_run(&rig, 60);
    ck_assert_uint_eq(rig.start_count, 0);
    rig_run(&rig, 60);
    ck_assert_uint_gt(rig.start_count, 0);
    for (size_t i = 0; i < rig.start_count; i++)
        ck_assert(rig.starts[i].trims);
    ck_assert(!rig_plan(&rig)->balancing);
    ck_assert_double_le(rig_plan(&rig)->max_over_mean, 1.01);
}
END_TEST

START_TEST(what_balancing_takes_off_is_no_trimming)
{
    open_warm();
    rig_load_worker(&rig, 0, 0.7);
    rig_run(&rig, 20);
    ck_assert_uint_gt(rig.start_count, 0);
    for (size_t i = 0; i < rig.start_count; i++)
        ck_assert(!rig.starts[i].trims);
}
END_TEST

START_TEST(a_worker_that_wavers_is_not_trimmed)
{
    open_warm();
    waver(8, 12);
    ck_assert_uint_eq(rig.start_count, 0);
    rig_close(&rig);
    rig.rules = ek_plan_rules;
    rig.rules.waver_sigmas = 0;
    open_warm();
    waver(8, 12);
    ck_assert_uint_gt(rig.start_count, 0);
}
END_TEST

START_TEST(a_worker_that_was_calm_can_begin_to_waver)
{
    open_warm();
    rig_load_worker(&rig, 0, 0.503);
    rig_run(&rig, 1800);
    ck_assert_uint_eq(rig.start_count, 0);
    waver(80, 12);
    ck_assert_uint_eq(rig.start_count, 0);
}
END_TEST

START_TEST(an_idle_cluster_is_not_trimmed)
{
    rig_open(&rig, 4, 512);
    rig.shards[1].holder = rig.shards[2].holder = 0; /* 130, 127, 127 and 128 */
    rig_load_worker(&rig, 0, 0.053);
    for (int i = 1; i < 4; i++)
        rig_load_worker(&rig, i, 0.0503);
    rig_run(&rig, 600);
    ck_assert_uint_eq(rig.start_count, 0);
}
END_TEST

/* A load that comes and goes for an hour in an idle cluster says nothing of how workers waver under load. */
START_TEST(how_idle_workers_waver_is_forgotten)
{
    rig_open(&rig, 4, 1024);
    rig.noisy_from = 0;
    for (unsigned i = 0; i < 60; i++) {
        rig_load_worker(&rig, (int)(i % 4), i % 8 < 4 ? 0.02 : 0.005);
        rig_run(&rig, 15);
    }
    ck_assert_uint_eq(rig.start_count, 0);
    for (int i = 0; i < 4; i++)
        rig_load_worker(&rig, i, i == 0 ? 0.53 : 0.503);
    rig_run(&rig, 120);
    ck_assert_uint_gt(rig.start_count, 0);
    ck_assert(rig.starts[0].trims);
}
END_TEST

START_TEST(trimming_never_sends_a_shard_back)
{
    rig.rules = ek_plan_rules;
    rig.rules.cooldown_us = rig.rules.no_return_us = 0; /* so that nothing else forbids it */
    rig.rules.return_worth = 1;
    open_warm();
    rig_run(&rig, 120);
    size_t trimmed = rig.start_count;
    ck_assert_uint_gt(trimmed, 0);
    for (int i = 0; i < 4; i++)
        rig_load_worker(&rig, i, i == rig.starts[0].target ? 0.53 : 0.503); /* where they went it is warm now */
    rig_run(&rig, 700);
    ck_assert_uint_gt(rig.start_count, trimmed);
    size_t returns = 0;
    for (size_t i = trimmed; i < rig.start_count; i++)
        for (size_t j = 0; j < i; j++)
            returns += rig.starts[i].shard == rig.starts[j].shard && rig.starts[i].target == rig.starts[j].source;
    ck_assert_uint_eq(returns, 0);
}
END_TEST

/* Two thirds of a worker's shards came a short time ago, when it had half of this load. */
START_TEST(trimming_waives_no_cooldown)
{
    open_warm();
    rig_run(&rig, 100);
    rig_forget(&rig);
    for (uint32_t i = 0; i < rig.shard_count; i++)
        if (i % 4 == 0 && i % 3 > 0)
            ek_planner_moved(rig.planner, (uint16_t)i, &rig.workers[5].id, rig.now_us);
    rig_run(&rig, 5); /* the planner notes what their worker carries */
    for (int i = 0; i < 4; i++)
        rig_load_worker(&rig, i, i == 0 ? 0.875 : 0.83);
    rig_run(&rig, 200);
    ck_assert_uint_gt(rig.start_count, 0);
    for (size_t i = 0; i < rig.start_count; i++)
        ck_assert(!rig.starts[i].trims || !rig.starts[i].waived);
}
END_TEST

START_TEST(after_a_shift_there_is_a_round_each_second_for_a_while)
{
    open_warm();
    rig_run(&rig, 30);
    uint64_t before = rig_plan(&rig)->round;
    rig_run(&rig, 10);
    ck_assert_uint_eq(rig_plan(&rig)->round - before, 2);
    rig_load(&rig, 0, 0.05); /* more than ten times what it was */
    rig_run(&rig, 5);
    before = rig_plan(&rig)->round;
    rig_run(&rig, 10);
    ck_assert_uint_eq(rig_plan(&rig)->round - before, 10);
    rig_run(&rig, 5);
    before = rig_plan(&rig)->round;
    rig_run(&rig, 10);
    ck_assert_uint_eq(rig_plan(&rig)->round - before, 2);
}
END_TEST

START_TEST(and_they_share_what_one_round_may_move)
{
    rig_open(&rig, 4, 128);
    for (int i = 0; i < 4; i++)
        rig_load_worker(&rig, i, 0.5);
    rig_run(&rig, 60);
    rig_load_worker(&rig, 0, 0.95);
    rig_load_worker(&rig, 1, 0.95);
    rig_load_worker(&rig, 2, 0.1);
    rig_load_worker(&rig, 3, 0.1);
    for (unsigned i = 0; i < 20 && rig.start_count == 0; i++)
        rig_run(&rig, 1);
    rig_run(&rig, 4);
    ck_assert_uint_eq(rig.start_count, 11);
    rig_run(&rig, 10);
    ck_assert_uint_gt(rig.start_count, 11);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("planner_trim");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, NULL, close_rig);
    tcase_add_test(tests, what_balancing_leaves_is_trimmed_when_some_time_has_shown_how_workers_waver);
    tcase_add_test(tests, what_balancing_takes_off_is_no_trimming);
    tcase_add_test(tests, a_worker_that_wavers_is_not_trimmed);
    tcase_add_test(tests, a_worker_that_was_calm_can_begin_to_waver);
    tcase_add_test(tests, an_idle_cluster_is_not_trimmed);
    tcase_add_test(tests, how_idle_workers_waver_is_forgotten);
    tcase_add_test(tests, trimming_never_sends_a_shard_back);
    tcase_add_test(tests, trimming_waives_no_cooldown);
    tcase_add_test(tests, after_a_shift_there_is_a_round_each_second_for_a_while);
    tcase_add_test(tests, and_they_share_what_one_round_may_move);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
