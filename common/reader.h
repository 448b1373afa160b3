/*
 * A bounds-checked cursor over MessagePack. It allocates nothing, follows no declared size beyond the bytes that are there, and
 * remembers the first failure: callers read all fields and look once. It does not build objects (msgpack-c's unpacker asks for
 * memory by declared counts before it has seen the bytes). One thread at a time.
 *
 * Format: https://github.com/msgpack/msgpack/blob/master/spec.md
 */
#ifndef EK_COMMON_READER_H
#define EK_COMMON_READER_H

#include "common/bytes.h"

struct ek_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed; /* once true every read yields zero */
};

struct ek_reader ek_reader_of(struct ek_slice bytes);
bool ek_reader_ok(const struct ek_reader *reader);
/* Nothing failed and nothing is left. */
bool ek_reader_ended(const struct ek_reader *reader);

void ek_read_fail(struct ek_reader *reader);

/* Of any length; what ek_read_uint calls. */
uint64_t ek_read_uint_of_any_length(struct ek_reader *reader);
/* Most numbers are one byte long: no call for these. */
static inline uint64_t ek_read_uint(struct ek_reader *reader)
{
    return reader->at != reader->end && *reader->at <= 0x7f ? *reader->at++ : ek_read_uint_of_any_length(reader);
}
/* One behind the other, faster than one by one; `values` are zero from the first one that cannot be read. */
void ek_read_uints(struct ek_reader *reader, uint64_t *values, size_t count);
/* A number that was read already; fails above `max`. */
static inline uint64_t ek_read_checked(struct ek_reader *reader, uint64_t value, uint64_t max)
{
    if (value <= max)
        return value;
    ek_read_fail(reader);
    return 0;
}
/* Fails above `max`. */
uint64_t ek_read_uint_max(struct ek_reader *reader, uint64_t max);
int64_t ek_read_int(struct ek_reader *reader);
bool ek_read_bool(struct ek_reader *reader);
/* A string or a binary; the slice borrows from the message. */
struct ek_slice ek_read_bytes(struct ek_reader *reader);
/* A string of at most `capacity` - 1 bytes without NUL, copied and terminated. */
void ek_read_text(struct ek_reader *reader, char *out, size_t capacity);
/* Exactly `size` bytes, copied. */
void ek_read_fixed(struct ek_reader *reader, uint8_t *out, size_t size);
/* The count of an array; fails when fewer than that many bytes are left. */
uint32_t ek_read_array(struct ek_reader *reader);
/* Fails unless the array has exactly `count` elements. */
void ek_read_array_of(struct ek_reader *reader, uint32_t count);
/* True, and consumed, when nil comes next. */
bool ek_read_nil(struct ek_reader *reader);
/* True when an array comes next; consumes nothing. */
bool ek_read_at_array(const struct ek_reader *reader);

#endif
