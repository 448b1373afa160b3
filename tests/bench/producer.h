/*
 * What the load generators of the measurements share: options that are numbers or texts, and clients on one I/O thread. They end
 * the program when something is wrong with either.
 */
#ifndef EK_TESTS_BENCH_PRODUCER_H
#define EK_TESTS_BENCH_PRODUCER_H

#include "client/evenkeel.h"

#include <stddef.h>
#include <stdint.h>

/* `--name VALUE`, into one of both. */
struct producer_option {
    const char *name;
    uint64_t *number;
    const char **text;
};
void producer_read_options(const struct producer_option *known, size_t count, int argc, char **argv);
/* What is no whole number ends the program. */
uint64_t producer_number(const char *text);

/* All of them, connected. */
void producer_open(const char *broker, const char *name, struct ek_client **ret_clients, uint64_t count);
void producer_close(struct ek_client **clients, uint64_t count);

/* `"ok":12,…`: how many of each outcome. */
enum { PRODUCER_OUTCOMES = EK_OUTCOME_DEAD + 1 };
void producer_print_outcomes(const uint64_t by_outcome[PRODUCER_OUTCOMES]);

#endif
