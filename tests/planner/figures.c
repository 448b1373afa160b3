#include "tests/planner/figures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SHARD_BYTES (16.0 * EK_MIB)

/* Under a sanitizer the planner is not as fast as it is. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TIME_COUNTS false
#else
#define TIME_COUNTS true
#endif

enum { WORKERS = 8, SHARDS = 512, SETTLED = 120 };

static struct ps_options options_of(uint64_t seed)
{
    return (struct ps_options){.workers = WORKERS, .shards = SHARDS, .seed = seed, .utilisation = 0.55, .shard_bytes = SHARD_BYTES};
}

static void open_run(struct ps_run *run, const struct ps_options *options, enum ps_kind kind, const struct ek_plan_rules *rules)
{
    ps_run_open(run, options, kind, rules, options->seed == 1);
    ps_run_shape(run, PS_UNIFORM, 0, 0);
}

/* ---- loads that stay ---- */

static uint64_t uniform(enum ps_kind kind, const struct ek_plan_rules *rules, uint64_t seed, double *ret_values)
{
    struct ps_run run;
    struct ps_options options = options_of(seed);
    options.homeless = true;
    open_run(&run, &options, kind, rules);
    ps_run_seconds(&run, 600);
    ret_values[0] = ps_run_worst(&run, SETTLED, false);
    return ps_run_close(&run);
}

static uint64_t zipf(enum ps_kind kind, const struct ek_plan_rules *rules, uint64_t seed, double *ret_values)
{
    struct ps_run run;
    struct ps_options options = options_of(seed);
    open_run(&run, &options, kind, rules);
    ps_run_seconds(&run, 60);
    ps_run_shape(&run, PS_ZIPF, 0.99, 0);
    ps_run_seconds(&run, 840);
    ret_values[0] = ps_run_worst(&run, SETTLED, true);
    return ps_run_close(&run);
}

static uint64_t unequal(enum ps_kind kind, const struct ek_plan_rules *rules, uint64_t seed, double *ret_values)
{
    static const double capacities[WORKERS] = {1, 2, 4, 1, 2, 4, 1, 2};
    struct ps_run run;
    struct ps_options options = options_of(seed);
    options.capacities = capacities;
    options.homeless = true;
    open_run(&run, &options, kind, rules);
    ps_run_seconds(&run, 900);
    ret_values[0] = ps_run_worst(&run, SETTLED, false);
    return ps_run_close(&run);
}

static double most_written(const struct ps_world *world)
{
    double written[PS_WORKERS_MAX] = {0};
    double total = 0;
    double most = 0;
    for (uint32_t i = 0; i < world->options.shards; i++) {
        double load = world->shards[i].rate * world->shards[i].write_bytes;
        written[world->shards[i].holder] += load;
        total += load;
    }
    for (size_t i = 0; i < world->worker_count; i++)
        most = fmax(most, written[i]);
    return most / (total / (double)world->worker_count);
}

/* Two workers hold all shards with large values. */
static uint64_t mixed(enum ps_kind kind, const struct ek_plan_rules *rules, uint64_t seed, double *ret_values)
{
    struct ps_run run;
    struct ps_options options = options_of(seed);
    open_run(&run, &options, kind, rules);
    for (uint32_t i = 0; i < SHARDS; i++)
        run.world.shards[i].write_bytes = i % WORKERS < 2 ? 24000 : 500;
    ps_run_seconds(&run, 600);
    ret_values[0] = most_written(&run.world);
    ret_values[1] = ps_run_worst(&run, SETTLED, false);
    return ps_run_close(&run);
}

/* ---- loads that change ---- */

static uint64_t jump(enum ps_kind kind, const struct ek_plan_rules *rules, uint64_t seed, double *ret_values)
{
    struct ps_run run;
    struct ps_options options = options_of(seed);
    open_run(&run, &options, kind, rules);
    ps_run_seconds(&run, 200);
    ps_run_shape(&run, PS_JUMP, 0.2, 0);
    ps_run_seconds(&run, 400);
    ret_values[0] = ps_run_settled_after(&run, 200, 1.20);
    ret_values[1] = ps_run_settled_after(&run, 200, 1.10);
    return ps_run_close(&run);
}

/* The first two and a half minutes of a hotspot, before anybody knows how workers waver. What its operations cost changes while
 * it is spread. */
static uint64_t bulk_jump(enum ps_kind kind, const struct ek_plan_rules *rules, uint64_t seed, double *ret_values)
{
    struct ps_run run;
    struct ps_options options = options_of(seed);
    options.bulk = 0.2;
    open_run(&run, &options, kind, rules);
    ps_run_seconds(&run, 20);
    ps_run_shape(&run, PS_JUMP, 0.2, 0);
    ps_run_seconds(&run, 150);
    ret_values[0] = ps_run_mean(&run, 60);
    return ps_run_close(&run);
}

static void measure_shifts(const struct ps_run *run, uint64_t from, double *ret_values)
{
    uint64_t seconds = run->world.tick - from;
    size_t moves = ps_run_moves(run, from);
    ret_values[0] = ps_run_mean(run, seconds);
    ret_values[1] = ps_run_quantile(run, seconds, 0.99);
    ret_values[2] = moves ? 100.0 * (double)ps_run_returns(run, from) / (double)moves : 0;
    ret_values[3] = (double)moves;
}

static uint64_t shift(enum ps_kind kind, const struct ek_plan_rules *rules, uint64_t seed, double *ret_values)
{
    struct ps_run run;
    struct ps_options options = options_of(seed);
    open_run(&run, &options, kind, rules);
    ps_run_shape(&run, PS_SINE, 0.7, 3600);
    ps_run_seconds(&run, 600 + 3600);
    measure_shifts(&run, 600, ret_values);
    return ps_run_close(&run);
}

static uint64_t jumps(enum ps_kind kind, const struct ek_plan_rules *rules, uint64_t seed, uint64_t period, double *ret_values)
{
    struct ps_run run;
    struct ps_options options = options_of(seed);
    open_run(&run, &options, kind, rules);
    ps_run_seconds(&run, 100);
    ps_run_shape(&run, PS_JUMP, 0.2, period);
    ps_run_seconds(&run, period * 6 < 3600 ? 1800 : 3600);
    measure_shifts(&run, 100, ret_values);
    return ps_run_close(&run);
}

static uint64_t jumps_1800(enum ps_kind kind, const struct ek_plan_rules *rules, uint64_t seed, double *ret_values)
{
    return jumps(kind, rules, seed, 1800, ret_values);
}

static uint64_t jumps_300(enum ps_kind kind, const struct ek_plan_rules *rules, uint64_t seed, double *ret_values)
{
    return jumps(kind, rules, seed, 300, ret_values);
}

static uint64_t jumps_60(enum ps_kind kind, const struct ek_plan_rules *rules, uint64_t seed, double *ret_values)
{
    return jumps(kind, rules, seed, 60, ret_values);
}

static uint64_t stationary(enum ps_kind kind, const struct ek_plan_rules *rules, uint64_t seed, double *ret_values)
{
    struct ps_run run;
    struct ps_options options = options_of(seed);
    open_run(&run, &options, kind, rules);
    ps_run_shape(&run, PS_ZIPF, 0.8, 0);
    ps_run_seconds(&run, 600 + 3600);
    ret_values[0] = (double)ps_run_returns(&run, 0);
    ret_values[1] = 100.0 * (double)ps_run_moves(&run, 600) / SHARDS;
    return ps_run_close(&run);
}

/* ---- workers that come and go ---- */

static uint64_t add(enum ps_kind kind, const struct ek_plan_rules *rules, uint64_t seed, double *ret_values)
{
    struct ps_run run;
    struct ps_options options = options_of(seed);
    open_run(&run, &options, kind, rules);
    ps_run_seconds(&run, 200);
    (void)ps_world_add(&run.world, 1);
    ps_run_seconds(&run, 900);
    ret_values[0] = ps_run_moved_bytes(&run, 200) / (SHARDS * SHARD_BYTES / (WORKERS + 1));
    ret_values[1] = ps_run_worst(&run, SETTLED, false);
    return ps_run_close(&run);
}

static uint64_t drain(enum ps_kind kind, const struct ek_plan_rules *rules, uint64_t seed, double *ret_values)
{
    struct ps_run run;
    struct ps_options options = options_of(seed);
    open_run(&run, &options, kind, rules);
    ps_run_seconds(&run, 200);
    double held = ps_world_bytes(&run.world, 3);
    ps_world_drain(&run.world, 3);
    ps_run_seconds(&run, 600);
    ret_values[0] = ps_run_moved_bytes(&run, 200) / held;
    ret_values[1] = (double)ps_run_moved_twice(&run, 200);
    ret_values[2] = ps_world_bytes(&run.world, 3) / held;
    return ps_run_close(&run);
}

static uint64_t rounds(enum ps_kind kind, const struct ek_plan_rules *rules, uint64_t seed, double *ret_values)
{
    uint64_t broken = 0;
    for (size_t i = 0; i < 3; i++) {
        struct ps_run run;
        struct ps_options options = options_of(seed);
        options.instant = true;
        open_run(&run, &options, kind, rules);
        ps_run_seconds(&run, 200);
        if (i == 0)
            (void)ps_world_add(&run.world, 1);
        else if (i == 1)
            ps_world_drain(&run.world, 3);
        else
            ps_run_shape(&run, PS_ZIPF, 0.99, 0);
        ps_run_seconds(&run, 400);
        ret_values[i] = ps_run_rounds(&run, 200);
        broken += ps_run_close(&run);
    }
    return broken;
}

static uint64_t death(enum ps_kind kind, const struct ek_plan_rules *rules, uint64_t seed, double *ret_values)
{
    struct ps_run run;
    struct ps_options options = options_of(seed);
    open_run(&run, &options, kind, rules);
    ps_run_seconds(&run, 200);
    ps_world_stop(&run.world, 3, true);
    ret_values[0] = NAN;
    for (uint64_t i = 1; i <= 60 && isnan(ret_values[0]); i++) {
        uint64_t round = (i + 4) / 5;
        ps_run_seconds(&run, 1);
        size_t homeless = 0;
        for (uint32_t s = 0; s < SHARDS; s++)
            homeless += run.world.shards[s].holder < 0;
        if (homeless == 0)
            ret_values[0] = (double)round;
    }
    return ps_run_close(&run);
}

/* ---- the price ---- */

static int by_value(const void *a, const void *b)
{
    double one = *(const double *)a;
    double other = *(const double *)b;
    return one < other ? -1 : one > other;
}

static uint64_t time_of_plan(enum ps_kind kind, const struct ek_plan_rules *rules, uint64_t seed, double *ret_values)
{
    struct ps_run run;
    struct ps_options options = options_of(seed);
    options.workers = 64;
    options.shards = 4096;
    ps_run_open(&run, &options, kind, rules, false);
    ps_run_shape(&run, PS_ZIPF, 0.8, 0);
    ps_run_seconds(&run, 100);
    ps_run_shape(&run, PS_JUMP, 0.2, 60);
    ps_run_seconds(&run, 200);
    size_t count;
    const double *times_us = ps_policy_times(run.policy, &count);
    double *sorted = malloc((count + 1) * sizeof *sorted);
    if (!sorted)
        abort();
    memcpy(sorted, times_us, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_value);
    ret_values[0] = count ? sorted[(count * 99 + 99) / 100 - 1] / 1000 : 0;
    free(sorted);
    return ps_run_close(&run);
}

/* ---- the table ---- */

const struct ps_figure ps_figures[] = {
    {"G1", "uniform: settled max/mean", 1.05, false, true, uniform, 0},
    {"G2", "zipf 0.99: settled max/mean over bound", 1.05, false, true, zipf, 0},
    {"G3a", "hotspot jumps: seconds to below 1.20", 60, false, true, jump, 0},
    {"G3b", "hotspot jumps: seconds to below 1.10", 120, false, true, jump, 1},
    {"G4a", "shifting load: mean of max/mean", 1.15, false, true, shift, 0},
    {"G4b", "shifting load: p99 of max/mean", 1.35, false, true, shift, 1},
    {"G4c", "jumps each 1800 s: mean of max/mean", 1.15, false, true, jumps_1800, 0},
    {"G4d", "jumps each 1800 s: p99 of max/mean", 1.35, false, true, jumps_1800, 1},
    {"G4e", "jumps each 300 s: mean of max/mean", 1.15, false, true, jumps_300, 0},
    {"G4f", "jumps each 300 s: p99 of max/mean", 1.35, false, true, jumps_300, 1},
    {"G4g", "jumps each 60 s: mean of max/mean", 1.15, false, true, jumps_60, 0},
    {"G4h", "jumps each 60 s: p99 of max/mean", 1.35, false, true, jumps_60, 1},
    {"G5", "worker added: bytes over minimum", 1.05, false, true, add, 0},
    {"G5b", "worker added: settled max/mean", 1.05, false, true, add, 1},
    {"G6a", "worker drained: bytes over held", 1.02, false, true, drain, 0},
    {"G6b", "worker drained: shards moved twice", 0, false, true, drain, 1},
    {"G6c", "worker drained: share left there", 0, false, true, drain, 2},
    {"G7a", "rounds to settle: worker added", 3, true, true, rounds, 0},
    {"G7b", "rounds to settle: worker drained", 3, true, true, rounds, 1},
    {"G7c", "rounds to settle: round-robin to zipf", 5, true, true, rounds, 2},
    {"G8a", "stationary noise: A-B-A", 0, false, true, stationary, 0},
    {"G8b", "stationary noise: % of keys an hour", 1, false, true, stationary, 1},
    {"G9a", "shifting load: % A-B-A of moves", 1, false, true, shift, 2},
    {"G9b", "jumps each 1800 s: % A-B-A of moves", 1, false, true, jumps_1800, 2},
    {"G9c", "jumps each 300 s: % A-B-A of moves", 1, false, true, jumps_300, 2},
    {"G9d", "jumps each 60 s: % A-B-A of moves", 1, false, true, jumps_60, 2},
    {"G10", "capacities 1:2:4: max/weighted mean", 1.05, false, true, unequal, 0},
    {"G11", "ms of one plan, 4096 x 64, p99", 10, true, TIME_COUNTS, time_of_plan, 0},
    {"G12", "worker dies: rounds to reassign all", 1, false, true, death, 0},
    {"S1", "large values: max/mean of bytes written", 1.3, false, false, mixed, 0},
    {"S2", "large values: max/mean of busy time", 1.05, false, false, mixed, 1},
    {"S3", "hotspot, work in bulk: mean after 90 s", 1.05, false, false, bulk_jump, 0},
};
const size_t ps_figure_count = sizeof ps_figures / sizeof *ps_figures;
