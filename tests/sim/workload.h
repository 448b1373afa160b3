/*
 * Clients of a simulation: programs that put, increment, delete, read and scan a few keys, alone and in transactions, through the
 * client library, or with bare messages as a thin client does. What they do is in the history.
 */
#ifndef EK_TESTS_SIM_WORKLOAD_H
#define EK_TESTS_SIM_WORKLOAD_H

#include "tests/sim/world.h"

struct sim_workload_options {
    unsigned clients;        /* with the library */
    unsigned thin_clients;   /* behind them */
    bool poison;             /* one more, behind these, publishes jobs that kill */
    unsigned calls;          /* of each, at most */
    uint64_t span_us;        /* over which they are spread */
    bool eager;              /* most calls come while some shard moves */
    bool large;              /* values that fill queues */
    unsigned close_percent;  /* of its turns: a client closes its session, whatever is under way, and begins anew */
    unsigned delete_percent; /* of the writes, beyond the usual ones, so that shards stand without rows */
};

void sim_workload_open(const struct sim_workload_options *options);
unsigned sim_client_count(void);
struct sim_process *sim_client(unsigned number);
/* A handle for the running program, without chance of its own. */
struct ek_client *sim_workload_open_client(const struct sim_process *process);
/* Starts it when it is not running. */
void sim_client_start(unsigned number);

/* As SIGKILL. What it had not sent yet is known to be without effect. */
void sim_client_kill(unsigned number);

bool sim_client_is_poisoner(const struct sim_process *process);
/* What the history calls the session of the present program of a client's place that sends a job with this id. */
unsigned sim_client_session(const struct sim_process *process, uint64_t job_id);

/* No more new calls. */
void sim_workload_calm(void);
/* Every call has ended. */
bool sim_workload_is_idle(void);
/* Every client writes each tag once more; then the first one reads everything. */
void sim_workload_finish(void);
bool sim_workload_is_finished(void);

#endif
