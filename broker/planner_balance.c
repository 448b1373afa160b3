#include "broker/planner_moves.h"

/* The hottest member that may still give, and in what. */
static double find_source(struct ek_planner *planner, struct ek_hunt *hunt)
{
    struct ek_board *board = &planner->board;
    double most = -1;
    hunt->source = NULL;
    for (size_t i = 0; i < board->slot_count; i++) {
        struct ek_slot *slot = &board->slots[i];
        for (enum ek_plan_resource r = 0; r < EK_PLAN_RESOURCES; r++) {
            if (!slot->member || slot->exhausted || !board->counts[r] || (planner->trims && r != EK_PLAN_BUSY))
                continue;
            double excess = ek_slot_excess(board, slot, r);
            if (excess > most) {
                most = excess;
                hunt->source = slot;
                hunt->resource = r;
            }
        }
    }
    return most;
}

static bool takes(const struct ek_planner *planner, const struct ek_hunt *hunt, const struct ek_slot *slot)
{
    if (!slot->member || slot == hunt->source || slot->hot >= 0)
        return false;
    bool joins = slot->veteran->joining && ek_slot_ratio(&planner->board, slot, EK_PLAN_BUSY) < planner->rules->joined_ratio;
    return joins || (!hunt->joined_only && planner->round_left > 0);
}

static void find_targets(struct ek_planner *planner, struct ek_hunt *hunt)
{
    struct ek_board *board = &planner->board;
    size_t most = planner->rules->coldest < EK_PLAN_TARGETS_MAX ? planner->rules->coldest : EK_PLAN_TARGETS_MAX;
    hunt->target_count = 0;
    for (size_t i = 0; i < board->slot_count; i++) {
        struct ek_slot *slot = &board->slots[i];
        if (!takes(planner, hunt, slot))
            continue;
        double ratio = ek_slot_ratio(board, slot, hunt->resource);
        size_t at = hunt->target_count < most ? hunt->target_count++ : most;
        for (; at > 0 && ek_slot_ratio(board, hunt->targets[at - 1], hunt->resource) > ratio; at--)
            if (at < most)
                hunt->targets[at] = hunt->targets[at - 1];
        if (at < most)
            hunt->targets[at] = slot;
    }
}

/* How far a candidate came before a rule stopped it; the one that came farthest is worth telling. */
static bool comes_farther(const struct ek_candidate *candidate, const struct ek_candidate *best)
{
    return candidate->rule > best->rule || (candidate->rule == best->rule && candidate->gain > best->gain);
}

struct found {
    struct ek_candidate best; /* rule NONE: there is one */
    uint16_t shard;
    struct ek_candidate farthest; /* of those that a rule stopped; is asked for only while there is no best one */
    uint16_t held;
};

static void consider(struct ek_planner *planner, const struct ek_hunt *hunt, uint16_t shard, struct ek_slot *target,
                     struct found *found)
{
    struct ek_candidate candidate = {.source = hunt->source, .target = target, .resource = hunt->resource};
    ek_candidate_give(planner, &candidate, shard);
    candidate.rule = ek_plan_may_go(planner, shard, hunt->source, target);
    if (candidate.rule == EK_RULE_NONE) {
        ek_candidate_weigh(planner, &candidate);
        if (!ek_candidate_beats(planner, &candidate, &found->best))
            return;
        ek_candidate_judge(planner, &candidate);
    }
    if (candidate.rule == EK_RULE_NONE) {
        found->best = candidate;
        found->shard = shard;
    } else if (found->farthest.rule == EK_RULE_TARGET || comes_farther(&candidate, &found->farthest)) {
        found->farthest = candidate;
        found->held = shard;
    }
}

/* Idle shards count, so that they are spread; but a worker that others make hot is not relieved by dozens of them. */
static bool takes_nothing_off(const struct ek_board *board, const struct ek_hunt *hunt, uint16_t shard,
                              const struct ek_slot *target)
{
    const struct ek_slot *source = hunt->source;
    double others = source->load[EK_PLAN_BUSY] - source->idle_us;
    return board->active[EK_PLAN_BUSY] && hunt->resource == EK_PLAN_BUSY && !target->veteran->joining &&
           board->pieces[shard].level[EK_PLAN_BUSY] <= board->idle_us &&
           others > source->capacity[EK_PLAN_BUSY] * board->mean[EK_PLAN_BUSY];
}

static void find_move(struct ek_planner *planner, const struct ek_hunt *hunt, struct found *found)
{
    const struct ek_board *board = &planner->board;
    *found = (struct found){.best.rule = EK_RULE_EVEN,
                            .farthest = {.source = hunt->source, .resource = hunt->resource, .rule = EK_RULE_TARGET},
                            .held = (uint16_t)(hunt->source->top < 0 ? 0 : hunt->source->top)};
    for (size_t i = 0; i < hunt->source->count; i++) {
        uint16_t number = board->list[hunt->source->first + i];
        enum ek_plan_rule rule = ek_plan_may_leave(planner, number);
        for (size_t t = 0; t < hunt->target_count && rule == EK_RULE_NONE; t++) {
            if (!takes_nothing_off(board, hunt, number, hunt->targets[t]))
                consider(planner, hunt, number, hunt->targets[t], found);
        }
    }
}

static void hold(struct ek_planner *planner, uint16_t shard, const struct ek_candidate *candidate, enum ek_plan_rule rule)
{
    struct ek_plan_entry entry = ek_candidate_entry(planner, shard, candidate);
    entry.reason = EK_PLAN_BALANCE;
    entry.rule = rule;
    ek_plan_hold(planner, &entry);
}

static void take(struct ek_planner *planner, const struct found *found)
{
    struct ek_slot *target = found->best.target;
    ek_candidate_add(planner, found->shard, &found->best, EK_PLAN_BALANCE, false);
    target->disk_bytes += found->best.bytes_there;
    ek_board_move(&planner->board, found->shard, (int)(target - planner->board.slots));
    if (!target->veteran->joining)
        planner->round_left--;
}

/* What would be done next if the imbalance had lasted long enough. */
static void foretell(struct ek_planner *planner)
{
    struct ek_hunt hunt = {0};
    struct found found;
    (void)find_source(planner, &hunt);
    if (!hunt.source)
        return;
    find_targets(planner, &hunt);
    find_move(planner, &hunt, &found);
    if (found.best.rule == EK_RULE_NONE)
        hold(planner, found.shard, &found.best, EK_RULE_WAIT);
    else
        hold(planner, found.held, &found.farthest, found.farthest.rule);
}

static void hold_top(struct ek_planner *planner, const struct ek_slot *slot, enum ek_plan_rule rule)
{
    double ratio = ek_slot_ratio(&planner->board, slot, EK_PLAN_BUSY);
    ek_plan_hold(planner, &(struct ek_plan_entry){.shard = (uint16_t)slot->top,
                                                  .source = slot->worker,
                                                  .target = EK_PLAN_NOBODY,
                                                  .reason = EK_PLAN_BALANCE,
                                                  .rule = rule,
                                                  .source_before = ratio,
                                                  .source_after = ratio,
                                                  .bytes = planner->snapshot->shards[slot->top].stored_bytes});
}

static void hold_slots(struct ek_planner *planner)
{
    struct ek_board *board = &planner->board;
    for (size_t i = 0; i < board->slot_count; i++) {
        struct ek_slot *slot = &board->slots[i];
        double before = slot->load[EK_PLAN_BUSY] + slot->leaving;
        slot->exhausted = slot->leaving > 0 && slot->leaving >= planner->rules->shedding_share * before;
        if (slot->exhausted && slot->top >= 0)
            hold_top(planner, slot, EK_RULE_SHEDDING);
        if (slot->hot >= 0)
            hold_top(planner, slot, EK_RULE_HOT);
    }
}

static bool anybody_joins(const struct ek_planner *planner)
{
    const struct ek_board *board = &planner->board;
    for (size_t i = 0; i < board->slot_count; i++)
        if (board->slots[i].member && board->slots[i].veteran->joining &&
            ek_slot_ratio(board, &board->slots[i], EK_PLAN_BUSY) < planner->rules->joined_ratio)
            return true;
    return false;
}

/* What may be looked for: anything while balancing goes on, then what can be trimmed. Else only what a joining worker lacks. */
static void find_scope(struct ek_planner *planner, struct ek_hunt *hunt, double excess)
{
    bool balances = planner->plan.balancing && excess > planner->rules->end_ratio;
    bool waits = !planner->plan.balancing && planner->above;
    planner->trims = !balances && !waits && ek_plan_may_trim(planner);
    hunt->joined_only = !balances && !planner->trims;
}

/* Two shards must go for one that is too large to go alone: worth it when it carries at least twice as much. */
static void take_best(struct ek_planner *planner, const struct ek_hunt *hunt, const struct found *found)
{
    double load = planner->board.pieces[found->shard].leaving[hunt->resource];
    if (!ek_plan_exchange(planner, hunt, 2 * load, ek_candidate_worth(planner, &found->best)))
        take(planner, found);
}

void ek_plan_balance(struct ek_planner *planner)
{
    struct ek_hunt hunt = {0};
    struct found found;
    hold_slots(planner);
    if (!planner->plan.balancing && planner->above)
        foretell(planner);
    for (;;) {
        find_scope(planner, &hunt, find_source(planner, &hunt));
        if (!hunt.source || (hunt.joined_only && !anybody_joins(planner)))
            return;
        find_targets(planner, &hunt);
        find_move(planner, &hunt, &found);
        if (found.best.rule == EK_RULE_NONE) {
            take_best(planner, &hunt, &found);
        } else if (!ek_plan_exchange(planner, &hunt, 0, 0)) {
            bool spent = planner->round_left == 0 && !hunt.joined_only;
            hold(planner, found.held, &found.farthest, spent ? EK_RULE_ROUND_SHARE : found.farthest.rule);
            hunt.source->exhausted = true;
        }
    }
}
