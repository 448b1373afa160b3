#include "tests/planner/baselines.h"

#include "broker/planner_load.h"
#include "common/bytes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COPY_RATE   ((double)(UINT64_C(20) * EK_MIB)) /* of one copy, as the planner's */
#define SLACK       1.1
#define ROUND_SHARE 0.09

enum { VIRTUAL_NODES = 100, ROUND_TICKS = 5 };

struct node {
    uint64_t at;
    int worker;
};

struct ps_baseline {
    enum ps_kind kind;
    uint32_t shards;
    int *wanted; /* worker of each shard */
    struct node ring[PS_WORKERS_MAX * VIRTUAL_NODES];
    size_t ring_count;
    struct ek_load *loads;
    const struct ps_world *world; /* PS_ORACLE: whose true loads it sees */
    uint64_t *sampled_us;
    uint64_t shifted_us;
};

struct ps_baseline *ps_baseline_open(enum ps_kind kind, uint32_t shards)
{
    struct ps_baseline *baseline = ek_alloc_zero(1, sizeof *baseline);
    baseline->kind = kind;
    baseline->shards = shards;
    baseline->wanted = ek_alloc_zero(shards, sizeof *baseline->wanted);
    baseline->loads = ek_alloc_zero(shards, sizeof *baseline->loads);
    baseline->sampled_us = ek_alloc_zero(shards, sizeof *baseline->sampled_us);
    return baseline;
}

void ps_baseline_close(struct ps_baseline **baseline)
{
    if (!*baseline)
        return;
    free((*baseline)->wanted);
    free((*baseline)->loads);
    free((*baseline)->sampled_us);
    free(*baseline);
    *baseline = NULL;
}

static bool is_up(const struct ek_plan_snapshot *snapshot, int worker)
{
    return worker >= 0 && snapshot->workers[worker].state == EK_PLAN_UP;
}

/* A shard whose worker is away waits for it. */
static bool is_bound(const struct ek_plan_snapshot *snapshot, uint32_t shard)
{
    int holder = snapshot->shards[shard].holder;
    return holder >= 0 && snapshot->workers[holder].state == EK_PLAN_AWAY;
}

/* ---- modulo ---- */

static void want_modulo(struct ps_baseline *baseline, const struct ek_plan_snapshot *snapshot)
{
    int members[PS_WORKERS_MAX];
    uint32_t count = 0;
    for (size_t i = 0; i < snapshot->worker_count; i++)
        if (snapshot->workers[i].state != EK_PLAN_DRAINING)
            members[count++] = (int)i;
    for (uint32_t i = 0; i < baseline->shards && count; i++)
        baseline->wanted[i] = members[i % count];
}

/* ---- consistent hashing with bounded load ---- */

static int by_place(const void *a, const void *b)
{
    const struct node *one = a;
    const struct node *other = b;
    return one->at < other->at ? -1 : one->at > other->at;
}

static void want_hashing(struct ps_baseline *baseline, const struct ek_plan_snapshot *snapshot)
{
    uint32_t held[PS_WORKERS_MAX] = {0};
    uint32_t members = 0;
    baseline->ring_count = 0;
    for (size_t i = 0; i < snapshot->worker_count; i++) {
        if (!is_up(snapshot, (int)i))
            continue;
        uint64_t id;
        memcpy(&id, &snapshot->workers[i].id, sizeof id);
        members++;
        for (uint64_t n = 0; n < VIRTUAL_NODES; n++)
            baseline->ring[baseline->ring_count++] = (struct node){.at = ps_mix(id, n), .worker = (int)i};
    }
    if (members == 0)
        return;
    qsort(baseline->ring, baseline->ring_count, sizeof *baseline->ring, by_place);
    uint32_t most = (uint32_t)ceil(SLACK * baseline->shards / members);
    for (uint32_t i = 0; i < baseline->shards; i++) {
        uint64_t at = ps_mix(i, 12345);
        size_t node = 0;
        while (node < baseline->ring_count && baseline->ring[node].at < at)
            node++;
        while (held[baseline->ring[node % baseline->ring_count].worker] >= most)
            node++;
        baseline->wanted[i] = baseline->ring[node % baseline->ring_count].worker;
        held[baseline->wanted[i]]++;
    }
}

/* ---- counts ---- */

static void want_counts(struct ps_baseline *baseline, const struct ek_plan_snapshot *snapshot)
{
    uint32_t held[PS_WORKERS_MAX] = {0};
    for (uint32_t i = 0; i < baseline->shards; i++) {
        baseline->wanted[i] = snapshot->shards[i].learner >= 0 ? snapshot->shards[i].learner : snapshot->shards[i].holder;
        if (baseline->wanted[i] >= 0)
            held[baseline->wanted[i]]++;
    }
    for (uint32_t i = 0; i < baseline->shards; i++) {
        int fewest = -1;
        for (size_t w = 0; w < snapshot->worker_count; w++)
            if (is_up(snapshot, (int)w) && (fewest < 0 || held[w] < held[fewest]))
                fewest = (int)w;
        int now = baseline->wanted[i];
        if (fewest < 0 || is_bound(snapshot, i) || snapshot->shards[i].learner >= 0)
            continue;
        if (is_up(snapshot, now) && held[now] <= held[fewest] + 1)
            continue;
        if (now >= 0)
            held[now]--;
        held[fewest]++;
        baseline->wanted[i] = fewest;
    }
}

/* ---- Slicer ---- */

struct view {
    double load[PS_WORKERS_MAX]; /* per capacity */
    double mean;
};

static double load_of(const struct ps_baseline *baseline, uint32_t shard)
{
    const struct ps_world *world = baseline->world;
    return world ? world->shards[shard].rate_before * world->shards[shard].service_us : ek_load_level(&baseline->loads[shard]);
}

static double capacity_of(const struct ek_plan_snapshot *snapshot, int worker)
{
    return snapshot->workers[worker].capacity_milli * 1000.0;
}

static struct view view_of(const struct ps_baseline *baseline, const struct ek_plan_snapshot *snapshot)
{
    struct view view = {0};
    double total = 0;
    double capacity = 0;
    for (uint32_t i = 0; i < baseline->shards; i++) {
        double load = load_of(baseline, i);
        if (!is_up(snapshot, baseline->wanted[i]))
            continue;
        view.load[baseline->wanted[i]] += load / capacity_of(snapshot, baseline->wanted[i]);
        total += load;
    }
    for (size_t i = 0; i < snapshot->worker_count; i++)
        capacity += is_up(snapshot, (int)i) ? capacity_of(snapshot, (int)i) : 0;
    view.mean = capacity > 0 ? total / capacity : 0;
    return view;
}

static int coldest_of(const struct view *view, const struct ek_plan_snapshot *snapshot)
{
    int found = -1;
    for (size_t w = 0; w < snapshot->worker_count; w++)
        if (is_up(snapshot, (int)w) && (found < 0 || view->load[w] < view->load[found]))
            found = (int)w;
    return found;
}

static int hottest_of(const struct view *view, const struct ek_plan_snapshot *snapshot)
{
    int found = -1;
    for (size_t w = 0; w < snapshot->worker_count; w++)
        if (is_up(snapshot, (int)w) && (found < 0 || view->load[w] > view->load[found]))
            found = (int)w;
    return found;
}

/* Imbalance is max over mean; every slice is the same share of the key space, so the weight is what it takes off. */
static bool move_heaviest(struct ps_baseline *baseline, const struct ek_plan_snapshot *snapshot)
{
    struct view view = view_of(baseline, snapshot);
    int from = hottest_of(&view, snapshot);
    int to = coldest_of(&view, snapshot);
    if (from < 0 || from == to || view.mean <= 0)
        return false;
    double least = view.load[from];
    int best = -1;
    for (uint32_t i = 0; i < baseline->shards; i++) {
        if (baseline->wanted[i] != from || snapshot->shards[i].learner >= 0 || snapshot->shards[i].holder != from)
            continue;
        double load = load_of(baseline, i);
        double after = fmax(view.load[from] - load / capacity_of(snapshot, from), view.load[to] + load / capacity_of(snapshot, to));
        if (after < least) {
            least = after;
            best = (int)i;
        }
    }
    if (best >= 0)
        baseline->wanted[best] = to;
    return best >= 0;
}

static void want_weighted(struct ps_baseline *baseline, const struct ek_plan_snapshot *snapshot)
{
    for (uint32_t i = 0; i < baseline->shards; i++)
        baseline->wanted[i] = snapshot->shards[i].learner >= 0 ? snapshot->shards[i].learner : snapshot->shards[i].holder;
    for (uint32_t i = 0; i < baseline->shards; i++) {
        if (is_up(snapshot, baseline->wanted[i]) || is_bound(snapshot, i) || snapshot->shards[i].learner >= 0)
            continue;
        struct view view = view_of(baseline, snapshot);
        baseline->wanted[i] = coldest_of(&view, snapshot);
    }
    uint32_t most = baseline->world ? baseline->shards : (uint32_t)(ROUND_SHARE * baseline->shards);
    for (uint32_t i = 0; i < most; i++)
        if (!move_heaviest(baseline, snapshot))
            break;
}

static void take_samples(struct ps_baseline *baseline, const struct ek_plan_snapshot *snapshot)
{
    struct ek_load_weights weights = ek_load_weights(&ek_plan_rules, 1);
    bool alert = baseline->shifted_us && snapshot->now_us - baseline->shifted_us < ek_plan_rules.alert_us;
    bool shifted = false;
    for (uint32_t i = 0; i < baseline->shards; i++) {
        if (!snapshot->shards[i].sampled || snapshot->now_us <= baseline->sampled_us[i])
            continue;
        double seconds = baseline->sampled_us[i] ? (double)(snapshot->now_us - baseline->sampled_us[i]) / 1e6 : 1;
        baseline->sampled_us[i] = snapshot->now_us;
        if (seconds != weights.seconds)
            weights = ek_load_weights(&ek_plan_rules, seconds);
        shifted |= ek_load_sample(&baseline->loads[i], &ek_plan_rules, &weights, snapshot->shards[i].rates[EK_PLAN_BUSY], alert);
    }
    if (shifted)
        baseline->shifted_us = snapshot->now_us;
}

/* ---- steps ---- */

static void want(struct ps_baseline *baseline, const struct ek_plan_snapshot *snapshot)
{
    switch (baseline->kind) {
    case PS_MODULO:
        want_modulo(baseline, snapshot);
        break;
    case PS_HASHING:
        want_hashing(baseline, snapshot);
        break;
    case PS_COUNT:
        want_counts(baseline, snapshot);
        break;
    default:
        want_weighted(baseline, snapshot);
        break;
    }
}

size_t ps_baseline_step(struct ps_baseline *baseline, struct ps_world *world, const struct ek_plan_snapshot *snapshot)
{
    baseline->world = baseline->kind == PS_ORACLE ? world : NULL;
    if (baseline->kind == PS_SLICER)
        take_samples(baseline, snapshot);
    if (baseline->world || world->tick % ROUND_TICKS == 0 || world->tick == 1)
        want(baseline, snapshot);
    uint8_t out[PS_WORKERS_MAX] = {0};
    size_t started = 0;
    for (uint32_t i = 0; i < baseline->shards; i++)
        if (world->shards[i].learner >= 0 && world->shards[i].holder >= 0)
            out[world->shards[i].holder] = 1;
    for (uint32_t i = 0; i < baseline->shards; i++) {
        int holder = snapshot->shards[i].holder;
        int target = baseline->wanted[i];
        if (!is_up(snapshot, target) || target == holder || is_bound(snapshot, i) || (holder >= 0 && out[holder]))
            continue;
        if (!ps_world_start(world, (uint16_t)i, target, COPY_RATE, EK_PLAN_BALANCE))
            continue;
        started++;
        if (holder >= 0)
            out[holder] = 1;
    }
    return started;
}
