#include "worker/cost.h"

#include "common/work.h"

#include <math.h>

#define HALF_LIFE_US 20e6 /* of busy time: an idle worker keeps what it knows */
#define SHARD_WORK   4.0  /* of the record that each shard of a group has */
#define GROUPS_MIN   16.0 /* before a line is fitted */
#define SPREAD_MIN   0.04 /* of the work of groups, its variance over the square of its mean */
#define OUTLIER      16.0 /* times the mean: what is beyond is held down */

double ek_cost_work(uint64_t operations, uint64_t bytes)
{
    return SHARD_WORK + ek_work_units(operations, bytes);
}

static void fade(struct ek_cost *cost, double us)
{
    double kept = exp2(-us / HALF_LIFE_US);
    cost->groups *= kept;
    cost->work *= kept;
    cost->us *= kept;
    cost->work_work *= kept;
    cost->work_us *= kept;
}

/* One group in thousands that is a thousand times as large, or that a stall has hit, must not set the slope by itself. */
static void hold_down(const struct ek_cost *cost, double *work, double *us)
{
    if (cost->groups < GROUPS_MIN)
        return;
    double larger = fmax(1, *work / (cost->work / cost->groups * OUTLIER));
    *work /= larger;
    *us = fmin(*us / larger, cost->us / cost->groups * OUTLIER * fmax(1, *work / (cost->work / cost->groups)));
}

void ek_cost_add(struct ek_cost *cost, double work, uint64_t took_us)
{
    if (work <= 0)
        return;
    double us = (double)took_us;
    hold_down(cost, &work, &us);
    fade(cost, us);
    cost->groups += 1;
    cost->work += work;
    cost->us += us;
    cost->work_work += work * work;
    cost->work_us += work * us;
    double mean = cost->work / cost->groups;
    double mean_us = cost->us / cost->groups;
    double variance = cost->work_work / cost->groups - mean * mean;
    double each = variance < SPREAD_MIN * mean * mean ? 0 : (cost->work_us / cost->groups - mean * mean_us) / variance;
    if (cost->groups >= GROUPS_MIN && each > 0)
        cost->fixed_us = fmax(0, mean_us - each * mean);
    else if (cost->fixed_us > mean_us)
        cost->fixed_us = 0; /* which is refuted */
}

double ek_cost_each_us(const struct ek_cost *cost)
{
    return cost->groups > 0 ? (cost->us - cost->fixed_us * cost->groups) / cost->work : 0;
}
