#include "worker/commit.h"
#include "common/codec.h"
#include "common/operations.h"
#include "common/writer.h"
#include "tests/support/engine_rig.h"
#include "tests/support/run_suite.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum { WAIT_MS = 10000, SOCKETS_MAX = 4 };

static struct ek_engine_rig rig;
static struct ek_load *load;
static struct ek_commit *commit;
static struct ek_context *context;
static struct ek_socket *sender;
static struct ek_socket *receiver;
static struct ek_buffer body; /* of the jobs made last */

static void set_up(void)
{
    char actual[EK_TEXT_BYTES_MAX];
    ek_engine_rig_open(&rig, EK_BOOK_LIVE_BYTES_MAX);
    load = ek_load_new();
    commit = ek_commit_start(rig.engine, load);
    context = ek_context_new(1, SOCKETS_MAX);
    ck_assert_ptr_nonnull(commit);
    ck_assert_ptr_nonnull(context);
    ck_assert_int_eq(ek_socket_open(context, EK_SOCKET_DEALER, &sender), EK_OK);
    ck_assert_int_eq(ek_socket_open(context, EK_SOCKET_DEALER, &receiver), EK_OK);
    ck_assert_int_eq(ek_socket_bind(receiver, "inproc://jobs", actual, NULL), EK_OK);
    ck_assert_int_eq(ek_socket_connect(sender, "inproc://jobs", NULL), EK_OK);
}

static void push(enum ek_commit_kind kind, struct ek_parcel *parcel)
{
    struct ek_commit_item *item = ek_alloc_zero(1, sizeof *item);
    item->kind = kind;
    item->parcel = parcel;
    ek_commit_push(commit, item);
}

static void tear_down(void)
{
    push(EK_COMMIT_STOP, NULL);
    ek_commit_destroy(&commit);
    ek_load_destroy(&load);
    ek_socket_close(&sender);
    ek_socket_close(&receiver);
    ek_context_destroy(&context);
    ek_buffer_done(&body);
    ek_engine_rig_done(&rig);
}

/* Sends an envelope to ourselves and takes it as a parcel. */
static struct ek_parcel *parcel_of(struct ek_link link, const struct ek_worker_job *jobs, size_t count)
{
    struct ek_envelope envelope = {0};
    for (size_t i = 0; i < count; i++)
        ek_encode_worker_job(&envelope, &jobs[i]);
    ck_assert_int_eq(ek_socket_send(sender, 0, ek_envelope_seal(&envelope, EK_MESSAGE_WORKER_JOBS, &link)), EK_OK);
    struct ek_poll_item item = {.socket = receiver};
    struct ek_frame frame;
    struct ek_parcel *parcel = NULL;
    ck_assert_int_eq(ek_poll(&item, 1, WAIT_MS), EK_OK);
    ck_assert_int_eq(ek_socket_receive(receiver, &frame, NULL), EK_OK);
    ck_assert_int_eq(ek_parcel_take(&frame, &parcel), EK_OK);
    return parcel;
}

/* Waits for the next thing that is done. */
static struct ek_commit_done *next_done(void)
{
    struct ek_commit_done *done;
    while (!(done = ek_commit_take(commit))) {
        struct pollfd event = {.fd = ek_commit_fd(commit), .events = POLLIN};
        ck_assert_int_eq(poll(&event, 1, WAIT_MS), 1);
    }
    return done;
}

/* Waits until the storage thread is through with all that it had to do: what a group cost is noted behind its answers. */
static void wait_for_rest(void)
{
    push(EK_COMMIT_FLUSH, NULL);
    ek_commit_done_destroy(next_done());
}

static size_t read_replies(struct ek_answers *answers, struct ek_worker_reply *ret, size_t room)
{
    size_t count = 0;
    for (const struct ek_answer_message *message = ek_answers_peek(answers); message; message = message->next) {
        enum ek_message_type type;
        struct ek_reader fields;
        struct ek_link link;
        uint32_t replies;
        ck_assert_int_eq(ek_decode_type(message->owned.message, &type, &fields), EK_OK);
        ck_assert_int_eq(ek_decode_link(&fields, &link), EK_OK);
        ck_assert_int_eq(ek_decode_count(&fields, EK_ENVELOPE_JOBS_MAX, &replies), EK_OK);
        for (uint32_t i = 0; i < replies; i++) {
            ck_assert_uint_lt(count, room);
            ck_assert_int_eq(ek_decode_worker_reply(&fields, &ret[count++]), EK_OK);
        }
    }
    return count;
}

/* Increments of one key, at positions that follow. Touches nothing that the storage thread works on. */
static void increments(struct ek_worker_job *jobs, size_t count, uint64_t position)
{
    struct ek_operation operation = ek_rig_increment("n", 1);
    ek_buffer_clear(&body);
    ek_write_array(&body, 1);
    ek_encode_operation(&body, &operation);
    for (size_t i = 0; i < count; i++)
        jobs[i] = (struct ek_worker_job){.token = i,
                                         .shard = ek_rig_shard("n"),
                                         .epoch = EK_RIG_EPOCH,
                                         .kind = EK_JOB_WRITE,
                                         .position = position + i,
                                         .stamp_unix_ms = 1000,
                                         .body = ek_buffer_slice(&body),
                                         .count = 1};
}

START_TEST(replies_come_in_the_order_of_the_jobs)
{
    enum { ENVELOPES = 50, JOBS = 20 };
    struct ek_worker_job jobs[JOBS];
    struct ek_worker_reply replies[ENVELOPES * JOBS];
    for (uint64_t i = 0; i < ENVELOPES; i++) {
        increments(jobs, JOBS, 1 + i * JOBS);
        push(EK_COMMIT_JOBS, parcel_of(rig.link, jobs, JOBS));
    }
    uint64_t position = 0;
    while (position < ENVELOPES * JOBS) {
        struct ek_commit_done *done = next_done();
        size_t count = read_replies(&done->answers, replies, ENVELOPES * JOBS);
        for (size_t i = 0; i < count; i++) {
            ck_assert_uint_eq(replies[i].position, ++position);
            ck_assert_int_eq(ek_rig_result(&replies[i], EK_OPERATION_INCREMENT, 0).number, (int64_t)position);
        }
        ck_assert_uint_eq(done->position_count, 1);
        ck_assert_uint_eq(done->positions[0].position, position);
        ek_commit_done_destroy(done);
    }
    ck_assert_uint_gt(ek_commit_busy_us(commit), 0);
    wait_for_rest();
    struct ek_shard_load told[EK_RIG_SHARDS];
    ck_assert_uint_eq(ek_load_changed(load, EK_RIG_SHARDS, told), 1);
    ck_assert_uint_eq(told[0].operations, ENVELOPES * JOBS);
}
END_TEST

/* What an operation costs, and what a shard's part in a group does. */
START_TEST(a_shard_is_charged_for_its_part_in_the_work_of_groups)
{
    enum { ENVELOPES = 20, FEW = 1, MANY = 20 };
    struct ek_worker_job jobs[FEW + MANY];
    uint16_t many = ek_rig_shard("n");
    uint16_t few = (uint16_t)((many + 1) % EK_RIG_SHARDS);
    for (uint64_t i = 0; i < ENVELOPES; i++) {
        increments(jobs, FEW, 1 + i * FEW);
        for (size_t job = 0; job < FEW; job++)
            jobs[job].shard = few;
        increments(jobs + FEW, MANY, 1 + i * MANY);
        push(EK_COMMIT_JOBS, parcel_of(rig.link, jobs, FEW + MANY));
        ek_commit_done_destroy(next_done());
    }
    wait_for_rest();
    struct ek_shard_load told[EK_RIG_SHARDS];
    ck_assert_uint_eq(ek_load_changed(load, EK_RIG_SHARDS, told), 2);
    const struct ek_shard_load *of_many = &told[told[0].shard == many ? 0 : 1];
    const struct ek_shard_load *of_few = &told[told[0].shard == many ? 1 : 0];
    ck_assert_uint_eq(of_many->operations, (uint64_t)ENVELOPES * MANY);
    ck_assert_uint_eq(of_few->operations, (uint64_t)ENVELOPES * FEW);
    double wanted = ek_cost_work(MANY, of_many->bytes_in / ENVELOPES) / ek_cost_work(FEW, of_few->bytes_in / ENVELOPES);
    ck_assert_double_eq_tol((double)of_many->busy_us / (double)of_few->busy_us, wanted, wanted / 20);
    uint64_t charged_us = of_many->busy_us + of_few->busy_us; /* groups of one size: about all of their time */
    ck_assert_uint_gt(charged_us, ek_commit_busy_us(commit) / 2);
    ck_assert_uint_lt(charged_us, ek_commit_busy_us(commit) * 2);
}
END_TEST

START_TEST(what_was_accepted_is_committed_before_a_new_link)
{
    struct ek_worker_job jobs[2];
    struct ek_worker_reply replies[2];
    increments(jobs, 2, 1);
    struct ek_parcel *first = parcel_of(rig.link, jobs, 1);
    struct ek_parcel *second = parcel_of(rig.link, jobs + 1, 1);
    push(EK_COMMIT_JOBS, first);
    struct ek_commit_item *adopt = ek_alloc_zero(1, sizeof *adopt);
    adopt->kind = EK_COMMIT_ADOPT;
    adopt->welcome = (struct ek_worker_welcome){.link = {99, 5}, .shards = EK_RIG_SHARDS};
    ek_commit_push(commit, adopt);
    push(EK_COMMIT_JOBS, second); /* of the old link, after it has ended */
    struct ek_commit_done *done = next_done();
    ck_assert_uint_eq(read_replies(&done->answers, replies, 2), 1);
    ck_assert_int_eq(replies[0].status, EK_WIRE_OK);
    ek_commit_done_destroy(done);
    done = next_done();
    ck_assert_int_eq(done->status, EK_OK);
    ck_assert_uint_eq(done->items->holding_count, EK_RIG_SHARDS);
    uint16_t shard = ek_rig_shard("n");
    ck_assert_uint_eq(done->items->holdings[shard].position, 1);
    ek_commit_done_destroy(done);
    done = next_done();
    ck_assert_uint_eq(read_replies(&done->answers, replies, 2), 1);
    ck_assert_int_eq(replies[0].status, EK_WIRE_STALE);
    ck_assert_uint_eq(done->position_count, 0);
    ek_commit_done_destroy(done);
}
END_TEST

START_TEST(another_cluster_is_handed_back_as_a_refusal)
{
    struct ek_commit_item *adopt = ek_alloc_zero(1, sizeof *adopt);
    adopt->kind = EK_COMMIT_ADOPT;
    adopt->welcome = (struct ek_worker_welcome){.link = {99, 5}, .shards = EK_RIG_SHARDS, .cluster = {{1}}};
    ek_commit_push(commit, adopt);
    struct ek_commit_done *done = next_done();
    ck_assert_int_eq(done->status, EK_MISMATCH);
    ek_commit_done_destroy(done);
}
END_TEST

START_TEST(roles_are_answered_with_positions)
{
    struct ek_worker_job job;
    increments(&job, 1, 1);
    push(EK_COMMIT_JOBS, parcel_of(rig.link, &job, 1));
    struct ek_commit_item *assign = ek_alloc_zero(1, sizeof *assign);
    assign->kind = EK_COMMIT_ASSIGN;
    assign->link = rig.link;
    assign->holding_count = 1;
    assign->holdings = ek_alloc_zero(1, sizeof *assign->holdings);
    assign->holdings[0] = (struct ek_holding){.shard = job.shard, .state = EK_HOLDING_SERVING, .epoch = 9};
    ek_commit_push(commit, assign);
    ek_commit_done_destroy(next_done());
    struct ek_commit_done *done = next_done();
    ck_assert_int_eq(done->status, EK_OK);
    ck_assert_uint_eq(done->items->holdings[0].epoch, 9);
    ck_assert_uint_eq(done->items->holdings[0].position, 1);
    ek_commit_done_destroy(done);
}
END_TEST

START_TEST(a_probe_is_answered_on_its_link_only)
{
    struct ek_worker_job probe = {.kind = EK_JOB_PROBE};
    struct ek_worker_reply reply;
    for (uint64_t link = rig.link.link; link <= rig.link.link + 1; link++) {
        struct ek_parcel *parcel = parcel_of((struct ek_link){link, rig.link.generation}, &probe, 1);
        ck_assert_uint_eq(parcel->for_commit, 1);
        push(EK_COMMIT_JOBS, parcel);
        struct ek_commit_done *done = next_done();
        ck_assert_uint_eq(read_replies(&done->answers, &reply, 1), 1);
        ck_assert_uint_eq(reply.token, 0);
        ck_assert_int_eq(reply.status, link == rig.link.link ? EK_WIRE_OK : EK_WIRE_STALE);
        ck_assert_uint_eq(done->position_count, 0);
        ek_commit_done_destroy(done);
    }
}
END_TEST

START_TEST(numbered_reads_pass_behind_their_write)
{
    struct ek_worker_job jobs[3];
    struct ek_worker_reply replies[3];
    increments(jobs, 3, 1);
    jobs[0].producer = 70;
    jobs[0].number = 1;
    jobs[0].lowest = 1;
    for (int i = 1; i < 3; i++) {
        jobs[i].kind = EK_JOB_READ;
        jobs[i].position = 0;
        jobs[i].producer = 70;
        jobs[i].number = (uint64_t)i; /* the second is missing */
    }
    struct ek_parcel *parcel = parcel_of(rig.link, jobs, 3);
    ck_assert_uint_eq(parcel->for_commit, 3);
    push(EK_COMMIT_JOBS, parcel);
    struct ek_commit_done *done = next_done();
    ck_assert_uint_eq(read_replies(&done->answers, replies, 3), 2);
    ck_assert_int_eq(replies[1].status, EK_WIRE_GAP);
    ck_assert_uint_eq(replies[1].position, 2);
    ck_assert_uint_eq(done->items->passed_count, 1);
    ck_assert_uint_eq(done->items->passed[0], 1);
    ek_commit_done_destroy(done);
}
END_TEST

START_TEST(malformed_envelopes_are_refused_whole)
{
    struct ek_worker_job job;
    increments(&job, 1, 1);
    struct ek_envelope envelope = {0};
    ek_encode_worker_job(&envelope, &job);
    struct ek_owned owned = ek_envelope_seal(&envelope, EK_MESSAGE_WORKER_JOBS, &rig.link);
    for (size_t cut = 1; cut < owned.message.size; cut++) {
        struct ek_buffer part = {0};
        struct ek_poll_item item = {.socket = receiver};
        struct ek_frame frame;
        struct ek_parcel *parcel = NULL;
        ek_buffer_append(&part, owned.message.data, cut);
        ck_assert_int_eq(ek_socket_send(sender, 0, ek_owned_of(&part)), EK_OK);
        ck_assert_int_eq(ek_poll(&item, 1, WAIT_MS), EK_OK);
        ck_assert_int_eq(ek_socket_receive(receiver, &frame, NULL), EK_OK);
        ck_assert_int_ne(ek_parcel_take(&frame, &parcel), EK_OK);
        ck_assert_ptr_null(parcel);
    }
    free(owned.memory);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("commit");
    TCase *tests = tcase_create("commit");
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, replies_come_in_the_order_of_the_jobs);
    tcase_add_test(tests, a_shard_is_charged_for_its_part_in_the_work_of_groups);
    tcase_add_test(tests, what_was_accepted_is_committed_before_a_new_link);
    tcase_add_test(tests, another_cluster_is_handed_back_as_a_refusal);
    tcase_add_test(tests, roles_are_answered_with_positions);
    tcase_add_test(tests, a_probe_is_answered_on_its_link_only);
    tcase_add_test(tests, numbered_reads_pass_behind_their_write);
    tcase_add_test(tests, malformed_envelopes_are_refused_whole);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
