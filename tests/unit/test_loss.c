/* Quarantine, accepted losses and forgotten workers, held against the broker's core. */
#include "broker/loss.h"
#include "tests/support/broker_rig.h"
#include "tests/support/run_suite.h"

#include <check.h>
#include <string.h>

enum { WORKER = 11, OTHER_WORKER = 12, CLIENT = 21, SHARD = 0, FLOOR = 10 };

static struct rig rig;
/* What the broker wrote, as a restart would find it. */
static struct ek_record kept[64];
static size_t kept_count;

static bool is_of_worker(const struct ek_record *record)
{
    return record->type == EK_RECORD_WORKER || record->type == EK_RECORD_WORKER_GONE;
}

static bool same_record(const struct ek_record *a, const struct ek_record *b)
{
    if (is_of_worker(a) != is_of_worker(b))
        return false;
    if (is_of_worker(a))
        return memcmp(a->worker.bytes, b->worker.bytes, sizeof a->worker.bytes) == 0;
    return a->type == b->type && a->shard == b->shard;
}

static void keep_record(const struct ek_record *record)
{
    size_t at = 0;
    while (at < kept_count && !same_record(&kept[at], record))
        at++;
    if (record->type == EK_RECORD_WORKER_GONE) {
        if (at < kept_count)
            kept[at] = kept[--kept_count];
        return;
    }
    kept_count += at == kept_count;
    kept[at] = *record;
}

/* Of the last step. */
static void keep_records(void)
{
    const struct ek_action *action;
    for (size_t n = 0; (action = rig_action(&rig, EK_ACTION_PERSIST, n)); n++)
        for (size_t i = 0; i < action->persist.count; i++)
            keep_record(&action->persist.records[i]);
}

static void restart(void)
{
    rig_close(&rig);
    rig_open(&rig, kept, kept_count);
}

/* WORKER held SHARD, of which FLOOR positions were acknowledged. */
static void setup(void)
{
    const struct ek_record records[] = {{.type = EK_RECORD_WORKER, .number = 1, .worker = {{WORKER}}},
                                        {.type = EK_RECORD_ASSIGNMENT, .shard = SHARD, .number = 1, .worker = {{WORKER}}},
                                        {.type = EK_RECORD_FLOOR, .shard = SHARD, .number = FLOOR}};
    memcpy(kept, records, sizeof records);
    kept_count = 3;
    rig_open(&rig, kept, kept_count);
}

static void teardown(void)
{
    struct ek_ledger ledger;
    ck_assert(rig_balanced(&rig, &ledger));
    rig_close(&rig);
}

static enum ek_shard_state state_of(uint16_t shard)
{
    struct ek_snapshot *snapshot = ek_snapshot_take(rig.broker, rig.now_us);
    enum ek_shard_state state = snapshot->shards[shard].state;
    ek_snapshot_destroy(&snapshot);
    return state;
}

static bool has_alarm(const char *code)
{
    bool found = false;
    struct ek_snapshot *snapshot = ek_snapshot_take(rig.broker, rig.now_us);
    for (size_t i = 0; i < snapshot->alarm_count; i++)
        found = found || strcmp(snapshot->alarms[i].code, code) == 0;
    ek_snapshot_destroy(&snapshot);
    return found;
}

static size_t workers_known(void)
{
    struct ek_snapshot *snapshot = ek_snapshot_take(rig.broker, rig.now_us);
    size_t count = snapshot->worker_count;
    ek_snapshot_destroy(&snapshot);
    return count;
}

/* WORKER comes with `position` at `epoch` of SHARD; nothing is confirmed yet. */
static struct ek_link report(ek_broker_peer peer, uint64_t position, uint64_t epoch, enum ek_holding_state state)
{
    struct ek_link link = rig_hello(&rig, peer, 1);
    struct ek_holding holding = {.shard = SHARD, .state = state, .epoch = epoch, .position = position};
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_WORKER_REPORT, .peer = peer, .link = link, .holdings = &holding, .count = 1});
    keep_records();
    return link;
}

static enum ek_wire_status command(const char *first, const char *second, const char *third)
{
    struct ek_admin admin = {.id = 77, .count = third ? 3 : 2};
    (void)snprintf(admin.words[0], sizeof admin.words[0], "%s", first);
    (void)snprintf(admin.words[1], sizeof admin.words[1], "%s", second);
    (void)snprintf(admin.words[2], sizeof admin.words[2], "%s", third ? third : "");
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_CLIENT_ADMIN, .peer = CLIENT, .admin = &admin});
    keep_records();
    const struct ek_action *answer = rig_action(&rig, EK_ACTION_ANSWER, 0);
    ck_assert_uint_eq(answer->answer.id, 77);
    ck_assert_uint_eq(answer->peer, CLIENT);
    ck_assert_uint_gt(answer->answer.text.size, 0);
    return answer->answer.status;
}

static const struct ek_loss *told_loss(size_t n)
{
    const struct ek_action *action = rig_action(&rig, EK_ACTION_WORKER_LOSS, 0);
    return action && n < action->loss.count ? &action->loss.losses[n] : NULL;
}

/* The worker has made the last step's losses durable. */
static void confirm_losses(void)
{
    struct ek_holding holdings[RIG_SHARDS];
    const struct ek_action *action = rig_action(&rig, EK_ACTION_WORKER_LOSS, 0);
    size_t count = action->loss.count;
    for (size_t i = 0; i < count; i++)
        holdings[i] = (struct ek_holding){.shard = action->loss.losses[i].shard,
                                          .state = EK_HOLDING_SERVING,
                                          .epoch = action->loss.losses[i].epoch,
                                          .position = action->loss.losses[i].position};
    rig_step(
        &rig,
        (struct ek_event){
            .type = EK_EVENT_WORKER_ASSIGNED, .peer = action->peer, .link = action->link, .holdings = holdings, .count = count});
}

START_TEST(a_position_below_the_floor_stays_quarantined_across_restarts)
{
    report(WORKER, FLOOR - 1, 1, EK_HOLDING_SERVING);
    ck_assert_int_eq(state_of(SHARD), EK_SHARD_QUARANTINED);
    ck_assert(has_alarm("position_below_floor"));
    restart();
    ck_assert_int_eq(state_of(SHARD), EK_SHARD_QUARANTINED);
    ck_assert(has_alarm("quarantined"));
    report(WORKER, FLOOR - 1, 1, EK_HOLDING_SERVING);
    ck_assert_int_eq(state_of(SHARD), EK_SHARD_QUARANTINED);
}
END_TEST

/* WORKER's disk says that this is its `incarnation`-th start. */
static void report_of_start(uint64_t incarnation)
{
    struct ek_link link = rig_hello(&rig, WORKER, incarnation);
    struct ek_holding holding = {.shard = SHARD, .state = EK_HOLDING_SERVING, .epoch = 1, .position = FLOOR};
    keep_records();
    struct ek_event event = {.type = EK_EVENT_WORKER_REPORT, .peer = WORKER, .link = link, .holdings = &holding, .count = 1};
    rig_step(&rig, event);
    keep_records();
}

START_TEST(a_disk_that_was_rolled_back_does_not_recover_by_being_started_often)
{
    report_of_start(5);
    rig_confirm_assigns(&rig, FLOOR);
    ck_assert_int_eq(state_of(SHARD), EK_SHARD_SERVING);
    report_of_start(3);
    ck_assert(has_alarm("incarnation_below"));
    restart();
    for (uint64_t incarnation = 4; incarnation < 8; incarnation++) {
        report_of_start(incarnation);
        ck_assert_int_eq(state_of(SHARD), EK_SHARD_QUARANTINED);
    }
    /* Once the loss is accepted the number that it said counts. */
    ck_assert_int_eq(command("accept-loss", "0", NULL), EK_WIRE_OK);
    confirm_losses();
    ck_assert_int_eq(state_of(SHARD), EK_SHARD_SERVING);
    report_of_start(8);
    ck_assert_int_ne(state_of(SHARD), EK_SHARD_QUARANTINED);
}
END_TEST

START_TEST(the_broker_writes_the_quarantine_before_it_says_anything)
{
    report_of_start(5);
    rig_confirm_assigns(&rig, FLOOR);
    report_of_start(3);
    size_t persist = 0;
    while (rig.actions[persist].type != EK_ACTION_PERSIST)
        ck_assert_int_ne(rig.actions[persist++].type, EK_ACTION_WORKER_ASSIGN);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_PERSIST), 1);
    ck_assert_uint_eq(rig.actions[persist].persist.count, RIG_SHARDS + 1); /* every shard, and the incarnation */
    ck_assert(rig.actions[persist].persist.records[0].quarantined);
}
END_TEST

/* The second process says HELLO on a connection of its own, as the worker `peer`. */
static void hello_over(ek_broker_peer connection, ek_broker_peer peer, uint64_t incarnation)
{
    struct ek_worker_hello hello = {.incarnation = incarnation, .capacity_milli = 1000, .name = "w"};
    hello.worker.bytes[0] = (uint8_t)peer;
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_WORKER_HELLO, .peer = connection, .worker_hello = &hello});
    keep_records();
}

START_TEST(two_processes_with_one_id_end_in_quarantine)
{
    const int shards[] = {SHARD, -1};
    rig_join(&rig, WORKER, FLOOR, shards);
    int hellos = 0;
    do {
        hello_over(hellos % 2 ? WORKER : 100, WORKER, 1);
        ck_assert_int_lt(++hellos, 10);
    } while (!rig_action(&rig, EK_ACTION_WORKER_REFUSED, 0));
    ck_assert_int_gt(hellos, 2);
    ck_assert_int_eq(rig_action(&rig, EK_ACTION_WORKER_REFUSED, 0)->refusal->status, EK_WIRE_DENIED);
    ck_assert_int_eq(state_of(SHARD), EK_SHARD_QUARANTINED);
    ck_assert(has_alarm("worker_cloned"));
    hello_over(hellos % 2 ? WORKER : 100, WORKER, 1); /* the other one is let in, and serves nothing */
    ck_assert_ptr_nonnull(rig_action(&rig, EK_ACTION_WORKER_WELCOME, 0));
    restart();
    ck_assert_int_eq(state_of(SHARD), EK_SHARD_QUARANTINED);
}
END_TEST

START_TEST(a_worker_that_connects_anew_again_and_again_is_no_clone)
{
    const int shards[] = {SHARD, -1};
    rig_join(&rig, WORKER, FLOOR, shards);
    for (ek_broker_peer connection = 100; connection < 120; connection++) {
        hello_over(connection, WORKER, 1);
        hello_over(connection, WORKER, 1);
        ck_assert_ptr_null(rig_action(&rig, EK_ACTION_WORKER_REFUSED, 0));
        hello_over(connection - 1, WORKER, 1); /* left on the one before it, and late */
        ck_assert_ptr_null(rig_action(&rig, EK_ACTION_WORKER_REFUSED, 0));
        hello_over(connection, WORKER, 1);
        ck_assert_ptr_null(rig_action(&rig, EK_ACTION_WORKER_REFUSED, 0));
    }
    ck_assert_int_ne(state_of(SHARD), EK_SHARD_QUARANTINED);
}
END_TEST

START_TEST(an_accepted_loss_is_one_record_and_the_holder_syncs_it_before_it_serves)
{
    report(WORKER, FLOOR - 1, 1, EK_HOLDING_SERVING);
    ck_assert_int_eq(command("accept-loss", "0", NULL), EK_WIRE_OK);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_PERSIST), 1);
    const struct ek_action *persist = rig_action(&rig, EK_ACTION_PERSIST, 0);
    ck_assert_ptr_eq(persist, &rig.actions[0]); /* before anybody hears of it */
    ck_assert_uint_eq(persist->persist.count, 1);
    struct ek_record record = persist->persist.records[0];
    ck_assert_uint_eq(record.number, 2);
    ck_assert(!record.quarantined);
    ck_assert_uint_eq(record.loss.epoch, 2);
    ck_assert_uint_eq(record.loss.position, FLOOR + EK_LOSS_POSITIONS);
    ck_assert_uint_eq(told_loss(0)->position, record.loss.position);
    ck_assert_uint_eq(told_loss(0)->floor, record.loss.floor);
    ck_assert_ptr_null(rig_action(&rig, EK_ACTION_WORKER_ASSIGN, 0));
    ck_assert_int_ne(state_of(SHARD), EK_SHARD_SERVING);
    ck_assert(!has_alarm("quarantined"));
    ck_assert(!has_alarm("position_below_floor"));
    confirm_losses();
    ck_assert_int_eq(state_of(SHARD), EK_SHARD_SERVING);
    rig_write(&rig, CLIENT, SHARD, 0, 0);
    rig_heartbeat(&rig, WORKER, (struct ek_link){.link = 1, .generation = 5}, 100, EK_MIB, 100);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_sent(&rig, 0)->position, FLOOR + EK_LOSS_POSITIONS + 1);
    ck_assert_uint_eq(rig_sent(&rig, 0)->epoch, 2);
}
END_TEST

START_TEST(a_producer_of_before_is_below_the_floor_and_one_of_after_is_above)
{
    struct ek_hello hello = {.id = 1, .wants_producer = true};
    struct ek_event event = {.type = EK_EVENT_CLIENT_HELLO, .peer = CLIENT, .hello = &hello};
    report(WORKER, FLOOR - 1, 1, EK_HOLDING_SERVING);
    rig_step(&rig, event);
    uint64_t before = rig_action(&rig, EK_ACTION_WELCOME, 0)->welcome->producer;
    ck_assert_int_eq(command("accept-loss", "0", NULL), EK_WIRE_OK);
    uint64_t floor = told_loss(0)->floor;
    rig_step(&rig, event);
    ck_assert_uint_lt(before, floor);
    ck_assert_uint_gt(rig_action(&rig, EK_ACTION_WELCOME, 0)->welcome->producer, floor);
}
END_TEST

START_TEST(jobs_with_a_position_end_unknown_and_the_others_go_on)
{
    const int shards[] = {SHARD, -1};
    rig_join(&rig, WORKER, FLOOR, shards);
    uint64_t doubtful = rig_write(&rig, CLIENT, SHARD, 5, 1);
    rig_dispatch(&rig);
    uint64_t waiting = rig_write(&rig, CLIENT, SHARD, 5, 2);
    struct ek_link link = report(WORKER, FLOOR - 1, 1, EK_HOLDING_SERVING);
    ck_assert_int_eq(command("accept-loss", "0", NULL), EK_WIRE_OK);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_REPLY), 1);
    ck_assert_uint_eq(rig_action(&rig, EK_ACTION_REPLY, 0)->reply.id, doubtful);
    ck_assert_int_eq(rig_action(&rig, EK_ACTION_REPLY, 0)->reply.status, EK_WIRE_UNKNOWN);
    struct ek_ledger ledger;
    ck_assert(rig_balanced(&rig, &ledger));
    ck_assert_uint_eq(ledger.given_back, 1);
    ck_assert_uint_eq(ledger.queued, 1);
    confirm_losses();
    rig_heartbeat(&rig, WORKER, link, 100, EK_MIB, 100);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 1);
    ck_assert_uint_gt(rig_sent(&rig, 0)->position, EK_LOSS_POSITIONS);
    rig_reply(&rig, WORKER, link, rig_sent(&rig, 0)->token, EK_WIRE_FORGOTTEN, rig_sent(&rig, 0)->position);
    ck_assert_uint_eq(rig_action(&rig, EK_ACTION_REPLY, 0)->reply.id, waiting);
}
END_TEST

START_TEST(a_holder_that_was_not_told_in_time_is_told_when_it_comes_back)
{
    report(WORKER, FLOOR - 1, 1, EK_HOLDING_SERVING);
    ck_assert_int_eq(command("accept-loss", "0", NULL), EK_WIRE_OK);
    struct ek_loss loss = *told_loss(0);
    restart();
    report(WORKER, FLOOR - 1, 1, EK_HOLDING_SERVING);
    ck_assert_ptr_nonnull(told_loss(0));
    ck_assert_mem_eq(told_loss(0), &loss, sizeof loss);
    confirm_losses();
    ck_assert_int_eq(state_of(SHARD), EK_SHARD_SERVING);
    report(WORKER, loss.position, loss.epoch, EK_HOLDING_SERVING); /* what it made durable it need not be told again */
    ck_assert_ptr_null(rig_action(&rig, EK_ACTION_WORKER_LOSS, 0));
    rig_confirm_assigns(&rig, loss.position);
    ck_assert_int_eq(state_of(SHARD), EK_SHARD_SERVING);
    report(WORKER, loss.position - 1, loss.epoch, EK_HOLDING_SERVING); /* and a later rollback is seen */
    ck_assert_int_eq(state_of(SHARD), EK_SHARD_QUARANTINED);
}
END_TEST

START_TEST(a_version_is_never_given_twice_by_accepting_again)
{
    uint64_t last = 0;
    report(WORKER, FLOOR - 1, 1, EK_HOLDING_SERVING);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(command("accept-loss", "0", NULL), EK_WIRE_OK);
        ck_assert_uint_ge(told_loss(0)->position, last + EK_LOSS_POSITIONS);
        last = told_loss(0)->position;
        report(WORKER, last - 1, told_loss(0)->epoch, EK_HOLDING_SERVING);
    }
}
END_TEST

START_TEST(there_is_no_loss_to_accept_where_nothing_is_in_doubt)
{
    const int shards[] = {SHARD, -1};
    rig_join(&rig, WORKER, FLOOR, shards);
    ck_assert_int_eq(command("accept-loss", "0", NULL), EK_WIRE_DENIED);
    ck_assert_int_eq(command("accept-loss", "8", NULL), EK_WIRE_DENIED);
    ck_assert_int_eq(command("accept-loss", "x", NULL), EK_WIRE_USAGE);
    ck_assert_int_eq(command("accept-loss", "0", "more"), EK_WIRE_USAGE);
    ck_assert_int_eq(command("moon", "0", NULL), EK_WIRE_USAGE);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_PERSIST), 0);
    ck_assert_int_eq(state_of(SHARD), EK_SHARD_SERVING);
}
END_TEST

/* WORKER held every shard and is gone; OTHER_WORKER, if `other`, is up. */
static void lose_worker(bool other)
{
    rig_join(&rig, WORKER, FLOOR, (const int[]){SHARD, -1});
    keep_records();
    if (other) {
        rig_join(&rig, OTHER_WORKER, 0, NULL);
        keep_record(&(struct ek_record){.type = EK_RECORD_WORKER, .number = 1, .worker = {{OTHER_WORKER}}});
    }
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = WORKER});
}

START_TEST(a_worker_that_holds_shards_is_forgotten_only_knowingly)
{
    lose_worker(true);
    ck_assert_int_eq(command("forget", "0b00", NULL), EK_WIRE_DENIED);
    ck_assert_int_eq(command("forget", "0c00", "--accept-loss"), EK_WIRE_DENIED); /* it is connected */
    ck_assert_int_eq(command("forget", "0d00", "--accept-loss"), EK_WIRE_DENIED); /* there is none */
    ck_assert_int_eq(command("forget", "w", "--accept-loss"), EK_WIRE_DENIED);    /* there are two */
    ck_assert_int_eq(command("forget", "0b", "--accept-loss"), EK_WIRE_DENIED);   /* too short */
    ck_assert_int_eq(command("forget", "0b00", "accept"), EK_WIRE_USAGE);
    ck_assert_uint_eq(workers_known(), 2);
}
END_TEST

START_TEST(without_another_worker_nothing_is_forgotten)
{
    lose_worker(false);
    ck_assert_int_eq(command("forget", "w", "--accept-loss"), EK_WIRE_DENIED);
    ck_assert_uint_eq(workers_known(), 1);
}
END_TEST

START_TEST(the_shards_of_a_forgotten_worker_go_on_elsewhere)
{
    lose_worker(true);
    ck_assert_int_eq(command("forget", "0b000000-0000", "--accept-loss"), EK_WIRE_OK);
    ck_assert_uint_eq(workers_known(), 1);
    ck_assert(!has_alarm("worker_away"));
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_PERSIST), 1);
    ck_assert_ptr_nonnull(told_loss(0));
    ck_assert_uint_gt(told_loss(0)->position, EK_LOSS_POSITIONS);
    ck_assert_uint_eq(rig_action(&rig, EK_ACTION_WORKER_LOSS, 0)->peer, OTHER_WORKER);
    confirm_losses();
    for (uint16_t shard = 0; shard < RIG_SHARDS; shard++)
        ck_assert_int_eq(state_of(shard), EK_SHARD_SERVING);
    restart();
    ck_assert_uint_eq(workers_known(), 1);
    report(OTHER_WORKER, 0, 1, EK_HOLDING_RELEASED);
    ck_assert_ptr_nonnull(told_loss(0)); /* it never said that it made them durable */
}
END_TEST

START_TEST(rows_that_come_back_are_set_aside_and_their_worker_gets_no_role_there)
{
    lose_worker(true);
    ck_assert_int_eq(command("forget", "0b00", "--accept-loss"), EK_WIRE_OK);
    confirm_losses();
    struct ek_worker_hello hello = {.incarnation = 2, .capacity_milli = 1000, .generation = 5, .name = "w"};
    hello.worker.bytes[0] = WORKER;
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_WORKER_HELLO, .peer = WORKER, .worker_hello = &hello});
    ck_assert_ptr_null(rig_action(&rig, EK_ACTION_END, 0)); /* this generation welcomed it once */
    struct ek_link link = rig_action(&rig, EK_ACTION_WORKER_WELCOME, 0)->worker_welcome.link;
    struct ek_holding holding = {.shard = SHARD, .state = EK_HOLDING_SERVING, .epoch = 1, .position = FLOOR + 5};
    rig_step(&rig,
             (struct ek_event){.type = EK_EVENT_WORKER_REPORT, .peer = WORKER, .link = link, .holdings = &holding, .count = 1});
    const struct ek_action *assign = rig_action(&rig, EK_ACTION_WORKER_ASSIGN, 0);
    ck_assert_uint_eq(assign->assign.holdings[0].shard, SHARD);
    ck_assert_int_eq(assign->assign.holdings[0].state, EK_HOLDING_ASIDE);
    ck_assert_uint_gt(assign->assign.holdings[0].epoch, 1);
    ck_assert(has_alarm("rows_aside"));
    ck_assert_int_eq(state_of(SHARD), EK_SHARD_SERVING);
    /* Now the other one's disk is gone too: of the shards that this one kept rows of it cannot be the heir. */
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = OTHER_WORKER});
    ck_assert_int_eq(command("forget", "0c00", "--accept-loss"), EK_WIRE_DENIED);
    struct ek_link third = rig_hello(&rig, 13, 1);
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_WORKER_REPORT, .peer = 13, .link = third});
    ck_assert_int_eq(command("forget", "0c00", "--accept-loss"), EK_WIRE_OK);
    struct ek_snapshot *snapshot = ek_snapshot_take(rig.broker, rig.now_us);
    ck_assert_uint_eq(snapshot->workers[snapshot->shards[SHARD].worker].id.bytes[0], 13);
    ek_snapshot_destroy(&snapshot);
}
END_TEST

/* A learner that came back after the loss of what it was a copy of was accepted: the last copy there is, or part of one; or a copy
 * of what came after the loss. */
START_TEST(a_whole_copy_of_what_was_given_up_is_set_aside_and_no_other_is)
{
    static const enum ek_holding_state said[] = {EK_HOLDING_LEARNER, EK_HOLDING_LEARNER, EK_HOLDING_FILLING, EK_HOLDING_LEARNER};
    static const uint64_t positions[] = {FLOOR, 0, FLOOR, FLOOR};
    static const uint64_t epochs[] = {1, 1, 1, 2};
    lose_worker(true);
    ck_assert_int_eq(command("forget", "0b00", "--accept-loss"), EK_WIRE_OK);
    confirm_losses();
    (void)report(13, positions[_i], epochs[_i], said[_i]);
    const struct ek_action *assign = NULL;
    for (size_t n = 0; (assign = rig_action(&rig, EK_ACTION_WORKER_ASSIGN, n)) && assign->peer != 13;)
        n++;
    ck_assert_ptr_nonnull(assign);
    ck_assert_uint_eq(assign->assign.holdings[0].shard, SHARD);
    ck_assert_int_eq(assign->assign.holdings[0].state, _i ? EK_HOLDING_RELEASED : EK_HOLDING_ASIDE);
    ck_assert_int_eq(has_alarm("rows_aside"), !_i);
}
END_TEST

START_TEST(a_worker_without_shards_is_forgotten_without_more)
{
    lose_worker(true);
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = OTHER_WORKER});
    size_t before = workers_known();
    rig_hello(&rig, 13, 1);
    rig_step(&rig, (struct ek_event){.type = EK_EVENT_WORKER_LOST, .peer = 13});
    ck_assert_int_eq(command("forget", "0d00", NULL), EK_WIRE_OK);
    ck_assert_uint_eq(workers_known(), before);
}
END_TEST

/* One disk that lost what it had raises an alarm for each of its shards. */
START_TEST(alarms_of_many_shards_leave_room_for_others)
{
    for (int shard = 0; shard < 10 * EK_ALARMS_MAX; shard++)
        ek_broker_alarm(rig.broker, "position_below_floor", 0, shard, "it is below");
    ck_assert(has_alarm("position_below_floor"));
    rig_tick(&rig, 1);
    ek_broker_alarm(rig.broker, "worker_storage", 1, EK_NOBODY, "its disk is full");
    ck_assert(has_alarm("worker_storage"));
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("losses");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_position_below_the_floor_stays_quarantined_across_restarts);
    tcase_add_test(tests, a_disk_that_was_rolled_back_does_not_recover_by_being_started_often);
    tcase_add_test(tests, the_broker_writes_the_quarantine_before_it_says_anything);
    tcase_add_test(tests, two_processes_with_one_id_end_in_quarantine);
    tcase_add_test(tests, a_worker_that_connects_anew_again_and_again_is_no_clone);
    tcase_add_test(tests, an_accepted_loss_is_one_record_and_the_holder_syncs_it_before_it_serves);
    tcase_add_test(tests, a_producer_of_before_is_below_the_floor_and_one_of_after_is_above);
    tcase_add_test(tests, jobs_with_a_position_end_unknown_and_the_others_go_on);
    tcase_add_test(tests, a_holder_that_was_not_told_in_time_is_told_when_it_comes_back);
    tcase_add_test(tests, a_version_is_never_given_twice_by_accepting_again);
    tcase_add_test(tests, there_is_no_loss_to_accept_where_nothing_is_in_doubt);
    tcase_add_test(tests, a_worker_that_holds_shards_is_forgotten_only_knowingly);
    tcase_add_test(tests, without_another_worker_nothing_is_forgotten);
    tcase_add_test(tests, the_shards_of_a_forgotten_worker_go_on_elsewhere);
    tcase_add_test(tests, rows_that_come_back_are_set_aside_and_their_worker_gets_no_role_there);
    tcase_add_loop_test(tests, a_whole_copy_of_what_was_given_up_is_set_aside_and_no_other_is, 0, 4);
    tcase_add_test(tests, alarms_of_many_shards_leave_room_for_others);
    tcase_add_test(tests, a_worker_without_shards_is_forgotten_without_more);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
