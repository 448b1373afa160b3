/*
 * How fast the storage thread has worked of late, and how much may therefore be under way to it: as much as it does in a fraction
 * of a second (Little's law). More would only wait there, where no deadline reaches it, and a group made of it could take longer
 * than the limit of liveness. Pure; one thread at a time.
 *
 * It does not measure by the latency of commits alone: a group that takes long because it is large says nothing against the
 * storage.
 */
#ifndef EK_WORKER_PACE_H
#define EK_WORKER_PACE_H

#include <stdint.h>

/* All zero: nothing is known yet. */
struct ek_pace {
    uint64_t jobs;  /* writes that were more than cancellations, which cost next to nothing and would make all others look cheap */
    uint64_t bytes; /* of their bodies */
    uint64_t busy_us;
    uint64_t groups;
    uint64_t groups_faded; /* when the past was last halved */
};

/* A group was synced. */
void ek_pace_add(struct ek_pace *pace, uint64_t jobs, uint64_t bytes, uint64_t took_us);
/* Halves the weight of what went before, unless nothing has been added since the last time: an idle storage keeps its pace. */
void ek_pace_fade(struct ek_pace *pace);
/* Which share of `full` may be under way, where `full` stands for EK_CREDIT_JOBS_MAX jobs and EK_CREDIT_BYTES_MAX bytes. At
 * least 1. */
uint32_t ek_pace_share(const struct ek_pace *pace, uint32_t full);

#endif
