/*
 * The planner: which shard should leave which worker for which other one, so that no worker carries much more than its share. It
 * carries nothing out. Pure: snapshots and events in, moves out; no socket, clock, thread, log or random source, and no header but
 * common/'s. The broker and the simulator (tests/planner) call the same code. docs/PLANNING.md says how it decides and what
 * was measured; every constant stands in broker/planner_rules.h.
 *
 * One thread. At most EK_SHARDS_MAX shards and EK_WORKERS_MAX workers; all memory is taken by ek_planner_new, about 700 bytes a
 * shard. Equal input gives equal output, and workers that stand in another order the same plan: ties are broken by shard number
 * and worker id.
 */
#ifndef EK_BROKER_PLANNER_H
#define EK_BROKER_PLANNER_H

#include "broker/planner_rules.h"
#include "common/messages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ek_planner;

enum ek_plan_state {
    EK_PLAN_AWAY, /* no link, or not serving yet: neither gives nor takes */
    EK_PLAN_UP,
    EK_PLAN_DRAINING, /* gives all, takes nothing */
};

/* A worker as the broker sees it. Its index may be used for another worker later; its id may not. */
struct ek_plan_worker {
    struct ek_worker_id id;
    enum ek_plan_state state;
    uint32_t capacity_milli;
    uint64_t up_since_us;
    uint64_t disk_free_bytes;
    uint64_t disk_total_bytes; /* 0 = not known: no limit */
    uint64_t rate_bytes; /* per second, what its disk and network were measured to take; 0 = not known. For copies alone: what was
                          * measured wavers too much to tell workers apart by it */
    uint64_t queued_us;  /* work that waits for it, in microseconds of its time */
    bool late;           /* misses the latency objective: copies take less */
};

struct ek_plan_shard {
    int holder;                  /* index of a worker, -1 = none */
    int learner;                 /* index of the worker that is being filled with it, -1 = none */
    bool movable;                /* serving, not quarantined */
    bool empty;                  /* has no data: it moves at once and for nothing */
    bool sampled;                /* the rates below are new since the call before */
    double rates[EK_PLAN_RATES]; /* per second. Busy time is work that *arrives* (operations that arrived x what one adds to its
                                  * worker's time), not work that was done: an overloaded worker does no more than it can */
    uint64_t stored_bytes;
};

struct ek_plan_snapshot {
    uint64_t now_us; /* monotonic, never falling */
    const struct ek_plan_worker *workers;
    size_t worker_count;
    const struct ek_plan_shard *shards; /* as many as ek_planner_new was told */
    bool balance;                       /* false: an operator holds balancing back; repairs and drains go on */
};

enum ek_plan_reason {
    EK_PLAN_REPAIR,  /* it has no holder */
    EK_PLAN_DRAIN,   /* its worker is to end empty */
    EK_PLAN_FULL,    /* its worker's disk is full */
    EK_PLAN_BALANCE, /* its worker carries more than its share */
    EK_PLAN_EXCHANGE /* likewise; goes together with others that go the other way */
};

/* What held a move back. */
enum ek_plan_rule {
    EK_RULE_NONE,        /* nothing */
    EK_RULE_EVEN,        /* no worker carries much more than its share */
    EK_RULE_IDLE,        /* every resource is below its floor */
    EK_RULE_WAIT,        /* the imbalance has not lasted long enough */
    EK_RULE_OFF,         /* balancing is switched off */
    EK_RULE_MOVING,      /* the shard is on its way, or cannot move now */
    EK_RULE_COOLDOWN,    /* it moved a short time ago */
    EK_RULE_NO_RETURN,   /* it left that worker a short time ago */
    EK_RULE_REST,        /* its last move failed a short time ago */
    EK_RULE_HOT,         /* it is more than a worker's share by itself: its neighbours go */
    EK_RULE_TARGET,      /* no worker can take anything */
    EK_RULE_RAMP,        /* the target came back a short time ago */
    EK_RULE_DISK,        /* the target's disk, or those of all others, would be too full */
    EK_RULE_INVERSION,   /* the target would carry noticeably more than the source */
    EK_RULE_WORSE,       /* the objective would not fall: another resource would suffer more */
    EK_RULE_NOISE,       /* what it would gain cannot be told from noise */
    EK_RULE_COST,        /* the copy costs more than the move gains */
    EK_RULE_SHEDDING,    /* enough of the worker's load is on its way out already */
    EK_RULE_ROUND_SHARE, /* the round has moved its share of the key space */
    EK_RULE_COUNT
};

/* One move, planned or held back. Ratios are loads per capacity over the mean, in the resource that was looked at; a hot shard that
 * arrives counts as a worker's share, and an exchange's entries have the ratios of the whole. */
struct ek_plan_entry {
    uint16_t shard;
    int source; /* index of a worker, -1 = none */
    int target;
    enum ek_plan_reason reason;
    enum ek_plan_rule rule;
    enum ek_plan_resource resource;
    bool waived; /* its cooldown was */
    bool trims;  /* takes off what balancing left */
    double source_before;
    double source_after;
    double target_before;
    double target_after;
    double gain; /* by which the objective falls */
    uint64_t bytes;
    uint64_t bytes_per_second; /* that its copy may take */
};

struct ek_plan_load {
    double utilisation[EK_PLAN_RESOURCES]; /* load per capacity */
    double ratio[EK_PLAN_RESOURCES];       /* that, over the mean */
    double noise;                          /* standard deviation of the busy ratio */
    int hot_shard;                         /* that is more than any worker's share by itself, -1 = none */
    enum ek_plan_rule drain;               /* DRAINING: why it cannot be done, or NONE */
};

/* The last round. Entries are valid until the next step. */
struct ek_plan {
    uint64_t round;
    uint64_t planned_us;
    bool balancing; /* begun, and not ended */
    bool urgent;
    enum ek_plan_rule quiet; /* why balancing does not start; NONE when it has */
    bool active[EK_PLAN_RESOURCES];
    double max_over_mean; /* busy, hot shards left out */
    double objective;
    uint32_t workers_wanted;
    const struct ek_plan_entry *entries; /* in the order in which they should start */
    size_t count;
    const struct ek_plan_entry *held; /* the best that was held back, a worker or a shard at a time */
    size_t held_count;
    const struct ek_plan_load *loads; /* by index of worker */
};

struct ek_planner *ek_planner_new(const struct ek_plan_rules *rules, uint32_t shards);
void ek_planner_destroy(struct ek_planner **planner);

/*
 * To be called about once a second, and when a move has ended: takes samples, plans when a round is due or a shard has no holder,
 * and returns the moves that should begin now. The next snapshot shows each one that did begin as a learner, or as done.
 */
const struct ek_plan_entry *ek_planner_step(struct ek_planner *planner, const struct ek_plan_snapshot *snapshot, size_t *ret_count);

/* How a move ended that a step returned, or one by an operator; a shard without a holder needs no word when it has one. Failed or
 * cancelled ones leave the shard where it was. */
void ek_planner_moved(struct ek_planner *planner, uint16_t shard, const struct ek_worker_id *source, uint64_t now_us);
void ek_planner_failed(struct ek_planner *planner, uint16_t shard, uint64_t now_us);

/* The workers' indexes are others than before: what was planned is dropped. */
void ek_planner_renumbered(struct ek_planner *planner);

const struct ek_plan *ek_planner_plan(const struct ek_planner *planner);

/* What is believed of a shard's busy time, in microseconds a second; 0: nothing. */
double ek_planner_busy_us(const struct ek_planner *planner, uint16_t shard);

/* Whether the other workers could hold what this one holds: NONE, DISK, TARGET, or MOVING for one that is away. */
enum ek_plan_rule ek_planner_may_drain(struct ek_planner *planner, const struct ek_plan_snapshot *snapshot, int worker);

/* A sentence without a full stop, for people. */
const char *ek_plan_rule_text(enum ek_plan_rule rule);

#endif
