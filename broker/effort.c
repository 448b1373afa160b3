#include "broker/effort.h"

#include <math.h>

#define BYTES_A_WORK  1024.0
#define WEIGHT        0.03
#define MILLI         1000.0
#define SECOND_US     1e6
#define DIFFERENT_MAX 2.0 /* so much between two workers may come from what they have to do */

double ek_effort_work(uint64_t operations, uint64_t bytes)
{
    return (double)operations + (double)bytes / BYTES_A_WORK;
}

void ek_effort_add(struct ek_effort *effort, int worker, double work, uint64_t busy_us)
{
    effort->workers[worker].work += work;
    effort->workers[worker].busy_us += (double)busy_us;
}

double ek_effort_now_us(const struct ek_effort *effort, int worker)
{
    const struct ek_effort_worker *seen = &effort->workers[worker];
    return seen->work > 0 ? seen->busy_us / seen->work : 0;
}

static void end_worker(struct ek_effort_worker *seen)
{
    if (seen->work > 0) {
        double mean = seen->weight > 0 ? seen->weight / (seen->weight + 1) : 1;
        seen->weight = fmax(mean, WEIGHT);
        seen->mean_busy_us += seen->weight * (seen->busy_us - seen->mean_busy_us);
        seen->mean_work += seen->weight * (seen->work - seen->mean_work);
    }
    seen->work = 0;
    seen->busy_us = 0;
}

void ek_effort_end(struct ek_effort *effort, const uint32_t *capacity_milli, size_t count)
{
    double busy_us = 0;
    double work = 0;
    for (size_t i = 0; i < count; i++) {
        struct ek_effort_worker *seen = &effort->workers[i];
        end_worker(seen);
        seen->capacity = capacity_milli[i] / MILLI;
        busy_us += seen->mean_busy_us * seen->capacity;
        work += seen->mean_work;
    }
    if (work > 0)
        effort->each_us = busy_us / work;
}

/* How much slower than the others it is, as far as that is believed. */
static double slowness(const struct ek_effort *effort, const struct ek_effort_worker *seen)
{
    if (seen->mean_work <= 0 || effort->each_us <= 0)
        return 1;
    double ratio = seen->mean_busy_us * seen->capacity / seen->mean_work / effort->each_us;
    double doubt = DIFFERENT_MAX - fmin(seen->mean_busy_us / SECOND_US, DIFFERENT_MAX - 1);
    return ratio > doubt ? ratio / doubt : ratio * doubt < 1 ? ratio * doubt : 1;
}

double ek_effort_each_us(const struct ek_effort *effort, int worker)
{
    return effort->each_us * slowness(effort, &effort->workers[worker]);
}
