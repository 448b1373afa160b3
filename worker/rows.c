#include "worker/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { HEAD_BYTES = 10, EXPIRY_BYTES = 8, FLAGS_AT = 9, HAS_EXPIRY = 1, DIGITS_MAX = 19 };

size_t ek_row_key(uint8_t *out, uint16_t prefix, struct ek_slice key)
{
    ek_put_u16(out, prefix);
    if (key.size)
        memcpy(out + EK_ROW_PREFIX_BYTES, key.data, key.size);
    return EK_ROW_PREFIX_BYTES + key.size;
}

size_t ek_row_head(uint8_t out[EK_ROW_HEAD_BYTES_MAX], uint64_t version, uint64_t expiry_unix_ms)
{
    out[0] = EK_ROW_FORMAT;
    ek_put_u64(out + 1, version);
    out[FLAGS_AT] = expiry_unix_ms ? HAS_EXPIRY : 0;
    if (!expiry_unix_ms)
        return HEAD_BYTES;
    ek_put_u64(out + HEAD_BYTES, expiry_unix_ms);
    return HEAD_BYTES + EXPIRY_BYTES;
}

enum ek_status ek_row_decode(struct ek_slice stored, struct ek_row *ret)
{
    if (stored.size < HEAD_BYTES || stored.data[0] == 0)
        return EK_CORRUPT;
    if (stored.data[0] > EK_ROW_FORMAT)
        return EK_NEWER;
    uint8_t flags = stored.data[FLAGS_AT];
    size_t head = HEAD_BYTES + (flags & HAS_EXPIRY ? EXPIRY_BYTES : 0u);
    if (flags > HAS_EXPIRY || stored.size < head)
        return EK_CORRUPT;
    ret->version = ek_get_u64(stored.data + 1);
    ret->expiry_unix_ms = flags & HAS_EXPIRY ? ek_get_u64(stored.data + HEAD_BYTES) : 0;
    ret->value = ek_slice_of(stored.data + head, stored.size - head);
    return EK_OK;
}

bool ek_row_expired(uint64_t expiry_unix_ms, uint64_t stamp_unix_ms)
{
    return expiry_unix_ms != 0 && expiry_unix_ms <= stamp_unix_ms;
}

enum ek_status ek_row_parse_number(struct ek_slice value, int64_t *ret)
{
    bool negative = value.size > 0 && value.data[0] == '-';
    const uint8_t *digits = value.data + (negative ? 1 : 0);
    size_t count = value.size - (negative ? 1 : 0);
    if (count == 0 || count > DIGITS_MAX || (digits[0] == '0' && (count > 1 || negative)))
        return EK_MALFORMED;
    uint64_t magnitude = 0; /* 19 digits fit */
    for (size_t i = 0; i < count; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return EK_MALFORMED;
        magnitude = magnitude * 10 + (uint64_t)(digits[i] - '0');
    }
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return EK_MALFORMED;
    *ret = negative ? -(int64_t)(magnitude - 1) - 1 : (int64_t)magnitude;
    return EK_OK;
}

size_t ek_row_format_number(char out[EK_ROW_NUMBER_BYTES_MAX], int64_t number)
{
    return (size_t)snprintf(out, EK_ROW_NUMBER_BYTES_MAX, "%" PRId64, number);
}
