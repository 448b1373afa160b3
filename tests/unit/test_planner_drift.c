/* Loads that change a little, all of a worker's together: what one of them shows is noise. */
#include "tests/support/planner_rig.h"
#include "tests/support/run_suite.h"

#include <check.h>
#include <math.h>

static struct planner_rig rig;

static void close_rig(void)
{
    rig_close(&rig);
}

/* Four workers with noisy shards that have been known for long; nothing may move. */
static void open_noisy(void)
{
    rig_open(&rig, 4, 1024);
    rig.noisy_from = 0;
    rig.balance = false;
    for (int i = 0; i < 4; i++)
        rig_load_worker(&rig, i, 0.5);
    rig_run(&rig, 600);
}

static double ratio_of(int worker)
{
    return rig_plan(&rig)->loads[worker].ratio[EK_PLAN_BUSY];
}

/* The most that anybody's estimate is uncertain by, in rounds of so many seconds. Averages that begin again are less certain. */
static double most_noise(unsigned seconds)
{
    double most = 0;
    for (unsigned i = 0; i < seconds; i++) {
        rig_run(&rig, 1);
        for (int worker = 0; worker < 4; worker++)
            most = fmax(most, rig_plan(&rig)->loads[worker].noise);
    }
    return most;
}

START_TEST(what_changes_in_all_of_a_workers_shards_is_known_in_time)
{
    open_noisy();
    rig_load_worker(&rig, 0, 0.54);
    rig_run(&rig, 20);
    ck_assert_double_ge(ratio_of(0), 1.03); /* of 1.059; the slow averages alone say 1.012 */
    rig_run(&rig, 25);
    ck_assert_double_eq_tol(ratio_of(0), 0.54 / 0.51, 0.01);
    ck_assert_double_eq_tol(ratio_of(1), 0.5 / 0.51, 0.01);
}
END_TEST

START_TEST(the_loads_of_others_do_not_begin_again)
{
    open_noisy();
    double before = most_noise(60);
    rig_load_worker(&rig, 0, 0.54);
    for (unsigned i = 0; i < 60; i++) {
        rig_run(&rig, 1);
        for (int worker = 1; worker < 4; worker++)
            ck_assert_double_le(rig_plan(&rig)->loads[worker].noise, 1.1 * before);
    }
}
END_TEST

START_TEST(noise_is_no_drift)
{
    open_noisy();
    double before = most_noise(60);
    ck_assert_double_le(most_noise(600), 1.1 * before);
}
END_TEST

START_TEST(what_all_workers_have_in_common_is_no_drift)
{
    open_noisy();
    double before = most_noise(60);
    for (int i = 0; i < 4; i++)
        rig_load_worker(&rig, i, 0.54);
    ck_assert_double_le(most_noise(60), 1.1 * before);
}
END_TEST

START_TEST(a_worker_that_wavers_does_not_drift_each_time)
{
    open_noisy();
    double before = most_noise(60);
    for (unsigned i = 0; i < 60; i++) {
        rig_load_worker(&rig, 0, 0.5 * (i % 2 ? 1.1 : 0.9));
        if (i >= 20) /* until then it is not known to do so */
            ck_assert_double_le(most_noise(15), 1.1 * before);
        else
            rig_run(&rig, 15);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("planner_drift");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, NULL, close_rig);
    tcase_add_test(tests, what_changes_in_all_of_a_workers_shards_is_known_in_time);
    tcase_add_test(tests, the_loads_of_others_do_not_begin_again);
    tcase_add_test(tests, noise_is_no_drift);
    tcase_add_test(tests, what_all_workers_have_in_common_is_no_drift);
    tcase_add_test(tests, a_worker_that_wavers_does_not_drift_each_time);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
