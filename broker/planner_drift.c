/*
 * Drift: what an operation costs depends on how much its worker does, so that all of a worker's loads change a little when it has
 * given or taken some. In a single shard that cannot be told from noise, and its slow average would hide it for minutes; in the
 * sum of them it can.
 */
#include "broker/planner_parts.h"

#include <math.h>

/* By how much a worker's sum of fast averages is off by itself, as a share of it: its shards' noise, and what it wavers by as a
 * whole. */
static double sigma_of(const struct ek_planner *planner, const struct ek_slot *slot)
{
    const struct ek_board *board = &planner->board;
    double variance = 0;
    for (size_t i = 0; i < slot->count; i++)
        variance += ek_load_fast_variance(&planner->memories[board->list[slot->first + i]].loads[EK_PLAN_BUSY]);
    return sqrt(variance / (slot->slow_us * slot->slow_us) + slot->veteran->waver);
}

static bool drifts(const struct ek_planner *planner, const struct ek_slot *slot)
{
    return slot->slow_us > 0 && fabs(ek_slot_apart(&planner->board, slot)) > planner->rules->drift_sigmas * sigma_of(planner, slot);
}

bool ek_plan_follow_drift(struct ek_planner *planner)
{
    struct ek_board *board = &planner->board;
    bool followed = false;
    for (size_t i = 0; i < board->slot_count; i++) {
        struct ek_slot *slot = &board->slots[i];
        if (!drifts(planner, slot))
            continue;
        for (size_t s = 0; s < slot->count; s++)
            ek_load_follow(&planner->memories[board->list[slot->first + s]].loads[EK_PLAN_BUSY]);
        followed = true;
    }
    return followed;
}
