#include "common/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char hex_digits[] = "0123456789abcdef";

void ek_base64_encode(struct ek_buffer *out, struct ek_slice bytes)
{
    size_t size = (bytes.size + 2) / 3 * 4;
    uint8_t *to = ek_buffer_reserve(out, size);
    for (size_t at = 0; at < bytes.size; at += 3, to += 4) {
        size_t left = bytes.size - at;
        uint32_t three = (uint32_t)bytes.data[at] << 16;
        three |= left > 1 ? (uint32_t)bytes.data[at + 1] << 8 : 0;
        three |= left > 2 ? bytes.data[at + 2] : 0;
        to[0] = (uint8_t)alphabet[three >> 18];
        to[1] = (uint8_t)alphabet[three >> 12 & 63];
        to[2] = (uint8_t)(left > 1 ? alphabet[three >> 6 & 63] : '=');
        to[3] = (uint8_t)(left > 2 ? alphabet[three & 63] : '=');
    }
    ek_buffer_advance(out, size);
}

static int sextet(uint8_t digit)
{
    if (digit >= 'A' && digit <= 'Z')
        return digit - 'A';
    if (digit >= 'a' && digit <= 'z')
        return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9')
        return digit - '0' + 52;
    return digit == '+' ? 62 : digit == '/' ? 63 : -1;
}

enum ek_status ek_base64_decode(struct ek_buffer *out, struct ek_slice text)
{
    if (text.size % 4)
        return EK_MALFORMED;
    size_t digits = text.size;
    while (digits && text.size - digits < 2 && text.data[digits - 1] == '=')
        digits--;
    size_t size = digits * 3 / 4;
    uint8_t *to = ek_buffer_reserve(out, size);
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t at = 0; at < digits; at++) {
        int value = sextet(text.data[at]);
        if (value < 0)
            return EK_MALFORMED;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held < 8)
            continue;
        held -= 8;
        *to++ = (uint8_t)(bits >> held);
        bits &= (1u << held) - 1;
    }
    if (bits)
        return EK_MALFORMED;
    ek_buffer_advance(out, size);
    return EK_OK;
}

void ek_hex_encode(struct ek_buffer *out, struct ek_slice bytes)
{
    uint8_t *to = ek_buffer_reserve(out, bytes.size * 2);
    for (size_t at = 0; at < bytes.size; at++) {
        *to++ = (uint8_t)hex_digits[bytes.data[at] >> 4];
        *to++ = (uint8_t)hex_digits[bytes.data[at] & 15];
    }
    ek_buffer_advance(out, bytes.size * 2);
}

static int nibble(uint8_t digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

enum ek_status ek_hex_decode(struct ek_buffer *out, struct ek_slice text)
{
    if (text.size % 2)
        return EK_MALFORMED;
    uint8_t *to = ek_buffer_reserve(out, text.size / 2);
    for (size_t at = 0; at < text.size; at += 2) {
        int high = nibble(text.data[at]);
        int low = nibble(text.data[at + 1]);
        if (high < 0 || low < 0)
            return EK_MALFORMED;
        *to++ = (uint8_t)(high << 4 | low);
    }
    ek_buffer_advance(out, text.size / 2);
    return EK_OK;
}
