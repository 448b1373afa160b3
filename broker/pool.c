#include "broker/pool.h"

#include "common/bytes.h"

#include <stdlib.h>

/* Sizes are those that malloc gives, in steps of 16 bytes less its own 8: a block is no larger for having been kept. */
static size_t step_of(size_t size)
{
    return (size + 7) / 16;
}

static size_t bytes_of(size_t step)
{
    return step * 16 + 8;
}

void *ek_pool_take(struct ek_pool *pool, size_t size)
{
    size_t step = step_of(size);
    pool->used = true;
    if (step >= EK_POOL_SIZES || !pool->blocks[step])
        return ek_alloc(bytes_of(step));
    struct ek_pool_block *block = pool->blocks[step];
    pool->blocks[step] = block->next;
    pool->bytes -= bytes_of(step);
    for (size_t at = 0; block->next && at < size; at += EK_LINE_BYTES) /* written to in a moment */
        __builtin_prefetch((char *)block->next + at, 1);
    return block;
}

void ek_pool_give(struct ek_pool *pool, void *memory, size_t size)
{
    size_t step = step_of(size);
    if (step >= EK_POOL_SIZES || pool->bytes + bytes_of(step) > EK_POOL_BYTES_MAX) {
        free(memory);
        return;
    }
    struct ek_pool_block *block = memory;
    block->next = pool->blocks[step];
    pool->blocks[step] = block;
    pool->bytes += bytes_of(step);
}

void ek_pool_rest(struct ek_pool *pool)
{
    if (!pool->used)
        ek_pool_done(pool);
    pool->used = false;
}

void ek_pool_done(struct ek_pool *pool)
{
    for (size_t i = 0; i < EK_POOL_SIZES; i++)
        while (pool->blocks[i]) {
            struct ek_pool_block *block = pool->blocks[i];
            pool->blocks[i] = block->next;
            free(block);
        }
    *pool = (struct ek_pool){0};
}
