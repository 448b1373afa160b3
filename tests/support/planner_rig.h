/*
 * A cluster for the planner's unit tests: workers and shards as a table that a test fills in, and a clock. Loads are exact and held
 * still unless a test changes them; moves end at once unless it wants to see them under way. It judges nothing.
 */
#ifndef EK_TESTS_SUPPORT_PLANNER_RIG_H
#define EK_TESTS_SUPPORT_PLANNER_RIG_H

#include "broker/planner.h"

enum { RIG_WORKERS_MAX = 16, RIG_SHARDS_MAX = 1024, RIG_STARTS_MAX = 4096 };

struct planner_rig {
    struct ek_plan_rules rules; /* may be changed before rig_open */
    struct ek_planner *planner;
    struct ek_plan_worker workers[RIG_WORKERS_MAX];
    size_t worker_count;
    struct ek_plan_shard shards[RIG_SHARDS_MAX];
    uint32_t shard_count;
    uint64_t now_us;
    bool balance;
    bool slow_copies; /* moves stay under way */
    int noisy_from;   /* rates of shards of this worker and of those behind it waver between half and one and a half; -1 = none */
    struct ek_plan_entry starts[RIG_STARTS_MAX]; /* since rig_forget */
    size_t start_count;
    uint64_t seconds;
};

/* Workers of capacity 1, up for an hour, with 100 GiB disks of which nothing is used; shards of 1 MiB, round-robin. */
void rig_open(struct planner_rig *rig, size_t workers, uint32_t shards);
void rig_close(struct planner_rig *rig);

/* Busy share of a worker of capacity 1. */
void rig_load(struct planner_rig *rig, uint32_t shard, double busy);
/* All shards of the worker together, evenly. */
void rig_load_worker(struct planner_rig *rig, int worker, double busy);
double rig_busy(const struct planner_rig *rig, int worker);
uint32_t rig_held(const struct planner_rig *rig, int worker);

/* Lets seconds pass, a step each. */
void rig_run(struct planner_rig *rig, uint64_t seconds);
/* Ends one move that is under way. */
void rig_end_move(struct planner_rig *rig, uint32_t shard);
void rig_fail_move(struct planner_rig *rig, uint32_t shard);
void rig_forget(struct planner_rig *rig); /* the starts so far */
/* Moves since then; and whether the last round held one back for that reason. */
size_t rig_moves(const struct planner_rig *rig, enum ek_plan_reason reason);
bool rig_held_back(const struct planner_rig *rig, enum ek_plan_rule rule);
const struct ek_plan *rig_plan(const struct planner_rig *rig);

#endif
