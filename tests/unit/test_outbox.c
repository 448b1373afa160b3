#include "broker/outbox.h"
#include "tests/support/run_suite.h"

#include <stdlib.h>
#include <string.h>

enum { SENT_MAX = 32, SMALL = 100, PEER_BYTES_MAX = 250, BYTES_MAX = 400, MARK_AT = 3 };

struct sent {
    ek_peer peer;
    struct ek_owned message;
};

/* A pipe to everybody that is open, full or gone, as the test says, in the place of the one in common/transport.c. */
struct ek_socket {
    enum ek_status status;
    struct sent sent[SENT_MAX];
    size_t count;
};

enum ek_status ek_socket_send(struct ek_socket *socket, ek_peer peer, struct ek_owned message)
{
    if (socket->status == EK_UNREACHABLE)
        free(message.memory);
    if (socket->status != EK_OK)
        return socket->status;
    ck_assert_uint_lt(socket->count, SENT_MAX);
    socket->sent[socket->count++] = (struct sent){.peer = peer, .message = message};
    return EK_OK;
}

/* Of large messages, which only test_outbox_pipes.c sends: here none is. */
struct ek_unsent *ek_unsent_new(void)
{
    ck_abort_msg("no message is large");
}

void ek_unsent_destroy(struct ek_unsent **unsent)
{
    *unsent = NULL;
}

size_t ek_unsent_bytes(const struct ek_unsent *unsent)
{
    (void)unsent;
    return 0;
}

enum ek_status ek_socket_send_counted(struct ek_socket *socket, ek_peer peer, struct ek_owned message, struct ek_unsent *unsent)
{
    (void)unsent;
    return ek_socket_send(socket, peer, message);
}

static struct ek_socket wire;
static struct ek_outbox *outbox;

static void setup(void)
{
    wire = (struct ek_socket){.status = EK_OK};
    outbox = ek_outbox_new(&wire, PEER_BYTES_MAX, BYTES_MAX);
}

static void teardown(void)
{
    ek_outbox_destroy(&outbox);
    for (size_t i = 0; i < wire.count; i++)
        free(wire.sent[i].message.memory);
}

static void send_marked(ek_peer peer, uint8_t mark)
{
    struct ek_buffer buffer = {0};
    memset(ek_buffer_reserve(&buffer, SMALL), mark, SMALL);
    ek_buffer_advance(&buffer, SMALL);
    ek_outbox_message(outbox, peer, ek_owned_of(&buffer));
}

static void expect_marks(const char *marks)
{
    ck_assert_uint_eq(wire.count, strlen(marks));
    for (size_t i = 0; i < wire.count; i++)
        ck_assert_int_eq(wire.sent[i].message.message.data[MARK_AT], marks[i]);
}

static void expect_lost(ek_peer peer)
{
    ek_peer lost;
    ck_assert(ek_outbox_next_lost(outbox, &lost));
    ck_assert_uint_eq(lost, peer);
    ck_assert(!ek_outbox_next_lost(outbox, &lost));
}

static void expect_nobody_lost(void)
{
    ek_peer lost;
    ck_assert(!ek_outbox_next_lost(outbox, &lost));
}

static enum ek_message_type type_of(size_t index)
{
    enum ek_message_type type;
    struct ek_reader fields;
    ck_assert_uint_lt(index, wire.count);
    ck_assert_int_eq(ek_decode_type(wire.sent[index].message.message, &type, &fields), EK_OK);
    return type;
}

/* ---- what a full pipe leaves ---- */

START_TEST(what_stayed_goes_first)
{
    wire.status = EK_AGAIN;
    send_marked(1, 'a');
    ck_assert(ek_outbox_waits(outbox));
    wire.status = EK_OK;
    send_marked(1, 'b');
    expect_marks("");
    send_marked(2, 'c'); /* nobody waits for another peer */
    ek_outbox_flush(outbox);
    expect_marks("cab");
    ck_assert(!ek_outbox_waits(outbox));
    expect_nobody_lost();
}
END_TEST

START_TEST(one_peers_backlog_is_bounded)
{
    wire.status = EK_AGAIN;
    send_marked(1, 'a');
    send_marked(1, 'b');
    expect_nobody_lost();
    send_marked(1, 'c');
    expect_lost(1);
    send_marked(1, 'd'); /* of what it was sent before nothing is left */
    wire.status = EK_OK;
    ek_outbox_flush(outbox);
    expect_marks("d");
}
END_TEST

START_TEST(all_backlogs_are_bounded_together)
{
    wire.status = EK_AGAIN;
    send_marked(1, 'a');
    send_marked(1, 'b');
    send_marked(2, 'c');
    send_marked(3, 'd');
    expect_nobody_lost();
    send_marked(3, 'e');
    expect_lost(3);
    wire.status = EK_OK;
    ek_outbox_flush(outbox);
    ck_assert_uint_eq(wire.count, 3);
}
END_TEST

static void fill_and(enum ek_status then)
{
    wire.status = EK_AGAIN;
    for (ek_peer peer = 1; peer <= BYTES_MAX / SMALL; peer++)
        send_marked(peer, 'x');
    expect_nobody_lost();
    wire.status = then;
    ek_outbox_flush(outbox);
    ck_assert(!ek_outbox_waits(outbox));
}

START_TEST(what_has_left_makes_room)
{
    fill_and(EK_OK);
    ck_assert_uint_eq(wire.count, BYTES_MAX / SMALL);
    fill_and(EK_OK);
}
END_TEST

START_TEST(what_was_for_the_lost_makes_room)
{
    ek_peer lost;
    size_t count = 0;
    fill_and(EK_UNREACHABLE);
    while (ek_outbox_next_lost(outbox, &lost))
        count++;
    ck_assert_uint_eq(count, BYTES_MAX / SMALL);
    fill_and(EK_OK);
}
END_TEST

START_TEST(a_peer_that_is_gone_is_told_of_once)
{
    wire.status = EK_AGAIN;
    send_marked(1, 'a');
    send_marked(1, 'b');
    wire.status = EK_UNREACHABLE;
    ek_outbox_flush(outbox);
    expect_lost(1);
    send_marked(2, 'c');
    expect_lost(2);
    ck_assert_uint_eq(wire.count, 0);
}
END_TEST

/* ---- envelopes ---- */

static void send_job_to(ek_peer peer, uint64_t link)
{
    ek_outbox_job(outbox, peer, (struct ek_link){.link = link, .generation = 1}, &(struct ek_worker_job){.token = 1, .count = 1});
}

static void send_job(uint64_t link)
{
    send_job_to(1, link);
}

static void send_fed(uint64_t attempt)
{
    struct ek_fed fed = {.job = {.token = attempt, .count = 1}};
    ek_outbox_fed(outbox, 1, (struct ek_link){.link = 1, .generation = 1}, &fed);
}

START_TEST(a_message_goes_behind_what_the_envelope_holds)
{
    struct ek_buffer pulse = {0};
    send_job(1);
    send_job(1);
    ck_assert_uint_eq(wire.count, 0);
    ek_encode_pulse(&pulse, (struct ek_link){.link = 1, .generation = 1});
    ek_outbox_message(outbox, 1, ek_owned_of(&pulse));
    ck_assert_uint_eq(wire.count, 2);
    ck_assert_int_eq(type_of(0), EK_MESSAGE_WORKER_JOBS);
    ck_assert_int_eq(type_of(1), EK_MESSAGE_WORKER_PULSE);
}
END_TEST

static uint64_t link_of(size_t index)
{
    enum ek_message_type type;
    struct ek_reader fields;
    struct ek_link link;
    ck_assert_int_eq(ek_decode_type(wire.sent[index].message.message, &type, &fields), EK_OK);
    ck_assert_int_eq(ek_decode_link(&fields, &link), EK_OK);
    return link.link;
}

START_TEST(an_envelope_is_of_one_link)
{
    send_job(1);
    send_job(2);
    ek_outbox_flush(outbox);
    ck_assert_uint_eq(wire.count, 2);
    ck_assert_uint_eq(link_of(0), 1);
    ck_assert_uint_eq(link_of(1), 2);
}
END_TEST

START_TEST(an_envelope_is_of_one_kind_and_attempt)
{
    send_fed(7);
    send_fed(7);
    send_fed(8);
    send_job(1);
    ek_outbox_flush(outbox);
    ck_assert_uint_eq(wire.count, 3);
    ck_assert_int_eq(type_of(0), EK_MESSAGE_WORKER_FEED);
    ck_assert_int_eq(type_of(1), EK_MESSAGE_WORKER_FEED);
    ck_assert_int_eq(type_of(2), EK_MESSAGE_WORKER_JOBS);
}
END_TEST

START_TEST(envelopes_of_many_peers_leave_with_each_flush)
{
    enum { PEERS = 6 }; /* more than boxes are kept for */
    for (size_t flushes = 1; flushes <= 2; flushes++) {
        for (ek_peer peer = PEERS; peer >= 1; peer--)
            send_job_to(peer, peer);
        send_job_to(PEERS, PEERS); /* the first one again, which ends last */
        ek_outbox_flush(outbox);
        ck_assert_uint_eq(wire.count, flushes * PEERS);
        for (ek_peer peer = 1; peer <= PEERS; peer++)
            ck_assert_uint_eq(link_of(wire.count - PEERS + peer - 1), peer);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("outbox");
    TCase *backlogs = tcase_create("backlogs");
    tcase_add_checked_fixture(backlogs, setup, teardown);
    tcase_add_test(backlogs, what_stayed_goes_first);
    tcase_add_test(backlogs, one_peers_backlog_is_bounded);
    tcase_add_test(backlogs, all_backlogs_are_bounded_together);
    tcase_add_test(backlogs, what_has_left_makes_room);
    tcase_add_test(backlogs, what_was_for_the_lost_makes_room);
    tcase_add_test(backlogs, a_peer_that_is_gone_is_told_of_once);
    suite_add_tcase(suite, backlogs);
    TCase *envelopes = tcase_create("envelopes");
    tcase_add_checked_fixture(envelopes, setup, teardown);
    tcase_add_test(envelopes, a_message_goes_behind_what_the_envelope_holds);
    tcase_add_test(envelopes, an_envelope_is_of_one_link);
    tcase_add_test(envelopes, an_envelope_is_of_one_kind_and_attempt);
    tcase_add_test(envelopes, envelopes_of_many_peers_leave_with_each_flush);
    suite_add_tcase(suite, envelopes);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
