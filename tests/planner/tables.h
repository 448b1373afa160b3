/*
 * The tables that the simulator prints. Each goes to standard output. One thread.
 */
#ifndef EK_TESTS_PLANNER_TABLES_H
#define EK_TESTS_PLANNER_TABLES_H

#include <stddef.h>
#include <stdint.h>

enum { PS_SEEDS_MAX = 256 };

/* G1 to G12 for the planner and the others. Returns how many figures were missed and rules broken. */
size_t ps_print_figures(uint64_t seeds, uint64_t first);
/* Each load in one size of cluster a seed; 16 seeds try every pair. Returns how many rules were broken. */
size_t ps_print_trials(uint64_t seeds, uint64_t first);
int ps_print_ablations(uint64_t seeds, uint64_t first);
/* A line a second: scenario, policy, second, max over mean. */
int ps_print_series(void);

#endif
