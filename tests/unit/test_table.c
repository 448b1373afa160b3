#include "common/bytes.h"
#include "common/table.h"
#include "tests/support/run_suite.h"

#include <stdlib.h>

struct number {
    uint64_t key;
    struct ek_table_link link;
};

static bool same(const struct ek_table_link *item, const void *key)
{
    return EK_ITEM(item, struct number, link)->key == *(const uint64_t *)key;
}

static struct number *find(const struct ek_table *table, uint64_t key, uint64_t hash)
{
    struct ek_table_link *link = ek_table_find(table, hash, same, &key);
    return link ? EK_ITEM(link, struct number, link) : NULL;
}

START_TEST(an_empty_table_holds_nothing)
{
    struct ek_table table = {0};
    ck_assert_ptr_null(find(&table, 1, 1));
    ek_table_done(&table);
    ek_table_done(&table);
}
END_TEST

START_TEST(what_was_added_is_found_until_it_is_removed)
{
    enum { COUNT = 5000 };
    struct ek_table table = {0};
    struct number *numbers = ek_alloc_zero(COUNT, sizeof *numbers);
    for (uint64_t i = 0; i < COUNT; i++) {
        numbers[i].key = i;
        ek_table_add(&table, &numbers[i].link, ek_mix(i));
    }
    ck_assert_uint_eq(table.count, COUNT);
    ck_assert_uint_ge(table.chain_count, COUNT);
    for (uint64_t i = 0; i < COUNT; i++)
        ck_assert_ptr_eq(find(&table, i, ek_mix(i)), &numbers[i]);
    for (uint64_t i = 0; i < COUNT; i += 2)
        ek_table_remove(&table, &numbers[i].link);
    ck_assert_uint_eq(table.count, COUNT / 2);
    for (uint64_t i = 0; i < COUNT; i++)
        ck_assert_ptr_eq(find(&table, i, ek_mix(i)), i % 2 ? &numbers[i] : NULL);
    ek_table_done(&table);
    free(numbers);
}
END_TEST

START_TEST(equal_hashes_are_told_apart_by_key)
{
    struct ek_table table = {0};
    struct number a = {.key = 1}, b = {.key = 2}, c = {.key = 3};
    ek_table_add(&table, &a.link, 77);
    ek_table_add(&table, &b.link, 77);
    ek_table_add(&table, &c.link, 77 + 64);
    ck_assert_ptr_eq(find(&table, 1, 77), &a);
    ck_assert_ptr_eq(find(&table, 2, 77), &b);
    ck_assert_ptr_eq(find(&table, 3, 77 + 64), &c);
    ck_assert_ptr_null(find(&table, 3, 77));
    ek_table_remove(&table, &b.link);
    ck_assert_ptr_eq(find(&table, 1, 77), &a);
    ck_assert_ptr_null(find(&table, 2, 77));
    ek_table_done(&table);
}
END_TEST

START_TEST(removing_what_is_not_there_changes_nothing)
{
    struct ek_table table = {0};
    struct number a = {.key = 1}, stranger = {.key = 2};
    ek_table_add(&table, &a.link, 5);
    stranger.link.hash = 5;
    ek_table_remove(&table, &stranger.link);
    ck_assert_uint_eq(table.count, 1);
    ck_assert_ptr_eq(find(&table, 1, 5), &a);
    ek_table_done(&table);
}
END_TEST

START_TEST(an_item_can_be_added_again)
{
    struct ek_table table = {0};
    struct number a = {.key = 1};
    for (uint64_t round = 0; round < 3; round++) {
        ek_table_add(&table, &a.link, round);
        ck_assert_ptr_eq(find(&table, 1, round), &a);
        ek_table_remove(&table, &a.link);
        ck_assert_ptr_null(find(&table, 1, round));
    }
    ek_table_done(&table);
}
END_TEST

START_TEST(mixing_spreads_the_low_bits)
{
    unsigned chains[64] = {0};
    for (uint64_t i = 0; i < 64000; i++)
        chains[ek_mix(i << 20) & 63]++;
    for (unsigned i = 0; i < 64; i++) {
        ck_assert_uint_gt(chains[i], 800);
        ck_assert_uint_lt(chains[i], 1200);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("table");
    TCase *tests = tcase_create("table");
    tcase_add_test(tests, an_empty_table_holds_nothing);
    tcase_add_test(tests, what_was_added_is_found_until_it_is_removed);
    tcase_add_test(tests, equal_hashes_are_told_apart_by_key);
    tcase_add_test(tests, removing_what_is_not_there_changes_nothing);
    tcase_add_test(tests, an_item_can_be_added_again);
    tcase_add_test(tests, mixing_spreads_the_low_bits);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
