/* What keeps a store useful that is asked for more than it can do: each part of it by itself. */
#include "broker/core.h"
#include "client/session.h"
#include "common/operations.h"
#include "tests/support/broker_rig.h"
#include "tests/support/run_suite.h"
#include "tests/support/session_rig.h"

#include <string.h>

enum { WORKER = 11, CLIENT = 21, OTHER_CLIENT = 22, SHARD = 1 };
#define MS UINT64_C(1000)

/* ---- the broker ---- */

static struct rig broker;

static void open_broker(void)
{
    rig_open(&broker, NULL, 0);
}

static void close_broker(void)
{
    struct ek_ledger ledger;
    ck_assert(rig_balanced(&broker, &ledger));
    rig_close(&broker);
}

/* The status of the answer at once; OK when the job was queued. */
static enum ek_wire_status queue(ek_broker_peer client, enum ek_job_kind kind, uint64_t producer, uint64_t number,
                                 uint32_t deadline_ms)
{
    struct ek_job job = rig_job(&broker, kind, SHARD, producer, number);
    job.deadline_ms = deadline_ms;
    rig_jobs(&broker, client, &job, 1);
    const struct ek_action *action = rig_action(&broker, EK_ACTION_REPLY, 0);
    return action ? action->reply.status : EK_WIRE_OK;
}

START_TEST(a_write_that_would_expire_in_the_queue_is_busy)
{
    struct ek_link link = rig_join(&broker, WORKER, 0, NULL);
    rig_heartbeat(&broker, WORKER, link, 0, 1, 100);
    ck_assert_int_eq(queue(CLIENT, EK_JOB_WRITE, 5, 1, 1000), EK_WIRE_OK);
    broker.now_us += 240 * MS;
    ck_assert_int_eq(queue(CLIENT, EK_JOB_WRITE, 5, 2, 1000), EK_WIRE_OK);
    broker.now_us += 20 * MS;
    ck_assert_int_eq(queue(CLIENT, EK_JOB_WRITE, 5, 3, 1000), EK_WIRE_BUSY);
    ck_assert_uint_gt(rig_action(&broker, EK_ACTION_REPLY, 0)->reply.retry_ms, 0);
    ck_assert_int_eq(queue(OTHER_CLIENT, EK_JOB_WRITE, 6, 1, 2000), EK_WIRE_OK);
    ck_assert_int_eq(queue(OTHER_CLIENT, EK_JOB_WRITE, 6, 2, 0), EK_WIRE_OK);
    ck_assert_int_eq(queue(OTHER_CLIENT, EK_JOB_READ, 0, 0, 1000), EK_WIRE_OK);
    ck_assert_int_eq(queue(OTHER_CLIENT, EK_JOB_DELETE, 7, 1, 1000), EK_WIRE_BUSY);
    rig_heartbeat(&broker, WORKER, link, 100, EK_MIB, 100);
    rig_dispatch(&broker);
    ck_assert_int_eq(queue(CLIENT, EK_JOB_WRITE, 5, 3, 1000), EK_WIRE_OK); /* nothing is queued any more */
}
END_TEST

START_TEST(a_wait_for_a_worker_that_was_away_is_not_held_against_its_queue)
{
    static const int all[] = {0, 1, 2, 3, 4, 5, 6, 7, -1};
    rig_join(&broker, WORKER, 0, NULL);
    rig_step(&broker, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = WORKER});
    ck_assert_int_eq(queue(CLIENT, EK_JOB_WRITE, 5, 1, 1000), EK_WIRE_OK);
    broker.now_us += 800 * MS;
    struct ek_link link = rig_join(&broker, WORKER, 0, all);
    rig_heartbeat(&broker, WORKER, link, 0, 1, 100);
    ck_assert_int_eq(queue(CLIENT, EK_JOB_WRITE, 5, 2, 1000), EK_WIRE_OK);
    broker.now_us += 260 * MS; /* by now it is the worker */
    ck_assert_int_eq(queue(CLIENT, EK_JOB_WRITE, 5, 3, 1000), EK_WIRE_BUSY);
}
END_TEST

START_TEST(deletes_do_not_wait_while_the_disk_is_short)
{
    struct ek_link link = rig_join(&broker, WORKER, 0, NULL);
    rig_heartbeat(&broker, WORKER, link, 100, 0, 100);
    ck_assert_int_eq(queue(CLIENT, EK_JOB_WRITE, 5, 1, 0), EK_WIRE_OK);
    rig_dispatch(&broker);
    broker.now_us += 500 * MS;
    ck_assert_int_eq(queue(OTHER_CLIENT, EK_JOB_WRITE, 6, 1, 1000), EK_WIRE_BUSY);
    ck_assert_int_eq(queue(OTHER_CLIENT, EK_JOB_DELETE, 7, 1, 1000), EK_WIRE_OK);
    rig_dispatch(&broker);
    ck_assert_uint_eq(rig_count(&broker, EK_ACTION_WORKER_JOB), 1);
    ck_assert_int_eq(rig_sent(&broker, 0)->kind, EK_JOB_DELETE);
}
END_TEST

START_TEST(a_cancellation_is_let_in_however_long_the_queue)
{
    struct ek_link link = rig_join(&broker, WORKER, 0, NULL);
    rig_heartbeat(&broker, WORKER, link, 0, 1, 100);
    ck_assert_int_eq(queue(CLIENT, EK_JOB_WRITE, 5, 1, 100), EK_WIRE_OK);
    broker.now_us += 50 * MS;
    ck_assert_int_eq(queue(OTHER_CLIENT, EK_JOB_WRITE, 6, 1, 100), EK_WIRE_BUSY);
    struct ek_buffer cause = {0};
    ek_encode_cause(&cause, EK_WIRE_EXPIRED);
    struct ek_job cancel = rig_job(&broker, EK_JOB_CANCEL, SHARD, 6, 1);
    cancel.body = ek_buffer_slice(&cause);
    rig_jobs(&broker, OTHER_CLIENT, &cancel, 1);
    ck_assert_ptr_null(rig_action(&broker, EK_ACTION_REPLY, 0));
    ek_buffer_done(&cause);
}
END_TEST

/* They are let in beyond the limits: a cause is all that they may hold. */
START_TEST(a_cancellation_of_more_than_a_cause_is_refused)
{
    static const uint8_t bodies[][3] = {{0x91, EK_WIRE_OK}, {0x91, EK_WIRE_STALE}, {0x91, EK_WIRE_EXPIRED, 0}};
    static const size_t sizes[] = {2, 2, 3};
    rig_join(&broker, WORKER, 0, NULL);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct ek_job cancel = rig_job(&broker, EK_JOB_CANCEL, SHARD, 6, 1);
        cancel.body = ek_slice_of(bodies[i], sizes[i]);
        rig_jobs(&broker, CLIENT, &cancel, 1);
        ck_assert_int_eq(rig_action(&broker, EK_ACTION_REPLY, 0)->reply.status, EK_WIRE_USAGE);
    }
}
END_TEST

/* Else their callers, whose time is over, would be told UNKNOWN. */
START_TEST(a_cancellation_waits_only_for_what_its_producer_sent_before)
{
    struct ek_link link = rig_join(&broker, WORKER, 0, NULL);
    rig_heartbeat(&broker, WORKER, link, 0, 1, 100);
    ck_assert_int_eq(queue(CLIENT, EK_JOB_WRITE, 5, 1, 100), EK_WIRE_OK);
    struct ek_job later = rig_job(&broker, EK_JOB_CANCEL, SHARD, 5, 2);
    later.route.lowest = 1;
    rig_jobs(&broker, CLIENT, &later, 1);
    ck_assert_int_eq(queue(OTHER_CLIENT, EK_JOB_WRITE, 8, 1, 0), EK_WIRE_OK);
    ck_assert_int_eq(queue(OTHER_CLIENT, EK_JOB_CANCEL, 6, 1, 0), EK_WIRE_OK);
    later.id++;
    later.route.number = 3;
    rig_jobs(&broker, CLIENT, &later, 1);
    broker.now_us += 40 * MS;
    ck_assert_int_eq(queue(CLIENT, EK_JOB_WRITE, 7, 1, 100), EK_WIRE_BUSY); /* the write has waited, not what went before it */
    rig_heartbeat(&broker, WORKER, link, 100, EK_MIB, 100);
    rig_dispatch(&broker);
    ck_assert_uint_eq(rig_count(&broker, EK_ACTION_WORKER_JOB), 5);
    ck_assert_uint_eq(rig_sent(&broker, 0)->producer, 6);
    for (size_t i = 1; i <= 3; i++) {
        ck_assert_uint_eq(rig_sent(&broker, i)->producer, 5);
        ck_assert_uint_eq(rig_sent(&broker, i)->number, i);
    }
    ck_assert_uint_eq(rig_sent(&broker, 4)->producer, 8);
}
END_TEST

START_TEST(expired_jobs_take_no_credit_from_others)
{
    struct ek_link link = rig_join(&broker, WORKER, 0, NULL);
    rig_heartbeat(&broker, WORKER, link, 0, 1, 100);
    for (uint64_t number = 1; number <= 5; number++)
        ck_assert_int_eq(queue(CLIENT, EK_JOB_WRITE, 5, number, 10), EK_WIRE_OK);
    ck_assert_int_eq(queue(OTHER_CLIENT, EK_JOB_WRITE, 6, 1, 0), EK_WIRE_OK);
    broker.now_us += 20 * MS;
    rig_heartbeat(&broker, WORKER, link, 1, 1, 100);
    rig_dispatch(&broker);
    ck_assert_uint_eq(rig_count(&broker, EK_ACTION_WORKER_JOB), 6);
    for (size_t i = 0; i < 5; i++)
        ck_assert_int_eq(rig_sent(&broker, i)->kind, EK_JOB_CANCEL);
    ck_assert_int_eq(rig_sent(&broker, 5)->kind, EK_JOB_WRITE);
    ck_assert_uint_eq(rig_sent(&broker, 5)->position, 6);
}
END_TEST

START_TEST(without_any_credit_cancellations_wait_too)
{
    struct ek_link link = rig_join(&broker, WORKER, 0, NULL);
    rig_heartbeat(&broker, WORKER, link, 0, 0, 100);
    ck_assert_int_eq(queue(CLIENT, EK_JOB_WRITE, 5, 1, 10), EK_WIRE_OK);
    broker.now_us += 20 * MS;
    rig_dispatch(&broker);
    ck_assert_uint_eq(rig_count(&broker, EK_ACTION_WORKER_JOB), 0);
    rig_heartbeat(&broker, WORKER, link, 1, 0, 100);
    rig_dispatch(&broker);
    ck_assert_uint_eq(rig_count(&broker, EK_ACTION_WORKER_JOB), 1);
}
END_TEST

START_TEST(reads_pass_writes_whose_credit_is_used_up)
{
    struct ek_link link = rig_join(&broker, WORKER, 0, NULL);
    rig_heartbeat(&broker, WORKER, link, 1, EK_MIB, 100);
    ck_assert_int_eq(queue(CLIENT, EK_JOB_WRITE, 5, 1, 0), EK_WIRE_OK);
    ck_assert_int_eq(queue(CLIENT, EK_JOB_WRITE, 5, 2, 0), EK_WIRE_OK);
    ck_assert_int_eq(queue(OTHER_CLIENT, EK_JOB_READ, 0, 0, 0), EK_WIRE_OK);
    rig_dispatch(&broker);
    ck_assert_uint_eq(rig_count(&broker, EK_ACTION_WORKER_JOB), 2);
    ck_assert_int_eq(rig_sent(&broker, 0)->kind, EK_JOB_WRITE);
    ck_assert_int_eq(rig_sent(&broker, 1)->kind, EK_JOB_READ);
}
END_TEST

/* ---- the library ---- */

static struct ek_rig session;
static struct ek_rig_note notes[64];
static char large[140000]; /* of which no two fit into one job */

static void open_session(void)
{
    ek_rig_init(&session, NULL);
    memset(notes, 0, sizeof notes);
    memset(large, 'v', sizeof large - 1);
    ek_rig_turn(&session);
}

static void close_session(void)
{
    ek_rig_done(&session);
}

static void put_some(int count)
{
    for (int i = 0; i < count; i++) {
        ek_rig_put(&session, "{a}", large, &notes[i]);
        ek_rig_turn(&session);
    }
}

static void answer(size_t job, enum ek_wire_status status)
{
    ek_rig_reply(&session, ek_rig_job(&session, job)->job.id, status, job + 1, NULL);
}

START_TEST(what_is_carried_out_opens_the_window_one_by_one)
{
    put_some(20);
    ck_assert_uint_eq(session.job_count, 4);
    answer(0, EK_WIRE_OK);
    ck_assert_uint_eq(session.job_count, 6);
    answer(1, EK_WIRE_OK);
    ck_assert_uint_eq(session.job_count, 8);
}
END_TEST

START_TEST(what_expires_in_a_queue_halves_the_window)
{
    put_some(20);
    answer(0, EK_WIRE_EXPIRED);
    answer(1, EK_WIRE_EXPIRED);
    answer(2, EK_WIRE_EXPIRED);
    ck_assert_uint_eq(session.job_count, 4);
    answer(3, EK_WIRE_EXPIRED);
    ck_assert_uint_eq(session.job_count, 5);
    answer(4, EK_WIRE_OK);
    ck_assert_uint_eq(session.job_count, 7);
}
END_TEST

/* They would else be settled one a round trip, and their callers be told UNKNOWN. */
START_TEST(refused_jobs_are_cancelled_all_at_once)
{
    for (int i = 0; i < 4; i++) {
        struct ek_request put = {.kind = EK_PUT, .key = "{a}", .key_size = 3, .value = large, .value_size = sizeof large};
        ck_assert_int_eq(ek_session_submit(session.session, &put, 1000, ek_rig_take_note, &notes[i], session.now_us),
                         EK_OUTCOME_OK);
        ek_rig_turn(&session);
    }
    ck_assert_uint_eq(session.job_count, 4);
    for (size_t i = 0; i < 4; i++)
        ek_rig_reply_busy(&session, ek_rig_job(&session, i)->job.id, 5000);
    ek_rig_advance(&session, 1010 * MS);
    ck_assert_uint_eq(session.job_count, 8);
    for (size_t i = 4; i < 8; i++) {
        ck_assert_int_eq(ek_rig_job(&session, i)->job.kind, EK_JOB_CANCEL);
        answer(i, EK_WIRE_EXPIRED);
        ck_assert_int_eq(notes[i - 4].last.outcome, EK_OUTCOME_BUSY);
    }
    put_some(10); /* a number that was only used up says nothing about room */
    ck_assert_uint_eq(session.job_count, 9);
}
END_TEST

static void add_broker(Suite *suite)
{
    TCase *tests = tcase_create("broker");
    tcase_add_checked_fixture(tests, open_broker, close_broker);
    tcase_add_test(tests, a_write_that_would_expire_in_the_queue_is_busy);
    tcase_add_test(tests, a_wait_for_a_worker_that_was_away_is_not_held_against_its_queue);
    tcase_add_test(tests, deletes_do_not_wait_while_the_disk_is_short);
    tcase_add_test(tests, a_cancellation_is_let_in_however_long_the_queue);
    tcase_add_test(tests, a_cancellation_of_more_than_a_cause_is_refused);
    tcase_add_test(tests, a_cancellation_waits_only_for_what_its_producer_sent_before);
    tcase_add_test(tests, expired_jobs_take_no_credit_from_others);
    tcase_add_test(tests, without_any_credit_cancellations_wait_too);
    tcase_add_test(tests, reads_pass_writes_whose_credit_is_used_up);
    suite_add_tcase(suite, tests);
}

static Suite *make_suite(void)
{
    Suite *suite = suite_create("overload");
    add_broker(suite);
    TCase *library = tcase_create("library");
    tcase_add_checked_fixture(library, open_session, close_session);
    tcase_add_test(library, what_is_carried_out_opens_the_window_one_by_one);
    tcase_add_test(library, what_expires_in_a_queue_halves_the_window);
    tcase_add_test(library, refused_jobs_are_cancelled_all_at_once);
    suite_add_tcase(suite, library);
    return suite;
}

int main(void)
{
    return ek_run_suite(make_suite());
}
