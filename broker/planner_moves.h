/*
 * What the planner's balancing looks at: candidates, which are moves or exchanges that might be made, and the rules that allow
 * them. planner_moves.c judges them, planner_balance.c looks for single moves and planner_exchange.c for exchanges; nobody else
 * includes this.
 */
#ifndef EK_BROKER_PLANNER_MOVES_H
#define EK_BROKER_PLANNER_MOVES_H

#include "broker/planner_parts.h"

enum { EK_PLAN_TARGETS_MAX = 8 };

/* One shard, or some in exchange for some. */
struct ek_candidate {
    struct ek_slot *source;
    struct ek_slot *target;
    enum ek_plan_resource resource; /* in which the source is too hot */
    struct ek_transfer transfer;
    bool returns;         /* a shard goes back to its former owner */
    uint64_t bytes;       /* both ways */
    uint64_t bytes_there; /* to the target */
    enum ek_plan_rule rule;
    double gain;
};

/* Where moves are looked for. */
struct ek_hunt {
    struct ek_slot *source;
    enum ek_plan_resource resource;
    struct ek_slot *targets[EK_PLAN_TARGETS_MAX]; /* coldest first */
    size_t target_count;
    bool joined_only; /* only towards workers that have not got their share yet */
};

bool ek_plan_in_cooldown(const struct ek_planner *planner, uint16_t shard);
/* The rule of its history that keeps a shard from going from here to there, or NONE. */
enum ek_plan_rule ek_plan_may_go(const struct ek_planner *planner, uint16_t shard, const struct ek_slot *source,
                                 const struct ek_slot *target);

/* Adds a shard that goes to the target, or one that comes from there. */
void ek_candidate_give(const struct ek_planner *planner, struct ek_candidate *candidate, uint16_t shard);
void ek_candidate_take_back(const struct ek_planner *planner, struct ek_candidate *candidate, uint16_t shard);
double ek_candidate_target_after(const struct ek_planner *planner, const struct ek_candidate *candidate); /* ratio */
/* By how much the source carries more than the target, as ratios. */
double ek_candidate_gap_before(const struct ek_planner *planner, const struct ek_candidate *candidate);
/* By how much the target would carry more than the source afterwards, as ratios. */
double ek_candidate_gap(const struct ek_planner *planner, const struct ek_candidate *candidate);
/* Sets the gain. */
void ek_candidate_weigh(const struct ek_planner *planner, struct ek_candidate *candidate);
/* Sets the rule; the gain is there. */
void ek_candidate_judge(const struct ek_planner *planner, struct ek_candidate *candidate);
/* Of candidates without a rule against them the one that is worth most is taken; only one that is worth more need be judged. */
double ek_candidate_worth(const struct ek_planner *planner, const struct ek_candidate *candidate);
bool ek_candidate_beats(const struct ek_planner *planner, const struct ek_candidate *candidate, const struct ek_candidate *best);

struct ek_plan_entry ek_candidate_entry(const struct ek_planner *planner, uint16_t shard, const struct ek_candidate *candidate);
/* Appends one shard of a candidate to the plan, `back`: one that comes from the target. The ratios are those of the whole. */
void ek_candidate_add(struct ek_planner *planner, uint16_t shard, const struct ek_candidate *candidate, enum ek_plan_reason reason,
                      bool back);

/* Plans the best exchange; false when there is none for a shard heavier than that, or none that is worth more. */
bool ek_plan_exchange(struct ek_planner *planner, const struct ek_hunt *hunt, double heavier_than, double worth_more_than);

#endif
