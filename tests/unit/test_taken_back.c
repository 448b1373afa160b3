/* What was taken back with its positions, and what comes to stand behind it: the order in which a worker gets it all. */
#include "broker/metrics.h"
#include "tests/support/broker_rig.h"
#include "tests/support/run_suite.h"

#include <check.h>
#include <string.h>

enum { WORKER = 11, CLIENT = 21, SHARD = 1, DEADLINE_MS = 100, EXPIRED_US = 101000 };

static const int all[] = {0, 1, 2, 3, 4, 5, 6, 7, -1};
static struct rig rig;

static void set_up(void)
{
    rig_open(&rig, NULL, 0);
}

static void tear_down(void)
{
    struct ek_ledger ledger;
    ck_assert(rig_balanced(&rig, &ledger));
    rig_close(&rig);
}

static void write_until(uint64_t producer, uint64_t number, uint32_t deadline_ms)
{
    struct ek_job job = rig_job(&rig, EK_JOB_WRITE, SHARD, producer, number);
    job.deadline_ms = deadline_ms;
    rig_jobs(&rig, CLIENT, &job, 1);
}

/* The worker comes again with credit for that many jobs: what it had is taken back, and as much of it goes out again. */
static struct ek_link come_again(uint32_t jobs)
{
    struct ek_link link = rig_join(&rig, WORKER, 0, all);
    rig_heartbeat(&rig, WORKER, link, jobs, EK_MIB, jobs);
    rig_dispatch(&rig);
    return link;
}

static void expect(size_t n, enum ek_job_kind kind, uint64_t producer, uint64_t position)
{
    ck_assert_ptr_nonnull(rig_sent(&rig, n));
    ck_assert_int_eq(rig_sent(&rig, n)->kind, kind);
    ck_assert_uint_eq(rig_sent(&rig, n)->producer, producer);
    ck_assert_uint_eq(rig_sent(&rig, n)->position, position);
}

START_TEST(what_expires_stands_behind_positions_and_before_the_rest)
{
    rig_join(&rig, WORKER, 0, NULL);
    for (uint64_t number = 1; number <= 3; number++)
        write_until(5, number, 0);
    rig_read(&rig, CLIENT, SHARD, 9, 0);
    rig_dispatch(&rig);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 4);
    write_until(6, 1, 0);
    write_until(7, 1, DEADLINE_MS);
    write_until(8, 1, DEADLINE_MS);
    come_again(0);
    rig_tick(&rig, EXPIRED_US);
    come_again(100);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 7);
    for (size_t i = 0; i < 3; i++)
        expect(i, EK_JOB_WRITE, 5, i + 1);
    expect(3, EK_JOB_CANCEL, 8, 4); /* the last that expired is the first behind the positions */
    expect(4, EK_JOB_CANCEL, 7, 5);
    ck_assert_int_eq(rig_sent(&rig, 5)->kind, EK_JOB_READ);
    expect(6, EK_JOB_WRITE, 6, 6);
}
END_TEST

/* Only some of what was taken back goes out again, is taken back once more, and ends. */
START_TEST(the_place_behind_positions_moves_with_them)
{
    rig_join(&rig, WORKER, 0, NULL);
    for (uint64_t number = 1; number <= 3; number++)
        write_until(5, number, 0);
    rig_dispatch(&rig);
    come_again(2);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 2);
    write_until(6, 1, DEADLINE_MS);
    rig_tick(&rig, EXPIRED_US);
    struct ek_link link = come_again(100);
    ck_assert_uint_eq(rig_count(&rig, EK_ACTION_WORKER_JOB), 4);
    expect(2, EK_JOB_WRITE, 5, 3);
    expect(3, EK_JOB_CANCEL, 6, 4);
    uint64_t tokens[4];
    for (size_t i = 0; i < 4; i++)
        tokens[i] = rig_sent(&rig, i)->token;
    for (size_t i = 0; i < 4; i++)
        rig_reply(&rig, WORKER, link, tokens[i], EK_WIRE_OK, i + 1);
    rig_heartbeat(&rig, WORKER, link, 0, EK_MIB, 0);
    write_until(7, 1, 0);
    write_until(8, 1, DEADLINE_MS);
    rig_tick(&rig, EXPIRED_US);
    rig_heartbeat(&rig, WORKER, link, 100, EK_MIB, 100);
    rig_dispatch(&rig);
    expect(0, EK_JOB_CANCEL, 8, 5); /* nothing has a position any more: it goes first */
    expect(1, EK_JOB_WRITE, 7, 6);
}
END_TEST

START_TEST(a_job_that_is_set_aside_keeps_its_place_before_what_expires)
{
    static const uint64_t nothing[RIG_SHARDS];
    struct ek_link link = rig_join(&rig, WORKER, 0, NULL);
    rig_reply(&rig, WORKER, link, 0, EK_WIRE_OK, 0);
    write_until(5, 1, 0);
    rig_dispatch(&rig);
    for (uint64_t incarnation = 2; incarnation <= EK_POISON_DEATHS; incarnation++) {
        rig_return(&rig, WORKER, incarnation, nothing, true);
        rig_dispatch(&rig);
        expect(0, EK_JOB_WRITE, 5, 1);
    }
    write_until(6, 1, DEADLINE_MS);
    rig_return(&rig, WORKER, EK_POISON_DEATHS + 1, nothing, true);
    rig_tick(&rig, EXPIRED_US);
    rig_dispatch(&rig);
    expect(0, EK_JOB_DEAD, 5, 1);
    uint64_t token = rig_sent(&rig, 0)->token;
    link = rig_return(&rig, WORKER, EK_POISON_DEATHS + 1, nothing, true);
    rig_dispatch(&rig);
    expect(0, EK_JOB_DEAD, 5, 1);
    ck_assert_uint_eq(rig_sent(&rig, 0)->token, token);
    rig_reply(&rig, WORKER, link, token, EK_WIRE_DEAD, 1);
    rig_dispatch(&rig);
    expect(0, EK_JOB_CANCEL, 6, 2);
}
END_TEST

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* Whatever expires, is answered or taken back meanwhile: behind one position the next one comes. */
START_TEST(positions_go_out_in_their_order_whatever_happens)
{
    enum { EVENTS = 4000, FLYING = 2048 };
    uint64_t random = (uint64_t)_i + 1;
    uint64_t numbers[20] = {0};
    uint64_t tokens[FLYING], answered = 0, count = 0;
    struct ek_link link = rig_join(&rig, WORKER, 0, NULL);
    for (int i = 0; i < EVENTS; i++) {
        uint64_t event = next_random(&random) % 100;
        uint64_t producer = next_random(&random) % 20;
        if (event < 50) {
            if (numbers[producer] < 60)
                write_until(100 + producer, ++numbers[producer], event % 2 ? DEADLINE_MS : 0);
        } else if (event < 60) {
            rig_tick(&rig, 30000);
            rig_heartbeat(&rig, WORKER, link, (uint32_t)(next_random(&random) % 8), EK_MIB, 1);
        } else if (event < 80) {
            rig_dispatch(&rig);
            for (size_t n = 0; rig_sent(&rig, n); n++, count++) {
                ck_assert_uint_lt(count, FLYING);
                ck_assert_uint_eq(rig_sent(&rig, n)->position, answered + count + 1);
                tokens[count] = rig_sent(&rig, n)->token;
            }
        } else if (event < 95 && count) {
            rig_reply(&rig, WORKER, link, tokens[0], EK_WIRE_OK, ++answered);
            memmove(tokens, tokens + 1, --count * sizeof *tokens);
        } else if (event >= 95) {
            count = 0;
            link = rig_join(&rig, WORKER, answered, all);
        }
    }
    ck_assert_uint_gt(answered, 100);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("taken back");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_expires_stands_behind_positions_and_before_the_rest);
    tcase_add_test(tests, the_place_behind_positions_moves_with_them);
    tcase_add_test(tests, a_job_that_is_set_aside_keeps_its_place_before_what_expires);
    tcase_add_loop_test(tests, positions_go_out_in_their_order_whatever_happens, 0, 8);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
