#include "common/nearness.h"
#include "tests/support/run_suite.h"

enum { SMALL = 200, FEW = 3 };

static struct ek_nearness nearness;

static void set_up(void)
{
    ek_nearness_init(&nearness);
}

/* How many lone jobs it takes until something is done, and what that is. */
static uint32_t lone_until(enum ek_nearness_step *ret_step)
{
    uint32_t jobs = 0;
    do
        *ret_step = ek_nearness_pass(&nearness, 1, SMALL);
    while (++jobs < 2 * EK_NEARNESS_RUN_MAX && *ret_step == EK_NEARNESS_STAY);
    return jobs;
}

static void expect_meeting_after(uint32_t jobs)
{
    enum ek_nearness_step step;
    ck_assert_uint_eq(lone_until(&step), jobs);
    ck_assert_int_eq(step, EK_NEARNESS_MEET);
}

START_TEST(threads_meet_where_jobs_come_one_at_a_time_and_part_in_turn)
{
    enum ek_nearness_step step;
    for (int turn = 0; turn < FEW; turn++) {
        expect_meeting_after(EK_NEARNESS_RUN_MIN);
        ck_assert_uint_eq(lone_until(&step), EK_NEARNESS_TURN);
        ck_assert_int_eq(step, EK_NEARNESS_PART);
    }
}
END_TEST

START_TEST(threads_part_as_soon_as_several_come)
{
    expect_meeting_after(EK_NEARNESS_RUN_MIN);
    ck_assert_int_eq(ek_nearness_pass(&nearness, 2, 2 * SMALL), EK_NEARNESS_PART);
    ck_assert_int_eq(ek_nearness_pass(&nearness, 2, 2 * SMALL), EK_NEARNESS_STAY);
}
END_TEST

START_TEST(threads_part_for_a_large_job)
{
    expect_meeting_after(EK_NEARNESS_RUN_MIN);
    ck_assert_int_eq(ek_nearness_pass(&nearness, 1, EK_NEARNESS_BYTES_MAX), EK_NEARNESS_STAY);
    ck_assert_int_eq(ek_nearness_pass(&nearness, 1, EK_NEARNESS_BYTES_MAX + 1), EK_NEARNESS_PART);
}
END_TEST

START_TEST(others_in_between_begin_the_run_anew)
{
    for (int i = 0; i < EK_NEARNESS_RUN_MIN - 1; i++)
        ck_assert_int_eq(ek_nearness_pass(&nearness, 1, SMALL), EK_NEARNESS_STAY);
    ck_assert_int_eq(ek_nearness_pass(&nearness, 5, SMALL), EK_NEARNESS_STAY);
    expect_meeting_after(EK_NEARNESS_RUN_MIN);
}
END_TEST

START_TEST(passes_without_jobs_say_nothing)
{
    for (int i = 0; i < 2 * EK_NEARNESS_RUN_MIN; i++)
        ck_assert_int_eq(ek_nearness_pass(&nearness, 0, 2 * EK_NEARNESS_BYTES_MAX), EK_NEARNESS_STAY);
    expect_meeting_after(EK_NEARNESS_RUN_MIN);
    ck_assert_int_eq(ek_nearness_pass(&nearness, 0, 2 * EK_NEARNESS_BYTES_MAX), EK_NEARNESS_STAY);
}
END_TEST

START_TEST(threads_part_when_no_jobs_come_any_more)
{
    expect_meeting_after(EK_NEARNESS_RUN_MIN);
    for (int turn = 0; turn < FEW; turn++) {
        for (int i = 1; i < EK_NEARNESS_IDLE_MAX; i++)
            ck_assert_int_eq(ek_nearness_pass(&nearness, 0, SMALL), EK_NEARNESS_STAY);
        ck_assert_int_eq(ek_nearness_pass(&nearness, 1, SMALL), EK_NEARNESS_STAY);
    }
    for (int i = 1; i < EK_NEARNESS_IDLE_MAX; i++)
        ck_assert_int_eq(ek_nearness_pass(&nearness, 0, SMALL), EK_NEARNESS_STAY);
    ck_assert_int_eq(ek_nearness_pass(&nearness, 0, SMALL), EK_NEARNESS_PART);
    ck_assert_int_eq(ek_nearness_pass(&nearness, 0, SMALL), EK_NEARNESS_STAY);
    expect_meeting_after(EK_NEARNESS_RUN_MIN);
}
END_TEST

START_TEST(whoever_met_in_vain_waits_longer_up_to_a_bound)
{
    uint32_t wanted = EK_NEARNESS_RUN_MIN;
    for (int i = 0; i < 10; i++) {
        expect_meeting_after(wanted);
        ck_assert_int_eq(ek_nearness_pass(&nearness, 2, SMALL), EK_NEARNESS_PART);
        wanted = wanted < EK_NEARNESS_RUN_MAX ? wanted * 4 : wanted;
    }
    ck_assert_uint_eq(wanted, EK_NEARNESS_RUN_MAX);
    expect_meeting_after(wanted);
    enum ek_nearness_step step;
    ck_assert_uint_eq(lone_until(&step), EK_NEARNESS_TURN); /* a whole turn together was not in vain */
    expect_meeting_after(EK_NEARNESS_RUN_MIN);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("nearness");
    TCase *tests = tcase_create("nearness");
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_test(tests, threads_meet_where_jobs_come_one_at_a_time_and_part_in_turn);
    tcase_add_test(tests, threads_part_as_soon_as_several_come);
    tcase_add_test(tests, threads_part_for_a_large_job);
    tcase_add_test(tests, others_in_between_begin_the_run_anew);
    tcase_add_test(tests, passes_without_jobs_say_nothing);
    tcase_add_test(tests, threads_part_when_no_jobs_come_any_more);
    tcase_add_test(tests, whoever_met_in_vain_waits_longer_up_to_a_bound);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
