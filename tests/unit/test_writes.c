#include "worker/writes.h"
#include "common/hash.h"
#include "tests/support/run_suite.h"

#include <stdio.h>
#include <stdlib.h>

static void add(struct ek_writes *writes, const char *key, int64_t number)
{
    struct ek_slice bytes = ek_slice_text(key);
    struct ek_write write = {.kind = EK_WRITE_NUMBER, .prefix = ek_hash_prefix(bytes), .key = bytes, .number = number};
    ek_writes_add(writes, &write);
}

static int64_t latest(struct ek_writes *writes, const char *key)
{
    const struct ek_write *write = ek_writes_find(writes, ek_slice_text(key));
    return write ? write->number : -1;
}

START_TEST(the_last_write_of_a_key_is_seen)
{
    struct ek_writes writes = {0};
    ck_assert_int_eq(latest(&writes, "a"), -1);
    add(&writes, "a", 1);
    add(&writes, "b", 2);
    ck_assert_int_eq(latest(&writes, "a"), 1);
    add(&writes, "a", 3);
    ck_assert_int_eq(latest(&writes, "a"), 3);
    ck_assert_int_eq(latest(&writes, "b"), 2);
    ck_assert_int_eq(latest(&writes, "c"), -1);
    ek_writes_clear(&writes);
    ck_assert_int_eq(latest(&writes, "a"), -1);
    add(&writes, "c", 9);
    ck_assert_int_eq(latest(&writes, "a"), -1);
    ck_assert_int_eq(latest(&writes, "c"), 9);
    ek_writes_done(&writes);
}
END_TEST

START_TEST(what_is_undone_was_never_there)
{
    struct ek_writes writes = {0};
    add(&writes, "a", 1);
    for (int viewed = 0; viewed < 2; viewed++) {
        add(&writes, "a", 2);
        add(&writes, "b", 3);
        add(&writes, "a", 4);
        if (viewed)
            ck_assert_int_eq(latest(&writes, "a"), 4);
        ek_writes_undo(&writes, 1);
        ck_assert_int_eq(latest(&writes, "a"), 1);
        ck_assert_int_eq(latest(&writes, "b"), -1);
    }
    add(&writes, "b", 5);
    ck_assert_int_eq(latest(&writes, "b"), 5);
    ek_writes_done(&writes);
}
END_TEST

START_TEST(the_store_gets_each_key_once_in_its_order)
{
    enum { COUNT = 20000, KEYS = 3000 };
    static char keys[KEYS][24];
    struct ek_writes writes = {0};
    unsigned seed = 1;
    for (int i = 0; i < KEYS; i++) /* half of them lie together */
        (void)snprintf(keys[i], sizeof keys[i], i % 2 ? "%d" : "{tag}/%d", i);
    static const int counts[] = {COUNT, COUNT, 1, 2, 7, 8, 9, 100};
    for (size_t group = 0; group < sizeof counts / sizeof *counts; group++) {
        int64_t last[KEYS];
        size_t distinct = 0;
        for (int i = 0; i < KEYS; i++)
            last[i] = -1;
        ek_writes_clear(&writes);
        for (int i = 0; i < counts[group]; i++) {
            int key = rand_r(&seed) % KEYS;
            distinct += last[key] < 0;
            last[key] = i;
            add(&writes, keys[key], i);
            if (group == 1 && i == COUNT / 2)
                (void)latest(&writes, keys[0]); /* from here on with a view */
        }
        for (int i = 0; i < KEYS; i++)
            ck_assert_int_eq(latest(&writes, keys[i]), last[i]);
        size_t count;
        const struct ek_writes_order *order = ek_writes_sorted(&writes, &count);
        ck_assert_uint_eq(count, distinct);
        for (size_t i = 0; i < count; i++) {
            const struct ek_write *write = &writes.items[order[i].index];
            ck_assert_int_eq(latest(&writes, (const char *)write->key.data), write->number);
            if (i == 0)
                continue;
            const struct ek_write *before = &writes.items[order[i - 1].index];
            ck_assert(before->prefix < write->prefix ||
                      (before->prefix == write->prefix && ek_slice_compare(before->key, write->key) < 0));
        }
    }
    ek_writes_done(&writes);
}
END_TEST

START_TEST(keys_that_differ_in_length_only_are_kept_apart)
{
    struct ek_writes writes = {0};
    static const char bytes[] = "k\0\0";
    for (size_t size = 1; size <= 3; size++) {
        struct ek_write write = {.kind = EK_WRITE_NUMBER, .prefix = 7, .key = ek_slice_of(bytes, size), .number = (int64_t)size};
        ek_writes_add(&writes, &write);
    }
    size_t count;
    const struct ek_writes_order *order = ek_writes_sorted(&writes, &count);
    ck_assert_uint_eq(count, 3);
    for (size_t i = 0; i < 3; i++)
        ck_assert_uint_eq(writes.items[order[i].index].key.size, i + 1);
    ek_writes_done(&writes);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("writes");
    TCase *tests = tcase_create("writes");
    tcase_add_test(tests, the_last_write_of_a_key_is_seen);
    tcase_add_test(tests, what_is_undone_was_never_there);
    tcase_add_test(tests, the_store_gets_each_key_once_in_its_order);
    tcase_add_test(tests, keys_that_differ_in_length_only_are_kept_apart);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
