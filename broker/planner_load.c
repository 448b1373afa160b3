#include "broker/planner_load.h"

#include <math.h>

/* A median of five passes 1.44 times the slow part of white noise that a mean of five would. */
#define MEDIAN_NOISE 1.44
/* A step in the load is one large difference; it may not be taken for noise, or nothing could be done about it. */
#define DIFFERENCE_SIGMAS_MAX 4.0
/* Of the level, so that a load that was dead calm can become noisy. */
#define LEAST_SIGMA 0.01

enum { SAMPLES_BEFORE_CLIPPING = 10 };

static double median(const struct ek_load *load)
{
    double sorted[EK_LOAD_SAMPLES];
    uint32_t count = load->count < EK_LOAD_SAMPLES ? load->count : EK_LOAD_SAMPLES;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = i;
        for (; at > 0 && sorted[at - 1] > load->samples[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = load->samples[i];
    }
    return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

static double half_life_weight(double half_life_s, double seconds)
{
    return half_life_s > 0 ? 1 - exp2(-seconds / half_life_s) : 1;
}

/* The weight of the next sample: that of a plain mean until the half-life's is reached. */
static double next_weight(double weight, double seconds, double half_life_s)
{
    double least = half_life_weight(half_life_s, seconds);
    double mean = weight > 0 ? weight / (weight + 1) : 1;
    return mean > least ? mean : least;
}

/* Half the mean square of successive differences: a drift of the load hardly counts in it. */
static void sample_variance(struct ek_load *load, const struct ek_plan_rules *rules, double difference, double seconds)
{
    double square = difference * difference / 2;
    if (load->count > SAMPLES_BEFORE_CLIPPING) {
        double least = LEAST_SIGMA * load->slow;
        double most = DIFFERENCE_SIGMAS_MAX * DIFFERENCE_SIGMAS_MAX * fmax(load->variance, least * least);
        square = square < most ? square : most;
    }
    double least = half_life_weight(rules->noise_half_life_s, seconds);
    double weight = 1.0 / load->count;
    load->variance += (weight > least ? weight : least) * (square - load->variance);
}

static double noise_of(double weight, double variance)
{
    return MEDIAN_NOISE * variance * weight / (2 - weight);
}

/* The averages begin again with the median, which is what the last samples say. */
static void restart_on_a_shift(struct ek_load *load, const struct ek_plan_rules *rules, double smooth)
{
    double sigma = sqrt(noise_of(load->fast_weight, load->variance));
    if (fabs(load->fast - load->slow) <= rules->shift_sigmas * sigma) {
        load->apart = 0;
        return;
    }
    if (++load->apart < rules->shift_samples)
        return;
    load->fast = load->slow = smooth;
    load->fast_weight = load->slow_weight = 1.0 / EK_LOAD_SAMPLES;
    load->apart = 0;
}

void ek_load_sample(struct ek_load *load, const struct ek_plan_rules *rules, double value, double seconds)
{
    double before = load->samples[(load->count + EK_LOAD_SAMPLES - 1) % EK_LOAD_SAMPLES];
    load->samples[load->count % EK_LOAD_SAMPLES] = value;
    load->count++;
    if (load->count > 1)
        sample_variance(load, rules, value - before, seconds);
    double smooth = median(load);
    load->fast_weight = next_weight(load->fast_weight, seconds, rules->fast_half_life_s);
    load->slow_weight = next_weight(load->slow_weight, seconds, rules->slow_half_life_s);
    load->fast += load->fast_weight * (smooth - load->fast);
    load->slow += load->slow_weight * (smooth - load->slow);
    restart_on_a_shift(load, rules, smooth);
}

double ek_load_level(const struct ek_load *load)
{
    return load->slow;
}

double ek_load_leaving(const struct ek_load *load)
{
    return load->fast < load->slow ? load->fast : load->slow;
}

double ek_load_arriving(const struct ek_load *load, const struct ek_plan_rules *rules)
{
    return (load->fast > load->slow ? load->fast : load->slow) * rules->arriving_factor;
}

double ek_load_variance(const struct ek_load *load)
{
    if (load->count < EK_LOAD_SAMPLES) /* nobody knows yet */
        return load->slow * load->slow;
    return noise_of(load->slow_weight, load->variance);
}
