/*
 * The last arguments of a program that is run seed by seed: [SEEDS [FIRST]]. A typing error must not pass as a run of none.
 */
#ifndef EK_TESTS_SUPPORT_SEED_ARGUMENTS_H
#define EK_TESTS_SUPPORT_SEED_ARGUMENTS_H

#include <stdint.h>

struct ek_seed_arguments {
    uint64_t seeds; /* 1 to `most` */
    uint64_t first;
};

/* Of the arguments that are left. Ends the program with exit code 2 when they are something else. */
struct ek_seed_arguments ek_seed_arguments(int left, char **arguments, uint64_t seeds_default, uint64_t most);

#endif
