/* Means of what is measured again and again. Pure. */
#ifndef EK_COMMON_MEAN_H
#define EK_COMMON_MEAN_H

/* The weight of the next value in a mean: that of a plain mean until it has fallen to `least`, a moving average from then on.
 * `weight` is that of the last value, 0 = there was none. */
double ek_mean_weight(double weight, double least);

#endif
