/*
 * The simulator's only source of chance: numbers that one seed fixes. Not for anything that needs secrecy. One thread.
 */
#ifndef EK_TESTS_PLANNER_RANDOM_H
#define EK_TESTS_PLANNER_RANDOM_H

#include <stdint.h>

struct ps_random {
    uint64_t state;
};

uint64_t ps_random_next(struct ps_random *random);
/* 0 to below 1, and 0 to below `limit`. */
double ps_random_unit(struct ps_random *random);
uint64_t ps_random_below(struct ps_random *random, uint64_t limit);
/* Mean 0, variance 1, within 3.5 of the mean. */
double ps_random_normal(struct ps_random *random);
/* How many of a Poisson process come whose rate wavers by `noise` of itself. */
double ps_random_arrivals(struct ps_random *random, double mean, double noise);
/* A number that depends on both, for hashing. */
uint64_t ps_mix(uint64_t a, uint64_t b);

#endif
