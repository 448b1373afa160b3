/*
 * What goes wrong in a simulation, and when: one fault after the other, by chance, of the kinds that a run allows; and who is
 * started again after its end. Nothing here knows why a fault should be harmless.
 */
#ifndef EK_TESTS_SIM_FAULTS_H
#define EK_TESTS_SIM_FAULTS_H

#include "tests/sim/world.h"

enum sim_fault {
    SIM_KILL_WORKER,
    SIM_KILL_BROKER,
    SIM_KILL_CLIENT,
    SIM_KILL_ALL,
    SIM_BREAK, /* a connection, without either side's knowledge */
    SIM_PART,  /* nothing passes, in one direction or both */
    SIM_PAUSE,
    SIM_SLOW_DISK,
    SIM_STOP, /* in order */
    SIM_WALL_CLOCK,
    SIM_COMPACT,
    SIM_FULL_DISK,
    SIM_SUSPEND, /* a client, while others come and go, so that its producers may be forgotten */
    SIM_PAST,    /* replies of an earlier link, jobs of an earlier epoch */
    SIM_CUT,     /* nothing passes between two workers */
    SIM_FAULTS
};

/* `allowed`: a bit for each kind. Starts everybody, `late` workers a while later. */
void sim_faults_open(uint32_t allowed, uint64_t usual_us, unsigned late);
/* Ends a broker or worker, by itself or with its machine, and keeps it down for a while. False when it is down, or must not end. */
bool sim_faults_kill(struct sim_process *process);
/* Its disk gets slow for a while. */
void sim_faults_slow(const struct sim_process *worker);
/* No more of them: everything that is held or down comes back. */
void sim_faults_heal(void);

#endif
