#include "broker/planner_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BUSY_US_PER_MILLI 1000.0 /* a worker of capacity 1000 milli has a second of work a second */
#define STORED_PER_MILLI  1.0    /* only compared with one another, where the size of a disk is not known */

static int by_id(const void *a, const void *b)
{
    return memcmp(&((const struct ek_slot *)a)->seen->id, &((const struct ek_slot *)b)->seen->id, sizeof(struct ek_worker_id));
}

/* ---- slots ---- */

static double ramp(const struct ek_planner *planner, const struct ek_slot *slot)
{
    const struct ek_plan_rules *rules = planner->rules;
    uint64_t up_us = planner->snapshot->now_us - slot->seen->up_since_us;
    if (slot->veteran->fresh || up_us >= rules->ramp_us)
        return 1;
    return rules->ramp_from + (1 - rules->ramp_from) * (double)up_us / (double)rules->ramp_us;
}

static void fill_slot(struct ek_planner *planner, struct ek_slot *slot, int worker, bool by_disks)
{
    const struct ek_plan_worker *seen = &planner->snapshot->workers[worker];
    double milli = seen->capacity_milli;
    double rate = (double)planner->rules->rate_bytes * milli / 1000;
    *slot = (struct ek_slot){.worker = worker, .seen = seen, .veteran = &planner->veterans[worker], .top = EK_PLAN_NOBODY};
    slot->hot = EK_PLAN_NOBODY;
    slot->member = seen->state == EK_PLAN_UP && seen->capacity_milli > 0;
    slot->share = ramp(planner, slot);
    slot->capacity[EK_PLAN_BUSY] = milli * BUSY_US_PER_MILLI;
    slot->capacity[EK_PLAN_WRITES] = rate;
    slot->capacity[EK_PLAN_NET] = rate;
    slot->capacity[EK_PLAN_STORED] = by_disks ? (double)seen->disk_total_bytes : milli * STORED_PER_MILLI;
    slot->disk_bytes = seen->disk_total_bytes > seen->disk_free_bytes ? seen->disk_total_bytes - seen->disk_free_bytes : 0;
}

static bool disks_known(const struct ek_plan_snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->worker_count; i++)
        if (snapshot->workers[i].state == EK_PLAN_UP && snapshot->workers[i].disk_total_bytes == 0)
            return false;
    return true;
}

static void fill_slots(struct ek_planner *planner, bool by_disks)
{
    const struct ek_plan_snapshot *snapshot = planner->snapshot;
    struct ek_board *board = &planner->board;
    board->slot_count = board->member_count = 0;
    for (size_t i = 0; i < snapshot->worker_count; i++) {
        board->slot_of[i] = EK_PLAN_NOBODY;
        if (snapshot->workers[i].state == EK_PLAN_AWAY)
            continue;
        fill_slot(planner, &board->slots[board->slot_count], (int)i, by_disks);
        board->member_count += board->slots[board->slot_count++].member;
    }
    qsort(board->slots, board->slot_count, sizeof *board->slots, by_id);
    for (size_t i = 0; i < board->slot_count; i++)
        board->slot_of[board->slots[i].worker] = (int)i;
}

/* ---- pieces ---- */

/* `by_count`: what a shard does plays no part. */
static void fill_piece(struct ek_planner *planner, uint16_t shard, double idle_us, bool by_count)
{
    const struct ek_plan_shard *seen = &planner->snapshot->shards[shard];
    const struct ek_plan_memory *memory = &planner->memories[shard];
    struct ek_piece *piece = &planner->board.pieces[shard];
    for (size_t r = 0; r < EK_PLAN_RATES; r++) {
        static const struct ek_load nothing;
        const struct ek_load *load = by_count ? &nothing : &memory->loads[r];
        double idle = r == EK_PLAN_BUSY ? idle_us : 0;
        piece->level[r] = fmax(ek_load_level(load), idle);
        piece->leaving[r] = fmax(ek_load_leaving(load), idle);
        piece->arriving[r] = fmax(ek_load_arriving(load), idle);
        piece->variance[r] = ek_load_variance(load);
    }
    piece->level[EK_PLAN_STORED] = (double)seen->stored_bytes;
    piece->leaving[EK_PLAN_STORED] = piece->arriving[EK_PLAN_STORED] = piece->level[EK_PLAN_STORED];
    piece->taken = seen->learner >= 0;
    piece->slot = EK_PLAN_NOBODY;
    int holder = seen->learner >= 0 ? seen->learner : seen->holder;
    if (holder >= 0)
        piece->slot = planner->board.slot_of[holder];
}

/* What is under way counts at its destination, and as more than it was. */
static void count_piece(struct ek_planner *planner, uint16_t shard)
{
    const struct ek_plan_shard *seen = &planner->snapshot->shards[shard];
    struct ek_board *board = &planner->board;
    const struct ek_piece *piece = &board->pieces[shard];
    int source = seen->learner >= 0 && seen->holder >= 0 ? board->slot_of[seen->holder] : EK_PLAN_NOBODY;
    if (source >= 0) {
        board->slots[source].leaving += piece->level[EK_PLAN_BUSY];
        board->slots[source].leaving_bytes += seen->stored_bytes;
        board->slots[source].copies_out++;
    }
    for (size_t r = 0; r < EK_PLAN_RESOURCES && seen->holder < 0 && seen->learner < 0; r++)
        board->homeless[r] += piece->level[r];
    if (piece->slot < 0)
        return;
    struct ek_slot *slot = &board->slots[piece->slot];
    for (size_t r = 0; r < EK_PLAN_RESOURCES; r++)
        slot->load[r] += piece->taken ? piece->arriving[r] : piece->level[r];
    for (size_t r = 0; r < EK_PLAN_RATES; r++)
        slot->variance[r] += piece->variance[r];
    if (piece->taken) {
        slot->disk_bytes += seen->stored_bytes;
        slot->copies_in++;
    } else {
        slot->count++;
        slot->idle_us += piece->level[EK_PLAN_BUSY] <= board->idle_us ? board->idle_us : 0;
        slot->fast_us += planner->memories[shard].loads[EK_PLAN_BUSY].fast;
        slot->slow_us += planner->memories[shard].loads[EK_PLAN_BUSY].slow;
    }
    if (slot->top < 0 || piece->level[EK_PLAN_BUSY] > board->pieces[slot->top].level[EK_PLAN_BUSY])
        slot->top = shard;
}

static void fill_pieces(struct ek_planner *planner, bool by_count)
{
    struct ek_board *board = &planner->board;
    double capacity_us = 0;
    for (size_t i = 0; i < board->slot_count; i++)
        capacity_us += board->slots[i].member ? board->slots[i].capacity[EK_PLAN_BUSY] : 0;
    memset(board->homeless, 0, sizeof board->homeless);
    board->idle_us = capacity_us * planner->rules->idle_share / planner->shards;
    for (uint32_t i = 0; i < planner->shards; i++) {
        fill_piece(planner, (uint16_t)i, board->idle_us, by_count);
        count_piece(planner, (uint16_t)i);
    }
    double fast = 0;
    double slow = 0;
    size_t first = 0;
    for (size_t i = 0; i < board->slot_count; i++) {
        fast += board->slots[i].fast_us;
        slow += board->slots[i].slow_us;
        board->slots[i].first = first;
        first += board->slots[i].count;
        board->slots[i].count = 0;
    }
    board->trend = slow > 0 ? fast / slow : 0;
    for (uint32_t i = 0; i < planner->shards; i++) {
        struct ek_slot *slot = board->pieces[i].slot < 0 ? NULL : &board->slots[board->pieces[i].slot];
        if (slot && !board->pieces[i].taken)
            board->list[slot->first + slot->count++] = (uint16_t)i;
    }
}

/* ---- means ---- */

/* Over the members that have no hot shard; those shards are left out. What has no holder is about to get one. */
static double mean_of(const struct ek_board *board, enum ek_plan_resource resource)
{
    double load = board->homeless[resource];
    double capacity = 0;
    for (size_t i = 0; i < board->slot_count; i++) {
        const struct ek_slot *slot = &board->slots[i];
        load += slot->load[resource];
        if (resource == EK_PLAN_BUSY && slot->hot >= 0)
            load -= board->pieces[slot->hot].level[resource];
        else if (slot->member)
            capacity += slot->capacity[resource];
    }
    return capacity > 0 ? load / capacity : 0;
}

static double largest_capacity(const struct ek_board *board)
{
    double most = 0;
    for (size_t i = 0; i < board->slot_count; i++)
        if (board->slots[i].member)
            most = fmax(most, board->slots[i].capacity[EK_PLAN_BUSY]);
    return most;
}

/* A shard that is more than any worker's share by itself is nobody's fault; each one found lowers the share of the others. */
static void find_hot_shards(struct ek_board *board)
{
    double largest = largest_capacity(board);
    for (bool found = true; found;) {
        found = false;
        board->mean[EK_PLAN_BUSY] = mean_of(board, EK_PLAN_BUSY);
        board->hot_us = largest * board->mean[EK_PLAN_BUSY];
        for (size_t i = 0; i < board->slot_count; i++) {
            struct ek_slot *slot = &board->slots[i];
            if (!slot->member || slot->hot >= 0 || slot->top < 0 || board->mean[EK_PLAN_BUSY] <= 0)
                continue;
            double top = board->pieces[slot->top].level[EK_PLAN_BUSY];
            if (top > board->hot_us) {
                slot->hot = slot->top;
                found = true;
            }
        }
    }
}

/* Which resources are used so much that their load counts. False: none is. */
static bool find_active(struct ek_planner *planner)
{
    struct ek_board *board = &planner->board;
    bool disks = disks_known(planner->snapshot);
    bool any = false;
    for (size_t r = 0; r < EK_PLAN_RESOURCES; r++) {
        board->used[r] = mean_of(board, (enum ek_plan_resource)r);
        board->active[r] = board->used[r] > planner->rules->floor[r] && (r != EK_PLAN_STORED || disks);
        any = any || board->active[r];
    }
    for (size_t i = 0; i < board->slot_count; i++)
        memcpy(board->done[i], board->slots[i].load, sizeof board->done[i]);
    return any;
}

static void find_means(struct ek_board *board, bool any_active)
{
    for (size_t r = 0; r < EK_PLAN_RESOURCES; r++)
        board->mean[r] = mean_of(board, (enum ek_plan_resource)r);
    find_hot_shards(board);
    for (size_t r = 0; r < EK_PLAN_RESOURCES; r++)
        board->counts[r] = board->mean[r] > 0 && (any_active ? board->active[r] : r == EK_PLAN_BUSY || r == EK_PLAN_STORED);
}

/* ---- what others ask ---- */

double ek_slot_ratio(const struct ek_board *board, const struct ek_slot *slot, enum ek_plan_resource resource)
{
    double share = slot->capacity[resource] * board->mean[resource];
    return share > 0 ? slot->load[resource] / share : 0;
}

double ek_slot_excess(const struct ek_board *board, const struct ek_slot *slot, enum ek_plan_resource resource)
{
    double share = slot->capacity[resource] * board->mean[resource];
    if (resource != EK_PLAN_BUSY || slot->hot < 0 || share <= 0)
        return ek_slot_ratio(board, slot, resource);
    return 1 + (slot->load[resource] - board->pieces[slot->hot].level[resource]) / share;
}

double ek_slot_noise(const struct ek_board *board, const struct ek_slot *slot, enum ek_plan_resource resource)
{
    double share = slot->capacity[resource] * board->mean[resource];
    return resource < EK_PLAN_RATES && share > 0 ? sqrt(fmax(0, slot->variance[resource])) / share : 0;
}

double ek_slot_apart(const struct ek_board *board, const struct ek_slot *slot)
{
    return slot->slow_us > 0 && board->trend > 0 ? slot->fast_us / slot->slow_us / board->trend - 1 : 0;
}

static double term(const struct ek_slot *slot, double ratio)
{
    return slot->capacity[EK_PLAN_BUSY] / (1000 * BUSY_US_PER_MILLI) * (ratio - 1) * (ratio - 1);
}

double ek_board_objective(const struct ek_planner *planner)
{
    const struct ek_board *board = &planner->board;
    double sum = 0;
    for (size_t i = 0; i < board->slot_count; i++)
        for (size_t r = 0; r < EK_PLAN_RESOURCES; r++)
            if (board->slots[i].member && board->counts[r])
                sum += planner->rules->weight[r] *
                       term(&board->slots[i], ek_slot_excess(board, &board->slots[i], (enum ek_plan_resource)r));
    return sum;
}

double ek_transfer_gain(const struct ek_planner *planner, const struct ek_slot *source, const struct ek_slot *target,
                        const struct ek_transfer *transfer)
{
    const struct ek_board *board = &planner->board;
    double gain = 0;
    for (enum ek_plan_resource r = 0; r < EK_PLAN_RESOURCES; r++) {
        if (!board->counts[r])
            continue;
        double from = ek_slot_excess(board, source, r);
        double to = ek_slot_ratio(board, target, r);
        double from_after = from - transfer->leaving[r] / (source->capacity[r] * board->mean[r]);
        double to_after = to + transfer->arriving[r] / (target->capacity[r] * board->mean[r]);
        gain +=
            planner->rules->weight[r] * (term(source, from) - term(source, from_after) + term(target, to) - term(target, to_after));
    }
    return gain;
}

bool ek_piece_is_hot(const struct ek_board *board, uint16_t shard)
{
    return board->hot_us > 0 && board->pieces[shard].level[EK_PLAN_BUSY] > board->hot_us;
}

void ek_board_move(struct ek_board *board, uint16_t shard, int target)
{
    struct ek_piece *piece = &board->pieces[shard];
    struct ek_slot *to = &board->slots[target];
    for (size_t r = 0; r < EK_PLAN_RESOURCES; r++) {
        if (piece->slot >= 0)
            board->slots[piece->slot].load[r] -= piece->leaving[r];
        to->load[r] += piece->arriving[r];
    }
    for (size_t r = 0; r < EK_PLAN_RATES; r++) {
        if (piece->slot >= 0)
            board->slots[piece->slot].variance[r] -= piece->variance[r];
        to->variance[r] += piece->variance[r];
    }
    piece->slot = target;
    piece->taken = true;
}

void ek_plan_survey(struct ek_planner *planner)
{
    fill_slots(planner, disks_known(planner->snapshot));
    fill_pieces(planner, false);
    bool any_active = find_active(planner);
    if (!any_active) { /* what an operation costs says little then: each one is a group of its own. Shards and bytes are spread, and
                        */
        fill_slots(planner, false); /* bytes as what will be asked for: disks that are far from full tell nothing of a worker */
        fill_pieces(planner, true);
    }
    find_means(&planner->board, any_active);
}
