#include "worker/letters.h"

#include "common/hash.h"
#include "common/letters.h"
#include "common/operations.h"
#include "worker/book.h"

enum {
    /* format (1), time (8), producer (8), kind (1), operations (2), bytes of the cause (2) */
    HEAD_BYTES = 22,
    ENTRY_BYTES = 56 /* of a list's entry beside cause and job */
};

/* ---- bytes ---- */

void ek_letter_write_head(struct ek_buffer *out, const struct ek_letter *letter)
{
    uint8_t *head = ek_buffer_reserve(out, HEAD_BYTES + letter->cause.size);
    head[0] = EK_LETTER_FORMAT;
    ek_put_u64(head + 1, letter->time_unix_ms);
    ek_put_u64(head + 9, letter->producer);
    head[17] = (uint8_t)letter->kind;
    ek_put_u16(head + 18, (uint16_t)letter->operations);
    ek_put_u16(head + 20, (uint16_t)letter->cause.size);
    ek_buffer_advance(out, HEAD_BYTES);
    ek_buffer_append(out, letter->cause.data, letter->cause.size);
}

enum ek_status ek_letter_read(struct ek_slice value, struct ek_letter *ret)
{
    if (value.size == 0)
        return EK_CORRUPT;
    if (value.data[0] > EK_LETTER_FORMAT)
        return EK_NEWER;
    if (value.data[0] != EK_LETTER_FORMAT || value.size < HEAD_BYTES)
        return EK_CORRUPT;
    const uint8_t *head = value.data;
    size_t cause_bytes = ek_get_u16(head + 20);
    if (cause_bytes >= EK_TEXT_BYTES_MAX || value.size - HEAD_BYTES < cause_bytes || head[17] > EK_JOB_DELETE)
        return EK_CORRUPT;
    *ret = (struct ek_letter){.time_unix_ms = ek_get_u64(head + 1),
                              .producer = ek_get_u64(head + 9),
                              .kind = (enum ek_job_kind)head[17],
                              .operations = ek_get_u16(head + 18),
                              .cause = ek_slice_of(head + HEAD_BYTES, cause_bytes),
                              .job = ek_slice_of(head + HEAD_BYTES + cause_bytes, value.size - HEAD_BYTES - cause_bytes)};
    return EK_OK;
}

/* ---- lists ---- */

struct walk {
    uint16_t prefix; /* of the shard */
    uint64_t last;   /* the last position given */
    uint32_t count;
    bool stopped; /* before the shard's last letter */
};

/* False when there is no room for it. */
static bool take(const struct ek_scan *scan, const struct ek_operation *operation, struct walk *walk, uint64_t position,
                 struct ek_letter *letter, struct ek_buffer *entries)
{
    if (!operation->values)
        letter->job = ek_slice_of(NULL, 0);
    bool first_alone = scan->alone && walk->count == 0;
    if (!first_alone && entries->size + ENTRY_BYTES + letter->cause.size + letter->job.size > scan->room_bytes)
        return false;
    uint8_t id[EK_DEAD_ID_BYTES];
    ek_letter_id(id, walk->prefix, position);
    letter->id = ek_slice_of(id, sizeof id);
    ek_encode_letter(entries, letter);
    walk->last = position;
    walk->count++;
    return true;
}

static enum ek_status step_through(struct ek_scan *scan, const struct ek_operation *operation, struct walk *walk,
                                   struct ek_store_cursor *cursor, struct ek_buffer *entries, struct ek_error *error)
{
    struct ek_slice key;
    struct ek_slice value;
    for (; ek_store_cursor_entry(cursor, &key, &value); scan->rows_left--) {
        struct ek_letter letter;
        enum ek_status status = key.size == EK_BOOK_DEAD_KEY_BYTES ? ek_letter_read(value, &letter) : EK_CORRUPT;
        if (status != EK_OK)
            return ek_error_set(error, status, "a dead letter cannot be read: %s",
                                status == EK_NEWER ? "it is of a newer format" : "it is damaged");
        walk->stopped = scan->rows_left == 0 || walk->count == operation->limit ||
                        !take(scan, operation, walk, ek_book_dead_position(key), &letter, entries);
        if (walk->stopped)
            break;
        ek_store_cursor_step(cursor);
    }
    return EK_OK;
}

/* Where the list goes on, in `out`; its size, 0 at the end of the last shard. */
static size_t cursor_behind(const struct ek_scan *scan, const struct walk *walk, uint8_t out[EK_DEAD_ID_BYTES])
{
    if (walk->stopped) {
        ek_letter_id(out, walk->prefix, walk->last);
        return EK_DEAD_ID_BYTES;
    }
    if (scan->shard + 1u >= scan->shards)
        return 0;
    ek_put_u16(out, (uint16_t)ek_shard_first(scan->shard + 1u, scan->shards));
    return sizeof(uint16_t);
}

enum ek_status ek_letters_list(struct ek_scan *scan, struct ek_store *store, const struct ek_operation *operation,
                               struct ek_buffer *entries, struct ek_buffer *out, struct ek_error *error)
{
    bool goes_on = operation->cursor.size == EK_DEAD_ID_BYTES;
    struct walk walk = {.prefix = (uint16_t)ek_shard_first(scan->shard, scan->shards)};
    walk.last = goes_on ? ek_letter_position(operation->cursor) : 0;
    struct ek_book_key first = ek_book_dead_key(scan->shard, walk.last == UINT64_MAX ? UINT64_MAX : walk.last + 1);
    struct ek_book_key end = ek_book_dead_key((uint16_t)(scan->shard + 1u), 0);
    ek_buffer_clear(entries);
    struct ek_store_cursor *cursor =
        ek_store_walk(store, EK_STORE_BOOK, ek_slice_of(first.bytes, first.size), ek_slice_of(end.bytes, end.size));
    enum ek_status status = step_through(scan, operation, &walk, cursor, entries, error);
    enum ek_status closed = ek_store_cursor_close(&cursor, status == EK_OK ? error : NULL);
    if (status != EK_OK || closed != EK_OK)
        return status != EK_OK ? status : closed;
    if (walk.stopped && walk.count == 0) {
        ek_encode_status(out, EK_WIRE_ALONE, NULL); /* nothing was left for it beside the others */
        return EK_OK;
    }
    uint8_t behind[EK_DEAD_ID_BYTES];
    size_t behind_bytes = cursor_behind(scan, &walk, behind);
    ek_encode_scan_head(out, walk.count);
    ek_buffer_append(out, entries->data, entries->size);
    ek_encode_cursor(out, ek_slice_of(behind_bytes ? behind : NULL, behind_bytes));
    return EK_OK;
}
