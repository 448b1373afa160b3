/* Walks through a store's rows, which lie in files and, hash prefix by hash prefix, in memory, against a list of what is there. */
#include "client/cli/generator.h"
#include "common/hash.h"
#include "tests/support/run_suite.h"
#include "worker/rows.h"
#include "worker/store.h"

#include <check.h>
#include <dirent.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WALKS = 100,
    NEAR = 300,
    NAMES = 3000,
    MARKS = 20,
    KEY_BYTES = EK_ROW_PREFIX_BYTES + 2,
    LIST_ROWS = 1000 /* more than a short list has */
};

static char directory[64];
static struct ek_store *store;
static uint64_t chance;

static void open_store(void)
{
    struct ek_error error = {0};
    struct ek_store_options options = {.directory = directory, .cache_bytes = 1 << 20, .write_buffer_bytes = 64 << 20};
    ck_assert_msg(ek_store_open(&options, &store, &error) == EK_OK, "%s", error.text);
}

static void set_up(void)
{
    (void)snprintf(directory, sizeof directory, "/tmp/evenkeel-walk-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    chance = 1;
    open_store();
}

static void tear_down(void)
{
    ek_store_close(&store);
    DIR *files = opendir(directory);
    for (struct dirent *entry; (entry = readdir(files));) {
        char path[512];
        (void)snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        (void)unlink(path);
    }
    (void)closedir(files);
    (void)rmdir(directory);
}

/* ---- what ought to be there ---- */

struct name {
    uint8_t key[KEY_BYTES];
    uint8_t value; /* 0: no row */
};

static struct name names[NAMES];

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, KEY_BYTES);
}

/* Keys of few and of many prefixes, the outermost ones among them; sorted. */
static void draw_names(void)
{
    for (size_t i = 0; i < NAMES; i++) {
        static const uint16_t crowded[] = {0, 1, 2, 0x00ff, 0x0100, 0x7fff, 0xfffe, 0xffff};
        uint16_t prefix = i % 2 ? (uint16_t)ek_random_below(&chance, EK_PREFIXES) : crowded[ek_random_below(&chance, 8)];
        ek_put_u16(names[i].key, prefix);
        ek_put_u16(names[i].key + EK_ROW_PREFIX_BYTES, (uint16_t)i); /* no two are the same */
        names[i].value = 0;
    }
    qsort(names, NAMES, sizeof *names, compare);
}

static struct ek_slice key_of(const struct name *name)
{
    return ek_slice_of(name->key, KEY_BYTES);
}

/* A mark within a list or across some. */
static void delete_some(void)
{
    size_t first = ek_random_below(&chance, NAMES), end = first + ek_random_below(&chance, NEAR / 10);
    if (end >= NAMES)
        return;
    ek_store_delete_range(store, EK_STORE_ROWS, key_of(&names[first]), key_of(&names[end]));
    for (size_t i = first; i < end; i++)
        names[i].value = 0;
}

/* Puts or deletes some of them. */
static void change(uint8_t value)
{
    for (int i = 0; i < MARKS; i++)
        delete_some();
    for (size_t i = 0; i < NAMES; i++) {
        uint64_t what = ek_random_below(&chance, 4);
        if (what == 0)
            ek_store_put(store, EK_STORE_ROWS, key_of(&names[i]), ek_slice_of(&value, 1), ek_slice_of(NULL, 0));
        else if (what == 1)
            ek_store_delete(store, EK_STORE_ROWS, key_of(&names[i]));
        if (what < 2)
            names[i].value = what == 0 ? value : 0;
    }
    for (int i = 0; i < MARKS; i++)
        delete_some();
    ck_assert_int_eq(ek_store_commit(store, NULL), EK_OK);
}

static void check_walk(struct ek_slice first, struct ek_slice end)
{
    struct ek_slice key, value;
    struct ek_store_cursor *cursor = ek_store_walk(store, EK_STORE_ROWS, first, end);
    for (size_t i = 0; i < NAMES; i++) {
        bool inside =
            ek_slice_compare(key_of(&names[i]), first) >= 0 && (!end.size || ek_slice_compare(key_of(&names[i]), end) < 0);
        if (!inside || !names[i].value)
            continue;
        ck_assert(ek_store_cursor_entry(cursor, &key, &value));
        ck_assert(ek_slice_equal(key, key_of(&names[i])));
        ck_assert_uint_eq(value.data[0], names[i].value);
        ek_store_cursor_step(cursor);
    }
    ck_assert(!ek_store_cursor_entry(cursor, &key, &value));
    ck_assert_int_eq(ek_store_cursor_close(&cursor, NULL), EK_OK);
}

/* ---- */

START_TEST(rows_come_in_order_whatever_part_of_them_lies_in_memory)
{
    draw_names();
    change(1);
    ek_store_close(&store); /* the next start brings them into files */
    open_store();
    change(2);
    check_walk(ek_slice_of("", 0), ek_slice_of(NULL, 0));
    for (int i = 0; i < WALKS; i++) {
        size_t at = ek_random_below(&chance, NAMES);
        size_t ends[] = {at, i % 4 ? at + ek_random_below(&chance, NEAR) : ek_random_below(&chance, NAMES)};
        uint8_t edges[2][KEY_BYTES];
        size_t sizes[2];
        for (int edge = 0; edge < 2; edge++) { /* a whole prefix, or between two keys of one */
            memcpy(edges[edge], names[ends[edge] % NAMES].key, KEY_BYTES);
            sizes[edge] = ek_random_below(&chance, 2) ? KEY_BYTES : EK_ROW_PREFIX_BYTES;
        }
        check_walk(ek_slice_of(edges[0], sizes[0]), ek_slice_of(edges[1], sizes[1]));
    }
}
END_TEST

START_TEST(what_was_deleted_is_passed_over_once)
{
    enum { DELETED = 5000 };
    rocksdb_perfcontext_t *counted = rocksdb_perfcontext_create();
    for (int turn = 0; turn < 2; turn++) {
        for (uint32_t i = 0; i < DELETED; i++) {
            uint8_t row[KEY_BYTES] = {0};
            ek_put_u16(row, (uint16_t)(i * (EK_PREFIXES / DELETED)));
            if (turn == 0)
                ek_store_put(store, EK_STORE_ROWS, ek_slice_of(row, sizeof row), ek_slice_of("a", 1), ek_slice_of(NULL, 0));
            else
                ek_store_delete(store, EK_STORE_ROWS, ek_slice_of(row, sizeof row));
        }
        ck_assert_int_eq(ek_store_commit(store, NULL), EK_OK);
        ek_store_close(&store); /* the next start brings them into files */
        open_store();
    }
    rocksdb_set_perf_level(rocksdb_enable_count);
    rocksdb_perfcontext_reset(counted);
    draw_names(); /* none of them is there */
    check_walk(ek_slice_of("", 0), ek_slice_of(NULL, 0));
    ck_assert_uint_le(rocksdb_perfcontext_metric(counted, rocksdb_internal_delete_skipped_count), 2 * DELETED);
    rocksdb_perfcontext_destroy(counted);
}
END_TEST

START_TEST(what_marks_delete_is_passed_over_once)
{
    enum { ROWS = 16384, SHARDS = 256, COMPARISONS_A_LIST = 40 };
    for (uint32_t i = 0; i < ROWS; i++) {
        uint8_t row[KEY_BYTES] = {0};
        ek_put_u16(row, (uint16_t)(i * (EK_PREFIXES / ROWS)));
        ek_store_put(store, EK_STORE_ROWS, ek_slice_of(row, sizeof row), ek_slice_of("a", 1), ek_slice_of(NULL, 0));
    }
    ck_assert_int_eq(ek_store_commit(store, NULL), EK_OK);
    ek_store_close(&store); /* the next start brings them into files */
    open_store();
    for (uint32_t i = 0; i < SHARDS; i++) {
        uint8_t edges[2][EK_ROW_PREFIX_BYTES];
        ek_put_u16(edges[0], (uint16_t)(i * (EK_PREFIXES / SHARDS)));
        ek_put_u16(edges[1], (uint16_t)((i + 1) * (EK_PREFIXES / SHARDS)));
        bool last = i == SHARDS - 1; /* one row stays */
        ek_store_delete_range(store, EK_STORE_ROWS, ek_slice_of(edges[0], 2),
                              last ? ek_slice_of("\xff\xfb", 2) : ek_slice_of(edges[1], 2));
    }
    ck_assert_int_eq(ek_store_commit(store, NULL), EK_OK);
    rocksdb_perfcontext_t *counted = rocksdb_perfcontext_create();
    rocksdb_set_perf_level(rocksdb_enable_count);
    rocksdb_perfcontext_reset(counted);
    struct ek_slice key, value;
    struct ek_store_cursor *cursor = ek_store_walk(store, EK_STORE_ROWS, ek_slice_of("", 0), ek_slice_of(NULL, 0));
    ck_assert(ek_store_cursor_entry(cursor, &key, &value));
    ck_assert_uint_eq(ek_get_u16(key.data), 0xfffc);
    ek_store_cursor_step(cursor);
    ck_assert(!ek_store_cursor_entry(cursor, &key, &value));
    ck_assert_int_eq(ek_store_cursor_close(&cursor, NULL), EK_OK);
    ck_assert_uint_le(rocksdb_perfcontext_metric(counted, rocksdb_user_key_comparison_count), COMPARISONS_A_LIST * ROWS);
    rocksdb_perfcontext_destroy(counted);
}
END_TEST

START_TEST(a_search_ends_when_its_lists_are_used_up)
{
    enum { LISTS = 100, PREFIXES_A_LIST = 4, PREFIX = 0x8000 };
    uint8_t row[KEY_BYTES], place[EK_ROW_PREFIX_BYTES];
    ek_put_u16(row, PREFIX);
    ek_put_u16(row + EK_ROW_PREFIX_BYTES, 7);
    ek_store_put(store, EK_STORE_ROWS, ek_slice_of(row, sizeof row), ek_slice_of("a", 1), ek_slice_of(NULL, 0));
    ck_assert_int_eq(ek_store_commit(store, NULL), EK_OK);
    struct ek_store_cursor *cursor = ek_store_walk(store, EK_STORE_ROWS, ek_slice_of("", 0), ek_slice_of(NULL, 0));
    uint32_t left = LISTS, searches = 1;
    for (; !ek_store_cursor_find(cursor, &left); left = LISTS, searches++) {
        ck_assert_uint_eq(left, 0);
        ek_store_cursor_place(cursor, place);
        ck_assert_uint_eq(ek_get_u16(place), (searches * LISTS + 1) * PREFIXES_A_LIST); /* the first list is where it begins */
    }
    ck_assert_uint_eq(searches * LISTS - left, PREFIX / PREFIXES_A_LIST);
    struct ek_slice key, value;
    ck_assert(ek_store_cursor_entry(cursor, &key, &value));
    ck_assert(ek_slice_equal(key, ek_slice_of(row, sizeof row)));
    ek_store_cursor_step(cursor);
    left = 0;
    ck_assert(!ek_store_cursor_find(cursor, &left));
    left = EK_PREFIXES;
    ck_assert(ek_store_cursor_find(cursor, &left)); /* the end */
    ck_assert(!ek_store_cursor_entry(cursor, &key, &value));
    ck_assert_int_eq(ek_store_cursor_close(&cursor, NULL), EK_OK);
}
END_TEST

START_TEST(a_walk_sees_what_was_there_when_it_began)
{
    struct ek_slice key, value;
    uint8_t row[KEY_BYTES] = {0x12, 0x34};
    for (uint16_t i = 0; i < LIST_ROWS; i += 2) {
        ek_put_u16(row + EK_ROW_PREFIX_BYTES, i);
        ek_store_put(store, EK_STORE_ROWS, ek_slice_of(row, sizeof row), ek_slice_of("a", 1), ek_slice_of(NULL, 0));
        if (i == LIST_ROWS / 8)
            ck_assert_int_eq(ek_store_commit(store, NULL), EK_OK);
    }
    ck_assert_int_eq(ek_store_commit(store, NULL), EK_OK);
    struct ek_store_cursor *cursor = ek_store_walk(store, EK_STORE_ROWS, ek_slice_of("", 0), ek_slice_of(NULL, 0));
    for (uint16_t i = 0; i < LIST_ROWS; i++) {
        ek_put_u16(row + EK_ROW_PREFIX_BYTES, i);
        ek_store_put(store, EK_STORE_ROWS, ek_slice_of(row, sizeof row), ek_slice_of("b", 1), ek_slice_of(NULL, 0));
    }
    ck_assert_int_eq(ek_store_commit(store, NULL), EK_OK);
    for (uint16_t i = 0; i < LIST_ROWS; i += 2) {
        ck_assert(ek_store_cursor_entry(cursor, &key, &value));
        ck_assert_uint_eq(ek_get_u16(key.data + EK_ROW_PREFIX_BYTES), i);
        ck_assert_uint_eq(value.data[0], 'a');
        ek_store_cursor_step(cursor);
    }
    ck_assert(!ek_store_cursor_entry(cursor, &key, &value));
    ck_assert_int_eq(ek_store_cursor_close(&cursor, NULL), EK_OK);
}
END_TEST

START_TEST(a_row_that_is_no_workers_is_seen_too)
{
    struct ek_slice key, value;
    ek_store_put(store, EK_STORE_ROWS, ek_slice_text("k"), ek_slice_of("a", 1), ek_slice_of(NULL, 0));
    ck_assert_int_eq(ek_store_commit(store, NULL), EK_OK);
    struct ek_store_cursor *cursor = ek_store_walk(store, EK_STORE_ROWS, ek_slice_of("", 0), ek_slice_of(NULL, 0));
    ck_assert(ek_store_cursor_entry(cursor, &key, &value));
    ck_assert(ek_slice_equal(key, ek_slice_text("k")));
    ek_store_cursor_step(cursor);
    ck_assert(!ek_store_cursor_entry(cursor, &key, &value)); /* nor what holds the spaces together */
    ck_assert_int_eq(ek_store_cursor_close(&cursor, NULL), EK_OK);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("store_walk");
    TCase *tests = tcase_create("store_walk");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, rows_come_in_order_whatever_part_of_them_lies_in_memory);
    tcase_add_test(tests, what_was_deleted_is_passed_over_once);
    tcase_add_test(tests, what_marks_delete_is_passed_over_once);
    tcase_add_test(tests, a_search_ends_when_its_lists_are_used_up);
    tcase_add_test(tests, a_walk_sees_what_was_there_when_it_began);
    tcase_add_test(tests, a_row_that_is_no_workers_is_seen_too);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
