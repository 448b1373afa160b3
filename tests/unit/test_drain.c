/* Workers that are to end empty, and what an operator sets, held against the broker's core: what begins, what ends, what is kept.
 */
#include "broker/moves.h"
#include "tests/support/broker_rig.h"
#include "tests/support/moves_rig.h"
#include "tests/support/run_suite.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

enum { ROUND_S = 6 }; /* in which the planner has a round */
#define GIB (1024ull * EK_MIB)

static char text[RIG_TEXT_BYTES];

static enum ek_wire_status say(const char *words)
{
    return rig_command(&moves.rig, words, text);
}

/* The last answer has this in it. */
#define ck_assert_answer(part) ck_assert_msg(strstr(text, part), "%s is not in %s", part, text)

static struct ek_worker_view worker_of(ek_broker_peer peer)
{
    struct ek_worker_view found = {.name = "none"};
    struct ek_snapshot *snapshot = ek_snapshot_take(moves.rig.broker, moves.rig.now_us);
    for (size_t i = 0; i < snapshot->worker_count; i++)
        if (snapshot->workers[i].id.bytes[0] == peer)
            found = snapshot->workers[i];
    ek_snapshot_destroy(&snapshot);
    return found;
}

static size_t alarms(void)
{
    struct ek_snapshot *snapshot = ek_snapshot_take(moves.rig.broker, moves.rig.now_us);
    size_t count = snapshot->alarm_count;
    ek_snapshot_destroy(&snapshot);
    return count;
}

/* Of the last step, which wrote one record. */
static struct ek_record written(void)
{
    const struct ek_action *persist = rig_action(&moves.rig, EK_ACTION_PERSIST, 0);
    ck_assert_ptr_nonnull(persist);
    ck_assert_uint_eq(persist->persist.count, 1);
    return persist->persist.records[0];
}

static void lose(ek_broker_peer peer)
{
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = peer});
}

/* The copy that is under way, once the planner has had its round: its target, and the rig's attempt is that one. 0: none begins. */
static ek_broker_peer await_copy(void)
{
    for (int i = 0; i < ROUND_S; i++) {
        for (const struct ek_move *move = moves.rig.broker->moves; move; move = move->next) {
            if (move->phase != EK_MOVE_COPYING)
                continue;
            moves.attempt = (struct ek_attempt){.shard = move->shard, .number = move->attempt};
            moves.number = move->number;
            return moves.rig.broker->workers[move->target].id.bytes[0];
        }
        moves_let_time_pass(1);
    }
    return 0;
}

/* From its first step to the new owner's word. */
static void carry_out(ek_broker_peer target)
{
    moves_say(target, EK_MOVED_EMPTIED, 0);
    moves_say(SOURCE, EK_MOVED_COPYING, POSITION);
    moves_say(target, EK_MOVED_COMPLETE, POSITION);
    rig_confirm_assigns(&moves.rig, POSITION);
}

/* ---- the word ---- */

START_TEST(a_drain_is_written_down_once_and_taken_back_once)
{
    ck_assert_int_eq(say("drain 0b00"), EK_WIRE_OK);
    ck_assert_int_eq(written().type, EK_RECORD_DRAIN);
    ck_assert_uint_eq(written().worker.bytes[0], SOURCE);
    ck_assert_answer("\"state\":\"draining\",\"shards_left\":4");
    ck_assert(worker_of(SOURCE).draining && !worker_of(SOURCE).safe_to_stop);
    ck_assert_int_eq(say("drain 0b00"), EK_WIRE_OK);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_PERSIST), 0);
    ck_assert_int_eq(say("drain 0b00 --status"), EK_WIRE_OK);
    ck_assert_answer("\"state\":\"draining\"");
    ck_assert_int_eq(say("drain 0b00 --cancel"), EK_WIRE_OK);
    ck_assert_int_eq(written().type, EK_RECORD_DRAIN_OVER);
    ck_assert_answer("\"state\":\"cancelled\"");
    ck_assert_int_eq(say("drain 0b00 --cancel"), EK_WIRE_OK);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_PERSIST), 0);
    ck_assert_int_eq(say("drain 0b00 --status"), EK_WIRE_OK); /* asks, and begins nothing */
    ck_assert_answer("\"state\":\"cancelled\"");
    ck_assert(!worker_of(SOURCE).draining);
}
END_TEST

START_TEST(what_cannot_be_drained_is_said)
{
    ck_assert_int_eq(say("drain"), EK_WIRE_USAGE);
    ck_assert_int_eq(say("drain 0b00 --now"), EK_WIRE_USAGE);
    ck_assert_int_eq(say("drain 0b00 --cancel --cancel"), EK_WIRE_USAGE);
    ck_assert_int_eq(say("drain nobody"), EK_WIRE_DENIED);
    ck_assert_int_eq(say("drain w"), EK_WIRE_DENIED); /* all four are called so */
    ck_assert_answer("several");
    lose(SOURCE);
    ck_assert_int_eq(say("drain 0b00"), EK_WIRE_DENIED);
    ck_assert_answer("not connected");
    moves_come(SOURCE);
    for (ek_broker_peer peer = TARGET; peer <= FOURTH; peer++)
        lose(peer);
    ck_assert_int_eq(say("drain 0b00"), EK_WIRE_DENIED);
    ck_assert_answer("no other worker");
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_PERSIST), 0);
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_STOP});
    ck_assert_int_eq(say("drain 0b00"), EK_WIRE_BUSY);
}
END_TEST

START_TEST(a_drain_that_disks_cannot_take_is_refused)
{
    struct ek_shard_load load = {.shard = SHARD, .stored_bytes = 30 * GIB};
    rig_load(&moves.rig, SOURCE, moves.links[SOURCE], &load, 1);
    for (ek_broker_peer peer = SOURCE; peer <= FOURTH; peer++) {
        struct ek_heartbeat heartbeat = {.link = moves.links[peer],
                                         .credit_jobs = 100,
                                         .credit_bytes = EK_MIB,
                                         .disk_total_bytes = 100 * GIB,
                                         .disk_free_bytes = 10 * GIB};
        rig_step(
            &moves.rig,
            (struct ek_event){.type = EK_EVENT_WORKER_HEARTBEAT, .peer = peer, .link = moves.links[peer], .heartbeat = &heartbeat});
    }
    ck_assert_int_eq(say("drain 0b00"), EK_WIRE_DENIED);
    ck_assert_answer("disks");
    ck_assert(!worker_of(SOURCE).draining);
}
END_TEST

/* ---- what a drain does ---- */

START_TEST(it_gives_everything_and_says_when_it_may_stop)
{
    ck_assert_int_eq(say("drain 0b00"), EK_WIRE_OK);
    struct ek_attempt attempts[4];
    for (unsigned gone = 0; gone < 4; gone++) {
        ck_assert_uint_eq(worker_of(SOURCE).shards, 4 - gone);
        ck_assert(!worker_of(SOURCE).safe_to_stop && !worker_of(SOURCE).drained);
        ek_broker_peer target = await_copy();
        ck_assert_uint_ne(target, 0);
        ck_assert_str_eq(moves_view(moves.number).reason, "drain");
        attempts[gone] = moves.attempt;
        carry_out(target);
    }
    ck_assert(worker_of(SOURCE).safe_to_stop && !worker_of(SOURCE).drained);
    ck_assert_int_eq(say("drain 0b00"), EK_WIRE_OK);
    ck_assert_answer("\"state\":\"draining\",\"shards_left\":0,\"bytes_left\":0");
    ck_assert_answer("\"safe_to_stop\":true");
    for (unsigned gone = 0; gone < 4; gone++) {
        moves.attempt = (struct ek_attempt){.shard = attempts[gone].shard};
        moves_say(SOURCE, EK_MOVED_CLEANED, 0);
    }
    ck_assert(worker_of(SOURCE).drained);
    rig_tick(&moves.rig, TICK_US);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_NOTICE), 1);
    rig_tick(&moves.rig, TICK_US);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_NOTICE), 0); /* it is said once */
    ck_assert_int_eq(say("move 4 0b00"), EK_WIRE_DENIED);
    ck_assert_answer("drained");
}
END_TEST

START_TEST(nothing_begins_while_moves_are_paused)
{
    ck_assert_int_eq(say("balance pause"), EK_WIRE_OK);
    ck_assert_int_eq(say("drain 0b00"), EK_WIRE_OK);
    ck_assert_answer("paused");
    ck_assert_uint_eq(await_copy(), 0);
    ck_assert_uint_eq(moves.rig.broker->moves_open, 1); /* it waits */
    ck_assert_int_eq(say("balance resume"), EK_WIRE_OK);
    rig_tick(&moves.rig, TICK_US);
    ck_assert_uint_ne(await_copy(), 0);
}
END_TEST

START_TEST(a_cancelled_drain_ends_its_own_moves_and_plans_no_more)
{
    ck_assert_int_eq(say("drain 0b00"), EK_WIRE_OK);
    ck_assert_uint_ne(await_copy(), 0);
    uint64_t drained = moves.number;
    int other = moves.attempt.shard == SHARD ? SHARD - 1 : SHARD;
    ck_assert_int_eq(moves_ask(other, TARGET), EK_WIRE_OK);
    ck_assert_int_eq(say("drain 0b00 --cancel"), EK_WIRE_OK);
    ck_assert_str_eq(moves_view(drained).phase, "cancelled");
    ck_assert_ptr_nonnull(strstr(moves_view(drained).error, "drain"));
    ck_assert_str_ne(moves_view(moves.number).phase, "cancelled");
    ck_assert_int_eq(moves_cancel(moves.number), EK_WIRE_OK);
    ck_assert_uint_eq(await_copy(), 0);
    ck_assert_uint_eq(worker_of(SOURCE).shards, 4);
}
END_TEST

START_TEST(a_target_that_begins_to_drain_gets_nothing_more)
{
    moves_begin();
    ck_assert_int_eq(say("drain 0c00"), EK_WIRE_OK);
    ck_assert(moves_order_to(SOURCE, EK_MOVE_DROP) && moves_is_told(TARGET, EK_HOLDING_RELEASED, 1));
    ck_assert_move("cancelled");
    ck_assert_ptr_nonnull(strstr(moves_view(moves.number).error, "target"));
    ck_assert_answer("\"state\":\"drained\"");
    ck_assert_int_eq(moves_ask(SHARD, TARGET), EK_WIRE_DENIED);
}
END_TEST

START_TEST(what_the_planner_grants_a_copy_is_limited_by_what_was_set)
{
    static const struct {
        const char *words;
        bool is_less;
    } all[] = {{"balance limit 65536", true}, {"balance limit 1099511627776", false}};
    ck_assert_int_eq(say("drain 0b00"), EK_WIRE_OK);
    ek_broker_peer target = await_copy();
    ck_assert_uint_ne(target, 0);
    uint64_t granted = 0;
    for (const struct ek_move *move = moves.rig.broker->moves; move; move = move->next)
        granted = move->bytes_per_second;
    ck_assert(granted > 65536 && granted < EK_MOVE_RATE_DEFAULT);
    ck_assert_int_eq(say(all[_i].words), EK_WIRE_OK);
    moves_say(target, EK_MOVED_EMPTIED, 0);
    moves_say(SOURCE, EK_MOVED_COPYING, POSITION);
    const struct ek_move_order *pull = moves_order_to(target, EK_MOVE_PULL);
    ck_assert_ptr_nonnull(pull);
    ck_assert_uint_eq(pull->bytes_per_second, all[_i].is_less ? 65536 : granted);
}
END_TEST

/* ---- when somebody goes ---- */

START_TEST(a_drained_worker_that_goes_raises_no_alarm)
{
    ck_assert_int_eq(say("drain 0c00"), EK_WIRE_OK);
    lose(TARGET);
    ck_assert_uint_eq(alarms(), 0);
    ck_assert(worker_of(TARGET).drained && worker_of(TARGET).safe_to_stop);
    ck_assert_int_eq(say("drain 0d00"), EK_WIRE_OK);
    lose(THIRD); /* which holds shards still */
    ck_assert_uint_eq(alarms(), 1);
    ck_assert(!worker_of(THIRD).drained && !worker_of(THIRD).safe_to_stop);
}
END_TEST

START_TEST(a_forgotten_worker_takes_its_drain_with_it_and_no_other)
{
    ck_assert_int_eq(say("drain 0c00"), EK_WIRE_OK);
    ck_assert_int_eq(say("drain 0e00"), EK_WIRE_OK);
    lose(TARGET);
    ck_assert_int_eq(say("forget 0c00"), EK_WIRE_OK);
    const struct ek_action *persist = rig_action(&moves.rig, EK_ACTION_PERSIST, 0);
    ck_assert_uint_eq(persist->persist.count, 2);
    ck_assert_int_eq(persist->persist.records[0].type, EK_RECORD_WORKER_GONE);
    ck_assert_int_eq(persist->persist.records[1].type, EK_RECORD_DRAIN_OVER);
    ck_assert_uint_eq(persist->persist.records[1].worker.bytes[0], TARGET);
    ck_assert(worker_of(FOURTH).draining && !worker_of(THIRD).draining && !worker_of(SOURCE).draining);
    for (int i = 0; i < ROUND_S; i++) {
        for (ek_broker_peer peer = SOURCE; peer <= FOURTH; peer++)
            if (peer != TARGET)
                rig_heartbeat(&moves.rig, peer, moves.links[peer], 100, EK_MIB, 100);
        rig_tick(&moves.rig, 1000000);
    }
    const struct ek_broker *broker = moves.rig.broker;
    ck_assert_uint_eq(broker->moves_open, 1);
    for (const struct ek_move *move = broker->moves; move; move = move->next)
        ck_assert_uint_eq(broker->workers[move->source].id.bytes[0], FOURTH);
}
END_TEST

START_TEST(free_shards_are_given_at_once_and_without_a_copy)
{
    rig_close(&moves.rig);
    rig_open(&moves.rig, NULL, 0);
    moves.links[SOURCE] = rig_join(&moves.rig, SOURCE, 0, NULL);
    moves.links[TARGET] = rig_join(&moves.rig, TARGET, 0, NULL);
    ck_assert_uint_eq(worker_of(SOURCE).shards, RIG_SHARDS / 2);
    ck_assert_int_eq(say("drain 0b00"), EK_WIRE_OK);
    for (int i = 0; i < ROUND_S && worker_of(SOURCE).shards; i++) {
        rig_heartbeat(&moves.rig, SOURCE, moves.links[SOURCE], 100, EK_MIB, 100);
        rig_heartbeat(&moves.rig, TARGET, moves.links[TARGET], 100, EK_MIB, 100);
        rig_tick(&moves.rig, 1000000);
        ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_MOVE), 0);
    }
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_ASSIGN), RIG_SHARDS);
    ck_assert(worker_of(SOURCE).drained);
    ck_assert_uint_eq(worker_of(TARGET).shards, RIG_SHARDS);
    rig_confirm_assigns(&moves.rig, 0);
    moves.links[THIRD] = rig_join(&moves.rig, THIRD, 0, NULL); /* empty shards are spread as workers join, but not to that one */
    ck_assert_uint_eq(worker_of(SOURCE).shards, 0);
    ck_assert_uint_eq(worker_of(THIRD).shards, RIG_SHARDS / 2);
}
END_TEST

/* ---- what outlives the broker ---- */

static enum ek_status load(struct ek_record record)
{
    const struct ek_broker_config config = {.generation = 6, .shards = RIG_SHARDS, .queue_bytes_max = EK_QUEUE_BYTES_MIN};
    const struct ek_record records[] = {{.type = EK_RECORD_WORKER, .number = 1, .worker = {{SOURCE}}}, record};
    struct ek_broker *broker = NULL;
    enum ek_status status = ek_broker_new(&config, records, 2, &broker);
    ek_broker_destroy(&broker);
    return status;
}

START_TEST(records_that_cannot_be_are_refused)
{
    ck_assert_int_eq(load((struct ek_record){.type = EK_RECORD_DRAIN, .worker = {{SOURCE}}}), EK_OK);
    ck_assert_int_eq(load((struct ek_record){.type = EK_RECORD_DRAIN, .worker = {{TARGET}}}), EK_CORRUPT);
    ck_assert_int_eq(load((struct ek_record){.type = EK_RECORD_SETTING, .setting = EK_SETTING_MOVES_PAUSED}), EK_OK);
    ck_assert_int_eq(load((struct ek_record){.type = EK_RECORD_SETTING, .setting = EK_SETTINGS}), EK_CORRUPT);
}
END_TEST

START_TEST(a_new_broker_goes_on_with_drains_and_settings)
{
    const struct ek_record records[] = {
        {.type = EK_RECORD_WORKER, .number = 1, .worker = {{SOURCE}}},
        {.type = EK_RECORD_ASSIGNMENT, .shard = 0, .number = 1, .worker = {{SOURCE}}},
        {.type = EK_RECORD_FLOOR, .shard = 0, .number = POSITION},
        {.type = EK_RECORD_DRAIN, .worker = {{SOURCE}}},
        {.type = EK_RECORD_SETTING, .setting = EK_SETTING_COPY_BYTES_PER_SECOND, .number = 65536},
    };
    rig_close(&moves.rig);
    rig_open(&moves.rig, records, sizeof records / sizeof *records);
    ck_assert_int_eq(say("balance status"), EK_WIRE_OK);
    ck_assert_answer("\"balance\":\"off\",\"moves_paused\":false,\"copy_limit_bytes_per_second\":65536");
    moves.links[SOURCE] = rig_join(&moves.rig, SOURCE, POSITION, (const int[]){0, -1});
    ck_assert_uint_eq(worker_of(SOURCE).shards, 1); /* of the free ones it got none */
    ck_assert_int_eq(say("drain 0b00 --status"), EK_WIRE_OK);
    ck_assert_answer("\"state\":\"draining\",\"shards_left\":1");
}
END_TEST

START_TEST(settings_are_written_when_they_change)
{
    static const struct {
        const char *words;
        enum ek_setting setting;
        uint64_t value;
    } all[] = {{"balance on", EK_SETTING_BALANCE_OFF, 0},
               {"balance off", EK_SETTING_BALANCE_OFF, 1},
               {"balance pause", EK_SETTING_MOVES_PAUSED, 1},
               {"balance resume", EK_SETTING_MOVES_PAUSED, 0},
               {"balance limit 5", EK_SETTING_COPY_BYTES_PER_SECOND, 5},
               {"balance limit 0", EK_SETTING_COPY_BYTES_PER_SECOND, 0}};
    static const char *const wrong[] = {"balance",       "balance up",      "balance on off",
                                        "balance limit", "balance limit x", "balance limit 99999999999999999999999"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        ck_assert_int_eq(say(all[i].words), EK_WIRE_OK);
        ck_assert_int_eq(written().type, EK_RECORD_SETTING);
        ck_assert_int_eq(written().setting, all[i].setting);
        ck_assert_uint_eq(written().number, all[i].value);
        ck_assert_int_eq(say(all[i].words), EK_WIRE_OK);
        ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_PERSIST), 0);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_int_eq(say(wrong[i]), EK_WIRE_USAGE);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_PERSIST), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("drain");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, moves_setup, moves_teardown);
    tcase_add_test(tests, a_drain_is_written_down_once_and_taken_back_once);
    tcase_add_test(tests, what_cannot_be_drained_is_said);
    tcase_add_test(tests, a_drain_that_disks_cannot_take_is_refused);
    tcase_add_test(tests, it_gives_everything_and_says_when_it_may_stop);
    tcase_add_test(tests, nothing_begins_while_moves_are_paused);
    tcase_add_test(tests, a_cancelled_drain_ends_its_own_moves_and_plans_no_more);
    tcase_add_test(tests, a_target_that_begins_to_drain_gets_nothing_more);
    tcase_add_loop_test(tests, what_the_planner_grants_a_copy_is_limited_by_what_was_set, 0, 2);
    tcase_add_test(tests, a_drained_worker_that_goes_raises_no_alarm);
    tcase_add_test(tests, a_forgotten_worker_takes_its_drain_with_it_and_no_other);
    tcase_add_test(tests, free_shards_are_given_at_once_and_without_a_copy);
    tcase_add_test(tests, records_that_cannot_be_are_refused);
    tcase_add_test(tests, a_new_broker_goes_on_with_drains_and_settings);
    tcase_add_test(tests, settings_are_written_when_they_change);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
