/*
 * Seeds that found a bug once; they run with every simulation. Chance means something else after each change of the simulation, so
 * each bug also has a test of its own beside the code that had it.
 */
#ifndef EK_TESTS_SIM_SEEDS_H
#define EK_TESTS_SIM_SEEDS_H

#include <stddef.h>
#include <stdint.h>

struct sim_regression {
    uint64_t seed;
    const char *found;
};

extern const struct sim_regression sim_regressions[];
extern const size_t sim_regression_count;

#endif
