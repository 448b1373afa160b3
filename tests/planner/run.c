#include "tests/planner/run.h"

#include "common/bytes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void ps_run_open(struct ps_run *run, const struct ps_options *options, enum ps_kind kind, const struct ek_plan_rules *rules,
                 bool twin)
{
    *run = (struct ps_run){.since = 1};
    ps_world_open(&run->world, options);
    run->policy = ps_policy_open(kind, rules, &run->world, twin);
    for (size_t i = 0; i < run->world.worker_count; i++)
        run->capacity += run->world.workers[i].capacity;
}

uint64_t ps_run_close(struct ps_run *run)
{
    uint64_t broken = run->world.broken;
    ps_policy_close(&run->policy);
    ps_world_close(&run->world);
    return broken;
}

void ps_run_shape(struct ps_run *run, enum ps_shape shape, double amount, uint64_t period)
{
    run->load = (struct ps_load){.shape = shape, .amount = amount, .period = period};
    run->since = run->world.tick + 1;
}

void ps_run_seconds(struct ps_run *run, uint64_t seconds)
{
    for (uint64_t i = 0; i < seconds; i++) {
        run->world.tick++; /* the load is that of the second that begins */
        ps_load_apply(&run->world, &run->load, run->capacity, run->since);
        run->world.tick--;
        ps_world_begin(&run->world);
        ps_policy_step(run->policy, &run->world);
        ps_world_end(&run->world);
    }
}

/* ---- what came of it ---- */

static int by_value(const void *a, const void *b)
{
    double one = *(const double *)a;
    double other = *(const double *)b;
    return one < other ? -1 : one > other;
}

double ps_run_worst(const struct ps_run *run, uint64_t seconds, bool over_bound)
{
    double worst = 0;
    for (uint64_t t = run->world.tick - seconds + 1; t <= run->world.tick; t++)
        worst = fmax(worst, run->world.ratios[t] / (over_bound ? run->world.bounds[t] : 1));
    return worst;
}

double ps_run_bound(const struct ps_run *run)
{
    const struct ps_world *world = &run->world;
    uint32_t shards = world->options.shards;
    double *loads = ek_alloc(shards * sizeof *loads);
    double capacity = 0;
    double largest = 0;
    double total = 0;
    size_t workers = 0;
    for (uint32_t i = 0; i < shards; i++) {
        loads[i] = -world->shards[i].rate; /* the hottest first */
        total += world->shards[i].rate;
    }
    for (size_t i = 0; i < world->worker_count; i++) {
        if (world->workers[i].state != EK_PLAN_UP)
            continue;
        workers++;
        capacity += world->workers[i].capacity * world->workers[i].speed;
        largest = fmax(largest, world->workers[i].capacity * world->workers[i].speed);
    }
    qsort(loads, shards, sizeof *loads, by_value);
    double bound = 1;
    for (size_t n = 0; n * workers < shards && total > 0; n++) {
        double together = 0;
        for (size_t i = 0; i <= n; i++)
            together -= loads[n * workers - i];
        bound = fmax(bound, together / largest / (total / capacity));
    }
    free(loads);
    return bound;
}

double ps_run_mean(const struct ps_run *run, uint64_t seconds)
{
    double sum = 0;
    for (uint64_t t = run->world.tick - seconds + 1; t <= run->world.tick; t++)
        sum += run->world.ratios[t];
    return sum / (double)seconds;
}

double ps_run_quantile(const struct ps_run *run, uint64_t seconds, double quantile)
{
    double *sorted = ek_alloc(seconds * sizeof *sorted);
    memcpy(sorted, run->world.ratios + run->world.tick - seconds + 1, seconds * sizeof *sorted);
    qsort(sorted, seconds, sizeof *sorted, by_value);
    double found = sorted[(size_t)(quantile * (double)(seconds - 1))];
    free(sorted);
    return found;
}

double ps_run_settled_after(const struct ps_run *run, uint64_t from, double limit)
{
    uint64_t last = from;
    for (uint64_t t = from + 1; t <= run->world.tick; t++)
        if (run->world.ratios[t] >= limit)
            last = t;
    return last == run->world.tick ? NAN : (double)(last - from);
}

double ps_run_rounds(const struct ps_run *run, uint64_t from)
{
    size_t count;
    const uint64_t *ticks = ps_policy_busy_rounds(run->policy, &count);
    uint64_t first = 0;
    uint64_t last = 0;
    for (size_t i = 0; i < count; i++) {
        if (ticks[i] <= from)
            continue;
        first = first ? first : ticks[i];
        last = ticks[i];
    }
    if (count == 0) /* not the planner: its moves tell */
        for (size_t i = 0; i < run->world.move_count; i++)
            if (run->world.moves[i].tick > from) {
                first = first ? first : run->world.moves[i].tick;
                last = run->world.moves[i].tick;
            }
    uint64_t rounds = first ? (last - first) / 5 + 1 : 0;
    return (double)rounds;
}

size_t ps_run_moves(const struct ps_run *run, uint64_t from)
{
    size_t count = 0;
    for (size_t i = 0; i < run->world.move_count; i++)
        count += run->world.moves[i].tick > from;
    return count;
}

double ps_run_moved_bytes(const struct ps_run *run, uint64_t from)
{
    double sum = 0;
    for (size_t i = 0; i < run->world.move_count; i++)
        if (run->world.moves[i].tick > from)
            sum += run->world.moves[i].bytes;
    return sum;
}

size_t ps_run_returns(const struct ps_run *run, uint64_t from)
{
    const struct ps_world *world = &run->world;
    int *former = ek_alloc(world->options.shards * sizeof *former);
    for (uint32_t i = 0; i < world->options.shards; i++)
        former[i] = -1;
    size_t count = 0;
    for (size_t i = 0; i < world->move_count; i++) {
        const struct ps_move *move = &world->moves[i];
        if (move->tick <= from)
            continue;
        count += former[move->shard] == move->to;
        former[move->shard] = move->from;
    }
    free(former);
    return count;
}

size_t ps_run_moved_twice(const struct ps_run *run, uint64_t from)
{
    const struct ps_world *world = &run->world;
    bool *moved = ek_alloc_zero(world->options.shards, sizeof *moved);
    size_t count = 0;
    for (size_t i = 0; i < world->move_count; i++) {
        if (world->moves[i].tick <= from)
            continue;
        count += moved[world->moves[i].shard];
        moved[world->moves[i].shard] = true;
    }
    free(moved);
    return count;
}
