#include "tests/support/planner_rig.h"

#define SECOND_US UINT64_C(1000000)
#define GIB       (UINT64_C(1024) * EK_MIB)

void rig_open(struct planner_rig *rig, size_t workers, uint32_t shards)
{
    if (rig->rules.round_us == 0)
        rig->rules = ek_plan_rules;
    rig->now_us = 3600 * SECOND_US;
    rig->balance = true;
    rig->noisy_from = -1;
    rig->worker_count = workers;
    rig->shard_count = shards;
    for (size_t i = 0; i < RIG_WORKERS_MAX; i++)
        rig->workers[i] = (struct ek_plan_worker){.id.bytes = {(uint8_t)(i * 37 + 11)},
                                                  .state = EK_PLAN_UP,
                                                  .capacity_milli = 1000,
                                                  .disk_free_bytes = 100 * GIB,
                                                  .disk_total_bytes = 100 * GIB,
                                                  .rate_bytes = 200 * EK_MIB};
    for (uint32_t i = 0; i < shards; i++)
        rig->shards[i] =
            (struct ek_plan_shard){.holder = (int)(i % workers), .learner = -1, .movable = true, .stored_bytes = EK_MIB};
    rig->planner = ek_planner_new(&rig->rules, shards);
}

void rig_close(struct planner_rig *rig)
{
    ek_planner_destroy(&rig->planner);
    *rig = (struct planner_rig){0};
}

void rig_load(struct planner_rig *rig, uint32_t shard, double busy)
{
    rig->shards[shard].rates[EK_PLAN_BUSY] = busy * 1e6;
}

void rig_load_worker(struct planner_rig *rig, int worker, double busy)
{
    double held = rig_held(rig, worker);
    for (uint32_t i = 0; i < rig->shard_count; i++)
        if (rig->shards[i].holder == worker)
            rig_load(rig, i, busy / held);
}

double rig_busy(const struct planner_rig *rig, int worker)
{
    double sum = 0;
    for (uint32_t i = 0; i < rig->shard_count; i++)
        if (rig->shards[i].holder == worker)
            sum += rig->shards[i].rates[EK_PLAN_BUSY] / 1e6;
    return sum;
}

uint32_t rig_held(const struct planner_rig *rig, int worker)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < rig->shard_count; i++)
        count += rig->shards[i].holder == worker;
    return count;
}

void rig_end_move(struct planner_rig *rig, uint32_t shard)
{
    struct ek_plan_shard *moving = &rig->shards[shard];
    int source = moving->holder;
    moving->holder = moving->learner;
    moving->learner = -1;
    if (source >= 0)
        ek_planner_moved(rig->planner, (uint16_t)shard, &rig->workers[source].id, rig->now_us);
}

void rig_fail_move(struct planner_rig *rig, uint32_t shard)
{
    rig->shards[shard].learner = -1;
    ek_planner_failed(rig->planner, (uint16_t)shard, rig->now_us);
}

static double factor_of(const struct planner_rig *rig, uint32_t shard)
{
    if (rig->noisy_from < 0 || rig->shards[shard].holder < rig->noisy_from)
        return 1;
    static const double factors[] = {1.5, 0.5, 1};
    return factors[(rig->seconds + shard) % 3];
}

static size_t step(struct planner_rig *rig, bool sampled)
{
    struct ek_plan_snapshot snapshot = {.now_us = rig->now_us,
                                        .workers = rig->workers,
                                        .worker_count = rig->worker_count,
                                        .shards = rig->shards,
                                        .balance = rig->balance};
    for (uint32_t i = 0; i < rig->shard_count; i++) {
        rig->shards[i].sampled = sampled;
        for (size_t r = 0; r < EK_PLAN_RATES; r++)
            rig->shards[i].rates[r] *= factor_of(rig, i);
    }
    size_t count;
    const struct ek_plan_entry *starts = ek_planner_step(rig->planner, &snapshot, &count);
    for (uint32_t i = 0; i < rig->shard_count; i++)
        for (size_t r = 0; r < EK_PLAN_RATES; r++)
            rig->shards[i].rates[r] /= factor_of(rig, i);
    for (size_t i = 0; i < count; i++) {
        if (rig->start_count < RIG_STARTS_MAX)
            rig->starts[rig->start_count++] = starts[i];
        rig->shards[starts[i].shard].learner = starts[i].target;
    }
    for (size_t i = 0; i < count; i++)
        if (!rig->slow_copies || starts[i].source < 0)
            rig_end_move(rig, starts[i].shard);
    return rig->slow_copies ? 0 : count;
}

void rig_run(struct planner_rig *rig, uint64_t seconds)
{
    for (uint64_t i = 0; i < seconds; i++) {
        rig->now_us += SECOND_US;
        rig->seconds++;
        for (bool sampled = true; step(rig, sampled) > 0; sampled = false)
            continue;
    }
}

void rig_forget(struct planner_rig *rig)
{
    rig->start_count = 0;
}

size_t rig_moves(const struct planner_rig *rig, enum ek_plan_reason reason)
{
    size_t count = 0;
    for (size_t i = 0; i < rig->start_count; i++)
        count += rig->starts[i].reason == reason;
    return count;
}

bool rig_held_back(const struct planner_rig *rig, enum ek_plan_rule rule)
{
    const struct ek_plan *plan = rig_plan(rig);
    for (size_t i = 0; i < plan->held_count; i++)
        if (plan->held[i].rule == rule)
            return true;
    return false;
}

const struct ek_plan *rig_plan(const struct planner_rig *rig)
{
    return ek_planner_plan(rig->planner);
}
