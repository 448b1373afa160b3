#include "broker/planner_parts.h"

#include <stdlib.h>

/* How much a slot would carry with a shard over all resources that count, as weighted ratios. */
static double burden_with(const struct ek_planner *planner, const struct ek_slot *slot, uint16_t shard)
{
    const struct ek_board *board = &planner->board;
    double sum = 0;
    for (enum ek_plan_resource r = 0; r < EK_PLAN_RESOURCES; r++)
        if (board->counts[r])
            sum += planner->rules->weight[r] * (slot->load[r] + board->pieces[shard].arriving[r]) /
                   (slot->capacity[r] * board->mean[r]);
    return sum;
}

/*
 * The member with room for a shard that is coldest with it, besides one worker, or none. With it, since one shard is more to a
 * small worker than to a large one: R. L. Graham, Bounds on multiprocessing timing anomalies (1969), for machines of unequal speed.
 */
static int coldest_with(const struct ek_planner *planner, uint16_t shard, int besides)
{
    uint64_t bytes = planner->snapshot->shards[shard].stored_bytes;
    const struct ek_board *board = &planner->board;
    int found = EK_PLAN_NOBODY;
    double least = 0;
    for (size_t i = 0; i < board->slot_count; i++) {
        const struct ek_slot *slot = &board->slots[i];
        if (!slot->member || slot->worker == besides || !ek_plan_fits_disk(planner, slot, bytes))
            continue;
        double carried = burden_with(planner, slot, shard);
        if (found < 0 || carried < least) {
            found = (int)i;
            least = carried;
        }
    }
    return found;
}

/* ---- order ---- */

static int heavier_first(const void *a, const void *b)
{
    const struct ek_weighed *one = a;
    const struct ek_weighed *other = b;
    if (one->weight != other->weight)
        return one->weight > other->weight ? -1 : 1;
    return one->shard < other->shard ? -1 : 1;
}

void ek_plan_sort(struct ek_weighed *list, size_t count)
{
    qsort(list, count, sizeof *list, heavier_first);
}

static double weight_of(const struct ek_planner *planner, uint16_t shard)
{
    const struct ek_board *board = &planner->board;
    double sum = 0;
    for (size_t r = 0; r < EK_PLAN_RESOURCES; r++)
        if (board->counts[r])
            sum += planner->rules->weight[r] * board->pieces[shard].level[r] / board->mean[r];
    return sum;
}

/* ---- shards without a holder ---- */

static size_t find_homeless(const struct ek_planner *planner, struct ek_weighed *ret)
{
    size_t count = 0;
    for (uint32_t i = 0; i < planner->shards; i++) {
        const struct ek_plan_shard *seen = &planner->snapshot->shards[i];
        if (seen->holder < 0 && seen->learner < 0)
            ret[count++] = (struct ek_weighed){.shard = (uint16_t)i, .weight = weight_of(planner, (uint16_t)i)};
    }
    ek_plan_sort(ret, count);
    return count;
}

void ek_plan_repair(struct ek_planner *planner)
{
    struct ek_weighed *homeless = planner->weighed;
    size_t count = find_homeless(planner, homeless);
    for (size_t i = 0; i < count; i++) {
        int target = coldest_with(planner, homeless[i].shard, EK_PLAN_NOBODY);
        if (target >= 0) {
            (void)ek_plan_add(planner, homeless[i].shard, EK_PLAN_NOBODY, target, EK_PLAN_REPAIR);
            continue;
        }
        ek_plan_hold(planner, &(struct ek_plan_entry){.shard = homeless[i].shard,
                                                      .source = EK_PLAN_NOBODY,
                                                      .target = EK_PLAN_NOBODY,
                                                      .reason = EK_PLAN_REPAIR,
                                                      .rule = planner->board.member_count ? EK_RULE_DISK : EK_RULE_TARGET});
    }
}

/* ---- workers that leave ---- */

/* Whether the members' disks together take what is still to leave. */
static enum ek_plan_rule may_take(const struct ek_planner *planner, const struct ek_slot *leaver)
{
    const struct ek_board *board = &planner->board;
    double room = 0;
    size_t takers = 0;
    bool limited = false;
    for (size_t i = 0; i < board->slot_count; i++) {
        const struct ek_slot *slot = &board->slots[i];
        if (!slot->member || slot == leaver)
            continue;
        takers++;
        limited = limited || slot->seen->disk_total_bytes > 0;
        room += planner->rules->disk_full * (double)slot->seen->disk_total_bytes - (double)slot->disk_bytes;
    }
    if (takers == 0)
        return EK_RULE_TARGET;
    return limited && leaver->load[EK_PLAN_STORED] > room ? EK_RULE_DISK : EK_RULE_NONE;
}

static size_t list_of(const struct ek_planner *planner, const struct ek_slot *slot, bool by_bytes, struct ek_weighed *ret)
{
    const struct ek_board *board = &planner->board;
    for (size_t i = 0; i < slot->count; i++) {
        uint16_t shard = board->list[slot->first + i];
        double weight = by_bytes ? board->pieces[shard].level[EK_PLAN_STORED] : weight_of(planner, shard);
        ret[i] = (struct ek_weighed){.shard = shard, .weight = weight};
    }
    ek_plan_sort(ret, slot->count);
    return slot->count;
}

static void hold_leaver(struct ek_planner *planner, const struct ek_slot *slot, uint16_t shard, enum ek_plan_reason reason,
                        enum ek_plan_rule rule)
{
    ek_plan_hold(planner, &(struct ek_plan_entry){.shard = shard,
                                                  .source = slot->worker,
                                                  .target = EK_PLAN_NOBODY,
                                                  .reason = reason,
                                                  .rule = rule,
                                                  .bytes = planner->snapshot->shards[shard].stored_bytes});
}

static void drain_slot(struct ek_planner *planner, struct ek_slot *slot)
{
    enum ek_plan_rule refused = may_take(planner, slot);
    planner->loads[slot->worker].drain = refused;
    size_t count = list_of(planner, slot, false, planner->weighed);
    for (size_t i = 0; i < count; i++) {
        uint16_t shard = planner->weighed[i].shard;
        enum ek_plan_rule rule = refused ? refused : ek_plan_may_leave(planner, shard);
        int target = rule ? EK_PLAN_NOBODY : coldest_with(planner, shard, slot->worker);
        if (target >= 0)
            (void)ek_plan_add(planner, shard, planner->board.slot_of[slot->worker], target, EK_PLAN_DRAIN);
        else
            hold_leaver(planner, slot, shard, EK_PLAN_DRAIN, rule ? rule : EK_RULE_DISK);
    }
}

/* ---- full disks ---- */

/* The member whose disk stays emptiest and takes it, or none. */
static int emptiest(const struct ek_planner *planner, uint64_t bytes, int besides)
{
    const struct ek_board *board = &planner->board;
    int found = EK_PLAN_NOBODY;
    double least = 0;
    for (size_t i = 0; i < board->slot_count; i++) {
        const struct ek_slot *slot = &board->slots[i];
        if (!slot->member || slot->worker == besides || !ek_plan_fits_disk(planner, slot, bytes))
            continue;
        double used = (double)(slot->disk_bytes + bytes) / (double)slot->seen->disk_total_bytes;
        if (found < 0 || used < least) {
            found = (int)i;
            least = used;
        }
    }
    return found;
}

/* What left a short time ago is deleted only after a grace period, so it is taken off what the disk says. */
static void relieve_slot(struct ek_planner *planner, struct ek_slot *slot)
{
    double gone = (double)(slot->veteran->released_bytes + slot->leaving_bytes);
    double over = (double)slot->disk_bytes - gone - planner->rules->disk_full * (double)slot->seen->disk_total_bytes;
    if (slot->seen->disk_total_bytes == 0 || over <= 0)
        return;
    size_t count = list_of(planner, slot, true, planner->weighed);
    for (size_t i = 0; i < count && over > 0; i++) {
        uint16_t shard = planner->weighed[i].shard;
        uint64_t bytes = planner->snapshot->shards[shard].stored_bytes;
        enum ek_plan_rule rule = ek_plan_may_leave(planner, shard);
        int target = rule ? EK_PLAN_NOBODY : emptiest(planner, bytes, slot->worker);
        if (target < 0) {
            hold_leaver(planner, slot, shard, EK_PLAN_FULL, rule ? rule : EK_RULE_DISK);
            continue;
        }
        (void)ek_plan_add(planner, shard, planner->board.slot_of[slot->worker], target, EK_PLAN_FULL);
        over -= (double)bytes;
    }
}

void ek_plan_drain(struct ek_planner *planner)
{
    struct ek_board *board = &planner->board;
    for (size_t i = 0; i < board->slot_count; i++)
        if (board->slots[i].seen->state == EK_PLAN_DRAINING)
            drain_slot(planner, &board->slots[i]);
    for (size_t i = 0; i < board->slot_count; i++)
        if (board->slots[i].member)
            relieve_slot(planner, &board->slots[i]);
}

enum ek_plan_rule ek_plan_may_drain(const struct ek_planner *planner, int worker)
{
    int slot = planner->board.slot_of[worker];
    return slot < 0 ? EK_RULE_MOVING : may_take(planner, &planner->board.slots[slot]);
}
