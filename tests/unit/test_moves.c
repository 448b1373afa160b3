/* The life of a move, held against the broker's core: the order of what is said, the hold, the switch, and attempts that end. */
#include "broker/moves.h"
#include "tests/support/broker_rig.h"
#include "tests/support/moves_rig.h"
#include "tests/support/run_suite.h"

#include <check.h>
#include <string.h>

START_TEST(a_move_from_its_first_word_to_its_last)
{
    static const uint8_t result[] = {0x91, 0x00};
    moves_begin();
    struct ek_worker_job before = moves_write_one();
    moves_say(TARGET, EK_MOVED_EMPTIED, 0);
    ck_assert_uint_eq(moves.rig.action_count, 1);
    ck_assert_ptr_nonnull(moves_order_to(SOURCE, EK_MOVE_COPY));
    struct ek_worker_job behind = moves_write_one();
    moves_answer(SOURCE, &before);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_REPLY), 1);
    moves_say(SOURCE, EK_MOVED_COPYING, before.position);
    const struct ek_move_order *pull = moves_order_to(TARGET, EK_MOVE_PULL);
    ck_assert_uint_eq(pull->position, before.position);
    ck_assert_uint_eq(pull->bytes_per_second, EK_MOVE_RATE_DEFAULT);
    ck_assert_str_eq(pull->endpoint, "tcp://127.0.0.1:40011");
    struct ek_worker_reply reply = {.token = behind.token, .position = behind.position, .body = ek_slice_of(result, sizeof result)};
    rig_step(&moves.rig,
             (struct ek_event){
                 .type = EK_EVENT_WORKER_REPLIES, .peer = SOURCE, .link = moves.links[SOURCE], .replies = &reply, .count = 1});
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_FEED), 0); /* the copy is not complete */
    moves_say(TARGET, EK_MOVED_COMPLETE, before.position);
    ck_assert_ptr_nonnull(moves_order_to(SOURCE, EK_MOVE_DROP));
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_FEED), 1);
    const struct ek_action *feed = rig_action(&moves.rig, EK_ACTION_WORKER_FEED, 0);
    ck_assert_uint_eq(feed->peer, TARGET);
    ck_assert_uint_eq(feed->link.link, moves.links[TARGET].link);
    ck_assert_uint_eq(feed->fed->job.position, behind.position);
    ck_assert_uint_eq(feed->fed->job.token, moves.attempt.number);
    ck_assert_uint_eq(feed->fed->job.stamp_unix_ms, behind.stamp_unix_ms);
    ck_assert_uint_gt(feed->fed->job.body.size, 0);
    ck_assert(ek_slice_equal(feed->fed->reply.body, reply.body));
    ck_assert_move("holding");
    (void)rig_write(&moves.rig, CLIENT, SHARD, 0, 0);
    rig_dispatch(&moves.rig);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_JOB), 0);
    ck_assert_move("holding");
    moves_say(TARGET, EK_MOVED_FED, behind.position);
    moves_check_switch();
    rig_dispatch(&moves.rig);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_JOB), 0);
    moves_serves(TARGET, behind.position);
    ck_assert_move("cleaning");
    ck_assert_uint_gt(moves_view(moves.number).longest_hold_us, 0);
    struct ek_worker_job after = moves_sent_to(TARGET);
    ck_assert_uint_eq(after.position, behind.position + 1);
    ck_assert_uint_eq(after.epoch, 2);
    moves_answer(TARGET, &after);
    moves_say(TARGET, EK_MOVED_CLEANED, 0); /* it has nothing to clean */
    ck_assert_move("cleaning");
    moves.attempt.number = 0;
    moves_say(SOURCE, EK_MOVED_CLEANED, 0);
    ck_assert_move("done");
}
END_TEST

START_TEST(a_shard_at_rest_moves_without_a_feed)
{
    moves_begin();
    moves_copy(POSITION);
    moves_say(TARGET, EK_MOVED_COMPLETE, POSITION);
    moves_check_switch();
    moves_serves(TARGET, POSITION);
    (void)rig_write(&moves.rig, CLIENT, SHARD, 0, 0);
    struct ek_worker_job job = moves_sent_to(TARGET);
    moves_answer(TARGET, &job);
}
END_TEST

START_TEST(the_switch_waits_for_reads_and_for_what_the_learner_has_synced)
{
    moves_begin();
    moves_copy(POSITION);
    (void)rig_read(&moves.rig, CLIENT, SHARD, 0, 0);
    struct ek_worker_job reading = moves_sent_to(SOURCE);
    struct ek_worker_job writing = moves_write_one();
    moves_say(TARGET, EK_MOVED_COMPLETE, POSITION);
    ck_assert_move("holding");
    moves_answer(SOURCE, &writing);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_FEED), 1); /* as soon as it is answered */
    moves_say(TARGET, EK_MOVED_FED, POSITION);                          /* of what came before */
    ck_assert_move("holding");
    moves_say(TARGET, EK_MOVED_FED, writing.position);
    ck_assert_move("holding");
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_PERSIST), 0);
    rig_reply(&moves.rig, SOURCE, moves.links[SOURCE], reading.token, EK_WIRE_OK, 0);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_FEED), 0); /* a read is nothing to follow */
    moves_check_switch();
    moves_serves(TARGET, writing.position);
}
END_TEST

START_TEST(a_write_that_is_in_the_copy_is_not_fed_whenever_its_answer_comes)
{
    moves_begin();
    struct ek_worker_job first = moves_write_one();
    struct ek_worker_job second = moves_write_one();
    moves_copy(first.position); /* may overtake the answer */
    moves_say(TARGET, EK_MOVED_COMPLETE, first.position);
    moves_answer(SOURCE, &first);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_FEED), 0);
    moves_answer(SOURCE, &second);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_FEED), 1);
    moves_say(TARGET, EK_MOVED_FED, second.position);
    moves_check_switch();
    moves_serves(TARGET, second.position);
}
END_TEST

START_TEST(a_hold_beyond_its_bound_is_undone_and_tried_again)
{
    moves_begin();
    moves_copy(POSITION);
    struct ek_worker_job job = moves_write_one();
    moves_say(TARGET, EK_MOVED_COMPLETE, POSITION);
    ck_assert_move("holding");
    (void)rig_write(&moves.rig, CLIENT, SHARD, 0, 0);
    rig_tick(&moves.rig, EK_MOVE_HOLD_US - 1000);
    ck_assert_move("holding");
    rig_tick(&moves.rig, 1000);
    ck_assert_move("catching_up");
    ck_assert_uint_ge(moves_view(moves.number).longest_hold_us, EK_MOVE_HOLD_US);
    struct ek_worker_job waited = moves_sent_to(SOURCE);
    moves_answer(SOURCE, &job);
    moves_say(TARGET, EK_MOVED_FED, job.position);
    rig_tick(&moves.rig, TICK_US);
    ck_assert_move("catching_up");
    rig_tick(&moves.rig, 200000);
    ck_assert_move("holding");
    moves_answer(SOURCE, &waited);
    moves_say(TARGET, EK_MOVED_FED, waited.position);
    moves_check_switch();
    moves_serves(TARGET, waited.position);
}
END_TEST

START_TEST(a_hold_ends_with_its_bound_whatever_step_comes)
{
    ck_assert_uint_eq(ek_broker_due_us(moves.rig.broker), UINT64_MAX);
    moves_begin();
    moves_copy(POSITION);
    struct ek_worker_job job = moves_write_one();
    moves_say(TARGET, EK_MOVED_COMPLETE, POSITION);
    ck_assert_move("holding");
    uint64_t due_us = ek_broker_due_us(moves.rig.broker);
    ck_assert_uint_eq(due_us, moves.rig.now_us + EK_MOVE_HOLD_US);
    (void)rig_write(&moves.rig, CLIENT, SHARD, 0, 0);
    moves.rig.now_us = due_us - 2;
    rig_dispatch(&moves.rig);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_JOB), 0);
    struct ek_worker_job waited = moves_sent_to(SOURCE); /* in the step that ends it, without a tick */
    ck_assert_uint_eq(moves.rig.now_us, due_us);
    ck_assert_move("catching_up");
    ck_assert_uint_eq(ek_broker_due_us(moves.rig.broker), UINT64_MAX);
    moves_answer(SOURCE, &job);
    moves_answer(SOURCE, &waited);
}
END_TEST

START_TEST(an_attempt_that_never_comes_to_rest_ends)
{
    moves_begin();
    moves_copy(POSITION);
    struct ek_worker_job job = moves_write_one();
    moves_say(TARGET, EK_MOVED_COMPLETE, POSITION);
    struct ek_attempt first = moves.attempt;
    for (int i = 0; i < 400 && !moves_order_to(TARGET, EK_MOVE_FILL); i++) {
        for (ek_broker_peer peer = SOURCE; peer <= FOURTH; peer++)
            rig_heartbeat(&moves.rig, peer, moves.links[peer], 100, EK_MIB, 100);
        moves_say(TARGET, EK_MOVED_FED, POSITION);
        rig_tick(&moves.rig, TICK_US);
    }
    ck_assert_uint_gt(moves_order_to(TARGET, EK_MOVE_FILL)->attempt.number, first.number);
    ck_assert_ptr_nonnull(strstr(moves_view(moves.number).error, "come to rest"));
    moves_answer(SOURCE, &job);
}
END_TEST

START_TEST(the_end_of_a_link_begins_anew_and_the_fourth_is_the_last)
{
    ek_broker_peer lost = _i ? TARGET : SOURCE;
    ck_assert_int_eq(moves_ask(SHARD, TARGET), EK_WIRE_OK);
    for (int i = 1; i <= EK_MOVE_ATTEMPTS_MAX; i++) {
        struct ek_attempt earlier = moves.attempt;
        moves_begins();
        ck_assert_uint_gt(moves.attempt.number, i > 1 ? earlier.number : 0);
        ck_assert_uint_eq(moves_view(moves.number).restarts, (unsigned)i - 1);
        if (i % 2)
            moves_copy(POSITION);
        rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = lost});
        ck_assert(lost == TARGET || moves_is_told(TARGET, EK_HOLDING_RELEASED, 1));
        ck_assert_ptr_nonnull(moves_order_to(lost == TARGET ? SOURCE : TARGET, EK_MOVE_DROP));
        ck_assert_move(i < EK_MOVE_ATTEMPTS_MAX ? "queued" : "failed");
        rig_tick(&moves.rig, TICK_US);
        ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_MOVE), 0); /* it is away */
        moves_come(lost);
    }
    rig_tick(&moves.rig, TICK_US);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_MOVE), 0);
    ck_assert_ptr_nonnull(strstr(moves_view(moves.number).error, "link"));
    struct ek_worker_job job = moves_write_one();
    moves_answer(SOURCE, &job);
}
END_TEST

START_TEST(a_report_of_an_earlier_attempt_or_of_another_worker_is_ignored)
{
    moves_begin();
    struct ek_attempt earlier = moves.attempt;
    rig_moved(&moves.rig, TARGET, moves.links[TARGET], moves.attempt, EK_MOVED_FAILED, 0, "no room");
    ck_assert(moves_all_is_dropped());
    ck_assert_str_eq(moves_view(moves.number).error, "no room");
    moves_begins();
    rig_moved(&moves.rig, TARGET, moves.links[TARGET], earlier, EK_MOVED_EMPTIED, 0, NULL);
    ck_assert_uint_eq(moves.rig.action_count, 0);
    rig_moved(&moves.rig, SOURCE, moves.links[SOURCE], earlier, EK_MOVED_FAILED, 0, NULL);
    ck_assert_move("copying");
    moves_say(SOURCE, EK_MOVED_EMPTIED, 0);
    moves_say(THIRD, EK_MOVED_EMPTIED, 0);
    ck_assert_uint_eq(moves.rig.action_count, 0);
    moves_say(TARGET, EK_MOVED_EMPTIED, 0);
    moves_say(TARGET, EK_MOVED_COPYING, POSITION);
    ck_assert_uint_eq(moves.rig.action_count, 0);
    moves_say(SOURCE, EK_MOVED_COPYING, POSITION);
    ck_assert_ptr_nonnull(moves_order_to(TARGET, EK_MOVE_PULL));
    moves_say(TARGET, EK_MOVED_EMPTIED, 0);
    moves_say(SOURCE, EK_MOVED_COMPLETE, POSITION);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_MOVE), 0);
    ck_assert_move("copying");
}
END_TEST

START_TEST(a_worker_that_says_nothing_ends_the_attempt)
{
    moves_begin();
    moves_let_time_pass(9);
    ck_assert_move("copying");
    ck_assert_uint_eq(moves_view(moves.number).restarts, 0);
    moves_let_time_pass(3);
    ck_assert_uint_eq(moves_view(moves.number).restarts, 1);
}
END_TEST

START_TEST(a_slow_copy_has_the_time_for_its_largest_part)
{
    struct ek_admin limit = {.id = 79, .count = 3, .words = {"balance", "limit", "1048576"}};
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_CLIENT_ADMIN, .peer = CLIENT, .admin = &limit});
    ck_assert_int_eq(rig_action(&moves.rig, EK_ACTION_ANSWER, 0)->answer.status, EK_WIRE_OK);
    moves_begin();
    moves_let_time_pass(25); /* 16 MiB take 16 s */
    ck_assert_uint_eq(moves_view(moves.number).restarts, 0);
    moves_let_time_pass(3);
    ck_assert_uint_eq(moves_view(moves.number).restarts, 1);
}
END_TEST

START_TEST(a_cancelled_move_leaves_nothing_behind)
{
    moves_begin();
    struct ek_worker_job job = moves_write_one();
    if (_i) {
        moves_copy(POSITION);
        moves_say(TARGET, EK_MOVED_COMPLETE, POSITION);
        ck_assert_move("holding");
        (void)rig_write(&moves.rig, CLIENT, SHARD, 0, 0);
    }
    ck_assert_int_eq(moves_cancel(moves.number), EK_WIRE_OK);
    ck_assert(moves_all_is_dropped());
    ck_assert_move("cancelled");
    moves_answer(SOURCE, &job);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_FEED), 0);
    if (_i)
        (void)moves_sent_to(SOURCE); /* what had waited */
    ck_assert_int_eq(moves_cancel(moves.number), EK_WIRE_DENIED);
    ck_assert_int_eq(moves_cancel(moves.number + 1), EK_WIRE_DENIED);
    ck_assert_int_eq(moves_command("cancel", "x"), EK_WIRE_USAGE);
    rig_tick(&moves.rig, TICK_US);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_MOVE), 0);
    ck_assert_int_eq(moves_ask(SHARD, TARGET), EK_WIRE_OK);
}
END_TEST

START_TEST(nothing_is_cancelled_behind_the_switch)
{
    moves_begin();
    moves_copy(POSITION);
    moves_say(TARGET, EK_MOVED_COMPLETE, POSITION);
    moves_check_switch();
    ck_assert_int_eq(moves_cancel(moves.number), EK_WIRE_DENIED);
    ck_assert_int_eq(moves_ask(SHARD, SOURCE), EK_WIRE_DENIED);
    moves_serves(TARGET, POSITION);
    ck_assert_int_eq(moves_cancel(moves.number), EK_WIRE_DENIED);
    ck_assert_move("cleaning");
}
END_TEST

START_TEST(a_move_back_makes_the_deletion_void)
{
    moves_begin();
    moves_copy(POSITION);
    moves_say(TARGET, EK_MOVED_COMPLETE, POSITION);
    moves_serves(TARGET, POSITION);
    uint64_t first = moves.number;
    ck_assert_int_eq(moves_ask(SHARD, SOURCE), EK_WIRE_OK);
    rig_tick(&moves.rig, TICK_US);
    ck_assert_uint_eq(moves_order_to(SOURCE, EK_MOVE_FILL)->epoch, 2);
    ck_assert_str_eq(moves_view(first).phase, "done");
}
END_TEST

START_TEST(a_learner_that_dies_behind_the_switch_is_the_owner_all_the_same)
{
    moves_begin();
    moves_copy(POSITION);
    (void)rig_read(&moves.rig, CLIENT, SHARD, 0, 0);
    struct ek_worker_job reading = moves_sent_to(SOURCE);
    moves_say(TARGET, EK_MOVED_COMPLETE, POSITION);
    (void)rig_write(&moves.rig, CLIENT, SHARD, 0, 0);
    rig_reply(&moves.rig, SOURCE, moves.links[SOURCE], reading.token, EK_WIRE_OK, 0);
    moves_check_switch();
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = TARGET});
    moves.attempt.number = 0;
    moves_say(SOURCE, EK_MOVED_CLEANED, 0); /* its grace period is over before the new owner is back */
    moves.links[TARGET] = rig_hello(&moves.rig, TARGET, 2);
    struct ek_holding holding = {.shard = SHARD, .state = EK_HOLDING_LEARNER, .epoch = 1, .position = POSITION};
    rig_step(&moves.rig,
             (struct ek_event){
                 .type = EK_EVENT_WORKER_REPORT, .peer = TARGET, .link = moves.links[TARGET], .holdings = &holding, .count = 1});
    ck_assert(moves_is_told(TARGET, EK_HOLDING_SERVING, 2));
    moves_serves(TARGET, POSITION);
    rig_heartbeat(&moves.rig, TARGET, moves.links[TARGET], 100, EK_MIB, 100);
    struct ek_worker_job job = moves_sent_to(TARGET);
    moves_answer(TARGET, &job);
    ck_assert_move("done");
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("moves");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, moves_setup, moves_teardown);
    tcase_add_test(tests, a_move_from_its_first_word_to_its_last);
    tcase_add_test(tests, a_shard_at_rest_moves_without_a_feed);
    tcase_add_test(tests, the_switch_waits_for_reads_and_for_what_the_learner_has_synced);
    tcase_add_test(tests, a_write_that_is_in_the_copy_is_not_fed_whenever_its_answer_comes);
    tcase_add_test(tests, a_hold_beyond_its_bound_is_undone_and_tried_again);
    tcase_add_test(tests, a_hold_ends_with_its_bound_whatever_step_comes);
    tcase_add_test(tests, an_attempt_that_never_comes_to_rest_ends);
    tcase_add_loop_test(tests, the_end_of_a_link_begins_anew_and_the_fourth_is_the_last, 0, 2);
    tcase_add_test(tests, a_report_of_an_earlier_attempt_or_of_another_worker_is_ignored);
    tcase_add_test(tests, a_worker_that_says_nothing_ends_the_attempt);
    tcase_add_test(tests, a_slow_copy_has_the_time_for_its_largest_part);
    tcase_add_loop_test(tests, a_cancelled_move_leaves_nothing_behind, 0, 2);
    tcase_add_test(tests, nothing_is_cancelled_behind_the_switch);
    tcase_add_test(tests, a_move_back_makes_the_deletion_void);
    tcase_add_test(tests, a_learner_that_dies_behind_the_switch_is_the_owner_all_the_same);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
