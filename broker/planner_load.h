/*
 * The estimate of one rate of one shard, from samples that come about once a second, late or not at all: a median of five against
 * spikes, then two moving averages, and the variance of a sample. It knows no units and no shards.
 *
 * Averages alone would hide a hotspot for a minute; so both start again from the median when they are further apart than noise
 * explains.
 */
#ifndef EK_BROKER_PLANNER_LOAD_H
#define EK_BROKER_PLANNER_LOAD_H

#include "broker/planner_rules.h"

#include <stdbool.h>

enum { EK_LOAD_SAMPLES = 5 };

/* All zero: nothing is known. */
struct ek_load {
    double samples[EK_LOAD_SAMPLES]; /* the last ones, as a ring */
    uint32_t count;                  /* since the start */
    double fast;
    double slow;
    double slow_weight; /* of one sample in the slow average: 1 at first, falling to what its half-life says */
    double fast_weight;
    double variance; /* of one sample around the trend */
    uint32_t stale;  /* samples that may still be from before the last shift */
};

/* What a sample weighs that comes so many seconds after the one before; two when one was lost. Most samples share it. */
struct ek_load_weights {
    double seconds;
    double fast;
    double slow;
    double noise;
};

struct ek_load_weights ek_load_weights(const struct ek_plan_rules *rules, double seconds);
/* True when the load has shifted, which makes the averages begin again. `alert`: another one did so a short time ago, and a shift
 * of this one is no news. */
bool ek_load_sample(struct ek_load *load, const struct ek_plan_rules *rules, const struct ek_load_weights *weights, double value,
                    bool alert);

/* What a worker's sum counts; what is certain to leave with the shard; what is feared to arrive with it. */
double ek_load_level(const struct ek_load *load);
double ek_load_leaving(const struct ek_load *load);
double ek_load_arriving(const struct ek_load *load);

/* The variance of ek_load_level. */
double ek_load_variance(const struct ek_load *load);
/* And of the fast average. */
double ek_load_fast_variance(const struct ek_load *load);

/* The load has changed, as others show: what the fast average says is true. */
void ek_load_follow(struct ek_load *load);

#endif
