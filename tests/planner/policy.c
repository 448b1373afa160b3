#include "tests/planner/policy.h"

#include "common/bytes.h"
#include "tests/planner/baselines.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EPSILON 1e-9

struct ps_policy {
    enum ps_kind kind;
    const struct ek_plan_rules *rules;
    struct ek_planner *planner;
    struct ek_planner *twin;
    struct ps_baseline *baseline;
    struct ek_plan_worker workers[PS_WORKERS_MAX];
    struct ek_plan_shard *shards;
    struct ek_plan_worker other_workers[PS_WORKERS_MAX]; /* the same in reverse order */
    struct ek_plan_shard *other_shards;
    double *times_us;
    size_t time_count;
    size_t time_capacity;
    uint64_t *rounds; /* ticks of rounds that planned something, trimming aside */
    size_t round_count;
    size_t round_capacity;
    uint64_t round_seen;
    uint64_t balance_started; /* since that round */
};

struct ps_policy *ps_policy_open(enum ps_kind kind, const struct ek_plan_rules *rules, const struct ps_world *world, bool twin)
{
    struct ps_policy *policy = ek_alloc_zero(1, sizeof *policy);
    uint32_t shards = world->options.shards;
    policy->kind = kind;
    policy->rules = rules;
    policy->shards = ek_alloc_zero(shards, sizeof *policy->shards);
    policy->other_shards = ek_alloc_zero(shards, sizeof *policy->other_shards);
    if (kind == PS_PLANNER)
        policy->planner = ek_planner_new(rules, shards);
    else
        policy->baseline = ps_baseline_open(kind, shards);
    if (kind == PS_PLANNER && twin)
        policy->twin = ek_planner_new(rules, shards);
    return policy;
}

void ps_policy_close(struct ps_policy **policy)
{
    ek_planner_destroy(&(*policy)->planner);
    ek_planner_destroy(&(*policy)->twin);
    ps_baseline_close(&(*policy)->baseline);
    free((*policy)->shards);
    free((*policy)->other_shards);
    free((*policy)->times_us);
    free((*policy)->rounds);
    free(*policy);
    *policy = NULL;
}

/* ---- checks ---- */

static void check_start(const struct ps_policy *policy, struct ps_world *world, const struct ek_plan_entry *entry)
{
    const struct ps_shard *shard = &world->shards[entry->shard];
    bool balances = entry->reason == EK_PLAN_BALANCE || entry->reason == EK_PLAN_EXCHANGE;
    if (!balances)
        return;
    uint64_t cooldown = policy->rules->cooldown_us / 1000000;
    if (shard->moved && world->tick - shard->moved < cooldown && !entry->waived)
        ps_world_break(world, "shard %u moves inside its cooldown", entry->shard);
    double turned = policy->rules->inversion_share * (entry->source_before - entry->target_before);
    if (entry->reason == EK_PLAN_BALANCE && entry->target_after > entry->source_after + turned + EPSILON)
        ps_world_break(world, "shard %u turns the order of its workers round", entry->shard);
}

/* Balancing may begin so much in a round, joins aside. */
static void check_round(struct ps_policy *policy, struct ps_world *world, const struct ek_plan_entry *starts, size_t count)
{
    const struct ek_plan *plan = ek_planner_plan(policy->planner);
    if (plan->round != policy->round_seen)
        policy->balance_started = 0;
    policy->round_seen = plan->round;
    for (size_t i = 0; i < count; i++)
        if ((starts[i].reason == EK_PLAN_BALANCE && starts[i].target_before >= 1 - EPSILON) || starts[i].reason == EK_PLAN_EXCHANGE)
            policy->balance_started++;
    if ((double)policy->balance_started > policy->rules->round_share * world->options.shards + 1)
        ps_world_break(world, "a round began %" PRIu64 " moves", policy->balance_started);
}

static int mirrored(const struct ek_plan_snapshot *snapshot, int worker)
{
    return worker < 0 ? worker : (int)snapshot->worker_count - 1 - worker;
}

static void check_twin(struct ps_policy *policy, struct ps_world *world, const struct ek_plan_snapshot *snapshot,
                       const struct ek_plan_entry *starts, size_t count)
{
    struct ek_plan_snapshot other = *snapshot;
    other.workers = policy->other_workers;
    other.shards = policy->other_shards;
    for (size_t i = 0; i < snapshot->worker_count; i++)
        policy->other_workers[mirrored(snapshot, (int)i)] = snapshot->workers[i];
    for (uint32_t i = 0; i < world->options.shards; i++) {
        policy->other_shards[i] = snapshot->shards[i];
        policy->other_shards[i].holder = mirrored(snapshot, snapshot->shards[i].holder);
        policy->other_shards[i].learner = mirrored(snapshot, snapshot->shards[i].learner);
    }
    size_t other_count;
    const struct ek_plan_entry *others = ek_planner_step(policy->twin, &other, &other_count);
    bool same = count == other_count;
    for (size_t i = 0; i < count && same; i++)
        same = starts[i].shard == others[i].shard && starts[i].source == mirrored(snapshot, others[i].source) &&
               starts[i].target == mirrored(snapshot, others[i].target);
    if (!same)
        ps_world_break(world, "workers in another order get another plan");
}

/* ---- steps ---- */

static double processor_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void take_ended(struct ps_policy *policy, struct ps_world *world)
{
    int from;
    bool failed;
    for (int shard; (shard = ps_world_take_ended(world, &from, &failed)) >= 0;) {
        struct ek_planner *planners[] = {policy->planner, policy->twin};
        for (size_t i = 0; i < 2; i++) {
            if (!planners[i])
                continue;
            if (failed)
                ek_planner_failed(planners[i], (uint16_t)shard, world->tick * UINT64_C(1000000));
            else if (from >= 0)
                ek_planner_moved(planners[i], (uint16_t)shard, &world->workers[from].id, world->tick * UINT64_C(1000000));
        }
    }
}

/* Trimming begins where balancing has settled. */
static bool balances(const struct ek_plan *plan, const struct ek_plan_entry *starts, size_t started)
{
    for (size_t i = 0; i < plan->count; i++)
        if (!plan->entries[i].trims)
            return true;
    for (size_t i = 0; i < started; i++)
        if (!starts[i].trims)
            return true;
    return false;
}

static void note_round(struct ps_policy *policy, const struct ps_world *world, uint64_t before, const struct ek_plan_entry *starts,
                       size_t started, double took_us)
{
    const struct ek_plan *plan = ek_planner_plan(policy->planner);
    if (plan->round == before)
        return;
    if (policy->time_count == policy->time_capacity)
        policy->times_us = ek_grow(policy->times_us, &policy->time_capacity, policy->time_count + 1, sizeof *policy->times_us);
    policy->times_us[policy->time_count++] = took_us;
    if (!balances(plan, starts, started))
        return;
    if (policy->round_count == policy->round_capacity)
        policy->rounds = ek_grow(policy->rounds, &policy->round_capacity, policy->round_count + 1, sizeof *policy->rounds);
    policy->rounds[policy->round_count++] = world->tick;
}

static size_t step_planner(struct ps_policy *policy, struct ps_world *world)
{
    struct ek_plan_snapshot snapshot;
    ps_world_snapshot(world, policy->workers, policy->shards, &snapshot);
    uint64_t round = ek_planner_plan(policy->planner)->round;
    double began_us = processor_us();
    size_t count;
    const struct ek_plan_entry *starts = ek_planner_step(policy->planner, &snapshot, &count);
    note_round(policy, world, round, starts, count, processor_us() - began_us);
    check_round(policy, world, starts, count);
    if (policy->twin)
        check_twin(policy, world, &snapshot, starts, count);
    for (size_t i = 0; i < count; i++) {
        check_start(policy, world, &starts[i]);
        if (!ps_world_start(world, starts[i].shard, starts[i].target, (double)starts[i].bytes_per_second, starts[i].reason))
            ps_world_break(world, "the move of shard %u cannot begin", starts[i].shard);
    }
    return count;
}

static size_t step(struct ps_policy *policy, struct ps_world *world)
{
    if (policy->planner)
        return step_planner(policy, world);
    struct ek_plan_snapshot snapshot;
    ps_world_snapshot(world, policy->workers, policy->shards, &snapshot);
    return ps_baseline_step(policy->baseline, world, &snapshot);
}

static void end_drains(struct ps_world *world)
{
    for (size_t i = 0; i < world->worker_count; i++) {
        struct ps_worker *worker = &world->workers[i];
        if (worker->state != EK_PLAN_DRAINING)
            continue;
        bool empty = true;
        for (uint32_t s = 0; s < world->options.shards && empty; s++)
            empty = world->shards[s].holder != (int)i;
        worker->was_drained = worker->was_drained || empty;
    }
}

void ps_policy_step(struct ps_policy *policy, struct ps_world *world)
{
    take_ended(policy, world);
    while (step(policy, world) > 0) {
        size_t moving = 0;
        for (uint32_t i = 0; i < world->options.shards; i++) {
            moving += world->shards[i].learner >= 0 && world->shards[i].copy_left <= 0;
            world->shards[i].fresh = false;
        }
        if (moving == 0)
            break;
        take_ended(policy, world);
    }
    end_drains(world);
}

/* ---- what is asked ---- */

const char *ps_policy_name(enum ps_kind kind)
{
    static const char *const names[PS_KINDS] = {[PS_PLANNER] = "planner", [PS_MODULO] = "modulo", [PS_HASHING] = "hashing",
                                                [PS_COUNT] = "count",     [PS_SLICER] = "slicer", [PS_ORACLE] = "oracle"};
    return names[kind];
}

const struct ek_plan *ps_policy_plan(const struct ps_policy *policy)
{
    return policy->planner ? ek_planner_plan(policy->planner) : NULL;
}

const double *ps_policy_times(const struct ps_policy *policy, size_t *ret_count)
{
    *ret_count = policy->time_count;
    return policy->times_us;
}

const uint64_t *ps_policy_busy_rounds(const struct ps_policy *policy, size_t *ret_count)
{
    *ret_count = policy->round_count;
    return policy->rounds;
}
