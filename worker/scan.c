#include "worker/scan.h"

#include "common/hash.h"
#include "common/operations.h"
#include "worker/rows.h"

#include <string.h>

enum {
    ENTRY_BYTES = 40,
    CURSOR_BYTES_MAX = EK_ROW_KEY_BYTES_MAX + 1,
    LIST_ROWS = 32 /* to look into another list takes as long as to look at so many rows */
};

/* Where a scan begins and ends, and how it got on. */
struct walk {
    uint8_t first[CURSOR_BYTES_MAX];
    size_t first_bytes;
    uint8_t end[EK_ROW_KEY_BYTES_MAX];
    size_t end_bytes; /* 0: the end of the space */
    uint32_t count;
    bool moved;                         /* past a row */
    bool stopped;                       /* before the end of the range */
    uint8_t last[EK_ROW_KEY_BYTES_MAX]; /* where it stopped: the last row that is done with, or what lies behind it */
    size_t last_bytes;
};

/* The smallest key above all that begin with `bytes`: 0 bytes when there is none. */
static size_t successor(uint8_t *bytes, size_t size)
{
    while (size && bytes[size - 1] == UINT8_MAX)
        size--;
    if (size)
        bytes[size - 1]++;
    return size;
}

static size_t shard_edge(uint8_t *out, uint32_t shard, uint32_t shards)
{
    if (shard >= shards)
        return 0;
    ek_put_u16(out, (uint16_t)ek_shard_first(shard, shards));
    return EK_ROW_PREFIX_BYTES;
}

static void set_range(struct walk *walk, const struct ek_scan *scan, const struct ek_operation *operation)
{
    if (ek_prefix_has_tag(operation->key)) {
        walk->first_bytes = ek_row_key(walk->first, ek_hash_prefix(operation->key), operation->key);
        memcpy(walk->end, walk->first, walk->first_bytes);
        walk->end_bytes = successor(walk->end, walk->first_bytes);
    } else {
        walk->first_bytes = shard_edge(walk->first, scan->shard, scan->shards);
        walk->end_bytes = shard_edge(walk->end, scan->shard + 1u, scan->shards);
    }
    struct ek_slice cursor = operation->cursor;
    if (cursor.size == 0 || ek_slice_compare(cursor, ek_slice_of(walk->first, walk->first_bytes)) < 0)
        return;
    memcpy(walk->first, cursor.data, cursor.size);
    walk->first[cursor.size] = 0; /* the first key behind it */
    walk->first_bytes = cursor.size + 1;
}

enum taken { TAKEN, PASSED_OVER, NO_ROOM };

static enum taken take(const struct ek_scan *scan, const struct ek_operation *operation, const struct walk *walk,
                       struct ek_slice key, const struct ek_row *row, struct ek_buffer *entries)
{
    struct ek_slice name = ek_slice_of(key.data + EK_ROW_PREFIX_BYTES, key.size - EK_ROW_PREFIX_BYTES);
    if (!ek_slice_starts_with(name, operation->key) || ek_row_expired(row->expiry_unix_ms, scan->now_unix_ms))
        return PASSED_OVER;
    size_t bytes = ENTRY_BYTES + name.size + (operation->values ? row->value.size : 0);
    bool first_alone = scan->alone && walk->count == 0;
    if (!first_alone && entries->size + bytes > scan->room_bytes)
        return NO_ROOM;
    struct ek_entry entry = {.key = name,
                             .version = row->version,
                             .value = operation->values ? row->value : ek_slice_of(NULL, 0),
                             .has_ttl = row->expiry_unix_ms != 0,
                             .ttl_ms = row->expiry_unix_ms - scan->now_unix_ms};
    ek_encode_entry(entries, &entry);
    return TAKEN;
}

/* The next row, whatever of the range is empty before it; false when the scan has to stop there first. A row that is found can be
 * looked at: one is kept back for it, or the scan could stop before it time and again. */
static bool find_row(struct ek_scan *scan, struct walk *walk, struct ek_store_cursor *cursor)
{
    uint32_t lists = scan->rows_left ? (scan->rows_left - 1) / LIST_ROWS : 0, left = lists;
    bool found = ek_store_cursor_find(cursor, &left);
    scan->rows_left -= (lists - left) * LIST_ROWS;
    if (found)
        return true;
    walk->stopped = true;
    if (left == lists)
        return false;
    walk->moved = true;
    ek_store_cursor_place(cursor, walk->last);
    walk->last_bytes = EK_ROW_PREFIX_BYTES;
    return false;
}

static enum ek_status step_through(struct ek_scan *scan, const struct ek_operation *operation, struct walk *walk,
                                   struct ek_store_cursor *cursor, struct ek_buffer *entries, struct ek_error *error)
{
    struct ek_slice key;
    struct ek_slice value;
    for (; find_row(scan, walk, cursor) && ek_store_cursor_entry(cursor, &key, &value); scan->rows_left--) {
        walk->stopped = scan->rows_left == 0 || walk->count == operation->limit;
        if (walk->stopped)
            break;
        struct ek_row row;
        enum ek_status status =
            key.size > EK_ROW_PREFIX_BYTES && key.size <= EK_ROW_KEY_BYTES_MAX ? ek_row_decode(value, &row) : EK_CORRUPT;
        if (status != EK_OK)
            return ek_error_set(error, status, "a stored row cannot be read");
        enum taken taken = take(scan, operation, walk, key, &row, entries);
        walk->stopped = taken == NO_ROOM;
        if (walk->stopped)
            break;
        walk->count += taken == TAKEN;
        walk->moved = true;
        memcpy(walk->last, key.data, key.size);
        walk->last_bytes = key.size;
        ek_store_cursor_step(cursor);
    }
    return EK_OK;
}

static struct ek_slice cursor_behind(const struct ek_scan *scan, const struct ek_operation *operation, struct walk *walk)
{
    if (walk->stopped)
        return ek_slice_of(walk->last, walk->last_bytes);
    if (ek_prefix_has_tag(operation->key) || scan->shard + 1u >= scan->shards)
        return ek_slice_of(NULL, 0);
    walk->last_bytes = shard_edge(walk->last, scan->shard + 1u, scan->shards);
    return ek_slice_of(walk->last, walk->last_bytes);
}

enum ek_status ek_scan_run(struct ek_scan *scan, struct ek_store *store, const struct ek_operation *operation,
                           struct ek_buffer *entries, struct ek_buffer *out, struct ek_error *error)
{
    struct walk walk = {0};
    set_range(&walk, scan, operation);
    ek_buffer_clear(entries);
    struct ek_store_cursor *cursor =
        ek_store_walk(store, EK_STORE_ROWS, ek_slice_of(walk.first, walk.first_bytes), ek_slice_of(walk.end, walk.end_bytes));
    scan->now_unix_ms = ek_stamps_now(scan->stamps, scan->shard, scan->now_unix_ms); /* of what the cursor sees */
    enum ek_status status = step_through(scan, operation, &walk, cursor, entries, error);
    enum ek_status closed = ek_store_cursor_close(&cursor, status == EK_OK ? error : NULL);
    if (status != EK_OK || closed != EK_OK)
        return status != EK_OK ? status : closed;
    if (walk.stopped && !walk.moved) {
        ek_encode_status(out, EK_WIRE_ALONE, NULL); /* nothing was left for it beside the others */
        return EK_OK;
    }
    ek_encode_scan_head(out, walk.count);
    ek_buffer_append(out, entries->data, entries->size);
    ek_encode_cursor(out, cursor_behind(scan, operation, &walk));
    return EK_OK;
}
