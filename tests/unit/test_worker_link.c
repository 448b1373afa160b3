#include "tests/support/run_suite.h"
#include "worker/link.h"

#define SECOND_US ((uint64_t)1000000)

static struct ek_worker_welcome welcome_of(uint64_t link, uint64_t generation)
{
    return (struct ek_worker_welcome){.link = {link, generation}, .shards = 512, .liveness_ms = 2000};
}

/* A link that is open at `now_us`. */
static struct ek_worker_link open_link(uint64_t now_us)
{
    struct ek_worker_link link;
    struct ek_worker_welcome welcome = welcome_of(7, 1);
    ek_worker_link_init(&link, now_us);
    ck_assert_int_eq(ek_worker_link_step(&link, now_us), EK_WORKER_LINK_HELLO);
    ek_worker_link_welcomed(&link, &welcome, now_us);
    ck_assert(ek_worker_link_adopted(&link, welcome.link));
    return link;
}

START_TEST(hello_is_said_until_a_broker_answers)
{
    struct ek_worker_link link;
    ek_worker_link_init(&link, 5);
    ck_assert_uint_le(ek_worker_link_due_us(&link), 5);
    ck_assert_int_eq(ek_worker_link_step(&link, 5), EK_WORKER_LINK_HELLO);
    ck_assert_int_eq(ek_worker_link_step(&link, 6), EK_WORKER_LINK_WAIT);
    uint64_t due_us = ek_worker_link_due_us(&link);
    ck_assert_int_eq(ek_worker_link_step(&link, due_us - 1), EK_WORKER_LINK_WAIT);
    ck_assert_int_eq(ek_worker_link_step(&link, due_us), EK_WORKER_LINK_RECONNECT);
    ck_assert_int_eq(ek_worker_link_step(&link, due_us), EK_WORKER_LINK_WAIT);
    ck_assert_uint_gt(ek_worker_link_due_us(&link), due_us);
}
END_TEST

START_TEST(only_the_newest_welcome_leads_to_a_report)
{
    struct ek_worker_link link;
    struct ek_worker_welcome first = welcome_of(7, 1);
    struct ek_worker_welcome second = welcome_of(8, 1);
    ek_worker_link_init(&link, 0);
    (void)ek_worker_link_step(&link, 0);
    ek_worker_link_welcomed(&link, &first, 1);
    ek_worker_link_welcomed(&link, &second, 2);
    ck_assert(!ek_worker_link_adopted(&link, first.link));
    ck_assert_int_eq(link.state, EK_WORKER_LINK_ADOPTING);
    ck_assert(ek_worker_link_adopted(&link, second.link));
    ck_assert_int_eq(link.state, EK_WORKER_LINK_OPEN);
    ck_assert(!ek_worker_link_adopted(&link, second.link));
}
END_TEST

START_TEST(heartbeats_come_four_times_per_liveness)
{
    struct ek_worker_link link = open_link(0);
    int heartbeats = 0;
    for (uint64_t now_us = 0; now_us < 10 * SECOND_US; now_us += 10000) {
        enum ek_worker_link_action action = ek_worker_link_step(&link, now_us);
        ck_assert(action == EK_WORKER_LINK_WAIT || action == EK_WORKER_LINK_HEARTBEAT);
        heartbeats += action == EK_WORKER_LINK_HEARTBEAT;
        ek_worker_link_heard(&link, link.link, now_us);
    }
    ck_assert_int_eq(heartbeats, 20);
}
END_TEST

START_TEST(a_silent_broker_is_greeted_on_a_new_connection)
{
    struct ek_worker_link link = open_link(0);
    struct ek_link other = {6, 1};
    ek_worker_link_heard(&link, other, 3 * SECOND_US); /* of an older link: no sign */
    uint64_t now_us = 0;
    while (now_us < 4 * SECOND_US) {
        ck_assert_int_ne(ek_worker_link_step(&link, now_us), EK_WORKER_LINK_RECONNECT);
        now_us += SECOND_US / 2;
    }
    ck_assert_int_eq(ek_worker_link_step(&link, now_us), EK_WORKER_LINK_RECONNECT);
    ck_assert_int_eq(link.state, EK_WORKER_LINK_GREETING);
}
END_TEST

START_TEST(many_stale_answers_lead_to_one_hello)
{
    struct ek_worker_link link = open_link(0);
    for (int i = 0; i < 5; i++)
        ek_worker_link_stale(&link, 10);
    ck_assert_uint_le(ek_worker_link_due_us(&link), 10);
    ck_assert_int_eq(ek_worker_link_step(&link, 10), EK_WORKER_LINK_HELLO);
    for (int i = 0; i < 5; i++)
        ek_worker_link_stale(&link, 20);
    ck_assert_int_eq(ek_worker_link_step(&link, 20), EK_WORKER_LINK_WAIT);
    struct ek_worker_welcome welcome = welcome_of(9, 2);
    ek_worker_link_welcomed(&link, &welcome, 30);
    ck_assert(ek_worker_link_adopted(&link, welcome.link));
}
END_TEST

START_TEST(a_long_adoption_is_covered_by_heartbeats)
{
    struct ek_worker_link link;
    struct ek_worker_welcome welcome = welcome_of(7, 1);
    ek_worker_link_init(&link, 0);
    (void)ek_worker_link_step(&link, 0);
    ek_worker_link_welcomed(&link, &welcome, 0);
    ck_assert_int_eq(ek_worker_link_step(&link, 0), EK_WORKER_LINK_HEARTBEAT);
    ck_assert_int_eq(ek_worker_link_step(&link, SECOND_US / 2), EK_WORKER_LINK_HEARTBEAT);
}
END_TEST

START_TEST(a_liveness_of_zero_does_not_spin)
{
    struct ek_worker_link link;
    struct ek_worker_welcome welcome = welcome_of(7, 1);
    welcome.liveness_ms = 0;
    ek_worker_link_init(&link, 0);
    (void)ek_worker_link_step(&link, 0);
    ek_worker_link_welcomed(&link, &welcome, 0);
    ck_assert_int_eq(ek_worker_link_step(&link, 0), EK_WORKER_LINK_HEARTBEAT);
    ck_assert_int_eq(ek_worker_link_step(&link, 0), EK_WORKER_LINK_WAIT);
    ck_assert_uint_gt(ek_worker_link_due_us(&link), 1000);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("worker_link");
    TCase *tests = tcase_create("worker_link");
    tcase_add_test(tests, hello_is_said_until_a_broker_answers);
    tcase_add_test(tests, only_the_newest_welcome_leads_to_a_report);
    tcase_add_test(tests, heartbeats_come_four_times_per_liveness);
    tcase_add_test(tests, a_silent_broker_is_greeted_on_a_new_connection);
    tcase_add_test(tests, many_stale_answers_lead_to_one_hello);
    tcase_add_test(tests, a_long_adoption_is_covered_by_heartbeats);
    tcase_add_test(tests, a_liveness_of_zero_does_not_spin);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
