#include "client/cli/answer.h"

#include "common/json.h"
#include "client/cli/output.h"

#include <string.h>

enum { KEY_WIDTH_MAX = 48 };

bool ek_outcome_is_result(enum ek_outcome outcome)
{
    return outcome == EK_OUTCOME_OK || outcome == EK_OUTCOME_NOT_FOUND || outcome == EK_OUTCOME_CONDITION_FAILED;
}

static void append(struct ek_buffer *out, const char *text)
{
    ek_buffer_append(out, text, strlen(text));
}

static void version_json(struct ek_buffer *out, const struct ek_completion *completion)
{
    if (ek_outcome_is_result(completion->outcome))
        ek_json_uint(out, "version", completion->version);
    else
        ek_json_null(out, "version");
}

static void reading_json(struct ek_buffer *out, const struct ek_completion *completion)
{
    const struct ek_reading *reading = &completion->reading;
    bool found = completion->outcome == EK_OUTCOME_OK;
    append(out, found ? ",\"found\":true" : ",\"found\":false");
    if (!found) {
        append(out, ",\"value\":null,\"version\":null,\"ttl_ms\":null");
        return;
    }
    ek_json_bytes(out, "value", ek_slice_of(reading->value, reading->value_size));
    ek_json_uint(out, "version", reading->version);
    if (reading->has_ttl)
        ek_json_uint(out, "ttl_ms", reading->ttl_ms);
    else
        ek_json_null(out, "ttl_ms");
}

void ek_answer_json(struct ek_buffer *out, enum ek_operation_kind kind, struct ek_slice key, const struct ek_completion *completion)
{
    ek_json_bytes(out, "key", key);
    if (!ek_outcome_is_result(completion->outcome))
        return;
    switch (kind) {
    case EK_PUT:
        version_json(out, completion);
        break;
    case EK_GET:
        reading_json(out, completion);
        break;
    case EK_INCREMENT:
        ek_json_int(out, "value", completion->number);
        version_json(out, completion);
        break;
    case EK_DELETE:
    case EK_EXISTS:
        ek_json_uint(out, "count", completion->outcome == EK_OUTCOME_OK);
        break;
    case EK_SCAN:
    case EK_DEAD_LIST:
    case EK_DEAD_DROP:
    case EK_DEAD_REPLAY:
        break;
    }
}

static void append_int(struct ek_buffer *out, int64_t value)
{
    if (value < 0)
        append(out, "-");
    ek_text_uint(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

static void append_ttl(struct ek_buffer *out, uint64_t ttl_ms)
{
    char figure[EK_FIGURE_BYTES];
    append(out, " ttl ");
    append(out, ek_figure_us(figure, (double)ttl_ms * 1e3));
}

void ek_answer_line(struct ek_buffer *out, enum ek_operation_kind kind, struct ek_slice key, const struct ek_completion *completion)
{
    append(out, " ");
    ek_text_bytes(out, key);
    if (!ek_outcome_is_result(completion->outcome) || completion->outcome == EK_OUTCOME_NOT_FOUND)
        return;
    if (kind == EK_INCREMENT) {
        append(out, " ");
        append_int(out, completion->number);
    }
    if (kind == EK_PUT || kind == EK_INCREMENT || kind == EK_GET) {
        append(out, " version ");
        ek_text_uint(out, kind == EK_GET ? completion->reading.version : completion->version);
    }
    if (kind != EK_GET)
        return;
    if (completion->reading.has_ttl)
        append_ttl(out, completion->reading.ttl_ms);
    append(out, ": ");
    ek_text_bytes(out, ek_slice_of(completion->reading.value, completion->reading.value_size));
}

void ek_answer_plain(struct ek_buffer *out, enum ek_operation_kind kind, const struct ek_completion *completion, bool raw)
{
    switch (kind) {
    case EK_PUT:
        append(out, "ok version ");
        ek_text_uint(out, completion->version);
        break;
    case EK_GET:
        ek_buffer_append(out, completion->reading.value, completion->reading.value_size);
        if (raw)
            return;
        break;
    case EK_INCREMENT:
        append_int(out, completion->number);
        break;
    case EK_DELETE:
    case EK_EXISTS:
    case EK_SCAN:
    case EK_DEAD_LIST:
    case EK_DEAD_DROP:
    case EK_DEAD_REPLAY:
        return;
    }
    append(out, "\n");
}

void ek_answer_entries_json(struct ek_buffer *out, const struct ek_found *found, size_t count, bool values)
{
    for (size_t i = 0; i < count; i++) {
        ek_json_open(out, NULL, '{');
        ek_json_bytes(out, "key", ek_slice_of(found[i].key, found[i].key_size));
        if (values)
            ek_json_bytes(out, "value", ek_slice_of(found[i].value, found[i].value_size));
        ek_json_uint(out, "version", found[i].version);
        if (found[i].has_ttl)
            ek_json_uint(out, "ttl_ms", found[i].ttl_ms);
        ek_json_close(out, '{');
    }
}

static size_t width_of(struct ek_slice text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.size; i++)
        width += (text.data[i] & 0xc0) != 0x80;
    return width;
}

void ek_answer_entries_text(struct ek_buffer *out, const struct ek_found *found, size_t count, bool values)
{
    size_t widest = 0;
    for (size_t i = 0; i < count; i++) {
        size_t width = width_of(ek_slice_of(found[i].key, found[i].key_size));
        if (width > widest && width <= KEY_WIDTH_MAX)
            widest = width;
    }
    for (size_t i = 0; i < count; i++) {
        size_t from = out->size;
        ek_text_bytes(out, ek_slice_of(found[i].key, found[i].key_size));
        size_t width = width_of(ek_slice_of(out->data + from, out->size - from));
        for (; width < widest; width++)
            append(out, " ");
        append(out, "  version ");
        ek_text_uint(out, found[i].version);
        if (found[i].has_ttl)
            append_ttl(out, found[i].ttl_ms);
        if (values) {
            append(out, "  ");
            ek_text_bytes(out, ek_slice_of(found[i].value, found[i].value_size));
        }
        append(out, "\n");
    }
}
