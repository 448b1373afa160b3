#include "common/letters.h"

#include "common/operations.h"
#include "common/writer.h"

enum { DEAD_FIELDS = 5, LETTER_FIELDS = 7, PREFIX_BYTES = 2 };

void ek_letter_id(uint8_t out[EK_DEAD_ID_BYTES], uint16_t prefix, uint64_t position)
{
    ek_put_u16(out, prefix);
    ek_put_u64(out + PREFIX_BYTES, position);
}

uint64_t ek_letter_position(struct ek_slice id)
{
    return ek_get_u64(id.data + PREFIX_BYTES);
}

static bool is_kept(enum ek_job_kind kind)
{
    return kind == EK_JOB_WRITE || kind == EK_JOB_TRANSACTION || kind == EK_JOB_DELETE;
}

/* A job's body, or nil, whose operations are as many as was said. */
static enum ek_status read_job(struct ek_reader *fields, uint32_t operations, struct ek_slice *ret)
{
    *ret = ek_read_nil(fields) ? ek_slice_of(NULL, 0) : ek_read_bytes(fields);
    if (!ek_reader_ok(fields))
        return EK_MALFORMED;
    if (!ret->data)
        return EK_OK;
    if (ret->size > EK_JOB_BODY_BYTES_MAX)
        return EK_TOO_LARGE;
    struct ek_reader job = ek_reader_of(*ret);
    uint32_t count;
    return ek_decode_operation_count(&job, &count) == EK_OK && count == operations ? EK_OK : EK_MALFORMED;
}

enum ek_status ek_decode_dead(struct ek_slice body, struct ek_dead *ret)
{
    struct ek_reader fields = ek_reader_of(body);
    ek_read_array_of(&fields, DEAD_FIELDS);
    ret->cause = ek_read_bytes(&fields);
    ret->time_unix_ms = ek_read_uint(&fields);
    ret->kind = (enum ek_job_kind)ek_read_uint_max(&fields, EK_JOB_DELETE);
    ret->operations = (uint32_t)ek_read_uint_max(&fields, EK_JOB_OPERATIONS_MAX);
    if (!ek_reader_ok(&fields) || ret->cause.size >= EK_TEXT_BYTES_MAX || ret->operations == 0 || !is_kept(ret->kind))
        return EK_MALFORMED;
    enum ek_status status = read_job(&fields, ret->operations, &ret->job);
    if (status != EK_OK)
        return status;
    return ek_reader_ended(&fields) ? EK_OK : EK_MALFORMED;
}

void ek_encode_dead(struct ek_buffer *out, const struct ek_dead *dead)
{
    ek_write_array(out, DEAD_FIELDS);
    ek_write_bytes(out, dead->cause);
    ek_write_uint(out, dead->time_unix_ms);
    ek_write_uint(out, dead->kind);
    ek_write_uint(out, dead->operations);
    ek_write_bytes_or_nil(out, dead->job);
}

enum ek_status ek_decode_letter(struct ek_reader *body, struct ek_letter *ret)
{
    ek_read_array_of(body, LETTER_FIELDS);
    ret->id = ek_read_bytes(body);
    ret->time_unix_ms = ek_read_uint(body);
    ret->producer = ek_read_uint(body);
    ret->kind = (enum ek_job_kind)ek_read_uint_max(body, EK_JOB_DELETE);
    ret->operations = (uint32_t)ek_read_uint_max(body, EK_JOB_OPERATIONS_MAX);
    ret->cause = ek_read_bytes(body);
    if (!ek_reader_ok(body) || ret->id.size != EK_DEAD_ID_BYTES || ret->cause.size >= EK_TEXT_BYTES_MAX || !is_kept(ret->kind))
        return EK_MALFORMED;
    return read_job(body, ret->operations, &ret->job);
}

void ek_encode_letter(struct ek_buffer *out, const struct ek_letter *letter)
{
    ek_write_array(out, LETTER_FIELDS);
    ek_write_bytes(out, letter->id);
    ek_write_uint(out, letter->time_unix_ms);
    ek_write_uint(out, letter->producer);
    ek_write_uint(out, letter->kind);
    ek_write_uint(out, letter->operations);
    ek_write_bytes(out, letter->cause);
    ek_write_bytes_or_nil(out, letter->job);
}
