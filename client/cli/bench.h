/*
 * A benchmark's producers: each is a client handle with operations under way, several to a connection and several connections to a
 * thread. bench.c reads the flags and prints the figures. The threads share nothing but the plan, which does not change while they
 * run.
 */
#ifndef EK_CLI_BENCH_H
#define EK_CLI_BENCH_H

#include "client/cli/cli.h"
#include "client/cli/generator.h"
#include "common/histogram.h"

#include <stdatomic.h>

enum ek_bench_step { EK_BENCH_PUT, EK_BENCH_INCREMENT, EK_BENCH_MODIFY };

/* A share of gets, and what the rest is. */
struct ek_workload {
    const char *name;
    double gets;
    enum ek_bench_step rest;
    bool zipfian; /* unless told otherwise */
};

struct ek_bench_plan {
    const struct ek_cli *cli;
    const struct ek_workload *workload;
    bool zipfian_keys;
    struct ek_zipfian zipfian;
    uint64_t keys;
    uint64_t value_bytes;
    const uint8_t *values; /* EK_BENCH_BLOCK_BYTES + value_bytes of them */
    uint64_t producers;
    uint64_t connections; /* at most as many */
    uint64_t pipeline;
    uint64_t seed;
    uint32_t timeout_ms;
    /* of the phase */
    bool loading;         /* write each key once; what follows does not apply */
    uint64_t count;       /* operations in all; UINT64_MAX = until the end of the time */
    uint64_t duration_us; /* 0 = until the count is reached */
    uint64_t rate;        /* operations a second in all; 0 = as fast as it goes */
    uint64_t started_us;
};
#define EK_BENCH_BLOCK_BYTES (1u << 20)

struct ek_bench_producer;

struct ek_bench_thread {
    const struct ek_bench_plan *plan;
    struct ek_bench_producer *producers; /* this thread's, of the plan's */
    size_t count;
    struct ek_connection **connections; /* this thread's; its producers take them in turn */
    size_t connection_count;
    uint64_t now_us; /* read every few operations only */
    unsigned until_clock;
    /* results of the phase */
    struct ek_histogram latency;
    uint64_t operations, errors, not_found, bytes;
    uint64_t ended_us; /* of the last completion */
    struct ek_error first_error;
    atomic_ullong progress; /* operations, for whoever watches */
    atomic_bool finished;
};

/* Opens the connections and producers first, first + step, ... and says why when it cannot. */
enum ek_outcome ek_bench_thread_init(struct ek_bench_thread *thread, const struct ek_bench_plan *plan, uint64_t first,
                                     uint64_t step);
/* Runs the plan's phase to its end; a thread's main. `context` is the ek_bench_thread. */
void *ek_bench_thread_run(void *context);
uint64_t ek_bench_thread_busy_retries(const struct ek_bench_thread *thread);
void ek_bench_thread_done(struct ek_bench_thread *thread);

#endif
