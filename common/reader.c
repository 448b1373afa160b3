#include "common/reader.h"

#include <endian.h>
#include <string.h>

struct ek_reader ek_reader_of(struct ek_slice bytes)
{
    return (struct ek_reader){
        .at = bytes.data, .end = bytes.size ? bytes.data + bytes.size : bytes.data, .failed = bytes.data == NULL};
}

bool ek_reader_ok(const struct ek_reader *reader)
{
    return !reader->failed;
}

bool ek_reader_ended(const struct ek_reader *reader)
{
    return !reader->failed && reader->at == reader->end;
}

void ek_read_fail(struct ek_reader *reader)
{
    reader->failed = true;
    reader->at = reader->end;
}

static size_t left(const struct ek_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

/* The next byte, or 0xc1, which the format never uses. Nothing is left of a reader that has failed. */
static uint8_t next_tag(struct ek_reader *reader)
{
    if (left(reader) == 0) {
        ek_read_fail(reader);
        return 0xc1;
    }
    return *reader->at++;
}

static uint8_t peek_tag(const struct ek_reader *reader)
{
    return left(reader) == 0 ? 0xc1 : *reader->at;
}

static uint64_t big_endian(struct ek_reader *reader, size_t width)
{
    if (left(reader) < width) {
        ek_read_fail(reader);
        return 0;
    }
    const uint8_t *at = reader->at;
    reader->at += width;
    switch (width) { /* a copy of a width that the compiler knows is one load */
    case 1:
        return *at;
    case 2: {
        uint16_t value;
        return be16toh(*(uint16_t *)memcpy(&value, at, sizeof value));
    }
    case 4: {
        uint32_t value;
        return be32toh(*(uint32_t *)memcpy(&value, at, sizeof value));
    }
    default: {
        uint64_t value;
        return be64toh(*(uint64_t *)memcpy(&value, at, sizeof value));
    }
    }
}

uint64_t ek_read_uint_of_any_length(struct ek_reader *reader)
{
    uint8_t tag = next_tag(reader);
    if (tag <= 0x7f)
        return tag;
    if (tag >= 0xcc && tag <= 0xcf)
        return big_endian(reader, (size_t)1 << (tag - 0xcc));
    ek_read_fail(reader);
    return 0;
}

/* The first numbers, as long as even the longest would not pass the end; returns how many. No call, and nothing but registers. */
static size_t read_far_from_end(struct ek_reader *reader, uint64_t *values, size_t count)
{
    enum { UINT_BYTES_MAX = 9 };
    const uint8_t *at = reader->at;
    size_t i = 0;
    if (left(reader) < count * UINT_BYTES_MAX)
        return 0;
    for (; i < count; i++) {
        uint8_t tag = *at;
        uint64_t bytes;
        if (tag <= 0x7f) {
            values[i] = tag;
            at++;
            continue;
        }
        if (tag < 0xcc || tag > 0xcf)
            break;
        unsigned width = 1u << (tag - 0xcc);
        memcpy(&bytes, at + 1, sizeof bytes);
        values[i] = be64toh(bytes) >> (64 - 8 * width);
        at += 1 + width;
    }
    reader->at = at;
    return i;
}

void ek_read_uints(struct ek_reader *reader, uint64_t *values, size_t count)
{
    for (size_t i = read_far_from_end(reader, values, count); i < count; i++)
        values[i] = ek_read_uint(reader);
}

uint64_t ek_read_uint_max(struct ek_reader *reader, uint64_t max)
{
    return ek_read_checked(reader, ek_read_uint(reader), max);
}

int64_t ek_read_int(struct ek_reader *reader)
{
    uint8_t tag = peek_tag(reader);
    if (tag >= 0xe0 || (tag >= 0xd0 && tag <= 0xd3)) {
        reader->at++;
        if (tag >= 0xe0)
            return (int8_t)tag;
        size_t width = (size_t)1 << (tag - 0xd0);
        uint64_t raw = big_endian(reader, width);
        unsigned unused_bits = 64u - 8u * (unsigned)width;
        return (int64_t)(raw << unused_bits) >> unused_bits;
    }
    return (int64_t)ek_read_uint_max(reader, INT64_MAX);
}

bool ek_read_bool(struct ek_reader *reader)
{
    uint8_t tag = next_tag(reader);
    if (tag != 0xc2 && tag != 0xc3)
        ek_read_fail(reader);
    return tag == 0xc3;
}

struct ek_slice ek_read_bytes(struct ek_reader *reader)
{
    uint8_t tag = next_tag(reader);
    uint64_t size;
    if (tag >= 0xa0 && tag <= 0xbf)
        size = tag & 0x1fu;
    else if (tag >= 0xc4 && tag <= 0xc6)
        size = big_endian(reader, (size_t)1 << (tag - 0xc4));
    else if (tag >= 0xd9 && tag <= 0xdb)
        size = big_endian(reader, (size_t)1 << (tag - 0xd9));
    else {
        ek_read_fail(reader);
        size = 0;
    }
    if (reader->failed || size > left(reader)) {
        ek_read_fail(reader);
        return ek_slice_of(NULL, 0);
    }
    struct ek_slice bytes = ek_slice_of(reader->at, (size_t)size);
    reader->at += size;
    return bytes;
}

void ek_read_text(struct ek_reader *reader, char *out, size_t capacity)
{
    struct ek_slice bytes = ek_read_bytes(reader);
    if (bytes.size >= capacity || (bytes.size && memchr(bytes.data, 0, bytes.size))) {
        ek_read_fail(reader);
        bytes.size = 0;
    }
    if (bytes.size)
        memcpy(out, bytes.data, bytes.size);
    out[bytes.size] = 0;
}

void ek_read_fixed(struct ek_reader *reader, uint8_t *out, size_t size)
{
    struct ek_slice bytes = ek_read_bytes(reader);
    if (bytes.size == size && size)
        memcpy(out, bytes.data, size);
    else
        ek_read_fail(reader);
}

uint32_t ek_read_array(struct ek_reader *reader)
{
    uint8_t tag = next_tag(reader);
    uint64_t count = 0;
    if (tag >= 0x90 && tag <= 0x9f)
        count = tag & 0x0fu;
    else if (tag == 0xdc || tag == 0xdd)
        count = big_endian(reader, tag == 0xdc ? 2 : 4);
    else
        ek_read_fail(reader);
    if (count > left(reader)) {
        ek_read_fail(reader);
        return 0;
    }
    return (uint32_t)count;
}

void ek_read_array_of(struct ek_reader *reader, uint32_t count)
{
    if (ek_read_array(reader) != count)
        ek_read_fail(reader);
}

bool ek_read_nil(struct ek_reader *reader)
{
    if (peek_tag(reader) != 0xc0)
        return false;
    reader->at++;
    return true;
}

bool ek_read_at_array(const struct ek_reader *reader)
{
    uint8_t tag = peek_tag(reader);
    return (tag >= 0x90 && tag <= 0x9f) || tag == 0xdc || tag == 0xdd;
}
