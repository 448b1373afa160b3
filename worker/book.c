#include "worker/book.h"

#include <string.h>

enum { VARINT_BYTES_MAX = 10 };

/* Snapshots say which producers are closed from this format on; everything else reads the same in both. */
enum { FORMAT_WITH_CLOSED = 2 };

/* Flags of a record's entry. */
enum {
    ENTRY_USED = 1,
    ENTRY_THIN = 2,
    ENTRY_SAME_PRODUCER = 4, /* as the entry before, with the next number */
    ENTRY_ONE = 8,           /* one position */
    ENTRY_STATUS = 16,       /* a status other than OK follows */
    ENTRY_BODY = 32,
    ENTRY_CONFIRMED = 64,
    ENTRY_CLOSED = 128,
    ENTRY_FLAGS = 255
};

/* ---- varints ---- */

static void put(struct ek_buffer *out, uint64_t value)
{
    uint8_t *to = ek_buffer_reserve(out, VARINT_BYTES_MAX);
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        to[size++] = (uint8_t)(value | 0x80);
    to[size++] = (uint8_t)value;
    ek_buffer_advance(out, size);
}

/* Differences in both directions, modulo 2^64, small ones short. */
static void put_difference(struct ek_buffer *out, uint64_t value, uint64_t base)
{
    uint64_t difference = value - base;
    put(out, (difference << 1) ^ (difference >> 63 ? UINT64_MAX : 0));
}

static void put_bytes(struct ek_buffer *out, struct ek_slice bytes)
{
    put(out, bytes.size);
    ek_buffer_append(out, bytes.data, bytes.size);
}

/* A cursor whose `at` becomes NULL with the first byte that is not there. */
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

static struct cursor cursor_of(struct ek_slice bytes)
{
    return (struct cursor){.at = bytes.data, .end = bytes.data + bytes.size};
}

static uint64_t fail(struct cursor *from)
{
    from->at = NULL;
    return 0;
}

static uint64_t get(struct cursor *from)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && from->at && from->at < from->end; shift += 7) {
        uint8_t byte = *from->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    return fail(from);
}

static uint64_t get_max(struct cursor *from, uint64_t max)
{
    uint64_t value = get(from);
    return value <= max ? value : fail(from);
}

static uint64_t get_difference(struct cursor *from, uint64_t base)
{
    uint64_t raw = get(from);
    return base + ((raw >> 1) ^ (raw & 1 ? UINT64_MAX : 0));
}

static struct ek_slice get_bytes(struct cursor *from)
{
    uint64_t size = get(from);
    if (!from->at || size > (uint64_t)(from->end - from->at)) {
        (void)fail(from);
        return ek_slice_of(NULL, 0);
    }
    struct ek_slice bytes = ek_slice_of(from->at, (size_t)size);
    from->at += size;
    return bytes;
}

static void get_fixed(struct cursor *from, uint8_t *out, size_t size)
{
    struct ek_slice bytes = get_bytes(from);
    if (bytes.size == size)
        memcpy(out, bytes.data, size);
    else
        (void)fail(from);
}

/* Reads the format that every value begins with. */
static enum ek_status open_format(struct ek_slice bytes, struct cursor *ret, uint64_t *ret_format)
{
    *ret = cursor_of(bytes);
    *ret_format = get(ret);
    if (!ret->at || *ret_format == 0)
        return EK_CORRUPT;
    return *ret_format > EK_BOOK_FORMAT ? EK_NEWER : EK_OK;
}

static enum ek_status open_value(struct ek_slice bytes, struct cursor *ret)
{
    uint64_t format;
    return open_format(bytes, ret, &format);
}

static enum ek_status close_value(const struct cursor *from)
{
    return from->at && from->at == from->end ? EK_OK : EK_CORRUPT;
}

/* ---- keys ---- */

struct ek_book_key ek_book_key_of(enum ek_book_kind kind, uint64_t number)
{
    struct ek_book_key key = {.bytes = {(uint8_t)kind}, .size = 1};
    if (kind == EK_BOOK_ROLE || kind == EK_BOOK_SNAPSHOT) {
        ek_put_u16(key.bytes + 1, (uint16_t)number);
        key.size = 3;
    } else if (kind == EK_BOOK_RECORD) {
        ek_put_u64(key.bytes + 1, number);
        key.size = 9;
    }
    return key;
}

struct ek_book_key ek_book_dead_key(uint16_t shard, uint64_t position)
{
    struct ek_book_key key = {.bytes = {EK_BOOK_DEAD}, .size = EK_BOOK_DEAD_KEY_BYTES};
    ek_put_u16(key.bytes + 1, shard);
    ek_put_u64(key.bytes + 3, position);
    return key;
}

uint64_t ek_book_dead_position(struct ek_slice key)
{
    return ek_get_u64(key.data + 3);
}

static bool has_shard(enum ek_book_kind kind)
{
    return kind == EK_BOOK_ROLE || kind == EK_BOOK_SNAPSHOT || kind == EK_BOOK_DEAD;
}

static size_t key_bytes_of(enum ek_book_kind kind)
{
    return kind == EK_BOOK_DEAD ? EK_BOOK_DEAD_KEY_BYTES : ek_book_key_of(kind, 0).size;
}

enum ek_status ek_book_parse_key(struct ek_slice key, enum ek_book_kind *ret_kind, uint64_t *ret_number)
{
    if (key.size == 0 || key.data[0] < EK_BOOK_IDENTITY || key.data[0] > EK_BOOK_DEAD)
        return EK_CORRUPT;
    enum ek_book_kind kind = (enum ek_book_kind)key.data[0];
    if (key.size != key_bytes_of(kind))
        return EK_CORRUPT;
    *ret_kind = kind;
    *ret_number = kind == EK_BOOK_IDENTITY ? 0 : kind == EK_BOOK_RECORD ? ek_get_u64(key.data + 1) : ek_get_u16(key.data + 1);
    return has_shard(kind) && *ret_number >= EK_SHARDS_MAX ? EK_CORRUPT : EK_OK;
}

/* ---- identity and roles ---- */

void ek_book_encode_identity(struct ek_buffer *out, const struct ek_identity *identity)
{
    put(out, EK_BOOK_FORMAT);
    put_bytes(out, ek_slice_of(identity->worker.bytes, sizeof identity->worker.bytes));
    put(out, identity->incarnation);
    put(out, identity->generation);
    put(out, identity->has_cluster);
    put_bytes(out, ek_slice_of(identity->cluster.bytes, sizeof identity->cluster.bytes));
    put(out, identity->shards);
}

enum ek_status ek_book_decode_identity(struct ek_slice bytes, struct ek_identity *ret)
{
    struct cursor from;
    enum ek_status status = open_value(bytes, &from);
    if (status != EK_OK)
        return status;
    get_fixed(&from, ret->worker.bytes, sizeof ret->worker.bytes);
    ret->incarnation = get(&from);
    ret->generation = get(&from);
    ret->has_cluster = get_max(&from, 1) != 0;
    get_fixed(&from, ret->cluster.bytes, sizeof ret->cluster.bytes);
    ret->shards = (uint32_t)get_max(&from, EK_SHARDS_MAX);
    return close_value(&from);
}

void ek_book_encode_role(struct ek_buffer *out, const struct ek_holding *role)
{
    put(out, EK_BOOK_FORMAT);
    put(out, role->epoch);
    put(out, role->state);
}

enum ek_status ek_book_decode_role(struct ek_slice bytes, struct ek_holding *ret)
{
    struct cursor from;
    enum ek_status status = open_value(bytes, &from);
    if (status != EK_OK)
        return status;
    ret->epoch = get(&from);
    ret->state = (enum ek_holding_state)get_max(&from, EK_HOLDING_LEARNER);
    return ret->state ? close_value(&from) : EK_CORRUPT;
}

/* ---- snapshots ---- */

static void put_replies(struct ek_buffer *out, const struct ek_replies *replies)
{
    uint64_t number = 0;
    uint64_t position = 0;
    put(out, replies->count);
    for (size_t i = 0; i < replies->count; i++) {
        const struct ek_stored_reply *reply = ek_replies_at(replies, i);
        put(out, reply->number - number);
        put_difference(out, reply->position, position);
        put(out, reply->status);
        put_bytes(out, ek_slice_of(reply->body, reply->body_bytes));
        number = reply->number;
        position = reply->position;
    }
}

static void get_replies(struct cursor *from, struct ek_producers *producers, struct ek_producer *producer)
{
    struct ek_stored_reply reply = {0};
    uint64_t count = get(from);
    for (uint64_t i = 0; i < count && from->at; i++) {
        reply.number += get(from);
        reply.position = get_difference(from, reply.position);
        reply.status = (enum ek_wire_status)get_max(from, EK_WIRE_STATUS_COUNT - 1);
        struct ek_slice body = get_bytes(from);
        if (from->at)
            ek_producers_restore_reply(producers, producer, &reply, body);
    }
}

void ek_book_encode_snapshot(struct ek_buffer *out, const struct ek_producers *producers)
{
    put(out, EK_BOOK_FORMAT);
    put(out, producers->position);
    put(out, producers->stamp_unix_ms);
    put(out, producers->expires_unix_ms);
    put(out, producers->floor);
    put_replies(out, &producers->thin);
    put(out, producers->table.count);
    uint64_t id = 0;
    for (const struct ek_producer *producer = producers->oldest; producer; producer = producer->newer) {
        put_difference(out, producer->id, id);
        put(out, producer->last_number);
        put_difference(out, producer->stamp_unix_ms, producers->stamp_unix_ms);
        put_replies(out, &producer->replies);
        id = producer->id;
    }
    put(out, ek_producers_closed(producers));
}

enum ek_status ek_book_decode_snapshot(struct ek_slice bytes, struct ek_producers *ret)
{
    struct cursor from;
    uint64_t format;
    enum ek_status status = open_format(bytes, &from, &format);
    if (status != EK_OK)
        return status;
    ret->position = get(&from);
    ret->stamp_unix_ms = get(&from);
    ret->expires_unix_ms = get(&from);
    ret->floor = get(&from);
    get_replies(&from, ret, NULL);
    uint64_t count = get_max(&from, EK_PRODUCERS_PER_SHARD_MAX);
    uint64_t id = 0;
    for (uint64_t i = 0; i < count && from.at; i++) {
        id = get_difference(&from, id);
        uint64_t last_number = get(&from);
        uint64_t stamp_unix_ms = get_difference(&from, ret->stamp_unix_ms);
        if (from.at)
            get_replies(&from, ret, ek_producers_restore(ret, id, last_number, stamp_unix_ms));
    }
    if (format >= FORMAT_WITH_CLOSED && from.at)
        ek_producers_restore_closed(ret, get_max(&from, count));
    return close_value(&from);
}

/* ---- records ---- */

void ek_book_record_begin(struct ek_buffer *out, struct ek_book_record *record)
{
    *record = (struct ek_book_record){0};
    put(out, EK_BOOK_FORMAT);
}

void ek_book_record_shard(struct ek_buffer *out, struct ek_book_record *record, uint16_t shard, uint64_t position,
                          uint64_t expires_unix_ms, uint32_t jobs)
{
    put(out, shard - record->shard_next);
    put(out, jobs);
    put(out, position);
    put(out, expires_unix_ms);
    record->shard_next = (uint64_t)shard + 1;
    record->position = position;
}

static bool follows(const struct ek_book_record *record, const struct ek_verdict *verdict)
{
    return verdict->producer == record->producer && verdict->number == record->number + 1;
}

static unsigned flags_of(const struct ek_book_record *record, const struct ek_verdict *verdict)
{
    unsigned flags = verdict->used ? ENTRY_USED : 0;
    if (verdict->producer == 0)
        flags |= ENTRY_THIN;
    else if (follows(record, verdict))
        flags |= ENTRY_SAME_PRODUCER;
    if (verdict->count == 1)
        flags |= ENTRY_ONE;
    if (verdict->status != EK_WIRE_OK)
        flags |= ENTRY_STATUS;
    if (verdict->body.size)
        flags |= ENTRY_BODY;
    if (verdict->confirmed)
        flags |= ENTRY_CONFIRMED;
    if (verdict->closed)
        flags |= ENTRY_CLOSED;
    return flags;
}

void ek_book_record_verdict(struct ek_buffer *out, struct ek_book_record *record, const struct ek_verdict *verdict)
{
    unsigned flags = flags_of(record, verdict);
    put(out, flags);
    put_difference(out, verdict->stamp_unix_ms, record->stamp_unix_ms);
    if (!(flags & ENTRY_ONE))
        put(out, verdict->count);
    if (!(flags & (ENTRY_THIN | ENTRY_SAME_PRODUCER))) {
        put_difference(out, verdict->producer, record->producer);
        put(out, verdict->number);
    }
    if (!(flags & ENTRY_THIN))
        put_difference(out, verdict->lowest, verdict->number);
    if (flags & ENTRY_STATUS)
        put(out, verdict->status);
    if (flags & ENTRY_CONFIRMED)
        put_difference(out, verdict->confirmed, verdict->position);
    if (flags & ENTRY_CLOSED)
        put(out, verdict->closed);
    if (flags & ENTRY_BODY)
        put_bytes(out, verdict->body);
    record->position = verdict->position + verdict->count;
    record->stamp_unix_ms = verdict->stamp_unix_ms;
    if (verdict->producer) {
        record->producer = verdict->producer;
        record->number = verdict->number;
    }
}

enum ek_status ek_book_record_open(struct ek_slice bytes, struct ek_book_record *ret)
{
    struct cursor from;
    enum ek_status status = open_value(bytes, &from);
    if (status == EK_OK)
        *ret = (struct ek_book_record){.at = from.at, .end = from.end};
    return status;
}

static void get_verdict(struct cursor *from, struct ek_book_record *record, struct ek_verdict *ret)
{
    unsigned flags = (unsigned)get_max(from, ENTRY_FLAGS);
    *ret = (struct ek_verdict){.position = record->position, .used = flags & ENTRY_USED};
    ret->stamp_unix_ms = get_difference(from, record->stamp_unix_ms);
    ret->count = flags & ENTRY_ONE ? 1 : (uint32_t)get_max(from, EK_JOB_OPERATIONS_MAX);
    if (flags & ENTRY_SAME_PRODUCER) {
        ret->producer = record->producer;
        ret->number = record->number + 1;
    } else if (!(flags & ENTRY_THIN)) {
        ret->producer = get_difference(from, record->producer);
        ret->number = get(from);
    }
    if (!(flags & ENTRY_THIN))
        ret->lowest = get_difference(from, ret->number);
    if (flags & ENTRY_STATUS)
        ret->status = (enum ek_wire_status)get_max(from, EK_WIRE_STATUS_COUNT - 1);
    if (flags & ENTRY_CONFIRMED)
        ret->confirmed = get_difference(from, ret->position);
    if (flags & ENTRY_CLOSED)
        ret->closed = get(from);
    if (flags & ENTRY_BODY)
        ret->body = get_bytes(from);
}

enum ek_status ek_book_record_next(struct ek_book_record *record, uint16_t *ret_shard, struct ek_verdict *ret)
{
    struct cursor from = {.at = record->at, .end = record->end};
    if (record->jobs_left == 0) {
        if (record->at == record->end)
            return EK_NOT_FOUND;
        uint64_t shard = record->shard_next + get_max(&from, EK_SHARDS_MAX);
        if (shard >= EK_SHARDS_MAX)
            return EK_CORRUPT;
        record->shard = (uint16_t)shard;
        record->shard_next = (uint64_t)record->shard + 1;
        record->jobs_left = get(&from);
        record->position = get(&from);
        record->expires_unix_ms = get(&from);
    }
    get_verdict(&from, record, ret);
    if (!from.at || record->jobs_left == 0 || ret->count == 0)
        return EK_CORRUPT;
    record->at = from.at;
    record->jobs_left--;
    record->position = ret->position + ret->count;
    record->stamp_unix_ms = ret->stamp_unix_ms;
    if (ret->producer) {
        record->producer = ret->producer;
        record->number = ret->number;
    }
    *ret_shard = record->shard;
    return EK_OK;
}
