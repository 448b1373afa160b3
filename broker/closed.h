/*
 * Producers of a shard whose sessions ended. Each rides on one of the shard's next writes, so that the worker marks it at a
 * position. It is a hint: a full ring gives up its oldest, a broker's end all of them. Pure data; one thread.
 *
 * Limit: EK_CLOSED_MAX a shard.
 */
#ifndef EK_BROKER_CLOSED_H
#define EK_BROKER_CLOSED_H

#include "common/messages.h"

/* All zero is empty. */
struct ek_closed_ring {
    uint64_t *producers; /* EK_CLOSED_MAX of them; NULL until the first one */
    uint32_t first;
    uint32_t count;
};

void ek_closed_add(struct ek_closed_ring *ring, uint64_t producer);
/* The oldest; 0: there is none. */
uint64_t ek_closed_take(struct ek_closed_ring *ring);
void ek_closed_done(struct ek_closed_ring *ring);

#endif
