/*
 * One simulated run: a world, who decides in it, and what arrives. One thread.
 */
#ifndef EK_TESTS_PLANNER_RUN_H
#define EK_TESTS_PLANNER_RUN_H

#include "tests/planner/loads.h"
#include "tests/planner/policy.h"

struct ps_run {
    struct ps_world world;
    struct ps_policy *policy;
    struct ps_load load;
    double capacity; /* of all workers at the start: the load does not grow with them */
    uint64_t since;  /* when the load got its shape */
};

/* `twin` as in ps_policy_open. */
void ps_run_open(struct ps_run *run, const struct ps_options *options, enum ps_kind kind, const struct ek_plan_rules *rules,
                 bool twin);
/* Returns how often a rule was broken. */
uint64_t ps_run_close(struct ps_run *run);

/* From the next second on. */
void ps_run_shape(struct ps_run *run, enum ps_shape shape, double amount, uint64_t period);
void ps_run_seconds(struct ps_run *run, uint64_t seconds);

/* Of max over mean of the last `seconds`; `over_bound`: divided by what can be reached. */
double ps_run_worst(const struct ps_run *run, uint64_t seconds, bool over_bound);
/* Below which no assignment of the present loads can bring max over mean, by the hottest shards: of any n * workers + 1 of them
 * n + 1 are on one worker. */
double ps_run_bound(const struct ps_run *run);
double ps_run_mean(const struct ps_run *run, uint64_t seconds);
double ps_run_quantile(const struct ps_run *run, uint64_t seconds, double quantile);
/* Seconds since `from` until max over mean stays below `limit`; NAN when it never does. */
double ps_run_settled_after(const struct ps_run *run, uint64_t from, double limit);
/* Rounds between the first and the last one that planned something, both counted, since `from`. */
double ps_run_rounds(const struct ps_run *run, uint64_t from);
/* Of the moves that began since `from`. */
size_t ps_run_moves(const struct ps_run *run, uint64_t from);
double ps_run_moved_bytes(const struct ps_run *run, uint64_t from);
size_t ps_run_returns(const struct ps_run *run, uint64_t from); /* A to B, whose shard's move before was B to A */
size_t ps_run_moved_twice(const struct ps_run *run, uint64_t from);

#endif
