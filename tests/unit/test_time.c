#include "broker/time.h"
#include "tests/support/run_suite.h"

#include <check.h>

enum { WALL = 1700000000 };

static const uint64_t wall = (uint64_t)WALL * 1000;
static const uint64_t second_us = 1000000;

START_TEST(a_first_start_takes_the_wall_clock)
{
    struct ek_time time;
    ek_time_start(&time, 5 * second_us, wall, 0);
    ek_time_ceiling_durable(&time, wall + 2000);
    ck_assert_uint_eq(ek_time_unix_ms(&time, 5 * second_us), wall);
    ck_assert_uint_eq(ek_time_unix_ms(&time, 6 * second_us), wall + 1000);
}
END_TEST

START_TEST(time_stops_at_the_durable_ceiling)
{
    struct ek_time time;
    ek_time_start(&time, 0, wall, 0);
    ek_time_ceiling_durable(&time, wall + 2000);
    ck_assert_uint_eq(ek_time_unix_ms(&time, 9 * second_us), wall + 2000);
    ek_time_ceiling_durable(&time, wall + 1000);
    ck_assert_uint_eq(ek_time_unix_ms(&time, 9 * second_us), wall + 2000);
    ek_time_ceiling_durable(&time, wall + 12000);
    ck_assert_uint_eq(ek_time_unix_ms(&time, 9 * second_us), wall + 9000);
}
END_TEST

START_TEST(a_clock_that_was_set_back_does_not_turn_time_back)
{
    struct ek_time time;
    uint64_t ceiling = wall + 10000;
    ek_time_start(&time, 0, wall, ceiling);
    ek_time_ceiling_durable(&time, ceiling + 100000);
    uint64_t before = ceiling;
    for (uint64_t s = 0; s < 40; s++) {
        uint64_t now = ek_time_unix_ms(&time, s * second_us);
        ck_assert_uint_gt(now, before);
        before = now;
    }
    /* It ran at half speed until the wall clock, 10 s behind, had caught up; from then on it is the wall clock. */
    ck_assert_uint_eq(ek_time_unix_ms(&time, 10 * second_us), ceiling + 1 + 5000);
    ck_assert_uint_eq(ek_time_unix_ms(&time, 30 * second_us), wall + 30000);
}
END_TEST

START_TEST(a_jump_of_more_than_a_day_begins_at_the_ceiling)
{
    struct ek_time time;
    uint64_t year_ms = 365ull * 24 * 3600 * 1000;
    ek_time_start(&time, 0, wall + year_ms, wall);
    ek_time_ceiling_durable(&time, wall + 5000);
    ck_assert_uint_eq(ek_time_unix_ms(&time, 0), wall + 1);
    ck_assert(ek_time_is_off(&time, 0, wall + year_ms));
}
END_TEST

static const uint64_t week_ms = 7ull * 24 * 3600 * 1000;

/* More than a day late, a second ago. */
static struct ek_time late_start(void)
{
    struct ek_time time;
    ek_time_start(&time, 0, wall + week_ms, wall);
    ek_time_ceiling_durable(&time, wall + 2000);
    ck_assert(ek_time_is_off(&time, second_us, wall + week_ms + 1000));
    return time;
}

START_TEST(a_jump_that_is_accepted_waits_for_its_ceiling)
{
    struct ek_time time = late_start();
    uint64_t before = ek_time_unix_ms(&time, second_us);
    ck_assert_uint_eq(ek_time_accept(&time), week_ms - 1);
    ck_assert_uint_eq(ek_time_unix_ms(&time, second_us), before);
    ek_time_ceiling_durable(&time, before + 2000); /* asked for before it was accepted */
    ck_assert_uint_eq(ek_time_unix_ms(&time, second_us), before);
    ck_assert(ek_time_is_off(&time, second_us, wall + week_ms + 1000));
    ek_time_ceiling_durable(&time, ek_time_wanted_ceiling(&time, second_us));
    ck_assert_uint_eq(ek_time_unix_ms(&time, second_us), wall + week_ms + 1000);
    ck_assert_uint_eq(ek_time_unix_ms(&time, 2 * second_us), wall + week_ms + 2000);
    ck_assert(!ek_time_is_off(&time, 2 * second_us, wall + week_ms + 2000));
    ck_assert_uint_eq(ek_time_wanted_ceiling(&time, 2 * second_us), wall + week_ms + 2000 + EK_TIME_CEILING_AHEAD_MS);
}
END_TEST

START_TEST(only_a_clock_that_is_ahead_can_be_accepted)
{
    struct ek_time time;
    ek_time_start(&time, 0, wall, 0);
    ek_time_ceiling_durable(&time, wall + 60000);
    ck_assert(ek_time_is_off(&time, second_us, wall - 20000));
    ck_assert_uint_eq(ek_time_accept(&time), 0);
    ck_assert(!ek_time_is_off(&time, second_us, wall + 1500));
    ck_assert_uint_eq(ek_time_accept(&time), 0);
    ck_assert(ek_time_is_off(&time, second_us, wall + 11000));
    ck_assert_uint_eq(ek_time_accept(&time), 10000);
    ek_time_ceiling_durable(&time, wall + 70000);
    ck_assert_uint_eq(ek_time_unix_ms(&time, second_us), wall + 11000);
}
END_TEST

START_TEST(a_clock_that_is_set_right_again_is_not_accepted_as_it_was)
{
    struct ek_time time = late_start();
    ck_assert(time.jump_refused);
    ck_assert(!ek_time_is_off(&time, 2 * second_us, wall + 2000));
    ck_assert(!time.jump_refused);
    ck_assert_uint_eq(ek_time_accept(&time), 0);
}
END_TEST

START_TEST(a_step_of_the_wall_clock_is_seen_and_not_followed)
{
    struct ek_time time;
    ek_time_start(&time, 0, wall, 0);
    ek_time_ceiling_durable(&time, wall + 60000);
    ck_assert(!ek_time_is_off(&time, 10 * second_us, wall + 10400));
    ck_assert(ek_time_is_off(&time, 10 * second_us, wall + 20000));
    ck_assert(ek_time_is_off(&time, 10 * second_us, wall - 20000));
    ck_assert_uint_eq(ek_time_unix_ms(&time, 10 * second_us), wall + 10000);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("time");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, a_first_start_takes_the_wall_clock);
    tcase_add_test(tests, time_stops_at_the_durable_ceiling);
    tcase_add_test(tests, a_clock_that_was_set_back_does_not_turn_time_back);
    tcase_add_test(tests, a_jump_of_more_than_a_day_begins_at_the_ceiling);
    tcase_add_test(tests, a_jump_that_is_accepted_waits_for_its_ceiling);
    tcase_add_test(tests, only_a_clock_that_is_ahead_can_be_accepted);
    tcase_add_test(tests, a_clock_that_is_set_right_again_is_not_accepted_as_it_was);
    tcase_add_test(tests, a_step_of_the_wall_clock_is_seen_and_not_followed);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
