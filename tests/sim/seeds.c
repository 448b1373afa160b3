#include "tests/sim/seeds.h"

const struct sim_regression sim_regressions[] = {
    {1, "nothing: the first of all"},
};
const size_t sim_regression_count = sizeof sim_regressions / sizeof *sim_regressions;
