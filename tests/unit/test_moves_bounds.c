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
        count += action->move.step == EK_MOVE_FILL;
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

static struct ek_worker_job write_large(void)
{
    static const uint8_t head[] = {0x91, 0x93, 0x01, 0xc4, 0x01, 'k', 0xc6, 0, 0x0e, 0x10, 0};
    struct ek_job job = rig_job(&moves.rig, EK_JOB_WRITE, SHARD, 0, 0);
    uint8_t *body = calloc(1, sizeof head + LARGE_BYTES);
    ck_assert_ptr_nonnull(body);
    memcpy(body, head, sizeof head);
    job.body = ek_slice_of(body, sizeof head + LARGE_BYTES);
    rig_jobs(&moves.rig, CLIENT, &job, 1);
    free(body);
    return moves_sent_to(SOURCE);
}

START_TEST(a_learner_that_falls_too_far_behind_begins_anew)
{
    unsigned writes = 0;
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
    ck_assert_int_eq(moves_ask(4, SOURCE), EK_WIRE_OK);
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = TARGET});
    forget("0c00");
    ck_assert_str_eq(moves_view(first).phase, "failed");
    ck_assert_ptr_nonnull(strstr(moves_view(first).error, "forgotten"));
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

static Suite *suite(void)
{
    Suite *suite = suite_create("bounds of moves");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, moves_setup, moves_teardown);
    tcase_add_test(tests, what_cannot_be_moved_is_said);
    tcase_add_test(tests, a_worker_that_keeps_rows_aside_gets_no_copy);
    tcase_add_test(tests, one_copy_goes_out_of_a_worker_and_two_into_one);
    tcase_add_test(tests, the_last_hundred_are_kept);
    tcase_add_test(tests, a_learner_that_falls_too_far_behind_begins_anew);
    tcase_add_test(tests, a_learner_is_sent_a_megabyte_beyond_what_it_has_synced);
    tcase_add_test(tests, a_quarantine_ends_the_move);
    tcase_add_test(tests, a_worker_that_is_forgotten_takes_its_moves_along);
    tcase_add_test(tests, a_former_owner_that_goes_away_ends_the_cleaning);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
