/*
 * Messages of the past on the connections of the present: replies that a worker once gave over another link, and jobs of an epoch
 * that is over. No network brings them in this order; a fault in either program might. Whoever gets one must refuse it.
 */
#ifndef EK_TESTS_SIM_PAST_H
#define EK_TESTS_SIM_PAST_H

#include "common/messages.h"
#include "common/reader.h"
#include "tests/sim/world.h"

/* A message of replies that a worker sends; `replies` begins behind the message's type. */
void sim_past_keep(const struct sim_process *worker, struct ek_slice message, struct ek_reader replies);
/* Those of earlier links go to the broker once more. */
void sim_past_repeat_replies(const struct sim_process *worker);
/* The worker, whose disk is `disk`, is sent a job for a shard of which it holds a later epoch, or which it has released. */
struct sim_disk;
void sim_past_send_job(const struct sim_process *worker, const struct sim_disk *disk);
/* Sees the answers to these jobs. */
void sim_past_look(const struct sim_process *worker, uint64_t token, enum ek_wire_status status);

#endif
