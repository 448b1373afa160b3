/*
 * What work costs the workers: how long one of them, of capacity 1, is busy with a unit of work, averaged over half a minute and
 * over all of them. A unit is an operation, and as much again for each KiB that it carries.
 *
 * A worker's own figure would say less of it than of how much it has to do: with little to do its groups are small, and a unit
 * costs it up to twice as much as one with large groups; whoever believes that takes work away from those that have least. So a
 * worker is told from the others only as far as it is more than twice as slow or fast; the busier it is the sooner, and from the
 * first per cent on when it is busy all the time, since then its groups are as large as they can be, and what is believed of it
 * decides whether it keeps up. Pure.
 */
#ifndef EK_BROKER_EFFORT_H
#define EK_BROKER_EFFORT_H

#include "common/limits.h"

#include <stddef.h>
#include <stdint.h>

struct ek_effort_worker {
    double busy_us; /* of the present second */
    double work;
    double mean_busy_us; /* of seconds in which it worked */
    double mean_work;
    double weight; /* of the last second in the means; 0 = there was none */
    double capacity;
};

/* All zero: nothing is known yet. */
struct ek_effort {
    struct ek_effort_worker workers[EK_WORKERS_MAX];
    double each_us; /* a unit of work, on a worker of capacity 1; 0 = not known */
};

/* Units of work in so many operations that carried so many bytes. */
double ek_effort_work(uint64_t operations, uint64_t bytes);
/* A worker was busy so long with so much, in this second. */
void ek_effort_add(struct ek_effort *effort, int worker, double work, uint64_t busy_us);
/* How long it was busy with a unit in this second; 0 when it did nothing. */
double ek_effort_now_us(const struct ek_effort *effort, int worker);
/* The second is over. `capacity_milli` of each of `count` workers. */
void ek_effort_end(struct ek_effort *effort, const uint32_t *capacity_milli, size_t count);
/* How long a worker of capacity 1 and of this one's making is busy with a unit. */
double ek_effort_each_us(const struct ek_effort *effort, int worker);

#endif
