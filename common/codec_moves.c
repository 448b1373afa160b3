#include "common/codec.h"
#include "common/writer.h"

enum { CHUNK_LAST = 1, REPORT_LAST = 1, CHECKED_FIELDS = 9 };

static void read_attempt(struct ek_reader *fields, struct ek_attempt *ret)
{
    ret->shard = (uint16_t)ek_read_uint_max(fields, EK_SHARDS_MAX - 1);
    ret->number = ek_read_uint(fields);
}

static void write_attempt(struct ek_buffer *out, const struct ek_attempt *attempt)
{
    ek_write_uint(out, attempt->shard);
    ek_write_uint(out, attempt->number);
}

static void write_link(struct ek_buffer *out, struct ek_link link)
{
    ek_write_uint(out, link.link);
    ek_write_uint(out, link.generation);
}

/* ---- broker and worker ---- */

enum ek_status ek_decode_move_order(struct ek_reader *fields, struct ek_move_order *ret)
{
    if (ek_decode_link(fields, &ret->link) != EK_OK)
        return EK_MALFORMED;
    read_attempt(fields, &ret->attempt);
    uint64_t step = ek_read_uint_max(fields, EK_MOVE_DROP);
    ret->step = (enum ek_move_step)step;
    ret->epoch = ek_read_uint(fields);
    ret->position = ek_read_uint(fields);
    ret->bytes_per_second = ek_read_uint(fields);
    ek_read_text(fields, ret->endpoint, sizeof ret->endpoint);
    return step ? ek_decode_end(fields) : EK_MALFORMED;
}

void ek_encode_move_order(struct ek_buffer *out, const struct ek_move_order *message)
{
    ek_encode_head(out, EK_MESSAGE_WORKER_MOVE);
    write_link(out, message->link);
    write_attempt(out, &message->attempt);
    ek_write_uint(out, message->step);
    ek_write_uint(out, message->epoch);
    ek_write_uint(out, message->position);
    ek_write_uint(out, message->bytes_per_second);
    ek_write_text(out, message->endpoint);
}

enum ek_status ek_decode_move_report(struct ek_reader *fields, struct ek_move_report *ret)
{
    if (ek_decode_link(fields, &ret->link) != EK_OK)
        return EK_MALFORMED;
    read_attempt(fields, &ret->attempt);
    uint64_t step = ek_read_uint_max(fields, EK_MOVED_CLEANED);
    ret->step = (enum ek_moved_step)step;
    ret->position = ek_read_uint(fields);
    ret->bytes = ek_read_uint(fields);
    ek_read_text(fields, ret->text, sizeof ret->text);
    return step ? ek_decode_end(fields) : EK_MALFORMED;
}

void ek_encode_move_report(struct ek_buffer *out, const struct ek_move_report *message)
{
    ek_encode_head(out, EK_MESSAGE_WORKER_MOVED);
    write_link(out, message->link);
    write_attempt(out, &message->attempt);
    ek_write_uint(out, message->step);
    ek_write_uint(out, message->position);
    ek_write_uint(out, message->bytes);
    ek_write_text(out, message->text);
}

/* ---- checks ---- */

enum ek_status ek_decode_check_order(struct ek_reader *fields, struct ek_check_order *ret)
{
    if (ek_decode_link(fields, &ret->link) != EK_OK)
        return EK_MALFORMED;
    ret->check = ek_read_uint(fields);
    return ek_decode_end(fields);
}

void ek_encode_check_order(struct ek_buffer *out, const struct ek_check_order *message)
{
    ek_encode_head(out, EK_MESSAGE_WORKER_CHECK);
    write_link(out, message->link);
    ek_write_uint(out, message->check);
}

enum ek_status ek_decode_check_report(struct ek_reader *fields, struct ek_check_report *ret)
{
    if (ek_decode_link(fields, &ret->link) != EK_OK)
        return EK_MALFORMED;
    ret->check = ek_read_uint(fields);
    ret->last = ek_read_uint_max(fields, REPORT_LAST) != 0;
    return ek_decode_count(fields, EK_SHARDS_MAX, &ret->count);
}

enum ek_status ek_decode_checked(struct ek_reader *fields, struct ek_checked *ret)
{
    ek_read_array_of(fields, CHECKED_FIELDS);
    ret->shard = (uint16_t)ek_read_uint_max(fields, EK_SHARDS_MAX - 1);
    ret->state = (uint32_t)ek_read_uint_max(fields, EK_HOLDING_LEARNER);
    ret->epoch = ek_read_uint(fields);
    ret->position = ek_read_uint(fields);
    ret->rows = ek_read_uint(fields);
    ret->expired_rows = ek_read_uint_max(fields, ret->rows);
    ret->bad_rows = ek_read_uint_max(fields, ret->rows);
    ret->bad_entries = ek_read_uint(fields);
    ret->hash = ek_read_uint(fields);
    return ek_reader_ok(fields) ? EK_OK : EK_MALFORMED;
}

void ek_encode_check_report(struct ek_buffer *out, const struct ek_check_report *message)
{
    ek_encode_head(out, EK_MESSAGE_WORKER_CHECKED);
    write_link(out, message->link);
    ek_write_uint(out, message->check);
    ek_write_uint(out, message->last ? REPORT_LAST : 0);
    ek_write_array(out, message->count);
    for (uint32_t i = 0; i < message->count; i++) {
        const struct ek_checked *shard = &message->shards[i];
        ek_write_array(out, CHECKED_FIELDS);
        ek_write_uint(out, shard->shard);
        ek_write_uint(out, shard->state);
        ek_write_uint(out, shard->epoch);
        ek_write_uint(out, shard->position);
        ek_write_uint(out, shard->rows);
        ek_write_uint(out, shard->expired_rows);
        ek_write_uint(out, shard->bad_rows);
        ek_write_uint(out, shard->bad_entries);
        ek_write_uint(out, shard->hash);
    }
}

/* ---- worker and worker ---- */

enum ek_status ek_decode_copy_ask(struct ek_reader *fields, struct ek_copy_ask *ret)
{
    ret->generation = ek_read_uint(fields);
    read_attempt(fields, &ret->attempt);
    ret->chunk = ek_read_uint(fields);
    return ek_decode_end(fields);
}

void ek_encode_copy_ask(struct ek_buffer *out, const struct ek_copy_ask *message)
{
    ek_encode_head(out, EK_MESSAGE_COPY_ASK);
    ek_write_uint(out, message->generation);
    write_attempt(out, &message->attempt);
    ek_write_uint(out, message->chunk);
}

enum ek_status ek_decode_copy_chunk(struct ek_reader *fields, struct ek_copy_chunk *ret)
{
    ret->generation = ek_read_uint(fields);
    read_attempt(fields, &ret->attempt);
    ret->chunk = ek_read_uint(fields);
    ret->last = ek_read_uint_max(fields, CHUNK_LAST) != 0;
    ret->entries = ek_read_uint(fields);
    ret->hash = ek_read_uint(fields);
    ret->memory = ek_read_nil(fields) ? ek_slice_of(NULL, 0) : ek_read_bytes(fields);
    ret->checksum = ek_read_uint(fields);
    ret->body = ek_read_bytes(fields);
    if (!ek_reader_ok(fields) || ret->last != (ret->memory.data != NULL))
        return EK_MALFORMED;
    if (ret->body.size > EK_COPY_CHUNK_BYTES_MAX || ret->memory.size > EK_COPY_MEMORY_BYTES_MAX)
        return EK_TOO_LARGE;
    return ek_decode_end(fields);
}

void ek_encode_copy_chunk(struct ek_buffer *out, const struct ek_copy_chunk *message)
{
    ek_encode_head(out, EK_MESSAGE_COPY_CHUNK);
    ek_write_uint(out, message->generation);
    write_attempt(out, &message->attempt);
    ek_write_uint(out, message->chunk);
    ek_write_uint(out, message->last ? CHUNK_LAST : 0);
    ek_write_uint(out, message->entries);
    ek_write_uint(out, message->hash);
    ek_write_bytes_or_nil(out, message->memory);
    ek_write_uint(out, message->checksum);
    ek_write_bytes(out, message->body);
}
