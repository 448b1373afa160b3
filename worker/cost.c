#include "worker/cost.h"

#include <math.h>

#define HALF_LIFE_US     20e6 /* of busy time: an idle worker keeps what it knows */
#define SHARD_WORK       4.0
#define BYTES_A_WORK     1024.0
#define GROUPS_MIN       16.0
#define SPREAD_MIN       0.04 /* of the work of groups, its variance over the square of its mean */
#define FIXED_SHARE_MOST 0.98

double ek_cost_work(uint64_t operations, uint64_t bytes)
{
    return SHARD_WORK + (double)operations + (double)bytes / BYTES_A_WORK;
}

static void fade(struct ek_cost *cost, uint64_t took_us)
{
    double kept = exp2(-(double)took_us / HALF_LIFE_US);
    cost->groups *= kept;
    cost->work *= kept;
    cost->us *= kept;
    cost->work_work *= kept;
    cost->work_us *= kept;
}

void ek_cost_add(struct ek_cost *cost, double work, uint64_t took_us)
{
    if (work <= 0)
        return;
    double us = (double)took_us;
    fade(cost, took_us);
    cost->groups += 1;
    cost->work += work;
    cost->us += us;
    cost->work_work += work * work;
    cost->work_us += work * us;
    double mean = cost->work / cost->groups;
    double variance = cost->work_work / cost->groups - mean * mean;
    if (cost->groups < GROUPS_MIN || variance < SPREAD_MIN * mean * mean)
        return;
    double each = (cost->work_us / cost->groups - mean * cost->us / cost->groups) / variance;
    if (each > 0)
        cost->fixed_us = fmax(0, cost->us / cost->groups - each * mean);
}

double ek_cost_each_us(const struct ek_cost *cost)
{
    if (cost->groups <= 0)
        return 0;
    double fixed_us = fmin(cost->fixed_us * cost->groups, FIXED_SHARE_MOST * cost->us);
    return (cost->us - fixed_us) / cost->work;
}
