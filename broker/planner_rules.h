/*
 * Every constant of the planner in one table. Decides nothing. A broker uses ek_plan_rules as it stands; the simulator runs the
 * same code with a constant changed, to show what that constant is good for. docs/PLANNING.md has the measurements behind them.
 */
#ifndef EK_BROKER_PLANNER_RULES_H
#define EK_BROKER_PLANNER_RULES_H

#include <stdint.h>

/* What a worker can run out of. The first three are rates and are smoothed, the last one is a level. */
enum ek_plan_resource {
    EK_PLAN_BUSY,   /* microseconds of work that arrive per second, for a worker of capacity 1 */
    EK_PLAN_WRITES, /* bytes per second */
    EK_PLAN_NET,    /* bytes per second */
    EK_PLAN_RATES,
    EK_PLAN_STORED = EK_PLAN_RATES, /* bytes */
    EK_PLAN_RESOURCES
};

struct ek_plan_rules {
    /* estimates */
    double fast_half_life_s;
    double slow_half_life_s;
    double noise_half_life_s; /* of the variance of one sample */
    double shift_sigmas;      /* fast and slow average this far apart: the load has changed, not the luck */
    double alert_sigmas;      /* the last samples this far from the slow average, a short time after another load has changed */
    uint64_t alert_us;
    double drift_sigmas; /* the same of all shards of a worker, as one sum: it has drifted */
    double idle_share;   /* of all capacity, spread over the shards by count */
    /* objective */
    double weight[EK_PLAN_RESOURCES];
    double floor[EK_PLAN_RESOURCES]; /* utilisation of the whole cluster below which a resource starts no move */
    double disk_full;                /* share of a disk that no move may exceed */
    /* hysteresis */
    double start_ratio; /* hottest to mean, plus the estimate's noise */
    double end_ratio;
    uint64_t wait_us; /* that it has lasted */
    /* A move may turn the order of its workers round by so much of the gap that it closes: shards are never quite equal, and
     * from 9 and 7 of them nobody would get to 8 and 8. Back it would need the whole gap again. */
    double inversion_share;
    double noise_sigmas;
    double urgent_utilisation;
    uint64_t urgent_queued_us;
    uint64_t urgent_us; /* that the queue has been that long */
    /* trimming: what is left below start_ratio */
    double waver_half_life_s; /* of the variance of a worker's load from one ten seconds to the next */
    double waver_known_s;     /* watched that long before anything is trimmed */
    double waver_sigmas;
    /* what a move must be worth */
    double gain_horizon_s;
    double copy_passes;        /* a copy's bytes are read at one end and written at the other */
    uint64_t move_fixed_bytes; /* what a move costs beside its bytes */
    /* no flapping */
    uint64_t cooldown_us;
    uint64_t no_return_us;
    uint64_t rest_us;      /* after a failed move */
    double waiver_change;  /* of the load of a shard's worker, that waives a cooldown once */
    double return_worth;   /* what a return is worth after that time: others are preferred */
    double shedding_share; /* of a worker's load on its way out, with which it sheds no more */
    /* budget */
    uint64_t round_us;
    uint64_t round_alert_us; /* a short time after a load has shifted */
    double round_share;      /* of the key space, by balancing in that time */
    uint32_t copies_out;
    uint32_t copies_in;
    double copy_share;       /* of a worker's rate */
    double copy_share_late;  /* while the latency objective is missed */
    uint64_t rate_bytes;     /* a second, of the disk and network of a worker of capacity 1; copies may know better */
    uint32_t coldest;        /* targets that are tried */
    uint32_t exchange_pairs; /* that are tried in a round, the heaviest shards first */
    double exchange_least;   /* of the gap of two workers, or of the shard, that one for one must come to */
    double exchange_peak;    /* of the source's ratio, that the target may have until it has given others for a large one */
    uint32_t exchange_many;  /* shards that may go the other way for a large one */
    /* joining and leaving */
    double ramp_from;
    uint64_t ramp_us;
    uint64_t join_us;    /* since a worker came up, within which what it lacks is still brought when the cluster is idle */
    double joined_ratio; /* a worker that holds so much of the mean has been filled */
    /* advice */
    double wanted_low; /* utilisation between which the number of workers is right */
    double wanted_high;
};

extern const struct ek_plan_rules ek_plan_rules;

#endif
