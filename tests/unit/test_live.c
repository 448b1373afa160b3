#include "worker/live.h"
#include "tests/support/run_suite.h"

#include <stdlib.h>

START_TEST(a_record_goes_when_no_shard_needs_it)
{
    struct ek_live *live = malloc(sizeof *live);
    uint64_t sequence;
    ek_live_init(live, 100);
    ek_live_add(live, 1, 60);
    ek_live_touch(live, 4, 1);
    ek_live_touch(live, 5, 1);
    ek_live_add(live, 2, 60);
    ek_live_touch(live, 4, 2);
    ek_live_touch(live, 6, 2);
    ck_assert(!ek_live_drop(live, &sequence));
    ck_assert_uint_eq(ek_live_oldest(live), 4);
    ek_live_settle(live, 4);
    ck_assert(!ek_live_drop(live, &sequence));
    ck_assert_uint_eq(ek_live_oldest(live), 5);
    ek_live_settle(live, 5);
    ck_assert(ek_live_drop(live, &sequence));
    ck_assert_uint_eq(sequence, 1);
    ck_assert_uint_eq(live->bytes, 60);
    ck_assert(!ek_live_drop(live, &sequence));
    ek_live_add(live, 3, 60);
    ek_live_settle(live, 6);
    ck_assert(ek_live_drop(live, &sequence));
    ck_assert_uint_eq(sequence, 2);
    ck_assert_uint_eq(ek_live_oldest(live), EK_LIVE_NONE);
    ek_live_done(live);
    free(live);
}
END_TEST

START_TEST(the_newest_record_stays)
{
    struct ek_live *live = malloc(sizeof *live);
    uint64_t sequence;
    ek_live_init(live, 100);
    ek_live_add(live, 7, 60);
    ck_assert(!ek_live_drop(live, &sequence)); /* though no shard needs it */
    ek_live_add(live, 9, 60);
    ck_assert(ek_live_drop(live, &sequence));
    ck_assert_uint_eq(sequence, 7);
    ck_assert(!ek_live_drop(live, &sequence));
    ck_assert_uint_eq(live->bytes, 60);
    ek_live_done(live);
    free(live);
}
END_TEST

START_TEST(records_leave_in_order_however_many_there_are)
{
    enum { FIRST = 50, MORE = 300 };
    struct ek_live *live = malloc(sizeof *live);
    uint64_t sequence;
    ek_live_init(live, 100);
    for (uint64_t i = 1; i <= FIRST; i++)
        ek_live_add(live, i, 1);
    for (uint64_t i = 1; i < FIRST; i++)
        ck_assert(ek_live_drop(live, &sequence));
    for (uint64_t i = FIRST + 1; i <= MORE; i++)
        ek_live_add(live, i, 1);
    for (uint64_t i = FIRST; i < MORE; i++) {
        ck_assert(ek_live_drop(live, &sequence));
        ck_assert_uint_eq(sequence, i);
    }
    ck_assert_uint_eq(live->bytes, 1);
    ek_live_done(live);
    free(live);
}
END_TEST

START_TEST(nothing_is_due_below_the_limit)
{
    struct ek_live *live = malloc(sizeof *live);
    ek_live_init(live, 100);
    ek_live_add(live, 1, 100);
    ek_live_touch(live, 4, 1);
    ck_assert_uint_eq(ek_live_snapshots_due(live, 100), 0);
    ek_live_add(live, 2, 1);
    ck_assert_uint_ge(ek_live_snapshots_due(live, 1), 1);
    ek_live_done(live);
    free(live);
}
END_TEST

/* Small records that touch few shards, and large ones that touch many of very many. */
static const struct {
    uint32_t shards;
    uint32_t touched;
    uint32_t bytes_max;
    int groups;
} kinds_of_groups[] = {{512, 20, 4000, 20000}, {EK_SHARDS_MAX, 4096, 100000, 200}};

START_TEST(live_records_stay_below_twice_the_limit)
{
    enum { LIMIT = 1 << 20 };
    uint32_t shards = kinds_of_groups[_i].shards;
    uint32_t touched = kinds_of_groups[_i].touched;
    int groups = kinds_of_groups[_i].groups;
    struct ek_live *live = malloc(sizeof *live);
    unsigned seed = 2;
    size_t most = 0;
    uint64_t snapshots = 0;
    ek_live_init(live, LIMIT);
    for (int group = 0; group < groups; group++) {
        uint64_t sequence = (uint64_t)group + 1;
        size_t bytes = 1 + (size_t)rand_r(&seed) % kinds_of_groups[_i].bytes_max;
        ek_live_add(live, sequence, bytes);
        for (uint32_t i = 0; i < touched; i++)
            ek_live_touch(live, (uint16_t)((uint32_t)rand_r(&seed) % shards), sequence);
        for (uint32_t due = ek_live_snapshots_due(live, bytes); due && live->dirty; due--, snapshots++)
            ek_live_settle(live, ek_live_oldest(live));
        while (ek_live_drop(live, &sequence))
            ;
        most = live->bytes > most ? live->bytes : most;
    }
    ck_assert_uint_gt(most, LIMIT);
    ck_assert_uint_lt(most, 2 * LIMIT);
    ck_assert_uint_lt(snapshots, (uint64_t)groups * touched / 5);
    ek_live_done(live);
    free(live);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("live");
    TCase *tests = tcase_create("live");
    tcase_add_test(tests, a_record_goes_when_no_shard_needs_it);
    tcase_add_test(tests, the_newest_record_stays);
    tcase_add_test(tests, records_leave_in_order_however_many_there_are);
    tcase_add_test(tests, nothing_is_due_below_the_limit);
    tcase_add_loop_test(tests, live_records_stay_below_twice_the_limit, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
