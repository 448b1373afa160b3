#include "common/json.h"

#include "common/base64.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Bytes of the UTF-8 sequence that begins at `at`, or 0. */
static size_t sequence(const uint8_t *at, size_t left)
{
    uint8_t lead = at[0];
    if (lead < 0x80)
        return 1;
    size_t size = lead >= 0xc2 && lead < 0xe0 ? 2 : (lead & 0xf0) == 0xe0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
    if (size == 0 || size > left)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (lead == 0xe0 && at[1] < 0xa0) || (lead == 0xf0 && at[1] < 0x90);
    bool beyond = (lead == 0xed && at[1] >= 0xa0) || (lead == 0xf4 && at[1] >= 0x90);
    return overlong || beyond ? 0 : size;
}

bool ek_utf8_valid(struct ek_slice bytes)
{
    size_t at = 0;
    while (at < bytes.size) {
        uint64_t eight;
        if (bytes.size - at >= sizeof eight) {
            memcpy(&eight, bytes.data + at, sizeof eight);
            if ((eight & 0x8080808080808080u) == 0) {
                at += sizeof eight;
                continue;
            }
        }
        size_t size = sequence(bytes.data + at, bytes.size - at);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

static void append_text(struct ek_buffer *out, const char *text)
{
    ek_buffer_append(out, text, strlen(text));
}

/* The byte before decides: it is never inside a string, because a string ends with its quote. */
static void begin(struct ek_buffer *out, const char *name)
{
    uint8_t last = out->size ? out->data[out->size - 1] : '\n';
    if (last != '{' && last != '[' && last != '\n')
        ek_buffer_append(out, ",", 1);
    if (!name)
        return;
    ek_buffer_append(out, "\"", 1);
    append_text(out, name);
    ek_buffer_append(out, "\":", 2);
}

void ek_json_open(struct ek_buffer *out, const char *name, char bracket)
{
    begin(out, name);
    ek_buffer_append(out, &bracket, 1);
}

void ek_json_close(struct ek_buffer *out, char bracket)
{
    ek_buffer_append(out, bracket == '{' ? "}" : "]", 1);
}

void ek_text_uint(struct ek_buffer *out, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    ek_buffer_append(out, digits + at, sizeof digits - at);
}

void ek_json_uint(struct ek_buffer *out, const char *name, uint64_t value)
{
    begin(out, name);
    ek_text_uint(out, value);
}

void ek_json_int(struct ek_buffer *out, const char *name, int64_t value)
{
    begin(out, name);
    if (value < 0)
        ek_buffer_append(out, "-", 1);
    ek_text_uint(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void ek_json_real(struct ek_buffer *out, const char *name, double value)
{
    char text[340];
    if (!isfinite(value)) {
        ek_json_null(out, name);
        return;
    }
    begin(out, name);
    (void)snprintf(text, sizeof text, "%.3f", value);
    append_text(out, text);
}

void ek_json_bool(struct ek_buffer *out, const char *name, bool value)
{
    begin(out, name);
    append_text(out, value ? "true" : "false");
}

void ek_json_null(struct ek_buffer *out, const char *name)
{
    begin(out, name);
    append_text(out, "null");
}

static void append_escaped(struct ek_buffer *out, uint8_t byte)
{
    static const char shorts[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'};
    char text[8];
    int size;
    if (byte < sizeof shorts && shorts[byte])
        size = snprintf(text, sizeof text, "\\%c", shorts[byte]);
    else
        size = snprintf(text, sizeof text, "\\u%04x", byte);
    ek_buffer_append(out, text, (size_t)size);
}

static void append_string(struct ek_buffer *out, struct ek_slice bytes)
{
    ek_buffer_append(out, "\"", 1);
    size_t plain = 0; /* the first byte that is not written yet */
    for (size_t at = 0; at < bytes.size; at++) {
        uint8_t byte = bytes.data[at];
        if (byte >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7f)
            continue;
        if (at > plain)
            ek_buffer_append(out, bytes.data + plain, at - plain);
        append_escaped(out, byte);
        plain = at + 1;
    }
    if (bytes.size > plain)
        ek_buffer_append(out, bytes.data + plain, bytes.size - plain);
    ek_buffer_append(out, "\"", 1);
}

void ek_json_text(struct ek_buffer *out, const char *name, const char *text)
{
    struct ek_slice bytes = ek_slice_text(text);
    begin(out, name);
    if (ek_utf8_valid(bytes)) {
        append_string(out, bytes);
        return;
    }
    struct ek_buffer mended = {0};
    for (size_t at = 0; at < bytes.size;) {
        size_t size = sequence(bytes.data + at, bytes.size - at);
        ek_buffer_append(&mended, size ? (const char *)bytes.data + at : "\xef\xbf\xbd", size ? size : 3);
        at += size ? size : 1;
    }
    append_string(out, ek_buffer_slice(&mended));
    ek_buffer_done(&mended);
}

void ek_json_bytes(struct ek_buffer *out, const char *name, struct ek_slice bytes)
{
    if (ek_utf8_valid(bytes)) {
        begin(out, name);
        append_string(out, bytes);
        return;
    }
    char name64[64];
    (void)snprintf(name64, sizeof name64, "%s64", name);
    begin(out, name64);
    ek_buffer_append(out, "\"", 1);
    ek_base64_encode(out, bytes);
    ek_buffer_append(out, "\"", 1);
}

void ek_json_pair(struct ek_buffer *out, struct ek_slice name, struct ek_slice text)
{
    begin(out, NULL);
    append_string(out, name);
    ek_buffer_append(out, ":", 1);
    append_string(out, text);
}
