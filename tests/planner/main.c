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
#include "tests/support/seed_arguments.h"

#include <stdbool.h>
#include <string.h>

enum { SEEDS_DEFAULT = 4 };

int main(int argc, char **argv)
{
    bool ablations = argc > 1 && strcmp(argv[1], "--ablations") == 0;
    if (argc > 1 && strcmp(argv[1], "--series") == 0)
        return ps_print_series();
    struct ek_seed_arguments wanted = ek_seed_arguments(argc - 1 - ablations, argv + 1 + ablations, SEEDS_DEFAULT, PS_SEEDS_MAX);
    if (ablations)
        return ps_print_ablations(wanted.seeds, wanted.first);
    size_t bad = ps_print_figures(wanted.seeds, wanted.first);
    bad += ps_print_trials(wanted.seeds, wanted.first);
    return bad > 0;
}
