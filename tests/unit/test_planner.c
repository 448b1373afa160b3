#include "tests/support/planner_rig.h"
#include "tests/support/run_suite.h"

#include <check.h>
#include <string.h>

#define GIB (UINT64_C(1024) * EK_MIB)

static struct planner_rig rig;

static void close_rig(void)
{
    rig_close(&rig);
}

static void take_all_away(void)
{
    for (uint32_t i = 0; i < rig.shard_count; i++)
        rig.shards[i].holder = -1;
}

/* ---- shards without a holder ---- */

START_TEST(a_new_cluster_starts_even)
{
    rig_open(&rig, 5, 512);
    take_all_away();
    rig_run(&rig, 1);
    for (int i = 0; i < 5; i++)
        ck_assert_msg(rig_held(&rig, i) == 102 || rig_held(&rig, i) == 103, "%d holds %u", i, rig_held(&rig, i));
    ck_assert_uint_eq(rig_moves(&rig, EK_PLAN_REPAIR), 512);
    rig_run(&rig, 60);
    ck_assert_uint_eq(rig.start_count, 512);
}
END_TEST

/* A shard more is much to a small worker: 3 x 30, 3 x 60 and 2 x 121 is as even as it gets. */
START_TEST(a_new_cluster_of_unequal_workers_starts_as_even_as_it_can)
{
    static const uint32_t capacities[] = {1000, 2000, 4000, 1000, 2000, 4000, 1000, 2000};
    rig_open(&rig, 8, 512);
    for (int i = 0; i < 8; i++)
        rig.workers[i].capacity_milli = capacities[i];
    take_all_away();
    rig_run(&rig, 1);
    for (int i = 0; i < 8; i++)
        ck_assert_uint_eq(rig_held(&rig, i), capacities[i] == 4000 ? 121 : capacities[i] * 30 / 1000);
}
END_TEST

START_TEST(a_dead_workers_shards_go_to_the_coldest_largest_first_at_once)
{
    rig_open(&rig, 4, 64);
    for (uint32_t i = 0; i < 64; i++)
        rig_load(&rig, i, i == 3 ? 0.2 : i % 4 == 1 ? 0.04 : 0.02);
    rig_run(&rig, 7); /* not at a round's time */
    rig_forget(&rig);
    for (uint32_t i = 3; i < 64; i += 4)
        rig.shards[i].holder = -1;
    rig.workers[3].state = EK_PLAN_AWAY;
    rig_run(&rig, 1);
    ck_assert_uint_eq(rig_moves(&rig, EK_PLAN_REPAIR), 16);
    ck_assert_uint_eq(rig.starts[0].shard, 3);
    ck_assert_double_eq_tol(rig_busy(&rig, 1), 0.64, 0.03); /* the hot one got nothing */
    ck_assert_double_eq_tol(rig_busy(&rig, 0), rig_busy(&rig, 2), 0.08);
}
END_TEST

START_TEST(without_workers_shards_wait_and_say_why)
{
    rig_open(&rig, 1, 8);
    take_all_away();
    rig.workers[0].state = EK_PLAN_AWAY;
    rig_run(&rig, 10);
    ck_assert_uint_eq(rig.start_count, 0);
    ck_assert(rig_held_back(&rig, EK_RULE_TARGET));
}
END_TEST

START_TEST(shards_of_a_worker_that_is_away_stay_its_own)
{
    rig_open(&rig, 3, 96);
    rig.workers[1].state = EK_PLAN_AWAY;
    for (uint32_t i = 1; i < 96; i += 3)
        rig.shards[i].movable = false;
    rig_run(&rig, 120);
    ck_assert_uint_eq(rig.start_count, 0);
}
END_TEST

/* ---- drains ---- */

START_TEST(a_drain_empties_the_worker_largest_first_and_moves_nothing_twice)
{
    rig_open(&rig, 4, 64);
    for (uint32_t i = 0; i < 64; i++)
        rig_load(&rig, i, i == 22 ? 0.025 : 0.02);
    rig_run(&rig, 20);
    rig.workers[2].state = EK_PLAN_DRAINING;
    rig_run(&rig, 30);
    ck_assert_uint_eq(rig_held(&rig, 2), 0);
    ck_assert_uint_eq(rig_moves(&rig, EK_PLAN_DRAIN), 16);
    ck_assert_uint_eq(rig.start_count, 16);
    ck_assert_uint_eq(rig.starts[0].shard, 22);
    for (int i = 0; i < 4; i++)
        ck_assert_uint_le(rig_held(&rig, i), 22);
}
END_TEST

START_TEST(a_drain_that_disks_cannot_take_is_refused_with_the_reason)
{
    rig_open(&rig, 2, 8);
    for (uint32_t i = 0; i < 8; i++)
        rig.shards[i].stored_bytes = 12 * GIB;
    rig.workers[0].disk_free_bytes = rig.workers[1].disk_free_bytes = 52 * GIB;
    rig.workers[1].state = EK_PLAN_DRAINING;
    rig_run(&rig, 10);
    ck_assert_uint_eq(rig.start_count, 0);
    ck_assert(rig_held_back(&rig, EK_RULE_DISK));
    ck_assert_int_eq(rig_plan(&rig)->loads[1].drain, EK_RULE_DISK);
    struct ek_plan_snapshot snapshot = {
        .now_us = rig.now_us, .workers = rig.workers, .worker_count = 2, .shards = rig.shards, .balance = true};
    ck_assert_int_eq(ek_planner_may_drain(rig.planner, &snapshot, 0), EK_RULE_TARGET);
    rig.workers[1].state = EK_PLAN_UP;
    ck_assert_int_eq(ek_planner_may_drain(rig.planner, &snapshot, 0), EK_RULE_DISK);
    rig.workers[1].disk_free_bytes = 92 * GIB;
    ck_assert_int_eq(ek_planner_may_drain(rig.planner, &snapshot, 0), EK_RULE_NONE);
}
END_TEST

START_TEST(the_last_worker_is_not_drained)
{
    rig_open(&rig, 1, 8);
    rig.workers[0].state = EK_PLAN_DRAINING;
    rig_run(&rig, 10);
    ck_assert_uint_eq(rig.start_count, 0);
    ck_assert_int_eq(rig_plan(&rig)->loads[0].drain, EK_RULE_TARGET);
}
END_TEST

START_TEST(what_a_drain_had_planned_does_not_begin_once_it_is_cancelled)
{
    rig_open(&rig, 3, 24);
    rig.slow_copies = true;
    rig_run(&rig, 20);
    rig.workers[2].state = EK_PLAN_DRAINING;
    rig_run(&rig, 12); /* the next round is some seconds away */
    ck_assert_uint_eq(rig.start_count, 1);
    ck_assert_uint_gt(rig_plan(&rig)->count, 0);
    rig.workers[2].state = EK_PLAN_UP;
    rig_end_move(&rig, rig.starts[0].shard);
    rig_forget(&rig);
    rig_run(&rig, 1);
    ck_assert_uint_eq(rig_moves(&rig, EK_PLAN_DRAIN), 0);
}
END_TEST

/* ---- disks ---- */

START_TEST(a_full_disk_sheds_its_largest_shards_and_no_more_than_needed)
{
    rig_open(&rig, 3, 30);
    for (uint32_t i = 0; i < 30; i += 3)
        rig.shards[i].stored_bytes = i == 9 ? 14 * GIB : 9 * GIB;
    rig.workers[0].disk_free_bytes = 5 * GIB;
    rig_run(&rig, 1);
    ck_assert_uint_eq(rig_moves(&rig, EK_PLAN_FULL), 1);
    ck_assert_uint_eq(rig.starts[0].shard, 9);
    rig_run(&rig, 10); /* its rows are still on the disk */
    ck_assert_uint_eq(rig_moves(&rig, EK_PLAN_FULL), 1);
}
END_TEST

START_TEST(no_move_fills_a_disk)
{
    rig_open(&rig, 2, 32);
    for (uint32_t i = 0; i < 32; i++)
        rig.shards[i].stored_bytes = GIB;
    rig.workers[1].disk_free_bytes = 8 * GIB;
    rig_load_worker(&rig, 0, 0.9);
    rig_load_worker(&rig, 1, 0.3);
    rig_run(&rig, 60);
    ck_assert_uint_eq(rig.start_count, 0);
    ck_assert(rig_held_back(&rig, EK_RULE_DISK));
    rig.workers[1].disk_free_bytes = 80 * GIB;
    rig_run(&rig, 60);
    ck_assert_uint_gt(rig.start_count, 0);
}
END_TEST

/* ---- the queue ---- */

static void overload_two(void)
{
    rig_open(&rig, 4, 64);
    rig.slow_copies = true;
    rig_load_worker(&rig, 0, 0.9);
    rig_load_worker(&rig, 1, 0.9);
    rig_load_worker(&rig, 2, 0.3);
    rig_load_worker(&rig, 3, 0.3);
}

static uint32_t under_way(int source)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < rig.shard_count; i++)
        count += rig.shards[i].learner >= 0 && rig.shards[i].holder == source;
    return count;
}

START_TEST(a_worker_copies_one_shard_out_at_a_time_and_the_next_begins_when_it_ends)
{
    overload_two();
    rig_run(&rig, 21);
    ck_assert_uint_eq(under_way(0), 1);
    ck_assert_uint_eq(under_way(1), 1);
    ck_assert_uint_gt(rig_plan(&rig)->count, 0);
    rig_end_move(&rig, rig.starts[0].shard);
    rig_run(&rig, 1); /* no round is due */
    ck_assert_uint_eq(rig.start_count, 3);
    ck_assert_uint_eq(under_way(0), 1);
    ck_assert_uint_eq(under_way(1), 1);
}
END_TEST

START_TEST(a_worker_takes_two_copies_at_a_time)
{
    rig_open(&rig, 5, 80);
    rig.slow_copies = true;
    for (int i = 0; i < 4; i++)
        rig_load_worker(&rig, i, 0.8);
    rig_load_worker(&rig, 4, 0.2);
    rig_run(&rig, 40);
    ck_assert_uint_eq(rig.start_count, 2);
    ck_assert_int_eq(rig.starts[0].target, 4);
    ck_assert_int_eq(rig.starts[1].target, 4);
}
END_TEST

START_TEST(a_copy_takes_a_fifth_of_the_rate_and_a_twentieth_while_the_objective_is_missed)
{
    overload_two();
    rig_run(&rig, 20);
    ck_assert_uint_eq(rig.starts[0].bytes_per_second, UINT64_C(200) * EK_MIB / 10); /* a fifth, for two */
    rig_close(&rig);
    overload_two();
    rig.workers[0].late = rig.workers[1].late = true;
    rig_run(&rig, 20);
    ck_assert_uint_eq(rig.starts[0].bytes_per_second, UINT64_C(200) * EK_MIB / 20);
}
END_TEST

START_TEST(empty_shards_move_at_once)
{
    rig_open(&rig, 1, 64);
    for (uint32_t i = 0; i < 64; i++) {
        rig.shards[i].empty = true;
        rig.shards[i].stored_bytes = 0;
    }
    rig_run(&rig, 5);
    rig.worker_count = 2;
    rig.slow_copies = true;
    rig_run(&rig, 5);
    ck_assert_uint_eq(rig.start_count, 32);
}
END_TEST

START_TEST(a_planned_move_whose_worker_has_gone_does_not_begin)
{
    overload_two();
    rig_run(&rig, 17);
    size_t before = rig.start_count;
    ck_assert_uint_gt(rig_plan(&rig)->count, 0);
    rig.workers[2].state = rig.workers[3].state = EK_PLAN_AWAY;
    for (size_t i = 0; i < before; i++)
        rig_fail_move(&rig, rig.starts[i].shard);
    rig_run(&rig, 3); /* no round is due */
    ck_assert_uint_eq(rig.start_count, before);
}
END_TEST

START_TEST(switched_off_only_duties_are_carried_out)
{
    rig_open(&rig, 4, 64);
    rig.balance = false;
    rig_load_worker(&rig, 0, 0.95);
    for (int i = 1; i < 4; i++)
        rig_load_worker(&rig, i, 0.4);
    rig_run(&rig, 60);
    ck_assert_uint_eq(rig.start_count, 0);
    ck_assert_int_eq(rig_plan(&rig)->quiet, EK_RULE_OFF);
    rig.workers[0].state = EK_PLAN_DRAINING;
    rig_run(&rig, 10);
    ck_assert_uint_eq(rig_held(&rig, 0), 0);
}
END_TEST

/* ---- advice, and order ---- */

START_TEST(the_number_of_workers_wanted_follows_the_load)
{
    rig_open(&rig, 4, 64);
    for (int i = 0; i < 4; i++)
        rig_load_worker(&rig, i, 0.6);
    rig_run(&rig, 10);
    ck_assert_uint_eq(rig_plan(&rig)->workers_wanted, 4);
    for (int i = 0; i < 4; i++)
        rig_load_worker(&rig, i, 0.9);
    rig_run(&rig, 30);
    ck_assert_uint_eq(rig_plan(&rig)->workers_wanted, 6);
    for (int i = 0; i < 4; i++)
        rig_load_worker(&rig, i, 0.2);
    rig_run(&rig, 30);
    ck_assert_uint_eq(rig_plan(&rig)->workers_wanted, 2);
}
END_TEST

/* The same cluster with workers in reverse. */
START_TEST(workers_in_another_order_get_the_same_plan)
{
    static struct planner_rig other;
    rig_open(&rig, 5, 100);
    rig_open(&other, 5, 100);
    for (int i = 0; i < 5; i++)
        other.workers[i] = rig.workers[4 - i];
    for (uint32_t i = 0; i < 100; i++) {
        rig_load(&rig, i, 0.01 + 0.0004 * (i * 7919 % 100));
        rig_load(&other, i, rig.shards[i].rates[EK_PLAN_BUSY] / 1e6);
        rig.shards[i].holder = i % 3 ? 0 : (int)(i % 5);
        other.shards[i].holder = 4 - rig.shards[i].holder;
    }
    rig_run(&rig, 120);
    rig_run(&other, 120);
    ck_assert_uint_gt(rig.start_count, 20);
    ck_assert_uint_eq(rig.start_count, other.start_count);
    for (size_t i = 0; i < rig.start_count; i++) {
        ck_assert_uint_eq(rig.starts[i].shard, other.starts[i].shard);
        ck_assert_int_eq(rig.starts[i].target, 4 - other.starts[i].target);
    }
    rig_close(&other);
}
END_TEST

START_TEST(every_rule_has_a_sentence)
{
    rig_open(&rig, 1, 1);
    for (int i = 0; i < EK_RULE_COUNT; i++)
        ck_assert_str_ne(ek_plan_rule_text((enum ek_plan_rule)i), "unknown");
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("planner");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, NULL, close_rig);
    tcase_add_test(tests, a_new_cluster_starts_even);
    tcase_add_test(tests, a_new_cluster_of_unequal_workers_starts_as_even_as_it_can);
    tcase_add_test(tests, a_dead_workers_shards_go_to_the_coldest_largest_first_at_once);
    tcase_add_test(tests, without_workers_shards_wait_and_say_why);
    tcase_add_test(tests, shards_of_a_worker_that_is_away_stay_its_own);
    tcase_add_test(tests, a_drain_empties_the_worker_largest_first_and_moves_nothing_twice);
    tcase_add_test(tests, a_drain_that_disks_cannot_take_is_refused_with_the_reason);
    tcase_add_test(tests, the_last_worker_is_not_drained);
    tcase_add_test(tests, what_a_drain_had_planned_does_not_begin_once_it_is_cancelled);
    tcase_add_test(tests, a_full_disk_sheds_its_largest_shards_and_no_more_than_needed);
    tcase_add_test(tests, no_move_fills_a_disk);
    tcase_add_test(tests, a_worker_copies_one_shard_out_at_a_time_and_the_next_begins_when_it_ends);
    tcase_add_test(tests, a_worker_takes_two_copies_at_a_time);
    tcase_add_test(tests, a_copy_takes_a_fifth_of_the_rate_and_a_twentieth_while_the_objective_is_missed);
    tcase_add_test(tests, empty_shards_move_at_once);
    tcase_add_test(tests, a_planned_move_whose_worker_has_gone_does_not_begin);
    tcase_add_test(tests, switched_off_only_duties_are_carried_out);
    tcase_add_test(tests, the_number_of_workers_wanted_follows_the_load);
    tcase_add_test(tests, workers_in_another_order_get_the_same_plan);
    tcase_add_test(tests, every_rule_has_a_sentence);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
