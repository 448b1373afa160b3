/* What an operation adds to the time of its group. */
#include "tests/support/run_suite.h"
#include "worker/cost.h"

#include <check.h>

enum { FIXED_US = 1000, EACH_US = 5, GROUPS = 1000 };

static struct ek_cost cost;

static void setup(void)
{
    cost = (struct ek_cost){0};
}

static void groups(unsigned count, unsigned least, unsigned most, unsigned fixed_us, unsigned each_us)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned work = i % 2 ? least : most;
        ek_cost_add(&cost, work, fixed_us + (uint64_t)each_us * work);
    }
}

#define ck_assert_each(wanted) ck_assert_double_eq_tol(ek_cost_each_us(&cost), wanted, (wanted) / 50.0)

START_TEST(at_first_nothing_is_known)
{
    ck_assert_double_eq(ek_cost_each_us(&cost), 0);
    ek_cost_add(&cost, 0, FIXED_US); /* nothing but a snapshot */
    ck_assert_double_eq(ek_cost_each_us(&cost), 0);
}
END_TEST

START_TEST(a_shard_is_four_units_an_operation_and_a_kib_one_each)
{
    ck_assert_double_eq(ek_cost_work(0, 0), 4);
    ck_assert_double_eq(ek_cost_work(30, 512), 34.5);
}
END_TEST

START_TEST(what_every_group_costs_is_no_operations)
{
    groups(GROUPS, 50, 400, FIXED_US, EACH_US);
    ck_assert_each(EACH_US);
}
END_TEST

START_TEST(small_and_large_groups_tell_the_same)
{
    groups(GROUPS, 10, 30, FIXED_US, EACH_US);
    ck_assert_each(EACH_US);
    setup();
    groups(GROUPS, 5000, 15000, FIXED_US, EACH_US);
    ck_assert_each(EACH_US);
}
END_TEST

START_TEST(groups_of_one_size_alone_tell_of_nothing_fixed)
{
    groups(GROUPS, 100, 100, FIXED_US, EACH_US);
    ck_assert_each(EACH_US + FIXED_US / 100.0);
}
END_TEST

/* Storage that has become slow makes full groups, one like the other. */
START_TEST(what_is_fixed_stays_while_groups_are_of_one_size)
{
    groups(GROUPS, 50, 400, FIXED_US, EACH_US);
    groups(10 * GROUPS, 20000, 20000, FIXED_US, 4 * EACH_US);
    ck_assert_each(4 * EACH_US);
}
END_TEST

START_TEST(groups_that_take_less_than_what_is_fixed_refute_it)
{
    groups(GROUPS, 50, 400, FIXED_US, EACH_US);
    double kept_us = cost.fixed_us;
    cost = (struct ek_cost){.fixed_us = kept_us};
    groups(GROUPS, 20000, 20000, FIXED_US / 4, 0); /* a disk that has become fast makes full groups, one like the other */
    ck_assert_double_eq_tol(ek_cost_each_us(&cost), FIXED_US / 80000.0, 1e-6);
}
END_TEST

/* A stall hits whatever group there is. */
START_TEST(a_stall_of_a_small_group_says_little)
{
    groups(GROUPS, 50, 400, FIXED_US, EACH_US);
    double fixed_us = cost.fixed_us;
    ek_cost_add(&cost, 1, 9000000);
    ck_assert_double_eq_tol(cost.fixed_us, fixed_us, fixed_us / 8);
    ck_assert_double_eq_tol(ek_cost_each_us(&cost), EACH_US, EACH_US / 8.0);
}
END_TEST

START_TEST(small_groups_that_take_longer_than_large_ones_say_nothing)
{
    groups(GROUPS, 50, 400, FIXED_US, EACH_US);
    double fixed_us = cost.fixed_us;
    cost = (struct ek_cost){.fixed_us = fixed_us};
    for (int i = 0; i < GROUPS; i++)
        ek_cost_add(&cost, i % 2 ? 50 : 400, i % 2 ? 3 * FIXED_US : 2 * FIXED_US);
    ck_assert_double_eq(cost.fixed_us, fixed_us);
}
END_TEST

START_TEST(one_huge_group_does_not_set_the_slope)
{
    groups(30 * GROUPS, 5, 5, FIXED_US, EACH_US);
    double each_us = ek_cost_each_us(&cost);
    ek_cost_add(&cost, 1029, 200000); /* a value of 1 MiB */
    ck_assert_double_eq(cost.fixed_us, 0);
    ck_assert_double_eq_tol(ek_cost_each_us(&cost), each_us, each_us / 50);
}
END_TEST

START_TEST(what_was_long_ago_fades)
{
    groups(20 * GROUPS, 50, 400, FIXED_US, EACH_US);
    groups(60 * GROUPS, 50, 400, 2 * FIXED_US, 2 * EACH_US);
    ck_assert_each(2 * EACH_US);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("cost");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, at_first_nothing_is_known);
    tcase_add_test(tests, a_shard_is_four_units_an_operation_and_a_kib_one_each);
    tcase_add_test(tests, what_every_group_costs_is_no_operations);
    tcase_add_test(tests, small_and_large_groups_tell_the_same);
    tcase_add_test(tests, groups_of_one_size_alone_tell_of_nothing_fixed);
    tcase_add_test(tests, what_is_fixed_stays_while_groups_are_of_one_size);
    tcase_add_test(tests, groups_that_take_less_than_what_is_fixed_refute_it);
    tcase_add_test(tests, a_stall_of_a_small_group_says_little);
    tcase_add_test(tests, one_huge_group_does_not_set_the_slope);
    tcase_add_test(tests, small_groups_that_take_longer_than_large_ones_say_nothing);
    tcase_add_test(tests, what_was_long_ago_fades);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
