#include "common/histogram.h"
#include "tests/support/run_suite.h"

static struct ek_histogram histogram;

START_TEST(an_empty_one_says_zero)
{
    ck_assert_uint_eq(ek_histogram_percentile(&histogram, 0.5), 0);
    ck_assert_uint_eq(ek_histogram_percentile(&histogram, 1), 0);
}
END_TEST

START_TEST(one_value_is_every_percentile)
{
    ek_histogram_add(&histogram, 12345);
    ck_assert_uint_eq(histogram.min, 12345);
    ck_assert_uint_eq(histogram.max, 12345);
    ck_assert_uint_eq(ek_histogram_percentile(&histogram, 0), 12345);
    ck_assert_uint_eq(ek_histogram_percentile(&histogram, 0.5), 12345);
    ck_assert_uint_eq(ek_histogram_percentile(&histogram, 1), 12345);
}
END_TEST

START_TEST(small_values_are_exact)
{
    for (uint64_t value = 0; value < 64; value++)
        ek_histogram_add(&histogram, value);
    for (unsigned rank = 1; rank <= 64; rank++)
        ck_assert_uint_eq(ek_histogram_percentile(&histogram, rank / 64.0), rank - 1);
}
END_TEST

START_TEST(a_percentile_is_never_below_and_little_above_the_truth)
{
    for (uint64_t value = 1; value <= 1000000; value++)
        ek_histogram_add(&histogram, value);
    static const double shares[] = {0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 1};
    for (unsigned i = 0; i < sizeof shares / sizeof *shares; i++) {
        double truth = shares[i] * 1e6;
        double said = (double)ek_histogram_percentile(&histogram, shares[i]);
        ck_assert_double_ge(said, truth);
        ck_assert_double_le(said, truth * 1.032);
    }
}
END_TEST

/* Every value alone, at each end of each step: what is said of it is the step's end, less than one part in 32 above. The greatest
 * of all hides that end, as no percentile lies above it: so one more stands beside it. */
START_TEST(each_step_is_at_most_one_part_in_thirty_two)
{
    for (unsigned shift = 0; shift < 35; shift++) {
        for (uint64_t step = EK_HISTOGRAM_STEPS; step < 2 * EK_HISTOGRAM_STEPS; step++) {
            const uint64_t ends[] = {step << shift, ((step + 1) << shift) - 1};
            for (unsigned i = 0; i < 2; i++) {
                histogram = (struct ek_histogram){0};
                ek_histogram_add(&histogram, ends[i]);
                ek_histogram_add(&histogram, UINT64_MAX);
                uint64_t said = ek_histogram_percentile(&histogram, 0.5);
                ck_assert_uint_ge(said, ends[i]);
                ck_assert_uint_eq(said, ends[1]);
                ck_assert_uint_lt((said - ends[i]) * 32, ends[i]);
            }
        }
    }
}
END_TEST

START_TEST(huge_values_are_kept_in_the_last_step)
{
    ek_histogram_add(&histogram, UINT64_MAX);
    ek_histogram_add(&histogram, 1);
    ck_assert_uint_eq(histogram.max, UINT64_MAX);
    ck_assert_uint_eq(histogram.count, 2);
    ck_assert_uint_eq(ek_histogram_percentile(&histogram, 0.5), 1);
    ck_assert_uint_gt(ek_histogram_percentile(&histogram, 1), UINT64_C(1) << 39);
}
END_TEST

START_TEST(merging_equals_adding_all)
{
    struct ek_histogram other = {0}, both = {0}, empty = {0};
    for (uint64_t i = 0; i < 1000; i++) {
        ek_histogram_add(i % 3 ? &histogram : &other, i * i);
        ek_histogram_add(&both, i * i);
    }
    ek_histogram_merge(&histogram, &other);
    ek_histogram_merge(&histogram, &empty);
    ck_assert_mem_eq(&histogram, &both, sizeof both);
    ek_histogram_merge(&empty, &both);
    ck_assert_mem_eq(&empty, &both, sizeof both);
}
END_TEST

START_TEST(what_fades_weighs_less_and_ends)
{
    for (unsigned i = 0; i < 100; i++)
        ek_histogram_add(&histogram, 10);
    ek_histogram_fade(&histogram);
    ck_assert_uint_eq(histogram.count, 50);
    for (unsigned i = 0; i < 60; i++)
        ek_histogram_add(&histogram, 1000);
    ck_assert_uint_ge(ek_histogram_percentile(&histogram, 0.5), 1000);
    for (unsigned i = 0; i < 8; i++)
        ek_histogram_fade(&histogram);
    ck_assert_uint_eq(histogram.count, 0);
    ck_assert_uint_eq(histogram.max, 0);
    ck_assert_uint_eq(ek_histogram_percentile(&histogram, 0.99), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("histogram");
    TCase *tests = tcase_create("histogram");
    tcase_add_test(tests, an_empty_one_says_zero);
    tcase_add_test(tests, one_value_is_every_percentile);
    tcase_add_test(tests, small_values_are_exact);
    tcase_add_test(tests, a_percentile_is_never_below_and_little_above_the_truth);
    tcase_add_test(tests, each_step_is_at_most_one_part_in_thirty_two);
    tcase_add_test(tests, huge_values_are_kept_in_the_last_step);
    tcase_add_test(tests, merging_equals_adding_all);
    tcase_add_test(tests, what_fades_weighs_less_and_ends);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
