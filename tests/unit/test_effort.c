/* What work costs the workers, and how far one of them is told from the others. */
#include "broker/effort.h"
#include "tests/support/run_suite.h"

#include <check.h>

enum { WORKERS = 3, SETTLED_S = 200, EACH_US = 4 };

static struct ek_effort effort;
static uint32_t capacity_milli[WORKERS];

static void setup(void)
{
    effort = (struct ek_effort){0};
    for (int i = 0; i < WORKERS; i++)
        capacity_milli[i] = 1000;
}

static void seconds(unsigned count, const double work[WORKERS], const double each_us[WORKERS])
{
    for (unsigned second = 0; second < count; second++) {
        for (int i = 0; i < WORKERS; i++)
            ek_effort_add(&effort, i, work[i], (uint64_t)(work[i] * each_us[i]));
        ek_effort_end(&effort, capacity_milli, WORKERS);
    }
}

#define ck_assert_each(worker, wanted) ck_assert_double_eq_tol(ek_effort_each_us(&effort, worker), wanted, (wanted) / 100.0)

static const double even[WORKERS] = {10000, 10000, 10000};
static const double same[WORKERS] = {EACH_US, EACH_US, EACH_US};

START_TEST(at_first_nothing_is_known)
{
    ck_assert_double_eq(ek_effort_each_us(&effort, 0), 0);
    ek_effort_end(&effort, capacity_milli, WORKERS);
    ck_assert_double_eq(ek_effort_each_us(&effort, 0), 0);
    ck_assert_double_eq(ek_effort_now_us(&effort, 0), 0);
}
END_TEST

START_TEST(an_operation_and_a_kib_are_a_unit_each)
{
    ck_assert_double_eq(ek_effort_work(3, 512), 3.5);
}
END_TEST

START_TEST(the_present_second_is_a_workers_own)
{
    ek_effort_add(&effort, 1, 10, 50);
    ek_effort_add(&effort, 1, 10, 30);
    ek_effort_add(&effort, 2, 10, 70);
    ck_assert_double_eq(ek_effort_now_us(&effort, 1), 4);
    ck_assert_double_eq(ek_effort_now_us(&effort, 2), 7);
    ek_effort_end(&effort, capacity_milli, WORKERS);
    ck_assert_double_eq(ek_effort_now_us(&effort, 1), 0);
}
END_TEST

/* As measured: three workers at 169,000, 17,000 and 18,000 puts a second. */
START_TEST(who_has_less_to_do_is_not_slower)
{
    static const double work[WORKERS] = {169000, 17000, 18000};
    static const double each_us[WORKERS] = {2.5, 4.9, 4.7};
    seconds(SETTLED_S, work, each_us);
    double mean = (169 * 2.5 + 17 * 4.9 + 18 * 4.7) / (169 + 17 + 18);
    for (int i = 0; i < WORKERS; i++)
        ck_assert_each(i, mean);
}
END_TEST

START_TEST(who_is_much_slower_is_believed_to_be)
{
    static const double each_us[WORKERS] = {EACH_US, EACH_US, 10 * EACH_US};
    seconds(SETTLED_S, even, each_us);
    double utilisation = 10 * EACH_US * even[2] / 1e6;
    ck_assert_each(0, EACH_US * (2 - 0.04)); /* a quarter of the mean: what is beyond a half is believed */
    ck_assert_each(2, 10.0 * EACH_US / (2 - utilisation));
}
END_TEST

START_TEST(who_is_busy_all_the_time_is_believed_at_once)
{
    static const double each_us[WORKERS] = {80, 80, 110};
    seconds(SETTLED_S, even, each_us);
    ck_assert_each(2, 110);
}
END_TEST

START_TEST(a_capacity_that_was_told_is_no_slowness)
{
    static const double each_us[WORKERS] = {EACH_US, EACH_US, 8 * EACH_US};
    capacity_milli[2] = 125;
    seconds(SETTLED_S, even, each_us);
    for (int i = 0; i < WORKERS; i++)
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

START_TEST(who_rests_stays_as_it_was)
{
    static const double none[WORKERS] = {0, 0, 0};
    static const double each_us[WORKERS] = {80, 80, 110};
    seconds(SETTLED_S, even, each_us);
    seconds(100 * SETTLED_S, none, each_us);
    ck_assert_each(0, 90);
    ck_assert_each(2, 110);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("effort");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, at_first_nothing_is_known);
    tcase_add_test(tests, an_operation_and_a_kib_are_a_unit_each);
    tcase_add_test(tests, the_present_second_is_a_workers_own);
    tcase_add_test(tests, who_has_less_to_do_is_not_slower);
    tcase_add_test(tests, who_is_much_slower_is_believed_to_be);
    tcase_add_test(tests, who_is_busy_all_the_time_is_believed_at_once);
    tcase_add_test(tests, a_capacity_that_was_told_is_no_slowness);
    tcase_add_test(tests, one_second_hardly_counts);
    tcase_add_test(tests, who_rests_stays_as_it_was);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
