#include "client/wheel.h"
#include "tests/support/run_suite.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TIMERS = 2000, STEP = EK_WHEEL_STEP_US };

static struct ek_wheel wheel;
static struct ek_timer timers[TIMERS];

static void set_up(void)
{
    ek_wheel_init(&wheel, 12345678);
    memset(timers, 0, sizeof timers);
}

static size_t count_expired(uint64_t now_us)
{
    size_t count = 0;
    ek_wheel_turn(&wheel, now_us);
    for (struct ek_timer *timer; (timer = ek_wheel_take(&wheel)); count++)
        if (timer->due_us > now_us || ek_timer_is_armed(timer))
            ck_abort_msg("a timer for %" PRIu64 " at %" PRIu64, timer->due_us, now_us);
    return count;
}

START_TEST(timers_expire_within_a_step_and_never_early)
{
    uint64_t now_us = 12345678;
    uint64_t seed = 1;
    for (int i = 0; i < TIMERS; i++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        ek_wheel_arm(&wheel, &timers[i], now_us + (seed >> 33) % 20000000);
    }
    uint64_t end_us = now_us + 20100000;
    size_t expired = 0;
    for (; now_us < end_us; now_us += 3000) {
        expired += count_expired(now_us);
        for (int i = 0; i < TIMERS; i++)
            if (ek_timer_is_armed(&timers[i]) && timers[i].due_us + STEP <= now_us)
                ck_abort_msg("timer %d is late", i);
    }
    ck_assert_uint_eq(expired, TIMERS);
    ck_assert_uint_eq(ek_wheel_due_us(&wheel), UINT64_MAX);
}
END_TEST

START_TEST(a_wheel_that_stood_still_catches_up)
{
    ek_wheel_arm(&wheel, &timers[0], 12345678 + 1000);
    ek_wheel_arm(&wheel, &timers[1], 12345678 + 3600000000ull);
    ck_assert_uint_eq(count_expired(12345678 + 3500000000ull), 1);
    ck_assert(ek_timer_is_armed(&timers[1]));
    ck_assert_uint_eq(count_expired(12345678 + 3601000000ull), 1);
}
END_TEST

START_TEST(what_is_disarmed_or_moved_does_not_expire)
{
    ek_wheel_arm(&wheel, &timers[0], 12400000);
    ek_wheel_arm(&wheel, &timers[1], 12400000);
    ek_wheel_arm(&wheel, &timers[2], 12400000);
    ek_wheel_disarm(&wheel, &timers[1]);
    ek_wheel_disarm(&wheel, &timers[1]);
    ek_wheel_arm(&wheel, &timers[2], UINT64_MAX);
    ek_wheel_arm(&wheel, &timers[0], 12900000);
    ck_assert_uint_eq(count_expired(12500000), 0);
    /* One that is found expired may still be disarmed before it is taken. */
    ek_wheel_arm(&wheel, &timers[1], 12600000);
    ek_wheel_turn(&wheel, 13000000);
    ek_wheel_disarm(&wheel, &timers[0]);
    ck_assert_ptr_eq(ek_wheel_take(&wheel), &timers[1]);
    ck_assert_ptr_null(ek_wheel_take(&wheel));
}
END_TEST

/* Turns the wheel when it says, and only then, until something expires; returns when that was. */
static uint64_t turn_when_due(size_t *ret_turns)
{
    uint64_t due_us;
    size_t expired = 0;
    for (*ret_turns = 0; expired == 0; ++*ret_turns) {
        due_us = ek_wheel_due_us(&wheel);
        ck_assert_uint_ne(due_us, UINT64_MAX);
        expired = count_expired(due_us);
    }
    return due_us;
}

START_TEST(the_wheel_says_when_to_turn_it)
{
    static const uint64_t ahead_us[] = {0, 5000, 1000000, 30000000, UINT64_C(86400000000) * 49, UINT64_MAX / 2};
    uint64_t now_us = 12345678;
    ck_assert_uint_eq(ek_wheel_due_us(&wheel), UINT64_MAX);
    for (size_t i = 0; i < sizeof ahead_us / sizeof *ahead_us; i++) {
        size_t turns;
        uint64_t wanted_us = now_us + ahead_us[i];
        ek_wheel_arm(&wheel, &timers[0], wanted_us);
        now_us = turn_when_due(&turns);
        ck_assert_uint_ge(now_us, wanted_us);
        ck_assert_uint_le(now_us, wanted_us + STEP);
        ck_assert_uint_le(turns, EK_WHEEL_LEVELS);
    }
    /* A time that has passed already is due at once. */
    ek_wheel_arm(&wheel, &timers[0], 1);
    ck_assert_uint_le(ek_wheel_due_us(&wheel), now_us + STEP);
}
END_TEST

/* When the wheel has to be turned at the latest. */
static uint64_t latest_us(void)
{
    uint64_t earliest_us = UINT64_MAX - STEP;
    for (int i = 0; i < TIMERS; i++)
        if (ek_timer_is_armed(&timers[i]) && timers[i].due_us < earliest_us)
            earliest_us = timers[i].due_us;
    return earliest_us + STEP;
}

/* As a client does: most timers are disarmed or moved before they expire. */
START_TEST(a_wheel_that_is_turned_when_it_says_is_never_late)
{
    uint64_t now_us = 12345678;
    uint64_t seed = 1;
    size_t expired = 0;
    for (int turn = 0; turn < 20000; turn++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        struct ek_timer *timer = &timers[(seed >> 40) % TIMERS];
        ek_wheel_arm(&wheel, timer, turn % 3 == 0 ? UINT64_MAX : now_us + ((seed >> 20) % 1000000 << turn % 9));
        uint64_t due_us = ek_wheel_due_us(&wheel);
        uint64_t patience_us = turn % 5 == 0 ? 200000 : 700;
        if (due_us > latest_us())
            ck_abort_msg("to be turned at %" PRIu64 ", %" PRIu64 " would be late", due_us, latest_us());
        now_us = due_us < now_us + patience_us ? due_us : now_us + patience_us;
        expired += count_expired(now_us);
    }
    ck_assert_uint_gt(expired, 1000);
}
END_TEST

static Suite *suite(void)
{
    Suite *result = suite_create("wheel");
    TCase *turning = tcase_create("turning");
    tcase_add_checked_fixture(turning, set_up, NULL);
    tcase_add_test(turning, timers_expire_within_a_step_and_never_early);
    tcase_add_test(turning, a_wheel_that_stood_still_catches_up);
    tcase_add_test(turning, what_is_disarmed_or_moved_does_not_expire);
    tcase_add_test(turning, the_wheel_says_when_to_turn_it);
    tcase_add_test(turning, a_wheel_that_is_turned_when_it_says_is_never_late);
    suite_add_tcase(result, turning);
    return result;
}

int main(void)
{
    return ek_run_suite(suite());
}
