/*
 * What can be seen on the wire: every answer to a numbered job is the same answer, whichever copy of the job it answers. So a
 * number that was done is never expired, and a repetition gets the reply of then.
 */
#ifndef EK_TESTS_SIM_WIRE_H
#define EK_TESTS_SIM_WIRE_H

#include "common/bytes.h"
#include "tests/sim/world.h"

/* Takes a message as it is sent. */
void sim_wire_see(const struct sim_process *from, const struct sim_process *to, struct ek_slice message);

#endif
