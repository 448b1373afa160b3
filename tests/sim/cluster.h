/*
 * The programs of a simulation: one broker, workers, clients; how they start, end and start again, and what is looked at while they
 * run. The programs' mains stand here because the real ones parse flags; everything behind them is the product's.
 */
#ifndef EK_TESTS_SIM_CLUSTER_H
#define EK_TESTS_SIM_CLUSTER_H

#include "broker/metrics.h"
#include "tests/sim/world.h"

enum { SIM_WORKERS_MAX = 4, SIM_CLONE_NUMBER = SIM_WORKERS_MAX + 1, SIM_PLACES_MAX, SIM_CLIENTS_MAX = 8 };

struct sim_cluster_options {
    unsigned workers;
    uint32_t shards;
    uint64_t liveness_ms;
    uint64_t queue_bytes_max;
    size_t live_bytes_max; /* of the workers' book-keeping */
    uint64_t sync_us;
};

void sim_cluster_open(const struct sim_cluster_options *options);

/* Places. */
struct sim_process *sim_broker(void);
struct sim_process *sim_worker(unsigned number);
unsigned sim_worker_count(void);
uint32_t sim_shard_count(void);
uint64_t sim_liveness_us(void);

/* Starts what is not running. */
void sim_broker_start(void);
void sim_worker_start(unsigned number);
/* A second process with the name of this worker, on the disk SIM_CLONE_NUMBER. */
void sim_clone_start(unsigned of);
struct sim_process *sim_clone(void);
/* The core of the running broker; NULL: there is none. */
const struct ek_broker *sim_broker_core(void);
/* As SIGTERM. */
void sim_stop(struct sim_process *process);

/* A snapshot that the broker published: the ledger balances, nothing is quarantined. */
void sim_cluster_look(const struct ek_snapshot *snapshot);
/* The broker's time at `at_us` is known to lie between these; CHECK_NEVER: not known yet. */
uint64_t sim_stamp_low(uint64_t at_us);
uint64_t sim_stamp_high(uint64_t at_us);
/* It is at most this now. */
uint64_t sim_stamp_now(void);

#endif
