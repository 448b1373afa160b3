/*
 * What the planner is compared with: four ways to say which worker a shard belongs to. Each one wants an assignment, and the moves
 * towards it begin as the world's caps allow. One thread.
 */
#ifndef EK_TESTS_PLANNER_BASELINES_H
#define EK_TESTS_PLANNER_BASELINES_H

#include "tests/planner/policy.h"

struct ps_baseline;

struct ps_baseline *ps_baseline_open(enum ps_kind kind, uint32_t shards);
void ps_baseline_close(struct ps_baseline **baseline);
/* Returns how many moves began. */
size_t ps_baseline_step(struct ps_baseline *baseline, struct ps_world *world, const struct ek_plan_snapshot *snapshot);

#endif
