#include "common/histogram.h"

#include <math.h>

static unsigned bucket_of(uint64_t value)
{
    if (value < EK_HISTOGRAM_STEPS)
        return (unsigned)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - 5u;
    unsigned bucket = (shift + 1) * EK_HISTOGRAM_STEPS + (unsigned)((value >> shift) - EK_HISTOGRAM_STEPS);
    return bucket < EK_HISTOGRAM_BUCKETS ? bucket : EK_HISTOGRAM_BUCKETS - 1;
}

static uint64_t upper_bound(unsigned bucket)
{
    if (bucket < EK_HISTOGRAM_STEPS)
        return bucket;
    unsigned shift = bucket / EK_HISTOGRAM_STEPS - 1;
    uint64_t step = bucket % EK_HISTOGRAM_STEPS + EK_HISTOGRAM_STEPS;
    return ((step + 1) << shift) - 1;
}

void ek_histogram_add(struct ek_histogram *histogram, uint64_t value_us)
{
    if (histogram->count == 0 || value_us < histogram->min)
        histogram->min = value_us;
    if (value_us > histogram->max)
        histogram->max = value_us;
    histogram->count++;
    histogram->buckets[bucket_of(value_us)]++;
}

void ek_histogram_merge(struct ek_histogram *histogram, const struct ek_histogram *other)
{
    if (other->count == 0)
        return;
    if (histogram->count == 0 || other->min < histogram->min)
        histogram->min = other->min;
    if (other->max > histogram->max)
        histogram->max = other->max;
    histogram->count += other->count;
    for (unsigned i = 0; i < EK_HISTOGRAM_BUCKETS; i++)
        histogram->buckets[i] += other->buckets[i];
}

uint64_t ek_histogram_percentile(const struct ek_histogram *histogram, double share)
{
    uint64_t rank = (uint64_t)ceil(share * (double)histogram->count);
    uint64_t seen = 0;
    for (unsigned i = 0; i < EK_HISTOGRAM_BUCKETS && histogram->count; i++) {
        seen += histogram->buckets[i];
        if (seen >= rank && seen)
            return upper_bound(i) < histogram->max ? upper_bound(i) : histogram->max;
    }
    return histogram->max;
}

void ek_histogram_fade(struct ek_histogram *histogram)
{
    uint64_t left = 0;
    for (unsigned i = 0; i < EK_HISTOGRAM_BUCKETS; i++)
        left += histogram->buckets[i] /= 2;
    histogram->count = left;
    if (left == 0)
        histogram->min = histogram->max = 0;
}
