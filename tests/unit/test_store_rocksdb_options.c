/* What RocksDB is told, seen from what it does. */
#include "client/cli/generator.h"
#include "tests/support/run_suite.h"
#include "worker/rows.h"
#include "worker/store_rocksdb_options.h"

#include <check.h>
#include <stdlib.h>

enum { ROWS = 20000, ROW_BYTES = EK_ROW_PREFIX_BYTES + 2 };

static rocksdb_cache_t *cache;
static char *text; /* of RocksDB's failure */

static void set_up(void)
{
    cache = rocksdb_cache_create_lru(1 << 20);
    text = NULL;
}

static void tear_down(void)
{
    rocksdb_cache_destroy(cache);
}

static void put_rows(rocksdb_t *db)
{
    rocksdb_writeoptions_t *write = rocksdb_writeoptions_create();
    uint64_t chance = 1;
    for (uint16_t i = 0; i < ROWS; i++) {
        uint8_t row[ROW_BYTES];
        ek_put_u16(row, (uint16_t)ek_random_below(&chance, EK_PREFIXES));
        ek_put_u16(row + EK_ROW_PREFIX_BYTES, i);
        rocksdb_put(db, write, (char *)row, sizeof row, "", 0, &text);
        ck_assert_ptr_null(text);
    }
    rocksdb_writeoptions_destroy(write);
}

/* Comparisons of keys that it takes to see all rows of a memtable in order, as a flush does. */
static uint64_t comparisons_of_all(rocksdb_t *db)
{
    rocksdb_perfcontext_t *counted = rocksdb_perfcontext_create();
    rocksdb_readoptions_t *read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_total_order_seek(read, 1);
    rocksdb_set_perf_level(rocksdb_enable_count);
    rocksdb_perfcontext_reset(counted);
    rocksdb_iterator_t *all = rocksdb_create_iterator(db, read);
    rocksdb_iter_seek_to_first(all);
    ck_assert(rocksdb_iter_valid(all));
    uint64_t comparisons = rocksdb_perfcontext_metric(counted, rocksdb_user_key_comparison_count);
    rocksdb_iter_destroy(all);
    rocksdb_readoptions_destroy(read);
    rocksdb_perfcontext_destroy(counted);
    return comparisons;
}

START_TEST(lists_of_memory_lie_in_the_order_of_their_rows)
{
    char directory[] = "/tmp/evenkeel-options-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(directory));
    struct ek_store_options store = {.write_buffer_bytes = 64 << 20};
    rocksdb_options_t *options = ek_rocksdb_options_rows(&store, cache);
    rocksdb_t *db = rocksdb_open(options, directory, &text);
    ck_assert_ptr_null(text);
    put_rows(db);
    uint64_t comparisons = comparisons_of_all(db);
    ck_assert_uint_ge(comparisons, ROWS / 2);
    ck_assert_uint_le(comparisons, 2 * ROWS); /* to sort what is in disorder takes log2(ROWS) and more for each */
    rocksdb_close(db);
    rocksdb_destroy_db(options, directory, &text);
    ck_assert_ptr_null(text);
    rocksdb_options_destroy(options);
}
END_TEST

/* A merge needs as much free disk as it reads. Files of level 0 hold what a log held. */
START_TEST(files_that_are_merged_at_once_fit_into_the_reserve)
{
    uint64_t reserve_bytes = UINT64_C(8) * EK_MIB << _i;
    struct ek_store_options store = {.write_buffer_bytes = 64 << 20, .reserve_bytes = reserve_bytes};
    rocksdb_options_t *options = ek_rocksdb_options_rows(&store, cache);
    uint64_t files = (uint64_t)rocksdb_options_get_level0_file_num_compaction_trigger(options);
    ck_assert_uint_ge(files, 4);
    ck_assert_uint_le(files * rocksdb_options_get_max_total_wal_size(options), reserve_bytes);
    ck_assert_uint_gt(EK_STORE_LEVEL0_FILES_SLOW, 3 * files); /* while one merge is under way, the next one's gather */
    rocksdb_options_destroy(options);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("store_rocksdb_options");
    TCase *tests = tcase_create("store_rocksdb_options");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, lists_of_memory_lie_in_the_order_of_their_rows);
    tcase_add_loop_test(tests, files_that_are_merged_at_once_fit_into_the_reserve, 0, 10); /* 8 MiB to 4 GiB */
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
