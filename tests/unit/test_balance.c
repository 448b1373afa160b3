/* What the broker shows its planner and what it does with its word: loads as they are measured, moves that begin by themselves. */
#include "broker/balance.h"
#include "tests/support/broker_rig.h"
#include "tests/support/moves_rig.h"
#include "tests/support/run_suite.h"

#include <check.h>
#include <math.h>
#include <string.h>

enum { SETTLED_S = 12, ROUND_S = 6, ARRIVALS = 10, DONE = 5, SERVICE_US = 2000 };
#define GIB     (1024ull * EK_MIB)
#define BUSY_US ((double)ARRIVALS * SERVICE_US) /* of one second */

static struct ek_shard_load load;

static void setup(void)
{
    moves_setup();
    load = (struct ek_shard_load){.shard = SHARD};
}

/* ---- what a shard costs ---- */

static void arrive(unsigned jobs)
{
    for (unsigned i = 0; i < jobs; i++)
        (void)rig_write(&moves.rig, CLIENT, SHARD, 0, 0);
}

static void all_are_heard(ek_broker_peer holder)
{
    for (ek_broker_peer peer = SOURCE; peer <= FOURTH; peer++)
        rig_load(&moves.rig, peer, moves.links[peer], &load, peer == holder);
}

/* Jobs arrive for SHARD, and its holder tells of it. */
static void one_second(ek_broker_peer holder, unsigned arrivals)
{
    arrive(arrivals);
    rig_tick(&moves.rig, 500000);
    all_are_heard(holder);
    rig_tick(&moves.rig, 500000);
}

/* The holder does half of what arrives. */
static void work_in(ek_broker_peer holder, uint64_t service_us)
{
    for (int i = 0; i < SETTLED_S; i++) {
        load.operations += DONE;
        load.busy_us += DONE * service_us;
        one_second(holder, ARRIVALS);
    }
}

static void work(ek_broker_peer holder)
{
    work_in(holder, SERVICE_US);
}

/* Likewise, without an answer in all that time. */
static void stand_still(ek_broker_peer holder)
{
    for (int i = 0; i < SETTLED_S; i++)
        one_second(holder, ARRIVALS);
}

static double busy_us(uint16_t shard)
{
    struct ek_snapshot *snapshot = ek_snapshot_take(moves.rig.broker, moves.rig.now_us);
    double busy = snapshot->shards[shard].busy_us;
    ek_snapshot_destroy(&snapshot);
    return busy;
}

#define ck_assert_busy(wanted) ck_assert_double_eq_tol(busy_us(SHARD), wanted, BUSY_US / 100)

START_TEST(busy_time_is_what_arrives_times_what_one_takes)
{
    one_second(SOURCE, 0);
    ck_assert_busy(0);
    work(SOURCE);
    ck_assert_busy(BUSY_US); /* twice of what it does */
    ck_assert_double_eq(ek_balance_busy_us(moves.rig.broker, SHARD - 1), 0);
    stand_still(SOURCE);
    ck_assert_busy(BUSY_US);
}
END_TEST

START_TEST(what_takes_longer_is_believed_by_and_by)
{
    work(SOURCE);
    load.operations += DONE;
    load.busy_us += 3ull * DONE * SERVICE_US;
    one_second(SOURCE, ARRIVALS);
    stand_still(SOURCE);
    ck_assert_busy(BUSY_US * (1 + 2.0 / 12)); /* the mean of eleven times 1 and once 3 */
}
END_TEST

/* As a worker counts that has had the shard before, or does more of it in a second than any. */
static void count_otherwise(void)
{
    load.operations += 1000000;
    load.busy_us += UINT64_C(9000000000);
    load.bytes_in += UINT64_C(1) << 40;
}

static void move_to_target(void)
{
    moves_begin();
    moves_copy(POSITION);
    moves_say(TARGET, EK_MOVED_COMPLETE, POSITION);
    moves_check_switch();
    moves_serves(TARGET, POSITION);
}

START_TEST(another_holder_counts_from_elsewhere)
{
    work(SOURCE);
    move_to_target();
    count_otherwise();
    stand_still(TARGET);
    ck_assert_busy(BUSY_US);
    work(TARGET);
    ck_assert_busy(BUSY_US);
}
END_TEST

/* A worker with less to do takes longer for it. */
START_TEST(an_operation_costs_the_same_wherever_its_shard_is)
{
    work(SOURCE);
    work(SOURCE);
    move_to_target();
    stand_still(TARGET);
    work_in(TARGET, SERVICE_US * 3 / 2);
    ck_assert_busy(BUSY_US);
}
END_TEST

/* Two shards of one worker, in one of which an operation is three times the work. */
static void work_unevenly(void)
{
    struct ek_shard_load both[2] = {{.shard = SHARD - 1}, load};
    for (int i = 0; i < SETTLED_S; i++) {
        for (int of = 0; of < 2; of++)
            both[of].operations += DONE;
        both[0].busy_us += UINT64_C(3) * DONE * SERVICE_US;
        both[1].busy_us += (uint64_t)DONE * SERVICE_US;
        arrive(ARRIVALS);
        rig_tick(&moves.rig, 500000);
        for (ek_broker_peer peer = SOURCE; peer <= FOURTH; peer++)
            rig_load(&moves.rig, peer, moves.links[peer], both, peer == SOURCE ? 2 : 0);
        rig_tick(&moves.rig, 500000);
    }
    load = both[1];
}

START_TEST(an_operation_that_is_less_work_counts_less_also_when_its_shard_moves)
{
    work_unevenly();
    ck_assert_busy(BUSY_US);
    move_to_target();
    stand_still(TARGET);
    ck_assert_busy(BUSY_US);
}
END_TEST

/* Workers whose links are meant to last say so less often. THIRD is 125 times as slow, and half busy: the root of what is beyond
 * one and a half times is believed.
 */
START_TEST(how_often_a_worker_is_heard_does_not_matter)
{
    enum { APART = 3, OTHER = 4, SLOWER = 125 }; /* half seconds from one heartbeat of THIRD to the next */
    struct ek_shard_load slow = {.shard = OTHER};
    for (int half = 0; half < 8 * SETTLED_S; half++) {
        if (half % 2 == 0) {
            arrive(ARRIVALS);
            for (int i = 0; i < ARRIVALS; i++)
                (void)rig_write(&moves.rig, CLIENT, OTHER, 0, 0);
            load.operations += DONE;
            load.busy_us += (uint64_t)DONE * SERVICE_US;
        }
        slow.operations++;
        slow.busy_us += (uint64_t)SLOWER * SERVICE_US;
        rig_tick(&moves.rig, 500000);
        rig_load(&moves.rig, SOURCE, moves.links[SOURCE], &load, 1);
        rig_load(&moves.rig, TARGET, moves.links[TARGET], NULL, 0);
        rig_load(&moves.rig, FOURTH, moves.links[FOURTH], NULL, 0);
        if (half % APART == 0)
            rig_load(&moves.rig, THIRD, moves.links[THIRD], &slow, 1);
    }
    ck_assert_busy(BUSY_US);
    ck_assert_double_eq_tol(busy_us(OTHER), BUSY_US * sqrt(SLOWER / 1.5), BUSY_US * 2);
}
END_TEST

START_TEST(another_link_counts_from_elsewhere)
{
    work(SOURCE);
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = SOURCE});
    moves_come(SOURCE);
    count_otherwise();
    stand_still(SOURCE);
    ck_assert_busy(BUSY_US);
}
END_TEST

START_TEST(counters_that_fall_say_nothing)
{
    work(SOURCE);
    load = (struct ek_shard_load){.shard = SHARD, .operations = 3, .busy_us = 7};
    stand_still(SOURCE);
    ck_assert_busy(BUSY_US);
    work(SOURCE);
    ck_assert_busy(BUSY_US);
}
END_TEST

START_TEST(who_is_not_heard_says_nothing)
{
    work(SOURCE);
    for (int i = 0; i < SETTLED_S; i++) {
        arrive(5 * ARRIVALS);
        rig_tick(&moves.rig, 1000000); /* short enough for the link to last */
        all_are_heard(SOURCE);
        one_second(SOURCE, ARRIVALS);
    }
    ck_assert_busy(BUSY_US);
    ck_assert_double_finite(ek_balance_plan(moves.rig.broker)->loads[0].utilisation[EK_PLAN_WRITES]);
}
END_TEST

/* ---- what is done ---- */

static const struct ek_move *last_move(void)
{
    const struct ek_move *last = moves.rig.broker->moves;
    while (last && last->next)
        last = last->next;
    return last;
}

static void let_rounds_pass(unsigned count)
{
    moves_let_time_pass((uint64_t)count * ROUND_S);
}

START_TEST(an_empty_worker_is_filled_once_balancing_is_on)
{
    let_rounds_pass(3);
    const struct ek_plan *plan = ek_balance_plan(moves.rig.broker);
    ck_assert_ptr_null(last_move());
    ck_assert_int_eq(plan->quiet, EK_RULE_OFF);
    ck_assert_uint_gt(plan->count, 0); /* what it would do */
    ck_assert_uint_eq(moves.rig.broker->workers[plan->entries[0].target].id.bytes[0], TARGET);
    ck_assert_int_eq(rig_command(&moves.rig, "balance on", NULL), EK_WIRE_OK);
    let_rounds_pass(1);
    const struct ek_move *move = last_move();
    ck_assert_ptr_nonnull(move);
    ck_assert_int_eq(move->reason, EK_MOVE_BALANCE);
    ck_assert_uint_eq(moves.rig.broker->workers[move->target].id.bytes[0], TARGET);
}
END_TEST

START_TEST(an_even_cluster_at_rest_plans_nothing)
{
    static const int halves[2][5] = {{0, 1, 2, 3, -1}, {4, 5, 6, 7, -1}};
    struct ek_record records[3 * RIG_SHARDS];
    size_t count = 0;
    for (uint8_t i = 0; i < 2; i++)
        records[count++] = (struct ek_record){.type = EK_RECORD_WORKER, .number = 1, .worker = {{(uint8_t)(SOURCE + i)}}};
    for (uint8_t i = 0; i < RIG_SHARDS; i++) {
        records[count++] = (struct ek_record){
            .type = EK_RECORD_ASSIGNMENT, .shard = i, .number = 1, .worker = {{(uint8_t)(SOURCE + i / (RIG_SHARDS / 2))}}};
        records[count++] = (struct ek_record){.type = EK_RECORD_FLOOR, .shard = i, .number = POSITION};
    }
    rig_close(&moves.rig);
    rig_open(&moves.rig, records, count);
    ck_assert_int_eq(rig_command(&moves.rig, "balance on", NULL), EK_WIRE_OK);
    for (ek_broker_peer peer = SOURCE; peer <= TARGET; peer++)
        moves.links[peer] = rig_join(&moves.rig, peer, POSITION, halves[peer - SOURCE]);
    for (int i = 0; i < 120; i++) {
        for (ek_broker_peer peer = SOURCE; peer <= TARGET; peer++)
            rig_heartbeat(&moves.rig, peer, moves.links[peer], 100, EK_MIB, 100);
        rig_tick(&moves.rig, 1000000);
        ck_assert_uint_eq(ek_balance_plan(moves.rig.broker)->count, 0);
    }
    ck_assert_uint_gt(ek_balance_plan(moves.rig.broker)->round, 20);
    ck_assert_ptr_null(last_move());
}
END_TEST

START_TEST(when_one_move_ends_the_next_begins_in_the_same_step_with_another_shard)
{
    ck_assert_int_eq(rig_command(&moves.rig, "balance on", NULL), EK_WIRE_OK);
    let_rounds_pass(1);
    const struct ek_move *first = last_move();
    ck_assert_ptr_nonnull(first);
    uint16_t shard = first->shard;
    uint64_t number = first->number;
    ck_assert_int_eq(rig_command(&moves.rig, "drain 0b00", NULL), EK_WIRE_OK);
    let_rounds_pass(1);
    ck_assert_int_eq(moves_cancel(number), EK_WIRE_OK);
    ck_assert_uint_gt(last_move()->number, number);
    ck_assert_uint_ne(last_move()->shard, shard);
    ck_assert_int_eq(last_move()->phase, EK_MOVE_COPYING);
}
END_TEST

START_TEST(a_shard_whose_move_failed_rests)
{
    ck_assert_int_eq(rig_command(&moves.rig, "drain 0b00", NULL), EK_WIRE_OK);
    let_rounds_pass(1);
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(moves.rig.broker->moves_open, 1);
        ck_assert_int_eq(moves_cancel(last_move()->number), EK_WIRE_OK);
    }
    let_rounds_pass(4);
    ck_assert_uint_eq(moves.rig.broker->moves_open, 0);
    let_rounds_pass(8);
    ck_assert_uint_eq(moves.rig.broker->moves_open, 1);
}
END_TEST

START_TEST(a_worker_that_is_forgotten_takes_no_other_ones_place_in_the_plan)
{
    ck_assert_int_eq(rig_command(&moves.rig, "drain 0c00", NULL), EK_WIRE_OK);
    ck_assert_int_eq(rig_command(&moves.rig, "drain 0d00", NULL), EK_WIRE_OK);
    let_rounds_pass(1);
    const struct ek_plan *plan = ek_balance_plan(moves.rig.broker);
    ck_assert_uint_eq(plan->count, 1); /* the other one is under way */
    ck_assert_int_eq(plan->entries[0].target, FOURTH - SOURCE);
    uint64_t under_way = last_move()->number;
    rig_step(&moves.rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = TARGET});
    ck_assert_int_eq(rig_command(&moves.rig, "forget 0c00", NULL), EK_WIRE_OK); /* FOURTH is the second one now */
    ck_assert_int_eq(moves_cancel(under_way), EK_WIRE_OK);
    ck_assert_uint_gt(last_move()->number, under_way);
    ck_assert_int_eq(last_move()->target, TARGET - SOURCE);
    ck_assert_uint_eq(moves.rig.broker->workers[last_move()->target].id.bytes[0], FOURTH);
}
END_TEST

/* The rate of the drain's copy that begins. */
static uint64_t granted_rate(void)
{
    let_rounds_pass(1); /* what was planned before is forgotten */
    ck_assert_int_eq(rig_command(&moves.rig, "drain 0b00", NULL), EK_WIRE_OK);
    for (int i = 0; i < ROUND_S && !moves.rig.broker->moves_open; i++)
        one_second(0, 0);
    ck_assert_uint_eq(moves.rig.broker->moves_open, 1);
    uint64_t rate = last_move()->bytes_per_second;
    ck_assert_int_eq(rig_command(&moves.rig, "drain 0b00 --cancel", NULL), EK_WIRE_OK);
    ck_assert_uint_eq(moves.rig.broker->moves_open, 0);
    return rate;
}

START_TEST(copies_are_slower_while_clients_wait)
{
    uint64_t usual = granted_rate();
    ck_assert_uint_gt(usual, 0);
    (void)rig_write(&moves.rig, CLIENT, SHARD, 0, 0); /* it is not sent */
    uint64_t late = (uint64_t)((double)ek_plan_rules.rate_bytes * ek_plan_rules.copy_share_late);
    ck_assert_uint_lt(late, usual);
    ck_assert_uint_eq(granted_rate(), late);
    rig_dispatch(&moves.rig);
    ck_assert_uint_eq(granted_rate(), usual);
}
END_TEST

/* All but SOURCE say so. */
static void others_say(struct ek_heartbeat heartbeat)
{
    for (ek_broker_peer peer = TARGET; peer <= FOURTH; peer++) {
        heartbeat.link = moves.links[peer];
        rig_step(
            &moves.rig,
            (struct ek_event){.type = EK_EVENT_WORKER_HEARTBEAT, .peer = peer, .link = moves.links[peer], .heartbeat = &heartbeat});
    }
}

START_TEST(a_worker_that_takes_no_writes_for_long_has_no_room)
{
    struct ek_heartbeat heartbeat = {
        .credit_jobs = 100, .credit_bytes = EK_MIB, .disk_total_bytes = 100 * GIB, .disk_free_bytes = 50 * GIB};
    others_say(heartbeat);
    ck_assert_ptr_null(ek_balance_why_no_drain(moves.rig.broker, 0));
    heartbeat.credit_bytes = 0;
    for (int second = 0; second < 10; second++) {
        others_say(heartbeat); /* storage that stands still for a moment is not a disk that is full */
        ck_assert_ptr_null(ek_balance_why_no_drain(moves.rig.broker, 0));
        rig_heartbeat(&moves.rig, SOURCE, moves.links[SOURCE], 100, EK_MIB, 100);
        rig_tick(&moves.rig, 1000000);
    }
    others_say(heartbeat);
    ck_assert_ptr_nonnull(strstr(ek_balance_why_no_drain(moves.rig.broker, 0), "disks"));
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("balance");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, moves_teardown);
    tcase_add_test(tests, busy_time_is_what_arrives_times_what_one_takes);
    tcase_add_test(tests, what_takes_longer_is_believed_by_and_by);
    tcase_add_test(tests, another_holder_counts_from_elsewhere);
    tcase_add_test(tests, an_operation_costs_the_same_wherever_its_shard_is);
    tcase_add_test(tests, an_operation_that_is_less_work_counts_less_also_when_its_shard_moves);
    tcase_add_test(tests, how_often_a_worker_is_heard_does_not_matter);
    tcase_add_test(tests, another_link_counts_from_elsewhere);
    tcase_add_test(tests, counters_that_fall_say_nothing);
    tcase_add_test(tests, who_is_not_heard_says_nothing);
    tcase_add_test(tests, an_empty_worker_is_filled_once_balancing_is_on);
    tcase_add_test(tests, an_even_cluster_at_rest_plans_nothing);
    tcase_add_test(tests, when_one_move_ends_the_next_begins_in_the_same_step_with_another_shard);
    tcase_add_test(tests, a_shard_whose_move_failed_rests);
    tcase_add_test(tests, a_worker_that_is_forgotten_takes_no_other_ones_place_in_the_plan);
    tcase_add_test(tests, copies_are_slower_while_clients_wait);
    tcase_add_test(tests, a_worker_that_takes_no_writes_for_long_has_no_room);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
