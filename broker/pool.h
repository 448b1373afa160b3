/*
 * Memory of jobs that have ended, kept for the next ones: jobs come and go by the million, and most are of a few sizes. It counts
 * nothing against a queue's limit; whoever takes memory does. One thread.
 *
 * Limits: EK_POOL_BLOCK_BYTES_MAX for a block, larger ones go back at once; EK_POOL_BYTES_MAX for all that is kept.
 */
#ifndef EK_BROKER_POOL_H
#define EK_BROKER_POOL_H

#include "common/limits.h"

#include <stdbool.h>
#include <stddef.h>

enum { EK_POOL_SIZES = 64, EK_POOL_BLOCK_BYTES_MAX = EK_POOL_SIZES * 16 - 8 };

struct ek_pool_block {
    struct ek_pool_block *next;
};

/* All zero is empty. */
struct ek_pool {
    struct ek_pool_block *blocks[EK_POOL_SIZES];
    size_t bytes;
    bool used; /* since ek_pool_rest was called */
};

/* Memory for `size` bytes, at least one. */
void *ek_pool_take(struct ek_pool *pool, size_t size);
/* Takes memory of ek_pool_take, with the size that was asked for. */
void ek_pool_give(struct ek_pool *pool, void *memory, size_t size);
/* To be called now and then: gives everything back once nothing was taken between two calls. */
void ek_pool_rest(struct ek_pool *pool);
void ek_pool_done(struct ek_pool *pool);

#endif
