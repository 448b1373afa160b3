/*
 * What an operation adds to the time of its group. A group takes some time whatever is in it (a batch, a record, a sync), so busy
 * time is no measure of load: a worker with little to do makes small groups without a break, and is nearly as busy as one with
 * twice as much to do, which it could do as well. What it can carry is the reciprocal of what an operation adds (a queue that is
 * served in bulk is stable as long as arrivals x that is below 1: Bailey, "On queueing processes with bulk service", 1954).
 *
 * The line time = fixed + work x each is fitted to the groups of late by least squares. When they are all of about one size, which
 * tells nothing of its slope, `fixed` stays what it was, unless groups take less than that. Pure; one thread at a time.
 */
#ifndef EK_WORKER_COST_H
#define EK_WORKER_COST_H

#include <stdint.h>

/* All zero: nothing is known yet, and nothing is taken to be fixed. The sums fade. */
struct ek_cost {
    double groups;
    double work;
    double us;
    double work_work;
    double work_us;
    double fixed_us; /* of a group */
};

/* Units of work in what a group does for one shard: an operation and a KiB of bodies are one each, the shard's own part of the
 * record is four (as measured: 1.6 us and 6.5 us). */
double ek_cost_work(uint64_t operations, uint64_t bytes);
/* A group took so long. No work in it: it is not counted. */
void ek_cost_add(struct ek_cost *cost, double work, uint64_t took_us);
/* What one unit of work adds, in microseconds: above 0 once there was a group, and at most the mean time of groups over their
 * mean work. */
double ek_cost_each_us(const struct ek_cost *cost);

#endif
