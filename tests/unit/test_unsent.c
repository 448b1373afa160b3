#include "common/transport.h"
#include "tests/support/run_suite.h"

#include <string.h>

enum { SOCKETS_MAX = 4, WAIT_MS = 10000 };

static struct ek_owned message_of(size_t bytes)
{
    struct ek_buffer buffer = {0};
    memset(ek_buffer_reserve(&buffer, bytes), 'm', bytes);
    ek_buffer_advance(&buffer, bytes);
    return ek_owned_of(&buffer);
}

static void receive_one(struct ek_socket *socket)
{
    struct ek_poll_item item = {.socket = socket};
    struct ek_frame frame;
    ck_assert_int_eq(ek_poll(&item, 1, WAIT_MS), EK_OK);
    ck_assert_int_eq(ek_socket_receive(socket, &frame, NULL), EK_OK);
    ek_frame_done(&frame);
}

START_TEST(bytes_count_until_they_have_left)
{
    char actual[EK_TEXT_BYTES_MAX];
    struct ek_context *context = ek_context_new(1, SOCKETS_MAX);
    struct ek_socket *sender;
    struct ek_socket *receiver;
    ck_assert_int_eq(ek_socket_open(context, EK_SOCKET_DEALER, &sender), EK_OK);
    ck_assert_int_eq(ek_socket_open(context, EK_SOCKET_DEALER, &receiver), EK_OK);
    ck_assert_int_eq(ek_socket_bind(receiver, "inproc://unsent", actual, NULL), EK_OK);
    ck_assert_int_eq(ek_socket_connect(sender, "inproc://unsent", NULL), EK_OK);
    ck_assert_uint_eq(ek_socket_unsent_bytes(sender), 0);
    ck_assert_int_eq(ek_socket_send(sender, 0, message_of(1000)), EK_OK);
    ck_assert_int_eq(ek_socket_send(sender, 0, message_of(500)), EK_OK);
    ck_assert_uint_eq(ek_socket_unsent_bytes(sender), 1500);
    receive_one(receiver);
    ck_assert_uint_eq(ek_socket_unsent_bytes(sender), 500);
    receive_one(receiver);
    ck_assert_uint_eq(ek_socket_unsent_bytes(sender), 0);
    ck_assert_int_eq(ek_socket_send(sender, 0, message_of(77)), EK_OK); /* outlives its socket */
    ek_socket_close(&sender);
    receive_one(receiver);
    ek_socket_close(&receiver);
    ek_context_destroy(&context);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("unsent");
    TCase *tests = tcase_create("unsent");
    tcase_add_test(tests, bytes_count_until_they_have_left);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
