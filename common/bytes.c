#include "common/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ek_slice ek_slice_of(const void *data, size_t size)
{
    return (struct ek_slice){.data = data, .size = size};
}

struct ek_slice ek_slice_text(const char *text)
{
    return ek_slice_of(text, strlen(text));
}

int ek_slice_compare(struct ek_slice a, struct ek_slice b)
{
    size_t shared = a.size < b.size ? a.size : b.size;
    int order = shared ? memcmp(a.data, b.data, shared) : 0;
    if (order)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

bool ek_slice_equal(struct ek_slice a, struct ek_slice b)
{
    return a.size == b.size && ek_slice_compare(a, b) == 0;
}

bool ek_slice_starts_with(struct ek_slice bytes, struct ek_slice prefix)
{
    return bytes.size >= prefix.size && (prefix.size == 0 || memcmp(bytes.data, prefix.data, prefix.size) == 0);
}

static void *or_end(void *memory)
{
    if (memory)
        return memory;
    (void)fputs("evenkeel: out of memory; nothing more was acknowledged\n", stderr);
    abort();
}

void *ek_alloc(size_t size)
{
    return or_end(malloc(size ? size : 1));
}

void *ek_alloc_zero(size_t count, size_t width)
{
    return or_end(calloc(count ? count : 1, width));
}

void *ek_alloc_aligned(size_t alignment, size_t size)
{
    return memset(or_end(aligned_alloc(alignment, size)), 0, size);
}

void *ek_grow(void *array, size_t *capacity, size_t wanted, size_t width)
{
    if (wanted <= *capacity)
        return array;
    size_t larger = *capacity ? *capacity * 2 : 16;
    while (larger < wanted)
        larger *= 2;
    *capacity = larger;
    return or_end(reallocarray(array, larger, width));
}

char *ek_copy_text(const char *text)
{
    return or_end(strdup(text));
}

uint8_t *ek_slice_copy(struct ek_slice bytes)
{
    if (bytes.size == 0)
        return NULL;
    return memcpy(ek_alloc(bytes.size), bytes.data, bytes.size);
}

void ek_buffer_done(struct ek_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct ek_buffer){0};
}

void ek_buffer_clear(struct ek_buffer *buffer)
{
    buffer->size = 0;
}

uint8_t *ek_buffer_reserve(struct ek_buffer *buffer, size_t size)
{
    buffer->data = ek_grow(buffer->data, &buffer->capacity, buffer->size + size, 1);
    return buffer->data + buffer->size;
}

void ek_buffer_advance(struct ek_buffer *buffer, size_t size)
{
    buffer->size += size;
}

void ek_buffer_append(struct ek_buffer *buffer, const void *data, size_t size)
{
    if (size == 0)
        return;
    memcpy(ek_buffer_reserve(buffer, size), data, size);
    buffer->size += size;
}

struct ek_slice ek_buffer_slice(const struct ek_buffer *buffer)
{
    return ek_slice_of(buffer->data, buffer->size);
}

uint8_t *ek_buffer_take(struct ek_buffer *buffer)
{
    uint8_t *data = buffer->data;
    *buffer = (struct ek_buffer){0};
    return data;
}

void ek_put_u16(uint8_t out[2], uint16_t value)
{
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
}

void ek_put_u64(uint8_t out[8], uint64_t value)
{
    for (int i = 7; i >= 0; i--, value >>= 8)
        out[i] = (uint8_t)value;
}

uint16_t ek_get_u16(const uint8_t in[2])
{
    return (uint16_t)(in[0] << 8 | in[1]);
}

uint64_t ek_get_u64(const uint8_t in[8])
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | in[i];
    return value;
}
