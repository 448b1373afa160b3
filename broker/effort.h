/*
 * What work costs the workers: how long one of capacity 1 is busy with a unit of work (common/work.h), by what operations add to
 * the time of a worker's groups (worker/cost.h), averaged over half a minute. It is the figure of the worker in the middle, each
 * counting for what it does: half of all work costs less.
 *
 * A worker's own figure says less of it than of how much it has to do: with little to do its groups are small, and a unit takes it
 * longer. Whoever believes that takes work away from those that have least. So a worker that rests is taken to be like the one in
 * the middle, and one that is busy all the time is taken at its word, since then its groups are as large as they can be, and what
 * is believed of it decides whether it keeps up. In between, what is beyond twice as slow or fast is believed, and the more the
 * busier it is. Pure.
 */
#ifndef EK_BROKER_EFFORT_H
#define EK_BROKER_EFFORT_H

#include "common/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ek_effort_worker {
    double capacity;
    bool said;      /* this second is one of which something is known */
    double busy_us; /* in this second, a second */
    double work;
    double mean_busy_us; /* a second */
    double mean_work;
    double weight; /* of the last second in the means; 0 = there was none */
};

/* All zero: nothing is known yet. */
struct ek_effort {
    struct ek_effort_worker workers[EK_WORKERS_MAX];
    double each_us; /* a unit of work, on a worker of capacity 1; 0 = not known */
};

/* A second begins. `said`: the worker was heard in it, or is away and does nothing. */
void ek_effort_begin(struct ek_effort *effort, size_t worker, uint32_t capacity_milli, bool said);
/* In it the worker did so much, a second, and its operations kept it busy so long, a second. */
void ek_effort_add(struct ek_effort *effort, size_t worker, double work, double busy_us);
/* How long it was busy with a unit in this second; 0 when it did nothing. */
double ek_effort_now_us(const struct ek_effort *effort, size_t worker);
/* The second is over for all `count` workers. */
void ek_effort_end(struct ek_effort *effort, size_t count);
/* How long a worker of capacity 1 and of this one's making is busy with a unit. */
double ek_effort_each_us(const struct ek_effort *effort, size_t worker);
/* The workers' indexes are others than before. What a unit costs is still known. */
void ek_effort_renumbered(struct ek_effort *effort);

#endif
