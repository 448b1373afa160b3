/*
 * Disks that lie, and the operator who deals with it: a worker's disk that is rolled back, gone, or cloned under the same id, and
 * a broker's directory that is an old copy. The operator ends one of two clones, puts the right directory back, accepts the loss
 * of shards that are quarantined, and forgets workers whose disk is gone; all by the product's own commands.
 *
 * Only such lies are told as the product can notice with certainty: beyond them its checks are a tripwire, not a proof.
 */
#ifndef EK_TESTS_SIM_HAZARD_H
#define EK_TESTS_SIM_HAZARD_H

#include "common/messages.h"
#include "tests/sim/world.h"

struct sim_disk;

/* This run has hazards; the operator begins. */
void sim_hazard_open(void);
/* No new ones. */
void sim_hazard_heal(void);
/* Nothing that the operator would have to deal with is left. */
bool sim_hazard_is_over(void);
/* Some have struck, so that acknowledged writes may be missing, and alarms have a cause. */
bool sim_hazard_has_struck(void);

/* Ends and starts of this program would hide what must be noticed first. */
bool sim_hazard_protects(const struct sim_process *process);
/* The broker runs on an old directory: it must answer nobody, and end. */
bool sim_hazard_broker_is_old(void);
/* A broker or worker is gone, however it went. */
void sim_hazard_ended(const struct sim_process *process);
/* A worker may end by itself now: the broker refuses one of two clones. */
bool sim_hazard_may_refuse(const struct sim_process *process);

/* The disk with this worker's identity, of a place; NULL: there is none. */
const struct sim_disk *sim_hazard_disk_of(const struct ek_worker_id *worker);

#endif
