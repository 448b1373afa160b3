/* How much of what is pending a session has in flight. */
#include "common/codec.h"
#include "tests/support/run_suite.h"
#include "tests/support/session_rig.h"

#include <stdio.h>
#include <string.h>

#define MS UINT64_C(1000)

enum {
    ALWAYS = 8192,    /* operations that may always be in flight */
    MANY = 20000,     /* of which half may be, */
    JOB_AT_MOST = 64, /* within a job, which is never parted */
};

static struct ek_rig rig;
static struct ek_rig_note note; /* of all submissions */

static void set_up(void)
{
    memset(&note, 0, sizeof note);
    ek_rig_init(&rig, &(struct ek_session_options){.timeout_ms = 60000});
    ek_rig_turn(&rig);
    ck_assert_uint_eq(rig.hellos, 1);
}

static void tear_down(void)
{
    ek_rig_done(&rig);
}

static void put(int count)
{
    for (int i = 0; i < count; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        ek_rig_put(&rig, key, "x", &note);
    }
    ek_rig_turn(&rig);
}

/* Operations in jobs from `from` on. */
static uint32_t operations(size_t from)
{
    uint32_t count = 0;
    for (size_t job = from; job < rig.job_count; job++)
        count += ek_rig_job(&rig, job)->job.count;
    return count;
}

static void assert_within_a_job(uint32_t count, uint32_t least)
{
    ck_assert_uint_ge(count, least);
    ck_assert_uint_lt(count, least + JOB_AT_MOST);
}

static void reply_ok(size_t job)
{
    ek_rig_reply(&rig, ek_rig_job(&rig, job)->job.id, EK_WIRE_OK, job + 1, NULL);
}

/* Answers all, also what leaves meanwhile. */
static void reply_to_all(void)
{
    for (size_t job = 0; job < rig.job_count; job++)
        reply_ok(job);
    ck_assert_uint_eq(ek_session_pending(rig.session), 0);
    ck_assert_int_eq(note.last.outcome, EK_OUTCOME_OK);
    ek_rig_clear_jobs(&rig);
}

START_TEST(few_operations_leave_at_once)
{
    put(ALWAYS - 1);
    ck_assert_uint_eq(operations(0), ALWAYS - 1);
}
END_TEST

START_TEST(of_a_few_more_some_leave_at_once)
{
    put(ALWAYS + ALWAYS / 2);
    assert_within_a_job(operations(0), ALWAYS);
}
END_TEST

START_TEST(half_of_many_leaves_and_each_answer_lets_more_go)
{
    put(MANY);
    assert_within_a_job(operations(0), MANY / 2);
    size_t first = rig.job_count;
    uint32_t answered = 0;
    for (size_t job = first; job-- > first / 2;) { /* the latest first; the others then in their order */
        answered += ek_rig_job(&rig, job)->job.count;
        reply_ok(job);
        uint32_t half = (MANY - answered) / 2;
        assert_within_a_job(operations(0) - answered, half > ALWAYS ? half : ALWAYS);
    }
    ck_assert_uint_gt(rig.job_count, first);
    reply_to_all();
    ck_assert_int_eq(note.calls, MANY);
}
END_TEST

START_TEST(what_goes_unanswered_holds_up_the_others_for_a_quarter_of_a_second)
{
    put(MANY);
    size_t first = rig.job_count;
    ck_assert_uint_eq(ek_session_due_us(rig.session), rig.now_us + 250 * MS);
    ek_rig_advance(&rig, 249 * MS);
    ck_assert_uint_eq(rig.job_count, first);
    ek_rig_advance(&rig, 1 * MS);
    ck_assert_uint_eq(operations(0), MANY);
}
END_TEST

/* What leaves after `later_us` is answered before what left first. */
static void overtake(uint64_t later_us)
{
    put(MANY);
    size_t later = rig.job_count;
    ek_rig_advance(&rig, later_us);
    reply_ok(0);
    ck_assert_uint_gt(rig.job_count, later);
    reply_ok(later);
}

START_TEST(what_later_jobs_have_overtaken_holds_up_nobody)
{
    overtake(100 * MS);
    ck_assert_uint_eq(operations(0), MANY);
}
END_TEST

START_TEST(what_was_overtaken_by_a_little_counts)
{
    overtake(99 * MS);
    ck_assert_uint_lt(operations(0), MANY / 2 + 4 * JOB_AT_MOST);
}
END_TEST

START_TEST(what_was_late_does_not_count_when_it_is_answered)
{
    put(MANY);
    ek_rig_advance(&rig, 250 * MS);
    reply_to_all();
    for (int round = 0; round < 2; round++) {
        put(MANY);
        assert_within_a_job(operations(0), MANY / 2);
        reply_to_all();
    }
}
END_TEST

START_TEST(what_is_sent_again_is_half_of_all_as_well)
{
    put(MANY);
    ek_rig_clear_jobs(&rig);
    rig.welcome.generation = 2; /* the broker has begun anew, and knows of nothing */
    (void)ek_session_ask(rig.session);
    ek_rig_turn(&rig);
    assert_within_a_job(operations(0), MANY / 2);
    reply_to_all();
    ck_assert_int_eq(note.calls, MANY);
}
END_TEST

START_TEST(a_transaction_counts_as_one_submission)
{
    enum { TRANSACTIONS = 2000, OPERATIONS = 20 };
    for (int i = 0; i < TRANSACTIONS; i++) {
        struct ek_request puts[OPERATIONS];
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        for (int j = 0; j < OPERATIONS; j++)
            puts[j] = (struct ek_request){.kind = EK_PUT, .key = key, .key_size = strlen(key), .value = "x", .value_size = 1};
        ck_assert_int_eq(ek_session_submit_transaction(rig.session, puts, OPERATIONS, 0, ek_rig_take_note, &note, rig.now_us),
                         EK_OUTCOME_OK);
    }
    ek_rig_turn(&rig);
    /* More than that many, four of a shard at first, if those four are there. */
    ck_assert_uint_gt(operations(0), 2 * ALWAYS);
}
END_TEST

static Suite *suite(void)
{
    Suite *result = suite_create("session flight");
    TCase *flight = tcase_create("flight");
    tcase_add_checked_fixture(flight, set_up, tear_down);
    tcase_add_test(flight, few_operations_leave_at_once);
    tcase_add_test(flight, of_a_few_more_some_leave_at_once);
    tcase_add_test(flight, half_of_many_leaves_and_each_answer_lets_more_go);
    tcase_add_test(flight, what_goes_unanswered_holds_up_the_others_for_a_quarter_of_a_second);
    tcase_add_test(flight, what_later_jobs_have_overtaken_holds_up_nobody);
    tcase_add_test(flight, what_was_overtaken_by_a_little_counts);
    tcase_add_test(flight, what_was_late_does_not_count_when_it_is_answered);
    tcase_add_test(flight, what_is_sent_again_is_half_of_all_as_well);
    tcase_add_test(flight, a_transaction_counts_as_one_submission);
    suite_add_tcase(result, flight);
    return result;
}

int main(void)
{
    return ek_run_suite(suite());
}
