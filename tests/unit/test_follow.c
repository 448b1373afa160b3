/* What comes behind a copy: writes that a learner follows, the switch as the workers see it, and the end of what was released. */
#include "common/hash.h"
#include "common/letters.h"
#include "common/operations.h"
#include "tests/support/engine_rig.h"
#include "tests/support/learn_rig.h"
#include "tests/support/run_suite.h"
#include "worker/learn.h"

#include <check.h>
#include <string.h>

enum { PRODUCER = 1000 };

static struct ek_fed put(const char *key, const char *value)
{
    return learn_write(EK_JOB_WRITE, ek_rig_put(key, value), 0, 0);
}

static struct ek_fed increment(uint64_t number)
{
    return learn_write(EK_JOB_WRITE, ek_rig_increment(LEARN_KEY("n"), 5), PRODUCER, number);
}

static uint64_t position(void)
{
    return learn_shard(&learn.target)->memory.position;
}

static void check_fed(const struct ek_fed *fed, uint32_t count)
{
    struct ek_move_report report = learn_feed(fed, count);
    ck_assert_msg(report.step == EK_MOVED_FED, "step %d: %s", (int)report.step, report.text);
    ck_assert_uint_eq(report.position, fed[count - 1].job.position + fed[count - 1].job.count - 1);
    ck_assert_uint_eq(position(), report.position);
    learn_check_equal();
}

/* What the broker's record means to the workers. */
static void switch_over(void)
{
    ek_engine_rig_assign(&learn.target, learn.attempt.shard, EK_HOLDING_SERVING, LEARN_EPOCH);
    ek_engine_rig_assign(&learn.source, learn.attempt.shard, EK_HOLDING_RELEASED, LEARN_EPOCH);
}

/* A write of the target as the shard's owner. */
static struct ek_worker_reply own(struct ek_operation operation, uint64_t producer, uint64_t number)
{
    struct ek_worker_job job = ek_rig_job(&learn.target, EK_JOB_WRITE, &operation, 1);
    job.epoch = LEARN_EPOCH;
    job.producer = producer;
    job.number = number;
    job.lowest = number ? 1 : 0;
    return ek_rig_run(&learn.target, &job);
}

static struct ek_move_report sweep(struct ek_engine_rig *rig, uint64_t epoch)
{
    struct ek_learn_step step = {.kind = EK_LEARN_SWEEP, .epoch = epoch};
    return learn_run(rig, &step);
}

/* ---- following ---- */

START_TEST(a_learner_comes_to_the_same_rows_versions_and_replies)
{
    put(LEARN_KEY("a"), "1");
    increment(1);
    (void)learn_complete();
    struct ek_operation put_absent = ek_rig_put(LEARN_KEY("a"), "2");
    put_absent.condition = EK_CONDITION_ABSENT;
    struct ek_operation expires = ek_rig_put(LEARN_KEY("e"), "v");
    expires.ttl_ms = 60000;
    struct ek_fed first[2];
    first[0] = put(LEARN_KEY("a"), "3");
    first[1] = increment(2);
    check_fed(first, 2);
    struct ek_fed fed[4];
    fed[0] = learn_write(EK_JOB_WRITE, put_absent, 0, 0);
    fed[1] = learn_write(EK_JOB_WRITE, ek_rig_increment(LEARN_KEY("a"), 1), 0, 0);
    fed[2] = learn_write(EK_JOB_TRANSACTION, put_absent, PRODUCER, 3);
    fed[3] = learn_write(EK_JOB_WRITE, expires, 0, 0);
    check_fed(fed, 4);
    struct ek_fed more[3];
    more[0] = increment(3); /* seen already: the stored reply, and no effect */
    more[1] = increment(9); /* a gap */
    more[2] = learn_write(EK_JOB_DELETE, ek_rig_key(EK_OPERATION_DELETE, LEARN_KEY("a")), 0, 0);
    check_fed(more, 3);
    learn_restart_target();
    learn_check_equal();
    ck_assert_int_eq(learn_shard(&learn.target)->state, EK_HOLDING_LEARNER);
}
END_TEST

START_TEST(a_repetition_gets_the_reply_of_the_former_owner)
{
    increment(1);
    (void)learn_complete();
    struct ek_fed fed = increment(2);
    check_fed(&fed, 1);
    switch_over();
    for (uint64_t number = 1; number <= 2; number++) {
        struct ek_worker_reply reply = own(ek_rig_increment(LEARN_KEY("n"), 5), PRODUCER, number);
        ck_assert(reply.repeated);
        ck_assert_uint_eq(reply.position, number);
        ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_INCREMENT, 0).number, (int64_t)(5 * number));
    }
    struct ek_worker_reply reply = own(ek_rig_increment(LEARN_KEY("n"), 5), PRODUCER, 3);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_INCREMENT, 0).number, 15);
    ck_assert_str_eq(ek_rig_value(&learn.target, LEARN_KEY("n")), "15");
    learn_restart_target();
    ck_assert_int_eq(learn_shard(&learn.target)->state, EK_HOLDING_SERVING);
    ck_assert_str_eq(ek_rig_value(&learn.target, LEARN_KEY("n")), "15");
}
END_TEST

/* Which would be applied if it were asked there. */
static struct ek_fed empty_write_of_another_shard(void)
{
    static const uint8_t cause_ok[] = {0x91, 0x00};
    struct ek_worker_job job = {.shard = (uint16_t)((learn.attempt.shard + 1u) % EK_RIG_SHARDS),
                                .kind = EK_JOB_CANCEL,
                                .position = 1,
                                .stamp_unix_ms = 1000,
                                .body = ek_slice_of(cause_ok, sizeof cause_ok),
                                .count = 1};
    struct ek_worker_reply reply = {.status = EK_WIRE_OK, .position = 1};
    return learn_fed(&job, &reply);
}

enum disagreement { GAP, TWICE, OTHER_STATUS, OTHER_POSITION, OTHER_BODY, OTHER_SHARD, DISAGREEMENTS };

START_TEST(a_feed_that_does_not_agree_writes_nothing)
{
    static const uint8_t other[] = {0x91, 0x92, 0x00, 0x63};
    put(LEARN_KEY("a"), "1");
    uint64_t at = learn_complete();
    struct ek_fed fed[3];
    fed[0] = put(LEARN_KEY("a"), "2");
    fed[1] = increment(1);
    fed[2] = put(LEARN_KEY("a"), "3");
    switch ((enum disagreement)_i) {
    case GAP:
        fed[1] = fed[2];
        break;
    case TWICE:
        fed[1] = fed[0];
        break;
    case OTHER_STATUS:
        fed[1].reply.status = EK_WIRE_CONDITION_FAILED;
        break;
    case OTHER_POSITION:
        fed[1].reply.position++;
        break;
    case OTHER_BODY:
        fed[1].reply.body = ek_slice_of(other, sizeof other);
        break;
    case OTHER_SHARD:
        fed[2] = empty_write_of_another_shard();
        break;
    default:
        break;
    }
    struct ek_move_report report = learn_feed(fed, 3);
    ck_assert_int_eq(report.step, EK_MOVED_FAILED);
    ck_assert_str_eq(ek_rig_value(&learn.target, LEARN_KEY("a")), "1");
    ck_assert_ptr_null(ek_rig_value(&learn.target, LEARN_KEY("n")));
    ck_assert_int_eq(learn_feed(fed, 1).step, 0); /* the attempt is over */
    (void)ek_rig_run_one(&learn.source, EK_JOB_WRITE, ek_rig_put("another shard", "1"));
    learn_restart_target();
    ck_assert_uint_eq(position(), at);
    ck_assert_str_eq(ek_rig_value(&learn.target, LEARN_KEY("a")), "1");
    ck_assert_uint_eq(learn_complete(), at + 3);
    learn_check_equal();
}
END_TEST

START_TEST(dead_letters_travel_in_the_copy_and_behind_it)
{
    struct ek_fed fed[2];
    for (int i = 0; i < 2; i++) {
        fed[i] = learn_set_aside(ek_rig_increment(LEARN_KEY("n"), 100));
        if (i == 0)
            (void)learn_complete();
        ck_assert_uint_eq(learn_shard(&learn.target)->letters, 1);
    }
    check_fed(&fed[1], 1);
    ck_assert_uint_eq(learn_shard(&learn.target)->letters, 2);
    switch_over();
    for (int i = 0; i < 2; i++) {
        uint8_t id[EK_DEAD_ID_BYTES];
        ek_letter_id(id, (uint16_t)ek_shard_first(learn.attempt.shard, EK_RIG_SHARDS), fed[i].job.position);
        struct ek_worker_reply reply =
            own((struct ek_operation){.code = EK_OPERATION_DEAD_REPLAY, .key = ek_slice_of(id, sizeof id)}, 0, 0);
        ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_DEAD_REPLAY, 0).status, EK_WIRE_OK);
    }
    ck_assert_str_eq(ek_rig_value(&learn.target, LEARN_KEY("n")), "200");
    ck_assert_int_eq(sweep(&learn.source, LEARN_EPOCH).step, EK_MOVED_CLEANED);
    ck_assert_uint_eq(learn_shard(&learn.source)->letters, 0);
    ck_assert_uint_eq(learn_rows(&learn.source), 0);
    ck_assert_uint_eq(learn_shard(&learn.target)->letters, 0);
}
END_TEST

/* ---- roles ---- */

START_TEST(steps_behind_a_release_change_nothing)
{
    put(LEARN_KEY("a"), "1");
    learn_fill();
    learn_open_copy();
    learn_get_chunk(0);
    if (_i) {
        ck_assert_int_eq(learn_take_chunk().step, EK_MOVED_FETCHED);
        learn_get_chunk(1);
        ck_assert_int_eq(learn_take_chunk().step, EK_MOVED_FETCHED);
    }
    ek_engine_rig_assign(&learn.target, learn.attempt.shard, EK_HOLDING_RELEASED, EK_RIG_EPOCH);
    ck_assert_uint_eq(learn_rows(&learn.target), 0); /* what was there went with the role */
    ck_assert_int_eq(_i ? learn_verify().step : learn_take_chunk().step, 0);
    struct ek_fed fed = put(LEARN_KEY("b"), "1");
    ck_assert_int_eq(learn_feed(&fed, 1).step, 0);
    ck_assert_int_eq(learn_shard(&learn.target)->state, EK_HOLDING_RELEASED);
    ck_assert_uint_eq(learn_rows(&learn.target), 0);
    ck_assert_int_eq(sweep(&learn.target, EK_RIG_EPOCH).step, EK_MOVED_CLEANED);
    ck_assert_uint_eq(learn_rows(&learn.target), 0);
    (void)learn_complete();
    learn_check_equal();
}
END_TEST

START_TEST(steps_behind_the_switch_change_nothing)
{
    put(LEARN_KEY("a"), "1");
    (void)learn_complete();
    struct ek_fed fed = put(LEARN_KEY("a"), "2");
    switch_over();
    ck_assert_int_eq(learn_feed(&fed, 1).step, 0);
    ck_assert_int_eq(learn_take_chunk().step, 0);
    ck_assert_int_eq(learn_do(&learn.target, EK_LEARN_FILL).step, EK_MOVED_FAILED);
    ck_assert_str_eq(ek_rig_value(&learn.target, LEARN_KEY("a")), "1");
    ck_assert_int_eq(learn_shard(&learn.target)->state, EK_HOLDING_SERVING);
}
END_TEST

START_TEST(what_is_not_complete_is_never_served)
{
    put(LEARN_KEY("a"), "1");
    learn_fill();
    learn_open_copy();
    (void)learn_take_all();
    ek_engine_rig_assign(&learn.target, learn.attempt.shard, EK_HOLDING_SERVING, LEARN_EPOCH);
    ck_assert_int_eq(learn_shard(&learn.target)->state, EK_HOLDING_FILLING);
}
END_TEST

START_TEST(a_released_shard_is_deleted_at_its_epoch_only)
{
    put(LEARN_KEY("a"), "1");
    increment(1);
    (void)ek_rig_run_one(&learn.source, EK_JOB_WRITE, ek_rig_put("another shard", "1"));
    (void)learn_complete();
    ck_assert_int_eq(sweep(&learn.source, EK_RIG_EPOCH).step, 0); /* it serves */
    ck_assert_int_eq(sweep(&learn.target, EK_RIG_EPOCH).step, 0); /* it learns */
    ck_assert_uint_eq(learn_rows(&learn.target), 2);
    switch_over();
    ck_assert_int_eq(sweep(&learn.source, EK_RIG_EPOCH).step, 0);
    ck_assert_int_eq(sweep(&learn.source, LEARN_EPOCH + 1).step, 0);
    ck_assert_uint_eq(learn_rows(&learn.source), 2);
    uint64_t before = learn_shard(&learn.source)->memory.position;
    ck_assert_int_eq(sweep(&learn.source, LEARN_EPOCH).step, EK_MOVED_CLEANED);
    ck_assert_uint_eq(learn_rows(&learn.source), 0);
    ck_assert_uint_eq(learn_shard(&learn.source)->memory.position, before);
    ck_assert_str_eq(ek_rig_value(&learn.source, "another shard"), "1");
    ck_assert_int_eq(sweep(&learn.source, LEARN_EPOCH).step, EK_MOVED_CLEANED); /* nothing is left to do */
    ek_engine_rig_reopen(&learn.source);
    ck_assert_int_eq(learn_shard(&learn.source)->state, EK_HOLDING_RELEASED);
    ck_assert_uint_eq(learn_shard(&learn.source)->epoch, LEARN_EPOCH);
    ck_assert_uint_eq(learn_shard(&learn.source)->memory.position, before);
    ck_assert_uint_eq(learn_rows(&learn.source), 0);
}
END_TEST

START_TEST(a_shard_that_comes_back_is_not_deleted)
{
    put(LEARN_KEY("a"), "1");
    (void)learn_complete();
    switch_over();
    ek_engine_rig_assign(&learn.source, learn.attempt.shard, EK_HOLDING_SERVING, LEARN_EPOCH + 1);
    ck_assert_int_eq(sweep(&learn.source, LEARN_EPOCH).step, 0);
    ck_assert_int_eq(sweep(&learn.source, LEARN_EPOCH + 1).step, 0);
    ck_assert_uint_eq(learn_rows(&learn.source), 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("following a shard");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, learn_setup, learn_teardown);
    tcase_add_test(tests, a_learner_comes_to_the_same_rows_versions_and_replies);
    tcase_add_test(tests, a_repetition_gets_the_reply_of_the_former_owner);
    tcase_add_loop_test(tests, a_feed_that_does_not_agree_writes_nothing, 0, DISAGREEMENTS);
    tcase_add_test(tests, dead_letters_travel_in_the_copy_and_behind_it);
    tcase_add_loop_test(tests, steps_behind_a_release_change_nothing, 0, 2);
    tcase_add_test(tests, steps_behind_the_switch_change_nothing);
    tcase_add_test(tests, what_is_not_complete_is_never_served);
    tcase_add_test(tests, a_released_shard_is_deleted_at_its_epoch_only);
    tcase_add_test(tests, a_shard_that_comes_back_is_not_deleted);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
