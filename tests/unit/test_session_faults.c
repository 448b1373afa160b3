#include "client/session.h"
#include "common/codec.h"
#include "common/operations.h"
#include "tests/support/run_suite.h"
#include "tests/support/session_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS UINT64_C(1000)
#define S  UINT64_C(1000000)

static struct ek_rig rig;
static struct ek_rig_note notes[256];
/* A value large enough for a job of its own. */
static char large[20000];

static void set_up(void)
{
    ek_rig_init(&rig, NULL);
    memset(notes, 0, sizeof notes);
    memset(large, 'v', sizeof large - 1);
    ek_rig_turn(&rig);
}

static void tear_down(void)
{
    ek_rig_done(&rig);
}

/* Puts that leave as jobs 1 to `count` of one shard. */
static void send_writes(int count)
{
    for (int i = 0; i < count; i++) {
        ek_rig_put(&rig, "{a}", large, &notes[i]);
        ek_rig_turn(&rig);
    }
    ck_assert_uint_eq(rig.job_count, (size_t)count);
}

static const struct ek_job *job(size_t index)
{
    return &ek_rig_job(&rig, index)->job;
}

static void assert_ended(const struct ek_rig_note *note, enum ek_outcome outcome)
{
    ck_assert_int_eq(note->calls, 1);
    ck_assert_msg(note->last.outcome == outcome, "%s instead of %s", ek_outcome_name(note->last.outcome), ek_outcome_name(outcome));
}

static void assert_waits(const struct ek_rig_note *note)
{
    ck_assert_int_eq(note->calls, 0);
}

/* Jobs from `from` on bear these numbers, and are marked as repeated. */
static void assert_repeated(size_t from, const uint64_t *numbers, size_t count)
{
    ck_assert_uint_eq(rig.job_count, from + count);
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_eq(job(from + i)->route.number, numbers[i]);
        ck_assert(job(from + i)->route.repeated);
    }
}

/* ---- BUSY ---- */

START_TEST(busy_holds_the_shard_and_resends_in_order)
{
    send_writes(4);
    ek_rig_reply(&rig, job(0)->id, EK_WIRE_OK, 1, NULL);
    ek_rig_reply_busy(&rig, job(1)->id, 100);
    ek_rig_reply_busy(&rig, job(2)->id, 100);
    ek_rig_reply_busy(&rig, job(3)->id, 100);
    ek_rig_put(&rig, "{a}", large, &notes[4]);
    ek_rig_submit(&rig, EK_GET, "{a}", 0, &notes[5]);
    ek_rig_put(&rig, "elsewhere", "x", &notes[6]);
    ek_rig_turn(&rig);
    ck_assert_uint_eq(rig.job_count, 5);
    ck_assert_uint_ne(job(4)->route.shard, job(0)->route.shard);
    ek_rig_advance(&rig, 70 * MS);
    ck_assert_uint_eq(rig.job_count, 5);
    ek_rig_advance(&rig, 60 * MS);
    /* One finds out whether there is room; each that is carried out makes room for one more. */
    ck_assert_uint_eq(rig.job_count, 6);
    ek_rig_reply(&rig, job(5)->id, EK_WIRE_OK, 2, NULL);
    ek_rig_turn(&rig);
    ck_assert_uint_eq(rig.job_count, 8);
    ek_rig_reply(&rig, job(6)->id, EK_WIRE_OK, 3, NULL);
    ek_rig_turn(&rig);
    ck_assert_uint_eq(rig.job_count, 10);
    for (uint64_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(job(5 + i)->route.number, 2 + i);
        ck_assert_uint_eq(job(5 + i)->id, job(1 + i)->id);
        ck_assert(job(5 + i)->route.repeated);
    }
    ck_assert_uint_eq(job(8)->route.number, 5);
    ck_assert(!job(8)->route.repeated);
    ck_assert_int_eq(job(9)->kind, EK_JOB_READ);
    ck_assert_uint_eq(job(9)->route.number, 5);
    ck_assert_uint_eq(ek_session_counters(rig.session).busy_jobs, 3);
}
END_TEST

START_TEST(busy_that_repeats_backs_off)
{
    ek_rig_submit(&rig, EK_DELETE, "{a}", UINT32_MAX, &notes[0]);
    ek_rig_turn(&rig);
    uint64_t waited_us[6];
    for (size_t i = 0; i < 6; i++) {
        uint64_t before_us = rig.now_us;
        ek_rig_reply_busy(&rig, job(i)->id, 20);
        while (rig.job_count == i + 1)
            ek_rig_advance(&rig, MS);
        waited_us[i] = rig.now_us - before_us;
    }
    ck_assert_uint_le(waited_us[0], 30 * MS);
    ck_assert_uint_ge(waited_us[5], 400 * MS);
    ck_assert_uint_le(waited_us[5], 1300 * MS);
    ek_rig_reply(&rig, job(6)->id, EK_WIRE_OK, 1, NULL);
    assert_ended(&notes[0], EK_OUTCOME_OK);
}
END_TEST

START_TEST(a_job_refused_until_its_deadline_ends_busy_by_a_cancellation)
{
    ek_rig_submit(&rig, EK_DELETE, "{a}", 1000, &notes[0]);
    ek_rig_turn(&rig);
    ek_rig_reply_busy(&rig, job(0)->id, 5000);
    ek_rig_advance(&rig, 990 * MS);
    ck_assert_uint_eq(rig.job_count, 1);
    ek_rig_advance(&rig, 20 * MS);
    const struct ek_job *cancel = job(1);
    ck_assert_int_eq(cancel->kind, EK_JOB_CANCEL);
    ck_assert_uint_eq(cancel->route.number, 1);
    ck_assert(cancel->route.repeated);
    enum ek_wire_status cause;
    ck_assert_int_eq(ek_decode_cause(cancel->body, &cause), EK_OK);
    ck_assert_int_eq(cause, EK_WIRE_EXPIRED);
    assert_waits(&notes[0]);
    ek_rig_reply(&rig, cancel->id, EK_WIRE_EXPIRED, 1, NULL);
    assert_ended(&notes[0], EK_OUTCOME_BUSY);
}
END_TEST

START_TEST(what_waits_behind_busy_ends_busy_without_a_number)
{
    ek_rig_submit(&rig, EK_DELETE, "{a}", UINT32_MAX, &notes[0]);
    ek_rig_turn(&rig);
    ek_rig_reply_busy(&rig, job(0)->id, 2000);
    ek_rig_submit(&rig, EK_DELETE, "{a}", 100, &notes[1]);
    ek_rig_submit(&rig, EK_DELETE, "{a}", UINT32_MAX, &notes[2]);
    ek_rig_advance(&rig, 110 * MS);
    assert_ended(&notes[1], EK_OUTCOME_BUSY);
    ek_rig_advance(&rig, 3 * S);
    ek_rig_reply(&rig, job(1)->id, EK_WIRE_OK, 1, NULL);
    ck_assert_uint_eq(job(2)->count, 1);
    ck_assert_uint_eq(job(2)->route.number, 2);
    ek_rig_reply(&rig, job(2)->id, EK_WIRE_OK, 2, NULL);
    assert_ended(&notes[2], EK_OUTCOME_OK);
}
END_TEST

/* ---- GAP ---- */

START_TEST(a_gap_resends_from_the_awaited_number_once)
{
    send_writes(4);
    ek_rig_reply(&rig, job(0)->id, EK_WIRE_OK, 1, NULL);
    ek_rig_put(&rig, "{a}", large, &notes[4]);
    ek_rig_turn(&rig);
    ek_rig_reply(&rig, job(3)->id, EK_WIRE_GAP, 2, NULL);
    assert_repeated(5, (const uint64_t[]){2, 3, 4}, 3);
    ek_rig_reply(&rig, job(4)->id, EK_WIRE_GAP, 2, NULL);
    assert_repeated(8, (const uint64_t[]){5}, 1);
}
END_TEST

START_TEST(gaps_that_repeat_back_off)
{
    send_writes(1);
    for (int i = 0; i < 50; i++)
        ek_rig_reply(&rig, job(0)->id, EK_WIRE_GAP, 1, NULL);
    ck_assert_uint_le(rig.job_count, 3);
    ek_rig_advance(&rig, 100 * MS);
    ck_assert_uint_ge(rig.job_count, 3);
}
END_TEST

START_TEST(a_read_refused_as_a_gap_goes_again_behind_its_write)
{
    send_writes(1);
    ek_rig_submit(&rig, EK_GET, "{a}", 0, &notes[1]);
    ek_rig_turn(&rig);
    ek_rig_reply(&rig, job(1)->id, EK_WIRE_GAP, 1, NULL);
    ck_assert_uint_eq(rig.job_count, 4);
    ck_assert_uint_eq(job(2)->route.number, 1);
    ck_assert_int_eq(job(2)->kind, EK_JOB_WRITE);
    ck_assert_int_eq(job(3)->kind, EK_JOB_READ);
}
END_TEST

/* ---- silence and other connections ---- */

START_TEST(silence_asks_and_the_same_connection_keeps_waiting)
{
    send_writes(1);
    ek_rig_advance(&rig, 900 * MS);
    ck_assert_uint_eq(rig.hellos, 1);
    ek_rig_advance(&rig, 200 * MS);
    ck_assert_uint_eq(rig.hellos, 2);
    ck_assert(!rig.last_hello.wants_producer);
    ek_rig_advance(&rig, 2 * S);
    ck_assert_uint_le(rig.hellos, 4);
    ck_assert_uint_eq(rig.job_count, 1);
    ek_rig_submit(&rig, EK_DELETE, "{b}", UINT32_MAX, &notes[1]);
    ek_rig_advance(&rig, 60 * S);
    /* Cautious copies of what stays unanswered, ever fewer. */
    ck_assert_uint_le(rig.job_count, 12);
    ck_assert(job(2)->route.repeated);
    ck_assert_uint_le(rig.hellos, 16);
}
END_TEST

/* The others behind it wait: what has become of it tells what has become of them. */
START_TEST(of_each_shard_the_oldest_unanswered_write_goes_out_again_after_five_seconds)
{
    send_writes(3);
    ek_rig_advance(&rig, 2 * S);
    ek_rig_submit(&rig, EK_DELETE, "{b}", UINT32_MAX, &notes[3]);
    ek_rig_advance(&rig, 2900 * MS);
    ck_assert_uint_eq(rig.job_count, 4);
    ek_rig_advance(&rig, 300 * MS);
    ck_assert_uint_eq(rig.job_count, 5);
    ck_assert_uint_eq(job(4)->id, job(0)->id);
    ck_assert(job(4)->route.repeated);
    ek_rig_advance(&rig, 1700 * MS);
    ck_assert_uint_eq(rig.job_count, 5);
    ek_rig_advance(&rig, 300 * MS);
    ck_assert_uint_eq(rig.job_count, 6);
    ck_assert_uint_eq(job(5)->id, job(3)->id);
    ek_rig_advance(&rig, 4 * S);
    ck_assert_uint_eq(rig.job_count, 6);
}
END_TEST

START_TEST(another_connection_resends_everything_in_order_at_once)
{
    send_writes(3);
    ek_rig_submit(&rig, EK_GET, "b", 0, &notes[3]);
    ek_rig_turn(&rig);
    rig.welcome.connection = 2;
    rig.deaf = true;
    ek_rig_reply(&rig, job(1)->id, EK_WIRE_OK, 2, NULL);
    ek_rig_clear_jobs(&rig);
    (void)ek_session_ask(rig.session);
    ek_rig_turn(&rig);
    ek_rig_send_welcome(&rig, rig.last_hello.id);
    ek_rig_turn(&rig);
    ck_assert_uint_eq(rig.job_count, 3);
    uint64_t numbers[2];
    size_t writes = 0;
    for (size_t i = 0; i < 3; i++)
        if (job(i)->kind != EK_JOB_READ) {
            numbers[writes++] = job(i)->route.number;
            ck_assert(job(i)->route.repeated);
            ck_assert_uint_eq(job(i)->route.lowest, 1);
        }
    ck_assert_uint_eq(writes, 2);
    ck_assert_uint_eq(numbers[0], 1);
    ck_assert_uint_eq(numbers[1], 3);
}
END_TEST

START_TEST(while_the_broker_is_silent_new_writes_stay_certain)
{
    send_writes(1);
    rig.deaf = true;
    ek_rig_advance(&rig, 1200 * MS);
    ek_rig_submit(&rig, EK_DELETE, "{b}", 500, &notes[1]);
    ek_rig_advance(&rig, 600 * MS);
    ck_assert_uint_eq(rig.job_count, 1);
    assert_ended(&notes[1], EK_OUTCOME_UNAVAILABLE);
    rig.deaf = false;
    rig.welcome.generation = 2;
    ek_rig_advance(&rig, 10 * S);
    ck_assert_uint_ge(rig.job_count, 2);
}
END_TEST

START_TEST(another_cluster_ends_everything)
{
    send_writes(1);
    ek_rig_put(&rig, "{a}", "x", &notes[1]);
    ek_rig_turn(&rig);
    rig.welcome.cluster.bytes[3] ^= 1;
    (void)ek_session_ask(rig.session);
    ek_rig_turn(&rig);
    assert_ended(&notes[0], EK_OUTCOME_UNKNOWN);
    assert_ended(&notes[1], EK_OUTCOME_FAILED);
    ck_assert_uint_gt(strlen(notes[1].text), 10);
    const struct ek_request get = {.kind = EK_GET, .key = "k", .key_size = 1};
    ck_assert_int_eq(ek_session_submit(rig.session, &get, 0, ek_rig_take_note, &notes[2], rig.now_us), EK_OUTCOME_FAILED);
    ek_rig_advance(&rig, 10 * S);
    ck_assert_uint_eq(ek_session_pending(rig.session), 0);
}
END_TEST

/* ---- deadlines ---- */

START_TEST(a_sent_write_waits_a_second_more_and_then_is_unknown_but_settled)
{
    ek_rig_submit(&rig, EK_DELETE, "{a}", 500, &notes[0]);
    ek_rig_turn(&rig);
    ck_assert_uint_eq(job(0)->deadline_ms, 500);
    ek_rig_advance(&rig, 1490 * MS);
    assert_waits(&notes[0]);
    ek_rig_advance(&rig, 20 * MS);
    assert_ended(&notes[0], EK_OUTCOME_UNKNOWN);
    ck_assert_uint_eq(ek_session_pending(rig.session), 0);
    /* Its number goes on until it is settled. */
    ek_rig_advance(&rig, 5 * S);
    const struct ek_job *cancel = job(1);
    ck_assert_int_eq(cancel->kind, EK_JOB_CANCEL);
    ck_assert_uint_eq(cancel->route.number, 1);
    ek_rig_submit(&rig, EK_DELETE, "{a}", UINT32_MAX, &notes[1]);
    ek_rig_reply(&rig, cancel->id, EK_WIRE_EXPIRED, 1, NULL);
    ck_assert_uint_eq(job(rig.job_count - 1)->route.number, 2);
    ck_assert_uint_eq(job(rig.job_count - 1)->route.lowest, 2);
    ck_assert_uint_eq(job(rig.job_count - 1)->deadline_ms, 0);
    ck_assert_int_eq(notes[0].calls, 1);
}
END_TEST

START_TEST(a_verdict_in_the_last_second_still_counts)
{
    ek_rig_submit(&rig, EK_DELETE, "{a}", 500, &notes[0]);
    ek_rig_advance(&rig, 1200 * MS);
    ek_rig_reply(&rig, job(0)->id, EK_WIRE_EXPIRED, 1, NULL);
    assert_ended(&notes[0], EK_OUTCOME_EXPIRED);
}
END_TEST

START_TEST(one_of_a_batch_may_stop_waiting_alone)
{
    send_writes(1);
    ek_rig_submit(&rig, EK_INCREMENT, "{a}1", 100, &notes[1]);
    ek_rig_submit(&rig, EK_INCREMENT, "{a}2", UINT32_MAX, &notes[2]);
    ek_rig_submit(&rig, EK_INCREMENT, "{a}3", UINT32_MAX, &notes[3]);
    ek_rig_submit(&rig, EK_INCREMENT, "{a}4", 50, &notes[4]);
    ek_rig_advance(&rig, 60 * MS);
    assert_ended(&notes[4], EK_OUTCOME_EXPIRED);
    ek_rig_reply(&rig, job(0)->id, EK_WIRE_OK, 1, NULL);
    ck_assert_uint_eq(job(1)->count, 3);
    ck_assert_uint_eq(job(1)->deadline_ms, 0);
    ek_rig_advance(&rig, 1100 * MS);
    assert_ended(&notes[1], EK_OUTCOME_UNKNOWN);
    struct ek_buffer body = {0};
    ek_buffer_append(&body, "\x93\x92\x00\x01\x92\x00\x02\x92\x00\x03", 10);
    ek_rig_reply(&rig, job(1)->id, EK_WIRE_OK, 10, &body);
    ek_buffer_done(&body);
    assert_ended(&notes[1], EK_OUTCOME_UNKNOWN);
    assert_ended(&notes[2], EK_OUTCOME_OK);
    ck_assert_int_eq(notes[2].last.number, 2);
    ck_assert_int_eq(notes[3].last.number, 3);
    ck_assert_uint_eq(notes[3].last.version, 12);
}
END_TEST

START_TEST(a_read_leaves_when_the_write_before_it_expires)
{
    send_writes(1);
    ek_rig_submit(&rig, EK_DELETE, "{a}", 100, &notes[1]);
    ek_rig_submit(&rig, EK_EXISTS, "{a}", 0, &notes[2]);
    ek_rig_advance(&rig, 90 * MS);
    ck_assert_uint_eq(rig.job_count, 1);
    ek_rig_advance(&rig, 20 * MS);
    assert_ended(&notes[1], EK_OUTCOME_EXPIRED);
    ck_assert_int_eq(job(1)->kind, EK_JOB_READ);
    ck_assert_uint_eq(job(1)->route.number, 1);
}
END_TEST

START_TEST(reads_end_at_their_deadline_and_are_dropped)
{
    ek_rig_submit(&rig, EK_GET, "a", 200, &notes[0]);
    ek_rig_advance(&rig, 1300 * MS);
    assert_ended(&notes[0], EK_OUTCOME_UNKNOWN);
    ek_rig_reply(&rig, job(0)->id, EK_WIRE_OK, 0, NULL);
    ck_assert_uint_eq(ek_session_counters(rig.session).stray, 1);
    ck_assert_uint_eq(ek_session_due_us(rig.session), UINT64_MAX);
}
END_TEST

/* ---- refusals ---- */

START_TEST(forgotten_takes_a_new_producer_for_what_was_sent_once)
{
    send_writes(3);
    /* The second is sent twice. */
    ek_rig_reply(&rig, job(1)->id, EK_WIRE_GAP, 2, NULL);
    ck_assert_uint_eq(rig.job_count, 4);
    size_t hellos = rig.hellos;
    ek_rig_reply(&rig, job(0)->id, EK_WIRE_FORGOTTEN, 1, NULL);
    ck_assert_uint_eq(rig.hellos, hellos + 1);
    ck_assert(rig.last_hello.wants_producer);
    ck_assert_uint_eq(rig.job_count, 4);
    ek_rig_reply(&rig, job(2)->id, EK_WIRE_FORGOTTEN, 3, NULL);
    ck_assert_uint_eq(rig.job_count, 4);
    ek_rig_reply(&rig, job(1)->id, EK_WIRE_FORGOTTEN, 2, NULL);
    assert_ended(&notes[1], EK_OUTCOME_UNKNOWN);
    ck_assert_uint_eq(rig.job_count, 6);
    for (uint64_t i = 0; i < 2; i++) {
        ck_assert_uint_eq(job(4 + i)->route.producer, 1001);
        ck_assert_uint_eq(job(4 + i)->route.number, 1 + i);
        ck_assert(!job(4 + i)->route.repeated);
        ck_assert_uint_eq(rig.hellos, hellos + 1);
    }
    ek_rig_reply(&rig, job(4)->id, EK_WIRE_OK, 10, NULL);
    ek_rig_reply(&rig, job(5)->id, EK_WIRE_OK, 11, NULL);
    assert_ended(&notes[0], EK_OUTCOME_OK);
    assert_ended(&notes[2], EK_OUTCOME_OK);
    ck_assert_uint_eq(notes[2].last.version, 11);
}
END_TEST

/* A read that is answered FORGOTTEN again and again keeps no silence in which lost answers would be noticed. */
START_TEST(writes_whose_answers_are_lost_go_out_again_when_a_read_behind_them_is_forgotten)
{
    send_writes(2);
    ek_rig_submit(&rig, EK_EXISTS, "{a}", 0, &notes[2]);
    ek_rig_turn(&rig);
    ck_assert_uint_eq(rig.job_count, 3);
    ek_rig_reply(&rig, job(2)->id, EK_WIRE_FORGOTTEN, 0, NULL);
    ck_assert_uint_ge(rig.job_count, 5);
    for (uint64_t i = 0; i < 2; i++) {
        ck_assert_uint_eq(job(3 + i)->route.number, 1 + i);
        ck_assert(job(3 + i)->route.repeated);
        ek_rig_reply(&rig, job(3 + i)->id, EK_WIRE_FORGOTTEN, 0, NULL);
        assert_ended(&notes[i], EK_OUTCOME_UNKNOWN);
    }
}
END_TEST

/* It may be that of a second copy, made by a connection that broke behind the first one. */
START_TEST(forgotten_for_what_counts_as_lost_already_is_no_certain_answer)
{
    send_writes(1);
    rig.deaf = true;
    ek_rig_advance(&rig, 2 * S);
    ck_assert_uint_ge(rig.hellos, 2);
    ck_assert_uint_eq(rig.job_count, 1);
    rig.deaf = false;
    rig.welcome.connection++;
    ek_rig_send_welcome(&rig, rig.last_hello.id);
    ek_rig_reply(&rig, job(0)->id, EK_WIRE_FORGOTTEN, 1, NULL);
    assert_ended(&notes[0], EK_OUTCOME_UNKNOWN);
}
END_TEST

START_TEST(unknown_is_final_and_takes_a_new_producer_for_what_follows)
{
    send_writes(1);
    ek_rig_reply(&rig, job(0)->id, EK_WIRE_UNKNOWN, 1, NULL);
    assert_ended(&notes[0], EK_OUTCOME_UNKNOWN);
    ek_rig_put(&rig, "{a}", "v", &notes[1]);
    ek_rig_turn(&rig);
    ck_assert_uint_eq(job(1)->route.producer, 1001);
    ck_assert_uint_eq(job(1)->route.number, 1);
}
END_TEST

START_TEST(a_read_stays_behind_a_write_that_leaves_twice)
{
    ek_rig_submit(&rig, EK_EXISTS, "{a}", 0, &notes[0]);
    ek_rig_turn(&rig);
    ek_rig_submit(&rig, EK_EXISTS, "{a}", 0, &notes[1]);
    ek_rig_turn(&rig);
    ek_rig_put(&rig, "{a}", large, &notes[2]);
    ek_rig_turn(&rig);
    /* Joins the read that waits, whose own writes had all left. */
    ek_rig_submit(&rig, EK_EXISTS, "{a}", 0, &notes[3]);
    ek_rig_turn(&rig);
    ck_assert_uint_eq(rig.job_count, 2);
    rig.deaf = true;
    ek_rig_reply(&rig, job(1)->id, EK_WIRE_FORGOTTEN, 1, NULL);
    ek_rig_reply(&rig, job(0)->id, EK_WIRE_OK, 0, NULL);
    ck_assert_uint_eq(rig.job_count, 2);
    rig.deaf = false;
    ek_rig_advance(&rig, S);
    ck_assert_uint_eq(rig.job_count, 4);
    ck_assert_int_eq(job(2)->kind, EK_JOB_WRITE);
    ck_assert_int_eq(job(3)->kind, EK_JOB_READ);
    ck_assert_uint_eq(job(3)->count, 2);
    ck_assert_uint_eq(job(3)->route.number, 1);
    ck_assert_uint_eq(job(3)->route.producer, 1001);
}
END_TEST

START_TEST(a_broker_without_producers_is_not_pestered)
{
    send_writes(1);
    rig.no_wishes = true;
    ek_rig_reply(&rig, job(0)->id, EK_WIRE_FORGOTTEN, 1, NULL);
    ek_rig_advance(&rig, 4 * S);
    ck_assert_uint_le(rig.hellos, 14);
    rig.no_wishes = false;
    ek_rig_advance(&rig, 4 * S);
    ck_assert_uint_eq(job(1)->route.number, 1);
}
END_TEST

START_TEST(a_number_that_was_refused_for_good_is_filled)
{
    send_writes(2);
    struct ek_buffer body = {0};
    ek_encode_refused(&body, 0, EK_WIRE_TOO_LARGE, "too large here");
    ek_rig_reply(&rig, job(0)->id, EK_WIRE_TOO_LARGE, 0, &body);
    ek_buffer_done(&body);
    assert_ended(&notes[0], EK_OUTCOME_TOO_LARGE);
    ck_assert_str_eq(notes[0].text, "too large here");
    ck_assert_int_eq(job(2)->kind, EK_JOB_CANCEL);
    ck_assert_uint_eq(job(2)->route.number, 1);
    ek_rig_reply(&rig, job(1)->id, EK_WIRE_GAP, 1, NULL);
    ek_rig_reply(&rig, job(2)->id, EK_WIRE_TOO_LARGE, 1, NULL);
    ek_rig_reply(&rig, job(1)->id, EK_WIRE_OK, 2, NULL);
    assert_ended(&notes[1], EK_OUTCOME_OK);
    ck_assert_int_eq(notes[0].calls, 1);
}
END_TEST

/* Its first copy may have been applied before the broker that would not take it came: only the number's verdict tells. */
START_TEST(what_was_sent_twice_and_is_refused_for_good_ends_as_its_cancellation_says)
{
    ek_rig_submit(&rig, EK_DELETE, "{a}", UINT32_MAX, &notes[0]);
    ek_rig_turn(&rig);
    ek_rig_advance(&rig, 6 * S);
    ck_assert_uint_eq(rig.job_count, 2);
    ck_assert(job(1)->route.repeated);
    ek_rig_reply(&rig, job(1)->id, EK_WIRE_TOO_LARGE, 0, NULL);
    assert_waits(&notes[0]);
    ek_rig_turn(&rig);
    ck_assert_int_eq(job(2)->kind, EK_JOB_CANCEL);
    ck_assert_uint_eq(job(2)->route.number, 1);
    ek_rig_reply(&rig, job(2)->id, EK_WIRE_OK, 1, NULL);
    assert_ended(&notes[0], EK_OUTCOME_OK);
}
END_TEST

START_TEST(a_refusal_of_the_whole_batch_reaches_every_operation)
{
    ek_rig_put(&rig, "{a}1", "x", &notes[0]);
    ek_rig_put(&rig, "{a}2", "x", &notes[1]);
    ek_rig_turn(&rig);
    struct ek_buffer body = {0};
    ek_encode_refused(&body, 1, EK_WIRE_FAILED, "not of this shard");
    ek_rig_reply(&rig, job(0)->id, EK_WIRE_FAILED, 1, &body);
    ek_buffer_done(&body);
    for (int i = 0; i < 2; i++) {
        assert_ended(&notes[i], EK_OUTCOME_FAILED);
        ck_assert_str_eq(notes[i].text, "not of this shard");
    }
}
END_TEST

START_TEST(messages_that_break_the_protocol_are_counted_and_ignored)
{
    static const char *const bad[] = {
        "", "\x90", "\x93\x01\x04\x91\x95\x01", "\x93\x01\x03\x90", "\xdd\xff\xff\xff\xff", "\x93\x02\x04\x90"};
    static const size_t sizes[] = {0, 1, 6, 4, 5, 4};
    send_writes(1);
    for (size_t i = 0; i < 6; i++)
        ek_rig_deliver(&rig, ek_slice_of(bad[i], sizes[i]));
    ck_assert_uint_eq(ek_session_counters(rig.session).unreadable, 6);
    ek_rig_reply(&rig, 99, EK_WIRE_OK, 1, NULL);
    ck_assert_uint_eq(ek_session_counters(rig.session).stray, 1);
    ek_rig_reply(&rig, job(0)->id, EK_WIRE_STALE, 1, NULL);
    assert_waits(&notes[0]);
    struct ek_buffer body = {0};
    ek_buffer_append(&body, "\x92\x00\x00", 3);
    ek_rig_reply(&rig, job(0)->id, EK_WIRE_OK, 1, &body);
    ek_buffer_done(&body);
    assert_ended(&notes[0], EK_OUTCOME_UNKNOWN);
    ck_assert_uint_eq(ek_session_pending(rig.session), 0);
}
END_TEST

START_TEST(closing_gives_up_with_what_is_certain)
{
    send_writes(1);
    ek_rig_put(&rig, "{a}", "x", &notes[1]);
    ek_session_destroy(&rig.session);
    assert_ended(&notes[0], EK_OUTCOME_UNKNOWN);
    assert_ended(&notes[1], EK_OUTCOME_UNAVAILABLE);
}
END_TEST

START_TEST(a_query_gets_its_answer)
{
    ek_session_query(rig.session, "stats");
    ek_rig_turn(&rig);
    ck_assert_str_eq(rig.last_query.what, "stats");
    struct ek_buffer message = {0};
    ek_encode_answer(&message, &(struct ek_answer){.id = rig.last_query.id, .text = ek_slice_text("{}")});
    enum ek_outcome outcome;
    struct ek_slice text;
    ck_assert(!ek_session_answer(rig.session, &outcome, &text));
    ek_rig_deliver(&rig, ek_buffer_slice(&message));
    ek_buffer_done(&message);
    ck_assert(ek_session_answer(rig.session, &outcome, &text));
    ck_assert_int_eq(outcome, EK_OUTCOME_OK);
    ck_assert_uint_eq(text.size, 2);
}
END_TEST

static Suite *suite(void)
{
    Suite *result = suite_create("session faults");
    TCase *faults = tcase_create("faults");
    tcase_add_checked_fixture(faults, set_up, tear_down);
    tcase_add_test(faults, busy_holds_the_shard_and_resends_in_order);
    tcase_add_test(faults, busy_that_repeats_backs_off);
    tcase_add_test(faults, a_job_refused_until_its_deadline_ends_busy_by_a_cancellation);
    tcase_add_test(faults, what_waits_behind_busy_ends_busy_without_a_number);
    tcase_add_test(faults, a_gap_resends_from_the_awaited_number_once);
    tcase_add_test(faults, gaps_that_repeat_back_off);
    tcase_add_test(faults, a_read_refused_as_a_gap_goes_again_behind_its_write);
    tcase_add_test(faults, silence_asks_and_the_same_connection_keeps_waiting);
    tcase_add_test(faults, of_each_shard_the_oldest_unanswered_write_goes_out_again_after_five_seconds);
    tcase_add_test(faults, another_connection_resends_everything_in_order_at_once);
    tcase_add_test(faults, while_the_broker_is_silent_new_writes_stay_certain);
    tcase_add_test(faults, another_cluster_ends_everything);
    tcase_add_test(faults, a_sent_write_waits_a_second_more_and_then_is_unknown_but_settled);
    tcase_add_test(faults, a_verdict_in_the_last_second_still_counts);
    tcase_add_test(faults, one_of_a_batch_may_stop_waiting_alone);
    tcase_add_test(faults, a_read_leaves_when_the_write_before_it_expires);
    tcase_add_test(faults, reads_end_at_their_deadline_and_are_dropped);
    tcase_add_test(faults, forgotten_takes_a_new_producer_for_what_was_sent_once);
    tcase_add_test(faults, writes_whose_answers_are_lost_go_out_again_when_a_read_behind_them_is_forgotten);
    tcase_add_test(faults, forgotten_for_what_counts_as_lost_already_is_no_certain_answer);
    tcase_add_test(faults, unknown_is_final_and_takes_a_new_producer_for_what_follows);
    tcase_add_test(faults, a_read_stays_behind_a_write_that_leaves_twice);
    tcase_add_test(faults, a_broker_without_producers_is_not_pestered);
    tcase_add_test(faults, a_number_that_was_refused_for_good_is_filled);
    tcase_add_test(faults, what_was_sent_twice_and_is_refused_for_good_ends_as_its_cancellation_says);
    tcase_add_test(faults, a_refusal_of_the_whole_batch_reaches_every_operation);
    tcase_add_test(faults, messages_that_break_the_protocol_are_counted_and_ignored);
    tcase_add_test(faults, closing_gives_up_with_what_is_certain);
    tcase_add_test(faults, a_query_gets_its_answer);
    suite_add_tcase(result, faults);
    return result;
}

int main(void)
{
    return ek_run_suite(suite());
}
