#include "tests/planner/world.h"

#include "common/bytes.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_US  1e6
#define RATE_BYTES ((double)(UINT64_C(200) * EK_MIB)) /* of a worker's disk and network */
#define DISK_BYTES ((double)(UINT64_C(256) * 1024 * EK_MIB))
#define SHARE_OUT  0.20 /* what all copies of a worker may take together, each way */
#define COPY_WORK  0.5  /* seconds of work that a second of copying at full rate costs */
#define NOISE      0.05 /* of a shard's arrivals, beside chance */
#define LOST       0.01

enum { COPIES_OUT = 1, COPIES_IN = 2, EVENT_START = 1, EVENT_END, EVENT_FAIL, EVENT_STATE };

static void note(struct ps_world *world, uint64_t event, uint64_t a, uint64_t b, uint64_t c)
{
    world->hash = ps_mix(world->hash, ps_mix(ps_mix(world->tick, event), ps_mix(a, ps_mix(b, c))));
}

void ps_world_break(struct ps_world *world, const char *format, ...)
{
    world->broken++;
    if (!world->log || world->broken > 10)
        return;
    (void)fprintf(world->log, "broken at second %" PRIu64 ": ", world->tick);
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(world->log, format, arguments);
    va_end(arguments);
    (void)fputc('\n', world->log);
}

/* ---- life ---- */

static void open_worker(struct ps_world *world, size_t index, double capacity)
{
    struct ps_worker *worker = &world->workers[index];
    *worker = (struct ps_worker){.exists = true, .state = EK_PLAN_UP, .capacity = capacity, .speed = 1, .up_since = world->tick};
    uint64_t id[2] = {ps_mix(world->options.seed, index), ps_mix(index, world->options.seed)};
    memcpy(&worker->id, id, sizeof worker->id);
}

void ps_world_open(struct ps_world *world, const struct ps_options *options)
{
    *world = (struct ps_world){.options = *options, .random.state = ps_mix(options->seed, 77), .log = stderr};
    world->shards = ek_alloc_zero(options->shards, sizeof *world->shards);
    world->worker_count = options->workers;
    for (size_t i = 0; i < options->workers; i++)
        open_worker(world, i, options->capacities ? options->capacities[i] : 1);
    for (uint32_t i = 0; i < options->shards; i++) {
        struct ps_shard *shard = &world->shards[i];
        shard->service_us = 100;
        shard->write_bytes = 500;
        shard->net_bytes = 700;
        shard->stored = options->shard_bytes;
        shard->learner = -1;
        shard->holder = options->homeless ? -1 : (int)(i % options->workers);
        shard->holder_before = shard->holder;
    }
}

void ps_world_close(struct ps_world *world)
{
    free(world->shards);
    free(world->moves);
    free(world->ratios);
    free(world->bounds);
    *world = (struct ps_world){0};
}

/* ---- a second ---- */

/* Of work that is done in bulk: the more a worker has, the less each of it takes. */
static void find_efforts(const struct ps_world *world, double efforts[PS_WORKERS_MAX])
{
    for (size_t i = 0; i < world->worker_count; i++) {
        double used = world->options.bulk > 0 ? fmin(1, ps_world_load(world, (int)i) / world->workers[i].capacity) : 0;
        efforts[i] = 1 + world->options.bulk * (1 - used);
    }
}

static void arrive(struct ps_world *world)
{
    double efforts[PS_WORKERS_MAX];
    find_efforts(world, efforts);
    for (uint32_t i = 0; i < world->options.shards; i++) {
        struct ps_shard *shard = &world->shards[i];
        double count = shard->rate;
        if (!world->options.calm)
            count = ps_random_arrivals(&world->random, shard->rate, NOISE);
        shard->queue += count;
        bool served = shard->holder >= 0;
        /* What takes longer is more work. */
        double slow = served ? world->workers[shard->holder].speed / efforts[shard->holder] : 1;
        memcpy(shard->before[world->tick % (PS_DELAY_MAX + 1)], shard->counted, sizeof shard->counted);
        shard->counted[0] += count * shard->service_us / slow;
        shard->counted[1] += count * shard->write_bytes;
        shard->counted[2] += count * shard->net_bytes;
    }
}

static void serve(struct ps_world *world)
{
    double wanted[PS_WORKERS_MAX] = {0};
    for (uint32_t i = 0; i < world->options.shards; i++)
        if (world->shards[i].holder >= 0)
            wanted[world->shards[i].holder] += world->shards[i].queue * world->shards[i].service_us;
    double served[PS_WORKERS_MAX];
    for (size_t i = 0; i < world->worker_count; i++) {
        struct ps_worker *worker = &world->workers[i];
        double can = worker->capacity * worker->speed * SECOND_US * (1 - COPY_WORK * fmin(1, worker->copied / RATE_BYTES));
        if (worker->state == EK_PLAN_AWAY)
            can = 0;
        served[i] = wanted[i] > can ? can / wanted[i] : 1;
        worker->queued_us = wanted[i] * (1 - served[i]) / (worker->capacity * worker->speed);
        worker->copied = 0;
        worker->released[world->tick % PS_GRACE_TICKS] = 0;
    }
    for (uint32_t i = 0; i < world->options.shards; i++)
        if (world->shards[i].holder >= 0)
            world->shards[i].queue *= 1 - served[world->shards[i].holder];
}

/* A report brings all counters of the worker's shards, as they were when it was sent. */
static void report(struct ps_world *world)
{
    uint64_t sent[PS_WORKERS_MAX];
    for (size_t i = 0; i < world->worker_count; i++) {
        struct ps_worker *worker = &world->workers[i];
        uint64_t delay = world->options.calm ? 0 : 1 + ps_random_below(&world->random, PS_DELAY_MAX);
        bool lost = !world->options.calm && ps_random_unit(&world->random) < LOST;
        sent[i] = 0;
        if (worker->state == EK_PLAN_AWAY || lost || world->tick < delay || world->tick - delay <= worker->reported)
            continue;
        sent[i] = worker->reported = world->tick - delay;
    }
    for (uint32_t i = 0; i < world->options.shards; i++) {
        struct ps_shard *shard = &world->shards[i];
        uint64_t tick = shard->holder >= 0 ? sent[shard->holder] : 0;
        shard->fresh = tick > shard->seen;
        if (!shard->fresh)
            continue;
        const double *counted = tick == world->tick ? shard->counted : shard->before[(tick + 1) % (PS_DELAY_MAX + 1)];
        for (size_t r = 0; r < 3; r++) {
            shard->rates[r] = (counted[r] - shard->known[r]) / (double)(tick - shard->seen);
            shard->known[r] = counted[r];
        }
        shard->seen = tick;
    }
}

void ps_world_begin(struct ps_world *world)
{
    world->tick++;
    arrive(world);
    serve(world);
    report(world);
}

/* ---- moves ---- */

static void end_copy(struct ps_world *world, struct ps_shard *shard)
{
    if (shard->holder >= 0) {
        world->workers[shard->holder].released[world->tick % PS_GRACE_TICKS] += shard->stored;
        shard->moved = world->tick;
    }
    shard->holder = shard->learner;
    shard->learner = -1;
    shard->epoch++;
}

static bool lanes_are_free(const struct ps_world *world, int source, int target)
{
    unsigned out = 0;
    unsigned in = 0;
    for (uint32_t i = 0; i < world->options.shards; i++) {
        const struct ps_shard *shard = &world->shards[i];
        if (shard->learner < 0 || shard->holder < 0 || shard->stored <= 0)
            continue;
        out += shard->holder == source;
        in += shard->learner == target;
    }
    return out < COPIES_OUT && in < COPIES_IN;
}

bool ps_world_start(struct ps_world *world, uint16_t number, int target, double bytes_per_second, enum ek_plan_reason reason)
{
    struct ps_shard *shard = &world->shards[number];
    if (shard->learner >= 0 || world->workers[target].state != EK_PLAN_UP || shard->holder == target)
        return false;
    bool free_move = shard->holder < 0 || shard->stored <= 0;
    if (!free_move && (world->workers[shard->holder].state == EK_PLAN_AWAY || !lanes_are_free(world, shard->holder, target)))
        return false;
    if (world->move_count == world->move_capacity)
        world->moves = ek_grow(world->moves, &world->move_capacity, world->move_count + 1, sizeof *world->moves);
    world->moves[world->move_count++] = (struct ps_move){.tick = world->tick,
                                                         .shard = number,
                                                         .from = shard->holder,
                                                         .to = target,
                                                         .bytes = free_move ? 0 : shard->stored,
                                                         .reason = reason};
    note(world, EVENT_START, number, (uint64_t)shard->holder, (uint64_t)target);
    shard->learner = target;
    shard->copy_left = free_move || world->options.instant ? 0 : shard->stored;
    shard->copy_rate = bytes_per_second;
    if (!free_move)
        world->copied_bytes += shard->stored;
    return true;
}

int ps_world_take_ended(struct ps_world *world, int *ret_from, bool *ret_failed)
{
    for (uint32_t i = 0; i < world->options.shards; i++) {
        struct ps_shard *shard = &world->shards[i];
        if (shard->learner < 0)
            continue;
        bool failed = world->workers[shard->learner].state == EK_PLAN_AWAY ||
                      (shard->holder >= 0 && world->workers[shard->holder].state == EK_PLAN_AWAY);
        if (!failed && shard->copy_left > 0)
            continue;
        *ret_from = shard->holder;
        *ret_failed = failed;
        note(world, failed ? EVENT_FAIL : EVENT_END, i, (uint64_t)shard->holder, (uint64_t)shard->learner);
        if (failed)
            shard->learner = -1;
        else
            end_copy(world, shard);
        return (int)i;
    }
    return -1;
}

static void copy(struct ps_world *world)
{
    double out[PS_WORKERS_MAX] = {0};
    double in[PS_WORKERS_MAX] = {0};
    for (uint32_t i = 0; i < world->options.shards; i++) {
        struct ps_shard *shard = &world->shards[i];
        if (shard->learner < 0 || shard->copy_left <= 0)
            continue;
        double bytes = fmin(shard->copy_rate, shard->copy_left);
        shard->copy_left -= bytes;
        out[shard->holder] += shard->copy_rate;
        in[shard->learner] += shard->copy_rate;
        world->workers[shard->holder].copied += bytes;
        world->workers[shard->learner].copied += bytes;
    }
    for (size_t i = 0; i < world->worker_count; i++)
        if (fmax(out[i], in[i]) > SHARE_OUT * RATE_BYTES * 1.000001)
            ps_world_break(world, "worker %zu copies at %.0f out, %.0f in", i, out[i], in[i]);
}

/* ---- judging ---- */

static void check(struct ps_world *world)
{
    for (uint32_t i = 0; i < world->options.shards; i++) {
        struct ps_shard *shard = &world->shards[i];
        if (shard->learner >= 0 && shard->learner == shard->holder)
            ps_world_break(world, "shard %u moves to where it is", i);
        if (shard->holder >= 0 && !world->workers[shard->holder].exists)
            ps_world_break(world, "shard %u is held by nobody", i);
        if (shard->epoch < shard->epoch_before || (shard->holder != shard->holder_before && shard->epoch == shard->epoch_before))
            ps_world_break(world, "shard %u has a new holder and no new epoch", i);
        shard->epoch_before = shard->epoch;
        shard->holder_before = shard->holder;
    }
    for (size_t i = 0; i < world->worker_count; i++) {
        struct ps_worker *worker = &world->workers[i];
        if (!worker->was_drained)
            continue;
        for (uint32_t s = 0; s < world->options.shards; s++)
            if (world->shards[s].holder == (int)i || world->shards[s].learner == (int)i)
                ps_world_break(world, "drained worker %zu has shard %u again", i, s);
    }
}

/* True loads, whoever knows them. A hot shard bounds what can be reached. */
static void measure(struct ps_world *world)
{
    double loads[PS_WORKERS_MAX] = {0};
    double total = 0;
    double hottest = 0;
    for (uint32_t i = 0; i < world->options.shards; i++) {
        const struct ps_shard *shard = &world->shards[i];
        double load = shard->rate * shard->service_us / SECOND_US;
        if (shard->holder < 0 || world->workers[shard->holder].state == EK_PLAN_AWAY)
            continue;
        loads[shard->holder] += load;
        total += load;
        hottest = fmax(hottest, load);
    }
    double capacity = 0;
    double most = 0;
    double largest = 0;
    for (size_t i = 0; i < world->worker_count; i++) {
        const struct ps_worker *worker = &world->workers[i];
        if (worker->state != EK_PLAN_UP)
            continue;
        double can = worker->capacity * worker->speed;
        capacity += can;
        most = fmax(most, loads[i] / can);
        largest = fmax(largest, can);
    }
    double mean = capacity > 0 ? total / capacity : 0;
    if (world->tick >= world->ratio_capacity) {
        size_t wanted = world->ratio_capacity;
        world->ratios = ek_grow(world->ratios, &wanted, world->tick + 1, sizeof *world->ratios);
        world->bounds = ek_grow(world->bounds, &world->ratio_capacity, world->tick + 1, sizeof *world->bounds);
    }
    world->ratios[world->tick] = mean > 0 ? most / mean : 1;
    world->bounds[world->tick] = mean > 0 ? fmax(1, hottest / largest / mean) : 1;
}

void ps_world_end(struct ps_world *world)
{
    for (uint32_t i = 0; i < world->options.shards; i++)
        world->shards[i].rate_before = world->shards[i].rate;
    copy(world);
    check(world);
    measure(world);
}

/* ---- scenarios ---- */

int ps_world_add(struct ps_world *world, double capacity)
{
    open_worker(world, world->worker_count, capacity);
    note(world, EVENT_STATE, world->worker_count, EK_PLAN_UP, 0);
    return (int)world->worker_count++;
}

void ps_world_drain(struct ps_world *world, int worker)
{
    world->workers[worker].state = EK_PLAN_DRAINING;
    note(world, EVENT_STATE, (uint64_t)worker, EK_PLAN_DRAINING, 0);
}

void ps_world_stop(struct ps_world *world, int worker, bool copies)
{
    world->workers[worker].state = EK_PLAN_AWAY;
    note(world, EVENT_STATE, (uint64_t)worker, EK_PLAN_AWAY, copies);
    for (uint32_t i = 0; i < world->options.shards && copies; i++) {
        struct ps_shard *shard = &world->shards[i];
        if (shard->holder != worker)
            continue;
        shard->holder = -1;
        shard->learner = -1;
        shard->epoch++;
    }
}

void ps_world_return(struct ps_world *world, int worker)
{
    world->workers[worker].state = EK_PLAN_UP;
    world->workers[worker].up_since = world->tick;
    note(world, EVENT_STATE, (uint64_t)worker, EK_PLAN_UP, 1);
}

/* ---- what is seen ---- */

void ps_world_snapshot(const struct ps_world *world, struct ek_plan_worker *workers, struct ek_plan_shard *shards,
                       struct ek_plan_snapshot *ret)
{
    double used[PS_WORKERS_MAX] = {0};
    for (uint32_t i = 0; i < world->options.shards; i++) {
        const struct ps_shard *shard = &world->shards[i];
        if (shard->holder >= 0)
            used[shard->holder] += shard->stored;
        shards[i] = (struct ek_plan_shard){.holder = shard->holder,
                                           .learner = shard->learner,
                                           .movable = shard->holder >= 0 && world->workers[shard->holder].state != EK_PLAN_AWAY,
                                           .empty = shard->stored <= 0,
                                           .sampled = shard->fresh,
                                           .stored_bytes = (uint64_t)shard->stored};
        memcpy(shards[i].rates, shard->rates, sizeof shards[i].rates);
    }
    for (size_t i = 0; i < world->worker_count; i++) {
        const struct ps_worker *worker = &world->workers[i];
        for (size_t t = 0; t < PS_GRACE_TICKS; t++)
            used[i] += worker->released[t];
        workers[i] = (struct ek_plan_worker){.id = worker->id,
                                             .state = worker->state,
                                             .capacity_milli = (uint32_t)lround(worker->capacity * 1000),
                                             .up_since_us = worker->up_since * UINT64_C(1000000),
                                             .disk_total_bytes = (uint64_t)DISK_BYTES,
                                             .disk_free_bytes = (uint64_t)fmax(0, DISK_BYTES - used[i]),
                                             .rate_bytes = (uint64_t)RATE_BYTES,
                                             .queued_us = (uint64_t)worker->queued_us};
    }
    *ret = (struct ek_plan_snapshot){.now_us = world->tick * UINT64_C(1000000),
                                     .workers = workers,
                                     .worker_count = world->worker_count,
                                     .shards = shards,
                                     .balance = true};
}

double ps_world_load(const struct ps_world *world, int worker)
{
    double sum = 0;
    for (uint32_t i = 0; i < world->options.shards; i++)
        if (world->shards[i].holder == worker)
            sum += world->shards[i].rate * world->shards[i].service_us / SECOND_US;
    return sum;
}

double ps_world_bytes(const struct ps_world *world, int worker)
{
    double sum = 0;
    for (uint32_t i = 0; i < world->options.shards; i++)
        if (world->shards[i].holder == worker)
            sum += world->shards[i].stored;
    return sum;
}

size_t ps_world_members(const struct ps_world *world)
{
    size_t count = 0;
    for (size_t i = 0; i < world->worker_count; i++)
        count += world->workers[i].state == EK_PLAN_UP;
    return count;
}
