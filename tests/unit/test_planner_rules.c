#include "tests/support/planner_rig.h"
#include "tests/support/run_suite.h"

#include <check.h>

#define GIB (UINT64_C(1024) * EK_MIB)

static struct planner_rig rig;

static void close_rig(void)
{
    rig_close(&rig);
}

/* Four workers, the first of which has `hot` of load and the others 0.5. */
static void open_hot(double hot)
{
    rig_open(&rig, 4, 128);
    rig_load_worker(&rig, 0, hot);
    for (int i = 1; i < 4; i++)
        rig_load_worker(&rig, i, 0.5);
}

/* ---- what it must be worth ---- */

START_TEST(what_may_be_noise_is_held_back)
{
    rig.rules = ek_plan_rules;
    rig.rules.wait_us = 0;
    rig_open(&rig, 4, 16); /* few shards, much noise */
    rig.noisy_from = 0;
    rig_load_worker(&rig, 0, 0.60);
    for (int i = 1; i < 4; i++)
        rig_load_worker(&rig, i, 0.54);
    rig_run(&rig, 100);
    ck_assert_uint_eq(rig.start_count, 0);
    rig_close(&rig);
    rig.rules = ek_plan_rules;
    rig.rules.wait_us = 0;
    rig.rules.noise_sigmas = 0;
    rig_open(&rig, 4, 64);
    rig.noisy_from = 0;
    rig_load_worker(&rig, 0, 0.60);
    for (int i = 1; i < 4; i++)
        rig_load_worker(&rig, i, 0.54);
    rig_run(&rig, 100);
    ck_assert_uint_gt(rig.start_count, 0);
}
END_TEST

START_TEST(a_hot_worker_keeps_what_might_make_a_noisy_one_hotter)
{
    rig_open(&rig, 4, 64);
    rig.rules.noise_sigmas = 20;
    rig.noisy_from = 1; /* one is hot without doubt; how hot the others are nobody knows so well */
    rig_load_worker(&rig, 0, 0.72);
    for (int i = 1; i < 4; i++)
        rig_load_worker(&rig, i, 0.58);
    rig_run(&rig, 100);
    ck_assert_uint_eq(rig.start_count, 0);
    ck_assert(rig_held_back(&rig, EK_RULE_NOISE));
    rig.rules.noise_sigmas = 3;
    rig_run(&rig, 20);
    ck_assert_uint_gt(rig.start_count, 0);
}
END_TEST

START_TEST(a_copy_that_costs_more_than_it_gains_is_held_back)
{
    open_hot(0.6);
    for (uint32_t i = 0; i < 128; i++)
        rig.shards[i].stored_bytes = 2 * GIB;
    for (int i = 0; i < 4; i++)
        rig.workers[i].disk_total_bytes = rig.workers[i].disk_free_bytes = 1000 * GIB;
    rig_run(&rig, 21);
    ck_assert_uint_eq(rig.start_count, 0);
    rig_run(&rig, 5);
    rig.rules.gain_horizon_s = 6000;
    rig_run(&rig, 30);
    ck_assert_uint_gt(rig.start_count, 0);
}
END_TEST

START_TEST(of_equal_loads_the_smaller_shard_moves)
{
    open_hot(0.7);
    for (uint32_t i = 0; i < 128; i++)
        rig.shards[i].stored_bytes = 64 * EK_MIB;
    rig.shards[40].stored_bytes = EK_MIB;
    rig_run(&rig, 16);
    ck_assert_uint_gt(rig.start_count, 0);
    ck_assert_uint_eq(rig.starts[0].shard, 40);
}
END_TEST

/* ---- no flapping ---- */

/* All that the first two workers hold has just been moved by hand: the second one has `hot` of load, the others half. */
static void open_moved(double hot)
{
    rig_open(&rig, 4, 128);
    rig.balance = false;
    for (uint32_t i = 0; i < 128; i++)
        rig_load(&rig, i, i % 4 == 0 ? hot / 32 : 0.5 / 32);
    rig_run(&rig, 200);
    for (uint32_t i = 0; i < 128; i++) {
        if (i % 4 > 1)
            continue;
        rig.shards[i].learner = i % 4 ? 0 : 1;
        rig_end_move(&rig, i);
    }
    rig.balance = true;
    rig_run(&rig, 1);
    rig_forget(&rig);
}

START_TEST(a_shard_that_moved_rests_for_five_minutes)
{
    open_moved(0.7);
    rig_run(&rig, 290);
    ck_assert_uint_eq(rig.start_count, 0);
    ck_assert(rig_held_back(&rig, EK_RULE_COOLDOWN));
    rig_run(&rig, 30);
    ck_assert_uint_gt(rig.start_count, 0);
    for (size_t i = 0; i < rig.start_count; i++)
        ck_assert(!rig.starts[i].waived);
}
END_TEST

START_TEST(a_cooldown_is_waived_once_when_the_load_has_changed_by_half)
{
    open_moved(0.5);
    rig_run(&rig, 30);
    ck_assert_uint_eq(rig.start_count, 0);
    rig_load_worker(&rig, 1, 0.95);
    rig_run(&rig, 100);
    uint8_t times[128] = {0};
    ck_assert_uint_gt(rig.start_count, 0);
    for (size_t i = 0; i < rig.start_count; i++) {
        ck_assert(rig.starts[i].waived || rig.starts[i].source != 1);
        ck_assert_uint_le(++times[rig.starts[i].shard], 1);
    }
}
END_TEST

START_TEST(a_shard_does_not_go_back_for_ten_minutes)
{
    rig.rules = ek_plan_rules;
    rig.rules.cooldown_us = 0;
    rig_open(&rig, 2, 64);
    rig_load_worker(&rig, 0, 0.5);
    rig_load_worker(&rig, 1, 0.5);
    rig_run(&rig, 100);
    for (uint32_t i = 0; i < 64; i += 2) {
        rig.shards[i].learner = 1;
        rig_end_move(&rig, i);
    }
    for (uint32_t i = 1; i < 64; i += 2)
        rig.shards[i].holder = 0;
    for (uint32_t i = 0; i < 64; i++)
        rig_load(&rig, i, i % 2 ? 0.4 / 32 : 0.8 / 32);
    rig_run(&rig, 400);
    ck_assert_uint_eq(rig.start_count, 0);
    ck_assert(rig_held_back(&rig, EK_RULE_NO_RETURN));
    rig_run(&rig, 250);
    ck_assert_uint_gt(rig.start_count, 0);
}
END_TEST

START_TEST(later_it_goes_back_only_when_nothing_comparable_helps)
{
    rig_open(&rig, 3, 96);
    rig.balance = false;
    for (int i = 0; i < 3; i++)
        rig_load_worker(&rig, i, 0.5);
    for (uint32_t i = 1; i < 96; i += 3) /* what the second one holds will have come from the first */
        rig.shards[i].holder = 0;
    rig_run(&rig, 10);
    for (uint32_t i = 1; i < 96; i += 3) {
        rig.shards[i].learner = 1;
        rig_end_move(&rig, i);
    }
    rig_run(&rig, 700);
    rig.balance = true;
    rig_load_worker(&rig, 0, 0.45);
    rig_load_worker(&rig, 1, 0.7);
    rig_load_worker(&rig, 2, 0.48);
    rig_run(&rig, 30);
    ck_assert_uint_gt(rig.start_count, 0);
    ck_assert_int_eq(rig.starts[0].target, 2);
}
END_TEST

START_TEST(a_shard_whose_move_failed_rests_for_a_minute)
{
    open_hot(0.7);
    rig.slow_copies = true;
    rig_run(&rig, 16);
    ck_assert_uint_gt(rig.start_count, 0);
    uint16_t shard = rig.starts[0].shard;
    rig_fail_move(&rig, shard);
    rig_forget(&rig);
    for (unsigned i = 0; i < 55; i++) {
        rig_run(&rig, 1);
        for (size_t s = 0; s < rig.start_count; s++) {
            ck_assert_uint_ne(rig.starts[s].shard, shard);
            if (rig.shards[rig.starts[s].shard].learner >= 0)
                rig_fail_move(&rig, rig.starts[s].shard);
        }
    }
}
END_TEST

START_TEST(a_worker_with_a_tenth_of_its_load_on_the_way_out_sheds_no_more)
{
    rig_open(&rig, 4, 128);
    rig.slow_copies = true;
    rig_load_worker(&rig, 0, 0.7);
    rig_load(&rig, 0, 0.12);
    for (int i = 1; i < 4; i++)
        rig_load_worker(&rig, i, 0.5);
    rig.shards[0].learner = 1; /* by an operator */
    rig_run(&rig, 30);
    for (size_t i = 0; i < rig.start_count; i++)
        ck_assert_int_ne(rig.starts[i].source, 0);
    ck_assert(rig_held_back(&rig, EK_RULE_SHEDDING));
}
END_TEST

START_TEST(what_is_under_way_counts_at_its_destination)
{
    open_hot(0.62);
    rig.slow_copies = true;
    for (uint32_t i = 0; i < 20; i += 4)
        rig.shards[i].learner = 1 + (int)(i / 4 % 3);
    rig_run(&rig, 30);
    ck_assert_uint_eq(rig.start_count, 0);
    ck_assert_double_lt(rig_plan(&rig)->loads[0].ratio[EK_PLAN_BUSY], 1.02);
}
END_TEST

/* ---- budget ---- */

START_TEST(a_round_moves_nine_percent_of_the_key_space_at_most)
{
    rig_open(&rig, 4, 128);
    for (uint32_t i = 0; i < 128; i++)
        rig_load(&rig, i, i % 4 < 2 ? 0.91 / 32 : 0.2 / 32);
    rig_run(&rig, 6);
    ck_assert_uint_eq(rig.start_count, 11);
    ck_assert(rig_held_back(&rig, EK_RULE_ROUND_SHARE));
    rig_run(&rig, 4);
    ck_assert_uint_eq(rig.start_count, 11);
    rig_run(&rig, 1);
    ck_assert_uint_gt(rig.start_count, 11);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("planner_rules");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, NULL, close_rig);
    tcase_add_test(tests, what_may_be_noise_is_held_back);
    tcase_add_test(tests, a_hot_worker_keeps_what_might_make_a_noisy_one_hotter);
    tcase_add_test(tests, a_copy_that_costs_more_than_it_gains_is_held_back);
    tcase_add_test(tests, of_equal_loads_the_smaller_shard_moves);
    tcase_add_test(tests, a_shard_that_moved_rests_for_five_minutes);
    tcase_add_test(tests, a_cooldown_is_waived_once_when_the_load_has_changed_by_half);
    tcase_add_test(tests, a_shard_does_not_go_back_for_ten_minutes);
    tcase_add_test(tests, later_it_goes_back_only_when_nothing_comparable_helps);
    tcase_add_test(tests, a_shard_whose_move_failed_rests_for_a_minute);
    tcase_add_test(tests, a_worker_with_a_tenth_of_its_load_on_the_way_out_sheds_no_more);
    tcase_add_test(tests, what_is_under_way_counts_at_its_destination);
    tcase_add_test(tests, a_round_moves_nine_percent_of_the_key_space_at_most);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
