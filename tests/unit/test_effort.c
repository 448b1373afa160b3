/* What work costs the workers, and how far one of them is told from the others. */
#include "broker/effort.h"
#include "tests/support/run_suite.h"

#include <check.h>

enum { WORKERS = 3, SETTLED_S = 200, EACH_US = 4 };

static struct ek_effort effort;
static uint32_t capacity_milli[WORKERS];
static bool says[WORKERS];

static void setup(void)
{
    effort = (struct ek_effort){0};
    for (int i = 0; i < WORKERS; i++) {
        capacity_milli[i] = 1000;
        says[i] = true;
    }
}

static void seconds(unsigned count, const double work[WORKERS], const double each_us[WORKERS])
{
    for (unsigned second = 0; second < count; second++) {
        for (size_t i = 0; i < WORKERS; i++) {
            ek_effort_begin(&effort, i, capacity_milli[i], says[i]);
            if (says[i])
                ek_effort_add(&effort, i, work[i], work[i] * each_us[i]);
        }
        ek_effort_end(&effort, WORKERS);
    }
}

#define ck_assert_each(worker, wanted) ck_assert_double_eq_tol(ek_effort_each_us(&effort, worker), wanted, (wanted) / 100.0)

static const double even[WORKERS] = {10000, 10000, 10000};
static const double same[WORKERS] = {EACH_US, EACH_US, EACH_US};

START_TEST(at_first_nothing_is_known)
{
    static const double none[WORKERS] = {0, 0, 0};
    ck_assert_double_eq(ek_effort_each_us(&effort, 0), 0);
    seconds(1, none, same);
    ck_assert_double_eq(ek_effort_each_us(&effort, 0), 0);
    ck_assert_double_eq(ek_effort_now_us(&effort, 0), 0);
}
END_TEST

START_TEST(the_present_second_is_a_workers_own)
{
    ek_effort_add(&effort, 1, 10, 50);
    ek_effort_add(&effort, 1, 10, 30);
    ek_effort_add(&effort, 2, 10, 70);
    ck_assert_double_eq(ek_effort_now_us(&effort, 1), 4);
    ck_assert_double_eq(ek_effort_now_us(&effort, 2), 7);
    ek_effort_begin(&effort, 1, 1000, true);
    ck_assert_double_eq(ek_effort_now_us(&effort, 1), 0);
    ck_assert_double_eq(ek_effort_now_us(&effort, 2), 7);
}
END_TEST

/* As measured: three workers at 166,000, 17,000 and 18,000 puts a second. */
START_TEST(who_has_less_to_do_is_not_slower)
{
    static const double work[WORKERS] = {166000, 17000, 18000};
    static const double each_us[WORKERS] = {2.5, 4.2, 5.2};
    seconds(SETTLED_S, work, each_us);
    for (size_t i = 0; i < WORKERS; i++)
        ck_assert_double_eq_tol(ek_effort_each_us(&effort, i), 2.5, 2.5 / 12);
}
END_TEST

/* One that makes a group of each operation says what a group costs. */
START_TEST(nor_is_who_has_next_to_nothing_to_do)
{
    static const double work[WORKERS] = {100000, 100000, 50};
    static const double each_us[WORKERS] = {EACH_US, EACH_US, 600};
    seconds(SETTLED_S, work, each_us);
    ck_assert_each(0, EACH_US);
    ck_assert_double_lt(ek_effort_each_us(&effort, 2), 1.2 * EACH_US);
}
END_TEST

START_TEST(who_is_slow_is_believed_as_far_as_it_is_busy)
{
    static const double each_us[WORKERS] = {EACH_US, EACH_US, 6 * EACH_US};
    static const double little_us[WORKERS] = {EACH_US, EACH_US, 1.5 * EACH_US};
    static const double work[WORKERS] = {20833, 20833, 20833}; /* it is busy half of the time */
    seconds(SETTLED_S, work, each_us);
    ck_assert_each(0, EACH_US);
    ck_assert_each(2, 2 * EACH_US); /* the root of what is beyond one and a half times as slow */
    setup();
    seconds(SETTLED_S, work, little_us);
    ck_assert_each(2, EACH_US);
}
END_TEST

START_TEST(who_is_busy_all_the_time_is_believed)
{
    static const double each_us[WORKERS] = {EACH_US, EACH_US, 110};
    seconds(SETTLED_S, even, each_us);
    ck_assert_each(0, EACH_US);
    ck_assert_each(2, 110);
}
END_TEST

START_TEST(the_worker_in_the_middle_counts_by_what_it_does)
{
    static const double work[WORKERS] = {1000, 1000, 10000};
    static const double each_us[WORKERS] = {1, 2, 3};
    seconds(SETTLED_S, work, each_us);
    ck_assert_double_eq_tol(effort.each_us, 3, 0.01);
    seconds(SETTLED_S, even, each_us);
    ck_assert_double_eq_tol(effort.each_us, 2, 0.01);
}
END_TEST

START_TEST(a_capacity_that_was_told_is_no_slowness)
{
    static const double each_us[WORKERS] = {EACH_US, EACH_US, 8 * EACH_US};
    capacity_milli[2] = 125;
    seconds(SETTLED_S, even, each_us);
    for (size_t i = 0; i < WORKERS; i++)
        ck_assert_each(i, EACH_US);
}
END_TEST

START_TEST(one_second_hardly_counts)
{
    static const double stalled[WORKERS] = {21 * EACH_US, 21 * EACH_US, 21 * EACH_US};
    seconds(SETTLED_S, even, same);
    seconds(1, even, stalled);
    ck_assert_each(0, 1.6 * EACH_US); /* 0.03 of 20 more */
}
END_TEST

START_TEST(a_second_of_which_nothing_is_known_does_not_count)
{
    static const double each_us[WORKERS] = {EACH_US, EACH_US, 110};
    seconds(SETTLED_S, even, each_us);
    says[2] = false;
    seconds(SETTLED_S, even, each_us);
    ck_assert_each(2, 110);
}
END_TEST

START_TEST(who_rests_is_like_the_others_again)
{
    static const double none[WORKERS] = {0, 0, 0};
    static const double others[WORKERS] = {10000, 10000, 0};
    static const double each_us[WORKERS] = {EACH_US, EACH_US, 110};
    seconds(SETTLED_S, even, each_us);
    seconds(SETTLED_S, others, each_us);
    ck_assert_each(2, EACH_US);
    seconds(1000 * SETTLED_S, none, each_us); /* until nothing is left of any mean */
    for (size_t i = 0; i < WORKERS; i++)
        ck_assert_each(i, EACH_US);
}
END_TEST

START_TEST(what_a_unit_costs_is_known_when_workers_are_renumbered)
{
    static const double each_us[WORKERS] = {EACH_US, EACH_US, 110};
    seconds(SETTLED_S, even, each_us);
    ek_effort_renumbered(&effort);
    ck_assert_each(2, EACH_US);
    seconds(SETTLED_S, even, each_us);
    ck_assert_each(2, 110);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("effort");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, at_first_nothing_is_known);
    tcase_add_test(tests, the_present_second_is_a_workers_own);
    tcase_add_test(tests, who_has_less_to_do_is_not_slower);
    tcase_add_test(tests, nor_is_who_has_next_to_nothing_to_do);
    tcase_add_test(tests, who_is_slow_is_believed_as_far_as_it_is_busy);
    tcase_add_test(tests, who_is_busy_all_the_time_is_believed);
    tcase_add_test(tests, the_worker_in_the_middle_counts_by_what_it_does);
    tcase_add_test(tests, a_capacity_that_was_told_is_no_slowness);
    tcase_add_test(tests, one_second_hardly_counts);
    tcase_add_test(tests, a_second_of_which_nothing_is_known_does_not_count);
    tcase_add_test(tests, who_rests_is_like_the_others_again);
    tcase_add_test(tests, what_a_unit_costs_is_known_when_workers_are_renumbered);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
