/* The room of shards that have left, given back by a real store although nothing more is written. */
#include "common/clock.h"
#include "common/hash.h"
#include "tests/support/run_suite.h"
#include "worker/reclaim.h"

#include <check.h>
#include <poll.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHARDS = 8, GONE = 3, ROWS_A_SHARD = 2000, VALUE_BYTES = 500, REST_US = 2000000, PATIENCE_US = 20000000, PARTS = 8 };

static char directory[64];
static struct ek_store *store;
static uint64_t now_us;

static void set_up(void)
{
    struct ek_error error = {0};
    (void)snprintf(directory, sizeof directory, "/tmp/evenkeel-reclaim-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    struct ek_store_options options = {.directory = directory, .cache_bytes = 1 << 20, .write_buffer_bytes = 64 << 20};
    ck_assert_msg(ek_store_open(&options, &store, &error) == EK_OK, "%s", error.text);
    now_us = 1000000;
}

static void tear_down(void)
{
    char *text = NULL;
    ek_store_close(&store);
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_destroy_db(options, directory, &text);
    rocksdb_free(text);
    rocksdb_options_destroy(options);
}

/* The n-th part of the rows of every shard. */
static void fill(uint16_t part)
{
    static uint8_t value[VALUE_BYTES];
    uint64_t noise = part;
    for (uint32_t shard = 0; shard < SHARDS; shard++)
        for (uint16_t row = part; row < ROWS_A_SHARD; row += PARTS) {
            uint8_t key[4];
            for (size_t i = 0; i < sizeof value; i++)
                value[i] =
                    (uint8_t)((noise = noise * 6364136223846793005u + 1442695040888963407u) >> 56); /* cannot be compressed */
            ek_put_u16(key, (uint16_t)ek_shard_first(shard, SHARDS));
            ek_put_u16(key + 2, row);
            ek_store_put(store, EK_STORE_ROWS, ek_slice_of(key, sizeof key), ek_slice_of(NULL, 0),
                         ek_slice_of(value, sizeof value));
        }
    ck_assert_int_eq(ek_store_commit(store, NULL), EK_OK);
}

static void delete_shard(struct ek_reclaim *reclaim, uint16_t shard)
{
    uint8_t first[2];
    uint8_t end[2];
    ek_put_u16(first, (uint16_t)ek_shard_first(shard, SHARDS));
    ek_put_u16(end, (uint16_t)ek_shard_first(shard + 1u, SHARDS));
    ek_store_delete_range(store, EK_STORE_ROWS, ek_slice_of(first, sizeof first), ek_slice_of(end, sizeof end));
    ck_assert_int_eq(ek_store_commit(store, NULL), EK_OK);
    ek_reclaim_swept(reclaim, shard, now_us);
}

static struct ek_store_figures figures(void)
{
    struct ek_store_figures figures;
    ek_store_figures(store, &figures);
    return figures;
}

/* What goes on in the background gets there. */
static bool comes_to(bool (*is_there)(struct ek_store_figures figures))
{
    uint64_t until_us = ek_clock_monotonic_us() + PATIENCE_US;
    while (!is_there(figures()) && ek_clock_monotonic_us() < until_us)
        (void)poll(NULL, 0, 10);
    return is_there(figures());
}

static bool is_flushed(struct ek_store_figures figures)
{
    return figures.unflushed_bytes < VALUE_BYTES * 100;
}

/* Below the level where files wait for others. */
static bool is_settled(struct ek_store_figures figures)
{
    return is_flushed(figures) && figures.level0_files < PARTS / 2;
}

static bool is_given_back(struct ek_store_figures figures)
{
    uint64_t rest = (uint64_t)(SHARDS - 1) * ROWS_A_SHARD * VALUE_BYTES;
    return figures.table_bytes < rest + rest / 20;
}

/* Another one that is on its way is waited for. */
static void flush(void)
{
    uint64_t until_us = ek_clock_monotonic_us() + PATIENCE_US;
    while (!ek_store_flush_beside(store) && ek_clock_monotonic_us() < until_us)
        (void)poll(NULL, 0, 1);
    ck_assert(comes_to(is_flushed));
}

START_TEST(what_has_left_gives_its_room_back)
{
    struct ek_reclaim reclaim = {0};
    for (uint16_t part = 0; part < PARTS; part++) {
        fill(part);
        flush();
    }
    ck_assert(comes_to(is_settled));
    delete_shard(&reclaim, GONE);
    ck_assert(!is_given_back(figures()));
    ck_assert(ek_reclaim_run(&reclaim, store, SHARDS, now_us += REST_US));
    flush();
    ck_assert(!ek_reclaim_run(&reclaim, store, SHARDS, now_us += REST_US));
    ck_assert(comes_to(is_given_back));
    ck_assert_uint_eq(reclaim.since_us, 0);
}
END_TEST

START_TEST(another_deletion_puts_it_off)
{
    struct ek_reclaim reclaim = {0};
    ck_assert(!ek_reclaim_run(&reclaim, store, SHARDS, now_us));
    delete_shard(&reclaim, 1);
    ck_assert(!ek_reclaim_run(&reclaim, store, SHARDS, now_us += REST_US - 1));
    ck_assert(ek_reclaim_run(&reclaim, store, SHARDS, now_us += 1));
    delete_shard(&reclaim, 2);
    ck_assert(!reclaim.flushed);
    ck_assert(ek_reclaim_run(&reclaim, store, SHARDS, now_us += REST_US));
    ck_assert_uint_eq(reclaim.swept[0], 6);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("reclaim");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_has_left_gives_its_room_back);
    tcase_add_test(tests, another_deletion_puts_it_off);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
