/*
 * Measures the planner and those that it is compared with in a simulated cluster, and judges the figures G1 to G12; then tries the
 * planner in clusters of all sizes.
 *
 *     evenkeel-planner-sim [SEEDS [FIRST]]           exit code 1 when a figure is missed or a rule was broken
 *     evenkeel-planner-sim --ablations [SEEDS [FIRST]]   the planner with one constant changed at a time; judges nothing
 *     evenkeel-planner-sim --series                  max over mean, second by second, for plots
 *
 * A figure that even the oracle misses is shown but not judged; docs/PLANNING.md has the bound.
 */
#include "tests/planner/tables.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS_DEFAULT = 4 };

int main(int argc, char **argv)
{
    bool ablations = argc > 1 && strcmp(argv[1], "--ablations") == 0;
    if (argc > 1 && strcmp(argv[1], "--series") == 0)
        return ps_print_series();
    char **numbers = argv + 1 + ablations;
    int left = argc - 1 - ablations;
    uint64_t seeds = left > 0 ? strtoull(numbers[0], NULL, 10) : SEEDS_DEFAULT;
    uint64_t first = left > 1 ? strtoull(numbers[1], NULL, 10) : 1;
    seeds = seeds < 1 ? 1 : seeds > PS_SEEDS_MAX ? PS_SEEDS_MAX : seeds;
    if (ablations)
        return ps_print_ablations(seeds, first);
    size_t bad = ps_print_figures(seeds, first);
    bad += ps_print_trials(seeds, first);
    return bad > 0;
}
