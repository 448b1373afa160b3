/* What a peer that does not read may keep in the broker. */
#include "broker/outbox.h"
#include "common/transport.h"
#include "tests/support/run_suite.h"

#include <string.h>

enum { SOCKETS_MAX = 4, WAIT_MS = 10000, PEER_BYTES_MAX = 4 * 1024 * 1024, REPLY_BYTES = 1024 * 1024 };

static struct ek_context *context;
static struct ek_socket *router;
static struct ek_socket *dealer;
static struct ek_outbox *outbox;
static ek_peer peer;
static uint8_t body[REPLY_BYTES];

static size_t receive(struct ek_socket *socket, ek_peer *ret_peer)
{
    struct ek_poll_item item = {.socket = socket};
    struct ek_frame frame;
    ck_assert_int_eq(ek_poll(&item, 1, WAIT_MS), EK_OK);
    ck_assert_int_eq(ek_socket_receive(socket, &frame, ret_peer), EK_OK);
    size_t bytes = ek_frame_bytes(&frame).size;
    ek_frame_done(&frame);
    return bytes;
}

/* Likewise what comes within a millisecond; 0: nothing. */
static size_t receive_if_any(struct ek_socket *socket)
{
    struct ek_poll_item item = {.socket = socket};
    return ek_poll(&item, 1, 1) == EK_OK ? receive(socket, NULL) : 0;
}

static void set_up(void)
{
    char actual[EK_TEXT_BYTES_MAX];
    struct ek_buffer hello = {0};
    ek_buffer_append(&hello, "hello", 5);
    context = ek_context_new(1, SOCKETS_MAX);
    ck_assert_int_eq(ek_socket_open(context, EK_SOCKET_ROUTER, &router), EK_OK);
    ck_assert_int_eq(ek_socket_open(context, EK_SOCKET_DEALER, &dealer), EK_OK);
    ck_assert_int_eq(ek_socket_bind(router, "inproc://outbox", actual, NULL), EK_OK);
    ck_assert_int_eq(ek_socket_connect(dealer, "inproc://outbox", NULL), EK_OK);
    ck_assert_int_eq(ek_socket_send(dealer, 0, ek_owned_of(&hello)), EK_OK);
    (void)receive(router, &peer);
    outbox = ek_outbox_new(router, PEER_BYTES_MAX, SIZE_MAX);
}

static void tear_down(void)
{
    ek_outbox_destroy(&outbox);
    ek_socket_close(&dealer);
    ek_socket_close(&router);
    ek_context_destroy(&context);
}

/* Large replies until the outbox says that it is enough. Returns how many. */
static size_t fill(void)
{
    size_t count = 0;
    for (; !ek_outbox_is_slow(outbox, peer); count++) {
        ck_assert_uint_le(count, PEER_BYTES_MAX / REPLY_BYTES);
        ek_outbox_reply(outbox, peer, &(struct ek_reply){.id = count, .body = ek_slice_of(body, sizeof body)});
        ek_outbox_flush(outbox);
    }
    return count;
}

START_TEST(what_zeromq_holds_for_a_peer_that_does_not_read_counts)
{
    size_t count = fill();
    ck_assert_uint_ge(count, 2);
    ck_assert(!ek_outbox_is_slow(outbox, peer + 1));
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_ge(receive(dealer, NULL), REPLY_BYTES);
    ck_assert(!ek_outbox_is_slow(outbox, peer));
    ck_assert_uint_eq(fill(), count);
}
END_TEST

START_TEST(small_replies_pass_behind_large_ones)
{
    size_t count = fill();
    ek_outbox_reply(outbox, peer, &(struct ek_reply){.id = 4711, .status = EK_WIRE_BUSY});
    ek_outbox_flush(outbox);
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_ge(receive(dealer, NULL), REPLY_BYTES);
    ck_assert_uint_lt(receive(dealer, NULL), 100);
    ek_peer lost;
    ck_assert(!ek_outbox_next_lost(outbox, &lost));
}
END_TEST

START_TEST(what_is_only_offered_never_waits)
{
    enum { OFFERS = 2000 }; /* more than a pipe holds */
    ek_peer lost;
    for (size_t i = 0; i < OFFERS; i++) {
        struct ek_buffer message = {0};
        ek_buffer_append(&message, "no", 2);
        ek_outbox_offer(outbox, peer, ek_owned_of(&message));
    }
    ck_assert(!ek_outbox_waits(outbox));
    ck_assert(!ek_outbox_next_lost(outbox, &lost));
    ck_assert_uint_eq(receive(dealer, NULL), 2);
    ek_outbox_reply(outbox, peer, &(struct ek_reply){.id = 4711});
    /* ZeroMQ sees that its pipe has room again a millisecond late at the earliest: the outbox has to be asked until then. */
    size_t bytes;
    do {
        ek_outbox_flush(outbox);
        bytes = receive_if_any(dealer);
    } while (bytes <= 2);
}
END_TEST

START_TEST(an_outbox_ends_before_what_zeromq_holds)
{
    size_t count = fill();
    ek_outbox_destroy(&outbox);
    for (size_t i = 0; i < count; i++)
        (void)receive(dealer, NULL);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("outbox_pipes");
    TCase *tests = tcase_create("pipes");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_zeromq_holds_for_a_peer_that_does_not_read_counts);
    tcase_add_test(tests, small_replies_pass_behind_large_ones);
    tcase_add_test(tests, what_is_only_offered_never_waits);
    tcase_add_test(tests, an_outbox_ends_before_what_zeromq_holds);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
