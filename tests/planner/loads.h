/*
 * What arrives where: the shapes of load that the planner is tried against, as arrivals per second and shard at a tick. One thread.
 */
#ifndef EK_TESTS_PLANNER_LOADS_H
#define EK_TESTS_PLANNER_LOADS_H

#include "tests/planner/world.h"

enum ps_shape {
    PS_UNIFORM,
    PS_ZIPF,      /* exponent `amount` over a million keys */
    PS_ONE_KEY,   /* uniform, and one key with share `amount` */
    PS_TWO_KEYS,  /* uniform, and two keys with share `amount` each, on shards of one worker */
    PS_JUMP,      /* uniform, and a run of shards with share `amount` that is elsewhere every `period` */
    PS_SINE,      /* every shard swings by `amount` around its zipf-like weight, in its own phase of the day `period` */
    PS_FLASH,     /* uniform, and a run of shards that gets ten times its load during a third of `period` */
    PS_COLD_HOT,  /* nine tenths of the shards are large and nearly idle, the others small and busy */
    PS_ADVERSARY, /* one half of the shards, then the other, is hot; changes every `period` */
    PS_IDLE       /* nothing arrives */
};

struct ps_load {
    enum ps_shape shape;
    double amount;
    uint64_t period; /* ticks */
};

/* Sets all rates for the world's next tick so that they sum up to `utilisation` of `capacity`. `since`: the shape began there. */
void ps_load_apply(struct ps_world *world, const struct ps_load *load, double capacity, uint64_t since);

#endif
