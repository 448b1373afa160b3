/*
 * Somebody who moves shards to and fro while they are in use, and changes his mind; and the judgement of what that leaves behind:
 * each row lies with its shard's holder, and nowhere else; so do dead letters and what is remembered of producers.
 */
#ifndef EK_TESTS_SIM_MOVER_H
#define EK_TESTS_SIM_MOVER_H

#include "tests/sim/world.h"

/* Begins to ask for moves. */
void sim_mover_open(void);
/* No new ones. */
void sim_mover_heal(void);
/* Every move has ended; what was released is gone, and nothing of a learner is left. */
bool sim_mover_is_over(void);
/* The moves that were done. */
void sim_mover_count(void);
/* What is not over yet, as lines of the story. */
void sim_mover_tell(void);

#endif
