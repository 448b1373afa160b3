/*
 * Who decides what moves: the planner, or one of those that it is compared with. All move through the same world, with the same
 * caps on copies. One thread.
 */
#ifndef EK_TESTS_PLANNER_POLICY_H
#define EK_TESTS_PLANNER_POLICY_H

#include "tests/planner/world.h"

enum ps_kind {
    PS_PLANNER,
    PS_MODULO,  /* shard number modulo workers */
    PS_HASHING, /* consistent hashing with bounded load (Mirrokni, Thorup, Zadimoghaddam 2018): 100 virtual nodes, 10 % slack */
    PS_COUNT,   /* equal numbers of shards */
    PS_SLICER,  /* the weighted move of Slicer (OSDI'16), on the planner's estimates */
    PS_ORACLE,  /* the same without its cap, each second, on the true loads of the second before: nobody knows more */
    PS_KINDS
};

struct ps_policy;

/* `twin`: a second planner sees the same workers in another order and must say the same; PS_PLANNER only. */
struct ps_policy *ps_policy_open(enum ps_kind kind, const struct ek_plan_rules *rules, const struct ps_world *world, bool twin);
void ps_policy_close(struct ps_policy **policy);

/* One second's decisions, carried out in the world; ended copies are taken. */
void ps_policy_step(struct ps_policy *policy, struct ps_world *world);

const char *ps_policy_name(enum ps_kind kind);
/* Of the planner; NULL for others. */
const struct ek_plan *ps_policy_plan(const struct ps_policy *policy);
/* Microseconds of processor time that each plan took so far, and rounds with balance, drain or repair moves. */
const double *ps_policy_times(const struct ps_policy *policy, size_t *ret_count);
const uint64_t *ps_policy_busy_rounds(const struct ps_policy *policy, size_t *ret_count); /* their ticks */

#endif
