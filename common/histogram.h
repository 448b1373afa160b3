/*
 * A log-linear histogram of times in microseconds: 32 steps of equal width to each doubling, in a fixed 9 KiB (the idea of
 * G. Tene's HdrHistogram). A percentile is never below the truth and less than 1/32 (3.2 %) above it; below 64 us, at the least and
 * at the greatest value it is exact. That holds up to 2^40 us, 12 days; what is longer counts in the last step. Pure; one thread at
 * a time.
 */
#ifndef EK_COMMON_HISTOGRAM_H
#define EK_COMMON_HISTOGRAM_H

#include <stdint.h>

enum { EK_HISTOGRAM_STEPS = 32, EK_HISTOGRAM_BUCKETS = 36 * EK_HISTOGRAM_STEPS };

/* All zero is empty. */
struct ek_histogram {
    uint64_t count;
    uint64_t min;
    uint64_t max;
    uint64_t buckets[EK_HISTOGRAM_BUCKETS];
};

void ek_histogram_add(struct ek_histogram *histogram, uint64_t value_us);
/* Adds all of `other`. */
void ek_histogram_merge(struct ek_histogram *histogram, const struct ek_histogram *other);
/* The smallest value that at least `share` (0 to 1) of all values do not exceed, rounded up to its step; 0 when empty. */
uint64_t ek_histogram_percentile(const struct ek_histogram *histogram, double share);
/* Halves every count, so that older values weigh less and less. */
void ek_histogram_fade(struct ek_histogram *histogram);

#endif
