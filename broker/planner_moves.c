#include "broker/planner_moves.h"

#include <math.h>
#include <string.h>

/* ---- the rules of one shard ---- */

static bool younger(const struct ek_planner *planner, uint64_t since_us, uint64_t age_us)
{
    return planner->snapshot->now_us - since_us < age_us;
}

static bool same_id(const struct ek_worker_id *a, const struct ek_worker_id *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* Its worker carries so much more or less than when the shard came that the reason for which it came is gone. */
static bool load_has_changed(const struct ek_planner *planner, const struct ek_plan_memory *memory, const struct ek_slot *source)
{
    double now = source->load[EK_PLAN_BUSY] / source->capacity[EK_PLAN_BUSY];
    return memory->load_then >= 0 && fabs(now - memory->load_then) > planner->rules->waiver_change * memory->load_then;
}

bool ek_plan_in_cooldown(const struct ek_planner *planner, uint16_t shard)
{
    const struct ek_plan_memory *memory = &planner->memories[shard];
    return memory->moved && younger(planner, memory->moved_us, planner->rules->cooldown_us);
}

enum ek_plan_rule ek_plan_may_leave(const struct ek_planner *planner, uint16_t shard)
{
    const struct ek_plan_memory *memory = &planner->memories[shard];
    if (planner->board.pieces[shard].taken || !planner->snapshot->shards[shard].movable)
        return EK_RULE_MOVING;
    if (memory->failed && younger(planner, memory->failed_us, planner->rules->rest_us))
        return EK_RULE_REST;
    return EK_RULE_NONE;
}

static bool goes_back(const struct ek_planner *planner, uint16_t shard, const struct ek_slot *target)
{
    const struct ek_plan_memory *memory = &planner->memories[shard];
    return memory->moved && same_id(&memory->former, &target->seen->id);
}

/* Whether it may go from here to there as far as its history says. */
enum ek_plan_rule ek_plan_may_go(const struct ek_planner *planner, uint16_t shard, const struct ek_slot *source,
                                 const struct ek_slot *target)
{
    const struct ek_plan_memory *memory = &planner->memories[shard];
    if (ek_plan_in_cooldown(planner, shard)) {
        bool needed = !planner->trims && load_has_changed(planner, memory, source);
        bool waived = !memory->waived && (target->veteran->joining || needed);
        if (!waived)
            return EK_RULE_COOLDOWN;
    }
    if (goes_back(planner, shard, target) && (planner->trims || younger(planner, memory->moved_us, planner->rules->no_return_us)))
        return EK_RULE_NO_RETURN;
    return EK_RULE_NONE;
}

bool ek_plan_fits_disk(const struct ek_planner *planner, const struct ek_slot *target, uint64_t bytes)
{
    uint64_t total = target->seen->disk_total_bytes;
    return total == 0 || (double)(target->disk_bytes + bytes) <= planner->rules->disk_full * (double)total;
}

/* ---- a candidate ---- */

static void add_variance(struct ek_candidate *candidate, const struct ek_piece *piece)
{
    for (size_t r = 0; r < EK_PLAN_RATES; r++)
        candidate->transfer.variance[r] += piece->variance[r];
}

void ek_candidate_give(const struct ek_planner *planner, struct ek_candidate *candidate, uint16_t shard)
{
    candidate->returns = candidate->returns || goes_back(planner, shard, candidate->target);
    const struct ek_piece *piece = &planner->board.pieces[shard];
    for (size_t r = 0; r < EK_PLAN_RESOURCES; r++) {
        candidate->transfer.leaving[r] += piece->leaving[r];
        candidate->transfer.arriving[r] += piece->arriving[r];
    }
    if (ek_piece_is_hot(&planner->board, shard)) { /* it is a share and no more, as where it stays: its neighbours will go */
        double share = candidate->target->capacity[EK_PLAN_BUSY] * planner->board.mean[EK_PLAN_BUSY];
        candidate->transfer.arriving[EK_PLAN_BUSY] += share - piece->arriving[EK_PLAN_BUSY];
    }
    add_variance(candidate, piece);
    candidate->bytes += planner->snapshot->shards[shard].stored_bytes;
    candidate->bytes_there += planner->snapshot->shards[shard].stored_bytes;
}

void ek_candidate_take_back(const struct ek_planner *planner, struct ek_candidate *candidate, uint16_t shard)
{
    candidate->returns = candidate->returns || goes_back(planner, shard, candidate->source);
    const struct ek_piece *piece = &planner->board.pieces[shard];
    for (size_t r = 0; r < EK_PLAN_RESOURCES; r++) {
        candidate->transfer.leaving[r] -= piece->arriving[r];
        candidate->transfer.arriving[r] -= piece->leaving[r];
    }
    add_variance(candidate, piece);
    candidate->bytes += planner->snapshot->shards[shard].stored_bytes;
}

static double per_share(const struct ek_board *board, const struct ek_slot *slot, enum ek_plan_resource r, double load)
{
    double share = slot->capacity[r] * board->mean[r];
    return share > 0 ? load / share : 0;
}

double ek_candidate_target_after(const struct ek_planner *planner, const struct ek_candidate *candidate)
{
    enum ek_plan_resource r = candidate->resource;
    return ek_slot_ratio(&planner->board, candidate->target, r) +
           per_share(&planner->board, candidate->target, r, candidate->transfer.arriving[r]);
}

double ek_candidate_gap_before(const struct ek_planner *planner, const struct ek_candidate *candidate)
{
    const struct ek_board *board = &planner->board;
    enum ek_plan_resource r = candidate->resource;
    return ek_slot_ratio(board, candidate->source, r) - ek_slot_ratio(board, candidate->target, r);
}

double ek_candidate_gap(const struct ek_planner *planner, const struct ek_candidate *candidate)
{
    const struct ek_board *board = &planner->board;
    enum ek_plan_resource r = candidate->resource;
    return ek_candidate_target_after(planner, candidate) - ek_slot_ratio(board, candidate->source, r) +
           per_share(board, candidate->source, r, candidate->transfer.leaving[r]);
}

/* The target may not carry noticeably more than the source is left with; in another resource not more than the source did before.
 */
static bool inverts(const struct ek_planner *planner, const struct ek_candidate *candidate)
{
    const struct ek_board *board = &planner->board;
    enum ek_plan_resource resource = candidate->resource;
    double before = ek_candidate_gap_before(planner, candidate);
    if (ek_candidate_gap(planner, candidate) > planner->rules->inversion_share * fmax(0, before))
        return true;
    for (enum ek_plan_resource r = 0; r < EK_PLAN_RESOURCES; r++) {
        if (!board->counts[r] || r == resource || candidate->transfer.arriving[r] <= 0)
            continue;
        double after =
            ek_slot_ratio(board, candidate->target, r) + per_share(board, candidate->target, r, candidate->transfer.arriving[r]);
        if (after > fmax(ek_slot_ratio(board, candidate->source, r), planner->rules->start_ratio))
            return true;
    }
    return false;
}

/* What a transfer gains is its size times the gap that it leaves; so it is as certain as that gap. */
static bool is_noise(const struct ek_planner *planner, const struct ek_candidate *candidate)
{
    const struct ek_board *board = &planner->board;
    enum ek_plan_resource r = candidate->resource;
    if (!board->active[r] || r >= EK_PLAN_RATES)
        return false;
    double leaving = per_share(board, candidate->source, r, candidate->transfer.leaving[r]);
    double gap = ek_slot_excess(board, candidate->source, r) - ek_slot_ratio(board, candidate->target, r);
    double source = ek_slot_noise(board, candidate->source, r);
    double target = ek_slot_noise(board, candidate->target, r);
    double moved = per_share(board, candidate->target, r, sqrt(candidate->transfer.variance[r]));
    double certain = planner->rules->noise_sigmas * sqrt(source * source + target * target + moved * moved);
    if (planner->trims)
        certain = fmax(certain, ek_plan_wavering(planner, candidate->source, candidate->target));
    return gap - leaving <= certain;
}

static bool costs_too_much(const struct ek_planner *planner, const struct ek_candidate *candidate)
{
    double rate = fmin(candidate->source->capacity[EK_PLAN_WRITES], candidate->target->capacity[EK_PLAN_WRITES]);
    double cost_s = planner->rules->copy_passes * (double)candidate->bytes / rate;
    return candidate->gain * planner->rules->gain_horizon_s <= cost_s;
}

void ek_candidate_weigh(const struct ek_planner *planner, struct ek_candidate *candidate)
{
    candidate->gain = ek_transfer_gain(planner, candidate->source, candidate->target, &candidate->transfer);
}

void ek_candidate_judge(const struct ek_planner *planner, struct ek_candidate *candidate)
{
    bool joining = candidate->target->veteran->joining;
    double arrives = per_share(&planner->board, candidate->target, EK_PLAN_BUSY, candidate->transfer.arriving[EK_PLAN_BUSY]);
    candidate->rule = EK_RULE_NONE;
    if (ek_slot_ratio(&planner->board, candidate->target, EK_PLAN_BUSY) + arrives > candidate->target->share &&
        candidate->target->share < 1)
        candidate->rule = EK_RULE_RAMP;
    else if (!ek_plan_fits_disk(planner, candidate->target, candidate->bytes_there))
        candidate->rule = EK_RULE_DISK;
    else if (inverts(planner, candidate))
        candidate->rule = EK_RULE_INVERSION;
    else if (candidate->gain <= 0)
        candidate->rule = EK_RULE_WORSE;
    else if (!joining && is_noise(planner, candidate))
        candidate->rule = EK_RULE_NOISE;
    else if (!joining && costs_too_much(planner, candidate))
        candidate->rule = EK_RULE_COST;
}

double ek_candidate_worth(const struct ek_planner *planner, const struct ek_candidate *candidate)
{
    double gain = candidate->returns ? candidate->gain * planner->rules->return_worth : candidate->gain;
    return gain / ((double)candidate->bytes + (double)planner->rules->move_fixed_bytes);
}

bool ek_candidate_beats(const struct ek_planner *planner, const struct ek_candidate *candidate, const struct ek_candidate *best)
{
    return best->rule != EK_RULE_NONE || ek_candidate_worth(planner, candidate) > ek_candidate_worth(planner, best);
}

/* ---- the plan's entries ---- */

/* Bytes a second of a worker's disk and network that copies may take. */
static double copy_budget(const struct ek_plan_rules *rules, const struct ek_plan_worker *worker)
{
    double rate = (double)(worker->rate_bytes ? worker->rate_bytes : rules->rate_bytes);
    return rate * (worker->late ? rules->copy_share_late : rules->copy_share);
}

static uint64_t copy_rate(const struct ek_planner *planner, const struct ek_slot *source, const struct ek_slot *target)
{
    const struct ek_plan_rules *rules = planner->rules;
    return (uint64_t)fmin(copy_budget(rules, source->seen) / rules->copies_out,
                          copy_budget(rules, target->seen) / rules->copies_in);
}

struct ek_plan_entry ek_candidate_entry(const struct ek_planner *planner, uint16_t shard, const struct ek_candidate *candidate)
{
    const struct ek_board *board = &planner->board;
    enum ek_plan_resource r = candidate->resource;
    struct ek_plan_entry entry = {.shard = shard,
                                  .source = candidate->source ? candidate->source->worker : EK_PLAN_NOBODY,
                                  .target = candidate->target ? candidate->target->worker : EK_PLAN_NOBODY,
                                  .rule = candidate->rule,
                                  .resource = r,
                                  .gain = candidate->gain,
                                  .bytes = planner->snapshot->shards[shard].stored_bytes};
    if (candidate->source) {
        entry.source_before = ek_slot_ratio(board, candidate->source, r);
        entry.source_after = entry.source_before - per_share(board, candidate->source, r, candidate->transfer.leaving[r]);
    }
    if (candidate->target) {
        entry.target_before = ek_slot_ratio(board, candidate->target, r);
        entry.target_after = entry.target_before + per_share(board, candidate->target, r, candidate->transfer.arriving[r]);
    }
    if (candidate->source && candidate->target)
        entry.bytes_per_second = copy_rate(planner, candidate->source, candidate->target);
    return entry;
}

void ek_plan_hold(struct ek_planner *planner, const struct ek_plan_entry *entry)
{
    if (planner->plan.held_count < EK_PLAN_HELD_MAX)
        planner->held[planner->plan.held_count++] = *entry;
}

void ek_candidate_add(struct ek_planner *planner, uint16_t shard, const struct ek_candidate *candidate, enum ek_plan_reason reason,
                      bool back)
{
    struct ek_candidate seen = *candidate;
    if (back) {
        seen.source = candidate->target;
        seen.target = candidate->source;
        for (size_t r = 0; r < EK_PLAN_RESOURCES; r++) {
            seen.transfer.leaving[r] = -candidate->transfer.arriving[r];
            seen.transfer.arriving[r] = -candidate->transfer.leaving[r];
        }
    }
    struct ek_plan_entry entry = ek_candidate_entry(planner, shard, &seen);
    entry.reason = reason;
    entry.waived = ek_plan_in_cooldown(planner, shard);
    entry.trims = planner->trims && !candidate->target->veteran->joining;
    planner->entries[planner->plan.count++] = entry;
}

struct ek_plan_entry *ek_plan_add(struct ek_planner *planner, uint16_t shard, int source, int target, enum ek_plan_reason reason)
{
    struct ek_board *board = &planner->board;
    struct ek_candidate candidate = {.source = source < 0 ? NULL : &board->slots[source], .target = &board->slots[target]};
    ek_candidate_give(planner, &candidate, shard);
    ek_candidate_add(planner, shard, &candidate, reason, false);
    candidate.target->disk_bytes += candidate.bytes_there;
    ek_board_move(board, shard, target);
    return &planner->entries[planner->plan.count - 1];
}
