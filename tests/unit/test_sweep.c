#include "client/sweep.h"
#include "tests/support/run_suite.h"

enum { LIMIT = 130 }; /* its last word is not full */

static struct ek_sweep sweep;

static void set_up(void)
{
    ek_sweep_init(&sweep, LIMIT);
}

static void tear_down(void)
{
    ek_sweep_done(&sweep);
}

/* Takes out the one whose turn it is. */
static uint32_t take(void)
{
    uint32_t number = LIMIT;
    ck_assert(ek_sweep_next(&sweep, &number));
    ek_sweep_remove(&sweep, number);
    return number;
}

START_TEST(numbers_come_in_their_order)
{
    const uint32_t added[] = {129, 64, 0, 63, 128, 5};
    const uint32_t expected[] = {0, 5, 63, 64, 128, 129};
    for (size_t i = 0; i < sizeof added / sizeof *added; i++)
        ek_sweep_add(&sweep, added[i]);
    ck_assert_uint_eq(sweep.count, 6);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        ck_assert_uint_eq(take(), expected[i]);
    uint32_t none;
    ck_assert(!ek_sweep_next(&sweep, &none));
}
END_TEST

START_TEST(what_is_added_behind_comes_in_this_round_and_what_is_added_before_in_the_next)
{
    ek_sweep_add(&sweep, 70);
    ek_sweep_add(&sweep, 100);
    ck_assert_uint_eq(take(), 70);
    ek_sweep_add(&sweep, 69);
    ek_sweep_add(&sweep, 71);
    ck_assert_uint_eq(take(), 71);
    ck_assert_uint_eq(take(), 100);
    ck_assert_uint_eq(take(), 69);
}
END_TEST

START_TEST(one_keeps_its_turn_until_it_is_removed)
{
    uint32_t number;
    ek_sweep_add(&sweep, 7);
    ek_sweep_add(&sweep, 8);
    for (int i = 0; i < 3; i++) {
        ck_assert(ek_sweep_next(&sweep, &number));
        ck_assert_uint_eq(number, 7);
    }
    ek_sweep_remove(&sweep, 7);
    ck_assert_uint_eq(take(), 8);
}
END_TEST

/* However busy the others are: each is added again as soon as it had its turn. */
START_TEST(nobody_waits_for_longer_than_a_round)
{
    for (uint32_t i = 0; i < LIMIT; i++)
        ek_sweep_add(&sweep, i);
    uint32_t turns[LIMIT] = {0};
    for (uint32_t i = 0; i < 3 * LIMIT; i++) {
        uint32_t number = take();
        turns[number]++;
        ek_sweep_add(&sweep, number);
    }
    for (uint32_t i = 0; i < LIMIT; i++)
        ck_assert_uint_eq(turns[i], 3);
}
END_TEST

START_TEST(adding_or_removing_twice_changes_nothing)
{
    ek_sweep_add(&sweep, 3);
    ek_sweep_add(&sweep, 3);
    ck_assert_uint_eq(sweep.count, 1);
    ek_sweep_remove(&sweep, 4);
    ek_sweep_remove(&sweep, 3);
    ek_sweep_remove(&sweep, 3);
    ck_assert_uint_eq(sweep.count, 0);
}
END_TEST

START_TEST(one_alone_comes_round_again)
{
    for (int i = 0; i < 3; i++) {
        ek_sweep_add(&sweep, 129);
        ck_assert_uint_eq(take(), 129);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *result = suite_create("sweep");
    TCase *turns = tcase_create("turns");
    tcase_add_checked_fixture(turns, set_up, tear_down);
    tcase_add_test(turns, numbers_come_in_their_order);
    tcase_add_test(turns, what_is_added_behind_comes_in_this_round_and_what_is_added_before_in_the_next);
    tcase_add_test(turns, one_keeps_its_turn_until_it_is_removed);
    tcase_add_test(turns, nobody_waits_for_longer_than_a_round);
    tcase_add_test(turns, adding_or_removing_twice_changes_nothing);
    tcase_add_test(turns, one_alone_comes_round_again);
    suite_add_tcase(result, turns);
    return result;
}

int main(void)
{
    return ek_run_suite(suite());
}
