#include "common/burst.h"
#include "tests/support/run_suite.h"

/* A pass with so many messages of one job: how many of them are acted upon at once. */
static unsigned pass(struct ek_burst *burst, unsigned messages)
{
    unsigned at_once = 0;
    ek_burst_begin(burst);
    for (unsigned i = 0; i < messages; i++) {
        bool now = ek_burst_took(burst, 1);
        ck_assert(!now || i == 0);
        at_once += now;
    }
    ek_burst_end(burst);
    return at_once;
}

START_TEST(a_message_is_acted_upon_at_once_where_they_come_one_at_a_time)
{
    struct ek_burst burst = {0};
    ck_assert_uint_eq(pass(&burst, 1), 0); /* more may come: nothing is known yet */
    ck_assert_uint_eq(pass(&burst, 1), 1);
    ck_assert_uint_eq(pass(&burst, 1), 1);
}
END_TEST

START_TEST(messages_that_come_together_are_acted_upon_together)
{
    struct ek_burst burst = {0};
    ck_assert_uint_eq(pass(&burst, 20), 0);
    ck_assert_uint_eq(pass(&burst, 20), 0);
    ck_assert_uint_eq(pass(&burst, 1), 0);
    ck_assert_uint_eq(pass(&burst, 20), 1); /* the last one was alone */
    ck_assert_uint_eq(pass(&burst, 20), 0);
}
END_TEST

START_TEST(a_pass_without_messages_says_nothing)
{
    struct ek_burst burst = {0};
    ck_assert_uint_eq(pass(&burst, 1), 0);
    ck_assert_uint_eq(pass(&burst, 0), 0);
    ck_assert_uint_eq(pass(&burst, 1), 1);
    ck_assert_uint_eq(pass(&burst, 2), 1);
    ck_assert_uint_eq(pass(&burst, 0), 0);
    ck_assert_uint_eq(pass(&burst, 1), 0);
}
END_TEST

START_TEST(a_message_with_several_jobs_is_none_that_comes_alone)
{
    struct ek_burst burst = {0};
    ck_assert_uint_eq(pass(&burst, 1), 0);
    ek_burst_begin(&burst);
    ck_assert(!ek_burst_took(&burst, 2));
    ek_burst_end(&burst);
    ck_assert_uint_eq(pass(&burst, 1), 0);
    ck_assert_uint_eq(pass(&burst, 1), 1);
}
END_TEST

START_TEST(a_message_without_jobs_is_passed_over)
{
    struct ek_burst burst = {0};
    ck_assert_uint_eq(pass(&burst, 1), 0);
    ek_burst_begin(&burst);
    ck_assert(!ek_burst_took(&burst, 0));
    ck_assert(ek_burst_took(&burst, 1));
    ck_assert(!ek_burst_took(&burst, 0));
    ek_burst_end(&burst);
    ck_assert_uint_eq(pass(&burst, 1), 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("burst");
    TCase *tests = tcase_create("burst");
    tcase_add_test(tests, a_message_is_acted_upon_at_once_where_they_come_one_at_a_time);
    tcase_add_test(tests, messages_that_come_together_are_acted_upon_together);
    tcase_add_test(tests, a_pass_without_messages_says_nothing);
    tcase_add_test(tests, a_message_with_several_jobs_is_none_that_comes_alone);
    tcase_add_test(tests, a_message_without_jobs_is_passed_over);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
