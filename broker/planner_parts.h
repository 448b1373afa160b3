/*
 * The structs behind the planner, shared by its parts (score, moves, trimming, drift, duties, queue) and by nobody else. Plain
 * data; the rules are in those parts.
 */
#ifndef EK_BROKER_PLANNER_PARTS_H
#define EK_BROKER_PLANNER_PARTS_H

#include "broker/planner.h"
#include "broker/planner_load.h"

enum { EK_PLAN_NOBODY = -1, EK_PLAN_HELD_MAX = 256 };

/* What is remembered of a shard from round to round. */
struct ek_plan_memory {
    struct ek_load loads[EK_PLAN_RATES];
    uint64_t sampled_us;
    uint64_t stored_bytes;
    bool moved;
    uint64_t moved_us;
    struct ek_worker_id former;
    double load_then; /* utilisation of its worker when it had arrived; below 0 = not taken yet */
    bool waived;      /* since its last full cooldown */
    bool failed;
    uint64_t failed_us;
};

/* And of the worker at an index. */
struct ek_plan_veteran {
    struct ek_worker_id id;
    bool known;
    bool joining;             /* it came empty, and has not got its share yet */
    bool fresh;               /* it joined; not one that came back with its shards */
    uint64_t queued_since_us; /* its queue has been long; UINT64_MAX = it is not */
    uint64_t released_bytes;  /* of shards that left it, and may still be on its disk */
    uint64_t released_us;     /* the last one */
    double waver;             /* variance of its busy load of ten seconds around that of a minute, as a share of it */
    double watched_s;         /* that it has been looked at */
};

/* A worker that is up or draining, in the order of ids. */
struct ek_slot {
    int worker;
    const struct ek_plan_worker *seen;
    struct ek_plan_veteran *veteran;
    bool member;  /* up: has a share of the mean, and takes */
    double share; /* of its capacity that arrivals may count on: the ramp */
    double capacity[EK_PLAN_RESOURCES];
    double load[EK_PLAN_RESOURCES]; /* levels; what moves counts where it goes to */
    double variance[EK_PLAN_RATES]; /* of the load */
    double fast_us;                 /* busy load of what does not move, by the fast averages, */
    double slow_us;                 /* and by the slow ones */
    double idle_us;                 /* what its idle shards count as */
    double leaving;                 /* busy load on its way out */
    uint64_t leaving_bytes;
    uint64_t disk_bytes; /* used, and on their way in */
    int top;             /* its shard with the highest busy level, or none */
    int hot;             /* `top` where it is more than any worker's share, or none */
    size_t first;        /* of its shards in the list */
    size_t count;
    uint32_t copies_out;
    uint32_t copies_in;
    bool exhausted; /* nothing more can leave it in this round */
};

/* A shard in a round. */
struct ek_piece {
    double level[EK_PLAN_RESOURCES];
    double leaving[EK_PLAN_RESOURCES];
    double arriving[EK_PLAN_RESOURCES];
    double variance[EK_PLAN_RATES];
    int slot;   /* of its holder, of its learner when it moves, or none */
    bool taken; /* moves already, or is planned to */
};

struct ek_board {
    struct ek_slot slots[EK_WORKERS_MAX];
    size_t slot_count;
    double done[EK_WORKERS_MAX][EK_PLAN_RESOURCES]; /* by slot: load, also where shards alone are counted */
    size_t member_count;
    int slot_of[EK_WORKERS_MAX];
    struct ek_piece *pieces;
    uint16_t *list;                     /* shards that are not under way, slot by slot, by number */
    double mean[EK_PLAN_RESOURCES];     /* load per capacity over the members, hot shards and their workers left out */
    double used[EK_PLAN_RESOURCES];     /* the same with them */
    double hot_us;                      /* a shard with a higher busy level is hot: more than any worker's share by itself */
    double homeless[EK_PLAN_RESOURCES]; /* load of the shards without a holder */
    bool active[EK_PLAN_RESOURCES];
    bool counts[EK_PLAN_RESOURCES]; /* in the objective; with nothing active these are busy and stored bytes */
    double idle_us;                 /* what a shard counts as that does nothing */
    double trend;                   /* fast averages over slow ones, of all that does not move; 0 = there is nothing */
};

/* A shard and what it is sorted by. */
struct ek_weighed {
    uint16_t shard;
    double weight;
};

struct ek_planner {
    const struct ek_plan_rules *rules;
    uint32_t shards;
    struct ek_plan_memory *memories;
    struct ek_plan_veteran veterans[EK_WORKERS_MAX];
    struct ek_board board;
    const struct ek_plan_snapshot *snapshot; /* during a step */
    struct ek_plan plan;
    struct ek_plan_load loads[EK_WORKERS_MAX];
    struct ek_plan_entry *entries; /* room for two a shard */
    struct ek_plan_entry held[EK_PLAN_HELD_MAX];
    struct ek_plan_entry *starts; /* room for every shard */
    struct ek_weighed *weighed;   /* likewise */
    bool planned;
    uint64_t shifted_us;     /* when a load did last; 0 = never */
    bool above;              /* the hottest worker is hotter than noise explains */
    uint64_t above_since_us; /* it has been so; UINT64_MAX = it is not */
    bool trims;              /* what is looked for now is to take off what balancing leaves */
    uint64_t watched_us;
    uint32_t pairs_left;     /* that may be tried in this round */
    uint32_t round_left;     /* moves by balancing */
    uint32_t share_left;     /* that may begin until the share is renewed */
    uint64_t share_since_us; /* it was renewed */
};

/* ---- score: who carries what ---- */

void ek_plan_survey(struct ek_planner *planner);
/* Load per capacity over the mean. */
double ek_slot_ratio(const struct ek_board *board, const struct ek_slot *slot, enum ek_plan_resource resource);
/* The same, with a hot shard counted as exactly the worker's share: what is above 1 can leave. */
double ek_slot_excess(const struct ek_board *board, const struct ek_slot *slot, enum ek_plan_resource resource);
/* The standard deviation of the ratio. */
double ek_slot_noise(const struct ek_board *board, const struct ek_slot *slot, enum ek_plan_resource resource);
/* How far a worker's fast averages are from its slow ones, as a share of them, beside the trend of all; 0 where nothing is known.
 */
double ek_slot_apart(const struct ek_board *board, const struct ek_slot *slot);
double ek_board_objective(const struct ek_planner *planner);
/* What leaves a slot and what arrives there, in one go; a resource's sum may be below zero. */
struct ek_transfer {
    double leaving[EK_PLAN_RESOURCES];  /* from the source; what it gets in exchange is taken off */
    double arriving[EK_PLAN_RESOURCES]; /* at the target, likewise */
    double variance[EK_PLAN_RATES];
};
/* By how much it lowers the objective. */
double ek_transfer_gain(const struct ek_planner *planner, const struct ek_slot *source, const struct ek_slot *target,
                        const struct ek_transfer *transfer);
bool ek_piece_is_hot(const struct ek_board *board, uint16_t shard);
/* Counts a shard at its new slot. */
void ek_board_move(struct ek_board *board, uint16_t shard, int target);

/* ---- moves ---- */

/* Balances until nothing is gained; appends to the plan. */
void ek_plan_balance(struct ek_planner *planner);
/* The rule that keeps a shard from leaving at all just now, or NONE. */
enum ek_plan_rule ek_plan_may_leave(const struct ek_planner *planner, uint16_t shard);
/* Appends a move to the plan and counts it at its target. */
struct ek_plan_entry *ek_plan_add(struct ek_planner *planner, uint16_t shard, int source, int target, enum ek_plan_reason reason);
void ek_plan_hold(struct ek_planner *planner, const struct ek_plan_entry *entry);
bool ek_plan_fits_disk(const struct ek_planner *planner, const struct ek_slot *target, uint64_t bytes);

/* A load has shifted a short time ago: others are likely to, and what is known of them changes from second to second. */
bool ek_plan_alert(const struct ek_planner *planner);

/* ---- trimming ---- */

/* Once a round: how each worker's load wavers. */
void ek_plan_watch(struct ek_planner *planner);
/* Everybody's wavering is known. */
bool ek_plan_may_trim(const struct ek_planner *planner);
/* By how much the ratios of two workers come apart by themselves. */
double ek_plan_wavering(const struct ek_planner *planner, const struct ek_slot *source, const struct ek_slot *target);

/* ---- drift ---- */

/* Once a round: the loads of a worker whose shards have changed together begin again. False: none has. */
bool ek_plan_follow_drift(struct ek_planner *planner);

/* ---- duties: what must move whatever it costs ---- */

/* The heaviest first, equal ones by number. */
void ek_plan_sort(struct ek_weighed *list, size_t count);
void ek_plan_repair(struct ek_planner *planner);
void ek_plan_drain(struct ek_planner *planner);
enum ek_plan_rule ek_plan_may_drain(const struct ek_planner *planner, int worker);

#endif
