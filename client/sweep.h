/*
 * A set of numbers from 0 to below a limit, visited in their order, round and round like a lift: what is added behind the place
 * that was visited last comes in this round, what is added before it in the next one, so nothing waits for longer than a round.
 * Whoever goes through an array that way finds its memory in the cache, and so do all who get their work in that order. Pure.
 */
#ifndef EK_CLIENT_SWEEP_H
#define EK_CLIENT_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero is empty and has no room. */
struct ek_sweep {
    uint64_t *words; /* a bit for each number */
    size_t word_count;
    uint32_t count; /* numbers in the set */
    uint32_t at;    /* the visit goes on here, with this one */
};

/* Room for the numbers below `limit`, which is at least 1. ek_sweep_done frees it. */
void ek_sweep_init(struct ek_sweep *sweep, uint32_t limit);
void ek_sweep_done(struct ek_sweep *sweep);

/* These two do nothing when it is there already, or is not there. */
void ek_sweep_add(struct ek_sweep *sweep, uint32_t number);
void ek_sweep_remove(struct ek_sweep *sweep, uint32_t number);

/* The number whose turn it is. It stays, and has its turn, until it is removed. False: the set is empty. */
bool ek_sweep_next(struct ek_sweep *sweep, uint32_t *ret);

#endif
