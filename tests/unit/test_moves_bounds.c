/* What cannot be moved, how many moves there are at a time, and what ends one from outside. */
#include "broker/moves.h"
#include "tests/support/broker_rig.h"
#include "tests/support/moves_rig.h"
#include "tests/support/run_suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE_BYTES = 900 * 1024 };

static size_t fills(void)
{
    size_t count = 0;
    const struct ek_action *action;
    for (size_t n = 0; (action = rig_action(&moves.rig, EK_ACTION_WORKER_MOVE, n)); n++)
        count += action->move->step == EK_MOVE_FILL;
    return count;
}

/* ---- asking ---- */

START_TEST(what_cannot_be_moved_is_said)
{
    ck_assert_int_eq(moves_ask(SHARD, SOURCE), EK_WIRE_DENIED);
    ck_assert_int_eq(moves_command("3", "nobody"), EK_WIRE_DENIED);
    ck_assert_int_eq(moves_command("3", "w"), EK_WIRE_DENIED); /* all four are called so */
    ck_assert_int_eq(moves_command("3", NULL), EK_WIRE_USAGE);
    ck_assert_int_eq(moves_command("three", "0c00"), EK_WIRE_USAGE);
    ck_assert_int_eq(moves_ask(RIG_SHARDS, TARGET), EK_WIRE_USAGE);
    ck_assert_int_eq(moves_ask(SHARD, TARGET), EK_WIRE_OK);
    ck_assert_int_eq(moves_ask(SHARD, TARGET), EK_WIRE_DENIED);
    ck_assert_int_eq(moves_ask(SHARD, THIRD), EK_WIRE_DENIED);
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = THIRD});
    ck_assert_int_eq(moves_ask(SHARD - 1, THIRD), EK_WIRE_DENIED);
    ck_assert_int_eq(moves_ask(4, TARGET), EK_WIRE_OK); /* of a holder that is away: it waits */
    rig_tick(&moves.rig, TICK_US);
    ck_assert_uint_eq(fills(), 1);
}
END_TEST

START_TEST(a_worker_that_keeps_rows_aside_gets_no_copy)
{
    struct ek_holding aside = {.shard = SHARD, .state = EK_HOLDING_ASIDE, .epoch = 1, .position = 4};
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = TARGET});
    struct ek_link link = rig_hello(&moves.rig, TARGET, 1);
    rig_step(&moves.rig,
             (struct ek_event){.type = EK_EVENT_WORKER_REPORT, .peer = TARGET, .link = link, .holdings = &aside, .count = 1});
    ck_assert_int_eq(moves_ask(SHARD, TARGET), EK_WIRE_DENIED);
    ck_assert_int_eq(moves_ask(SHARD - 1, TARGET), EK_WIRE_OK);
}
END_TEST

/* ---- how many ---- */

START_TEST(one_copy_goes_out_of_a_worker_and_two_into_one)
{
    ck_assert_int_eq(moves_ask(0, TARGET), EK_WIRE_OK);
    uint64_t first = moves.number;
    ck_assert_int_eq(moves_ask(1, THIRD), EK_WIRE_OK);
    uint64_t second = moves.number;
    ck_assert_int_eq(moves_ask(4, TARGET), EK_WIRE_OK);
    ck_assert_int_eq(moves_ask(6, TARGET), EK_WIRE_OK);
    uint64_t last = moves.number;
    rig_tick(&moves.rig, TICK_US);
    ck_assert_uint_eq(fills(), 2);
    ck_assert_str_eq(moves_view(first).phase, "copying");
    ck_assert_str_eq(moves_view(second).phase, "queued");
    ck_assert_str_eq(moves_view(last).phase, "queued");
    ck_assert_int_eq(moves_cancel(first), EK_WIRE_OK);
    ck_assert_uint_eq(fills(), 2); /* in the same step */
    ck_assert_str_eq(moves_view(second).phase, "copying");
    ck_assert_str_eq(moves_view(last).phase, "copying");
    struct ek_snapshot *snapshot = ek_snapshot_take(moves.rig.broker, moves.rig.now_us);
    ck_assert_uint_eq(snapshot->moves_active, 3);
    ck_assert_uint_eq(snapshot->workers[TARGET - SOURCE].moves_in, 2);
    ck_assert_uint_eq(snapshot->workers[0].moves_out, 1);
    ek_snapshot_destroy(&snapshot);
}
END_TEST

START_TEST(a_switch_lets_the_next_one_begin_at_once)
{
    ck_assert_int_eq(moves_ask(0, TARGET), EK_WIRE_OK);
    uint64_t next = moves.number;
    ck_assert_int_eq(moves_ask(SHARD, TARGET), EK_WIRE_OK);
    uint64_t last = moves.number;
    rig_tick(&moves.rig, TICK_US);
    for (uint64_t number = next; number <= last; number++) {
        const struct ek_move_order *fill = moves_order_to(TARGET, EK_MOVE_FILL);
        ck_assert_ptr_nonnull(fill);
        moves.attempt = fill->attempt;
        moves_copy(POSITION);
        moves_say(TARGET, EK_MOVED_COMPLETE, POSITION);
        ck_assert_str_eq(moves_view(number).phase, "releasing");
        ck_assert_uint_eq(fills(), number == last ? 0 : 1);
    }
}
END_TEST

START_TEST(an_attempt_that_failed_lets_the_next_move_go_first)
{
    ck_assert_int_eq(moves_ask(SHARD, TARGET), EK_WIRE_OK);
    uint64_t first = moves.number;
    moves_begins();
    ck_assert_int_eq(moves_ask(0, TARGET), EK_WIRE_OK);
    moves_say(TARGET, EK_MOVED_FAILED, 0);
    ck_assert_uint_eq(fills(), 1);
    ck_assert_uint_eq(moves_order_to(TARGET, EK_MOVE_FILL)->attempt.shard, 0);
    ck_assert_str_eq(moves_view(first).phase, "queued");
    ck_assert_int_eq(moves_cancel(moves.number), EK_WIRE_OK);
    ck_assert_uint_eq(fills(), 0); /* not in the same breath */
    rig_tick(&moves.rig, TICK_US);
    ck_assert_str_eq(moves_view(first).phase, "copying");
}
END_TEST

/* ---- room ---- */

START_TEST(a_target_without_room_gets_no_copy)
{
    moves_beat(SOURCE, EK_MIB, 0, SHARD, 1000);
    moves_beat(TARGET, EK_MIB, 1999, 0, 0);
    ck_assert_int_eq(moves_ask(SHARD, TARGET), EK_WIRE_OK);
    rig_tick(&moves.rig, TICK_US);
    ck_assert_uint_eq(fills(), 0);
    ck_assert_move("failed");
    ck_assert_str_eq(moves_view(moves.number).error, "the target's disk has no room");
    moves_beat(TARGET, EK_MIB, 2000, 0, 0);
    moves_begin();
}
END_TEST

START_TEST(copies_under_way_to_a_target_need_room_too)
{
    moves_beat(SOURCE, EK_MIB, 0, SHARD, 1000);
    moves_beat(THIRD, EK_MIB, 0, 4, 500);
    moves_beat(TARGET, EK_MIB, 2999, 0, 0);
    moves_begin();
    ck_assert_int_eq(moves_ask(4, TARGET), EK_WIRE_OK);
    rig_tick(&moves.rig, TICK_US);
    ck_assert_move("failed");
    struct ek_move_report fetched = {.attempt = moves.attempt, .step = EK_MOVED_FETCHED, .bytes = 1};
    rig_step(&moves.rig,
             (struct ek_event){.type = EK_EVENT_WORKER_MOVED, .peer = TARGET, .link = moves.links[TARGET], .moved = &fetched});
    ck_assert_int_eq(moves_ask(4, TARGET), EK_WIRE_OK);
    rig_tick(&moves.rig, TICK_US);
    ck_assert_move("copying");
}
END_TEST

START_TEST(a_size_beyond_all_reason_finds_no_room)
{
    moves_beat(SOURCE, EK_MIB, 0, SHARD, UINT64_MAX);
    moves_beat(THIRD, EK_MIB, 0, 4, UINT64_MAX / 2);
    moves_beat(TARGET, EK_MIB, UINT64_MAX, 0, 0);
    ck_assert_int_eq(moves_ask(SHARD, TARGET), EK_WIRE_OK);
    uint64_t first = moves.number;
    ck_assert_int_eq(moves_ask(4, TARGET), EK_WIRE_OK);
    ck_assert_int_eq(moves_ask(6, TARGET), EK_WIRE_OK);
    rig_tick(&moves.rig, TICK_US);
    ck_assert_str_eq(moves_view(first).phase, "failed");
    ck_assert_str_eq(moves_view(first + 1).phase, "copying");
    ck_assert_move("copying");
}
END_TEST

/* `seconds` with heartbeats of all, of which TARGET takes no writes. */
static void pass_with_a_full_target(unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        rig_tick(&moves.rig, 1000000);
        for (ek_broker_peer peer = SOURCE; peer <= FOURTH; peer++)
            moves_beat(peer, peer == TARGET ? 0 : EK_MIB, 1 << 20, 0, 0);
    }
}

START_TEST(a_target_that_takes_no_writes_is_waited_for_and_then_given_up)
{
    moves_beat(TARGET, 0, 1 << 20, 0, 0);
    ck_assert_int_eq(moves_ask(SHARD, TARGET), EK_WIRE_OK);
    pass_with_a_full_target(9);
    ck_assert_move("queued");
    if (_i) {
        moves_beat(TARGET, EK_MIB, 1 << 20, 0, 0);
        moves_begins();
        return;
    }
    pass_with_a_full_target(2);
    ck_assert_move("failed");
    ck_assert_ptr_nonnull(strstr(moves_view(moves.number).error, "takes no writes"));
}
END_TEST

START_TEST(a_worker_that_has_not_said_how_it_is_gets_no_copy)
{
    ck_assert_int_eq(moves_ask(SHARD, TARGET), EK_WIRE_OK);
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = TARGET});
    moves.links[TARGET] = rig_hello(&moves.rig, TARGET, 1);
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_WORKER_REPORT, .peer = TARGET, .link = moves.links[TARGET]});
    rig_tick(&moves.rig, TICK_US);
    ck_assert_uint_eq(fills(), 0);
    ck_assert_move("queued");
    rig_heartbeat(&moves.rig, TARGET, moves.links[TARGET], 100, EK_MIB, 100);
    moves_begins();
}
END_TEST

START_TEST(the_last_hundred_are_kept)
{
    for (int i = 0; i < 2 * EK_MOVES_KEPT; i++) {
        ck_assert_int_eq(moves_ask(SHARD, TARGET), EK_WIRE_OK);
        ck_assert_int_eq(moves_cancel(moves.number), EK_WIRE_OK);
    }
    ck_assert_int_eq(moves_ask(SHARD, TARGET), EK_WIRE_OK);
    rig_tick(&moves.rig, TICK_US);
    struct ek_snapshot *snapshot = ek_snapshot_take(moves.rig.broker, moves.rig.now_us);
    ck_assert_uint_eq(snapshot->move_count, EK_MOVES_KEPT + 1);
    ck_assert_uint_eq(snapshot->moves[EK_MOVES_KEPT].number, moves.number);
    ck_assert_uint_eq(snapshot->moves_active, 1);
    ek_snapshot_destroy(&snapshot);
}
END_TEST

/* ---- what waits for the learner ---- */

static struct ek_worker_job write_large_to(uint16_t shard, ek_broker_peer holder)
{
    static const uint8_t head[] = {0x91, 0x93, 0x01, 0xc4, 0x01, 'k', 0xc6, 0, 0x0e, 0x10, 0};
    struct ek_job job = rig_job(&moves.rig, EK_JOB_WRITE, shard, 0, 0);
    uint8_t *body = calloc(1, sizeof head + LARGE_BYTES);
    ck_assert_ptr_nonnull(body);
    memcpy(body, head, sizeof head);
    job.body = ek_slice_of(body, sizeof head + LARGE_BYTES);
    rig_jobs(&moves.rig, CLIENT, &job, 1);
    free(body);
    return moves_sent_to(holder);
}

static struct ek_worker_job write_large(void)
{
    return write_large_to(SHARD, SOURCE);
}

START_TEST(a_learner_that_falls_too_far_behind_begins_anew)
{
    unsigned writes = 0;
    moves_teardown();
    moves_setup_sized(EK_QUEUE_BYTES_DEFAULT);
    moves_begin();
    moves_copy(POSITION);
    while (!moves_all_is_dropped()) {
        struct ek_worker_job large = write_large();
        moves_answer(SOURCE, &large);
        ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_REPLY), 1); /* the clients' answers wait for nobody */
        ck_assert_uint_le(++writes, EK_FEED_BYTES_MAX / LARGE_BYTES + 1);
    }
    ck_assert_uint_eq(writes, EK_FEED_BYTES_MAX / LARGE_BYTES + 1);
    ck_assert_ptr_nonnull(strstr(moves_view(moves.number).error, "faster"));
    moves_begins();
    moves_say(TARGET, EK_MOVED_EMPTIED, 0);
    struct ek_worker_job job = write_large();
    moves_answer(SOURCE, &job);
    ck_assert_move("copying"); /* what had waited is gone */
    writes++;
    moves_say(SOURCE, EK_MOVED_COPYING, POSITION + writes);
    moves_say(TARGET, EK_MOVED_COMPLETE, POSITION + writes);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_FEED), 0); /* nothing of before */
    moves_check_switch();
    moves_serves(TARGET, POSITION + writes);
}
END_TEST

/* The attempt of the last FILL, of `shard`, is filled with a copy. */
static struct ek_attempt copy_of(uint16_t shard, ek_broker_peer source)
{
    struct ek_attempt attempt = moves_order_to(TARGET, EK_MOVE_FILL)->attempt;
    ck_assert_uint_eq(attempt.shard, shard);
    rig_moved(&moves.rig, TARGET, moves.links[TARGET], attempt, EK_MOVED_EMPTIED, 0, NULL);
    rig_moved(&moves.rig, source, moves.links[source], attempt, EK_MOVED_COPYING, POSITION, NULL);
    return attempt;
}

START_TEST(of_all_learners_the_one_that_is_furthest_behind_begins_anew)
{
    enum { LIMIT = EK_QUEUE_BYTES_MIN / 2 };
    ck_assert_int_eq(moves_ask(SHARD, TARGET), EK_WIRE_OK);
    uint64_t small = moves.number;
    moves_begins();
    (void)copy_of(SHARD, SOURCE);
    ck_assert_int_eq(moves_ask(4, TARGET), EK_WIRE_OK);
    rig_tick(&moves.rig, TICK_US);
    struct ek_attempt large = copy_of(4, THIRD);
    size_t writes = 0;
    for (; writes < LIMIT / LARGE_BYTES; writes++) {
        bool third = writes % 3 != 0; /* two of three */
        struct ek_worker_job job = third ? write_large_to(4, THIRD) : write_large();
        moves_answer(third ? THIRD : SOURCE, &job);
        ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_MOVE), 0);
    }
    struct ek_worker_job job = write_large();
    moves_answer(SOURCE, &job); /* which alone would be far from any limit */
    ck_assert_str_eq(moves_view(small).phase, "copying");
    ck_assert_move("queued");
    ck_assert_ptr_nonnull(strstr(moves_view(moves.number).error, "faster"));
    ck_assert_uint_eq(moves_order_to(TARGET, EK_MOVE_DROP)->attempt.number, large.number);
    rig_tick(&moves.rig, TICK_US);
    ck_assert_move("copying");
}
END_TEST

START_TEST(a_learner_is_sent_a_megabyte_beyond_what_it_has_synced)
{
    struct ek_worker_job job;
    moves_begin();
    moves_copy(POSITION);
    for (int i = 0; i < 4; i++) {
        job = write_large();
        moves_answer(SOURCE, &job);
    }
    moves_say(TARGET, EK_MOVED_COMPLETE, POSITION);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_FEED), 2);
    ck_assert_move("catching_up"); /* too much waits for a hold */
    moves_say(TARGET, EK_MOVED_FED, POSITION + 1);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_FEED), 1);
    ck_assert_uint_eq(rig_action(&moves.rig, EK_ACTION_WORKER_FEED, 0)->fed->job.position, POSITION + 3);
    moves_say(TARGET, EK_MOVED_FED, POSITION + 3);
    ck_assert_uint_eq(rig_action(&moves.rig, EK_ACTION_WORKER_FEED, 0)->fed->job.position, POSITION + 4);
    ck_assert_move("catching_up");
    moves_say(TARGET, EK_MOVED_FED, POSITION + 4);
    moves_check_switch();
    moves_serves(TARGET, POSITION + 4);
}
END_TEST

/* ---- from outside ---- */

START_TEST(a_quarantine_ends_the_move)
{
    struct ek_holding holdings[] = {{.shard = SHARD, .state = EK_HOLDING_SERVING, .epoch = 1, .position = POSITION - 1}};
    moves_begin();
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = SOURCE});
    ck_assert_move("queued");
    struct ek_link link = rig_hello(&moves.rig, SOURCE, 2);
    rig_step(&moves.rig,
             (struct ek_event){.type = EK_EVENT_WORKER_REPORT, .peer = SOURCE, .link = link, .holdings = holdings, .count = 1});
    ck_assert_move("failed");
    ck_assert_ptr_nonnull(strstr(moves_view(moves.number).error, "quarantined"));
    ck_assert_int_eq(moves_ask(SHARD, TARGET), EK_WIRE_DENIED);
}
END_TEST

static void forget(const char *worker)
{
    struct ek_admin admin = {.id = 78, .count = 2, .words = {"forget"}};
    (void)snprintf(admin.words[1], sizeof admin.words[1], "%s", worker);
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_CLIENT_ADMIN, .peer = CLIENT, .admin = &admin});
    ck_assert_int_eq(rig_action(&moves.rig, EK_ACTION_ANSWER, 0)->answer.status, EK_WIRE_OK);
}

START_TEST(a_worker_that_is_forgotten_takes_its_moves_along)
{
    moves_begin();
    uint64_t first = moves.number;
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = TARGET});
    ck_assert_int_eq(moves_ask(4, SOURCE), EK_WIRE_OK);
    forget("0c00");
    ck_assert_str_eq(moves_view(first).phase, "failed");
    ck_assert_ptr_nonnull(strstr(moves_view(first).error, "forgotten"));
    ck_assert_move("queued");
    rig_tick(&moves.rig, TICK_US);
    const struct ek_move_order *fill = moves_order_to(SOURCE, EK_MOVE_FILL); /* the others have moved up in the table */
    ck_assert_ptr_nonnull(fill);
    ck_assert_uint_eq(fill->attempt.shard, 4);
    moves.attempt = fill->attempt;
    moves_say(SOURCE, EK_MOVED_EMPTIED, 0);
    ck_assert_ptr_nonnull(moves_order_to(THIRD, EK_MOVE_COPY));
    struct ek_worker_job job = moves_write_one();
    moves_answer(SOURCE, &job);
}
END_TEST

START_TEST(a_former_owner_that_goes_away_ends_the_cleaning)
{
    moves_begin();
    moves_copy(POSITION);
    moves_say(TARGET, EK_MOVED_COMPLETE, POSITION);
    moves_serves(TARGET, POSITION);
    ck_assert_move("cleaning");
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = SOURCE});
    ck_assert_move("done");
}
END_TEST

START_TEST(the_end_of_a_cleaning_leaves_a_later_hold_alone)
{
    moves_begin();
    moves_copy(POSITION);
    moves_say(TARGET, EK_MOVED_COMPLETE, POSITION);
    moves_serves(TARGET, POSITION);
    uint64_t first = moves.number;
    ck_assert_int_eq(moves_ask(SHARD, THIRD), EK_WIRE_OK);
    (void)rig_read(&moves.rig, CLIENT, SHARD, 0, 0);
    struct ek_worker_job reading = moves_sent_to(TARGET);
    rig_tick(&moves.rig, TICK_US);
    struct ek_attempt attempt = moves_order_to(THIRD, EK_MOVE_FILL)->attempt;
    rig_moved(&moves.rig, THIRD, moves.links[THIRD], attempt, EK_MOVED_EMPTIED, 0, NULL);
    rig_moved(&moves.rig, TARGET, moves.links[TARGET], attempt, EK_MOVED_COPYING, POSITION, NULL);
    rig_moved(&moves.rig, THIRD, moves.links[THIRD], attempt, EK_MOVED_COMPLETE, POSITION, NULL);
    ck_assert_move("holding");
    (void)rig_write(&moves.rig, CLIENT, SHARD, 0, 0);
    moves.attempt.number = 0;
    moves_say(SOURCE, EK_MOVED_CLEANED, 0);
    ck_assert_str_eq(moves_view(first).phase, "done");
    rig_dispatch(&moves.rig);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_JOB), 0);
    rig_reply(&moves.rig, TARGET, moves.links[TARGET], reading.token, EK_WIRE_OK, 0);
    ck_assert_move("releasing");
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("bounds of moves");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, moves_setup, moves_teardown);
    tcase_add_test(tests, what_cannot_be_moved_is_said);
    tcase_add_test(tests, a_worker_that_keeps_rows_aside_gets_no_copy);
    tcase_add_test(tests, one_copy_goes_out_of_a_worker_and_two_into_one);
    tcase_add_test(tests, a_switch_lets_the_next_one_begin_at_once);
    tcase_add_test(tests, an_attempt_that_failed_lets_the_next_move_go_first);
    tcase_add_test(tests, a_target_without_room_gets_no_copy);
    tcase_add_test(tests, copies_under_way_to_a_target_need_room_too);
    tcase_add_test(tests, a_size_beyond_all_reason_finds_no_room);
    tcase_add_loop_test(tests, a_target_that_takes_no_writes_is_waited_for_and_then_given_up, 0, 2);
    tcase_add_test(tests, a_worker_that_has_not_said_how_it_is_gets_no_copy);
    tcase_add_test(tests, the_last_hundred_are_kept);
    tcase_add_test(tests, a_learner_that_falls_too_far_behind_begins_anew);
    tcase_add_test(tests, of_all_learners_the_one_that_is_furthest_behind_begins_anew);
    tcase_add_test(tests, a_learner_is_sent_a_megabyte_beyond_what_it_has_synced);
    tcase_add_test(tests, a_quarantine_ends_the_move);
    tcase_add_test(tests, a_worker_that_is_forgotten_takes_its_moves_along);
    tcase_add_test(tests, a_former_owner_that_goes_away_ends_the_cleaning);
    tcase_add_test(tests, the_end_of_a_cleaning_leaves_a_later_hold_alone);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
