#include "broker/assign.h"
#include "tests/support/run_suite.h"

#include <check.h>

enum { SHARDS = 512, WORKERS = 5 };

static struct ek_assign_shard shards[SHARDS];
static struct ek_assign_move moves[SHARDS];
static size_t counts[WORKERS];

static void fill(int holder, bool empty)
{
    for (size_t i = 0; i < SHARDS; i++)
        shards[i] = (struct ek_assign_shard){.holder = holder, .empty = empty};
}

/* Carries the moves out; returns how many there were. */
static size_t run(const bool *usable, size_t worker_count)
{
    size_t count = ek_assign_evenly(shards, SHARDS, usable, worker_count, moves);
    for (size_t i = 0; i < count; i++)
        shards[moves[i].shard].holder = moves[i].target;
    for (size_t i = 0; i < WORKERS; i++)
        counts[i] = 0;
    for (size_t i = 0; i < SHARDS; i++)
        if (shards[i].holder >= 0)
            counts[shards[i].holder]++;
    return count;
}

START_TEST(the_first_worker_gets_all)
{
    fill(-1, false);
    ck_assert_uint_eq(run((bool[]){true}, 1), SHARDS);
    ck_assert_uint_eq(counts[0], SHARDS);
}
END_TEST

START_TEST(workers_that_join_one_by_one_end_even_and_move_no_more_than_needed)
{
    const bool usable[WORKERS] = {true, true, true, true, true};
    fill(-1, true);
    (void)run(usable, 1);
    for (size_t n = 2; n <= WORKERS; n++) {
        size_t moved = run(usable, n);
        ck_assert_uint_le(moved, SHARDS / n + 1);
        for (size_t i = 0; i < n; i++)
            ck_assert_msg(counts[i] == SHARDS / n || counts[i] == SHARDS / n + 1, "worker %zu of %zu holds %zu", i, n, counts[i]);
    }
}
END_TEST

START_TEST(shards_with_data_do_not_move)
{
    fill(0, false);
    for (size_t i = 0; i < 10; i++)
        shards[i * 50].empty = true;
    ck_assert_uint_eq(run((bool[]){true, true}, 2), 10);
    for (size_t i = 0; i < SHARDS; i++)
        ck_assert_int_eq(shards[i].holder, shards[i].empty ? 1 : 0);
}
END_TEST

START_TEST(workers_that_are_not_usable_neither_give_nor_take)
{
    fill(0, true);
    ck_assert_uint_eq(run((bool[]){false, true, false}, 3), 0);
    fill(-1, true);
    ck_assert_uint_eq(run((bool[]){false, true, false}, 3), SHARDS);
    ck_assert_uint_eq(counts[1], SHARDS);
    fill(-1, true);
    ck_assert_uint_eq(run((bool[]){false, false}, 2), 0);
}
END_TEST

START_TEST(an_even_table_stays_as_it_is)
{
    for (size_t i = 0; i < SHARDS; i++)
        shards[i] = (struct ek_assign_shard){.holder = (int)(i % 3), .empty = true};
    ck_assert_uint_eq(run((bool[]){true, true, true}, 3), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("assign");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, the_first_worker_gets_all);
    tcase_add_test(tests, workers_that_join_one_by_one_end_even_and_move_no_more_than_needed);
    tcase_add_test(tests, shards_with_data_do_not_move);
    tcase_add_test(tests, workers_that_are_not_usable_neither_give_nor_take);
    tcase_add_test(tests, an_even_table_stays_as_it_is);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
