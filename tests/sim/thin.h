/*
 * A thin client of a simulation: bare messages, no numbers, no repetition. An answer that does not come in time is no answer.
 */
#ifndef EK_TESTS_SIM_THIN_H
#define EK_TESTS_SIM_THIN_H

#include "tests/sim/checker.h"

struct sim_thin;

struct sim_thin *sim_thin_open(const char *endpoint);
/* One call of one step, to its answer or the end of patience, in the history as `session`. */
void sim_thin_call(struct sim_thin *thin, unsigned session, unsigned tag, const struct check_step *step);

#endif
