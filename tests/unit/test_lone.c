#include "worker/lone.h"
#include "tests/support/run_suite.h"

static void come(struct ek_lone *lone, uint32_t times)
{
    for (uint32_t i = 0; i < times; i++)
        (void)ek_lone_came(lone, 1, 100);
}

START_TEST(only_after_a_streak)
{
    struct ek_lone lone = {0};
    for (uint32_t i = 0; i < EK_LONE_STREAK; i++)
        ck_assert(!ek_lone_came(&lone, 1, 100));
    for (int i = 0; i < 100; i++)
        ck_assert(ek_lone_came(&lone, 1, 100));
}
END_TEST

START_TEST(what_comes_beside_a_commit_ends_the_streak)
{
    struct ek_lone lone = {0};
    come(&lone, EK_LONE_STREAK);
    ek_lone_crowded(&lone);
    come(&lone, EK_LONE_STREAK - 1);
    ck_assert(!ek_lone_came(&lone, 1, 100));
    ck_assert(ek_lone_came(&lone, 1, 100));
}
END_TEST

START_TEST(a_slow_commit_ends_the_streak)
{
    struct ek_lone lone = {0};
    come(&lone, EK_LONE_STREAK);
    ek_lone_committed(&lone, EK_LONE_COMMIT_US_MAX);
    ck_assert(ek_lone_came(&lone, 1, 100));
    ek_lone_committed(&lone, EK_LONE_COMMIT_US_MAX + 1);
    ck_assert(!ek_lone_came(&lone, 1, 100));
}
END_TEST

START_TEST(what_takes_long_to_write_is_handed_over)
{
    struct ek_lone lone = {0};
    come(&lone, EK_LONE_STREAK);
    ck_assert(!ek_lone_came(&lone, EK_LONE_OPERATIONS_MAX + 1, 100));
    ck_assert(!ek_lone_came(&lone, 1, EK_LONE_BYTES_MAX + 1));
    ck_assert(ek_lone_came(&lone, EK_LONE_OPERATIONS_MAX, EK_LONE_BYTES_MAX));
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("lone");
    TCase *tests = tcase_create("lone");
    tcase_add_test(tests, only_after_a_streak);
    tcase_add_test(tests, what_comes_beside_a_commit_ends_the_streak);
    tcase_add_test(tests, a_slow_commit_ends_the_streak);
    tcase_add_test(tests, what_takes_long_to_write_is_handed_over);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
