#include "common/writer.h"

#include <msgpack.h>
#include <string.h>

/* A job has a dozen fields of a few bytes: what has room is copied here, where the compiler knows its size. */
static inline int append(void *buffer, const char *data, size_t size)
{
    struct ek_buffer *out = buffer;
    if (size == 0)
        return 0;
    if (out->capacity - out->size < size)
        (void)ek_buffer_reserve(out, size);
    memcpy(out->data + out->size, data, size);
    out->size += size;
    return 0;
}

/* Packing cannot fail: the buffer grows or the process ends. */
static msgpack_packer packer(struct ek_buffer *out)
{
    msgpack_packer result;
    msgpack_packer_init(&result, out, append);
    return result;
}

void ek_write_uint(struct ek_buffer *out, uint64_t value)
{
    msgpack_packer to = packer(out);
    (void)msgpack_pack_uint64(&to, value);
}

void ek_write_int(struct ek_buffer *out, int64_t value)
{
    msgpack_packer to = packer(out);
    (void)msgpack_pack_int64(&to, value);
}

void ek_write_bool(struct ek_buffer *out, bool value)
{
    msgpack_packer to = packer(out);
    (void)(value ? msgpack_pack_true(&to) : msgpack_pack_false(&to));
}

void ek_write_nil(struct ek_buffer *out)
{
    msgpack_packer to = packer(out);
    (void)msgpack_pack_nil(&to);
}

void ek_write_array(struct ek_buffer *out, size_t count)
{
    msgpack_packer to = packer(out);
    (void)msgpack_pack_array(&to, count);
}

void ek_write_bytes(struct ek_buffer *out, struct ek_slice bytes)
{
    msgpack_packer to = packer(out);
    (void)msgpack_pack_bin(&to, bytes.size);
    (void)msgpack_pack_bin_body(&to, bytes.data, bytes.size);
}

void ek_write_text(struct ek_buffer *out, const char *text)
{
    msgpack_packer to = packer(out);
    size_t size = strlen(text);
    (void)msgpack_pack_str(&to, size);
    (void)msgpack_pack_str_body(&to, text, size);
}

void ek_write_bytes_or_nil(struct ek_buffer *out, struct ek_slice bytes)
{
    if (bytes.data)
        ek_write_bytes(out, bytes);
    else
        ek_write_nil(out);
}
