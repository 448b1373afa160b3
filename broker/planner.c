#include "broker/planner.h"

#include "broker/planner_parts.h"
#include "common/bytes.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_US 1e6

/* Rows of a released shard are deleted after a grace period of some seconds. */
#define RELEASED_US UINT64_C(30000000)

enum { ROUND_MOVES_MIN = 2 }; /* or nothing could be exchanged among few shards */

/* ---- life ---- */

struct ek_planner *ek_planner_new(const struct ek_plan_rules *rules, uint32_t shards)
{
    assert(shards > 0 && shards <= EK_SHARDS_MAX);
    struct ek_planner *planner = ek_alloc_zero(1, sizeof *planner);
    planner->rules = rules;
    planner->shards = shards;
    planner->above_since_us = UINT64_MAX;
    planner->memories = ek_alloc_zero(shards, sizeof *planner->memories);
    planner->board.pieces = ek_alloc_zero(shards, sizeof *planner->board.pieces);
    planner->board.list = ek_alloc_zero(shards, sizeof *planner->board.list);
    planner->entries = ek_alloc_zero(shards, sizeof *planner->entries);
    planner->starts = ek_alloc_zero(shards, sizeof *planner->starts);
    planner->weighed = ek_alloc_zero(shards, sizeof *planner->weighed);
    planner->plan.entries = planner->entries;
    planner->plan.held = planner->held;
    planner->plan.loads = planner->loads;
    planner->plan.quiet = EK_RULE_EVEN;
    return planner;
}

void ek_planner_destroy(struct ek_planner **planner)
{
    if (!*planner)
        return;
    free((*planner)->memories);
    free((*planner)->board.pieces);
    free((*planner)->board.list);
    free((*planner)->entries);
    free((*planner)->starts);
    free((*planner)->weighed);
    free(*planner);
    *planner = NULL;
}

/* ---- what is seen ---- */

bool ek_plan_alert(const struct ek_planner *planner)
{
    return planner->shifted_us && planner->snapshot->now_us - planner->shifted_us < planner->rules->alert_us;
}

static void take_samples(struct ek_planner *planner)
{
    uint64_t now_us = planner->snapshot->now_us;
    struct ek_load_weights weights = ek_load_weights(planner->rules, 1);
    bool alert = ek_plan_alert(planner);
    bool shifted = false;
    for (uint32_t i = 0; i < planner->shards; i++) {
        const struct ek_plan_shard *seen = &planner->snapshot->shards[i];
        struct ek_plan_memory *memory = &planner->memories[i];
        memory->stored_bytes = seen->stored_bytes;
        if (!seen->sampled || (memory->sampled_us && now_us <= memory->sampled_us))
            continue;
        double seconds = memory->sampled_us ? (double)(now_us - memory->sampled_us) / SECOND_US : 1;
        memory->sampled_us = now_us;
        if (seconds != weights.seconds)
            weights = ek_load_weights(planner->rules, seconds);
        for (size_t r = 0; r < EK_PLAN_RATES; r++)
            shifted |= ek_load_sample(&memory->loads[r], planner->rules, &weights, seen->rates[r], alert);
    }
    if (shifted)
        planner->shifted_us = now_us;
}

static void count_shards(const struct ek_planner *planner, uint32_t counts[EK_WORKERS_MAX])
{
    memset(counts, 0, EK_WORKERS_MAX * sizeof *counts);
    for (uint32_t i = 0; i < planner->shards; i++) {
        const struct ek_plan_shard *seen = &planner->snapshot->shards[i];
        if (seen->holder >= 0)
            counts[seen->holder]++;
        if (seen->learner >= 0)
            counts[seen->learner]++;
    }
}

/* Its index may have changed. */
static struct ek_plan_veteran veteran_of(const struct ek_plan_veteran before[EK_WORKERS_MAX], const struct ek_worker_id *id)
{
    for (size_t i = 0; i < EK_WORKERS_MAX; i++)
        if (before[i].known && memcmp(&before[i].id, id, sizeof *id) == 0)
            return before[i];
    return (struct ek_plan_veteran){.known = true, .id = *id, .queued_since_us = UINT64_MAX};
}

/* A worker that is up and has nothing is new, whatever it was before. */
static void meet_workers(struct ek_planner *planner)
{
    uint32_t counts[EK_WORKERS_MAX];
    count_shards(planner, counts);
    struct ek_plan_veteran before[EK_WORKERS_MAX];
    memcpy(before, planner->veterans, sizeof before);
    for (size_t i = 0; i < planner->snapshot->worker_count; i++) {
        const struct ek_plan_worker *seen = &planner->snapshot->workers[i];
        struct ek_plan_veteran *veteran = &planner->veterans[i];
        if (!veteran->known || memcmp(&veteran->id, &seen->id, sizeof seen->id) != 0)
            *veteran = veteran_of(before, &seen->id);
        if (planner->snapshot->now_us - veteran->released_us > RELEASED_US)
            veteran->released_bytes = 0;
        if (seen->state != EK_PLAN_UP)
            veteran->joining = veteran->fresh = false;
        else if (counts[i] == 0)
            veteran->joining = veteran->fresh = true;
    }
}

/* ---- a round ---- */

static void note_arrivals(struct ek_planner *planner)
{
    for (uint32_t i = 0; i < planner->shards; i++) {
        struct ek_plan_memory *memory = &planner->memories[i];
        const struct ek_piece *piece = &planner->board.pieces[i];
        if (!memory->moved || memory->load_then >= 0 || piece->taken || piece->slot < 0)
            continue;
        const struct ek_slot *slot = &planner->board.slots[piece->slot];
        memory->load_then = slot->load[EK_PLAN_BUSY] / slot->capacity[EK_PLAN_BUSY];
    }
}

/* How long something has been so; 0 when a round has just found it, or when it is not so. */
static uint64_t lasts(bool is_so, uint64_t now_us, uint64_t *since_us)
{
    if (!is_so)
        *since_us = UINT64_MAX;
    else if (*since_us > now_us)
        *since_us = now_us;
    return is_so ? now_us - *since_us : 0;
}

static bool is_urgent(struct ek_planner *planner)
{
    const struct ek_board *board = &planner->board;
    bool urgent = false;
    for (size_t i = 0; i < board->slot_count; i++) {
        const struct ek_slot *slot = &board->slots[i];
        uint64_t queued_us = lasts(slot->seen->queued_us > planner->rules->urgent_queued_us, planner->snapshot->now_us,
                                   &slot->veteran->queued_since_us);
        if (!slot->member)
            continue;
        double used = board->done[i][EK_PLAN_BUSY] / slot->capacity[EK_PLAN_BUSY];
        urgent = urgent || used > planner->rules->urgent_utilisation || queued_us >= planner->rules->urgent_us;
    }
    return urgent;
}

/* The hottest member's excess over all that counts, and whether one is hotter than noise explains. */
static double hottest(const struct ek_planner *planner, bool *ret_above)
{
    const struct ek_board *board = &planner->board;
    double most = 0;
    *ret_above = false;
    for (size_t i = 0; i < board->slot_count; i++)
        for (enum ek_plan_resource r = 0; r < EK_PLAN_RESOURCES && board->slots[i].member; r++) {
            if (!board->active[r])
                continue;
            double excess = ek_slot_excess(board, &board->slots[i], r);
            double noise = planner->rules->noise_sigmas * ek_slot_noise(board, &board->slots[i], r);
            most = excess > most ? excess : most;
            *ret_above = *ret_above || excess > planner->rules->start_ratio + noise;
        }
    return most;
}

static bool any_active(const struct ek_board *board)
{
    for (size_t r = 0; r < EK_PLAN_RESOURCES; r++)
        if (board->active[r])
            return true;
    return false;
}

/* Begins and ends balancing. */
static void decide(struct ek_planner *planner)
{
    struct ek_plan *plan = &planner->plan;
    bool above;
    double most = hottest(planner, &above);
    planner->above = above;
    plan->urgent = is_urgent(planner);
    uint64_t above_us = lasts(above, planner->snapshot->now_us, &planner->above_since_us);
    if (above && (plan->urgent || above_us >= planner->rules->wait_us))
        plan->balancing = true;
    if (most <= planner->rules->end_ratio)
        plan->balancing = false;
    plan->quiet = plan->balancing                ? EK_RULE_NONE
                  : !any_active(&planner->board) ? EK_RULE_IDLE
                  : above                        ? EK_RULE_WAIT
                                                 : EK_RULE_EVEN;
    if (!planner->snapshot->balance)
        plan->quiet = EK_RULE_OFF;
}

/* Under load a new worker has been filled when it has its share of the load; of shards and bytes it may lack the most part then,
 * which it gets when nothing else counts. */
static void resume_joins(struct ek_planner *planner)
{
    const struct ek_board *board = &planner->board;
    if (any_active(board))
        return;
    for (size_t i = 0; i < board->slot_count; i++) {
        const struct ek_slot *slot = &board->slots[i];
        bool fresh = slot->veteran->fresh && planner->snapshot->now_us - slot->seen->up_since_us < planner->rules->join_us;
        if (slot->member && fresh && ek_slot_ratio(board, slot, EK_PLAN_BUSY) < planner->rules->joined_ratio)
            slot->veteran->joining = true;
    }
}

/* A worker that joined has been filled when it has its share, or when nothing more can be brought; a repair fills it at once. */
static void finish_joins(struct ek_planner *planner)
{
    const struct ek_board *board = &planner->board;
    for (size_t i = 0; i < board->slot_count; i++) {
        const struct ek_slot *slot = &board->slots[i];
        bool comes = slot->copies_in > 0;
        bool repaired = false;
        for (size_t e = 0; e < planner->plan.count; e++) {
            if (planner->entries[e].target != slot->worker)
                continue;
            comes = true;
            repaired = repaired || planner->entries[e].reason == EK_PLAN_REPAIR;
        }
        if (!comes || repaired)
            slot->veteran->joining = false;
    }
}

/* Balancing that finds nothing to do has ended; what comes later has to last again. */
static void finish_balance(struct ek_planner *planner)
{
    bool moving = planner->plan.count > 0;
    for (size_t i = 0; i < planner->board.slot_count && !moving; i++)
        moving = planner->board.slots[i].copies_out > 0;
    if (moving || !planner->plan.balancing)
        return;
    planner->plan.balancing = false;
    planner->above_since_us = UINT64_MAX;
}

static uint32_t wanted(const struct ek_planner *planner)
{
    const struct ek_board *board = &planner->board;
    double least = 1;
    double most = 1;
    for (enum ek_plan_resource r = 0; r < EK_PLAN_RESOURCES; r++) {
        if (r == EK_PLAN_STORED && !board->active[r])
            continue;
        double workers = board->used[r] * (double)board->member_count;
        least = fmax(least, ceil(workers / planner->rules->wanted_high));
        most = fmax(most, ceil(workers / planner->rules->wanted_low));
    }
    double now = (double)board->member_count;
    return (uint32_t)(now < least ? least : now > most ? most : now);
}

static void describe(struct ek_planner *planner)
{
    const struct ek_board *board = &planner->board;
    struct ek_plan *plan = &planner->plan;
    plan->max_over_mean = 0;
    memset(planner->loads, 0, sizeof planner->loads);
    for (size_t i = 0; i < EK_WORKERS_MAX; i++)
        planner->loads[i].hot_shard = EK_PLAN_NOBODY;
    for (size_t i = 0; i < board->slot_count; i++) {
        const struct ek_slot *slot = &board->slots[i];
        struct ek_plan_load *load = &planner->loads[slot->worker];
        for (enum ek_plan_resource r = 0; r < EK_PLAN_RESOURCES; r++) {
            load->utilisation[r] = slot->capacity[r] > 0 ? board->done[i][r] / slot->capacity[r] : 0;
            load->ratio[r] = ek_slot_ratio(board, slot, r);
        }
        load->noise = ek_slot_noise(board, slot, EK_PLAN_BUSY);
        load->hot_shard = slot->hot;
        if (slot->member && slot->hot < 0)
            plan->max_over_mean = fmax(plan->max_over_mean, load->ratio[EK_PLAN_BUSY]);
    }
    memcpy(plan->active, board->active, sizeof plan->active);
    plan->objective = ek_board_objective(planner);
    plan->workers_wanted = wanted(planner);
}

/* Balancing may begin so many moves in so much time. */
static void renew_share(struct ek_planner *planner)
{
    uint64_t now_us = planner->snapshot->now_us;
    if (planner->planned && now_us - planner->share_since_us < planner->rules->round_us)
        return;
    planner->share_since_us = now_us;
    planner->share_left = (uint32_t)fmax(ROUND_MOVES_MIN, floor(planner->rules->round_share * planner->shards));
}

static void plan_round(struct ek_planner *planner)
{
    struct ek_plan *plan = &planner->plan;
    plan->round++;
    plan->planned_us = planner->snapshot->now_us;
    plan->count = plan->held_count = 0;
    planner->trims = false;
    planner->pairs_left = planner->rules->exchange_pairs;
    renew_share(planner);
    planner->round_left = planner->share_left;
    ek_plan_survey(planner);
    ek_plan_watch(planner);
    if (ek_plan_follow_drift(planner))
        ek_plan_survey(planner);
    resume_joins(planner);
    note_arrivals(planner);
    describe(planner);
    decide(planner);
    ek_plan_repair(planner);
    ek_plan_drain(planner);
    ek_plan_balance(planner);
    finish_joins(planner);
    finish_balance(planner);
    planner->planned = true;
}

static bool is_due(const struct ek_planner *planner)
{
    const struct ek_plan_snapshot *snapshot = planner->snapshot;
    uint64_t since_us = snapshot->now_us - planner->plan.planned_us;
    uint64_t pause_us = ek_plan_alert(planner) ? planner->rules->round_alert_us : planner->rules->round_us;
    if (!planner->planned || since_us >= pause_us)
        return true;
    bool anybody = false;
    for (size_t i = 0; i < snapshot->worker_count; i++)
        anybody = anybody || snapshot->workers[i].state == EK_PLAN_UP;
    for (uint32_t i = 0; i < planner->shards && anybody; i++)
        if (snapshot->shards[i].holder < 0 && snapshot->shards[i].learner < 0)
            return true;
    return false;
}

/* ---- the queue ---- */

struct lanes {
    uint32_t out[EK_WORKERS_MAX];
    uint32_t in[EK_WORKERS_MAX];
};

static void count_lanes(const struct ek_planner *planner, struct lanes *lanes)
{
    memset(lanes, 0, sizeof *lanes);
    for (uint32_t i = 0; i < planner->shards; i++) {
        const struct ek_plan_shard *seen = &planner->snapshot->shards[i];
        if (seen->learner < 0 || seen->empty)
            continue;
        lanes->in[seen->learner]++;
        if (seen->holder >= 0)
            lanes->out[seen->holder]++;
    }
}

/* Still as it was planned. */
static bool holds(const struct ek_planner *planner, const struct ek_plan_entry *entry)
{
    const struct ek_plan_snapshot *snapshot = planner->snapshot;
    const struct ek_plan_shard *seen = &snapshot->shards[entry->shard];
    if (seen->holder != entry->source || seen->learner >= 0 || snapshot->workers[entry->target].state != EK_PLAN_UP)
        return false;
    if (entry->source < 0)
        return true;
    enum ek_plan_state source = snapshot->workers[entry->source].state;
    return seen->movable && source != EK_PLAN_AWAY && (source == EK_PLAN_DRAINING || entry->reason != EK_PLAN_DRAIN);
}

static bool may_start(struct ek_planner *planner, struct lanes *lanes, const struct ek_plan_entry *entry)
{
    bool balances = entry->reason == EK_PLAN_BALANCE || entry->reason == EK_PLAN_EXCHANGE;
    if (!holds(planner, entry) || (balances && !planner->snapshot->balance))
        return false;
    if (entry->source < 0 || planner->snapshot->shards[entry->shard].empty)
        return true;
    if (lanes->out[entry->source] >= planner->rules->copies_out || lanes->in[entry->target] >= planner->rules->copies_in)
        return false;
    lanes->out[entry->source]++;
    lanes->in[entry->target]++;
    if (balances && !planner->veterans[entry->target].joining && planner->share_left > 0)
        planner->share_left--;
    return true;
}

static size_t start_moves(struct ek_planner *planner)
{
    struct lanes lanes;
    size_t started = 0;
    size_t left = 0;
    count_lanes(planner, &lanes);
    for (size_t i = 0; i < planner->plan.count; i++) {
        if (may_start(planner, &lanes, &planner->entries[i]))
            planner->starts[started++] = planner->entries[i];
        else
            planner->entries[left++] = planner->entries[i];
    }
    planner->plan.count = left;
    return started;
}

/* ---- from outside ---- */

const struct ek_plan_entry *ek_planner_step(struct ek_planner *planner, const struct ek_plan_snapshot *snapshot, size_t *ret_count)
{
    assert(snapshot->worker_count <= EK_WORKERS_MAX);
    planner->snapshot = snapshot;
    take_samples(planner);
    meet_workers(planner);
    if (is_due(planner))
        plan_round(planner);
    *ret_count = start_moves(planner);
    planner->snapshot = NULL;
    return planner->starts;
}

void ek_planner_moved(struct ek_planner *planner, uint16_t shard, const struct ek_worker_id *source, uint64_t now_us)
{
    struct ek_plan_memory *memory = &planner->memories[shard];
    memory->waived = memory->moved && now_us - memory->moved_us < planner->rules->cooldown_us;
    memory->moved = true;
    memory->moved_us = now_us;
    memory->former = *source;
    memory->load_then = -1;
    memory->failed = false;
    for (size_t i = 0; i < EK_WORKERS_MAX; i++) {
        struct ek_plan_veteran *veteran = &planner->veterans[i];
        if (!veteran->known || memcmp(&veteran->id, source, sizeof *source) != 0)
            continue;
        veteran->released_bytes += memory->stored_bytes;
        veteran->released_us = now_us;
    }
}

void ek_planner_failed(struct ek_planner *planner, uint16_t shard, uint64_t now_us)
{
    planner->memories[shard].failed = true;
    planner->memories[shard].failed_us = now_us;
}

void ek_planner_renumbered(struct ek_planner *planner)
{
    planner->plan.count = planner->plan.held_count = 0;
    planner->planned = false;
    memset(planner->loads, 0, sizeof planner->loads);
}

double ek_planner_busy_us(const struct ek_planner *planner, uint16_t shard)
{
    return ek_load_level(&planner->memories[shard].loads[EK_PLAN_BUSY]);
}

const struct ek_plan *ek_planner_plan(const struct ek_planner *planner)
{
    return &planner->plan;
}

enum ek_plan_rule ek_planner_may_drain(struct ek_planner *planner, const struct ek_plan_snapshot *snapshot, int worker)
{
    planner->snapshot = snapshot;
    ek_plan_survey(planner);
    planner->snapshot = NULL;
    return ek_plan_may_drain(planner, worker);
}

const char *ek_plan_rule_text(enum ek_plan_rule rule)
{
    static const char *const texts[EK_RULE_COUNT] = {
        [EK_RULE_NONE] = "nothing holds it back",
        [EK_RULE_EVEN] = "no worker carries much more than its share",
        [EK_RULE_IDLE] = "the cluster is too idle to be balanced by load",
        [EK_RULE_WAIT] = "the imbalance has not lasted long enough",
        [EK_RULE_OFF] = "balancing is switched off",
        [EK_RULE_MOVING] = "the shard is on its way, or cannot move now",
        [EK_RULE_COOLDOWN] = "the shard moved a short time ago",
        [EK_RULE_NO_RETURN] = "the shard left that worker a short time ago",
        [EK_RULE_REST] = "the shard's last move failed a short time ago",
        [EK_RULE_HOT] = "the shard is more than a worker's share by itself, so its neighbours move",
        [EK_RULE_TARGET] = "no worker can take it",
        [EK_RULE_RAMP] = "the target came back a short time ago",
        [EK_RULE_DISK] = "disks would be too full",
        [EK_RULE_INVERSION] = "the target would carry more than the source",
        [EK_RULE_WORSE] = "another resource would suffer more than this one gains",
        [EK_RULE_NOISE] = "the gain cannot be told from noise",
        [EK_RULE_COST] = "the copy would cost more than the move gains",
        [EK_RULE_SHEDDING] = "enough of the worker's load is on its way out already",
        [EK_RULE_ROUND_SHARE] = "the round has moved its share of the key space",
    };
    return rule < EK_RULE_COUNT && texts[rule] ? texts[rule] : "unknown";
}
