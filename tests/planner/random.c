#include "tests/planner/random.h"

#include <math.h>

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t finish(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t ps_random_next(struct ps_random *random)
{
    random->state += UINT64_C(0x9e3779b97f4a7c15);
    return finish(random->state);
}

double ps_random_unit(struct ps_random *random)
{
    return (double)(ps_random_next(random) >> 11) * 0x1p-53;
}

uint64_t ps_random_below(struct ps_random *random, uint64_t limit)
{
    return (uint64_t)(ps_random_unit(random) * (double)limit);
}

/* The sum of four uniform numbers: near enough to normal, and one draw. */
double ps_random_normal(struct ps_random *random)
{
    uint64_t bits = ps_random_next(random);
    double sum = (double)(bits & 0xffff) + (double)(bits >> 16 & 0xffff) + (double)(bits >> 32 & 0xffff) + (double)(bits >> 48);
    return (sum / 65536 - 2 + 2.0 / 65536) * 1.7320508075688772;
}

double ps_random_arrivals(struct ps_random *random, double mean, double noise)
{
    if (mean > 12)
        return fmax(0, round(mean + sqrt(mean + noise * noise * mean * mean) * ps_random_normal(random)));
    if (mean <= 0)
        return 0;
    double limit = exp(-mean * (1 + noise * ps_random_normal(random)));
    double product = ps_random_unit(random);
    unsigned count = 0;
    for (; product > limit; count++)
        product *= ps_random_unit(random);
    return count;
}

uint64_t ps_mix(uint64_t a, uint64_t b)
{
    return finish(a * UINT64_C(0x9e3779b97f4a7c15) + finish(b));
}
