/*
 * MessagePack into a growing buffer, by msgpack-c; always the shortest form of a value. It does not know any message. One thread
 * at a time.
 */
#ifndef EK_COMMON_WRITER_H
#define EK_COMMON_WRITER_H

#include "common/bytes.h"

void ek_write_uint(struct ek_buffer *out, uint64_t value);
/* One behind the other, faster than one by one. */
void ek_write_uints(struct ek_buffer *out, const uint64_t *values, size_t count);
void ek_write_int(struct ek_buffer *out, int64_t value);
void ek_write_bool(struct ek_buffer *out, bool value);
void ek_write_nil(struct ek_buffer *out);
void ek_write_array(struct ek_buffer *out, size_t count);
/* A binary. */
void ek_write_bytes(struct ek_buffer *out, struct ek_slice bytes);
/* A string. */
void ek_write_text(struct ek_buffer *out, const char *text);
/* A binary, or nil when its data is NULL. */
void ek_write_bytes_or_nil(struct ek_buffer *out, struct ek_slice bytes);

#endif
