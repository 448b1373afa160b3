#include "broker/planner_load.h"
#include "tests/support/run_suite.h"

#include <check.h>
#include <math.h>

static struct ek_load load;

static bool alert;
static unsigned shifts; /* that were news */

static void sample(struct ek_load *of, double value, double seconds)
{
    struct ek_load_weights weights = ek_load_weights(&ek_plan_rules, seconds);
    shifts += ek_load_sample(of, &ek_plan_rules, &weights, value, alert);
}

static void feed(double value, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        sample(&load, value, 1);
}

static void feed_noise(double mean, double swing, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        sample(&load, mean + (i % 3 == 0 ? swing : i % 3 == 1 ? -swing : 0), 1);
}

static void forget(void)
{
    load = (struct ek_load){0};
    alert = false;
    shifts = 0;
}

START_TEST(a_constant_is_known_at_once)
{
    feed(40, 1);
    ck_assert_double_eq_tol(ek_load_level(&load), 40, 1e-9);
    feed(40, 100);
    ck_assert_double_eq_tol(ek_load_level(&load), 40, 1e-9);
    ck_assert_double_eq_tol(ek_load_variance(&load), 0, 1e-9);
}
END_TEST

START_TEST(two_spikes_in_five_samples_do_not_count)
{
    feed(40, 100);
    feed(4000, 2);
    ck_assert_double_eq_tol(ek_load_level(&load), 40, 1e-9);
    feed(40, 3);
    ck_assert_double_eq_tol(ek_load_level(&load), 40, 1e-9);
}
END_TEST

START_TEST(a_shift_is_followed_within_six_samples)
{
    feed_noise(100, 20, 200);
    feed_noise(400, 20, 6);
    ck_assert_double_ge(ek_load_level(&load), 350);
}
END_TEST

/* The sample in which it happens is neither the one nor the other, and the first median that tells of it is that one. */
START_TEST(what_was_before_a_shift_does_not_linger)
{
    feed_noise(100, 20, 200);
    feed(150, 1);
    feed_noise(400, 20, 9);
    ck_assert_double_eq_tol(ek_load_level(&load), 400, 20);
    ck_assert_uint_eq(shifts, 1);
}
END_TEST

START_TEST(a_small_shift_is_known_at_once_only_when_another_load_has_shifted)
{
    feed_noise(100, 10, 200);
    struct ek_load before = load;
    feed_noise(75, 10, 6);
    ck_assert_double_ge(ek_load_level(&load), 95);
    load = before;
    alert = true;
    feed_noise(75, 10, 6);
    ck_assert_double_le(ek_load_level(&load), 82);
    ck_assert_uint_eq(shifts, 0); /* no news */
}
END_TEST

START_TEST(noise_is_not_taken_for_a_shift)
{
    feed_noise(100, 20, 200);
    double before = load.slow_weight;
    feed_noise(100, 20, 300);
    ck_assert_double_le(load.slow_weight, before);
    ck_assert_double_eq_tol(ek_load_level(&load), 100, 3);
}
END_TEST

START_TEST(what_leaves_counts_as_the_smaller_average_what_arrives_as_the_larger)
{
    feed(100, 200);
    load.fast = 80;
    ck_assert_double_eq_tol(ek_load_leaving(&load), 80, 1e-9);
    ck_assert_double_eq_tol(ek_load_arriving(&load), 100, 1e-6);
    load.fast = 120;
    ck_assert_double_eq_tol(ek_load_leaving(&load), 100, 1e-6);
    ck_assert_double_eq_tol(ek_load_arriving(&load), 120, 1e-9);
}
END_TEST

START_TEST(what_is_followed_is_the_fast_average)
{
    feed_noise(100, 50, 600);
    double calm = ek_load_fast_variance(&load);
    ck_assert_double_gt(calm, ek_load_variance(&load));
    feed_noise(110, 50, 10);
    double fast = load.fast;
    ck_assert_double_gt(fast, ek_load_level(&load) + 2);
    ek_load_follow(&load);
    ck_assert_double_eq_tol(ek_load_level(&load), fast, 1e-9);
    ck_assert_double_eq_tol(ek_load_variance(&load), ek_load_fast_variance(&load), 1e-9); /* and is as uncertain */
    feed_noise(110, 50, 30);
    ck_assert_double_eq_tol(ek_load_level(&load), 110, 2);
}
END_TEST

START_TEST(averages_have_their_half_lives)
{
    feed(100, 300);
    load.variance = 1e9; /* nothing is far apart under so much noise */
    feed(200, 2);        /* the median does not know yet */
    for (unsigned i = 0; i < 10; i++) {
        load.variance = 1e9;
        feed(200, 1);
    }
    ck_assert_double_eq_tol(load.fast, 150, 0.5);
    ck_assert_double_eq_tol(load.slow, 200 - 100 * exp2(-10.0 / 60), 0.5);
}
END_TEST

START_TEST(a_sample_after_a_lost_one_counts_for_two_seconds)
{
    feed(100, 300);
    struct ek_load other = load;
    other.variance = load.variance = 1e9;
    feed(200, 5);
    for (unsigned i = 0; i < 5; i++)
        sample(&other, 200, 2);
    ck_assert_double_gt(other.fast, load.fast);
}
END_TEST

START_TEST(variance_is_that_of_samples_and_falls_with_their_number)
{
    feed_noise(100, 20, 5);
    double early = ek_load_variance(&load);
    feed_noise(100, 20, 400);
    ck_assert_double_eq_tol(sqrt(load.variance), 20, 4); /* half the mean square difference of +20, -20, 0 is 400 */
    ck_assert_double_lt(ek_load_variance(&load), early / 5);
}
END_TEST

START_TEST(four_samples_say_nothing_about_noise)
{
    feed(100, 4);
    ck_assert_double_ge(sqrt(ek_load_variance(&load)), 100);
    feed(100, 1);
    ck_assert_double_eq_tol(ek_load_variance(&load), 0, 1e-9);
}
END_TEST

START_TEST(a_step_is_not_taken_for_noise)
{
    feed_noise(100, 5, 200);
    double before = load.variance;
    feed(500, 1);
    ck_assert_double_lt(load.variance, 2 * before);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("planner_load");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, forget, NULL);
    tcase_add_test(tests, a_constant_is_known_at_once);
    tcase_add_test(tests, two_spikes_in_five_samples_do_not_count);
    tcase_add_test(tests, a_shift_is_followed_within_six_samples);
    tcase_add_test(tests, what_was_before_a_shift_does_not_linger);
    tcase_add_test(tests, a_small_shift_is_known_at_once_only_when_another_load_has_shifted);
    tcase_add_test(tests, noise_is_not_taken_for_a_shift);
    tcase_add_test(tests, what_leaves_counts_as_the_smaller_average_what_arrives_as_the_larger);
    tcase_add_test(tests, what_is_followed_is_the_fast_average);
    tcase_add_test(tests, averages_have_their_half_lives);
    tcase_add_test(tests, a_sample_after_a_lost_one_counts_for_two_seconds);
    tcase_add_test(tests, variance_is_that_of_samples_and_falls_with_their_number);
    tcase_add_test(tests, four_samples_say_nothing_about_noise);
    tcase_add_test(tests, a_step_is_not_taken_for_noise);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
