/*
 * What the load generators of the measurements share: clients on one I/O thread, and what became of their writes. It ends the
 * program when there is no broker.
 */
#ifndef EK_TESTS_BENCH_PRODUCER_H
#define EK_TESTS_BENCH_PRODUCER_H

#include "client/evenkeel.h"

#include <stdint.h>

/* All of them, connected. */
void producer_open(const char *broker, const char *name, struct ek_client **ret_clients, uint64_t count);
void producer_close(struct ek_client **clients, uint64_t count);

/* `"ok":12,…`: how many of each outcome. */
enum { PRODUCER_OUTCOMES = EK_OUTCOME_DEAD + 1 };
void producer_print_outcomes(const uint64_t by_outcome[PRODUCER_OUTCOMES]);

#endif
