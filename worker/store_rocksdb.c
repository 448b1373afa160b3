#include "worker/store.h"

#include "common/directory.h"
#include "common/rocks.h"
#include "worker/book.h"
#include "worker/rows.h"
#include "worker/store_rocksdb_options.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

enum { SPACES = 2, SMALL_VALUE_BYTES = 4096 };

struct ek_store {
    rocksdb_t *db;
    rocksdb_column_family_handle_t *spaces[SPACES];
    rocksdb_options_t *options[SPACES];
    rocksdb_compactionfilter_t *filter;
    rocksdb_cache_t *cache;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *write;
    rocksdb_writebatch_t *batch;
    struct ek_buffer scratch;
    char *directory;
    uint64_t empty_memtable_bytes;          /* of rows: its table of lists */
    uint64_t writes;                        /* of this directory, ever */
    bool has_record;                        /* the batch */
    _Atomic uint64_t horizons[EK_PREFIXES]; /* by hash prefix: rows expired at this time may vanish */
};

/* Rows are walked through list by list (see store_rocksdb_options.h), book-keeping as a whole. */
struct ek_store_cursor {
    rocksdb_t *db;
    rocksdb_column_family_handle_t *space;
    rocksdb_iterator_t *iterator;
    rocksdb_readoptions_t *read;
    uint32_t list; /* the present one; of book-keeping there is one */
    uint32_t last_list;
    struct ek_slice end; /* of the walk; the caller's */
    uint8_t list_end[EK_ROW_PREFIX_BYTES];
    uint8_t behind_all[EK_ROW_KEY_BYTES_MAX + 1]; /* above every row */
};

/*
 * When the sync of a log fails for want of room, RocksDB goes on by itself: it flushes its memtables, which do not have the failed
 * batch, and gives up the log, which has it. Had it flushed one space when the process ends, a start would find the batch in the
 * log for the other one alone: a write that is remembered but not there. So flushes are atomic; and each batch writes its number
 * into both spaces, under a key below all others, by which a start sees that they belong together. The key of a record has the
 * number as well: a row less to put, and records are put in their order, which spares RocksDB the search for their place.
 */
static const uint8_t number_key[] = {0};
static const uint8_t first_key[] = {0, 0}; /* all others have at least two bytes, or begin with more */

/* ---- errors are strings ---- */

/* Takes RocksDB's text. */
static enum ek_status failed(const struct ek_store *store, const char *doing, char *text, struct ek_error *error)
{
    return ek_rocks_status(text, doing, store->directory, error);
}

/* ---- rows that expired ---- */

static unsigned char filter_row(void *state, int level, const char *key, size_t key_bytes, const char *value, size_t value_bytes,
                                char **new_value, size_t *new_value_bytes, unsigned char *value_changed)
{
    (void)level, (void)new_value, (void)new_value_bytes, (void)value_changed;
    const struct ek_store *store = state;
    struct ek_row row;
    if (key_bytes < EK_ROW_PREFIX_BYTES || ek_row_decode(ek_slice_of(value, value_bytes), &row) != EK_OK)
        return 0;
    uint16_t prefix = ek_get_u16((const uint8_t *)key);
    return ek_row_expired(row.expiry_unix_ms, atomic_load_explicit(&store->horizons[prefix], memory_order_relaxed));
}

static const char *filter_name(void *state)
{
    (void)state;
    return "evenkeel.expired";
}

static void keep_state(void *state)
{
    (void)state;
}

void ek_store_set_horizon(struct ek_store *store, uint32_t first, uint32_t end, uint64_t stamp_unix_ms)
{
    for (uint32_t prefix = first; prefix < end; prefix++)
        atomic_store_explicit(&store->horizons[prefix], stamp_unix_ms, memory_order_relaxed);
}

static uint64_t property(struct ek_store *store, enum ek_store_space space, const char *name)
{
    uint64_t value = 0;
    (void)rocksdb_property_int_cf(store->db, store->spaces[space], name, &value);
    return value;
}

static uint64_t memtable_bytes(struct ek_store *store)
{
    return property(store, EK_STORE_ROWS, "rocksdb.cur-size-all-mem-tables");
}

/* ---- opening ---- */

/* 0: there is none. */
static enum ek_status read_number(struct ek_store *store, enum ek_store_space space, uint64_t *ret, struct ek_error *error)
{
    struct ek_pinned number = {0};
    enum ek_status status = ek_store_get(store, space, ek_slice_of(number_key, sizeof number_key), &number, error);
    *ret = 0;
    if (status == EK_NOT_FOUND)
        return EK_OK;
    if (status == EK_OK && number.bytes.size == sizeof *ret)
        *ret = ek_get_u64(number.bytes.data);
    if (status == EK_OK)
        ek_pinned_done(&number);
    return status;
}

static enum ek_status read_last_record(struct ek_store *store, uint64_t *ret_number, struct ek_error *error)
{
    struct ek_book_key last = ek_book_key_of(EK_BOOK_RECORD, UINT64_MAX);
    rocksdb_iterator_t *iterator = rocksdb_create_iterator_cf(store->db, store->read, store->spaces[EK_STORE_BOOK]);
    enum ek_book_kind kind = EK_BOOK_IDENTITY;
    uint64_t number = 0;
    struct ek_slice key = {0};
    rocksdb_iter_seek_for_prev(iterator, (const char *)last.bytes, last.size);
    if (rocksdb_iter_valid(iterator))
        key.data = (const uint8_t *)rocksdb_iter_key(iterator, &key.size);
    bool found = ek_book_parse_key(key, &kind, &number) == EK_OK && kind == EK_BOOK_RECORD;
    *ret_number = found ? number : 0;
    char *text = NULL;
    rocksdb_iter_get_error(iterator, &text);
    rocksdb_iter_destroy(iterator);
    return text ? failed(store, "read", text, error) : EK_OK;
}

static enum ek_status check_numbers(struct ek_store *store, struct ek_error *error)
{
    uint64_t numbers[SPACES] = {0};
    for (size_t i = 0; i < SPACES; i++) {
        enum ek_status status = read_number(store, (enum ek_store_space)i, &numbers[i], error);
        if (status != EK_OK)
            return status;
    }
    uint64_t record;
    enum ek_status status = read_last_record(store, &record, error);
    if (status != EK_OK)
        return status;
    if (record > numbers[EK_STORE_BOOK])
        numbers[EK_STORE_BOOK] = record;
    store->writes = numbers[EK_STORE_ROWS];
    if (numbers[EK_STORE_ROWS] == numbers[EK_STORE_BOOK])
        return EK_OK;
    return ek_error_set(error, EK_CORRUPT,
                        "cannot open %s: its rows end with write %" PRIu64 " and its book-keeping with write %" PRIu64
                        ": restore it from a copy, or start with an empty directory",
                        store->directory, numbers[EK_STORE_ROWS], numbers[EK_STORE_BOOK]);
}

void ek_store_enter_thread(void)
{
    rocksdb_set_perf_level(rocksdb_disable); /* counters at every comparison that nobody reads */
}

enum ek_status ek_store_open(const struct ek_store_options *options, struct ek_store **ret, struct ek_error *error)
{
    enum ek_status status = ek_directory_make(options->directory, 0777, error);
    if (status != EK_OK)
        return status;
    struct ek_store *store = ek_alloc_zero(1, sizeof *store);
    store->directory = ek_copy_text(options->directory);
    store->cache = rocksdb_cache_create_lru(options->cache_bytes);
    store->options[EK_STORE_ROWS] = ek_rocksdb_options_rows(options, store->cache);
    store->options[EK_STORE_BOOK] = ek_rocksdb_options_book(options, store->cache);
    store->filter = rocksdb_compactionfilter_create(store, keep_state, filter_row, filter_name);
    rocksdb_options_set_compaction_filter(store->options[EK_STORE_ROWS], store->filter);
    store->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(store->read, 1);
    store->write = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(store->write, 1);
    store->batch = rocksdb_writebatch_create();
    static const char *const names[SPACES] = {"default", "book"};
    char *text = NULL;
    ek_store_enter_thread(); /* it replays the log */
    store->db = rocksdb_open_column_families(store->options[EK_STORE_ROWS], options->directory, SPACES, names,
                                             (const rocksdb_options_t *const *)store->options, store->spaces, &text);
    if (text) {
        store->db = NULL;
        status = failed(store, "open", text, error);
        ek_store_close(&store);
        return status;
    }
    status = check_numbers(store, error);
    store->empty_memtable_bytes = memtable_bytes(store); /* what the log had is in files by now */
    if (status != EK_OK)
        ek_store_close(&store);
    else
        *ret = store;
    return status;
}

void ek_store_close(struct ek_store **reference)
{
    struct ek_store *store = *reference;
    if (!store)
        return;
    if (store->db) {
        for (size_t i = 0; i < SPACES; i++)
            rocksdb_column_family_handle_destroy(store->spaces[i]);
        rocksdb_close(store->db);
    }
    for (size_t i = 0; i < SPACES; i++)
        rocksdb_options_destroy(store->options[i]);
    rocksdb_compactionfilter_destroy(store->filter);
    rocksdb_cache_destroy(store->cache);
    rocksdb_readoptions_destroy(store->read);
    rocksdb_writeoptions_destroy(store->write);
    rocksdb_writebatch_destroy(store->batch);
    ek_buffer_done(&store->scratch);
    free(store->directory);
    free(store);
    *reference = NULL;
}

/* ---- writing ---- */

static void put_in_parts(struct ek_store *store, enum ek_store_space space, struct ek_slice key, struct ek_slice head,
                         struct ek_slice value)
{
    const char *keys[] = {(const char *)key.data};
    const size_t key_bytes[] = {key.size};
    const char *values[] = {(const char *)head.data, (const char *)value.data};
    const size_t value_bytes[] = {head.size, value.size};
    rocksdb_writebatch_putv_cf(store->batch, store->spaces[space], 1, keys, key_bytes, 2, values, value_bytes);
}

void ek_store_put(struct ek_store *store, enum ek_store_space space, struct ek_slice key, struct ek_slice head,
                  struct ek_slice value)
{
    /* Parts cost RocksDB two allocations; small values are cheaper joined. */
    if (value.size > SMALL_VALUE_BYTES) {
        put_in_parts(store, space, key, head, value);
        return;
    }
    ek_buffer_clear(&store->scratch);
    ek_buffer_append(&store->scratch, head.data, head.size);
    ek_buffer_append(&store->scratch, value.data, value.size);
    rocksdb_writebatch_put_cf(store->batch, store->spaces[space], (const char *)key.data, key.size,
                              (const char *)store->scratch.data, store->scratch.size);
}

uint64_t ek_store_put_record(struct ek_store *store, struct ek_slice value)
{
    uint64_t number = store->writes + 1;
    struct ek_book_key key = ek_book_key_of(EK_BOOK_RECORD, number);
    ek_store_put(store, EK_STORE_BOOK, ek_slice_of(key.bytes, key.size), value, ek_slice_of(NULL, 0));
    store->has_record = true;
    return number;
}

void ek_store_delete(struct ek_store *store, enum ek_store_space space, struct ek_slice key)
{
    rocksdb_writebatch_delete_cf(store->batch, store->spaces[space], (const char *)key.data, key.size);
}

void ek_store_delete_range(struct ek_store *store, enum ek_store_space space, struct ek_slice first, struct ek_slice end)
{
    /* Longer than every key, and above them. */
    uint8_t above[EK_ROW_KEY_BYTES_MAX + 1];
    memset(above, UINT8_MAX, sizeof above);
    struct ek_slice to = end.size ? end : ek_slice_of(above, sizeof above);
    rocksdb_writebatch_delete_range_cf(store->batch, store->spaces[space], (const char *)first.data, first.size,
                                       (const char *)to.data, to.size);
}

static void put_number(struct ek_store *store, enum ek_store_space space)
{
    uint8_t number[sizeof store->writes];
    ek_put_u64(number, store->writes);
    rocksdb_writebatch_put_cf(store->batch, store->spaces[space], (const char *)number_key, sizeof number_key, (const char *)number,
                              sizeof number);
}

enum ek_status ek_store_commit(struct ek_store *store, struct ek_error *error)
{
    char *text = NULL;
    store->writes++;
    put_number(store, EK_STORE_ROWS);
    if (!store->has_record)
        put_number(store, EK_STORE_BOOK);
    store->has_record = false;
    rocksdb_write(store->db, store->write, store->batch, &text);
    if (text)
        return failed(store, "write to", text, error);
    rocksdb_writebatch_clear(store->batch);
    return EK_OK;
}

/* ---- reading ---- */

static struct ek_pinned pinned_of(rocksdb_pinnableslice_t *slice)
{
    size_t size = 0;
    const char *data = slice ? rocksdb_pinnableslice_value(slice, &size) : NULL;
    return (struct ek_pinned){.bytes = ek_slice_of(data, size), .holder = slice};
}

void ek_pinned_done(struct ek_pinned *pinned)
{
    if (pinned->holder)
        rocksdb_pinnableslice_destroy(pinned->holder);
    *pinned = (struct ek_pinned){0};
}

enum ek_status ek_store_get(struct ek_store *store, enum ek_store_space space, struct ek_slice key, struct ek_pinned *ret,
                            struct ek_error *error)
{
    char *text = NULL;
    rocksdb_pinnableslice_t *slice =
        rocksdb_get_pinned_cf(store->db, store->read, store->spaces[space], (const char *)key.data, key.size, &text);
    if (text)
        return failed(store, "read from", text, error);
    if (!slice)
        return EK_NOT_FOUND;
    *ret = pinned_of(slice);
    return EK_OK;
}

enum ek_status ek_store_get_many(struct ek_store *store, const struct ek_slice *keys, size_t count, struct ek_pinned *ret,
                                 struct ek_error *error)
{
    if (count == 1) { /* by itself it is cheaper than as a batch of one */
        ret[0] = (struct ek_pinned){0};
        enum ek_status found = ek_store_get(store, EK_STORE_ROWS, keys[0], ret, error);
        return found == EK_NOT_FOUND ? EK_OK : found;
    }
    const char *data[EK_STORE_GETS_MAX] = {NULL};
    size_t sizes[EK_STORE_GETS_MAX] = {0};
    rocksdb_pinnableslice_t *slices[EK_STORE_GETS_MAX];
    char *texts[EK_STORE_GETS_MAX];
    for (size_t i = 0; i < count; i++) {
        data[i] = (const char *)keys[i].data;
        sizes[i] = keys[i].size;
    }
    rocksdb_batched_multi_get_cf(store->db, store->read, store->spaces[EK_STORE_ROWS], count, data, sizes, slices, texts, true);
    enum ek_status status = EK_OK;
    for (size_t i = 0; i < count; i++) {
        ret[i] = pinned_of(slices[i]);
        if (texts[i])
            status = failed(store, "read from", texts[i], error);
    }
    for (size_t i = 0; status != EK_OK && i < count; i++)
        ek_pinned_done(&ret[i]);
    return status;
}

static bool has_failed(const struct ek_store_cursor *cursor)
{
    char *text = NULL;
    rocksdb_iter_get_error(cursor->iterator, &text);
    rocksdb_free(text);
    return text != NULL;
}

void ek_store_cursor_place(const struct ek_store_cursor *cursor, uint8_t out[EK_ROW_PREFIX_BYTES])
{
    ek_put_u16(out, (uint16_t)((cursor->list + 1) * EK_ROCKSDB_PREFIXES_A_LIST));
}

/* The smallest key that is in the next list: {1} comes before {1, 0}. */
static struct ek_slice next_list(const struct ek_store_cursor *cursor, uint8_t out[EK_ROW_PREFIX_BYTES])
{
    ek_store_cursor_place(cursor, out);
    return ek_slice_of(out, out[1] ? EK_ROW_PREFIX_BYTES : 1);
}

/*
 * At the end of a list the iterator stops, so that what was deleted behind it is passed over once, not again for each list: rows
 * that were deleted one by one by `prefix_same_as_start`, and those that marks delete, which RocksDB follows from mark to mark
 * before it looks at prefixes, by a bound for each list. An iterator that was created with a bound follows it when it changes
 * before a seek (7.8: the read options keep the bound, and each part of an iterator a pointer to it).
 */
static void seek(struct ek_store_cursor *cursor, struct ek_slice from)
{
    struct ek_slice bound = cursor->end;
    if (cursor->list < cursor->last_list)
        bound = next_list(cursor, cursor->list_end);
    else if (cursor->last_list && !bound.size)
        bound = ek_slice_of(cursor->behind_all, sizeof cursor->behind_all);
    if (bound.size)
        rocksdb_readoptions_set_iterate_upper_bound(cursor->read, (const char *)bound.data, bound.size);
    if (!cursor->iterator)
        cursor->iterator = rocksdb_create_iterator_cf(cursor->db, cursor->read, cursor->space);
    rocksdb_iter_seek(cursor->iterator, (const char *)from.data, from.size);
}

bool ek_store_cursor_find(struct ek_store_cursor *cursor, uint32_t *lists_left)
{
    while (cursor->list < cursor->last_list && !rocksdb_iter_valid(cursor->iterator) && !has_failed(cursor)) {
        if (*lists_left == 0)
            return false;
        --*lists_left;
        uint8_t from[EK_ROW_PREFIX_BYTES];
        struct ek_slice first = next_list(cursor, from);
        cursor->list++;
        seek(cursor, first);
    }
    return true;
}

static struct ek_store_cursor *walk(struct ek_store *store, enum ek_store_space space, struct ek_slice first, struct ek_slice end,
                                    bool fills_cache)
{
    struct ek_store_cursor *cursor = ek_alloc_zero(1, sizeof *cursor);
    *cursor =
        (struct ek_store_cursor){.db = store->db, .space = store->spaces[space], .read = rocksdb_readoptions_create(), .end = end};
    memset(cursor->behind_all, UINT8_MAX, sizeof cursor->behind_all);
    rocksdb_readoptions_set_fill_cache(cursor->read, fills_cache);
    rocksdb_readoptions_set_prefix_same_as_start(cursor->read, space == EK_STORE_ROWS);
    struct ek_slice from = first.size ? first : ek_slice_of(first_key, sizeof first_key);
    if (space == EK_STORE_ROWS) {
        cursor->list = ek_rocksdb_list_of(from);
        cursor->last_list = end.size ? ek_rocksdb_list_of(end) : EK_ROCKSDB_LISTS - 1;
    }
    seek(cursor, from);
    return cursor;
}

struct ek_store_cursor *ek_store_walk(struct ek_store *store, enum ek_store_space space, struct ek_slice first, struct ek_slice end)
{
    return walk(store, space, first, end, true);
}

struct ek_store_cursor *ek_store_walk_once(struct ek_store *store, enum ek_store_space space, struct ek_slice first,
                                           struct ek_slice end)
{
    return walk(store, space, first, end, false);
}

bool ek_store_cursor_entry(struct ek_store_cursor *cursor, struct ek_slice *ret_key, struct ek_slice *ret_value)
{
    uint32_t all = EK_ROCKSDB_LISTS;
    (void)ek_store_cursor_find(cursor, &all);
    if (!rocksdb_iter_valid(cursor->iterator))
        return false;
    ret_key->data = (const uint8_t *)rocksdb_iter_key(cursor->iterator, &ret_key->size);
    ret_value->data = (const uint8_t *)rocksdb_iter_value(cursor->iterator, &ret_value->size);
    return true;
}

void ek_store_cursor_step(struct ek_store_cursor *cursor)
{
    rocksdb_iter_next(cursor->iterator);
}

enum ek_status ek_store_cursor_close(struct ek_store_cursor **reference, struct ek_error *error)
{
    struct ek_store_cursor *cursor = *reference;
    char *text = NULL;
    rocksdb_iter_get_error(cursor->iterator, &text);
    enum ek_status status = ek_rocks_status(text, "read on in", "the worker's directory", error);
    rocksdb_iter_destroy(cursor->iterator);
    rocksdb_readoptions_destroy(cursor->read);
    free(cursor);
    *reference = NULL;
    return status;
}

/* ---- figures ---- */

static uint64_t unflushed_bytes(struct ek_store *store)
{
    uint64_t bytes = memtable_bytes(store);
    uint64_t empty = (1 + property(store, EK_STORE_ROWS, "rocksdb.num-immutable-mem-table")) * store->empty_memtable_bytes;
    return bytes > empty ? bytes - empty : 0;
}

static uint64_t level0_files(struct ek_store *store)
{
    char *text = rocksdb_property_value_cf(store->db, store->spaces[EK_STORE_ROWS], "rocksdb.num-files-at-level0");
    uint64_t files = text ? strtoull(text, NULL, 10) : 0;
    rocksdb_free(text);
    return files;
}

void ek_store_figures(struct ek_store *store, struct ek_store_figures *ret)
{
    *ret = (struct ek_store_figures){
        .level0_files = level0_files(store),
        .pending_compaction_bytes = property(store, EK_STORE_ROWS, "rocksdb.estimate-pending-compaction-bytes"),
        .delayed_bytes_per_second = property(store, EK_STORE_ROWS, "rocksdb.actual-delayed-write-rate"),
        .writes_stopped = property(store, EK_STORE_ROWS, "rocksdb.is-write-stopped") != 0,
        .unflushed_bytes = unflushed_bytes(store),
        .table_bytes = property(store, EK_STORE_ROWS, "rocksdb.live-sst-files-size"),
        .keys = property(store, EK_STORE_ROWS, "rocksdb.estimate-num-keys")};
    struct statvfs disk;
    if (statvfs(store->directory, &disk) == 0) {
        ret->disk_free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
        ret->disk_bytes = (uint64_t)disk.f_blocks * disk.f_frsize;
    }
}

void ek_store_range_bytes(struct ek_store *store, const uint32_t *bounds, size_t count, uint64_t *ret_bytes)
{
    size_t edges = count + 1;
    uint8_t(*bytes)[3] = ek_alloc(edges * sizeof *bytes);
    const char **keys = ek_alloc(edges * sizeof *keys);
    size_t *sizes = ek_alloc(edges * sizeof *sizes);
    for (size_t i = 0; i < edges; i++) {
        /* Behind the last prefix stands a key above all others. */
        bool last = bounds[i] >= EK_PREFIXES;
        ek_put_u16(bytes[i], last ? UINT16_MAX : (uint16_t)bounds[i]);
        bytes[i][2] = UINT8_MAX;
        keys[i] = (const char *)bytes[i];
        sizes[i] = last ? 3 : 2;
    }
    char *text = NULL;
    rocksdb_approximate_sizes_cf(store->db, store->spaces[EK_STORE_ROWS], (int)count, keys, sizes, keys + 1, sizes + 1, ret_bytes,
                                 &text);
    rocksdb_free(text);
    free(bytes);
    free(keys);
    free(sizes);
}

static bool is_flushing(struct ek_store *store)
{
    for (size_t space = 0; space < SPACES; space++)
        if (property(store, (enum ek_store_space)space, "rocksdb.mem-table-flush-pending") ||
            property(store, (enum ek_store_space)space, "rocksdb.num-running-flushes"))
            return true;
    return false;
}

bool ek_store_flush_beside(struct ek_store *store)
{
    if (is_flushing(store))
        return false;
    rocksdb_flushoptions_t *beside = rocksdb_flushoptions_create();
    rocksdb_flushoptions_set_wait(beside, 0);
    for (size_t space = 0; space < SPACES; space++) { /* a log goes once no space needs it any more */
        char *text = NULL;
        rocksdb_flush_cf(store->db, beside, store->spaces[space], &text);
        rocksdb_free(text);
    }
    rocksdb_flushoptions_destroy(beside);
    return true;
}

void ek_store_compact_beside(struct ek_store *store, uint32_t first, uint32_t end)
{
    uint8_t from[2];
    uint8_t to[2];
    ek_put_u16(from, (uint16_t)first);
    ek_put_u16(to, (uint16_t)end);
    bool last = end >= EK_PREFIXES; /* NULL: to the end */
    char *text = NULL;
    rocksdb_suggest_compact_range_cf(store->db, store->spaces[EK_STORE_ROWS], (const char *)from, sizeof from,
                                     last ? NULL : (const char *)to, last ? 0 : sizeof to, &text);
    rocksdb_free(text);
}
