/* Sessions that have one connection: what comes for which of them. */
#include "common/codec.h"
#include "tests/support/run_suite.h"
#include "tests/support/session_rig.h"

#include <stdlib.h>
#include <string.h>

enum { SESSIONS = 3, FREE = 1 }; /* slot FREE is free */

static struct ek_rig rigs[SESSIONS];
static struct ek_session *sessions[SESSIONS];
static uint32_t heard[SESSIONS];
static struct ek_session_set set;

static void receive(struct ek_slice message)
{
    ek_session_set_receive(&set, message, rigs[0].now_us);
    for (uint32_t i = 0; i < set.heard_count; i++)
        (void)ek_session_drain(sessions[heard[i]]);
}

/* A session that was welcomed; HELLOs that the rig takes are answered through the set. */
static void open_session(uint32_t slot, uint64_t first)
{
    struct ek_buffer message = {0};
    struct ek_rig *rig = &rigs[slot];
    ek_rig_init(rig, &(struct ek_session_options){.ids = {slot, first}});
    rig->deaf = true;
    sessions[slot] = rig->session;
    ek_rig_turn(rig);
    rig->welcome.id = rig->last_hello.id;
    rig->welcome.producer = 1000 + slot;
    ek_encode_welcome(&message, &rig->welcome);
    receive(ek_buffer_slice(&message));
    ek_buffer_done(&message);
    ck_assert_ptr_nonnull(ek_session_welcome(sessions[slot]));
}

static void set_up(void)
{
    set = (struct ek_session_set){.sessions = sessions, .count = SESSIONS, .heard = heard};
    for (uint32_t slot = 0; slot < SESSIONS; slot++)
        if (slot != FREE)
            open_session(slot, 0);
}

static void tear_down(void)
{
    for (uint32_t slot = 0; slot < SESSIONS; slot++)
        if (sessions[slot])
            ek_rig_done(&rigs[slot]);
    memset(sessions, 0, sizeof sessions);
}

static void reply_to(const uint64_t *ids, size_t count)
{
    struct ek_envelope envelope = {0};
    for (size_t i = 0; i < count; i++)
        ek_encode_reply(&envelope, &(struct ek_reply){.id = ids[i], .position = 5});
    struct ek_owned message = ek_envelope_seal(&envelope, EK_MESSAGE_REPLIES, NULL);
    receive(message.message);
    free(message.memory);
}

static uint64_t put(uint32_t slot, const char *key, struct ek_rig_note *note)
{
    ek_rig_put(&rigs[slot], key, "v", note);
    ek_rig_turn(&rigs[slot]);
    return ek_rig_job(&rigs[slot], rigs[slot].job_count - 1)->job.id;
}

START_TEST(each_gets_the_replies_to_its_own_jobs)
{
    struct ek_rig_note notes[4] = {0};
    uint64_t a = put(0, "a", &notes[0]);
    uint64_t b = put(0, "b", &notes[1]);
    uint64_t c = put(2, "c", &notes[2]);
    uint64_t d = put(2, "d", &notes[3]);
    uint64_t nobody = a + ((uint64_t)FREE << EK_SLOT_SHIFT);
    uint64_t beyond = a + ((uint64_t)SESSIONS << EK_SLOT_SHIFT);
    reply_to((uint64_t[]){d, nobody, a, beyond}, 4);
    ck_assert_int_eq(notes[0].calls, 1);
    ck_assert_int_eq(notes[1].calls, 0);
    ck_assert_int_eq(notes[2].calls, 0);
    ck_assert_int_eq(notes[3].calls, 1);
    ck_assert_uint_eq(set.heard_count, 2);
    reply_to((uint64_t[]){b, b, c, c}, 4);
    ck_assert_int_eq(notes[1].calls, 1);
    ck_assert_int_eq(notes[2].calls, 1);
    ck_assert_uint_eq(set.heard_count, 2);
    ck_assert_uint_eq(ek_session_counters(sessions[0]).stray, 1);
    ck_assert_uint_eq(ek_session_counters(sessions[2]).stray, 1);
}
END_TEST

/* The place of a session that was closed with a job under way is given to another one, for which that job's reply is not meant. */
START_TEST(a_late_reply_is_not_taken_for_another_ones)
{
    struct ek_rig_note late = {0};
    struct ek_rig_note note = {0};
    uint64_t old = put(2, "a", &late);
    uint64_t first = ek_session_end_of_ids(sessions[2]);
    ek_rig_done(&rigs[2]);
    ck_assert_int_eq(late.last.outcome, EK_OUTCOME_UNKNOWN);
    open_session(2, first);
    uint64_t new = put(2, "a", &note);
    reply_to(&old, 1);
    ck_assert_int_eq(note.calls, 0);
    reply_to(&new, 1);
    ck_assert_int_eq(note.calls, 1);
    ck_assert_int_eq(note.last.outcome, EK_OUTCOME_OK);
}
END_TEST

START_TEST(an_answer_is_for_who_asked)
{
    enum ek_outcome outcome;
    struct ek_slice text;
    struct ek_buffer message = {0};
    ek_session_query(sessions[0], "stats");
    ek_session_query(sessions[2], "shards");
    ek_rig_turn(&rigs[0]);
    ek_rig_turn(&rigs[2]);
    ek_encode_answer(&message, &(struct ek_answer){.id = rigs[2].last_query.id, .text = ek_slice_text("{}")});
    receive(ek_buffer_slice(&message));
    ek_buffer_done(&message);
    ck_assert(!ek_session_answer(sessions[0], &outcome, &text));
    ck_assert(ek_session_answer(sessions[2], &outcome, &text));
}
END_TEST

START_TEST(an_error_concerns_all)
{
    struct ek_buffer message = {0};
    struct ek_refusal refusal = {.status = EK_WIRE_USAGE, .text = "no"};
    ek_encode_refusal(&message, EK_MESSAGE_ERROR, &refusal);
    receive(ek_buffer_slice(&message));
    ck_assert_str_eq(ek_session_refusal(sessions[0]), "no");
    ck_assert_str_eq(ek_session_refusal(sessions[2]), "no");
    receive(ek_slice_of(ek_buffer_slice(&message).data, 1));
    ck_assert_uint_eq(ek_session_counters(sessions[0]).unreadable, 1);
    ck_assert_uint_eq(ek_session_counters(sessions[2]).unreadable, 1);
    ek_buffer_done(&message);
}
END_TEST

static Suite *suite(void)
{
    Suite *result = suite_create("session set");
    TCase *shared = tcase_create("shared");
    tcase_add_checked_fixture(shared, set_up, tear_down);
    tcase_add_test(shared, each_gets_the_replies_to_its_own_jobs);
    tcase_add_test(shared, a_late_reply_is_not_taken_for_another_ones);
    tcase_add_test(shared, an_answer_is_for_who_asked);
    tcase_add_test(shared, an_error_concerns_all);
    suite_add_tcase(result, shared);
    return result;
}

int main(void)
{
    return ek_run_suite(suite());
}
