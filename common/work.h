/*
 * Units in which work on a store is counted, where workers and the broker must mean the same, and means of what is measured. Pure.
 */
#ifndef EK_COMMON_WORK_H
#define EK_COMMON_WORK_H

#include <stdint.h>

/* Units in so many operations that carry so many bytes: an operation and a KiB are one each. */
double ek_work_units(uint64_t operations, uint64_t bytes);

/* The weight of the next value in a mean: that of a plain mean until it has fallen to `least`, a moving average from then on.
 * `weight` is that of the last value, 0 = there was none. */
double ek_mean_weight(double weight, double least);

#endif
