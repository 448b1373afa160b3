/* Accepted losses on the worker's side: one batch, kept across restarts. */
#include "tests/support/engine_rig.h"
#include "tests/support/run_suite.h"

#include <check.h>
#include <string.h>

enum { LIVE_BYTES = 1 << 20, PRODUCER = 1000, FLOOR = 2000, YOUNGER = 2001, NEW_EPOCH = EK_RIG_EPOCH + 1 };
#define POSITION ((uint64_t)1 << 32)

static struct ek_engine_rig rig;

static void setup(void)
{
    ek_engine_rig_open(&rig, LIVE_BYTES);
}

static void teardown(void)
{
    ek_engine_rig_done(&rig);
}

static struct ek_loss loss_of(const char *key)
{
    return (struct ek_loss){.shard = ek_rig_shard(key), .epoch = NEW_EPOCH, .position = POSITION, .floor = FLOOR};
}

static struct ek_holding give_up(struct ek_loss loss)
{
    struct ek_holding holding;
    struct ek_error error;
    ck_assert_int_eq(ek_engine_give_up(rig.engine, rig.link, &loss, 1, &holding, &error), EK_OK);
    return holding;
}

static struct ek_worker_reply numbered(const char *key, uint64_t producer, uint64_t number)
{
    struct ek_operation put = ek_rig_put(key, "value");
    struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_WRITE, &put, 1);
    job.producer = producer;
    job.number = job.lowest = number;
    job.epoch = rig.engine->judge.shards[job.shard].epoch;
    return ek_rig_run(&rig, &job);
}

START_TEST(the_shard_goes_on_with_its_rows_and_without_its_producers)
{
    ck_assert_int_eq(numbered("k", PRODUCER, 1).status, EK_WIRE_OK);
    struct ek_holding holding = give_up(loss_of("k"));
    ck_assert_uint_eq(holding.epoch, NEW_EPOCH);
    ck_assert_uint_eq(holding.position, POSITION);
    ck_assert_int_eq(holding.state, EK_HOLDING_SERVING);
    ck_assert_str_eq(ek_rig_value(&rig, "k"), "value");
    struct ek_worker_reply reply = numbered("k", PRODUCER, 2);
    ck_assert_int_eq(reply.status, EK_WIRE_FORGOTTEN);
    ck_assert_uint_eq(reply.position, POSITION + 1);
    ck_assert_int_eq(numbered("k", YOUNGER, 1).status, EK_WIRE_OK);
}
END_TEST

START_TEST(it_is_durable_with_what_follows_and_with_what_came_before)
{
    struct ek_buffer before = {0}, after = {0};
    for (uint64_t number = 1; number < 50; number++)
        ck_assert_int_eq(numbered("k", PRODUCER, number).status, EK_WIRE_OK);
    (void)give_up(loss_of("k"));
    ck_assert_int_eq(numbered("k", YOUNGER, 1).status, EK_WIRE_OK);
    ek_rig_state(&rig, &before);
    ek_engine_rig_restart(&rig);
    ek_rig_state(&rig, &after);
    ck_assert(ek_slice_equal(ek_buffer_slice(&before), ek_buffer_slice(&after)));
    ck_assert_int_eq(numbered("k", PRODUCER, 50).status, EK_WIRE_FORGOTTEN);
    ck_assert_int_eq(numbered("k", YOUNGER, 2).status, EK_WIRE_OK);
    ek_buffer_done(&before);
    ek_buffer_done(&after);
}
END_TEST

START_TEST(saying_it_again_changes_nothing)
{
    (void)give_up(loss_of("k"));
    ck_assert_int_eq(numbered("k", YOUNGER, 1).status, EK_WIRE_OK);
    ck_assert_uint_eq(give_up(loss_of("k")).position, POSITION + 1);
    ck_assert_int_eq(numbered("k", YOUNGER, 2).status, EK_WIRE_OK);
    struct ek_loss older = loss_of("k");
    older.epoch = EK_RIG_EPOCH;
    ck_assert_uint_eq(give_up(older).epoch, NEW_EPOCH);
}
END_TEST

START_TEST(jobs_of_the_epoch_before_are_stale)
{
    struct ek_operation put = ek_rig_put("k", "late");
    struct ek_worker_job late = ek_rig_job(&rig, EK_JOB_WRITE, &put, 1);
    (void)give_up(loss_of("k"));
    ck_assert_int_eq(ek_rig_run(&rig, &late).status, EK_WIRE_STALE);
}
END_TEST

START_TEST(stamp_and_expiry_stay)
{
    struct ek_operation put = ek_rig_put("k", "value");
    put.ttl_ms = 5000;
    ck_assert_int_eq(ek_rig_run_one(&rig, EK_JOB_WRITE, put).status, EK_WIRE_OK);
    (void)give_up(loss_of("k"));
    ck_assert_uint_eq(ek_engine_expiry(rig.engine, ek_rig_shard("k")), 6000);
    ek_engine_rig_restart(&rig);
    ck_assert_uint_eq(ek_engine_expiry(rig.engine, ek_rig_shard("k")), 6000);
}
END_TEST

START_TEST(rows_that_were_given_up_are_kept_and_their_worker_takes_no_role_again)
{
    struct ek_error error;
    uint16_t shard = ek_rig_shard("k");
    ck_assert_int_eq(numbered("k", PRODUCER, 1).status, EK_WIRE_OK);
    struct ek_holding holding = {.shard = shard, .state = EK_HOLDING_ASIDE, .epoch = NEW_EPOCH};
    ck_assert_int_eq(ek_engine_assign(rig.engine, rig.link, &holding, 1, &error), EK_OK);
    ck_assert_int_eq(numbered("k", PRODUCER, 2).status, EK_WIRE_STALE);
    ck_assert_str_eq(ek_rig_value(&rig, "k"), "value");
    for (int restarted = 0; restarted < 2; restarted++) {
        holding = (struct ek_holding){.shard = shard, .state = EK_HOLDING_SERVING, .epoch = NEW_EPOCH + 1};
        ck_assert_int_eq(ek_engine_assign(rig.engine, rig.link, &holding, 1, &error), EK_OK);
        ck_assert_int_eq(holding.state, EK_HOLDING_ASIDE);
        struct ek_loss loss = loss_of("k");
        loss.epoch = NEW_EPOCH + 2;
        ck_assert_int_eq(give_up(loss).state, EK_HOLDING_ASIDE);
        ek_engine_rig_restart(&rig);
    }
}
END_TEST

START_TEST(another_link_and_another_shard_are_refused)
{
    struct ek_error error;
    struct ek_holding holding;
    struct ek_loss loss = loss_of("k");
    struct ek_link other = {rig.link.link + 1, rig.link.generation};
    ck_assert_int_eq(ek_engine_give_up(rig.engine, other, &loss, 1, &holding, &error), EK_AGAIN);
    loss.shard = EK_RIG_SHARDS;
    ck_assert_int_eq(ek_engine_give_up(rig.engine, rig.link, &loss, 1, &holding, &error), EK_MALFORMED);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("giving up");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, the_shard_goes_on_with_its_rows_and_without_its_producers);
    tcase_add_test(tests, it_is_durable_with_what_follows_and_with_what_came_before);
    tcase_add_test(tests, saying_it_again_changes_nothing);
    tcase_add_test(tests, jobs_of_the_epoch_before_are_stale);
    tcase_add_test(tests, stamp_and_expiry_stay);
    tcase_add_test(tests, rows_that_were_given_up_are_kept_and_their_worker_takes_no_role_again);
    tcase_add_test(tests, another_link_and_another_shard_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
