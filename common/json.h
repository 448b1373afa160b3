/*
 * JSON text appended to a buffer, member by member; commas come by themselves. Reading JSON is jansson's business: writing through
 * it would build an object of several allocations for each line of `run`. Bytes that are not UTF-8 become base64 under the name
 * with "64" behind it. One thread at a time for a buffer.
 */
#ifndef EK_COMMON_JSON_H
#define EK_COMMON_JSON_H

#include "common/bytes.h"

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool ek_utf8_valid(struct ek_slice bytes);

/* `name` NULL: an element of an array, or the outermost value. `bracket` is { or [. */
void ek_json_open(struct ek_buffer *out, const char *name, char bracket);
void ek_json_close(struct ek_buffer *out, char bracket);
void ek_json_uint(struct ek_buffer *out, const char *name, uint64_t value);
void ek_json_int(struct ek_buffer *out, const char *name, int64_t value);
/* With three decimals. */
void ek_json_real(struct ek_buffer *out, const char *name, double value);
void ek_json_bool(struct ek_buffer *out, const char *name, bool value);
void ek_json_null(struct ek_buffer *out, const char *name);
/* What is not UTF-8 in a text becomes U+FFFD. */
void ek_json_text(struct ek_buffer *out, const char *name, const char *text);
/* As a string, or as base64 under `name`64. */
void ek_json_bytes(struct ek_buffer *out, const char *name, struct ek_slice bytes);
/* A member of a name that is not the program's own; both must be UTF-8. */
void ek_json_pair(struct ek_buffer *out, struct ek_slice name, struct ek_slice text);

/* Decimal digits. */
void ek_text_uint(struct ek_buffer *out, uint64_t value);

#endif
