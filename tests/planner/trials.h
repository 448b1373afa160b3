/*
 * Everything that may happen to a cluster, tried with the planner in clusters of all sizes: what the loads end at, and whether a
 * rule is ever broken. One thread.
 */
#ifndef EK_TESTS_PLANNER_TRIALS_H
#define EK_TESTS_PLANNER_TRIALS_H

#include "tests/planner/run.h"

enum { PS_TRIAL_SIZES = 16 }; /* workers 3, 8, 16, 64 with 256, 512, 1024, 4096 shards */

struct ps_verdict {
    unsigned workers;
    uint32_t shards;
    double settled; /* worst max over mean of the last minute, over what can be reached; NAN: the load does not stay */
    double mean;    /* of max over mean, over the whole trial */
    double moved;   /* moves that began, over shards */
    double returns; /* A to B to A, over moves */
    uint64_t broken;
    uint64_t hash;
};

extern const char *const ps_trial_names[];
extern const size_t ps_trial_count;

/* `size` below PS_TRIAL_SIZES. */
struct ps_verdict ps_trial_run(size_t trial, size_t size, uint64_t seed, const struct ek_plan_rules *rules, bool twin);

#endif
