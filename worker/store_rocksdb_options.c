#include "worker/store_rocksdb_options.h"

#include "worker/rows.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    OPEN_FILES_MAX = 512,
    BLOOM_BITS = 10,
    TABLE_FORMAT = 5,
    BACKGROUND_THREADS = 2,
    WRITE_BUFFERS_MAX = 4,
    LOG_FILES_MAX = 4,
    LEVELS = 7,
    UPPER_LEVELS = 2, /* short-lived files: not worth compressing */
    /* So many files of level 0 are merged at once with what lies below them, which is written anew each time: the more, the less is
     * written. While it happens as many come anew. */
    LEVEL0_FILES_MIN = 4,
    LEVEL0_FILES_MAX = 6,
    LEVEL0_FILES_STOP = 48
};
#define MEMTABLE_BLOOM_SHARE    0.05 /* of a write buffer of rows; spares gets the search of tables without their row */
#define BLOCK_HASH_SHARE        0.75
#define BYTES_A_BUCKET          ((size_t)1 << 10) /* of a write buffer */
#define BUCKETS_MAX             ((size_t)4 * EK_ROCKSDB_LISTS)
#define LOG_FILE_BYTES_MAX      ((size_t)4 << 20)
#define BOOK_WRITE_BUFFER_BYTES ((size_t)32 << 20)
#define BLOCK_BYTES             ((size_t)8 << 10)
#define FILE_BYTES_MIN          ((uint64_t)2 << 20)
#define FILE_BYTES_MAX          ((uint64_t)64 << 20)
/* A start reads the whole log and inserts every row of it again, 100,000 a second while others use the processors too: a worker
 * shall serve again within 2 s. */
#define REPLAY_BYTES_MAX    ((uint64_t)8 << 20)
#define MANIFEST_ROOM_BYTES ((size_t)256 << 10) /* taken from the disk beforehand */

static void set_tables(rocksdb_options_t *options, rocksdb_cache_t *cache)
{
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(table, cache);
    rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS));
    rocksdb_block_based_options_set_whole_key_filtering(table, 1);
    rocksdb_block_based_options_set_format_version(table, TABLE_FORMAT);
    rocksdb_block_based_options_set_block_size(table, BLOCK_BYTES);
    rocksdb_block_based_options_set_data_block_index_type(table,
                                                          rocksdb_block_based_table_data_block_index_type_binary_search_and_hash);
    rocksdb_block_based_options_set_data_block_hash_ratio(table, BLOCK_HASH_SHARE);
    rocksdb_options_set_block_based_table_factory(options, table);
    rocksdb_block_based_options_destroy(table);
}

static uint64_t within(uint64_t value, uint64_t least, uint64_t most)
{
    return value < least ? least : value < most ? value : most;
}

/*
 * A merge needs as much free disk as it reads. What one of them reads has to fit into the reserve: else a disk that is full stays
 * so, because deletes give nothing back before files are merged. Levels grow tenfold: a file is merged with some ten below it.
 */
static void set_merges(rocksdb_options_t *options, uint64_t reserve_bytes)
{
    uint64_t files = reserve_bytes ? reserve_bytes / 4 / REPLAY_BYTES_MAX : LEVEL0_FILES_MAX;
    rocksdb_options_set_level0_file_num_compaction_trigger(options, (int)within(files, LEVEL0_FILES_MIN, LEVEL0_FILES_MAX));
    rocksdb_options_set_level0_slowdown_writes_trigger(options, EK_STORE_LEVEL0_FILES_SLOW);
    rocksdb_options_set_level0_stop_writes_trigger(options, LEVEL0_FILES_STOP);
    if (reserve_bytes == 0)
        return;
    rocksdb_options_set_target_file_size_base(options, within(reserve_bytes / 16, FILE_BYTES_MIN, FILE_BYTES_MAX));
    rocksdb_options_set_max_bytes_for_level_base(options, within(reserve_bytes / 4, 4 * FILE_BYTES_MIN, 4 * FILE_BYTES_MAX));
    rocksdb_options_set_max_compaction_bytes(options, within(reserve_bytes / 2, 8 * FILE_BYTES_MIN, 8 * FILE_BYTES_MAX));
}

/*
 * RocksDB takes a new log's room from the disk beforehand: as much as the largest write buffer, or this limit where that is less.
 * Larger than what is left of a reserve, it takes all there is for a moment, and whatever else is written then fails: on a disk
 * that is nearly full a start would end before it had begun.
 */
static void set_logs(rocksdb_options_t *options, uint64_t reserve_bytes)
{
    uint64_t room_bytes = reserve_bytes ? reserve_bytes / 4 : REPLAY_BYTES_MAX;
    rocksdb_options_set_max_total_wal_size(options, within(room_bytes, FILE_BYTES_MIN, REPLAY_BYTES_MAX));
    rocksdb_options_set_manifest_preallocation_size(options, MANIFEST_ROOM_BYTES);
}

static void nothing(void *state)
{
    (void)state;
}

uint32_t ek_rocksdb_list_of(struct ek_slice key)
{
    uint32_t prefix = key.size >= EK_ROW_PREFIX_BYTES ? ek_get_u16(key.data) : key.size ? (uint32_t)key.data[0] << 8 : 0;
    return prefix / EK_ROCKSDB_PREFIXES_A_LIST;
}

/*
 * The hash by which RocksDB finds the bucket of a list's name: the larger it is, the further behind is the bucket. The library
 * exports it, but not to C. A library without it is no worse than slower: it sorts buckets that are in disorder.
 */
uint64_t rocksdb_hash64(const char *data, size_t size) __asm__("_ZN7rocksdb6Hash64EPKcm") __attribute__((weak));

struct list_name {
    char text[EK_ROW_PREFIX_BYTES];
};

static struct list_name list_names[EK_ROCKSDB_LISTS];
static pthread_once_t lists_are_named = PTHREAD_ONCE_INIT;

static int compare_buckets(const void *a, const void *b)
{
    uint64_t left = rocksdb_hash64(a, sizeof(struct list_name)), right = rocksdb_hash64(b, sizeof(struct list_name));
    return left < right ? -1 : left > right;
}

/* A flush goes from bucket to bucket and sorts what it meets, which costs little where lists come in the order of their rows. */
static void name_lists(void)
{
    for (uint32_t list = 0; list < EK_ROCKSDB_LISTS; list++)
        ek_put_u16((uint8_t *)list_names[list].text, (uint16_t)list);
    if (rocksdb_hash64)
        qsort(list_names, EK_ROCKSDB_LISTS, sizeof *list_names, compare_buckets);
}

static char *list_name_of(void *state, const char *key, size_t key_bytes, size_t *ret_bytes)
{
    (void)state;
    *ret_bytes = EK_ROW_PREFIX_BYTES;
    return list_names[ek_rocksdb_list_of(ek_slice_of(key, key_bytes))].text;
}

/* Files and their filters shall know nothing of lists: they serve gets of whole keys. */
static unsigned char never(void *state, const char *key, size_t key_bytes)
{
    (void)state, (void)key, (void)key_bytes;
    return 0;
}

static const char *transform_name(void *state)
{
    (void)state;
    return "evenkeel.lists";
}

/*
 * A memtable of rows is a hash table of short sorted lists instead of a skip list: to put a row costs a few misses of the cache
 * instead of some twenty. What is lost is the order among lists: an iterator sees one at a time, or else RocksDB sorts the whole
 * table for it.
 */
static void set_memtables(rocksdb_options_t *options, size_t write_buffer_bytes)
{
    (void)pthread_once(&lists_are_named, name_lists);
    rocksdb_options_set_prefix_extractor(options,
                                         rocksdb_slicetransform_create(NULL, nothing, list_name_of, never, never, transform_name));
    rocksdb_options_set_hash_link_list_rep(options, within(write_buffer_bytes / BYTES_A_BUCKET, 1, BUCKETS_MAX));
    rocksdb_options_set_memtable_prefix_bloom_size_ratio(options, MEMTABLE_BLOOM_SHARE);
    rocksdb_options_set_memtable_whole_key_filtering(options, 1);
}

static rocksdb_options_t *options_of(rocksdb_cache_t *cache, size_t write_buffer_bytes, uint64_t reserve_bytes)
{
    rocksdb_options_t *options = ek_rocks_options();
    rocksdb_options_set_create_missing_column_families(options, 1);
    rocksdb_options_increase_parallelism(options, BACKGROUND_THREADS);
    rocksdb_options_set_max_open_files(options, OPEN_FILES_MAX);
    rocksdb_options_set_max_log_file_size(options, LOG_FILE_BYTES_MAX);
    rocksdb_options_set_keep_log_file_num(options, LOG_FILES_MAX);
    rocksdb_options_set_paranoid_checks(options, 1);
    rocksdb_options_set_atomic_flush(options, 1);
    rocksdb_options_set_allow_concurrent_memtable_write(options, 0); /* one thread writes */
    rocksdb_options_set_level_compaction_dynamic_level_bytes(options, 1);
    rocksdb_options_set_write_buffer_size(options, write_buffer_bytes);
    rocksdb_options_set_max_write_buffer_number(options, WRITE_BUFFERS_MAX);
    int levels[LEVELS];
    for (int level = 0; level < LEVELS; level++)
        levels[level] = level < UPPER_LEVELS ? rocksdb_no_compression : rocksdb_lz4_compression;
    rocksdb_options_set_compression_per_level(options, levels, LEVELS);
    set_tables(options, cache);
    set_merges(options, reserve_bytes);
    set_logs(options, reserve_bytes);
    return options;
}

rocksdb_options_t *ek_rocksdb_options_rows(const struct ek_store_options *store, rocksdb_cache_t *cache)
{
    rocksdb_options_t *options = options_of(cache, store->write_buffer_bytes, store->reserve_bytes);
    set_memtables(options, store->write_buffer_bytes);
    return options;
}

rocksdb_options_t *ek_rocksdb_options_book(const struct ek_store_options *store, rocksdb_cache_t *cache)
{
    return options_of(cache, BOOK_WRITE_BUFFER_BYTES, store->reserve_bytes);
}
