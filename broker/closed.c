#include "broker/closed.h"

#include <stdlib.h>

void ek_closed_add(struct ek_closed_ring *ring, uint64_t producer)
{
    if (!ring->producers)
        ring->producers = ek_alloc_zero(EK_CLOSED_MAX, sizeof *ring->producers);
    if (ring->count == EK_CLOSED_MAX)
        (void)ek_closed_take(ring);
    ring->producers[(ring->first + ring->count++) % EK_CLOSED_MAX] = producer;
}

uint64_t ek_closed_take(struct ek_closed_ring *ring)
{
    if (ring->count == 0)
        return 0;
    uint64_t producer = ring->producers[ring->first];
    ring->first = (ring->first + 1) % EK_CLOSED_MAX;
    ring->count--;
    return producer;
}

void ek_closed_done(struct ek_closed_ring *ring)
{
    free(ring->producers);
    *ring = (struct ek_closed_ring){0};
}
