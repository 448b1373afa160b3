/*
 * The figures that the planner has to reach, G1 to G12, each measured in a run of its own. docs/PLANNING.md explains them. One
 * thread.
 */
#ifndef EK_TESTS_PLANNER_FIGURES_H
#define EK_TESTS_PLANNER_FIGURES_H

#include "tests/planner/run.h"

enum { PS_VALUES_MAX = 4 };

/* A run that yields some figures; returns how often a rule was broken. */
typedef uint64_t ps_scenario(enum ps_kind kind, const struct ek_plan_rules *rules, uint64_t seed, double *ret_values);

struct ps_figure {
    const char *name;
    const char *text;
    double target; /* to stay at or below */
    bool planned;  /* only the planner has it */
    bool judged;   /* false: shown only */
    ps_scenario *scenario;
    size_t value; /* which of the scenario's */
};

extern const struct ps_figure ps_figures[];
extern const size_t ps_figure_count;

#endif
