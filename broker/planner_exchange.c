#include "broker/planner_moves.h"

#include <math.h>

enum { BACK_MAX = 64 };

struct exchange {
    struct ek_candidate candidate;
    uint16_t shard;
    size_t back_count;
    uint16_t back[BACK_MAX];
};

static bool may_swap(const struct ek_planner *planner, uint16_t shard, const struct ek_slot *from, const struct ek_slot *to)
{
    return ek_plan_may_leave(planner, shard) == EK_RULE_NONE && ek_plan_may_go(planner, shard, from, to) == EK_RULE_NONE &&
           !ek_plan_in_cooldown(planner, shard);
}

/* Shards that are nearly equal would leave the gap nearly what it is: dozens would be exchanged one after the other to close it. */
static bool is_slight(const struct ek_planner *planner, uint16_t shard, const struct ek_candidate *candidate)
{
    enum ek_plan_resource r = candidate->resource;
    double least = planner->rules->exchange_least;
    double gap = ek_candidate_gap_before(planner, candidate);
    return gap + ek_candidate_gap(planner, candidate) < least * gap &&
           candidate->transfer.leaving[r] < least * planner->board.pieces[shard].leaving[r];
}

/* Whether the target would carry more after a pair was exchanged; most pairs fall here, before anything else is asked. */
static bool pair_inverts(const struct ek_planner *planner, const struct ek_hunt *hunt, const struct ek_slot *target, uint16_t shard,
                         uint16_t other)
{
    const struct ek_board *board = &planner->board;
    enum ek_plan_resource r = hunt->resource;
    const struct ek_piece *one = &board->pieces[shard];
    const struct ek_piece *two = &board->pieces[other];
    double from = (hunt->source->load[r] - one->leaving[r] + two->arriving[r]) / hunt->source->capacity[r];
    double to = (target->load[r] + one->arriving[r] - two->leaving[r]) / target->capacity[r];
    return to > from && !ek_piece_is_hot(board, shard);
}

/* Takes what was found when it may be and is worth more than the best so far. */
static void offer(const struct ek_planner *planner, struct exchange *found, struct exchange *best)
{
    struct ek_candidate *candidate = &found->candidate;
    if (is_slight(planner, found->shard, candidate))
        return;
    ek_candidate_weigh(planner, candidate);
    if (!ek_candidate_beats(planner, candidate, &best->candidate))
        return;
    ek_candidate_judge(planner, candidate);
    if (candidate->rule == EK_RULE_NONE)
        *best = *found;
}

/* One for one: what is left of the larger one after the smaller one's return should be half of the gap. */
static void try_pairs(struct ek_planner *planner, const struct ek_hunt *hunt, uint16_t shard, struct ek_slot *target,
                      struct exchange *best)
{
    const struct ek_board *board = &planner->board;
    double leaving = board->pieces[shard].leaving[hunt->resource];
    for (size_t i = 0; i < target->count; i++) {
        uint16_t number = board->list[target->first + i];
        if (board->pieces[number].arriving[hunt->resource] >= leaving || pair_inverts(planner, hunt, target, shard, number) ||
            !may_swap(planner, number, target, hunt->source))
            continue;
        struct exchange found = {.shard = shard, .back_count = 1, .back = {number}};
        found.candidate = (struct ek_candidate){.source = hunt->source, .target = target, .resource = hunt->resource};
        ek_candidate_give(planner, &found.candidate, shard);
        ek_candidate_take_back(planner, &found.candidate, number);
        offer(planner, &found, best);
    }
}

/* The target's shards that may come back, the one with most load first. */
static size_t list_returns(struct ek_planner *planner, const struct ek_hunt *hunt, const struct ek_slot *target)
{
    const struct ek_board *board = &planner->board;
    size_t count = 0;
    for (size_t i = 0; i < target->count; i++) {
        uint16_t number = board->list[target->first + i];
        if (may_swap(planner, number, target, hunt->source))
            planner->weighed[count++] = (struct ek_weighed){.shard = number, .weight = board->pieces[number].level[hunt->resource]};
    }
    ek_plan_sort(planner->weighed, count);
    return count;
}

/*
 * One for many: two large shards on one worker can only part when the other one's worker makes room. What comes back
 * narrows the gap by which the target would carry more, and just closes it. Until then the target carries all.
 */
static void try_many(struct ek_planner *planner, const struct ek_hunt *hunt, uint16_t shard, struct ek_slot *target,
                     struct exchange *best)
{
    size_t most = planner->rules->exchange_many < BACK_MAX ? planner->rules->exchange_many : BACK_MAX;
    size_t count = list_returns(planner, hunt, target);
    struct exchange found = {.shard = shard};
    found.candidate = (struct ek_candidate){.source = hunt->source, .target = target, .resource = hunt->resource};
    ek_candidate_give(planner, &found.candidate, shard);
    double peak = ek_slot_ratio(&planner->board, hunt->source, hunt->resource) * planner->rules->exchange_peak;
    if (ek_candidate_target_after(planner, &found.candidate) > peak)
        return;
    size_t closing = count; /* the smallest one that would close the gap */
    for (size_t i = 0; i < count && found.back_count + 1 < most; i++) {
        struct ek_candidate wider = found.candidate;
        ek_candidate_take_back(planner, &wider, planner->weighed[i].shard);
        if (ek_candidate_gap(planner, &wider) <= 0) {
            closing = i;
            continue;
        }
        found.candidate = wider;
        found.back[found.back_count++] = planner->weighed[i].shard;
    }
    if (closing == count)
        return;
    ek_candidate_take_back(planner, &found.candidate, planner->weighed[closing].shard);
    found.back[found.back_count++] = planner->weighed[closing].shard;
    offer(planner, &found, best);
}

/* The source's shards that are heavier than that, the heaviest first. */
static size_t list_heavy(struct ek_planner *planner, const struct ek_hunt *hunt, double heavier_than)
{
    const struct ek_board *board = &planner->board;
    size_t count = 0;
    for (size_t i = 0; i < hunt->source->count; i++) {
        uint16_t number = board->list[hunt->source->first + i];
        double leaving = board->pieces[number].leaving[hunt->resource];
        if (leaving > heavier_than)
            planner->weighed[count++] = (struct ek_weighed){.shard = number, .weight = leaving};
    }
    ek_plan_sort(planner->weighed, count);
    return count;
}

static void try_all_pairs(struct ek_planner *planner, const struct ek_hunt *hunt, double heavier_than, struct exchange *best)
{
    size_t count = list_heavy(planner, hunt, heavier_than);
    for (size_t i = 0; i < count; i++)
        for (size_t t = 0; t < hunt->target_count; t++) {
            struct ek_slot *target = hunt->targets[t];
            if (planner->pairs_left < target->count)
                return;
            planner->pairs_left -= (uint32_t)target->count;
            if (may_swap(planner, planner->weighed[i].shard, hunt->source, target))
                try_pairs(planner, hunt, planner->weighed[i].shard, target, best);
        }
}

bool ek_plan_exchange(struct ek_planner *planner, const struct ek_hunt *hunt, double heavier_than, double worth_more_than)
{
    struct ek_board *board = &planner->board;
    struct exchange best = {.candidate.rule = EK_RULE_EVEN};
    if (hunt->joined_only || planner->round_left < 2)
        return false;
    try_all_pairs(planner, hunt, heavier_than, &best);
    int top = hunt->source->top;
    if (worth_more_than <= 0 && best.candidate.rule != EK_RULE_NONE && top >= 0)
        for (size_t t = 0; t < hunt->target_count; t++)
            if (may_swap(planner, (uint16_t)top, hunt->source, hunt->targets[t]))
                try_many(planner, hunt, (uint16_t)top, hunt->targets[t], &best);
    if (best.candidate.rule != EK_RULE_NONE || ek_candidate_worth(planner, &best.candidate) <= worth_more_than)
        return false;
    /* What does not fit into the round goes in the next ones: the target is the hottest then. */
    if (best.back_count > planner->round_left - 1)
        best.back_count = planner->round_left - 1;
    struct ek_candidate *chosen = &best.candidate;
    ek_candidate_add(planner, best.shard, chosen, EK_PLAN_EXCHANGE, false);
    for (size_t i = 0; i < best.back_count; i++)
        ek_candidate_add(planner, best.back[i], chosen, EK_PLAN_EXCHANGE, true);
    chosen->target->disk_bytes += chosen->bytes_there;
    chosen->source->disk_bytes += chosen->bytes - chosen->bytes_there;
    int source = (int)(chosen->source - board->slots);
    ek_board_move(board, best.shard, (int)(chosen->target - board->slots));
    for (size_t i = 0; i < best.back_count; i++)
        ek_board_move(board, best.back[i], source);
    planner->round_left -= (uint32_t)best.back_count + 1;
    return true;
}
