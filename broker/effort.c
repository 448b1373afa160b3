#include "broker/effort.h"

#include "common/mean.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_WEIGHT 0.03 /* half a minute */
#define LEAST_WORK   1e-3 /* a second: less is what long rest has left of a mean */
#define DOUBT        2.0  /* times as slow or fast is believed to come from what a worker has to do */
#define MILLI        1000.0
#define SECOND_US    1e6

void ek_effort_begin(struct ek_effort *effort, size_t worker, uint32_t capacity_milli, bool said)
{
    struct ek_effort_worker *seen = &effort->workers[worker];
    seen->capacity = capacity_milli / MILLI;
    seen->said = said;
    seen->work = seen->busy_us = 0;
}

void ek_effort_add(struct ek_effort *effort, size_t worker, double work, double busy_us)
{
    effort->workers[worker].work += work;
    effort->workers[worker].busy_us += busy_us;
}

double ek_effort_now_us(const struct ek_effort *effort, size_t worker)
{
    const struct ek_effort_worker *seen = &effort->workers[worker];
    return seen->work > 0 ? seen->busy_us / seen->work : 0;
}

static void end_worker(struct ek_effort_worker *seen)
{
    if (!seen->said)
        return;
    seen->weight = ek_mean_weight(seen->weight, LEAST_WEIGHT);
    seen->mean_busy_us += seen->weight * (seen->busy_us - seen->mean_busy_us);
    seen->mean_work += seen->weight * (seen->work - seen->mean_work);
}

/* On a worker of capacity 1. */
static double own_us(const struct ek_effort_worker *seen)
{
    return seen->mean_busy_us * seen->capacity / seen->mean_work;
}

static int by_own_us(const void *a, const void *b)
{
    double one = own_us(*(const struct ek_effort_worker *const *)a);
    double other = own_us(*(const struct ek_effort_worker *const *)b);
    return (one > other) - (one < other);
}

void ek_effort_end(struct ek_effort *effort, size_t count)
{
    const struct ek_effort_worker *working[EK_WORKERS_MAX];
    size_t working_count = 0;
    double work = 0;
    for (size_t i = 0; i < count; i++) {
        struct ek_effort_worker *seen = &effort->workers[i];
        end_worker(seen);
        if (seen->mean_work < LEAST_WORK || seen->capacity <= 0)
            continue;
        work += seen->mean_work;
        working[working_count++] = seen;
    }
    if (working_count == 0)
        return;
    qsort(working, working_count, sizeof working[0], by_own_us);
    size_t middle = 0;
    double up_to = working[0]->mean_work;
    while (up_to < work / 2 && middle + 1 < working_count)
        up_to += working[++middle]->mean_work;
    effort->each_us = own_us(working[middle]);
}

/* What is left of a difference from the worker in the middle when as much is taken off as may come from what each has to do. */
static double beyond_doubt(double ratio, double busy)
{
    double doubt = DOUBT - busy * (DOUBT - 1);
    return ratio > doubt ? ratio / doubt : ratio * doubt < 1 ? ratio * doubt : 1;
}

double ek_effort_each_us(const struct ek_effort *effort, size_t worker)
{
    const struct ek_effort_worker *seen = &effort->workers[worker];
    if (seen->mean_work < LEAST_WORK || seen->mean_busy_us <= 0 || effort->each_us <= 0)
        return effort->each_us;
    double busy = fmin(1, seen->mean_busy_us / SECOND_US);
    return effort->each_us * pow(beyond_doubt(own_us(seen) / effort->each_us, busy), busy);
}

void ek_effort_renumbered(struct ek_effort *effort)
{
    memset(effort->workers, 0, sizeof effort->workers);
}
