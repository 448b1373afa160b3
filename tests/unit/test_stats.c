/* The stats socket: a snapshot is asked for only while somebody subscribes. */
#include "broker/stats.h"
#include "tests/support/broker_rig.h"
#include "tests/support/run_suite.h"

#include <check.h>
#include <string.h>

enum { PATIENCE_MS = 10000, TURN_MS = 5 };

static struct rig rig;
static struct ek_context *context;
static struct ek_stats *stats;
static char address[EK_TEXT_BYTES_MAX];

static void setup(void)
{
    struct ek_socket *publisher;
    struct ek_error error;
    rig_open(&rig, NULL, 0);
    context = ek_context_new(1, 8);
    ck_assert_int_eq(ek_socket_open(context, EK_SOCKET_PUB, &publisher), EK_OK);
    ck_assert_int_eq(ek_socket_bind(publisher, "tcp://127.0.0.1:*", address, &error), EK_OK);
    stats = ek_stats_new(publisher);
    ck_assert_ptr_nonnull(stats);
}

static void teardown(void)
{
    ek_stats_destroy(&stats);
    ek_context_destroy(&context);
    rig_close(&rig);
}

static struct ek_socket *subscribe(void)
{
    struct ek_socket *subscriber;
    struct ek_error error;
    ck_assert_int_eq(ek_socket_open(context, EK_SOCKET_SUB, &subscriber), EK_OK);
    ck_assert_int_eq(ek_socket_connect(subscriber, address, &error), EK_OK);
    ck_assert_int_eq(ek_socket_subscribe(subscriber, "stats"), EK_OK);
    return subscriber;
}

/* Until the errand that was given has come back. */
static void await_errand(void)
{
    struct ek_poll_item item = {.fd = ek_stats_fd(stats)};
    struct ek_stats_answer answer;
    ck_assert_int_eq(ek_poll(&item, 1, PATIENCE_MS), EK_OK);
    ck_assert(!ek_stats_take_answer(stats, &answer));
}

static bool is_wanted(void)
{
    ek_stats_ask(stats);
    await_errand();
    return ek_stats_take_wanted(stats);
}

static void publish(void)
{
    ek_stats_publish(stats, ek_snapshot_take(rig.broker, rig.now_us));
    await_errand();
}

static void await_subscriber(void)
{
    int waited_ms = 0;
    for (; !is_wanted() && waited_ms < PATIENCE_MS; waited_ms += TURN_MS)
        (void)!ek_poll(NULL, 0, TURN_MS);
    ck_assert_int_lt(waited_ms, PATIENCE_MS);
}

/* Goes on publishing as long as it is asked to. */
static void await_nobody(void)
{
    int waited_ms = 0;
    for (; is_wanted() && waited_ms < PATIENCE_MS; waited_ms += TURN_MS) {
        publish();
        (void)!ek_poll(NULL, 0, TURN_MS);
    }
    ck_assert_int_lt(waited_ms, PATIENCE_MS);
}

static void expect_snapshot(struct ek_socket *subscriber)
{
    struct ek_frame frame;
    struct ek_poll_item item = {.socket = subscriber};
    ck_assert_int_eq(ek_poll(&item, 1, PATIENCE_MS), EK_OK);
    ck_assert_int_eq(ek_socket_receive(subscriber, &frame, NULL), EK_OK);
    ck_assert_int_eq(ek_frame_bytes(&frame).data[0], '{');
    ek_frame_done(&frame);
}

START_TEST(nobody_wants_a_snapshot_without_subscribers)
{
    for (int i = 0; i < 10; i++)
        ck_assert(!is_wanted());
    ck_assert(!ek_stats_take_wanted(stats));
}
END_TEST

START_TEST(subscribers_get_snapshots_until_the_last_one_leaves)
{
    struct ek_socket *first = subscribe();
    await_subscriber();
    publish();
    expect_snapshot(first);
    struct ek_socket *second = subscribe();
    for (int got = 0, waited_ms = 0; !got && waited_ms < PATIENCE_MS; waited_ms += TURN_MS) {
        struct ek_poll_item item = {.socket = second};
        ck_assert(is_wanted());
        publish();
        got = ek_poll(&item, 1, TURN_MS) == EK_OK;
    }
    expect_snapshot(second);
    ek_socket_close(&first);
    ck_assert(is_wanted());
    publish();
    expect_snapshot(second);
    ek_socket_close(&second);
    await_nobody();
}
END_TEST

START_TEST(a_snapshot_that_was_wanted_and_not_given_is_wanted_still)
{
    struct ek_socket *subscriber = subscribe();
    await_subscriber();
    ck_assert(is_wanted());
    publish();
    expect_snapshot(subscriber);
    ck_assert(is_wanted());
    publish();
    expect_snapshot(subscriber);
    ek_socket_close(&subscriber);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("stats");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, nobody_wants_a_snapshot_without_subscribers);
    tcase_add_test(tests, subscribers_get_snapshots_until_the_last_one_leaves);
    tcase_add_test(tests, a_snapshot_that_was_wanted_and_not_given_is_wanted_still);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
