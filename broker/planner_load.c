#include "broker/planner_load.h"

#include "common/mean.h"

#include <math.h>

/* A median of five passes 1.44 times the slow part of white noise that a mean of five would. */
#define MEDIAN_NOISE 1.44
/* A step in the load is one large difference; it may not be taken for noise, or nothing could be done about it. */
#define DIFFERENCE_SIGMAS_MAX 4.0
/* Of the level, so that a load that was dead calm can become noisy. */
#define LEAST_SIGMA 0.01

/* Of the median of five, whose average is as certain as a mean of five. */
#define MEDIAN_WEIGHT (1.0 / 3)

/* A median tells of a shift as soon as most of its samples are new; so many are not. */
enum { SAMPLES_BEFORE_CLIPPING = 10, STALE = EK_LOAD_SAMPLES / 2 };

static double median_of_three(double a, double b, double c)
{
    double low = a < b ? a : b;
    double high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
}

/* The larger of the pairs' minima and the smaller of their maxima leave one on either side out. */
static double median_of_five(const double v[EK_LOAD_SAMPLES])
{
    double low_one = v[0] < v[1] ? v[0] : v[1];
    double high_one = v[0] < v[1] ? v[1] : v[0];
    double low_other = v[2] < v[3] ? v[2] : v[3];
    double high_other = v[2] < v[3] ? v[3] : v[2];
    return median_of_three(v[4], low_one > low_other ? low_one : low_other, high_one < high_other ? high_one : high_other);
}

static double median(const struct ek_load *load)
{
    const double *v = load->samples;
    switch (load->count) {
    case 1:
        return v[0];
    case 2:
        return (v[0] + v[1]) / 2;
    case 3:
        return median_of_three(v[0], v[1], v[2]);
    case 4: { /* the mean of the middle two */
        double low = median_of_three(v[0], v[1], v[2]);
        double high = median_of_three(v[1], v[2], v[3]);
        return (low + high + median_of_three(v[0], v[1], v[3]) + median_of_three(v[0], v[2], v[3])) / 4;
    }
    default:
        return median_of_five(v);
    }
}

static double half_life_weight(double half_life_s, double seconds)
{
    return half_life_s > 0 ? 1 - exp2(-seconds / half_life_s) : 1;
}

struct ek_load_weights ek_load_weights(const struct ek_plan_rules *rules, double seconds)
{
    return (struct ek_load_weights){.seconds = seconds,
                                    .fast = half_life_weight(rules->fast_half_life_s, seconds),
                                    .slow = half_life_weight(rules->slow_half_life_s, seconds),
                                    .noise = half_life_weight(rules->noise_half_life_s, seconds)};
}

/* Half the mean square of successive differences: a drift of the load hardly counts in it. */
static void sample_variance(struct ek_load *load, double least_weight, double difference)
{
    double square = difference * difference / 2;
    if (load->count > SAMPLES_BEFORE_CLIPPING) {
        double least = LEAST_SIGMA * load->slow;
        double most = DIFFERENCE_SIGMAS_MAX * DIFFERENCE_SIGMAS_MAX * fmax(load->variance, least * least);
        square = square < most ? square : most;
    }
    double weight = 1.0 / load->count;
    load->variance += (weight > least_weight ? weight : least_weight) * (square - load->variance);
}

static double noise_of(double weight, double variance)
{
    return MEDIAN_NOISE * variance * weight / (2 - weight);
}

/* Both averages begin again with the median, which is what the last samples say. */
static void restart(struct ek_load *load, double smooth)
{
    load->fast = load->slow = smooth;
    load->fast_weight = load->slow_weight = 1.0 / EK_LOAD_SAMPLES;
}

/* One that shifts alone shows when many samples say so. When others have just done so it is likely, and what the last ones say is
 * enough. */
static bool has_shifted(const struct ek_load *load, const struct ek_plan_rules *rules, double smooth, bool alert)
{
    double many = sqrt(noise_of(load->fast_weight, load->variance));
    double last = sqrt(noise_of(MEDIAN_WEIGHT, load->variance));
    return fabs(load->fast - load->slow) > rules->shift_sigmas * many ||
           (alert && fabs(smooth - load->slow) > rules->alert_sigmas * last);
}

bool ek_load_sample(struct ek_load *load, const struct ek_plan_rules *rules, const struct ek_load_weights *weights, double value,
                    bool alert)
{
    double before = load->samples[(load->count + EK_LOAD_SAMPLES - 1) % EK_LOAD_SAMPLES];
    load->samples[load->count % EK_LOAD_SAMPLES] = value;
    load->count++;
    if (load->count > 1)
        sample_variance(load, weights->noise, value - before);
    double smooth = median(load);
    load->fast_weight = ek_mean_weight(load->fast_weight, weights->fast);
    load->slow_weight = ek_mean_weight(load->slow_weight, weights->slow);
    load->fast += load->fast_weight * (smooth - load->fast);
    load->slow += load->slow_weight * (smooth - load->slow);
    bool shifts = load->stale == 0 && has_shifted(load, rules, smooth, alert);
    if (shifts)
        load->stale = STALE + 1;
    if (load->stale > 0) {
        load->stale--;
        restart(load, smooth);
    }
    return shifts && !alert;
}

double ek_load_level(const struct ek_load *load)
{
    return load->slow;
}

double ek_load_leaving(const struct ek_load *load)
{
    return load->fast < load->slow ? load->fast : load->slow;
}

double ek_load_arriving(const struct ek_load *load)
{
    return load->fast > load->slow ? load->fast : load->slow;
}

double ek_load_variance(const struct ek_load *load)
{
    if (load->count < EK_LOAD_SAMPLES) /* nobody knows yet */
        return load->slow * load->slow;
    return noise_of(load->slow_weight, load->variance);
}

double ek_load_fast_variance(const struct ek_load *load)
{
    return load->count < EK_LOAD_SAMPLES ? load->fast * load->fast : noise_of(load->fast_weight, load->variance);
}

void ek_load_follow(struct ek_load *load)
{
    load->slow = load->fast;
    load->slow_weight = load->fast_weight;
}
