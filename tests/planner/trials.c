#include "tests/planner/trials.h"

#include <math.h>

enum { LENGTH = 360, BEGIN = 60, SETTLED = 60 };

enum event {
    NOTHING,
    SLOW, /* one worker does half of what it did */
    BULK, /* an empty cluster is filled with data */
    ADD_ONE,
    ADD_MANY, /* as many as there are, up to 64 in all */
    DRAIN,
    KILL,
    KILL_COPY, /* once a copy is under way */
    RESTARTS   /* each one is away for ten seconds, one after the other */
};

struct trial {
    enum ps_shape shape;
    double amount;
    uint64_t period;
    enum event event;
    bool unequal;
};

const char *const ps_trial_names[] = {"uniform",
                                      "zipf 0.8",
                                      "zipf 0.99",
                                      "zipf 1.2",
                                      "one key 10 %",
                                      "one key 30 %",
                                      "one key 50 %",
                                      "two keys 10 % on one worker",
                                      "hotspot jumps each 60 s",
                                      "hotspot jumps each 300 s",
                                      "daily sine",
                                      "flash crowd x 10",
                                      "large cold, small hot shards",
                                      "capacities 1:2:4",
                                      "a worker slows down",
                                      "empty, then bulk load",
                                      "one worker is added",
                                      "workers are doubled",
                                      "a worker is drained",
                                      "a worker is killed",
                                      "killed during a copy",
                                      "rolling restart",
                                      "adversary, period of the cooldown"};

static const struct trial trials[] = {
    {.shape = PS_UNIFORM},
    {.shape = PS_ZIPF, .amount = 0.8},
    {.shape = PS_ZIPF, .amount = 0.99},
    {.shape = PS_ZIPF, .amount = 1.2},
    {.shape = PS_ONE_KEY, .amount = 0.1},
    {.shape = PS_ONE_KEY, .amount = 0.3},
    {.shape = PS_ONE_KEY, .amount = 0.5},
    {.shape = PS_TWO_KEYS, .amount = 0.1},
    {.shape = PS_JUMP, .amount = 0.2, .period = 60},
    {.shape = PS_JUMP, .amount = 0.2, .period = 300},
    {.shape = PS_SINE, .amount = 0.7, .period = 3600},
    {.shape = PS_FLASH, .period = 600},
    {.shape = PS_COLD_HOT},
    {.shape = PS_UNIFORM, .unequal = true},
    {.shape = PS_UNIFORM, .event = SLOW},
    {.shape = PS_UNIFORM, .event = BULK},
    {.shape = PS_UNIFORM, .event = ADD_ONE},
    {.shape = PS_UNIFORM, .event = ADD_MANY},
    {.shape = PS_UNIFORM, .event = DRAIN},
    {.shape = PS_ZIPF, .amount = 0.8, .event = KILL},
    {.shape = PS_ZIPF, .amount = 0.8, .event = KILL_COPY},
    {.shape = PS_UNIFORM, .event = RESTARTS},
    {.shape = PS_ADVERSARY, .amount = 0.6, .period = 300},
};
const size_t ps_trial_count = sizeof trials / sizeof *trials;

static bool copies_are_under_way(const struct ps_world *world, int worker)
{
    for (uint32_t i = 0; i < world->options.shards; i++)
        if (world->shards[i].learner >= 0 && (world->shards[i].holder == worker || world->shards[i].learner == worker))
            return true;
    return false;
}

/* What happens in the second after BEGIN that is `age` seconds later. */
static void happen(struct ps_run *run, const struct trial *trial, uint64_t age)
{
    struct ps_world *world = &run->world;
    int victim = 1;
    switch (trial->event) {
    case SLOW:
        if (age == 0)
            world->workers[victim].speed = 0.5;
        break;
    case BULK:
        for (uint32_t i = 0; i < world->options.shards; i++)
            world->shards[i].stored = (double)age * EK_MIB / 16;
        break;
    case ADD_ONE:
        if (age == 0)
            (void)ps_world_add(world, 1);
        break;
    case ADD_MANY:
        for (size_t i = 0; age == 0 && i < world->options.workers && world->worker_count < 64; i++)
            (void)ps_world_add(world, 1);
        break;
    case DRAIN:
        if (age == 0)
            ps_world_drain(world, victim);
        break;
    case KILL:
        if (age == 0)
            ps_world_stop(world, victim, true);
        break;
    case KILL_COPY:
        if (world->workers[victim].state == EK_PLAN_UP && copies_are_under_way(world, victim))
            ps_world_stop(world, victim, true);
        break;
    case RESTARTS:
        if (age % 15 == 0 && age / 15 < world->worker_count)
            ps_world_stop(world, (int)(age / 15), false);
        if (age % 15 == 10 && age / 15 < world->worker_count)
            ps_world_return(world, (int)(age / 15));
        break;
    default:
        break;
    }
}

/* One copy at a time takes a second at least, so that large events take longer than others. */
static uint64_t length_of(const struct trial *trial, const struct ps_options *options)
{
    uint64_t held = options->shards / options->workers;
    if (trial->event == DRAIN || trial->unequal)
        return LENGTH + held;
    if (trial->event == ADD_ONE || trial->event == ADD_MANY || trial->event == RESTARTS)
        return LENGTH + held / 2 + (trial->event == RESTARTS ? 15 * options->workers : 0);
    return LENGTH + (trial->shape == PS_UNIFORM ? 0 : held / 2);
}

struct ps_verdict ps_trial_run(size_t number, size_t size, uint64_t seed, const struct ek_plan_rules *rules, bool twin)
{
    static const unsigned workers[] = {3, 8, 16, 64};
    static const uint32_t shards[] = {256, 512, 1024, 4096};
    const struct trial *trial = &trials[number];
    double capacities[64];
    struct ps_options options = {.workers = workers[size % 4],
                                 .shards = shards[size / 4],
                                 .seed = seed,
                                 .utilisation = 0.45,
                                 .homeless = trial->event == BULK};
    options.shard_bytes = trial->event == BULK ? 0 : 8192.0 * EK_MIB / options.shards;
    for (size_t i = 0; i < 64; i++)
        capacities[i] = (double)(1 << i % 3);
    options.capacities = trial->unequal ? capacities : NULL;
    struct ps_run run;
    ps_run_open(&run, &options, PS_PLANNER, rules, twin);
    ps_run_shape(&run, trial->event == BULK ? PS_IDLE : PS_UNIFORM, 0, 0);
    ps_run_seconds(&run, BEGIN);
    ps_run_shape(&run, trial->shape, trial->amount, trial->period);
    uint64_t length = length_of(trial, &options);
    for (uint64_t age = 0; age < length; age++) {
        happen(&run, trial, age);
        ps_run_seconds(&run, 1);
    }
    if (trial->event == DRAIN && !run.world.workers[1].was_drained)
        ps_world_break(&run.world, "the drained worker is not empty after %u seconds", (unsigned)length);
    size_t moves = ps_run_moves(&run, BEGIN);
    struct ps_verdict verdict = {
        .workers = options.workers,
        .shards = options.shards,
        .settled = trial->period && trial->shape != PS_FLASH ? NAN : ps_run_worst(&run, SETTLED, false) / ps_run_bound(&run),
        .mean = ps_run_mean(&run, length),
        .moved = (double)moves / options.shards,
        .returns = moves ? (double)ps_run_returns(&run, BEGIN) / (double)moves : 0,
        .hash = run.world.hash};
    verdict.broken = ps_run_close(&run);
    return verdict;
}
