/* Whose turn it is: shards that have work, of each worker, one after the other. */
#include "broker/dispatch.h"
#include "tests/support/broker_rig.h"
#include "tests/support/run_suite.h"

enum { CLIENT = 1, WORKER = 101, OTHER_WORKER = 102, JOBS = 65536, BYTES = 1024 * 1024, READS = 100 };

static struct rig rig;
static struct ek_link link;

static void setup(void)
{
    rig_open(&rig, NULL, 0);
    link = rig_join(&rig, WORKER, 0, NULL);
}

static void teardown(void)
{
    rig_close(&rig);
}

/* The shards of the jobs that the last step sent to `worker`, as decimal digits; 1 stands before them. */
static unsigned sent_to(ek_broker_peer worker)
{
    unsigned digits = 1;
    for (size_t i = 0; i < rig_count(&rig, EK_ACTION_WORKER_JOB); i++)
        if (rig_action(&rig, EK_ACTION_WORKER_JOB, i)->peer == worker)
            digits = digits * 10 + rig_sent(&rig, i)->shard;
    return digits;
}

static void stop_credit(void)
{
    rig_heartbeat(&rig, WORKER, link, 0, 0, 0);
}

static void give_credit(void)
{
    rig_heartbeat(&rig, WORKER, link, JOBS, BYTES, READS);
    rig_dispatch(&rig);
}

START_TEST(shards_have_their_turn_in_the_order_in_which_they_got_work)
{
    static const uint16_t shards[] = {6, 2, 5, 2, 3};
    stop_credit();
    for (size_t i = 0; i < sizeof shards / sizeof *shards; i++)
        rig_write(&rig, CLIENT, shards[i], 0, 0);
    give_credit();
    ck_assert_uint_eq(sent_to(WORKER), 162253); /* both of shard 2, which stands in the row once */
}
END_TEST

START_TEST(turns_go_round_and_round)
{
    /* More of them than there can be shards. */
    for (unsigned i = 0; i < 2 * EK_SHARDS_MAX + 3; i++) {
        rig_write(&rig, CLIENT, (uint16_t)(i % RIG_SHARDS), 0, 0);
        rig_dispatch(&rig);
        ck_assert_uint_eq(sent_to(WORKER), 10 + i % RIG_SHARDS);
        rig_reply(&rig, WORKER, link, rig_sent(&rig, 0)->token, EK_WIRE_OK, i / RIG_SHARDS + 1);
    }
}
END_TEST

START_TEST(a_shard_that_changes_hands_has_its_turn_with_its_new_holder_alone)
{
    rig_join(&rig, OTHER_WORKER, 0, NULL); /* takes half of them, which are empty */
    stop_credit();
    struct ek_shard *own[RIG_SHARDS];
    size_t count = 0;
    for (size_t i = 0; i < RIG_SHARDS; i++)
        if (rig.broker->shards[i].holder == 0)
            own[count++] = &rig.broker->shards[i];
    ck_assert_uint_ge(count, 3);
    for (size_t i = 0; i < 3; i++)
        rig_write(&rig, CLIENT, own[i]->number, 0, 0);
    ek_dispatch_set_holder(rig.broker, own[1], 1);
    ek_dispatch_make_ready(rig.broker, own[1]);
    give_credit();
    ck_assert_uint_eq(sent_to(WORKER), 100u + own[0]->number * 10u + own[2]->number);
    ck_assert_uint_eq(sent_to(OTHER_WORKER), 10u + own[1]->number);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("dispatch");
    TCase *tests = tcase_create("dispatch");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, shards_have_their_turn_in_the_order_in_which_they_got_work);
    tcase_add_test(tests, turns_go_round_and_round);
    tcase_add_test(tests, a_shard_that_changes_hands_has_its_turn_with_its_new_holder_alone);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
