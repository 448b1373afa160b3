/*
 * Borrowed and owned runs of bytes. Does not interpret them. A value is used by one thread at a time.
 *
 * Running out of memory ends the process with a message: the sizes that a peer can cause are bounded before they are
 * asked for, and a process that ends acknowledges nothing.
 */
#ifndef EK_COMMON_BYTES_H
#define EK_COMMON_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed bytes; the owner is named where a slice is handed over. */
struct ek_slice {
    const uint8_t *data;
    size_t size;
};

/* Owned, growing bytes. All zero is an empty buffer. */
struct ek_buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

struct ek_slice ek_slice_of(const void *data, size_t size);
struct ek_slice ek_slice_text(const char *text);
/* memcmp order, the shorter first when one is the beginning of the other. */
int ek_slice_compare(struct ek_slice a, struct ek_slice b);
bool ek_slice_equal(struct ek_slice a, struct ek_slice b);
bool ek_slice_starts_with(struct ek_slice bytes, struct ek_slice prefix);

/* Memory that is there or the process ends. `ek_grow` doubles an array of `width`-byte elements to hold `wanted`. */
void *ek_alloc(size_t size);
void *ek_alloc_zero(size_t count, size_t width);
enum { EK_LINE_BYTES = 64 /* of a processor's cache */ };
/* Zeroed, and free()d. `alignment` is a power of two, of which `size` is a multiple. */
void *ek_alloc_aligned(size_t alignment, size_t size);
void *ek_grow(void *array, size_t *capacity, size_t wanted, size_t width);
char *ek_copy_text(const char *text);
/* A copy that the caller frees; NULL for an empty slice. */
uint8_t *ek_slice_copy(struct ek_slice bytes);

void ek_buffer_done(struct ek_buffer *buffer);
void ek_buffer_clear(struct ek_buffer *buffer);
/* Makes room for `size` more bytes and returns where they go; the size grows with ek_buffer_advance. */
uint8_t *ek_buffer_reserve(struct ek_buffer *buffer, size_t size);
void ek_buffer_advance(struct ek_buffer *buffer, size_t size);
void ek_buffer_append(struct ek_buffer *buffer, const void *data, size_t size);
struct ek_slice ek_buffer_slice(const struct ek_buffer *buffer);
/* Hands the bytes to the caller, who frees them, and leaves the buffer empty. */
uint8_t *ek_buffer_take(struct ek_buffer *buffer);

/* Fixed-width big-endian numbers, whose byte order is their numeric order. */
void ek_put_u16(uint8_t out[2], uint16_t value);
void ek_put_u64(uint8_t out[8], uint64_t value);
uint16_t ek_get_u16(const uint8_t in[2]);
uint64_t ek_get_u64(const uint8_t in[8]);

#endif
