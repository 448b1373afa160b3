#include "tests/sim/seeds.h"

const struct sim_regression sim_regressions[] = {
    {101447, "a read in flight on an empty shard was lost when the shard went to another worker"},
    {101907, "a batch of reads saw a row that a later write, whose put it also saw, had found expired"},
    {102568, "the same in another order"},
    {21347, "a batch grew beyond the body that the broker takes: only the limit of values had been made small, not its own"},
    {20536, "a clone without the rows was let serve a shard that its original had got"},
};
const size_t sim_regression_count = sizeof sim_regressions / sizeof *sim_regressions;
