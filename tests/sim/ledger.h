/*
 * Which call went out under which number, and what the workers' records on disk say of that number: so that it is known in the end
 * of every call of a library's client whether it took effect, answered or not. A number is used once; a call takes effect once.
 */
#ifndef EK_TESTS_SIM_LEDGER_H
#define EK_TESTS_SIM_LEDGER_H

#include "common/messages.h"
#include "tests/sim/history.h"

struct sim_disk;

/* A write was submitted; calls of one session come in their order. */
void sim_ledger_submitted(uint32_t shard, struct sim_call *call);
/* A numbered job that is no cancellation was sent by `session`. */
void sim_ledger_sent(unsigned session, const struct ek_job *job);
/* One was sent by a session whose calls are judged elsewhere. */
void sim_ledger_sent_beside(const struct ek_job *job);
/* How many producers have sent to this shard so far: beyond EK_PRODUCERS_PER_SHARD_MAX some are forgotten. */
size_t sim_ledger_producers(uint32_t shard);
/* A record of the book-keeping came to a disk. */
void sim_ledger_recorded(const struct sim_disk *disk, struct ek_slice record);
/* It is gone again: it was not synced. */
void sim_ledger_lost(const struct sim_disk *disk, struct ek_slice record);
/* A disk carried the call out, and its clone did not, or the other way round: whatever was answered, the disk to go on with
 * decides. */
bool sim_ledger_is_disputed(const struct sim_call *call);
/* True when a record says that the call was carried out; `ret_position` is its first operation's, or 0 where two disks differ. */
bool sim_ledger_took_effect(const struct sim_call *call, uint64_t *ret_position);
/* What the records say beyond that, for the checker: the place of the call among the writes of its shard; and what became of its
 * steps, where no answer told. False when no record says that a job with it was judged. */
bool sim_ledger_complete(const struct sim_call *call, struct check_call *check);

#endif
