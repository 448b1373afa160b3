/*
 * Trimming: balancing ends while some worker still carries a little more than its share. What is left is taken off when it is
 * certain, one worker's wavering as a whole included: no sum of its shards' noise tells of that.
 */
#include "broker/planner_parts.h"

#include <math.h>

#define SECOND_US 1e6

/* A shift of the load is no wavering: what is seen at once counts for no more than so much of what is known, or workers that never
 * wavered could not begin to. */
#define RISE_MAX    2
#define LEAST_WAVER (0.005 * 0.005)

/* How far a worker's load of ten seconds is from that of a minute, beside what all have in common. The same shards count in both,
 * so that a move is no change. */
static void watch(const struct ek_planner *planner, struct ek_slot *slot, double seconds)
{
    const struct ek_plan_rules *rules = planner->rules;
    struct ek_plan_veteran *veteran = slot->veteran;
    double apart = ek_slot_apart(&planner->board, slot);
    double seen = apart * apart;
    if (veteran->watched_s >= rules->waver_known_s)
        seen = fmin(seen, RISE_MAX * fmax(veteran->waver, LEAST_WAVER));
    veteran->watched_s += seconds;
    double weight = 1 - exp2(-seconds / rules->waver_half_life_s);
    veteran->waver += fmax(weight, seconds / veteran->watched_s) * (seen - veteran->waver);
}

/* With next to nothing to do each operation is a wavering. */
static void forget(struct ek_board *board)
{
    for (size_t i = 0; i < board->slot_count; i++)
        board->slots[i].veteran->waver = board->slots[i].veteran->watched_s = 0;
}

void ek_plan_watch(struct ek_planner *planner)
{
    struct ek_board *board = &planner->board;
    if (!board->active[EK_PLAN_BUSY])
        forget(board);
    uint64_t before_us = planner->watched_us;
    planner->watched_us = planner->snapshot->now_us;
    if (before_us == 0 || board->trend <= 0 || ek_plan_alert(planner) || planner->plan.balancing)
        return; /* after a shift averages begin again, at different times in different shards; and a worker that gets more to do
                 * does each operation in less time */
    double seconds = (double)(planner->watched_us - before_us) / SECOND_US;
    for (size_t i = 0; i < board->slot_count; i++)
        if (board->slots[i].slow_us > 0)
            watch(planner, &board->slots[i], seconds);
}

bool ek_plan_may_trim(const struct ek_planner *planner)
{
    const struct ek_board *board = &planner->board;
    bool known = true;
    for (size_t i = 0; i < board->slot_count; i++)
        known = known && (!board->slots[i].member || board->slots[i].veteran->watched_s >= planner->rules->waver_known_s);
    return known;
}

double ek_plan_wavering(const struct ek_planner *planner, const struct ek_slot *source, const struct ek_slot *target)
{
    return planner->rules->waver_sigmas * sqrt(source->veteran->waver + target->veteran->waver);
}
