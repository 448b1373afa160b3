#include "worker/recover.h"

#include "worker/dead.h"
#include "worker/letters.h"

struct recovery {
    struct ek_identity *identity;
    struct ek_judge *judge;
    struct ek_live *live;
    bool identified;
};

static enum ek_status replay(struct recovery *recovery, uint64_t sequence, struct ek_slice bytes)
{
    struct ek_book_record record;
    enum ek_status status = ek_book_record_open(bytes, &record);
    if (status != EK_OK)
        return status;
    ek_live_add(recovery->live, sequence, bytes.size);
    for (;;) {
        uint16_t shard;
        struct ek_verdict verdict;
        status = ek_book_record_next(&record, &shard, &verdict);
        if (status == EK_NOT_FOUND)
            return EK_OK;
        if (status != EK_OK)
            return status;
        struct ek_producers *memory = &recovery->judge->shards[shard].memory;
        if (verdict.position <= memory->position)
            continue; /* in the shard's snapshot */
        if (verdict.position != memory->position + 1)
            return EK_CORRUPT;
        ek_producers_record(memory, &verdict);
        if (record.expires_unix_ms > memory->expires_unix_ms)
            memory->expires_unix_ms = record.expires_unix_ms;
        ek_live_touch(recovery->live, shard, sequence);
    }
}

static enum ek_status take(struct recovery *recovery, struct ek_slice key, struct ek_slice value)
{
    enum ek_book_kind kind;
    uint64_t number;
    enum ek_status status = ek_book_parse_key(key, &kind, &number);
    if (status != EK_OK)
        return status;
    /* The identity comes first in key order, so that a newer format is found before anything is read wrongly. */
    if (!recovery->identified && kind != EK_BOOK_IDENTITY)
        return EK_CORRUPT;
    switch (kind) {
    case EK_BOOK_IDENTITY:
        recovery->identified = true;
        return ek_book_decode_identity(value, recovery->identity);
    case EK_BOOK_ROLE: {
        struct ek_holding role;
        status = ek_book_decode_role(value, &role);
        if (status == EK_OK) {
            recovery->judge->shards[number].epoch = role.epoch;
            recovery->judge->shards[number].state = role.state;
        }
        return status;
    }
    case EK_BOOK_SNAPSHOT:
        return ek_book_decode_snapshot(value, &recovery->judge->shards[number].memory);
    case EK_BOOK_RECORD:
        return replay(recovery, number, value);
    case EK_BOOK_DEAD: {
        struct ek_letter letter;
        status = ek_letter_read(value, &letter);
        if (status == EK_OK)
            ek_dead_restore(recovery->judge, (uint16_t)number, &letter);
        return status;
    }
    }
    return EK_CORRUPT;
}

static enum ek_status explain(enum ek_status status, struct ek_error *error)
{
    if (status == EK_NEWER)
        return ek_error_set(error, status, "the book-keeping was written by a newer version; use that version of evenkeel-worker");
    if (status == EK_CORRUPT)
        return ek_error_set(error, status, "the book-keeping is damaged; nothing was changed");
    return status;
}

enum ek_status ek_recover(struct ek_store *store, struct ek_identity *ret_identity, struct ek_judge *judge, struct ek_live *live,
                          struct ek_error *error)
{
    struct recovery recovery = {.identity = ret_identity, .judge = judge, .live = live};
    struct ek_store_cursor *cursor = ek_store_walk(store, EK_STORE_BOOK, ek_slice_of("", 0), ek_slice_of(NULL, 0));
    struct ek_slice key;
    struct ek_slice value;
    enum ek_status status = EK_OK;
    while (status == EK_OK && ek_store_cursor_entry(cursor, &key, &value)) {
        status = explain(take(&recovery, key, value), error);
        ek_store_cursor_step(cursor);
    }
    enum ek_status walked = ek_store_cursor_close(&cursor, status == EK_OK ? error : NULL);
    if (status == EK_OK)
        status = walked;
    if (status != EK_OK)
        return status;
    return recovery.identified ? EK_OK : EK_NOT_FOUND;
}
