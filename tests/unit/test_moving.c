/* The loop's side of a move over real sockets, with a real storage thread: a source that says what it should not, a learner that
 * takes nothing, a disk that gets full, and orders that overtake nothing. Time is what the test says. */
#include "worker/moving.h"
#include "common/codec.h"
#include "common/hash.h"
#include "tests/support/engine_rig.h"
#include "tests/support/learn_rig.h"
#include "tests/support/run_suite.h"
#include "worker/book.h"

#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 10000, SOCKETS_MAX = 8, ASK_AGAIN_US = 500000, LARGE_BYTES = 1024 * 1024, ROWS = 200 };
#define SERVED_KEY      "another shard"
#define SOURCE_ENDPOINT "inproc://source"
#define RATE            (1ull << 40)

static struct ek_load *load;
static struct ek_commit *commit;
static struct ek_context *context;
static struct ek_socket *source;   /* what the learner fetches from */
static struct ek_socket *peers;    /* where learners fetch from this worker */
static struct ek_socket *stranger; /* such a learner */
static struct ek_moving *moving;
static struct ek_answers answers;
static uint64_t now_us;
static ek_peer asker; /* who asked `source` last */

static void open_socket(enum ek_socket_kind kind, struct ek_socket **ret)
{
    ck_assert_int_eq(ek_socket_open(context, kind, ret), EK_OK);
}

static void put_large(void)
{
    char *value = calloc(1, LARGE_BYTES + 1);
    ck_assert_ptr_nonnull(value);
    memset(value, 'x', LARGE_BYTES);
    (void)ek_rig_run_one(&learn.target, EK_JOB_WRITE, ek_rig_put(SERVED_KEY, value));
    free(value);
}

static void set_up(void)
{
    char actual[EK_TEXT_BYTES_MAX];
    char key[32];
    learn_setup();
    for (int i = 0; i < ROWS; i++) {
        (void)snprintf(key, sizeof key, LEARN_KEY("%d"), i);
        (void)learn_write(EK_JOB_WRITE, ek_rig_put(key, "value"), 0, 0);
    }
    learn_open_copy();
    ek_engine_rig_assign(&learn.target, ek_rig_shard(SERVED_KEY), EK_HOLDING_SERVING, EK_RIG_EPOCH);
    put_large();
    load = ek_load_new();
    commit = ek_commit_start(learn.target.engine, load);
    ck_assert_ptr_nonnull(commit);
    context = ek_context_new(1, SOCKETS_MAX);
    ck_assert_ptr_nonnull(context);
    open_socket(EK_SOCKET_ROUTER, &source);
    open_socket(EK_SOCKET_ROUTER, &peers);
    open_socket(EK_SOCKET_DEALER, &stranger);
    ck_assert_int_eq(ek_socket_bind(source, SOURCE_ENDPOINT, actual, NULL), EK_OK);
    ck_assert_int_eq(ek_socket_bind(peers, "inproc://peers", actual, NULL), EK_OK);
    ck_assert_int_eq(ek_socket_connect(stranger, "inproc://peers", NULL), EK_OK);
    moving = ek_moving_new(context, commit);
    ek_moving_adopt(moving, learn.target.link);
    now_us = 1000000;
}

/* What was read of a message points to where its frame is now, also when it lies inside. */
static void check_borrowed(struct ek_learn_step *step)
{
    if (!step->has_frame || step->kind != EK_LEARN_CHUNK || step->chunk.memory.size == 0)
        return;
    struct ek_slice message = ek_frame_bytes(&step->frame), memory = step->chunk.memory;
    ck_assert(memory.data > message.data && memory.data + memory.size < message.data + message.size);
}

/* What the storage thread has done by now. True when there was something. */
static bool take_done(void)
{
    bool found = false;
    for (struct ek_commit_done *done; (done = ek_commit_take(commit)); found = true) {
        ck_assert(!done->failed);
        if (done->items->kind == EK_COMMIT_LEARN) {
            check_borrowed(done->items->step);
            ek_moving_done(moving, done->items->step, &answers);
        }
        ek_commit_done_destroy(done);
    }
    return found;
}

/* Waits for what the storage thread has to do so far. */
static void wait_stored(void)
{
    while (!take_done()) {
        struct pollfd event = {.fd = ek_commit_fd(commit), .events = POLLIN};
        ck_assert_int_eq(poll(&event, 1, WAIT_MS), 1);
    }
}

static void tear_down(void)
{
    struct ek_commit_item *item = ek_alloc_zero(1, sizeof *item);
    item->kind = EK_COMMIT_STOP;
    ek_commit_push(commit, item);
    while (!ek_commit_ended(commit))
        wait_stored();
    ek_moving_destroy(&moving);
    ek_commit_destroy(&commit);
    ek_socket_close(&source);
    ek_socket_close(&peers);
    ek_socket_close(&stranger);
    ek_context_destroy(&context);
    ek_answers_done(&answers);
    ek_load_destroy(&load);
    learn_teardown();
}

/* ---- what the broker says and hears ---- */

static void say(enum ek_move_step step, struct ek_attempt attempt)
{
    struct ek_buffer out = {0};
    enum ek_message_type type;
    struct ek_reader fields;
    struct ek_move_order order = {.link = learn.target.link,
                                  .attempt = attempt,
                                  .step = step,
                                  .epoch = EK_RIG_EPOCH,
                                  .position = ek_copy_position(learn.copy),
                                  .bytes_per_second = RATE,
                                  .endpoint = SOURCE_ENDPOINT};
    ek_encode_move_order(&out, &order);
    ck_assert_int_eq(ek_decode_type(ek_buffer_slice(&out), &type, &fields), EK_OK);
    ck_assert_int_eq(ek_moving_order(moving, &fields, &answers, now_us), EK_OK);
    ek_buffer_done(&out);
}

static bool has_report(void)
{
    return ek_answers_peek(&answers) != NULL;
}

static struct ek_move_report next_report(void)
{
    enum ek_message_type type;
    struct ek_reader fields;
    struct ek_move_report report;
    while (!has_report())
        wait_stored();
    ck_assert_int_eq(ek_decode_type(ek_answers_peek(&answers)->owned.message, &type, &fields), EK_OK);
    ck_assert_int_eq(type, EK_MESSAGE_WORKER_MOVED);
    ck_assert_int_eq(ek_decode_move_report(&fields, &report), EK_OK);
    ek_answers_pop(&answers, false);
    return report;
}

static bool fetches(void)
{
    struct ek_poll_item items[EK_COPIES_MAX];
    return ek_moving_items(moving, items) > 0;
}

/* ---- the source ---- */

/* The chunk that is asked for, once the loop has had its turn; -1: none is. */
static int64_t asked(void)
{
    struct ek_frame frame;
    enum ek_message_type type;
    struct ek_reader fields;
    struct ek_copy_ask ask;
    ek_moving_run(moving, now_us);
    if (ek_socket_receive(source, &frame, &asker) != EK_OK)
        return -1;
    ck_assert_int_eq(ek_decode_type(ek_frame_bytes(&frame), &type, &fields), EK_OK);
    ck_assert_int_eq(type, EK_MESSAGE_COPY_ASK);
    ck_assert_int_eq(ek_decode_copy_ask(&fields, &ask), EK_OK);
    ck_assert_uint_eq(ask.attempt.number, learn.attempt.number);
    ek_frame_done(&frame);
    return (int64_t)ask.chunk;
}

static void send_bytes(struct ek_buffer *out)
{
    ck_assert_int_eq(ek_socket_send(source, asker, ek_owned_of(out)), EK_OK);
    ek_moving_run(moving, now_us);
}

static void send_chunk(const struct ek_copy_chunk *chunk)
{
    struct ek_buffer out = {0};
    ek_encode_copy_chunk(&out, chunk);
    send_bytes(&out);
}

/* Up to the first chunk, which is asked for and in learn.chunk. */
static void begin_fetch(void)
{
    say(EK_MOVE_FILL, learn.attempt);
    ck_assert_int_eq(next_report().step, EK_MOVED_EMPTIED);
    say(EK_MOVE_PULL, learn.attempt);
    ck_assert_int_eq(asked(), 0);
    learn_get_chunk(0);
}

static void finish_fetch(void)
{
    for (uint64_t chunk = 0;; chunk++) {
        learn_get_chunk(chunk);
        send_chunk(&learn.chunk);
        ck_assert_int_eq(next_report().step, EK_MOVED_FETCHED);
        if (learn.chunk.last)
            break;
        ck_assert_int_eq(asked(), (int64_t)chunk + 1);
    }
    struct ek_move_report report = next_report();
    ck_assert_int_eq(report.step, EK_MOVED_COMPLETE);
    ck_assert_uint_eq(report.position, ek_copy_position(learn.copy));
    ck_assert(!fetches());
}

START_TEST(a_copy_is_fetched_chunk_by_chunk)
{
    begin_fetch();
    ck_assert_int_eq(asked(), -1); /* one at a time */
    ck_assert_uint_eq(ek_moving_due_us(moving), now_us + ASK_AGAIN_US);
    finish_fetch();
    ck_assert_uint_eq(ek_moving_due_us(moving), UINT64_MAX);
    learn_check_equal();
}
END_TEST

enum nonsense {
    EARLIER_ATTEMPT,
    OTHER_SHARD,
    OTHER_GENERATION,
    LATER_CHUNK,
    TOO_LARGE,
    LAST_WITHOUT_MEMORY,
    CUT_SHORT,
    NO_CHUNK,
    NONSENSES
};

static void send_nonsense(enum nonsense what)
{
    struct ek_buffer out = {0};
    struct ek_buffer body = {0};
    struct ek_copy_chunk chunk = learn.chunk;
    chunk.attempt.number -= what == EARLIER_ATTEMPT;
    chunk.attempt.shard ^= what == OTHER_SHARD;
    chunk.generation += what == OTHER_GENERATION;
    chunk.chunk += what == LATER_CHUNK;
    chunk.last = what == LAST_WITHOUT_MEMORY;
    if (what == TOO_LARGE) {
        memset(ek_buffer_reserve(&body, EK_COPY_CHUNK_BYTES_MAX + 1), 0, EK_COPY_CHUNK_BYTES_MAX + 1);
        ek_buffer_advance(&body, EK_COPY_CHUNK_BYTES_MAX + 1);
        chunk.body = ek_buffer_slice(&body);
        chunk.checksum = ek_hash(chunk.body);
    }
    ek_encode_copy_chunk(&out, &chunk);
    if (what == CUT_SHORT)
        out.size--;
    if (what == NO_CHUNK) {
        struct ek_copy_ask ask = {.generation = chunk.generation, .attempt = chunk.attempt};
        ek_buffer_clear(&out);
        ek_encode_copy_ask(&out, &ask);
    }
    send_bytes(&out);
    ek_buffer_done(&body);
}

START_TEST(what_was_not_asked_for_is_nothing)
{
    begin_fetch();
    send_nonsense((enum nonsense)_i);
    ck_assert_int_eq(asked(), -1);
    now_us += ASK_AGAIN_US - 1;
    ck_assert_int_eq(asked(), -1);
    now_us += 1;
    ck_assert_int_eq(asked(), 0); /* the same again */
    ck_assert(!has_report());
    finish_fetch();
    learn_check_equal();
}
END_TEST

START_TEST(a_chunk_that_comes_twice_counts_once)
{
    begin_fetch();
    send_chunk(&learn.chunk);
    send_chunk(&learn.chunk);
    ck_assert_uint_eq(next_report().bytes, learn.chunk.body.size);
    ck_assert_int_eq(asked(), 1);
    send_chunk(&learn.chunk);
    ck_assert(!has_report());
    learn_get_chunk(1);
    ck_assert(learn.chunk.last);
    send_chunk(&learn.chunk);
    ck_assert_int_eq(next_report().step, EK_MOVED_FETCHED);
    ck_assert_int_eq(next_report().step, EK_MOVED_COMPLETE);
    learn_check_equal();
}
END_TEST

START_TEST(a_chunk_so_small_that_it_lies_inside_its_frame_is_kept)
{
    enum { INSIDE_BYTES_MAX = 33 };
    begin_fetch();
    struct ek_producers nobody = {.position = ek_copy_position(learn.copy)};
    struct ek_buffer memory = {0};
    ek_book_encode_snapshot(&memory, &nobody);
    struct ek_copy_chunk empty = {.generation = learn.chunk.generation,
                                  .attempt = learn.chunk.attempt,
                                  .last = true,
                                  .memory = ek_buffer_slice(&memory),
                                  .checksum = ek_hash(ek_slice_of("", 0))};
    struct ek_buffer out = {0};
    ek_encode_copy_chunk(&out, &empty);
    ck_assert_uint_le(out.size, INSIDE_BYTES_MAX);
    ek_socket_answer(source, ek_buffer_slice(&out)); /* sends a copy, as TCP makes one */
    ek_moving_run(moving, now_us);
    ek_buffer_done(&out);
    ck_assert_int_eq(next_report().step, EK_MOVED_FETCHED);
    struct ek_move_report report = next_report();
    ck_assert_msg(report.step == EK_MOVED_COMPLETE, "%s", report.text);
    ck_assert_uint_eq(report.position, nobody.position);
    ek_buffer_done(&memory);
}
END_TEST

START_TEST(a_source_that_lies_ends_the_attempt)
{
    begin_fetch();
    learn.chunk.checksum += _i == 0;
    if (_i == 1) { /* a row of another shard */
        ((uint8_t *)(uintptr_t)learn.chunk.body.data)[11] ^= 0x80;
        learn.chunk.checksum = ek_hash(learn.chunk.body);
    }
    if (_i == 2) { /* the end at once */
        learn.chunk.last = true;
        learn.chunk.memory = ek_slice_text("");
    }
    send_chunk(&learn.chunk);
    struct ek_move_report report = next_report();
    ck_assert_int_eq(report.step, EK_MOVED_FAILED);
    ck_assert_uint_eq(report.attempt.number, learn.attempt.number);
    ck_assert_uint_gt(strlen(report.text), 0);
    ck_assert(!fetches());
    while (asked() >= 0) /* before it was looked at */
        ;
    now_us += 2 * ASK_AGAIN_US;
    ck_assert_int_eq(asked(), -1);
}
END_TEST

/* The n-th chunk of a copy that does not end. */
static void send_endless(uint64_t number)
{
    struct ek_copy_chunk chunk = learn.chunk;
    chunk.chunk = number;
    send_chunk(&chunk);
}

START_TEST(a_copy_that_does_not_end_ends_with_the_disk)
{
    enum { CHUNKS = 50 };
    uint64_t number = 0;
    begin_fetch();
    for (; number < CHUNKS; number++) {
        send_endless(number);
        ck_assert_int_eq(next_report().step, EK_MOVED_FETCHED);
        ck_assert_int_eq(asked(), (int64_t)number + 1);
    }
    ek_moving_set_full(moving, false, &answers);
    ck_assert(fetches());
    ek_moving_set_full(moving, true, &answers);
    struct ek_move_report report = next_report();
    ck_assert_int_eq(report.step, EK_MOVED_FAILED);
    ck_assert_uint_eq(report.link.link, learn.target.link.link);
    ck_assert_ptr_nonnull(strstr(report.text, "disk"));
    ck_assert(!fetches());
    ek_moving_set_full(moving, true, &answers);
    ck_assert(!has_report()); /* it was said */
}
END_TEST

START_TEST(the_storage_thread_has_two_chunks_at_most)
{
    begin_fetch();
    send_endless(0);
    ck_assert_int_eq(asked(), 1);
    send_endless(1);
    ck_assert_int_eq(asked(), -1); /* whatever the storage thread has done meanwhile: nobody has looked */
    ck_assert_int_eq(next_report().step, EK_MOVED_FETCHED);
    ck_assert_int_eq(asked(), 2);
    ck_assert_int_eq(next_report().step, EK_MOVED_FETCHED);
}
END_TEST

START_TEST(a_full_disk_learns_nothing)
{
    ek_moving_set_full(moving, true, &answers);
    say(EK_MOVE_FILL, learn.attempt);
    ck_assert(has_report());
    ck_assert_int_eq(next_report().step, EK_MOVED_FAILED);
    say(EK_MOVE_PULL, learn.attempt);
    ck_assert_int_eq(next_report().step, EK_MOVED_FAILED);
    ck_assert(!fetches());
    ek_moving_set_full(moving, false, &answers);
    begin_fetch();
    finish_fetch();
    learn_check_equal();
}
END_TEST

/* As an envelope of the broker, which comes to a socket. */
static void feed(const struct ek_fed *fed)
{
    struct ek_envelope envelope = {0};
    struct ek_frame frame;
    ek_encode_fed(&envelope, fed);
    ck_assert_int_eq(ek_socket_send(stranger, 0, ek_envelope_seal(&envelope, EK_MESSAGE_WORKER_FEED, &learn.target.link)), EK_OK);
    ck_assert_int_eq(ek_socket_receive(peers, &frame, &asker), EK_OK);
    ck_assert_int_eq(ek_moving_feed(moving, &frame, &answers), EK_OK);
}

START_TEST(a_learner_whose_disk_is_full_does_not_follow)
{
    begin_fetch();
    finish_fetch();
    struct ek_fed fed = learn_write(EK_JOB_WRITE, ek_rig_put(LEARN_KEY("a"), "1"), 0, 0);
    ek_moving_set_full(moving, true, &answers);
    feed(&fed);
    ck_assert(has_report());
    struct ek_move_report report = next_report();
    ck_assert_int_eq(report.step, EK_MOVED_FAILED);
    ck_assert_uint_eq(report.attempt.number, learn.attempt.number);
    ek_moving_set_full(moving, false, &answers);
    struct ek_attempt other = {.shard = (uint16_t)(learn.attempt.shard ^ 1), .number = 99};
    say(EK_MOVE_FILL, other);
    ck_assert_uint_eq(next_report().attempt.number, other.number); /* nothing was before it */
    feed(&fed);
    report = next_report();
    ck_assert_int_eq(report.step, EK_MOVED_FED);
    ck_assert_uint_eq(report.position, fed.job.position);
    learn_check_equal();
}
END_TEST

/* ---- giving ---- */

static struct ek_attempt served_attempt(void)
{
    return (struct ek_attempt){.shard = ek_rig_shard(SERVED_KEY), .number = 77};
}

static void ask_for(uint64_t chunk)
{
    struct ek_error error = {0};
    struct ek_buffer out = {0};
    struct ek_copy_ask ask = {.generation = learn.target.link.generation, .attempt = served_attempt(), .chunk = chunk};
    ek_encode_copy_ask(&out, &ask);
    ck_assert_int_eq(ek_socket_send(stranger, 0, ek_owned_of(&out)), EK_OK);
    ck_assert_int_eq(ek_moving_serve(moving, peers, &error), EK_OK);
}

/* What came back: a type of message, or 0. */
static enum ek_message_type answer(void)
{
    struct ek_frame frame;
    enum ek_message_type type;
    struct ek_reader fields;
    if (ek_socket_receive(stranger, &frame, NULL) != EK_OK)
        return (enum ek_message_type)0;
    ck_assert_int_eq(ek_decode_type(ek_frame_bytes(&frame), &type, &fields), EK_OK);
    ek_frame_done(&frame);
    return type;
}

START_TEST(a_dropped_attempt_leaves_no_copy_wherever_its_copy_was)
{
    say(EK_MOVE_COPY, served_attempt());
    if (_i) {
        ck_assert_int_eq(next_report().step, EK_MOVED_COPYING);
        ask_for(0);
        ck_assert_int_eq(answer(), EK_MESSAGE_COPY_CHUNK);
    }
    say(EK_MOVE_DROP, served_attempt());
    say(EK_MOVE_FILL, learn.attempt); /* behind both */
    while (next_report().step != EK_MOVED_EMPTIED)
        ;
    ask_for(0);
    ck_assert_int_eq(answer(), EK_MESSAGE_ERROR);
}
END_TEST

START_TEST(a_learner_that_takes_nothing_is_not_sent_more_and_more)
{
    enum { ASKS = 100, BYTES_MAX = 3 * EK_COPY_CHUNK_BYTES_MAX };
    unsigned came = 0;
    say(EK_MOVE_COPY, served_attempt());
    ck_assert_int_eq(next_report().step, EK_MOVED_COPYING);
    for (int i = 0; i < ASKS; i++) {
        ask_for(0);
        ck_assert_uint_le(ek_socket_unsent_bytes(peers), BYTES_MAX);
    }
    ck_assert_uint_gt(ek_socket_unsent_bytes(peers), EK_COPY_CHUNK_BYTES_MAX);
    while (answer() == EK_MESSAGE_COPY_CHUNK)
        came++;
    ck_assert_uint_lt(came, ASKS);
    ask_for(1); /* it takes them again */
    ck_assert_int_eq(answer(), EK_MESSAGE_COPY_CHUNK);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("moving");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_copy_is_fetched_chunk_by_chunk);
    tcase_add_loop_test(tests, what_was_not_asked_for_is_nothing, 0, NONSENSES);
    tcase_add_test(tests, a_chunk_that_comes_twice_counts_once);
    tcase_add_test(tests, a_chunk_so_small_that_it_lies_inside_its_frame_is_kept);
    tcase_add_loop_test(tests, a_source_that_lies_ends_the_attempt, 0, 3);
    tcase_add_test(tests, a_copy_that_does_not_end_ends_with_the_disk);
    tcase_add_test(tests, the_storage_thread_has_two_chunks_at_most);
    tcase_add_test(tests, a_full_disk_learns_nothing);
    tcase_add_test(tests, a_learner_whose_disk_is_full_does_not_follow);
    tcase_add_loop_test(tests, a_dropped_attempt_leaves_no_copy_wherever_its_copy_was, 0, 2);
    tcase_add_test(tests, a_learner_that_takes_nothing_is_not_sent_more_and_more);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
