/*
 * What the judge does with dead letters: keeps a job that killed its worker, and drops or replays one that is kept. A part of the
 * judge: same thread, same group. It decides nothing about links, positions and numbers, and writes nothing itself: changes are
 * collected in judge->letters.
 *
 * Limits: EK_DEAD_LETTERS_MAX letters and EK_DEAD_BYTES_MAX a shard; EK_DEAD_REPLAYED_BYTES of replays a group. What would exceed
 * one ends FAILED and changes nothing.
 */
#ifndef EK_WORKER_DEAD_H
#define EK_WORKER_DEAD_H

#include "worker/judge.h"

/* The verdict of an EK_JOB_DEAD: DEAD when it is kept from now on, else FAILED. */
struct ek_outcome_of_job ek_dead_set_aside(struct ek_judge *judge, const struct ek_worker_job *job);
/* True when the job is one drop or replay. */
bool ek_dead_is_asked(const struct ek_worker_job *job);
/* Carries it out. A failure is that of a reader, and ends the group. */
EK_MUST enum ek_status ek_dead_run(struct ek_judge *judge, const struct ek_worker_job *job, struct ek_outcome_of_job *ret);

/* A letter was found at the start; its texts are not kept. */
void ek_dead_restore(struct ek_judge *judge, uint16_t shard, const struct ek_letter *letter);
/* How many letters the shards hold that are served here. */
uint64_t ek_dead_kept(const struct ek_judge *judge);

#endif
