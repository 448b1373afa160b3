/* Which worker holds which shard, what the broker believes of it, and whom it lets in: the core, driven by events only. */
#include "broker/metrics.h"
#include "tests/support/broker_rig.h"
#include "tests/support/run_suite.h"

#include <check.h>
#include <string.h>

enum { WORKER = 11, OTHER_WORKER = 12, CLIENT = 21, GENERATION = 5 /* the rig's */ };

static struct rig rig;

static void setup(void)
{
    rig_open(&rig, NULL, 0);
}

static void teardown(void)
{
    struct ek_ledger ledger;
    ck_assert(rig_balanced(&rig, &ledger));
    rig_close(&rig);
}

static void count_shards(size_t counts[3])
{
    struct ek_snapshot *snapshot = ek_snapshot_take(rig.broker, rig.now_us);
    memset(counts, 0, 3 * sizeof *counts);
    for (size_t i = 0; i < snapshot->shard_count; i++)
        counts[snapshot->shards[i].worker]++;
    ek_snapshot_destroy(&snapshot);
}

START_TEST(empty_shards_are_spread_evenly_and_durably_before_they_are_announced)
{
    size_t counts[3];
    rig_join(&rig, WORKER, 0, NULL);
    struct ek_link link = rig_hello(&rig, OTHER_WORKER, 1);
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_WORKER_REPORT, .peer = OTHER_WORKER, .link = link});
    size_t persist = 0;
    while (persist < rig.action_count && rig.actions[persist].type != EK_ACTION_PERSIST)
        persist++;
    for (size_t i = 0; i < persist; i++)
        ck_assert_int_ne(rig.actions[i].type, EK_ACTION_WORKER_ASSIGN);
    ck_assert_uint_eq(rig.actions[persist].persist.count, RIG_SHARDS / 2);
    ck_assert_uint_eq(rig.actions[persist].persist.records[0].number, 2); /* the epoch was raised */
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_ASSIGN), 2);
    rig_confirm_assigns(&rig, 0);
    count_shards(counts);
    ck_assert_uint_eq(counts[0], RIG_SHARDS / 2);
    ck_assert_uint_eq(counts[1], RIG_SHARDS / 2);
}
END_TEST

START_TEST(a_worker_that_joins_before_the_first_has_confirmed_gets_its_share)
{
    size_t counts[3];
    struct ek_link first = rig_hello(&rig, WORKER, 1);
    struct ek_link second = rig_hello(&rig, OTHER_WORKER, 1);
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_WORKER_REPORT, .peer = WORKER, .link = first});
    struct ek_holding holdings[RIG_SHARDS];
    const struct ek_action *assign = rig_action(&rig, EK_ACTION_WORKER_ASSIGN, 0);
    ck_assert_uint_eq(assign->assign.count, RIG_SHARDS);
    memcpy(holdings, assign->assign.holdings, sizeof holdings);
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_WORKER_REPORT, .peer = OTHER_WORKER, .link = second});
    rig_step(&rig, (struct ek_event){
                       .type = EK_EVENT_WORKER_ASSIGNED, .peer = WORKER, .link = first, .holdings = holdings, .count = RIG_SHARDS});
    count_shards(counts);
    ck_assert_uint_eq(counts[0], RIG_SHARDS / 2);
    ck_assert_uint_eq(counts[1], RIG_SHARDS / 2);
}
END_TEST

START_TEST(shards_with_data_stay_where_they_are)
{
    size_t counts[3];
    struct ek_link link = rig_join(&rig, WORKER, 0, NULL);
    for (uint16_t i = 0; i < RIG_SHARDS; i++)
        rig_write(&rig, CLIENT, i, 0, 0);
    rig_dispatch(&rig);
    (void)link;
    rig_join(&rig, OTHER_WORKER, 0, NULL);
    count_shards(counts);
    ck_assert_uint_eq(counts[0], RIG_SHARDS);
}
END_TEST

/* The worker that loses the shard may answer still, but nobody listens to it any more. */
START_TEST(a_read_on_an_empty_shard_that_changes_hands_is_sent_to_the_new_holder)
{
    struct ek_link link = rig_join(&rig, WORKER, 0, NULL);
    uint64_t tokens[RIG_SHARDS];
    for (uint16_t i = 0; i < RIG_SHARDS; i++)
        rig_read(&rig, CLIENT, i, 0, 0);
    rig_dispatch(&rig);
    for (uint16_t i = 0; i < RIG_SHARDS; i++)
        tokens[i] = rig_sent(&rig, i)->token;
    rig_join(&rig, OTHER_WORKER, 0, NULL);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), RIG_SHARDS / 2);
    ck_assert_uint_eq(rig_action(&rig, EK_ACTION_WORKER_JOB, 0)->peer, OTHER_WORKER);
    size_t answered = 0;
    for (uint16_t i = 0; i < RIG_SHARDS; i++) {
        rig_reply(&rig, WORKER, link, tokens[i], EK_WIRE_OK, 0);
        answered += rig_count(&rig, EK_ACTION_REPLY);
    }
    ck_assert_uint_eq(answered, RIG_SHARDS / 2);
}
END_TEST

START_TEST(a_worker_that_is_away_keeps_its_shards_even_if_they_were_empty)
{
    size_t counts[3];
    rig_join(&rig, WORKER, 0, NULL);
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = WORKER});
    rig_join(&rig, OTHER_WORKER, 0, NULL);
    count_shards(counts);
    ck_assert_uint_eq(counts[0], RIG_SHARDS);
}
END_TEST

static enum ek_shard_state state_of_first_shard(void)
{
    struct ek_snapshot *snapshot = ek_snapshot_take(rig.broker, rig.now_us);
    enum ek_shard_state state = snapshot->shards[0].state;
    ek_snapshot_destroy(&snapshot);
    return state;
}

START_TEST(a_position_below_the_acknowledged_floor_is_quarantined)
{
    struct ek_record records[] = {{.type = EK_RECORD_WORKER, .number = 1, .worker = {{WORKER}}},
                                  {.type = EK_RECORD_ASSIGNMENT, .shard = 0, .number = 1, .worker = {{WORKER}}},
                                  {.type = EK_RECORD_FLOOR, .shard = 0, .number = 10}};
    rig_close(&rig);
    rig_open(&rig, records, 3);
    const int shards[] = {0, -1};
    rig_join(&rig, WORKER, 9, shards);
    struct ek_snapshot *snapshot = ek_snapshot_take(rig.broker, rig.now_us);
    ck_assert_int_eq(snapshot->shards[0].state, EK_SHARD_QUARANTINED);
    ck_assert_int_eq(snapshot->shards[1].state, EK_SHARD_SERVING);
    ck_assert_uint_ge(snapshot->alarm_count, 1);
    ek_snapshot_destroy(&snapshot);
    rig_write(&rig, CLIENT, 0, 0, 0);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 0);
}
END_TEST

/* Its clone has completed the copy: what this one has of the shard is a part of it, or what an earlier role left. */
START_TEST(a_holder_without_the_rows_is_quarantined_whatever_its_position)
{
    static const enum ek_holding_state states[] = {EK_HOLDING_FILLING, EK_HOLDING_RELEASED};
    struct ek_record records[] = {{.type = EK_RECORD_WORKER, .number = 1, .worker = {{WORKER}}},
                                  {.type = EK_RECORD_ASSIGNMENT, .shard = 0, .number = 5, .worker = {{WORKER}}},
                                  {.type = EK_RECORD_FLOOR, .shard = 0, .number = 10}};
    struct ek_holding holding = {.shard = 0, .epoch = 4, .position = 10, .state = states[_i]};
    rig_close(&rig);
    rig_open(&rig, records, 3);
    struct ek_link link = rig_hello(&rig, WORKER, 1);
    rig_step(&rig,
             (struct ek_event){.type = EK_EVENT_WORKER_REPORT, .peer = WORKER, .link = link, .holdings = &holding, .count = 1});
    ck_assert_int_eq(state_of_first_shard(), EK_SHARD_QUARANTINED);
}
END_TEST

START_TEST(a_restarted_broker_goes_on_at_the_reported_position)
{
    struct ek_record records[] = {{.type = EK_RECORD_WORKER, .number = 1, .worker = {{WORKER}}},
                                  {.type = EK_RECORD_ASSIGNMENT, .shard = 0, .number = 1, .worker = {{WORKER}}},
                                  {.type = EK_RECORD_FLOOR, .shard = 0, .number = 10}};
    rig_close(&rig);
    rig_open(&rig, records, 3);
    const int shards[] = {0, -1};
    rig_join(&rig, WORKER, 12, shards);
    rig_write(&rig, CLIENT, 0, 0, 0);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_sent(&rig, 0)->position, 13);
}
END_TEST

/* Its own generation too, from a worker that it did not welcome: a broker with a newer directory did. */
START_TEST(a_worker_that_knows_a_later_generation_or_this_one_already_ends_this_broker)
{
    struct ek_worker_hello hello = {.incarnation = 1, .capacity_milli = 1000, .generation = (uint64_t)_i};
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_WORKER_HELLO, .peer = WORKER, .worker_hello = &hello});
    ck_assert_int_eq(rig_action(&rig, EK_ACTION_END, 0) != NULL, _i >= GENERATION);
    ck_assert_int_eq(rig_action(&rig, EK_ACTION_WORKER_WELCOME, 0) != NULL, _i < GENERATION);
}
END_TEST

START_TEST(an_epoch_above_its_own_ends_this_broker)
{
    struct ek_link link = rig_hello(&rig, WORKER, 1);
    struct ek_holding holding = {.shard = 1, .epoch = 1, .state = EK_HOLDING_SERVING}; /* nobody was given it here */
    rig_step(&rig,
             (struct ek_event){.type = EK_EVENT_WORKER_REPORT, .peer = WORKER, .link = link, .holdings = &holding, .count = 1});
    ck_assert_ptr_nonnull(rig_action(&rig, EK_ACTION_END, 0));
}
END_TEST

START_TEST(a_worker_of_another_cluster_is_refused)
{
    struct ek_worker_hello hello = {.incarnation = 1, .capacity_milli = 1000, .has_cluster = true, .cluster = {{9}}};
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_WORKER_HELLO, .peer = WORKER, .worker_hello = &hello});
    ck_assert_int_eq(rig_action(&rig, EK_ACTION_WORKER_REFUSED, 0)->refusal->status, EK_WIRE_DENIED);
    ck_assert_ptr_null(rig_action(&rig, EK_ACTION_WORKER_WELCOME, 0));
}
END_TEST

static void report_nothing(struct ek_link link)
{
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_WORKER_REPORT, .peer = WORKER, .link = link});
}

START_TEST(a_report_of_a_lower_incarnation_quarantines_its_shards)
{
    rig_join(&rig, WORKER, 0, NULL);
    rig_hello(&rig, WORKER, 3);
    report_nothing(rig_hello(&rig, WORKER, 2));
    ck_assert_int_eq(state_of_first_shard(), EK_SHARD_QUARANTINED);
}
END_TEST

/* A process that is gone may have left it on its connection; it cannot answer. */
START_TEST(a_late_hello_of_an_earlier_start_quarantines_nothing)
{
    rig_join(&rig, WORKER, 0, NULL);
    rig_hello(&rig, WORKER, 3);
    rig_hello(&rig, WORKER, 2);
    report_nothing(rig_hello(&rig, WORKER, 3));
    ck_assert_int_eq(state_of_first_shard(), EK_SHARD_OPENING);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("links");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, empty_shards_are_spread_evenly_and_durably_before_they_are_announced);
    tcase_add_test(tests, a_worker_that_joins_before_the_first_has_confirmed_gets_its_share);
    tcase_add_test(tests, shards_with_data_stay_where_they_are);
    tcase_add_test(tests, a_read_on_an_empty_shard_that_changes_hands_is_sent_to_the_new_holder);
    tcase_add_test(tests, a_worker_that_is_away_keeps_its_shards_even_if_they_were_empty);
    tcase_add_test(tests, a_position_below_the_acknowledged_floor_is_quarantined);
    tcase_add_loop_test(tests, a_holder_without_the_rows_is_quarantined_whatever_its_position, 0, 2);
    tcase_add_test(tests, a_restarted_broker_goes_on_at_the_reported_position);
    tcase_add_loop_test(tests, a_worker_that_knows_a_later_generation_or_this_one_already_ends_this_broker, GENERATION - 1,
                        GENERATION + 2);
    tcase_add_test(tests, an_epoch_above_its_own_ends_this_broker);
    tcase_add_test(tests, a_worker_of_another_cluster_is_refused);
    tcase_add_test(tests, a_report_of_a_lower_incarnation_quarantines_its_shards);
    tcase_add_test(tests, a_late_hello_of_an_earlier_start_quarantines_nothing);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
