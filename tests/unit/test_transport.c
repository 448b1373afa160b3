/* Our sockets against libzmq's own, which stand for well-behaved and for hostile peers. */
#include "common/transport.h"

#include "common/clock.h"
#include "tests/support/run_suite.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

enum { PATIENCE_MS = 10000, TURN_MS = 20 };

static struct ek_context *context;
static struct ek_socket *router;
static char endpoint[EK_TEXT_BYTES_MAX];
static void *peers; /* the other side's context */

static void open_router(void)
{
    context = ek_context_new(1, 64);
    ck_assert_ptr_nonnull(context);
    ck_assert_int_eq(ek_socket_open(context, EK_SOCKET_ROUTER, &router), EK_OK);
    struct ek_error error;
    ck_assert_msg(ek_socket_bind(router, "tcp://127.0.0.1:*", endpoint, &error) == EK_OK, "%s", error.text);
    peers = zmq_ctx_new();
}

static void close_router(void)
{
    ek_socket_close(&router);
    ek_context_destroy(&context);
    ck_assert_int_eq(zmq_ctx_term(peers), 0);
}

static void *peer_open(int kind, const char *routing_id)
{
    void *socket = zmq_socket(peers, kind);
    int none = 0, patience = PATIENCE_MS;
    ck_assert_int_eq(zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none), 0);
    ck_assert_int_eq(zmq_setsockopt(socket, ZMQ_RCVTIMEO, &patience, sizeof patience), 0);
    if (routing_id)
        ck_assert_int_eq(zmq_setsockopt(socket, ZMQ_ROUTING_ID, routing_id, strlen(routing_id)), 0);
    ck_assert_int_eq(zmq_connect(socket, endpoint), 0);
    return socket;
}

static void peer_send(void *socket, const char *text, int flags)
{
    ck_assert_int_eq(zmq_send(socket, text, strlen(text), flags), (int)strlen(text));
}

static void peer_expect(void *socket, const char *text)
{
    char buffer[64] = {0};
    int size = zmq_recv(socket, buffer, sizeof buffer - 1, 0);
    ck_assert_msg(size >= 0, "nothing came: %s", zmq_strerror(zmq_errno()));
    ck_assert_str_eq(buffer, text);
}

/* Waits until `socket` has something to say and takes it. */
static enum ek_status receive(struct ek_socket *socket, struct ek_frame *ret_frame, ek_peer *ret_peer)
{
    struct ek_poll_item item = {.socket = socket};
    ck_assert_msg(ek_poll(&item, 1, PATIENCE_MS) == EK_OK, "nothing came");
    ck_assert(item.readable);
    return ek_socket_receive(socket, ret_frame, ret_peer);
}

static ek_peer expect(struct ek_socket *socket, const char *text)
{
    struct ek_frame frame;
    ek_peer peer = 0;
    ck_assert_int_eq(receive(socket, &frame, &peer), EK_OK);
    ck_assert(ek_slice_equal(ek_frame_bytes(&frame), ek_slice_text(text)));
    ek_frame_done(&frame);
    return peer;
}

static struct ek_owned owned(const char *text)
{
    struct ek_buffer buffer = {0};
    ek_buffer_append(&buffer, text, strlen(text));
    return ek_owned_of(&buffer);
}

START_TEST(a_message_goes_there_and_an_answer_back)
{
    void *dealer = peer_open(ZMQ_DEALER, NULL);
    peer_send(dealer, "hello", 0);
    ek_peer peer = expect(router, "hello");
    ck_assert_uint_ne(peer, 0);
    ck_assert_int_eq(ek_socket_send(router, peer, owned("welcome")), EK_OK);
    peer_expect(dealer, "welcome");
    struct ek_frame frame;
    ck_assert_int_eq(ek_socket_receive(router, &frame, &peer), EK_AGAIN);
    ck_assert_int_eq(zmq_close(dealer), 0);
}
END_TEST

START_TEST(our_dealer_talks_to_our_router)
{
    struct ek_socket *dealer;
    struct ek_error error;
    ck_assert_int_eq(ek_socket_open(context, EK_SOCKET_DEALER, &dealer), EK_OK);
    ck_assert_int_eq(ek_socket_connect(dealer, endpoint, &error), EK_OK);
    ck_assert_int_eq(ek_socket_send(dealer, 0, owned("hello")), EK_OK);
    ek_peer peer = expect(router, "hello");
    ck_assert_int_eq(ek_socket_send(router, peer, owned("welcome")), EK_OK);
    ck_assert_uint_eq(expect(dealer, "welcome"), 0);
    ek_socket_close(&dealer);
    ek_socket_close(&dealer);
}
END_TEST

START_TEST(a_req_gets_its_empty_frame_back)
{
    void *req = peer_open(ZMQ_REQ, NULL);
    void *dealer = peer_open(ZMQ_DEALER, NULL);
    peer_send(req, "one", 0);
    ek_peer first = expect(router, "one");
    peer_send(dealer, "two", 0);
    ek_peer second = expect(router, "two");
    ck_assert_uint_ne(first, second);
    ck_assert_int_eq(ek_socket_send(router, first, owned("to one")), EK_OK);
    ck_assert_int_eq(ek_socket_send(router, second, owned("to two")), EK_OK);
    peer_expect(req, "to one");
    peer_expect(dealer, "to two");
    ck_assert_int_eq(zmq_close(req), 0);
    ck_assert_int_eq(zmq_close(dealer), 0);
}
END_TEST

START_TEST(other_frames_than_one_are_malformed_and_can_be_answered)
{
    void *dealer = peer_open(ZMQ_DEALER, NULL);
    static const char *const frames[][4] = {
        {"a", "b", NULL}, {"a", "", NULL}, {"", "", "a", NULL}, {"", "a", "b", NULL}, {"a", "b", "c", NULL}};
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        for (size_t n = 0; frames[i][n]; n++)
            peer_send(dealer, frames[i][n], frames[i][n + 1] ? ZMQ_SNDMORE : 0);
        struct ek_frame frame;
        ek_peer peer;
        ck_assert_msg(receive(router, &frame, &peer) == EK_MALFORMED, "message %zu", i);
        ek_socket_answer(router, ek_slice_text("no"));
        if (*frames[i][0] == 0)
            peer_expect(dealer, "");
        peer_expect(dealer, "no");
    }
    peer_send(dealer, "", 0);
    (void)expect(router, "");
    peer_send(dealer, "still fine", 0);
    (void)expect(router, "still fine");
    ck_assert_int_eq(zmq_close(dealer), 0);
}
END_TEST

START_TEST(a_routing_id_of_ones_own_is_denied)
{
    void *dealer = peer_open(ZMQ_DEALER, "me");
    peer_send(dealer, "hello", 0);
    struct ek_frame frame;
    ek_peer peer;
    ck_assert_int_eq(receive(router, &frame, &peer), EK_DENIED);
    ek_socket_answer(router, ek_slice_text("no"));
    peer_expect(dealer, "no");
    ck_assert_int_eq(zmq_close(dealer), 0);
}
END_TEST

START_TEST(a_frame_beyond_the_limit_ends_the_connection_and_no_other)
{
    void *good = peer_open(ZMQ_DEALER, NULL);
    void *bad = peer_open(ZMQ_DEALER, NULL);
    peer_send(bad, "hello", 0);
    (void)expect(router, "hello");
    ck_assert_int_eq(zmq_socket_monitor(bad, "inproc://bad", ZMQ_EVENT_DISCONNECTED), 0);
    void *monitor = zmq_socket(peers, ZMQ_PAIR);
    int patience = PATIENCE_MS;
    ck_assert_int_eq(zmq_setsockopt(monitor, ZMQ_RCVTIMEO, &patience, sizeof patience), 0);
    ck_assert_int_eq(zmq_connect(monitor, "inproc://bad"), 0);
    size_t size = EK_ENVELOPE_BYTES_MAX + 1;
    void *large = ek_alloc_zero(1, size);
    ck_assert_int_eq(zmq_send(bad, large, size, 0), (int)size);
    char event[64];
    ck_assert_int_ge(zmq_recv(monitor, event, sizeof event, 0), 0);
    peer_send(good, "hello", 0);
    (void)expect(router, "hello");
    ck_assert_int_eq(zmq_send(good, large, size - 1, 0), (int)size - 1);
    struct ek_frame frame;
    ek_peer peer;
    ck_assert_int_eq(receive(router, &frame, &peer), EK_OK);
    ck_assert_uint_eq(ek_frame_bytes(&frame).size, size - 1);
    ek_frame_done(&frame);
    free(large);
    ck_assert_int_eq(zmq_close(monitor), 0);
    ck_assert_int_eq(zmq_close(bad), 0);
    ck_assert_int_eq(zmq_close(good), 0);
}
END_TEST

START_TEST(a_peer_that_is_gone_is_unreachable)
{
    void *dealer = peer_open(ZMQ_DEALER, NULL);
    peer_send(dealer, "hello", 0);
    ek_peer peer = expect(router, "hello");
    ck_assert_int_eq(zmq_close(dealer), 0);
    enum ek_status status = EK_OK;
    struct ek_poll_item item = {.socket = router};
    for (int waited_ms = 0; status == EK_OK && waited_ms < PATIENCE_MS; waited_ms += TURN_MS) {
        status = ek_socket_send(router, peer, owned("are you there"));
        if (status == EK_OK)
            (void)!ek_poll(&item, 1, TURN_MS);
    }
    ck_assert_int_eq(status, EK_UNREACHABLE);
    ck_assert_int_eq(ek_socket_send(router, peer ^ 0x5a5a5a5a, owned("nobody")), EK_UNREACHABLE);
}
END_TEST

/* Sends until the pipe is full; the message that was not taken is still whole and ours. */
static unsigned send_until_full(struct ek_socket *socket, ek_peer peer)
{
    for (unsigned sent = 0; sent < 1000000; sent++) {
        struct ek_buffer buffer = {0};
        memset(ek_buffer_reserve(&buffer, 65536), 'x', 65536);
        ek_buffer_advance(&buffer, 65536);
        struct ek_owned message = ek_owned_of(&buffer);
        enum ek_status status = ek_socket_send(socket, peer, message);
        if (status == EK_OK)
            continue;
        ck_assert_int_eq(status, EK_AGAIN);
        ck_assert_uint_eq(message.message.data[65535], 'x');
        free(message.memory);
        return sent;
    }
    ck_abort_msg("never full");
}

START_TEST(a_full_pipe_to_a_peer_says_again_and_keeps_the_message)
{
    void *dealer = peer_open(ZMQ_DEALER, NULL);
    void *other = peer_open(ZMQ_DEALER, NULL);
    peer_send(dealer, "hello", 0);
    ek_peer peer = expect(router, "hello");
    /* The system's own buffers go on taking from the pipe until they are full as well. */
    while (send_until_full(router, peer) > 0)
        ;
    peer_send(other, "hello", 0);
    ck_assert_int_eq(ek_socket_send(router, expect(router, "hello"), owned("not disturbed")), EK_OK);
    peer_expect(other, "not disturbed");
    ck_assert_int_eq(zmq_close(dealer), 0);
    ck_assert_int_eq(zmq_close(other), 0);
}
END_TEST

START_TEST(a_full_dealer_says_again_and_keeps_the_message)
{
    struct ek_socket *dealer;
    struct ek_error error;
    ck_assert_int_eq(ek_socket_open(context, EK_SOCKET_DEALER, &dealer), EK_OK);
    ck_assert_int_eq(ek_socket_connect(dealer, "inproc://nobody-listens", &error), EK_OK);
    ck_assert_uint_gt(send_until_full(dealer, 0), 0);
    for (int i = 0; i < 10; i++)
        ck_assert_uint_eq(send_until_full(dealer, 0), 0);
    ek_socket_close(&dealer);
}
END_TEST

START_TEST(subscribers_get_their_topic)
{
    struct ek_socket *publisher, *subscriber;
    struct ek_error error;
    char address[EK_TEXT_BYTES_MAX];
    ck_assert_int_eq(ek_socket_open(context, EK_SOCKET_PUB, &publisher), EK_OK);
    ck_assert_int_eq(ek_socket_bind(publisher, "tcp://127.0.0.1:*", address, &error), EK_OK);
    ck_assert_int_eq(ek_socket_open(context, EK_SOCKET_SUB, &subscriber), EK_OK);
    ck_assert_int_eq(ek_socket_subscribe(subscriber, "stats"), EK_OK);
    ck_assert_int_eq(ek_socket_connect(subscriber, address, &error), EK_OK);
    struct ek_poll_item item = {.socket = subscriber};
    for (int waited_ms = 0; !item.readable && waited_ms < PATIENCE_MS; waited_ms += TURN_MS) {
        ck_assert(!ek_socket_begin(publisher, "other"));
        if (ek_socket_begin(publisher, "stats"))
            ek_socket_publish(publisher, ek_slice_text("{}"));
        (void)!ek_poll(&item, 1, TURN_MS);
    }
    (void)expect(subscriber, "{}");
    ek_socket_close(&subscriber);
    ek_socket_close(&publisher);
}
END_TEST

START_TEST(endpoints_that_cannot_be_are_refused)
{
    struct ek_socket *socket;
    struct ek_error error;
    char actual[EK_TEXT_BYTES_MAX];
    ck_assert_int_eq(ek_socket_open(context, EK_SOCKET_ROUTER, &socket), EK_OK);
    ck_assert_int_eq(ek_socket_bind(socket, endpoint, actual, &error), EK_IN_USE);
    ck_assert_ptr_nonnull(strstr(error.text, endpoint));
    ck_assert_int_eq(ek_socket_bind(socket, "tcp://127.0.0.1", actual, &error), EK_MALFORMED);
    ck_assert_int_eq(ek_socket_bind(socket, "carrier-pigeon://x", actual, &error), EK_MALFORMED);
    ck_assert_int_eq(ek_socket_bind(socket, "tcp://203.0.113.1:*", actual, &error), EK_MALFORMED);
    ck_assert_int_eq(ek_socket_connect(socket, "nonsense", &error), EK_MALFORMED);
    ek_socket_close(&socket);
}
END_TEST

START_TEST(a_free_port_is_named)
{
    ck_assert_int_eq(strncmp(endpoint, "tcp://127.0.0.1:", 16), 0);
    ck_assert_int_gt(strtol(endpoint + 16, NULL, 10), 0);
}
END_TEST

/* Of the only socket of this process that listens: how many connections may wait on it, as the kernel tells (tcp_info of a listener
 * has that bound where another one has its selective acknowledgements). */
static unsigned waiting_connections_max(void)
{
    for (int fd = 3; fd < sysconf(_SC_OPEN_MAX); fd++) {
        int listens = 0;
        socklen_t size = sizeof listens;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) || !listens)
            continue;
        struct tcp_info info = {0};
        size = sizeof info;
        ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
        return info.tcpi_sacked;
    }
    ck_abort_msg("no socket listens");
}

START_TEST(a_thousand_connections_may_come_at_once)
{
    FILE *file = fopen("/proc/sys/net/core/somaxconn", "re");
    ck_assert_ptr_nonnull(file);
    unsigned system_max = 0;
    ck_assert_int_eq(fscanf(file, "%u", &system_max), 1); /* NOLINT(cert-err34-c): the kernel's own number */
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_uint_eq(waiting_connections_max(), system_max < 4096 ? system_max : 4096);
}
END_TEST

START_TEST(waiting_ends_in_time_or_at_a_descriptor)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    struct ek_poll_item items[] = {{.socket = router}, {.fd = ends[0]}};
    ck_assert_int_eq(ek_poll(items, 2, 1), EK_AGAIN);
    ck_assert(!items[0].readable && !items[1].readable);
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    ck_assert_int_eq(ek_poll(items, 2, PATIENCE_MS), EK_OK);
    ck_assert(!items[0].readable && items[1].readable);
    static struct ek_poll_item many[EK_POLL_ITEMS_MAX + 1];
    for (size_t i = 0; i <= EK_POLL_ITEMS_MAX; i++)
        many[i].fd = ends[0];
    ck_assert_int_eq(ek_poll(many, EK_POLL_ITEMS_MAX + 1, 0), EK_TOO_LARGE);
    ck_assert_int_eq(ek_poll(many, EK_POLL_ITEMS_MAX, PATIENCE_MS), EK_OK);
    ck_assert(many[EK_POLL_ITEMS_MAX - 1].readable);
    (void)close(ends[0]);
    (void)close(ends[1]);
}
END_TEST

/* A send may take in that a message has come; the descriptor does not tell it once more. The send does so only when it has not
 * looked for a millisecond. */
START_TEST(what_came_before_a_send_is_not_slept_through)
{
    void *dealer = peer_open(ZMQ_DEALER, NULL);
    struct ek_poll_item item = {.socket = router};
    peer_send(dealer, "hello", 0);
    ek_peer peer = expect(router, "hello");
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(ek_poll(&item, 1, 0), EK_AGAIN);
        peer_send(dealer, "before", 0);
        (void)poll(NULL, 0, 5);
        ck_assert_int_eq(ek_socket_send(router, peer, owned("after")), EK_OK);
        ck_assert_int_eq(ek_poll(&item, 1, PATIENCE_MS), EK_OK);
        ck_assert(item.readable);
        (void)expect(router, "before");
        peer_expect(dealer, "after");
    }
    ck_assert_int_eq(zmq_close(dealer), 0);
}
END_TEST

/* Room in a pipe is news as well. */
START_TEST(news_of_something_else_than_a_message_do_not_end_the_wait)
{
    void *dealer = peer_open(ZMQ_DEALER, NULL);
    struct ek_poll_item item = {.socket = router};
    uint64_t began_us = ek_clock_monotonic_us();
    ck_assert_int_eq(ek_poll(&item, 1, 30), EK_AGAIN); /* the dealer connects meanwhile */
    ck_assert_uint_ge(ek_clock_monotonic_us() - began_us, 29000);
    ck_assert(!item.readable);
    ck_assert_int_eq(zmq_close(dealer), 0);
}
END_TEST

START_TEST(endpoints_are_judged_by_their_text)
{
    static const char *const good[] = {"tcp://127.0.0.1:5600", "tcp://*:0",    "tcp://127.0.0.1:*", "tcp://[::1]:65535",
                                       "tcp://host.name:1",    "ipc:///run/x", "inproc://x"};
    static const char *const bad[] = {
        "",           "tcp://",     "tcp://127.0.0.1", "tcp://127.0.0.1:", "tcp://:5600", "tcp://h:65536", "tcp://h:x",
        "tcp://h:-1", "tcp://h:1x", "udp://h:1",       "127.0.0.1:5600",   "ipc://",      "inproc://"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_assert_msg(ek_endpoint_is_valid(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!ek_endpoint_is_valid(bad[i]), "%s", bad[i]);
    char longest[EK_TEXT_BYTES_MAX + 16];
    (void)snprintf(longest, sizeof longest, "tcp://%0*d:12", EK_TEXT_BYTES_MAX, 0);
    ck_assert(!ek_endpoint_is_valid(longest));
}
END_TEST

START_TEST(only_this_machine_is_loopback)
{
    static const char *const here[] = {"tcp://127.0.0.1:1", "tcp://127.9.9.9:1", "tcp://localhost:1",
                                       "tcp://[::1]:1",     "ipc://x",           "inproc://x"};
    static const char *const there[] = {"tcp://*:1", "tcp://0.0.0.0:1", "tcp://10.0.0.1:1", "tcp://[::]:1",
                                        "tcp://localhost.example:1"};
    for (size_t i = 0; i < sizeof here / sizeof *here; i++)
        ck_assert_msg(ek_endpoint_is_loopback(here[i]), "%s", here[i]);
    for (size_t i = 0; i < sizeof there / sizeof *there; i++)
        ck_assert_msg(!ek_endpoint_is_loopback(there[i]), "%s", there[i]);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("transport");
    TCase *tests = tcase_create("transport");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, open_router, close_router);
    tcase_add_test(tests, a_message_goes_there_and_an_answer_back);
    tcase_add_test(tests, our_dealer_talks_to_our_router);
    tcase_add_test(tests, a_req_gets_its_empty_frame_back);
    tcase_add_test(tests, other_frames_than_one_are_malformed_and_can_be_answered);
    tcase_add_test(tests, a_routing_id_of_ones_own_is_denied);
    tcase_add_test(tests, a_frame_beyond_the_limit_ends_the_connection_and_no_other);
    tcase_add_test(tests, a_peer_that_is_gone_is_unreachable);
    tcase_add_test(tests, a_full_pipe_to_a_peer_says_again_and_keeps_the_message);
    tcase_add_test(tests, a_full_dealer_says_again_and_keeps_the_message);
    tcase_add_test(tests, subscribers_get_their_topic);
    tcase_add_test(tests, endpoints_that_cannot_be_are_refused);
    tcase_add_test(tests, a_free_port_is_named);
    tcase_add_test(tests, a_thousand_connections_may_come_at_once);
    tcase_add_test(tests, waiting_ends_in_time_or_at_a_descriptor);
    tcase_add_test(tests, what_came_before_a_send_is_not_slept_through);
    tcase_add_test(tests, news_of_something_else_than_a_message_do_not_end_the_wait);
    tcase_add_test(tests, endpoints_are_judged_by_their_text);
    tcase_add_test(tests, only_this_machine_is_loopback);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
