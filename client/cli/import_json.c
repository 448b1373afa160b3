/* import of JSON lines, and of dumps, which are JSON lines with a head and an end. jansson reads them. */
#include "client/cli/import.h"

#include "common/base64.h"
#include "client/cli/dump.h"
#include "client/cli/operation.h"
#include "common/clock.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_blank(const char *line, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!strchr(" \t\r", line[i]) || line[i] == '\0')
            return false;
    return true;
}

/* The shortest digits that give the same number again. */
static void append_real(struct ek_buffer *out, double value)
{
    char text[40];
    int precision = 15;
    int size;
    do
        size = snprintf(text, sizeof text, "%.*g", precision, value);
    while (precision++ < 17 && strtod(text, NULL) != value);
    ek_buffer_append(out, text, (size_t)size);
}

struct record {
    json_t *object;
    bool coarse; /* its integers were read as floating point: they did not fit into 64 bits */
};

static enum ek_status look_up(void *context, const char *field, struct ek_buffer *out, struct ek_error *error)
{
    const struct record *record = context;
    const json_t *value = json_object_get(record->object, field);
    if (!value)
        return ek_error_set(error, EK_NOT_FOUND, "there is no field `%.100s`", field);
    if (json_is_string(value)) {
        ek_buffer_append(out, json_string_value(value), json_string_length(value));
        return EK_OK;
    }
    if (json_is_integer(value)) {
        char text[24];
        int size = snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        ek_buffer_append(out, text, (size_t)size);
        return EK_OK;
    }
    if (json_is_real(value) && !record->coarse) {
        append_real(out, json_real_value(value));
        return EK_OK;
    }
    return ek_error_set(error, EK_MALFORMED,
                        json_is_real(value) ? "field `%.100s` is a number beside others too large for 64 bits; write it as a string"
                                            : "field `%.100s` is neither a string nor a number",
                        field);
}

static json_t *load(const char *line, size_t size, bool *ret_coarse, struct ek_error *error)
{
    json_error_t cause;
    json_t *value = json_loadb(line, size, JSON_ALLOW_NUL, &cause);
    *ret_coarse = !value && json_error_code(&cause) == json_error_numeric_overflow;
    if (*ret_coarse)
        value = json_loadb(line, size, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &cause);
    if (json_is_object(value))
        return value;
    enum ek_status status = EK_MALFORMED;
    if (value)
        status = ek_error_set(error, status, "not a JSON object");
    else
        status = ek_error_set(error, status, "not JSON: %.150s (column %d)", cause.text, cause.column);
    (void)status;
    json_decref(value);
    return NULL;
}

static bool take_ndjson(struct ek_import *import, const char *line, size_t size, struct ek_buffer *key)
{
    struct ek_error error;
    struct record record;
    uint64_t number = import->lines.number;
    record.object = load(line, size, &record.coarse, &error);
    if (!record.object)
        return ek_import_reject(import, number, EK_OUTCOME_FAILED, error.text);
    ek_buffer_clear(key);
    enum ek_status status = ek_template_fill(&import->key, look_up, &record, key, &error);
    json_decref(record.object);
    if (status)
        return ek_import_reject(import, number, EK_OUTCOME_FAILED, error.text);
    return ek_import_record(import, number, ek_buffer_slice(key), ek_slice_of(line, size), 0);
}

enum ek_status ek_import_ndjson(struct ek_import *import, struct ek_error *error)
{
    struct ek_buffer key = {0};
    enum ek_status status = EK_OK;
    for (bool goes_on = true; goes_on;) {
        char *line = NULL;
        size_t size = 0;
        status = ek_lines_take(&import->lines, &line, &size, error);
        if (status == EK_TOO_LARGE)
            goes_on = ek_import_reject(import, import->lines.number, EK_OUTCOME_TOO_LARGE,
                                       "the line is longer than 16 MiB, the largest value");
        else if (status)
            break;
        else if (!is_blank(line, size))
            goes_on = take_ndjson(import, line, size, &key);
        status = EK_OK;
    }
    ek_buffer_done(&key);
    return status == EK_NOT_FOUND ? EK_OK : status;
}

/* ---- dumps ---- */

struct dump {
    bool begun, ended;
    uint64_t rows;
    struct ek_buffer key, value;
};

/* A member as a string, or as base64 under `name64`. */
static enum ek_status take_bytes(const json_t *row, const char *name, const char *name64, struct ek_buffer *out,
                                 struct ek_error *error)
{
    const json_t *text = json_object_get(row, name);
    const json_t *text64 = json_object_get(row, name64);
    ek_buffer_clear(out);
    if (json_is_string(text)) {
        ek_buffer_append(out, json_string_value(text), json_string_length(text));
        return EK_OK;
    }
    if (json_is_string(text64) && !ek_base64_decode(out, ek_slice_of(json_string_value(text64), json_string_length(text64))))
        return EK_OK;
    return ek_error_set(error, EK_MALFORMED, "the row has no %s that can be read", name);
}

static enum ek_status take_head(struct dump *dump, const json_t *head, struct ek_error *error)
{
    const json_t *version = json_object_get(head, EK_DUMP_MARK);
    if (!json_is_integer(version))
        return ek_error_set(error, EK_MALFORMED, "this is no dump: its first line lacks \"%s\"", EK_DUMP_MARK);
    if (json_integer_value(version) != EK_DUMP_VERSION)
        return ek_error_set(error, EK_NEWER, "the dump has version %lld, and this program reads version %d",
                            (long long)json_integer_value(version), EK_DUMP_VERSION);
    dump->begun = true;
    return EK_OK;
}

static enum ek_status take_end(struct dump *dump, const json_t *rows, struct ek_error *error)
{
    if (!json_is_integer(rows) || json_integer_value(rows) < 0 || (uint64_t)json_integer_value(rows) != dump->rows)
        return ek_error_set(error, EK_CORRUPT, "the dump is damaged: it says that it has other than the %llu rows read",
                            (unsigned long long)dump->rows);
    dump->ended = true;
    return EK_OK;
}

/* Time left of a row; 0 in `ret_ttl_ms` = for ever. EK_NOT_FOUND: it has expired. */
static enum ek_status take_expiry(const json_t *row, uint64_t *ret_ttl_ms, struct ek_error *error)
{
    const json_t *expires = json_object_get(row, "expires_unix_ms");
    *ret_ttl_ms = 0;
    if (!expires)
        return EK_OK;
    if (!json_is_integer(expires) || json_integer_value(expires) < 0)
        return ek_error_set(error, EK_MALFORMED, "expires_unix_ms is no time");
    uint64_t at_ms = (uint64_t)json_integer_value(expires);
    uint64_t now_ms = ek_clock_unix_ms();
    if (at_ms <= now_ms)
        return EK_NOT_FOUND;
    *ret_ttl_ms = at_ms - now_ms < EK_TTL_MS_MAX ? at_ms - now_ms : EK_TTL_MS_MAX;
    return EK_OK;
}

static bool take_row(struct ek_import *import, struct dump *dump, const json_t *row)
{
    struct ek_error error;
    uint64_t ttl_ms = 0;
    dump->rows++;
    enum ek_status status = take_bytes(row, "key", "key64", &dump->key, &error);
    if (!status)
        status = ek_key_check(ek_buffer_slice(&dump->key), &error);
    if (!status)
        status = take_bytes(row, "value", "value64", &dump->value, &error);
    if (!status)
        status = ek_value_check(dump->value.size, &error);
    if (status)
        return ek_import_reject(import, import->lines.number, EK_OUTCOME_FAILED, error.text);
    status = take_expiry(row, &ttl_ms, &error);
    if (status == EK_NOT_FOUND) {
        import->expired++;
        return true;
    }
    if (status)
        return ek_import_reject(import, import->lines.number, EK_OUTCOME_FAILED, error.text);
    return ek_import_record(import, import->lines.number, ek_buffer_slice(&dump->key), ek_buffer_slice(&dump->value), ttl_ms);
}

/* One line: the head, a row or the end. False: the import has stopped. */
static bool take_dump_line(struct ek_import *import, struct dump *dump, const char *line, size_t size, enum ek_status *ret_status,
                           struct ek_error *error)
{
    struct ek_error cause;
    bool coarse;
    bool goes_on = true;
    *ret_status = EK_OK;
    json_t *row = load(line, size, &coarse, &cause);
    const json_t *rows = json_object_get(row, EK_DUMP_ROWS);
    if (!dump->begun)
        *ret_status = row ? take_head(dump, row, error)
                          : ek_error_set(error, EK_MALFORMED, "this is no dump: its first line is %s", cause.text);
    else if (dump->ended)
        *ret_status = ek_error_set(error, EK_CORRUPT, "the dump goes on behind its end, at line %llu",
                                   (unsigned long long)import->lines.number);
    else if (!row)
        goes_on = ek_import_reject(import, import->lines.number, EK_OUTCOME_FAILED, cause.text);
    else if (rows)
        *ret_status = take_end(dump, rows, error);
    else
        goes_on = take_row(import, dump, row);
    json_decref(row);
    return goes_on;
}

enum ek_status ek_import_dump(struct ek_import *import, struct ek_error *error)
{
    struct dump dump = {0};
    enum ek_status status = EK_OK;
    bool goes_on = true;
    while (goes_on && !status) {
        char *line = NULL;
        size_t size = 0;
        status = ek_lines_take(&import->lines, &line, &size, error);
        if (status == EK_TOO_LARGE) {
            status = EK_OK;
            dump.rows++;
            goes_on = ek_import_reject(import, import->lines.number, EK_OUTCOME_TOO_LARGE, "the row is larger than any can be");
        } else if (!status) {
            goes_on = take_dump_line(import, &dump, line, size, &status, error);
        }
    }
    if (status == EK_NOT_FOUND && dump.ended)
        status = EK_OK;
    else if (status == EK_NOT_FOUND)
        status = ek_error_set(error, EK_CORRUPT, "the dump is cut off behind %llu rows; those were imported",
                              (unsigned long long)dump.rows);
    ek_buffer_done(&dump.key);
    ek_buffer_done(&dump.value);
    return status;
}
