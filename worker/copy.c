#include "worker/copy.h"

#include "common/codec.h"
#include "common/hash.h"
#include "common/table.h"
#include "worker/rows.h"

#include <stdlib.h>
#include <string.h>

enum {
    ENTRY_HEAD_BYTES = 11,
    /* Rows that had expired are passed over, so many in one chunk, which may come out empty then: a chunk is read between jobs. */
    PASSED_ROWS_MAX = 4096,
    PASSED_BYTES_MAX = 1024 * 1024
};

struct ek_copy {
    struct ek_attempt attempt;
    struct ek_copy_range range; /* borrowed by the cursors */
    struct ek_store_cursor *cursors[2];
    enum ek_store_space space; /* that is being read */
    uint64_t position;
    uint64_t stamp_unix_ms;
    struct ek_buffer memory;
    uint64_t next_chunk;
    uint64_t entries;
    uint64_t hash;
    bool ended;
    struct ek_buffer body; /* of the chunk before next_chunk */
};

/* ---- ranges and entries ---- */

struct ek_copy_range ek_copy_range_of(uint16_t shard, uint32_t shards)
{
    struct ek_copy_range range = {.letter_first[0] = EK_BOOK_DEAD, .letter_end[0] = EK_BOOK_DEAD};
    uint32_t end = ek_shard_first(shard + 1u, shards);
    range.row_last = end >= EK_PREFIXES;
    ek_put_u16(range.row_first, (uint16_t)ek_shard_first(shard, shards));
    ek_put_u16(range.row_end, (uint16_t)end);
    ek_put_u16(range.letter_first + 1, shard);
    ek_put_u16(range.letter_end + 1, (uint16_t)(shard + 1u));
    return range;
}

struct ek_slice ek_copy_first(const struct ek_copy_range *range, enum ek_store_space space)
{
    return space == EK_STORE_ROWS ? ek_slice_of(range->row_first, sizeof range->row_first)
                                  : ek_slice_of(range->letter_first, sizeof range->letter_first);
}

struct ek_slice ek_copy_end(const struct ek_copy_range *range, enum ek_store_space space)
{
    if (space == EK_STORE_BOOK)
        return ek_slice_of(range->letter_end, sizeof range->letter_end);
    return range->row_last ? ek_slice_of(NULL, 0) : ek_slice_of(range->row_end, sizeof range->row_end);
}

uint64_t ek_copy_hash(uint64_t hash, const struct ek_copy_entry *entry)
{
    hash = ek_mix(hash ^ ek_hash(entry->key) ^ (uint64_t)entry->space);
    return ek_mix(hash ^ ek_hash(entry->value));
}

static void write_entry(struct ek_buffer *out, const struct ek_copy_entry *entry)
{
    uint8_t head[ENTRY_HEAD_BYTES] = {(uint8_t)entry->space};
    ek_put_u16(head + 1, (uint16_t)entry->key.size);
    ek_put_u64(head + 3, entry->value.size);
    ek_buffer_append(out, head, sizeof head);
    ek_buffer_append(out, entry->key.data, entry->key.size);
    ek_buffer_append(out, entry->value.data, entry->value.size);
}

enum ek_status ek_copy_read(struct ek_slice *body, struct ek_copy_entry *ret)
{
    if (body->size == 0)
        return EK_NOT_FOUND;
    if (body->size < ENTRY_HEAD_BYTES || body->data[0] > EK_STORE_BOOK)
        return EK_MALFORMED;
    size_t key = ek_get_u16(body->data + 1);
    uint64_t value = ek_get_u64(body->data + 3);
    size_t left = body->size - ENTRY_HEAD_BYTES;
    if (key > left || value > left - key)
        return EK_MALFORMED;
    *ret = (struct ek_copy_entry){.space = (enum ek_store_space)body->data[0],
                                  .key = ek_slice_of(body->data + ENTRY_HEAD_BYTES, key),
                                  .value = ek_slice_of(body->data + ENTRY_HEAD_BYTES + key, value)};
    *body = ek_slice_of(body->data + ENTRY_HEAD_BYTES + key + value, body->size - ENTRY_HEAD_BYTES - key - value);
    return EK_OK;
}

/* ---- the source ---- */

struct ek_copy *ek_copy_open(const struct ek_engine *engine, struct ek_attempt attempt)
{
    const struct ek_producers *memory = &engine->judge.shards[attempt.shard].memory;
    struct ek_copy *copy = ek_alloc_zero(1, sizeof *copy);
    copy->attempt = attempt;
    copy->position = memory->position;
    copy->stamp_unix_ms = memory->stamp_unix_ms;
    copy->range = ek_copy_range_of(attempt.shard, engine->identity.shards);
    ek_book_encode_snapshot(&copy->memory, memory);
    for (int space = 0; space < 2; space++)
        copy->cursors[space] =
            ek_store_walk(engine->store, (enum ek_store_space)space, ek_copy_first(&copy->range, (enum ek_store_space)space),
                          ek_copy_end(&copy->range, (enum ek_store_space)space));
    return copy;
}

void ek_copy_destroy(struct ek_copy **reference)
{
    struct ek_copy *copy = *reference;
    if (!copy)
        return;
    for (int space = 0; space < 2; space++)
        if (copy->cursors[space])
            (void)!ek_store_cursor_close(&copy->cursors[space], NULL);
    ek_buffer_done(&copy->memory);
    ek_buffer_done(&copy->body);
    free(copy);
    *reference = NULL;
}

struct ek_attempt ek_copy_attempt(const struct ek_copy *copy)
{
    return copy->attempt;
}

uint64_t ek_copy_position(const struct ek_copy *copy)
{
    return copy->position;
}

/* What had expired at the copy's stamp is absent for every job that can come, and may vanish on either side. */
static bool is_gone(const struct ek_copy *copy, const struct ek_copy_entry *entry)
{
    struct ek_row row;
    return entry->space == EK_STORE_ROWS && ek_row_decode(entry->value, &row) == EK_OK &&
           ek_row_expired(row.expiry_unix_ms, copy->stamp_unix_ms);
}

/* What one chunk may pass over still. */
struct patience {
    size_t rows;
    size_t bytes;
};

/* The entry that comes next. EK_NOT_FOUND: there is none left in this space; EK_AGAIN: it was not found with that patience. */
static enum ek_status peek(struct ek_copy *copy, struct patience *patience, struct ek_copy_entry *ret)
{
    struct ek_store_cursor *cursor = copy->cursors[copy->space];
    ret->space = copy->space;
    while (ek_store_cursor_entry(cursor, &ret->key, &ret->value)) {
        if (!is_gone(copy, ret))
            return EK_OK;
        if (patience->rows == 0 || patience->bytes == 0)
            return EK_AGAIN;
        size_t bytes = ret->key.size + ret->value.size;
        patience->rows--;
        patience->bytes -= bytes < patience->bytes ? bytes : patience->bytes;
        ek_store_cursor_step(cursor);
    }
    return EK_NOT_FOUND;
}

static enum ek_status end_space(struct ek_copy *copy, struct ek_error *error)
{
    enum ek_status status = ek_store_cursor_close(&copy->cursors[copy->space], error);
    copy->ended = copy->space == EK_STORE_BOOK;
    copy->space = EK_STORE_BOOK;
    return status;
}

static enum ek_status fill_body(struct ek_copy *copy, struct ek_error *error)
{
    struct patience patience = {.rows = PASSED_ROWS_MAX, .bytes = PASSED_BYTES_MAX};
    ek_buffer_clear(&copy->body);
    while (!copy->ended && copy->body.size < EK_COPY_CHUNK_BYTES_GOAL) {
        struct ek_copy_entry entry;
        enum ek_status status = peek(copy, &patience, &entry);
        if (status == EK_AGAIN)
            return EK_OK;
        if (status == EK_NOT_FOUND) {
            status = end_space(copy, error);
            if (status != EK_OK)
                return status;
            continue;
        }
        bool fits = copy->body.size + ENTRY_HEAD_BYTES + entry.key.size + entry.value.size <= EK_COPY_CHUNK_BYTES_MAX;
        if (!fits && copy->body.size)
            return EK_OK;
        write_entry(&copy->body, &entry);
        copy->hash = ek_copy_hash(copy->hash, &entry);
        copy->entries++;
        ek_store_cursor_step(copy->cursors[copy->space]);
    }
    return EK_OK;
}

enum ek_status ek_copy_chunk(struct ek_copy *copy, uint64_t generation, uint64_t chunk, struct ek_buffer *out,
                             struct ek_error *error)
{
    if (chunk != copy->next_chunk && chunk + 1 != copy->next_chunk)
        return EK_NOT_FOUND;
    if (chunk == copy->next_chunk) {
        enum ek_status status = fill_body(copy, error);
        if (status != EK_OK)
            return status;
        copy->next_chunk++;
    }
    /* Nothing but the memory is in the last one, which keeps both below the size of a message. */
    bool last = copy->ended && copy->body.size == 0;
    struct ek_slice body = ek_buffer_slice(&copy->body);
    struct ek_copy_chunk message = {.generation = generation,
                                    .attempt = copy->attempt,
                                    .chunk = chunk,
                                    .last = last,
                                    .entries = last ? copy->entries : 0,
                                    .hash = last ? copy->hash : 0,
                                    .memory = last ? ek_buffer_slice(&copy->memory) : ek_slice_of(NULL, 0),
                                    .checksum = ek_hash(body),
                                    .body = body};
    ek_encode_copy_chunk(out, &message);
    return EK_OK;
}
