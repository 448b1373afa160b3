#include "tests/planner/loads.h"

#include "common/bytes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PI 3.14159265358979323846

enum { KEYS = 1000000, RUN = 24, EXPONENTS = 8 };

/* ---- keys ---- */

/* The weights of the keys, largest first, summing up to 1; kept, since they cost a million powers. */
static const double *zipf_weights(double exponent)
{
    static struct {
        double exponent;
        double *weights;
    } kept[EXPONENTS];
    size_t at = 0;
    while (at < EXPONENTS && kept[at].weights && kept[at].exponent != exponent)
        at++;
    if (at == EXPONENTS)
        abort();
    if (!kept[at].weights) {
        double sum = 0;
        kept[at].exponent = exponent;
        kept[at].weights = ek_alloc(KEYS * sizeof(double));
        for (size_t i = 0; i < KEYS; i++)
            sum += kept[at].weights[i] = pow((double)i + 1, -exponent);
        for (size_t i = 0; i < KEYS; i++)
            kept[at].weights[i] /= sum;
    }
    return kept[at].weights;
}

/* Which shard each key is in depends on the seed; shares of all shards sum up to 1. */
static void share_keys_anew(const struct ps_world *world, double exponent, double *shares)
{
    const double *weights = zipf_weights(exponent);
    uint32_t shards = world->options.shards;
    for (uint32_t i = 0; i < shards; i++)
        shares[i] = 0;
    for (uint64_t key = 0; key < KEYS; key++)
        shares[(ps_mix(key, world->options.seed) >> 32) * shards >> 32] += weights[key];
}

static void share_keys(const struct ps_world *world, double exponent, double *shares)
{
    static double kept[EK_SHARDS_MAX];
    static double kept_exponent = -1;
    static uint64_t kept_seed;
    static uint32_t kept_shards;
    uint32_t shards = world->options.shards;
    if (kept_exponent != exponent || kept_seed != world->options.seed || kept_shards != shards)
        share_keys_anew(world, exponent, kept);
    kept_exponent = exponent;
    kept_seed = world->options.seed;
    kept_shards = shards;
    memcpy(shares, kept, shards * sizeof *shares);
}

static uint32_t pick(const struct ps_world *world, uint64_t what)
{
    return (uint32_t)(ps_mix(what, world->options.seed + 1000) % world->options.shards);
}

/* ---- shapes ---- */

static void add_key(const struct ps_world *world, double *shares, uint32_t shard, double amount)
{
    for (uint32_t i = 0; i < world->options.shards; i++)
        shares[i] *= 1 - amount;
    shares[shard] += amount;
}

/* Of shards that lie together, as those of a table or a tenant do, spread over the workers as they happen to be. */
static void add_run(const struct ps_world *world, double *shares, uint32_t first, double amount)
{
    uint32_t shards = world->options.shards;
    uint32_t length = RUN < shards / 4 ? RUN : shards / 4;
    for (uint32_t i = 0; i < shards; i++)
        shares[i] *= 1 - amount;
    for (uint32_t i = 0; i < length; i++)
        shares[(first + i) % shards] += amount / length;
}

/* The same number of shards, all of them of one worker: the worst that can happen to it. */
static void add_worker_run(const struct ps_world *world, double *shares, uint64_t what, double amount)
{
    uint32_t shards = world->options.shards;
    int holder = world->shards[pick(world, what)].holder;
    uint32_t count = 0;
    uint32_t chosen[RUN];
    for (uint32_t i = 0; i < shards && count < RUN / 2; i++)
        if (world->shards[i].holder == holder)
            chosen[count++] = i;
    for (uint32_t i = 0; i < shards; i++)
        shares[i] *= 1 - amount;
    for (uint32_t i = 0; i < count; i++)
        shares[chosen[i]] += amount / count;
}

static void swing(const struct ps_world *world, const struct ps_load *load, double *shares)
{
    double sum = 0;
    for (uint32_t i = 0; i < world->options.shards; i++) {
        double phase = (double)(ps_mix(i, world->options.seed + 5) % 1000) / 1000;
        double day = (double)world->tick / (double)load->period;
        shares[i] *= 1 + load->amount * sin(2 * PI * (day + phase));
        sum += shares[i];
    }
    for (uint32_t i = 0; i < world->options.shards; i++)
        shares[i] /= sum;
}

static void cold_and_hot(const struct ps_world *world, double *shares)
{
    double sum = 0;
    for (uint32_t i = 0; i < world->options.shards; i++) {
        bool hot = ps_mix(i, world->options.seed + 6) % 10 == 0;
        shares[i] = hot ? 1 + (double)(ps_mix(i, 7) % 100) / 100 : 0.005;
        world->shards[i].stored = (hot ? 4.0 : 128.0) * EK_MIB;
        sum += shares[i];
    }
    for (uint32_t i = 0; i < world->options.shards; i++)
        shares[i] /= sum;
}

static void adversary(const struct ps_world *world, const struct ps_load *load, double *shares, uint64_t since)
{
    uint64_t half = (world->tick - since) / load->period % 2;
    double sum = 0;
    for (uint32_t i = 0; i < world->options.shards; i++) {
        shares[i] *= ps_mix(i, world->options.seed + 8) % 2 == half ? 1 + load->amount : 1 - load->amount;
        sum += shares[i];
    }
    for (uint32_t i = 0; i < world->options.shards; i++)
        shares[i] /= sum;
}

static void shape(struct ps_world *world, const struct ps_load *load, double *shares, uint64_t since)
{
    uint64_t turn = load->period ? (world->tick - since) / load->period : 0;
    share_keys(world, load->shape == PS_ZIPF ? load->amount : load->shape == PS_SINE ? 0.8 : 0, shares);
    switch (load->shape) {
    case PS_ONE_KEY:
        add_key(world, shares, pick(world, 1), load->amount);
        break;
    case PS_TWO_KEYS: { /* under round-robin the two are one worker's */
        uint32_t first = pick(world, 1);
        add_key(world, shares, first, load->amount / (1 + load->amount));
        add_key(world, shares, (uint32_t)(first + world->options.workers) % world->options.shards, load->amount);
        break;
    }
    case PS_JUMP:
        add_worker_run(world, shares, 100 + turn, load->amount);
        break;
    case PS_FLASH:
        if ((world->tick - since) % load->period < load->period / 3)
            add_run(world, shares, pick(world, 200 + turn), 9.0 * RUN / world->options.shards);
        break;
    case PS_SINE:
        swing(world, load, shares);
        break;
    case PS_COLD_HOT:
        cold_and_hot(world, shares);
        break;
    case PS_ADVERSARY:
        adversary(world, load, shares, since);
        break;
    default:
        break;
    }
}

static bool changes_now(const struct ps_world *world, const struct ps_load *load, uint64_t since)
{
    uint64_t age = world->tick - since;
    if (load->shape == PS_SINE || age == 0)
        return true;
    if (load->shape == PS_FLASH)
        return age % load->period == 0 || age % load->period == load->period / 3;
    return load->period && age % load->period == 0;
}

void ps_load_apply(struct ps_world *world, const struct ps_load *load, double capacity, uint64_t since)
{
    if (!changes_now(world, load, since))
        return;
    uint32_t shards = world->options.shards;
    double total = load->shape == PS_IDLE ? 0 : world->options.utilisation * capacity;
    double *shares = ek_alloc_zero(shards, sizeof *shares);
    shape(world, load, shares, since);
    for (uint32_t i = 0; i < shards; i++)
        world->shards[i].rate = total * shares[i] * 1e6 / world->shards[i].service_us;
    free(shares);
}
