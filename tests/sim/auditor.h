/*
 * Somebody who asks for checks while everything else goes on: a check that comes to an end must find everything in order, whoever
 * was killed, moved or cut off meanwhile.
 */
#ifndef EK_TESTS_SIM_AUDITOR_H
#define EK_TESTS_SIM_AUDITOR_H

/* Begins to ask. */
void sim_auditor_open(void);

#endif
