#include "common/operations.h"

#include "common/hash.h"
#include "common/writer.h"

#include <string.h>

enum { SCAN_WITH_VALUES = 1, PHYSICAL_PREFIX_BYTES = 2 };

static enum ek_status read_status(const struct ek_reader *body)
{
    return ek_reader_ok(body) ? EK_OK : EK_MALFORMED;
}

enum ek_status ek_decode_operation_count(struct ek_reader *body, uint32_t *ret_count)
{
    uint32_t count = ek_read_array(body);
    if (!ek_reader_ok(body) || count == 0)
        return EK_MALFORMED;
    if (count > EK_JOB_OPERATIONS_MAX)
        return EK_TOO_LARGE;
    *ret_count = count;
    return EK_OK;
}

static void read_put(struct ek_reader *body, uint32_t fields, struct ek_operation *put)
{
    put->value = ek_read_bytes(body);
    if (fields > 3 && !ek_read_nil(body))
        put->ttl_ms = ek_read_uint(body);
    if (fields > 4 && !ek_read_nil(body)) {
        put->version = ek_read_uint(body);
        put->condition = put->version ? EK_CONDITION_VERSION : EK_CONDITION_ABSENT;
    }
}

static void read_scan(struct ek_reader *body, struct ek_operation *scan)
{
    scan->cursor = ek_read_bytes(body);
    scan->limit = (uint32_t)ek_read_uint_max(body, EK_SCAN_ENTRIES_MAX);
    scan->values = ek_read_uint_max(body, SCAN_WITH_VALUES) != 0;
    if (scan->limit == 0 || (scan->cursor.size > 0 && scan->cursor.size < PHYSICAL_PREFIX_BYTES))
        ek_read_fail(body);
}

static void read_list(struct ek_reader *body, struct ek_operation *list)
{
    list->cursor = ek_read_bytes(body);
    list->limit = (uint32_t)ek_read_uint_max(body, EK_DEAD_LIST_MAX);
    list->values = ek_read_uint_max(body, SCAN_WITH_VALUES) != 0;
    size_t size = list->cursor.size;
    if (list->limit == 0 || (size != 0 && size != PHYSICAL_PREFIX_BYTES && size != EK_DEAD_ID_BYTES))
        ek_read_fail(body);
}

static bool field_count_fits(enum ek_operation_code code, uint32_t fields)
{
    switch (code) {
    case EK_OPERATION_PUT:
        return fields >= 3 && fields <= 5;
    case EK_OPERATION_GET:
    case EK_OPERATION_DELETE:
    case EK_OPERATION_EXISTS:
    case EK_OPERATION_DEAD_DROP:
    case EK_OPERATION_DEAD_REPLAY:
        return fields == 2;
    case EK_OPERATION_INCREMENT:
        return fields == 3;
    case EK_OPERATION_DEAD_LIST:
        return fields == 4;
    case EK_OPERATION_SCAN:
        return fields == 5;
    }
    return false;
}

static enum ek_status check_sizes(const struct ek_operation *operation)
{
    if (ek_operation_names_letter(operation->code) && operation->key.size != EK_DEAD_ID_BYTES)
        return EK_MALFORMED;
    if (operation->key.size == 0 && operation->code != EK_OPERATION_SCAN && operation->code != EK_OPERATION_DEAD_LIST)
        return EK_MALFORMED;
    if (operation->key.size > EK_KEY_BYTES_MAX || operation->value.size > EK_VALUE_BYTES_MAX || operation->ttl_ms > EK_TTL_MS_MAX ||
        operation->cursor.size > EK_KEY_BYTES_MAX + PHYSICAL_PREFIX_BYTES)
        return EK_TOO_LARGE;
    return EK_OK;
}

enum ek_status ek_decode_operation(struct ek_reader *body, struct ek_operation *ret)
{
    uint32_t fields = ek_read_array(body);
    *ret = (struct ek_operation){.code = (enum ek_operation_code)ek_read_uint_max(body, EK_OPERATION_CODE_MAX)};
    if (!ek_reader_ok(body) || !field_count_fits(ret->code, fields))
        return EK_MALFORMED;
    if (ret->code == EK_OPERATION_DEAD_LIST) {
        read_list(body, ret);
        return ek_reader_ok(body) ? check_sizes(ret) : EK_MALFORMED;
    }
    ret->key = ek_read_bytes(body);
    if (ret->code == EK_OPERATION_PUT)
        read_put(body, fields, ret);
    else if (ret->code == EK_OPERATION_INCREMENT)
        ret->by = ek_read_int(body);
    else if (ret->code == EK_OPERATION_SCAN)
        read_scan(body, ret);
    return ek_reader_ok(body) ? check_sizes(ret) : EK_MALFORMED;
}

static void write_put(struct ek_buffer *out, const struct ek_operation *put)
{
    bool conditional = put->condition != EK_CONDITION_NONE;
    ek_write_array(out, conditional ? 5 : put->ttl_ms ? 4 : 3);
    ek_write_uint(out, put->code);
    ek_write_bytes(out, put->key);
    ek_write_bytes(out, put->value);
    if (conditional || put->ttl_ms)
        ek_write_uint(out, put->ttl_ms);
    if (conditional)
        ek_write_uint(out, put->condition == EK_CONDITION_VERSION ? put->version : 0);
}

void ek_encode_operation(struct ek_buffer *out, const struct ek_operation *operation)
{
    if (operation->code == EK_OPERATION_PUT) {
        write_put(out, operation);
        return;
    }
    bool scan = operation->code == EK_OPERATION_SCAN;
    bool list = operation->code == EK_OPERATION_DEAD_LIST;
    bool increment = operation->code == EK_OPERATION_INCREMENT;
    ek_write_array(out, scan ? 5 : list ? 4 : increment ? 3 : 2);
    ek_write_uint(out, operation->code);
    if (!list)
        ek_write_bytes(out, operation->key);
    if (increment)
        ek_write_int(out, operation->by);
    if (scan || list) {
        ek_write_bytes(out, operation->cursor);
        ek_write_uint(out, operation->limit);
        ek_write_uint(out, operation->values ? SCAN_WITH_VALUES : 0);
    }
}

bool ek_prefix_has_tag(struct ek_slice prefix)
{
    return ek_hash_tag(prefix).size > 0;
}

uint16_t ek_operation_prefix(const struct ek_operation *operation)
{
    if (ek_operation_names_letter(operation->code))
        return ek_get_u16(operation->key.data);
    if (operation->code != EK_OPERATION_SCAN && operation->code != EK_OPERATION_DEAD_LIST)
        return ek_hash_prefix(operation->key);
    if (operation->cursor.size)
        return ek_get_u16(operation->cursor.data);
    return ek_prefix_has_tag(operation->key) ? ek_hash_prefix(operation->key) : 0;
}

bool ek_operation_names_letter(enum ek_operation_code code)
{
    return code == EK_OPERATION_DEAD_DROP || code == EK_OPERATION_DEAD_REPLAY;
}

static bool reads(enum ek_operation_code code)
{
    return code == EK_OPERATION_GET || code == EK_OPERATION_SCAN || code == EK_OPERATION_DEAD_LIST;
}

bool ek_operation_fits(enum ek_job_kind kind, enum ek_operation_code code)
{
    switch (kind) {
    case EK_JOB_READ:
        return reads(code) || code == EK_OPERATION_EXISTS;
    case EK_JOB_WRITE:
        return !reads(code);
    case EK_JOB_TRANSACTION:
        return !reads(code) && !ek_operation_names_letter(code);
    case EK_JOB_DELETE:
        return code == EK_OPERATION_DELETE;
    case EK_JOB_CANCEL:
    case EK_JOB_PROBE:
    case EK_JOB_DEAD:
        return false;
    }
    return false;
}

size_t ek_result_bytes_max(const struct ek_operation *operation)
{
    /* [status, nine-byte number] or, for an increment, [status, short text]. */
    if (operation->code == EK_OPERATION_INCREMENT)
        return 48;
    if (operation->code == EK_OPERATION_DEAD_REPLAY)
        return 96;
    return operation->code == EK_OPERATION_PUT && operation->condition != EK_CONDITION_NONE ? 11 : 1;
}

/* Fields of an OK result behind its status. */
static void read_ok_fields(struct ek_reader *body, enum ek_operation_code code, uint32_t fields, struct ek_result *ret)
{
    if (code == EK_OPERATION_GET && fields == 4) {
        ret->value = ek_read_bytes(body);
        ret->version = ek_read_uint(body);
        ret->has_ttl = !ek_read_nil(body);
        if (ret->has_ttl)
            ret->ttl_ms = ek_read_uint(body);
    } else if ((code == EK_OPERATION_INCREMENT || code == EK_OPERATION_DEAD_REPLAY) && fields == 2)
        ret->number = ek_read_int(body);
    else if ((code == EK_OPERATION_SCAN || code == EK_OPERATION_DEAD_LIST) && fields == 3)
        ret->entries = ek_read_array(body);
    else
        ek_read_fail(body);
}

enum ek_status ek_decode_result(struct ek_reader *body, enum ek_operation_code code, struct ek_result *ret)
{
    bool plain = !ek_read_at_array(body);
    uint32_t fields = plain ? 1 : ek_read_array(body);
    /* The text behind the other fields is long, and almost always empty. */
    memset(ret, 0, offsetof(struct ek_result, text) + 1);
    ret->status = (enum ek_wire_status)ek_read_uint_max(body, EK_WIRE_STATUS_COUNT - 1);
    if (plain)
        return read_status(body);
    if (ret->status == EK_WIRE_OK)
        read_ok_fields(body, code, fields, ret);
    else if (ret->status == EK_WIRE_CONDITION_FAILED && fields == 2)
        ret->version = ek_read_uint(body);
    else if (fields == 2)
        ek_read_text(body, ret->text, sizeof ret->text);
    else
        ek_read_fail(body);
    return read_status(body);
}

enum ek_status ek_decode_entry(struct ek_reader *body, struct ek_entry *ret)
{
    *ret = (struct ek_entry){0};
    ek_read_array_of(body, 4);
    ret->key = ek_read_bytes(body);
    ret->version = ek_read_uint(body);
    if (!ek_read_nil(body))
        ret->value = ek_read_bytes(body);
    ret->has_ttl = !ek_read_nil(body);
    if (ret->has_ttl)
        ret->ttl_ms = ek_read_uint(body);
    return read_status(body);
}

enum ek_status ek_decode_cursor(struct ek_reader *body, struct ek_slice *ret)
{
    *ret = ek_read_nil(body) ? ek_slice_of(NULL, 0) : ek_read_bytes(body);
    return read_status(body);
}

void ek_encode_status(struct ek_buffer *out, enum ek_wire_status status, const char *text)
{
    if (text) {
        ek_write_array(out, 2);
        ek_write_uint(out, status);
        ek_write_text(out, text);
    } else
        ek_write_uint(out, status);
}

void ek_encode_condition_failed(struct ek_buffer *out, uint64_t current_version)
{
    ek_write_array(out, 2);
    ek_write_uint(out, EK_WIRE_CONDITION_FAILED);
    ek_write_uint(out, current_version);
}

static void write_ttl(struct ek_buffer *out, const struct ek_entry *row)
{
    if (row->has_ttl)
        ek_write_uint(out, row->ttl_ms);
    else
        ek_write_nil(out);
}

void ek_encode_get(struct ek_buffer *out, const struct ek_entry *row)
{
    ek_write_array(out, 4);
    ek_write_uint(out, EK_WIRE_OK);
    ek_write_bytes(out, row->value);
    ek_write_uint(out, row->version);
    write_ttl(out, row);
}

void ek_encode_number(struct ek_buffer *out, int64_t value)
{
    ek_write_array(out, 2);
    ek_write_uint(out, EK_WIRE_OK);
    ek_write_int(out, value);
}

void ek_encode_scan_head(struct ek_buffer *out, uint32_t entries)
{
    ek_write_array(out, 3);
    ek_write_uint(out, EK_WIRE_OK);
    ek_write_array(out, entries);
}

void ek_encode_entry(struct ek_buffer *out, const struct ek_entry *entry)
{
    ek_write_array(out, 4);
    ek_write_bytes(out, entry->key);
    ek_write_uint(out, entry->version);
    ek_write_bytes_or_nil(out, entry->value);
    write_ttl(out, entry);
}

void ek_encode_cursor(struct ek_buffer *out, struct ek_slice cursor)
{
    ek_write_bytes_or_nil(out, cursor);
}

void ek_encode_refused(struct ek_buffer *out, uint32_t index, enum ek_wire_status status, const char *text)
{
    ek_write_array(out, 2);
    ek_write_uint(out, index);
    ek_encode_status(out, status, text);
}

enum ek_status ek_decode_refused(struct ek_reader *body, uint32_t *ret_index)
{
    ek_read_array_of(body, 2);
    *ret_index = (uint32_t)ek_read_uint_max(body, EK_JOB_OPERATIONS_MAX);
    return read_status(body);
}

void ek_encode_cause(struct ek_buffer *out, enum ek_wire_status cause)
{
    ek_write_array(out, 1);
    ek_write_uint(out, cause);
}

/* What a job can end as. The others ask for the job once more: of its client, or, as if the worker had not taken it, of the broker.
 */
static bool is_final(enum ek_wire_status status)
{
    switch (status) {
    case EK_WIRE_OK:
    case EK_WIRE_USAGE:
    case EK_WIRE_UNKNOWN:
    case EK_WIRE_EXPIRED:
    case EK_WIRE_DENIED:
    case EK_WIRE_TOO_LARGE:
    case EK_WIRE_FAILED:
    case EK_WIRE_DEAD:
        return true;
    case EK_WIRE_NOT_FOUND:
    case EK_WIRE_CONDITION_FAILED:
    case EK_WIRE_UNAVAILABLE:
    case EK_WIRE_FORGOTTEN:
    case EK_WIRE_BUSY:
    case EK_WIRE_GAP:
    case EK_WIRE_STALE:
    case EK_WIRE_OUT_OF_ORDER:
    case EK_WIRE_ALONE:
    case EK_WIRE_STATUS_COUNT:
        break;
    }
    return false;
}

enum ek_status ek_decode_cause(struct ek_slice body, enum ek_wire_status *ret)
{
    struct ek_reader reader = ek_reader_of(body);
    ek_read_array_of(&reader, 1);
    *ret = (enum ek_wire_status)ek_read_uint_max(&reader, EK_WIRE_STATUS_COUNT - 1);
    return ek_reader_ended(&reader) && is_final(*ret) ? EK_OK : EK_MALFORMED;
}
