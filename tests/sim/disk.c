#include "tests/sim/disk.h"

#include "common/hash.h"
#include "tests/sim/cluster.h"
#include "tests/sim/course.h"
#include "tests/sim/eras.h"
#include "tests/sim/holders.h"
#include "tests/sim/poison.h"
#include "tests/sim/tally.h"
#include "tests/sim/world.h"
#include "worker/book.h"
#include "worker/rows.h"

#include <stdlib.h>
#include <string.h>

enum { WRITE_US = 20, COMPACT_PERCENT = 10, BEHIND_US = 100 };

struct change {
    enum ek_store_space space;
    bool deletes;
    struct sim_row row;
};

struct horizon {
    uint32_t first;
    uint32_t end;
    uint64_t stamp_unix_ms;
};

struct ek_store {
    struct sim_disk *disk;
    struct change *batch;
    size_t count;
    size_t capacity;
    uint64_t next_record;
    bool writing;                           /* the batch is on its way to the disk */
    struct horizon horizons[EK_SHARDS_MAX]; /* of ranges that do not overlap */
    size_t horizon_count;
};

/* A walk sees the rows of the moment at which it began. */
struct ek_store_cursor {
    enum ek_store_space space;
    struct sim_rows rows;
    size_t at;
};

/* A row as it was before a change; value NULL: it was not there. */
struct sim_undo {
    enum ek_store_space space;
    struct sim_row row;
    bool first; /* of its batch */
};

static struct sim_disk disks[SIM_DISKS_MAX];
static sim_disk_tap on_recorded;
static sim_disk_tap on_lost;

void sim_disk_watch(sim_disk_tap recorded, sim_disk_tap lost)
{
    on_recorded = recorded;
    on_lost = lost;
}

struct sim_disk *sim_disk_of(unsigned number)
{
    return &disks[number % SIM_DISKS_MAX];
}

/* ---- rows by key ---- */

static struct ek_slice key_of(const struct sim_row *row)
{
    return ek_slice_of(row->key, row->key_size);
}

/* Where `key` is, or would be. */
static size_t search(const struct sim_rows *rows, struct ek_slice key, bool *ret_found)
{
    size_t low = 0;
    size_t high = rows->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ek_slice_compare(key_of(&rows->rows[middle]), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = low < rows->count && ek_slice_equal(key_of(&rows->rows[low]), key);
    return low;
}

static void free_row(struct sim_row *row)
{
    free(row->key);
    free(row->value);
}

static void remove_at(struct sim_rows *rows, size_t at)
{
    free_row(&rows->rows[at]);
    memmove(&rows->rows[at], &rows->rows[at + 1], (--rows->count - at) * sizeof *rows->rows);
}

/* Of a row; IDENTITY for those of the other space. */
static enum ek_book_kind kind_of(enum ek_store_space space, struct ek_slice key)
{
    enum ek_book_kind kind;
    uint64_t number;
    return space == EK_STORE_BOOK && ek_book_parse_key(key, &kind, &number) == EK_OK ? kind : EK_BOOK_IDENTITY;
}

static void put_row(struct sim_rows *rows, struct sim_row row)
{
    bool found;
    size_t at = search(rows, key_of(&row), &found);
    if (found) {
        free_row(&rows->rows[at]);
        rows->rows[at] = row;
        return;
    }
    rows->rows = ek_grow(rows->rows, &rows->capacity, rows->count + 1, sizeof *rows->rows);
    memmove(&rows->rows[at + 1], &rows->rows[at], (rows->count++ - at) * sizeof *rows->rows);
    rows->rows[at] = row;
}

static void drop_row(struct sim_rows *rows, struct ek_slice key)
{
    bool found;
    size_t at = search(rows, key, &found);
    if (found)
        remove_at(rows, at);
}

static void note_role(const struct sim_disk *disk, const struct change *change)
{
    enum ek_book_kind kind;
    uint64_t shard;
    struct ek_holding role;
    if (ek_book_parse_key(key_of(&change->row), &kind, &shard) != EK_OK ||
        ek_book_decode_role(ek_slice_of(change->row.value, change->row.value_size), &role) != EK_OK)
        return;
    role.shard = (uint16_t)shard;
    sim_eras_adopted(disk, &role);
    sim_course_adopted(disk, &role);
}

struct ek_holding sim_disk_role(const struct sim_disk *disk, uint16_t shard)
{
    const struct sim_rows *book = &disk->spaces[EK_STORE_BOOK];
    struct ek_book_key key = ek_book_key_of(EK_BOOK_ROLE, shard);
    struct ek_holding role = {.shard = shard};
    bool found;
    size_t at = search(book, ek_slice_of(key.bytes, key.size), &found);
    if (found && ek_book_decode_role(ek_slice_of(book->rows[at].value, book->rows[at].value_size), &role) != EK_OK)
        sim_fail("a role on disk cannot be read");
    return role;
}

static void apply(struct sim_disk *disk, struct change *change)
{
    struct sim_rows *rows = &disk->spaces[change->space];
    enum ek_book_kind kind = kind_of(change->space, key_of(&change->row));
    if (kind == EK_BOOK_RECORD && on_recorded && !change->deletes)
        on_recorded(disk, ek_slice_of(change->row.value, change->row.value_size));
    if (kind == EK_BOOK_ROLE && !change->deletes)
        note_role(disk, change);
    if (kind == EK_BOOK_SNAPSHOT && !change->deletes)
        sim_count(SIM_COUNT_SNAPSHOT_WRITTEN);
    if (!change->deletes) {
        put_row(rows, change->row);
        return;
    }
    drop_row(rows, key_of(&change->row));
    free_row(&change->row);
}

/* A bit for each shard of which the record tells something. */
static uint32_t shards_of(struct ek_slice bytes)
{
    struct ek_book_record record;
    uint16_t shard;
    struct ek_verdict verdict;
    uint32_t bits = 0;
    if (ek_book_record_open(bytes, &record) != EK_OK)
        return 0;
    while (ek_book_record_next(&record, &shard, &verdict) == EK_OK)
        bits |= UINT32_C(1) << shard;
    return bits;
}

static void apply_batch(struct ek_store *store)
{
    uint32_t roles = 0;
    uint32_t positions = 0;
    for (size_t i = 0; i < store->count; i++) {
        struct change *change = &store->batch[i];
        enum ek_book_kind kind = kind_of(change->space, key_of(&change->row));
        if (kind == EK_BOOK_ROLE && !change->deletes)
            roles |= UINT32_C(1) << ek_get_u16(change->row.key + 1);
        if (kind == EK_BOOK_RECORD && !change->deletes)
            positions |= shards_of(ek_slice_of(change->row.value, change->row.value_size));
        apply(store->disk, change);
    }
    store->count = 0;
    store->disk->commits++;
    sim_holders_written(store->disk, roles, positions);
}

/* ---- what is not synced ---- */

static void note_undo(struct sim_disk *disk, const struct change *change, bool first)
{
    const struct sim_rows *rows = &disk->spaces[change->space];
    bool found;
    size_t at = search(rows, key_of(&change->row), &found);
    disk->undos = ek_grow(disk->undos, &disk->undo_capacity, disk->undo_count + 1, sizeof *disk->undos);
    struct sim_undo *undo = &disk->undos[disk->undo_count++];
    *undo = (struct sim_undo){.space = change->space, .first = first};
    undo->row.key = ek_slice_copy(key_of(&change->row));
    undo->row.key_size = change->row.key_size;
    if (!found)
        return;
    undo->row.value_size = rows->rows[at].value_size;
    undo->row.value = ek_slice_copy(ek_slice_of(rows->rows[at].value, rows->rows[at].value_size));
}

/* What can be read is there to stay. */
static void note_sync(struct sim_disk *disk)
{
    while (disk->undo_count)
        free_row(&disk->undos[--disk->undo_count].row);
}

/* Takes back the last batch. */
static void undo_batch(struct sim_disk *disk)
{
    for (bool first = false; !first;) {
        struct sim_undo *undo = &disk->undos[--disk->undo_count];
        struct sim_rows *rows = &disk->spaces[undo->space];
        bool found;
        size_t at = search(rows, key_of(&undo->row), &found);
        bool is_record = kind_of(undo->space, key_of(&undo->row)) == EK_BOOK_RECORD;
        if (found && is_record && !undo->row.value)
            on_lost(disk, ek_slice_of(rows->rows[at].value, rows->rows[at].value_size));
        first = undo->first;
        if (undo->row.value)
            put_row(rows, undo->row);
        else {
            drop_row(rows, key_of(&undo->row));
            free_row(&undo->row);
        }
    }
}

void sim_disk_crash(struct sim_disk *disk)
{
    struct ek_store *store = disk->store;
    if (store && store->writing && sim_chance(50)) {
        for (size_t i = 0; i < store->count; i++) {
            /* Each before its change, so that undoing them backwards gives the rows of before. */
            note_undo(disk, &store->batch[i], i == 0);
            apply(disk, &store->batch[i]);
        }
        store->count = 0;
        sim_count(SIM_COUNT_UNSYNCED);
    }
    disk->store = NULL;
    disk->used = false;
}

void sim_disk_cut_power(struct sim_disk *disk)
{
    while (disk->undo_count && sim_chance(70)) {
        undo_batch(disk);
        sim_count(SIM_COUNT_UNSYNCED_LOST);
    }
    note_sync(disk);
}

void sim_rows_copy(const struct sim_rows *from, struct sim_rows *to)
{
    for (size_t i = 0; i < to->count; i++)
        free_row(&to->rows[i]);
    to->count = 0;
    to->rows = ek_grow(to->rows, &to->capacity, from->count + 1, sizeof *to->rows);
    for (; to->count < from->count; to->count++) {
        const struct sim_row *row = &from->rows[to->count];
        to->rows[to->count] = (struct sim_row){.key = ek_slice_copy(ek_slice_of(row->key, row->key_size)),
                                               .key_size = row->key_size,
                                               .value = ek_slice_copy(ek_slice_of(row->value, row->value_size)),
                                               .value_size = row->value_size};
    }
}

void sim_disk_replace(struct sim_disk *disk, const struct sim_rows spaces[2])
{
    note_sync(disk);
    for (size_t space = 0; space < 2; space++)
        sim_rows_copy(&spaces[space], &disk->spaces[space]);
}

static uint64_t horizon_of(const struct ek_store *store, uint16_t prefix)
{
    for (size_t i = 0; i < store->horizon_count; i++)
        if (prefix >= store->horizons[i].first && prefix < store->horizons[i].end)
            return store->horizons[i].stamp_unix_ms;
    return 0;
}

void sim_disk_compact(struct sim_disk *disk)
{
    struct sim_rows *rows = &disk->spaces[EK_STORE_ROWS];
    for (size_t i = rows->count; disk->store && i-- > 0;) {
        struct ek_row row;
        uint16_t prefix = ek_get_u16(rows->rows[i].key);
        if (ek_row_decode(ek_slice_of(rows->rows[i].value, rows->rows[i].value_size), &row) != EK_OK ||
            !ek_row_expired(row.expiry_unix_ms, horizon_of(disk->store, prefix)))
            continue;
        remove_at(rows, i);
        sim_count(SIM_COUNT_ROW_FILTERED);
        sim_course_filtered(disk, ek_shard_of(prefix, sim_shard_count()));
    }
}

/* ---- worker/store.h: opening ---- */

static uint64_t last_record(const struct sim_disk *disk)
{
    const struct sim_rows *book = &disk->spaces[EK_STORE_BOOK];
    uint64_t last = 0;
    for (size_t i = 0; i < book->count; i++)
        if (kind_of(EK_STORE_BOOK, key_of(&book->rows[i])) == EK_BOOK_RECORD)
            last = ek_get_u64(book->rows[i].key + 1);
    return last;
}

enum ek_status ek_store_open(const struct ek_store_options *options, struct ek_store **ret, struct ek_error *error)
{
    struct sim_disk *disk = sim_disk_of((unsigned)strtoul(options->directory, NULL, 10));
    if (disk->used)
        return ek_error_set(error, EK_IN_USE, "disk %s is in use", options->directory);
    sim_sleep_us(sim_delay_us(disk->sync_us * 4));
    struct ek_store *store = ek_alloc_zero(1, sizeof *store);
    store->disk = disk;
    store->next_record = last_record(disk) + 1;
    disk->store = store;
    disk->used = true;
    *ret = store;
    return EK_OK;
}

void ek_store_close(struct ek_store **store)
{
    if (!*store)
        return;
    (*store)->disk->used = false;
    (*store)->disk->store = NULL;
    free((*store)->batch);
    free(*store);
    *store = NULL;
}

void ek_store_enter_thread(void)
{
}

/* ---- writing ---- */

static struct change *add_change(struct ek_store *store, enum ek_store_space space, struct ek_slice key)
{
    store->batch = ek_grow(store->batch, &store->capacity, store->count + 1, sizeof *store->batch);
    struct change *change = &store->batch[store->count++];
    *change = (struct change){.space = space, .row = {.key = ek_slice_copy(key), .key_size = key.size}};
    return change;
}

void ek_store_put(struct ek_store *store, enum ek_store_space space, struct ek_slice key, struct ek_slice head,
                  struct ek_slice value)
{
    if (space == EK_STORE_ROWS)
        sim_poison_touch(key);
    struct change *change = add_change(store, space, key);
    struct ek_buffer joined = {0};
    ek_buffer_append(&joined, head.data, head.size);
    ek_buffer_append(&joined, value.data, value.size);
    change->row.value_size = joined.size;
    change->row.value = ek_buffer_take(&joined);
}

uint64_t ek_store_put_record(struct ek_store *store, struct ek_slice value)
{
    struct ek_book_key key = ek_book_key_of(EK_BOOK_RECORD, store->next_record);
    ek_store_put(store, EK_STORE_BOOK, ek_slice_of(key.bytes, key.size), value, ek_slice_of(NULL, 0));
    return store->next_record++;
}

void ek_store_delete(struct ek_store *store, enum ek_store_space space, struct ek_slice key)
{
    add_change(store, space, key)->deletes = true;
}

/* By its rows, which are there when the batch is made: nobody else writes. */
void ek_store_delete_range(struct ek_store *store, enum ek_store_space space, struct ek_slice first, struct ek_slice end)
{
    struct ek_slice key;
    struct ek_slice value;
    struct ek_store_cursor *cursor = ek_store_walk(store, space, first, end);
    for (; ek_store_cursor_entry(cursor, &key, &value); cursor->at++)
        ek_store_delete(store, space, key);
    (void)!ek_store_cursor_close(&cursor, NULL);
}

enum ek_status ek_store_commit(struct ek_store *store, struct ek_error *error)
{
    struct sim_disk *disk = store->disk;
    (void)error;
    bool slow = sim_now_us() < disk->slow_until_us;
    sim_sleep_us(WRITE_US);
    store->writing = true;
    uint64_t sync_us = slow ? sim_between(disk->slow_us / 4, disk->slow_us) : sim_delay_us(disk->sync_us);
    if (disk->doomed_in && --disk->doomed_in == 0)
        sim_at(sim_now_us() + sim_draw(sync_us + BEHIND_US), disk->doom, sim_self(), 0);
    sim_sleep_us(sync_us);
    store->writing = false;
    note_sync(disk);
    apply_batch(store);
    sim_note(7, disk->commits);
    if (sim_chance(COMPACT_PERCENT))
        sim_disk_compact(disk);
    return EK_OK;
}

/* ---- reading ---- */

void ek_pinned_done(struct ek_pinned *pinned)
{
    free(pinned->holder);
    *pinned = (struct ek_pinned){0};
}

enum ek_status ek_store_get(struct ek_store *store, enum ek_store_space space, struct ek_slice key, struct ek_pinned *ret,
                            struct ek_error *error)
{
    const struct sim_rows *rows = &store->disk->spaces[space];
    bool found;
    size_t at = search(rows, key, &found);
    (void)error;
    if (space == EK_STORE_ROWS)
        sim_poison_touch(key);
    if (!found)
        return EK_NOT_FOUND;
    ret->holder = ek_alloc(rows->rows[at].value_size + 1);
    memcpy(ret->holder, rows->rows[at].value, rows->rows[at].value_size);
    ret->bytes = ek_slice_of(ret->holder, rows->rows[at].value_size);
    return EK_OK;
}

enum ek_status ek_store_get_many(struct ek_store *store, const struct ek_slice *keys, size_t count, struct ek_pinned *ret,
                                 struct ek_error *error)
{
    for (size_t i = 0; i < count; i++) {
        ret[i] = (struct ek_pinned){0};
        (void)!ek_store_get(store, EK_STORE_ROWS, keys[i], &ret[i], error);
    }
    return EK_OK;
}

struct ek_store_cursor *ek_store_walk(struct ek_store *store, enum ek_store_space space, struct ek_slice first, struct ek_slice end)
{
    struct ek_store_cursor *cursor = ek_alloc_zero(1, sizeof *cursor);
    const struct sim_rows *rows = &store->disk->spaces[space];
    bool found;
    size_t from = search(rows, first, &found);
    size_t to = end.size ? search(rows, end, &found) : rows->count;
    struct sim_rows range = {.rows = rows->rows + from, .count = to > from ? to - from : 0};
    cursor->space = space;
    sim_rows_copy(&range, &cursor->rows);
    return cursor;
}

struct ek_store_cursor *ek_store_walk_once(struct ek_store *store, enum ek_store_space space, struct ek_slice first,
                                           struct ek_slice end)
{
    return ek_store_walk(store, space, first, end);
}

bool ek_store_cursor_find(struct ek_store_cursor *cursor, uint32_t *lists_left)
{
    (void)cursor, (void)lists_left; /* here it stands at the next one at once */
    return true;
}

void ek_store_cursor_place(const struct ek_store_cursor *cursor, uint8_t out[2])
{
    (void)cursor;
    out[0] = out[1] = UINT8_MAX; /* nobody asks: no search ends in vain */
}

bool ek_store_cursor_entry(struct ek_store_cursor *cursor, struct ek_slice *ret_key, struct ek_slice *ret_value)
{
    if (cursor->at >= cursor->rows.count)
        return false;
    const struct sim_row *row = &cursor->rows.rows[cursor->at];
    *ret_key = key_of(row);
    *ret_value = ek_slice_of(row->value, row->value_size);
    return true;
}

void ek_store_cursor_step(struct ek_store_cursor *cursor)
{
    enum ek_book_kind kind = kind_of(cursor->space, key_of(&cursor->rows.rows[cursor->at]));
    if (kind == EK_BOOK_SNAPSHOT)
        sim_count(SIM_COUNT_SNAPSHOT_READ);
    if (kind == EK_BOOK_RECORD)
        sim_count(SIM_COUNT_RECORD_READ);
    cursor->at++;
}

enum ek_status ek_store_cursor_close(struct ek_store_cursor **cursor, struct ek_error *error)
{
    (void)error;
    sim_rows_copy(&(struct sim_rows){0}, &(*cursor)->rows);
    free((*cursor)->rows.rows);
    free(*cursor);
    *cursor = NULL;
    return EK_OK;
}

/* ---- figures ---- */

void ek_store_figures(struct ek_store *store, struct ek_store_figures *ret)
{
    if (store->disk->full)
        sim_count(SIM_COUNT_DISK_FULL_SAID);
    *ret = (struct ek_store_figures){.keys = store->disk->spaces[EK_STORE_ROWS].count,
                                     .disk_free_bytes = store->disk->full ? 0 : 1ull << 40,
                                     .disk_bytes = 1ull << 41};
}

void ek_store_range_bytes(struct ek_store *store, const uint32_t *bounds, size_t count, uint64_t *ret_bytes)
{
    (void)store, (void)bounds, (void)count, (void)ret_bytes;
}

bool ek_store_flush_beside(struct ek_store *store)
{
    (void)store; /* nothing is kept that was deleted */
    return true;
}

void ek_store_compact_beside(struct ek_store *store, uint32_t first, uint32_t end)
{
    (void)store, (void)first, (void)end;
}

void ek_store_set_horizon(struct ek_store *store, uint32_t first, uint32_t end, uint64_t stamp_unix_ms)
{
    size_t at = 0;
    while (at < store->horizon_count && store->horizons[at].first != first)
        at++;
    if (at == EK_SHARDS_MAX)
        abort();
    if (at == store->horizon_count)
        store->horizon_count++;
    store->horizons[at] = (struct horizon){.first = first, .end = end, .stamp_unix_ms = stamp_unix_ms};
}
