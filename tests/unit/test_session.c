#include "client/session.h"
#include "common/codec.h"
#include "common/hash.h"
#include "common/operations.h"
#include "tests/support/run_suite.h"
#include "tests/support/session_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS UINT64_C(1000)
#define S  UINT64_C(1000000)

static struct ek_rig rig;
static struct ek_rig_note notes[4096];

static void set_up(void)
{
    ek_rig_init(&rig, NULL);
    memset(notes, 0, sizeof notes);
}

/* As set_up, with the WELCOME behind it. */
static void set_up_welcomed(void)
{
    set_up();
    ek_rig_turn(&rig);
    ck_assert_uint_eq(rig.hellos, 1);
}

static void tear_down(void)
{
    ek_rig_done(&rig);
}

static uint64_t id_of(size_t job)
{
    return ek_rig_job(&rig, job)->job.id;
}

static void reply_ok(size_t job, uint64_t position)
{
    ek_rig_reply(&rig, id_of(job), EK_WIRE_OK, position, NULL);
}

static void assert_ended(const struct ek_rig_note *note, enum ek_outcome outcome)
{
    ck_assert_int_eq(note->calls, 1);
    ck_assert_msg(note->last.outcome == outcome, "%s instead of %s", ek_outcome_name(note->last.outcome), ek_outcome_name(outcome));
}

/* ---- before the WELCOME ---- */

START_TEST(nothing_but_hellos_leaves_before_a_welcome)
{
    rig.deaf = true;
    ek_rig_put(&rig, "a", "1", &notes[0]);
    ek_rig_advance(&rig, 4 * S);
    ck_assert_uint_eq(rig.job_count, 0);
    ck_assert_uint_ge(rig.hellos, 3);
    ck_assert_uint_le(rig.hellos, 8);
    ck_assert(rig.last_hello.wants_producer);
}
END_TEST

START_TEST(without_a_broker_operations_end_unavailable_at_their_deadline)
{
    rig.deaf = true;
    ek_rig_submit(&rig, EK_GET, "a", 300, &notes[0]);
    ek_rig_submit(&rig, EK_DELETE, "b", 3000, &notes[1]);
    ek_rig_advance(&rig, 290 * MS);
    ck_assert_int_eq(notes[0].calls, 0);
    ek_rig_advance(&rig, 20 * MS);
    assert_ended(&notes[0], EK_OUTCOME_UNAVAILABLE);
    ck_assert_uint_eq(ek_session_pending(rig.session), 1);
    rig.deaf = false;
    ek_rig_advance(&rig, 2 * S);
    ck_assert_uint_eq(rig.job_count, 1);
    ck_assert_int_eq(ek_rig_operation(&ek_rig_job(&rig, 0)->job, 0).code, EK_OPERATION_DELETE);
    ck_assert_int_eq(ek_rig_job(&rig, 0)->job.kind, EK_JOB_DELETE);
}
END_TEST

START_TEST(early_operations_leave_in_order_once_welcomed)
{
    ek_rig_put(&rig, "{a}1", "x", &notes[0]);
    ek_rig_put(&rig, "{a}2", "x", &notes[1]);
    ek_rig_submit(&rig, EK_GET, "{a}1", 0, &notes[2]);
    ek_rig_turn(&rig);
    ck_assert_uint_eq(rig.job_count, 2);
    const struct ek_job *job = &ek_rig_job(&rig, 0)->job;
    ck_assert_int_eq(job->kind, EK_JOB_WRITE);
    ck_assert_uint_eq(job->count, 2);
    ck_assert_uint_eq(job->route.number, 1);
    ck_assert_uint_eq(job->route.lowest, 1);
    ck_assert_uint_eq(job->route.producer, 1000);
    ck_assert_uint_eq(job->route.shard, ek_shard_of(ek_hash_prefix(ek_slice_text("{a}")), 512));
    ck_assert(!job->route.repeated);
    ck_assert_int_eq(ek_rig_job(&rig, 1)->job.kind, EK_JOB_READ);
    ck_assert_uint_eq(ek_rig_job(&rig, 1)->job.route.number, 1);
}
END_TEST

/* ---- grouping and order ---- */

START_TEST(a_single_operation_leaves_at_once_and_others_grow_behind_it)
{
    ek_rig_put(&rig, "{a}0", "x", &notes[0]);
    ek_rig_turn(&rig);
    ck_assert_uint_eq(rig.job_count, 1);
    for (int i = 1; i <= 30; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "{a}%d", i);
        ek_rig_put(&rig, key, "x", &notes[i]);
        ek_rig_turn(&rig);
    }
    ck_assert_uint_eq(rig.job_count, 1);
    reply_ok(0, 100);
    assert_ended(&notes[0], EK_OUTCOME_OK);
    ck_assert_uint_eq(notes[0].last.version, 100);
    ck_assert_uint_eq(ek_rig_job(&rig, 1)->job.count, 30);
    ck_assert_uint_eq(ek_rig_job(&rig, 1)->job.route.number, 2);
    ck_assert_uint_eq(ek_rig_job(&rig, 1)->job.route.lowest, 2);
    reply_ok(1, 101);
    for (int i = 1; i <= 30; i++) {
        assert_ended(&notes[i], EK_OUTCOME_OK);
        ck_assert_uint_eq(notes[i].last.version, 100 + (uint64_t)i);
    }
}
END_TEST

START_TEST(a_large_batch_does_not_wait_and_at_most_64_numbers_are_unsettled)
{
    char value[20000];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = 0;
    for (size_t i = 0; i < 60; i++) { /* what is carried out opens the window */
        ek_rig_put(&rig, "{a}", "x", &notes[i]);
        ek_rig_turn(&rig);
        reply_ok(i, i + 1);
    }
    ek_rig_clear_jobs(&rig);
    for (int i = 60; i < 140; i++) {
        ek_rig_put(&rig, "{a}", value, &notes[i]);
        ek_rig_turn(&rig);
    }
    ck_assert_uint_eq(rig.job_count, 64);
    ck_assert_uint_eq(ek_rig_job(&rig, 63)->job.route.number, 124);
    reply_ok(1, 62);
    ck_assert_uint_eq(rig.job_count, 64);
    reply_ok(0, 61);
    ck_assert_uint_eq(rig.job_count, 66);
    ck_assert_uint_eq(ek_rig_job(&rig, 65)->job.route.lowest, 63);
}
END_TEST

START_TEST(jobs_of_many_shards_share_an_envelope)
{
    for (int i = 0; i < 2000; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "key-%d", i);
        ek_rig_put(&rig, key, "x", &notes[i]);
    }
    ek_rig_turn(&rig);
    ck_assert_uint_eq(rig.envelopes, 1);
    ck_assert_uint_gt(rig.job_count, 400);
    ck_assert_uint_le(rig.job_count, 512);
}
END_TEST

START_TEST(a_read_follows_the_writes_before_it_and_names_the_last_unanswered)
{
    ek_rig_put(&rig, "{a}1", "x", &notes[0]);
    ek_rig_turn(&rig);
    ek_rig_put(&rig, "{a}2", "x", &notes[1]);
    ek_rig_submit(&rig, EK_GET, "{a}2", 0, &notes[2]);
    ek_rig_turn(&rig);
    ck_assert_uint_eq(rig.job_count, 1);
    reply_ok(0, 1);
    ck_assert_uint_eq(rig.job_count, 3);
    ck_assert_uint_eq(ek_rig_job(&rig, 1)->job.route.number, 2);
    const struct ek_job *read = &ek_rig_job(&rig, 2)->job;
    ck_assert_int_eq(read->kind, EK_JOB_READ);
    ck_assert_uint_eq(read->route.number, 2);
    ck_assert_uint_eq(read->route.producer, 1000);
    reply_ok(1, 2);
    struct ek_buffer body = {0};
    ek_buffer_append(&body, "\x91\x94\x00\xa1x\x05\xc0", 7);
    ek_rig_reply(&rig, read->id, EK_WIRE_OK, 0, &body);
    ek_buffer_done(&body);
    assert_ended(&notes[2], EK_OUTCOME_OK);
    ck_assert_str_eq(notes[2].value, "x");
    ck_assert_uint_eq(notes[2].last.version, 5);
    ek_rig_submit(&rig, EK_EXISTS, "{a}2", 0, &notes[3]);
    ek_rig_turn(&rig);
    ck_assert_uint_eq(ek_rig_job(&rig, 3)->job.route.number, 0);
    ck_assert_uint_eq(ek_rig_job(&rig, 3)->job.route.producer, 0);
}
END_TEST

START_TEST(a_transaction_keeps_its_place_among_the_writes)
{
    const struct ek_request both[] = {{.kind = EK_PUT, .key = "{a}1", .key_size = 4, .value = "x", .value_size = 1},
                                      {.kind = EK_INCREMENT, .key = "{a}n", .key_size = 4, .by = 5}};
    ek_rig_put(&rig, "{a}0", "x", &notes[0]);
    ek_rig_turn(&rig);
    ek_rig_put(&rig, "{a}1", "x", &notes[1]);
    ck_assert_int_eq(ek_session_submit_transaction(rig.session, both, 2, 0, ek_rig_take_note, &notes[2], rig.now_us),
                     EK_OUTCOME_OK);
    ek_rig_put(&rig, "{a}2", "x", &notes[3]);
    ek_rig_turn(&rig);
    /* What can no longer grow leaves; what can waits for the first. */
    ck_assert_uint_eq(rig.job_count, 3);
    ck_assert_int_eq(ek_rig_job(&rig, 1)->job.kind, EK_JOB_WRITE);
    ck_assert_int_eq(ek_rig_job(&rig, 2)->job.kind, EK_JOB_TRANSACTION);
    ck_assert_uint_eq(ek_rig_job(&rig, 2)->job.route.number, 3);
    struct ek_buffer body = {0};
    ek_buffer_append(&body, "\x92\x00\x92\x00\x07", 5);
    ek_rig_reply(&rig, id_of(2), EK_WIRE_OK, 50, &body);
    assert_ended(&notes[2], EK_OUTCOME_OK);
    ck_assert_uint_eq(notes[2].count, 2);
    ek_buffer_clear(&body);
    ck_assert_int_eq(ek_session_submit_transaction(rig.session, both, 2, 0, ek_rig_take_note, &notes[4], rig.now_us),
                     EK_OUTCOME_OK);
    ek_rig_turn(&rig);
    ek_encode_refused(&body, 1, EK_WIRE_FAILED, "not a number");
    ek_rig_reply(&rig, id_of(rig.job_count - 1), EK_WIRE_FAILED, 60, &body);
    ek_buffer_done(&body);
    assert_ended(&notes[4], EK_OUTCOME_FAILED);
    ck_assert_uint_eq(notes[4].last.failed_index, 1);
    ck_assert_str_eq(notes[4].text, "not a number");
    ck_assert_uint_eq(notes[4].count, 1);
}
END_TEST

/* Small ones are gathered before they are placed. */
START_TEST(small_and_large_operations_leave_in_the_order_of_their_submission)
{
    static char value[5000];
    memset(value, 'x', sizeof value - 1);
    ek_rig_put(&rig, "{a}first", "x", &notes[0]);
    ek_rig_turn(&rig);
    for (int i = 0; i < 50; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "{a}%02d", i);
        ek_rig_put(&rig, key, i % 7 == 3 ? value : "x", &notes[1 + i]);
    }
    ek_rig_turn(&rig);
    reply_ok(0, 100);
    int seen = 0;
    for (size_t job = 1; job < rig.job_count; job++)
        for (uint32_t i = 0; i < ek_rig_job(&rig, job)->job.count; i++, seen++) {
            struct ek_operation operation = ek_rig_operation(&ek_rig_job(&rig, job)->job, i);
            char key[16];
            (void)snprintf(key, sizeof key, "{a}%02d", seen);
            ck_assert(ek_slice_equal(operation.key, ek_slice_of(key, strlen(key))));
        }
    ck_assert_int_eq(seen, 50);
}
END_TEST

START_TEST(a_deadline_counts_from_the_submission_on)
{
    ek_rig_put(&rig, "{a}0", "x", &notes[0]);
    ek_rig_turn(&rig);
    ek_rig_submit(&rig, EK_DELETE, "{a}1", 50, &notes[1]);
    ck_assert_uint_le(ek_session_due_us(rig.session), rig.now_us + 60 * MS); /* timers are a little late */
}
END_TEST

START_TEST(a_scan_travels_alone_and_brings_its_cursor)
{
    ek_rig_submit(&rig, EK_GET, "{a}1", 0, &notes[0]);
    ek_rig_submit(&rig, EK_SCAN, "{a}", 0, &notes[1]);
    ek_rig_turn(&rig);
    ck_assert_uint_eq(rig.job_count, 2);
    ck_assert_uint_eq(ek_rig_job(&rig, 1)->job.count, 1);
    ck_assert_uint_eq(ek_rig_operation(&ek_rig_job(&rig, 1)->job, 0).limit, EK_SCAN_ENTRIES_MAX);
    struct ek_buffer body = {0};
    ek_buffer_append(&body, "\x91", 1);
    ek_encode_scan_head(&body, 1);
    ek_encode_entry(&body, &(struct ek_entry){.key = ek_slice_text("{a}1"), .version = 9});
    ek_encode_cursor(&body, ek_slice_text("..{a}1"));
    ek_rig_reply(&rig, id_of(1), EK_WIRE_OK, 0, &body);
    ek_buffer_done(&body);
    assert_ended(&notes[1], EK_OUTCOME_OK);
    ck_assert_uint_eq(notes[1].found_version, 9);
    ck_assert(notes[1].has_cursor);
}
END_TEST

START_TEST(a_replay_travels_alone_among_the_writes)
{
    static const uint8_t id[EK_DEAD_ID_SIZE] = {0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, 7};
    const struct ek_request replay = {.kind = EK_DEAD_REPLAY, .key = id, .key_size = sizeof id};
    const struct ek_request drop = {.kind = EK_DEAD_DROP, .key = id, .key_size = sizeof id};
    const struct ek_request *const order[] = {&replay, &drop, &replay};
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(ek_session_submit(rig.session, order[i], 0, ek_rig_take_note, &notes[i], rig.now_us), EK_OUTCOME_OK);
    char key[16] = "k";
    for (int i = 0; ek_shard_of(ek_hash_prefix(ek_slice_text(key)), 512) != 0x1234 * 512 / 65536; i++)
        (void)snprintf(key, sizeof key, "k%d", i);
    ek_rig_put(&rig, key, "v", &notes[3]); /* joins none of them */
    ek_rig_turn(&rig);
    struct ek_buffer applied = {0};
    struct ek_buffer failed = {0};
    ek_buffer_append(&applied, "\x91\x92\x00\x02", 4);
    ek_buffer_append(&failed, "\x91\x92\x0b\xa3why", 7);
    for (size_t i = 0; i < 3; i++) {
        const struct ek_job *job = &ek_rig_job(&rig, i)->job;
        ck_assert_uint_eq(job->count, 1);
        ck_assert_uint_eq(job->route.number, i + 1);
        ck_assert_uint_eq(job->route.shard, 0x1234 * 512 / 65536);
        ck_assert_int_eq(job->kind, EK_JOB_WRITE);
        ek_rig_reply(&rig, id_of(i), EK_WIRE_OK, 8 + i, i == 0 ? &applied : i == 2 ? &failed : NULL);
    }
    assert_ended(&notes[0], EK_OUTCOME_OK);
    ck_assert_int_eq(notes[0].last.number, 2);
    assert_ended(&notes[1], EK_OUTCOME_OK);
    assert_ended(&notes[2], EK_OUTCOME_FAILED);
    ck_assert_str_eq(notes[2].text, "why");
    ek_buffer_done(&applied);
    ek_buffer_done(&failed);
}
END_TEST

struct listed {
    size_t count;
    struct ek_dead_letter letter;
    uint8_t id[EK_DEAD_ID_SIZE];
    size_t cursor_size;
};

static void take_list(void *context, const struct ek_completion *completions, size_t count)
{
    struct listed *listed = context;
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(completions->outcome, EK_OUTCOME_OK);
    listed->count = completions->dead_count;
    listed->letter = completions->dead[0];
    memcpy(listed->id, completions->dead[0].id, sizeof listed->id);
    listed->cursor_size = completions->cursor_size;
}

START_TEST(a_list_of_dead_letters_brings_its_cursor)
{
    static const uint8_t page[] = {0x91, 0x93, 0x00, 0x91, 0x97, 0xc4, 0x0a, 0x12, 0x34, 0,   0,    0,    0,    0,    0,   0,
                                   7,    0x63, 0x05, 0x02, 0x03, 0xc4, 0x03, 'w',  'h',  'y', 0xc0, 0xc4, 0x02, 0x12, 0x80};
    const struct ek_request list = {.kind = EK_DEAD_LIST, .cursor = "\x12\x34", .cursor_size = 2, .limit = 5};
    struct listed listed = {0};
    ck_assert_int_eq(ek_session_submit(rig.session, &list, 0, take_list, &listed, rig.now_us), EK_OUTCOME_OK);
    ek_rig_turn(&rig);
    struct ek_operation operation = ek_rig_operation(&ek_rig_job(&rig, 0)->job, 0);
    ck_assert_int_eq(operation.code, EK_OPERATION_DEAD_LIST);
    ck_assert_uint_eq(operation.limit, 5);
    struct ek_buffer body = {0};
    ek_buffer_append(&body, page, sizeof page);
    ek_rig_reply(&rig, id_of(0), EK_WIRE_OK, 0, &body);
    ek_buffer_done(&body);
    ck_assert_uint_eq(listed.count, 1);
    ck_assert_uint_eq(listed.letter.position, 7);
    ck_assert_uint_eq(listed.letter.shard, 0x1234 * 512 / 65536);
    ck_assert_uint_eq(listed.letter.time_unix_ms, 0x63);
    ck_assert_uint_eq(listed.letter.producer, 5);
    ck_assert(listed.letter.transaction);
    ck_assert_uint_eq(listed.letter.operations, 3);
    ck_assert_ptr_null(listed.letter.job);
    ck_assert_uint_eq(listed.cursor_size, 2);
}
END_TEST

START_TEST(what_did_not_fit_is_asked_for_alone)
{
    for (int i = 0; i < 3; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "{a}%d", i);
        ek_rig_submit(&rig, EK_GET, key, 0, &notes[i]);
    }
    ek_rig_turn(&rig);
    struct ek_buffer body = {0};
    ek_buffer_append(&body, "\x93\x01\x10\x01", 4);
    ek_rig_reply(&rig, id_of(0), EK_WIRE_OK, 0, &body);
    ek_buffer_done(&body);
    assert_ended(&notes[0], EK_OUTCOME_NOT_FOUND);
    assert_ended(&notes[2], EK_OUTCOME_NOT_FOUND);
    ck_assert_int_eq(notes[1].calls, 0);
    const struct ek_job *alone = &ek_rig_job(&rig, 1)->job;
    ck_assert_uint_eq(alone->count, 1);
    struct ek_operation operation = ek_rig_operation(alone, 0);
    ck_assert_mem_eq(operation.key.data, "{a}1", 4);
}
END_TEST

START_TEST(replies_never_exceed_four_kib_for_writes)
{
    for (int i = 0; i < 200; i++)
        ek_rig_submit(&rig, EK_INCREMENT, "{a}n", 0, &notes[i]);
    ek_rig_turn(&rig);
    for (size_t i = 0; i < rig.job_count; i++)
        ck_assert_uint_le(ek_rig_job(&rig, i)->job.count, (EK_WRITE_REPLY_BYTES_MAX - 3) / 48);
    ck_assert_uint_ge(rig.job_count, 2);
}
END_TEST

START_TEST(requests_that_make_no_sense_are_refused_at_once)
{
    static const char large[EK_KEY_BYTES_MAX + 1];
    const struct ek_request bad[] = {{.kind = EK_PUT, .key = "", .key_size = 0},
                                     {.kind = EK_PUT, .key = "k", .key_size = 1, .put = {.if_absent = true, .if_version = 1}},
                                     {.kind = (enum ek_operation_kind)10, .key = "k", .key_size = 1},
                                     {.kind = EK_DEAD_DROP, .key = "k", .key_size = 1},
                                     {.kind = EK_DEAD_REPLAY, .key = "12345678901", .key_size = 11},
                                     {.kind = EK_DEAD_LIST, .cursor = "abc", .cursor_size = 3},
                                     {.kind = EK_GET, .key = large, .key_size = sizeof large}};
    for (size_t i = 0; i < 7; i++)
        ck_assert_int_eq(ek_session_submit(rig.session, &bad[i], 0, ek_rig_take_note, &notes[0], rig.now_us),
                         i < 6 ? EK_OUTCOME_USAGE : EK_OUTCOME_TOO_LARGE);
    const struct ek_request apart[] = {{.kind = EK_DELETE, .key = "{a}", .key_size = 3},
                                       {.kind = EK_DELETE, .key = "{b}", .key_size = 3}};
    const struct ek_request read = {.kind = EK_GET, .key = "{a}", .key_size = 3};
    ck_assert_int_eq(ek_session_submit_transaction(rig.session, apart, 2, 0, ek_rig_take_note, &notes[0], rig.now_us),
                     EK_OUTCOME_USAGE);
    ck_assert_int_eq(ek_session_submit_transaction(rig.session, &read, 1, 0, ek_rig_take_note, &notes[0], rig.now_us),
                     EK_OUTCOME_USAGE);
    struct ek_request many[86];
    for (size_t i = 0; i < 86; i++)
        many[i] = (struct ek_request){.kind = EK_INCREMENT, .key = "{a}", .key_size = 3};
    ck_assert_int_eq(ek_session_submit_transaction(rig.session, many, 86, 0, ek_rig_take_note, &notes[0], rig.now_us),
                     EK_OUTCOME_TOO_LARGE);
    ck_assert_int_eq(ek_session_submit_transaction(rig.session, many, 85, 0, ek_rig_take_note, &notes[0], rig.now_us),
                     EK_OUTCOME_OK);
    ck_assert_int_eq(notes[0].calls, 0);
}
END_TEST

START_TEST(memory_is_bounded_and_room_comes_back)
{
    ek_rig_done(&rig);
    ek_rig_init(&rig, &(struct ek_session_options){.pending_bytes_max = 64 * 1024});
    const struct ek_request put = {.kind = EK_PUT, .key = "k", .key_size = 1, .value = notes, .value_size = 1000};
    int taken = 0;
    while (ek_session_submit(rig.session, &put, 0, ek_rig_take_note, &notes[taken], rig.now_us) == EK_OUTCOME_OK)
        taken++;
    ck_assert_int_gt(taken, 40);
    ck_assert_int_lt(taken, 64);
    ek_rig_turn(&rig);
    for (size_t job = 0; job < rig.job_count; job++)
        reply_ok(job, 1);
    ck_assert_uint_eq(ek_session_pending(rig.session), 0);
    const struct ek_request huge = {.kind = EK_PUT, .key = "k", .key_size = 1, .value = notes, .value_size = 100 * 1024};
    ck_assert_int_eq(ek_session_submit(rig.session, &huge, 0, ek_rig_take_note, &notes[0], rig.now_us), EK_OUTCOME_OK);
}
END_TEST

static int taken_until_full(void)
{
    const struct ek_request put = {.kind = EK_PUT, .key = "k", .key_size = 1, .value = notes, .value_size = 900};
    int taken = 0;
    while (ek_session_submit(rig.session, &put, 0, ek_rig_take_note, &notes[taken], rig.now_us) == EK_OUTCOME_OK)
        taken++;
    return taken;
}

START_TEST(what_was_submitted_last_counts_like_everything_else)
{
    const struct ek_session_options options = {.pending_bytes_max = 8 * 1024};
    ek_rig_done(&rig);
    ek_rig_init(&rig, &options);
    int before_the_welcome = taken_until_full();
    ek_rig_done(&rig);
    ek_rig_init(&rig, &options);
    ek_rig_turn(&rig);
    ck_assert_int_gt(before_the_welcome, 4);
    ck_assert_int_eq(taken_until_full(), before_the_welcome);
}
END_TEST

START_TEST(a_lone_job_lingers_for_company)
{
    ek_rig_done(&rig);
    ek_rig_init(&rig, &(struct ek_session_options){.linger_us = 400});
    ek_rig_turn(&rig);
    ek_rig_put(&rig, "{a}1", "x", &notes[0]);
    ek_rig_turn(&rig);
    ck_assert_uint_eq(rig.job_count, 0);
    ck_assert_uint_eq(ek_session_due_us(rig.session), rig.now_us + 400);
    ek_rig_put(&rig, "{a}2", "x", &notes[1]);
    ek_rig_advance(&rig, 400);
    ck_assert_uint_eq(ek_rig_job(&rig, 0)->job.count, 2);
}
END_TEST

START_TEST(nothing_lingers_behind_64_kib)
{
    const struct ek_request put = {.kind = EK_PUT, .key = "{a}k", .key_size = 4, .value = notes, .value_size = 900};
    ek_rig_done(&rig);
    ek_rig_init(&rig, &(struct ek_session_options){.linger_us = 60 * S});
    ek_rig_turn(&rig);
    for (int i = 0; i < 71; i++)
        ck_assert_int_eq(ek_session_submit(rig.session, &put, 0, ek_rig_take_note, &notes[i], rig.now_us), EK_OUTCOME_OK);
    ek_rig_turn(&rig);
    ck_assert_uint_eq(rig.job_count, 0);
    for (int i = 71; i < 75; i++)
        ck_assert_int_eq(ek_session_submit(rig.session, &put, 0, ek_rig_take_note, &notes[i], rig.now_us), EK_OUTCOME_OK);
    ek_rig_turn(&rig);
    ck_assert_uint_gt(rig.job_count, 0);
}
END_TEST

/* ---- the end ---- */

START_TEST(a_farewell_names_the_producers_that_wrote)
{
    struct ek_owned farewell;
    ek_rig_submit(&rig, EK_GET, "{b}", 0, &notes[0]);
    ek_rig_turn(&rig);
    ck_assert(!ek_session_farewell(rig.session, rig.now_us, &farewell));
    ek_rig_put(&rig, "{a}1", "x", &notes[1]);
    ek_rig_turn(&rig);
    ck_assert(ek_session_farewell(rig.session, rig.now_us, &farewell));
    enum ek_message_type type;
    struct ek_reader fields;
    struct ek_closed closed;
    uint32_t count;
    ck_assert_int_eq(ek_decode_type(farewell.message, &type, &fields), EK_OK);
    ck_assert_int_eq(type, EK_MESSAGE_CLOSE);
    ck_assert_int_eq(ek_decode_count(&fields, EK_SHARDS_MAX, &count), EK_OK);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(ek_decode_closed(&fields, &closed), EK_OK);
    ck_assert_uint_eq(closed.shard, ek_rig_job(&rig, 1)->job.route.shard);
    ck_assert_uint_eq(closed.producer, ek_rig_job(&rig, 1)->job.route.producer);
    ck_assert_int_eq(ek_decode_end(&fields), EK_OK);
    free(farewell.memory);
}
END_TEST

START_TEST(what_was_submitted_last_ends_with_the_session)
{
    ek_rig_put(&rig, "{a}1", "x", &notes[0]);
    ek_session_destroy(&rig.session);
    assert_ended(&notes[0], EK_OUTCOME_UNAVAILABLE);
}
END_TEST

START_TEST(nobody_takes_leave_of_a_broker_that_is_silent)
{
    struct ek_owned farewell;
    ek_rig_put(&rig, "{a}1", "x", &notes[0]);
    ek_rig_turn(&rig);
    rig.deaf = true;
    ek_rig_advance(&rig, 3 * S);
    ck_assert(!ek_session_farewell(rig.session, rig.now_us, &farewell));
}
END_TEST

static Suite *suite(void)
{
    Suite *result = suite_create("session");
    TCase *early = tcase_create("before the welcome");
    tcase_add_checked_fixture(early, set_up, tear_down);
    tcase_add_test(early, nothing_but_hellos_leaves_before_a_welcome);
    tcase_add_test(early, without_a_broker_operations_end_unavailable_at_their_deadline);
    tcase_add_test(early, early_operations_leave_in_order_once_welcomed);
    suite_add_tcase(result, early);
    TCase *order = tcase_create("grouping and order");
    tcase_add_checked_fixture(order, set_up_welcomed, tear_down);
    tcase_add_test(order, a_single_operation_leaves_at_once_and_others_grow_behind_it);
    tcase_add_test(order, a_large_batch_does_not_wait_and_at_most_64_numbers_are_unsettled);
    tcase_add_test(order, jobs_of_many_shards_share_an_envelope);
    tcase_add_test(order, a_read_follows_the_writes_before_it_and_names_the_last_unanswered);
    tcase_add_test(order, a_transaction_keeps_its_place_among_the_writes);
    tcase_add_test(order, small_and_large_operations_leave_in_the_order_of_their_submission);
    tcase_add_test(order, a_deadline_counts_from_the_submission_on);
    tcase_add_test(order, a_scan_travels_alone_and_brings_its_cursor);
    tcase_add_test(order, a_replay_travels_alone_among_the_writes);
    tcase_add_test(order, a_list_of_dead_letters_brings_its_cursor);
    tcase_add_test(order, what_did_not_fit_is_asked_for_alone);
    tcase_add_test(order, replies_never_exceed_four_kib_for_writes);
    tcase_add_test(order, requests_that_make_no_sense_are_refused_at_once);
    tcase_add_test(order, memory_is_bounded_and_room_comes_back);
    tcase_add_test(order, what_was_submitted_last_counts_like_everything_else);
    tcase_add_test(order, a_lone_job_lingers_for_company);
    tcase_add_test(order, nothing_lingers_behind_64_kib);
    suite_add_tcase(result, order);
    TCase *end = tcase_create("the end");
    tcase_add_checked_fixture(end, set_up_welcomed, tear_down);
    tcase_add_test(end, a_farewell_names_the_producers_that_wrote);
    tcase_add_test(end, nobody_takes_leave_of_a_broker_that_is_silent);
    tcase_add_test(end, what_was_submitted_last_ends_with_the_session);
    suite_add_tcase(result, end);
    return result;
}

int main(void)
{
    return ek_run_suite(suite());
}
