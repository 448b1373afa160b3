/*
 * The simulated cluster: shards with arrivals and queues, workers with service, disks and copies, and reports that come late or not
 * at all. Ticks of one second on a virtual clock. It decides nothing: a policy (tests/planner/policy.h) says what moves, a scenario
 * what happens. It judges every tick, and counts what breaks a rule.
 *
 * One thread. Everything that happens depends on the options alone.
 */
#ifndef EK_TESTS_PLANNER_WORLD_H
#define EK_TESTS_PLANNER_WORLD_H

#include "broker/planner.h"
#include "tests/planner/random.h"

#include <stdio.h>

enum {
    PS_WORKERS_MAX = EK_WORKERS_MAX,
    PS_DELAY_MAX = 3,   /* ticks that a report may be late */
    PS_GRACE_TICKS = 10 /* after which the rows of a released shard are deleted */
};

struct ps_options {
    unsigned workers;
    uint32_t shards;
    uint64_t seed;
    double utilisation;       /* of all capacity, at first */
    double shard_bytes;       /* each stores that much at first */
    double bulk;              /* what an operation takes more, as a share of it, on a worker with nothing else to do */
    bool calm;                /* arrivals are exactly their rate, reports come at once: loads held still */
    bool instant;             /* copies take no time */
    bool homeless;            /* shards begin without a holder; else round-robin */
    const double *capacities; /* of each of `workers`, NULL = 1 */
};

struct ps_worker {
    struct ek_worker_id id;
    enum ek_plan_state state;
    bool exists;
    double capacity; /* as it was told to the broker */
    double speed;    /* what it does, of its capacity */
    uint64_t up_since;
    double copied; /* bytes read or written for copies in this tick */
    double released[PS_GRACE_TICKS];
    double queued_us;
    uint64_t reported; /* tick of the newest report that came */
    bool was_drained;  /* ended its drain empty */
};

struct ps_shard {
    double rate;        /* arrivals per second */
    double rate_before; /* a second ago */
    double service_us;
    double write_bytes; /* of one arrival */
    double net_bytes;
    double stored;
    int holder;
    int learner;
    uint64_t epoch;
    int holder_before; /* at the end of the last tick */
    uint64_t epoch_before;
    double copy_left;
    double copy_rate;
    double queue;      /* arrivals that wait */
    uint64_t seen;     /* tick up to which the broker knows its counters */
    double counted[3]; /* these: busy, written, network; since the start */
    double known[3];
    double before[PS_DELAY_MAX + 1][3]; /* as they were some ticks ago, by tick */
    uint64_t moved;                     /* tick of its last move, 0 = never */
    bool fresh;
    double rates[3]; /* as the broker sees them */
};

struct ps_move {
    uint64_t tick;
    uint16_t shard;
    int from; /* worker, -1 = it had no holder */
    int to;
    double bytes;
    enum ek_plan_reason reason;
};

struct ps_world {
    struct ps_options options;
    struct ps_random random;
    uint64_t tick;
    struct ps_worker workers[PS_WORKERS_MAX];
    size_t worker_count;
    struct ps_shard *shards;
    struct ps_move *moves; /* that began, in order */
    size_t move_count;
    size_t move_capacity;
    double *ratios; /* max over mean of the true load, by tick */
    double *bounds; /* below which nobody can bring that, by tick */
    size_t ratio_capacity;
    double copied_bytes;
    uint64_t hash; /* of all that happened */
    uint64_t broken;
    FILE *log; /* where broken rules are told, or NULL */
};

void ps_world_open(struct ps_world *world, const struct ps_options *options);
void ps_world_close(struct ps_world *world);

/* Begins a second: arrivals, service, reports. Then the policy moves things; then the second ends with the copies' progress. */
void ps_world_begin(struct ps_world *world);
void ps_world_end(struct ps_world *world);

/* What the policy does. False when the move cannot begin. */
bool ps_world_start(struct ps_world *world, uint16_t shard, int target, double bytes_per_second, enum ek_plan_reason reason);
/* Copies that are over, one at a time: the shard's number, or -1; `ret_from` is the former holder. With a failed copy
 * `ret_failed` is true and the shard is where it was. */
int ps_world_take_ended(struct ps_world *world, int *ret_from, bool *ret_failed);

/* What scenarios do. */
int ps_world_add(struct ps_world *world, double capacity);
void ps_world_drain(struct ps_world *world, int worker);
/* `copies`: its shards have no holder then; else they wait for it. */
void ps_world_stop(struct ps_world *world, int worker, bool copies);
void ps_world_return(struct ps_world *world, int worker);

/* What the broker would see; the arrays are the caller's. */
void ps_world_snapshot(const struct ps_world *world, struct ek_plan_worker *workers, struct ek_plan_shard *shards,
                       struct ek_plan_snapshot *ret);

double ps_world_load(const struct ps_world *world, int worker); /* true, seconds of work a second */
double ps_world_bytes(const struct ps_world *world, int worker);
size_t ps_world_members(const struct ps_world *world);
void ps_world_break(struct ps_world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
