#include "tests/support/planner_rig.h"
#include "tests/support/run_suite.h"

#include <check.h>
#include <math.h>

#define SECOND_US UINT64_C(1000000)

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

/* So that what balancing does is seen by itself; before rig_open. */
static void forbid_trimming(void)
{
    rig.rules = ek_plan_rules;
    rig.rules.waver_known_s = INFINITY;
}

/* ---- when ---- */

START_TEST(an_even_cluster_is_left_alone)
{
    open_hot(0.5);
    rig_run(&rig, 120);
    ck_assert_uint_eq(rig.start_count, 0);
    ck_assert_int_eq(rig_plan(&rig)->quiet, EK_RULE_EVEN);
}
END_TEST

START_TEST(an_idle_cluster_is_not_shuffled)
{
    rig_open(&rig, 4, 128);
    rig_load_worker(&rig, 0, 0.3);
    rig_run(&rig, 3600);
    ck_assert_uint_eq(rig.start_count, 0);
    ck_assert_int_eq(rig_plan(&rig)->quiet, EK_RULE_IDLE);
    rig_close(&rig);
    rig.rules = ek_plan_rules;
    rig.rules.floor[EK_PLAN_BUSY] = 0.05;
    rig_open(&rig, 4, 128);
    rig_load_worker(&rig, 0, 0.3);
    rig_run(&rig, 120);
    ck_assert_uint_gt(rig.start_count, 0);
}
END_TEST

START_TEST(an_imbalance_has_to_last_three_rounds)
{
    open_hot(0.7);
    rig_run(&rig, 15); /* in the first round noise is not known */
    ck_assert_uint_eq(rig.start_count, 0);
    ck_assert_int_eq(rig_plan(&rig)->quiet, EK_RULE_WAIT);
    ck_assert(rig_held_back(&rig, EK_RULE_WAIT));
    rig_run(&rig, 1);
    ck_assert_uint_gt(rig.start_count, 0);
}
END_TEST

START_TEST(urgent_rounds_do_not_wait)
{
    open_hot(0.95);
    rig_run(&rig, 6);
    ck_assert(rig_plan(&rig)->urgent);
    ck_assert_uint_gt(rig.start_count, 0);
    rig_close(&rig);
    open_hot(0.7);
    rig_run(&rig, 5);
    rig.workers[0].queued_us = 2 * SECOND_US;
    rig_run(&rig, 5); /* one round */
    ck_assert_uint_eq(rig.start_count, 0);
    rig_run(&rig, 1); /* the second round with so long a queue */
    ck_assert_uint_gt(rig.start_count, 0);
}
END_TEST

START_TEST(a_slightly_hot_worker_does_not_begin_it_and_balancing_ends_below_the_start)
{
    forbid_trimming();
    open_hot(0.52); /* 1.03 of the mean */
    rig_run(&rig, 120);
    ck_assert_uint_eq(rig.start_count, 0);
    rig_close(&rig);
    forbid_trimming();
    rig_open(&rig, 4, 1024); /* small shards, so that it could go on */
    rig_load_worker(&rig, 0, 0.62);
    for (int i = 1; i < 4; i++)
        rig_load_worker(&rig, i, 0.5);
    rig_run(&rig, 300);
    ck_assert_double_le(rig_plan(&rig)->max_over_mean, 1.03);
    ck_assert_double_ge(rig_plan(&rig)->max_over_mean, 1.02);
    ck_assert(!rig_plan(&rig)->balancing);
}
END_TEST

/* ---- where to ---- */

START_TEST(load_goes_to_the_three_coldest)
{
    rig_open(&rig, 6, 192);
    const double loads[] = {0.9, 0.7, 0.69, 0.4, 0.41, 0.42};
    for (int i = 0; i < 6; i++)
        rig_load_worker(&rig, i, loads[i]);
    rig_run(&rig, 16);
    ck_assert_uint_gt(rig.start_count, 0);
    for (size_t i = 0; i < rig.start_count; i++)
        if (rig.starts[i].reason == EK_PLAN_BALANCE)
            ck_assert_int_ge(rig.starts[i].target, 3);
}
END_TEST

START_TEST(the_order_of_two_workers_is_hardly_turned_round)
{
    open_hot(0.8);
    rig_run(&rig, 120);
    ck_assert_uint_gt(rig.start_count, 0);
    for (size_t i = 0; i < rig.start_count; i++)
        if (rig.starts[i].reason == EK_PLAN_BALANCE)
            ck_assert_double_le(rig.starts[i].target_after - rig.starts[i].source_after,
                                0.2 * (rig.starts[i].source_before - rig.starts[i].target_before));
}
END_TEST

/* Of nine and seven nearly equal shards, each of the nine a little larger than half of what the workers differ by. */
START_TEST(two_shards_too_many_are_one_too_many)
{
    forbid_trimming();
    rig_open(&rig, 2, 16);
    rig.rules.exchange_pairs = 0;
    rig.shards[15].holder = 0;
    for (uint32_t i = 0; i < 16; i++)
        rig_load(&rig, i, rig.shards[i].holder == 0 ? 0.041 : 0.042);
    rig_run(&rig, 60);
    ck_assert_uint_eq(rig.start_count, 1);
    ck_assert_uint_eq(rig_held(&rig, 0), 8);
    rig_run(&rig, 3600); /* and never back */
    ck_assert_uint_eq(rig.start_count, 1);
}
END_TEST

START_TEST(a_shard_that_would_turn_the_order_round_is_held_back)
{
    rig_open(&rig, 2, 2);
    rig.rules.exchange_pairs = 0;
    rig.shards[0].holder = rig.shards[1].holder = 0;
    rig_load(&rig, 0, 0.5);
    rig_load(&rig, 1, 0.5);
    rig.shards[1].holder = 1;
    rig_load(&rig, 0, 0.6);
    rig.rules.idle_share = 0;
    rig_run(&rig, 60);
    ck_assert_uint_eq(rig.start_count, 0);
}
END_TEST

START_TEST(idle_shards_take_nothing_off_a_busy_worker)
{
    rig_open(&rig, 2, 128);
    rig_load(&rig, 0, 0.4);
    rig_load(&rig, 2, 0.4);
    rig_load(&rig, 1, 0.7);
    rig_run(&rig, 600);
    ck_assert_double_gt(rig_plan(&rig)->loads[0].ratio[EK_PLAN_BUSY], 1.05);
    ck_assert_uint_eq(rig.start_count, 0);
    ck_assert(rig_held_back(&rig, EK_RULE_INVERSION)); /* one that does something, and why it stays */
}
END_TEST

START_TEST(a_worker_that_only_idle_shards_make_hot_is_relieved)
{
    rig_open(&rig, 12, 240);
    rig.rules.floor[EK_PLAN_BUSY] = 0.01;
    for (uint32_t i = 0; i < rig.shard_count; i++)
        if (i % 12 == 0 || i / 12 >= 2)
            rig.shards[i].holder = 0;
        else
            rig_load(&rig, i, 0.015);
    rig_run(&rig, 120);
    ck_assert_uint_gt(rig.start_count, 0);
}
END_TEST

START_TEST(capacity_counts)
{
    rig_open(&rig, 3, 210);
    rig.workers[1].capacity_milli = 2000;
    rig.workers[2].capacity_milli = 4000;
    for (uint32_t i = 0; i < 210; i++)
        rig_load(&rig, i, 0.02);
    rig_run(&rig, 300);
    ck_assert_uint_le(rig_held(&rig, 0), 32);
    ck_assert_uint_ge(rig_held(&rig, 2), 115);
}
END_TEST

START_TEST(other_resources_count_above_their_floors)
{
    rig_open(&rig, 4, 128);
    for (uint32_t i = 0; i < 128; i++) {
        rig_load(&rig, i, 0.5 / 32);
        rig.shards[i].rates[EK_PLAN_WRITES] = (i % 4 ? 1.0 : 3.0) * EK_MIB;
    }
    rig_run(&rig, 120);
    ck_assert_uint_gt(rig.start_count, 0);
    ck_assert(rig_plan(&rig)->active[EK_PLAN_WRITES]);
    ck_assert_double_le(rig_plan(&rig)->loads[0].ratio[EK_PLAN_WRITES], 1.3);
}
END_TEST

START_TEST(a_move_does_not_overload_the_target_in_another_resource)
{
    rig_open(&rig, 2, 128);
    rig_load_worker(&rig, 0, 0.8);
    rig_load_worker(&rig, 1, 0.3);
    for (uint32_t i = 0; i < 128; i++)
        rig.shards[i].rates[EK_PLAN_WRITES] = EK_MIB / 2.0;
    rig_run(&rig, 16); /* all write the same: shards are exchanged, few just go */
    ck_assert_uint_gt(rig_moves(&rig, EK_PLAN_EXCHANGE), 0);
    ck_assert_uint_le(rig_held(&rig, 1), 64 + 4);
}
END_TEST

/* ---- joining ---- */

START_TEST(a_worker_that_joins_is_filled_without_waiting_beyond_a_rounds_share)
{
    forbid_trimming();
    rig_open(&rig, 4, 128);
    for (int i = 0; i < 4; i++)
        rig_load_worker(&rig, i, 0.5);
    rig_run(&rig, 10);
    rig.workers[4].up_since_us = rig.now_us;
    rig.worker_count = 5;
    rig_run(&rig, 5);
    ck_assert_uint_gt(rig.start_count, 11);
    rig_run(&rig, 10);
    ck_assert_uint_ge(rig_held(&rig, 4), 23);
    ck_assert_uint_eq(rig.start_count, rig_held(&rig, 4)); /* nothing moves between the others */
    rig_run(&rig, 10);
    rig_forget(&rig);
    rig_load_worker(&rig, 4, 0.92 * rig_busy(&rig, 4)); /* it is a worker like others now */
    rig_run(&rig, 100);
    ck_assert_uint_eq(rig.start_count, 0);
}
END_TEST

START_TEST(in_an_idle_cluster_too)
{
    rig_open(&rig, 3, 120);
    rig_run(&rig, 10);
    rig.worker_count = 4;
    rig_run(&rig, 20);
    ck_assert_uint_ge(rig_held(&rig, 3), 28);
    ck_assert_uint_le(rig_held(&rig, 3), 30);
}
END_TEST

/* A few shards make the load while it joins. */
START_TEST(what_a_new_worker_lacks_of_shards_is_brought_once_the_cluster_is_idle)
{
    rig_open(&rig, 3, 120);
    for (uint32_t i = 0; i < 120; i++)
        rig_load(&rig, i, i < 24 ? 0.06 : 0);
    rig_run(&rig, 10);
    rig.workers[3].up_since_us = rig.now_us;
    rig.worker_count = 4;
    rig_run(&rig, 60);
    ck_assert_uint_le(rig_held(&rig, 3), 15);
    for (uint32_t i = 0; i < 120; i++)
        rig_load(&rig, i, 0);
    rig_run(&rig, 300);
    ck_assert_uint_ge(rig_held(&rig, 3), 29);
    rig_forget(&rig);
    rig_run(&rig, 1200);
    ck_assert_uint_eq(rig.start_count, 0);
}
END_TEST

START_TEST(and_there_by_shards_and_bytes_whatever_operations_cost)
{
    rig_open(&rig, 3, 120);
    for (uint32_t shard = 0; shard < 12; shard++)
        rig_load(&rig, shard, 0.03);
    rig_run(&rig, 10);
    rig.worker_count = 4;
    rig_run(&rig, 20);
    ck_assert_uint_ge(rig_held(&rig, 3), 28);
    ck_assert_uint_le(rig_held(&rig, 3), 30);
}
END_TEST

START_TEST(cooldowns_into_a_new_worker_are_waived_once_a_shard)
{
    rig_open(&rig, 2, 64);
    rig_load_worker(&rig, 0, 0.5);
    rig_load_worker(&rig, 1, 0.5);
    rig_run(&rig, 10);
    rig.worker_count = 3;
    rig_run(&rig, 20);
    ck_assert_uint_ge(rig_held(&rig, 2), 19);
    for (size_t i = 4; i <= 6; i++) {
        rig.worker_count = i;
        rig_run(&rig, 20);
    }
    size_t waived = 0;
    uint8_t times[64] = {0};
    for (size_t i = 0; i < rig.start_count; i++) {
        waived += rig.starts[i].waived;
        times[rig.starts[i].shard] = (uint8_t)(times[rig.starts[i].shard] + rig.starts[i].waived);
        ck_assert_uint_le(times[rig.starts[i].shard], 1);
    }
    ck_assert_uint_gt(waived, 0);
}
END_TEST

START_TEST(a_worker_that_came_back_takes_load_slowly)
{
    rig.rules = ek_plan_rules;
    rig.rules.wait_us = 0;
    rig_open(&rig, 2, 64);
    rig_load_worker(&rig, 0, 0.85);
    rig_load_worker(&rig, 1, 0.45);
    rig.workers[1].up_since_us = rig.now_us;
    rig_run(&rig, 20);
    ck_assert_uint_eq(rig.start_count, 0);
    ck_assert(rig_held_back(&rig, EK_RULE_RAMP));
    rig_run(&rig, 50);
    ck_assert_uint_gt(rig.start_count, 0);
}
END_TEST

/* ---- large shards ---- */

START_TEST(neighbours_of_a_hot_shard_go_and_the_shard_stays)
{
    open_hot(0.3);
    rig_load(&rig, 0, 0.8);
    rig_run(&rig, 300);
    ck_assert_int_eq(rig.shards[0].holder, 0);
    ck_assert_uint_le(rig_held(&rig, 0), 4);
    ck_assert_int_eq(rig_plan(&rig)->loads[0].hot_shard, 0);
    ck_assert(rig_held_back(&rig, EK_RULE_HOT));
    ck_assert_double_ge(rig_plan(&rig)->loads[1].ratio[EK_PLAN_BUSY], 0.95); /* the mean is that of the others */
    ck_assert_int_eq(rig_plan(&rig)->quiet, EK_RULE_EVEN);
    for (int i = 1; i < 4; i++)
        ck_assert_double_le(rig_busy(&rig, i), 0.65);
}
END_TEST

START_TEST(a_shard_too_large_for_a_small_worker_goes_to_a_large_one)
{
    rig_open(&rig, 2, 128);
    rig.workers[1].capacity_milli = 4000;
    for (uint32_t i = 0; i < 128; i++) {
        rig_load(&rig, i, i ? 0.0075 : 0.8);
        rig.shards[i].holder = i > 0;
    }
    rig_run(&rig, 600);
    ck_assert_int_eq(rig.shards[0].holder, 1);
    ck_assert_double_le(rig_busy(&rig, 0), 0.45);
}
END_TEST

START_TEST(two_hot_shards_part)
{
    rig.rules = ek_plan_rules;
    rig.rules.exchange_pairs = 0;
    rig_open(&rig, 8, 128);
    for (uint32_t i = 0; i < 128; i++)
        rig_load(&rig, i, 0.015);
    rig_load(&rig, 0, 0.9);
    rig_load(&rig, 8, 0.85);
    rig_run(&rig, 900);
    ck_assert_int_ne(rig.shards[0].holder, rig.shards[8].holder);
    for (int i = 0; i < 8; i++)
        ck_assert_double_le(rig_busy(&rig, i), 0.93);
    ck_assert_uint_le(rig_held(&rig, rig.shards[0].holder), 3);
    ck_assert_uint_le(rig_held(&rig, rig.shards[8].holder), 3);
}
END_TEST

START_TEST(shards_are_exchanged_when_no_move_helps)
{
    rig_open(&rig, 2, 8);
    rig.rules.idle_share = 0;
    const double loads[8] = {0.22, 0.11, 0.20, 0.11, 0.20, 0.12, 0.18, 0.11}; /* 0.80 and 0.45 */
    for (uint32_t i = 0; i < 8; i++)
        rig_load(&rig, i, loads[i]);
    rig.shards[7].holder = 0; /* 0.91 and 0.34; the smallest move leaves 0.80 and 0.45 */
    rig_run(&rig, 60);
    ck_assert_uint_ge(rig_moves(&rig, EK_PLAN_EXCHANGE), 2);
    ck_assert_double_le(fabs(rig_busy(&rig, 0) - rig_busy(&rig, 1)), 0.2);
}
END_TEST

/* Nine and seven of shards that differ by 3 % at most: an exchange would close a hundredth of the gap, and the next one another. */
START_TEST(nearly_equal_shards_are_not_exchanged)
{
    rig_open(&rig, 2, 16);
    rig.rules.inversion_share = 0;
    rig.rules.idle_share = 0;
    rig.shards[15].holder = 0;
    for (uint32_t i = 0; i < 16; i++)
        rig_load(&rig, i, (rig.shards[i].holder == 0 ? 0.041 : 0.042) * (1 + 0.002 * (double)(i % 15)));
    rig_run(&rig, 600);
    ck_assert_uint_eq(rig_moves(&rig, EK_PLAN_EXCHANGE), 0);
}
END_TEST

/* 0.488 and 0.432: a large shard alone would turn the order round, without a small one of the others it does not. */
START_TEST(a_large_shard_goes_for_a_small_one_where_that_is_worth_more_than_a_small_one_alone)
{
    rig.rules = ek_plan_rules;
    rig.rules.idle_share = 0;
    rig_open(&rig, 2, 64);
    for (uint32_t i = 0; i < 64; i++)
        rig_load(&rig, i, i % 2 ? 0.0135 : 0.014);
    rig_load(&rig, 0, 0.034);
    rig_load(&rig, 2, 0.034);
    rig_run(&rig, 16);
    ck_assert_uint_gt(rig.start_count, 1);
    ck_assert_int_eq(rig.starts[0].reason, EK_PLAN_EXCHANGE);
    ck_assert_double_le(rig.starts[0].target_after, rig.starts[0].source_after);
}
END_TEST

START_TEST(two_large_shards_part_when_another_worker_makes_room)
{
    rig_open(&rig, 4, 128);
    for (uint32_t i = 0; i < 128; i++)
        rig_load(&rig, i, 0.0095);
    rig_load(&rig, 0, 0.44);
    rig_load(&rig, 4, 0.44);
    for (unsigned i = 0; i < 180; i++) {
        size_t before = rig.start_count;
        rig_run(&rig, 5);
        ck_assert_uint_le(rig.start_count - before, 11); /* what does not fit into the round comes later */
    }
    ck_assert_int_ne(rig.shards[0].holder, rig.shards[4].holder);
    for (int i = 0; i < 4; i++)
        ck_assert_double_le(rig_busy(&rig, i), 0.58); /* the mean is 0.52 */
}
END_TEST

START_TEST(a_large_shard_stays_when_its_target_would_carry_much_more_for_a_while)
{
    rig.rules = ek_plan_rules;
    rig.rules.idle_share = 0;
    rig_open(&rig, 4, 16);
    for (uint32_t i = 0; i < 12; i++)
        rig_load(&rig, i, i == 0 ? 0.5 : i == 8 ? 0 : 0.15); /* 0.65, and three times 0.45 */
    rig_run(&rig, 100);
    ck_assert_uint_eq(rig.start_count, 0);
    rig.rules.exchange_peak = 2;
    rig_run(&rig, 100);
    ck_assert_uint_ge(rig_moves(&rig, EK_PLAN_EXCHANGE), 2);
}
END_TEST

/* ---- the end ---- */

START_TEST(with_loads_held_still_every_round_lowers_the_objective_and_planning_ends)
{
    rig.rules = ek_plan_rules;
    rig.rules.cooldown_us = rig.rules.no_return_us = 0;
    rig_open(&rig, 6, 300);
    for (uint32_t i = 0; i < 300; i++) {
        rig_load(&rig, i, 0.0001 * (1 + i * 7919 % 211));
        rig.shards[i].holder = i % 2 ? (int)(i % 6) : 0;
    }
    double before = INFINITY;
    for (unsigned i = 0; i < 60; i++) {
        rig_run(&rig, 5);
        ck_assert_double_le(rig_plan(&rig)->objective, before + 1e-9);
        before = rig_plan(&rig)->objective;
    }
    ck_assert_uint_gt(rig.start_count, 20);
    rig_forget(&rig);
    rig_run(&rig, 1800);
    ck_assert_uint_eq(rig.start_count, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("planner_balance");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, NULL, close_rig);
    tcase_add_test(tests, an_even_cluster_is_left_alone);
    tcase_add_test(tests, an_idle_cluster_is_not_shuffled);
    tcase_add_test(tests, an_imbalance_has_to_last_three_rounds);
    tcase_add_test(tests, urgent_rounds_do_not_wait);
    tcase_add_test(tests, a_slightly_hot_worker_does_not_begin_it_and_balancing_ends_below_the_start);
    tcase_add_test(tests, load_goes_to_the_three_coldest);
    tcase_add_test(tests, the_order_of_two_workers_is_hardly_turned_round);
    tcase_add_test(tests, two_shards_too_many_are_one_too_many);
    tcase_add_test(tests, a_shard_that_would_turn_the_order_round_is_held_back);
    tcase_add_test(tests, idle_shards_take_nothing_off_a_busy_worker);
    tcase_add_test(tests, a_worker_that_only_idle_shards_make_hot_is_relieved);
    tcase_add_test(tests, capacity_counts);
    tcase_add_test(tests, other_resources_count_above_their_floors);
    tcase_add_test(tests, a_move_does_not_overload_the_target_in_another_resource);
    tcase_add_test(tests, a_worker_that_joins_is_filled_without_waiting_beyond_a_rounds_share);
    tcase_add_test(tests, in_an_idle_cluster_too);
    tcase_add_test(tests, what_a_new_worker_lacks_of_shards_is_brought_once_the_cluster_is_idle);
    tcase_add_test(tests, and_there_by_shards_and_bytes_whatever_operations_cost);
    tcase_add_test(tests, cooldowns_into_a_new_worker_are_waived_once_a_shard);
    tcase_add_test(tests, a_worker_that_came_back_takes_load_slowly);
    tcase_add_test(tests, neighbours_of_a_hot_shard_go_and_the_shard_stays);
    tcase_add_test(tests, a_shard_too_large_for_a_small_worker_goes_to_a_large_one);
    tcase_add_test(tests, two_hot_shards_part);
    tcase_add_test(tests, shards_are_exchanged_when_no_move_helps);
    tcase_add_test(tests, nearly_equal_shards_are_not_exchanged);
    tcase_add_test(tests, a_large_shard_goes_for_a_small_one_where_that_is_worth_more_than_a_small_one_alone);
    tcase_add_test(tests, two_large_shards_part_when_another_worker_makes_room);
    tcase_add_test(tests, a_large_shard_stays_when_its_target_would_carry_much_more_for_a_while);
    tcase_add_test(tests, with_loads_held_still_every_round_lowers_the_objective_and_planning_ends);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
