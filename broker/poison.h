/*
 * Finds the job that kills its worker among those that do not, and sets it aside. A death is a worker process that ended without
 * BYE: its next HELLO has a higher incarnation. It counts only against a job that was alone in flight, on a link whose probe was
 * answered, so that neither a broken disk nor whoever kills a busy worker costs an innocent job its place. After a death with more
 * jobs in flight fewer of them go out at a time, and fewer after each further one, until all that were in flight have been
 * answered. It sends nothing but the probe.
 *
 * Part of the core: pure, one thread.
 */
#ifndef EK_BROKER_POISON_H
#define EK_BROKER_POISON_H

#include "broker/state.h"

/* The probe's token, which is no job's. */
enum { EK_PROBE_TOKEN = 0 };

/* The worker's link ends; called while its jobs still count as in flight. */
void ek_poison_link_ends(struct ek_broker *broker, struct ek_worker *worker);
/* It said BYE: nothing is to be explained. Called after the link has ended. */
void ek_poison_excuse(struct ek_worker *worker);
/* It says HELLO; `worker` still has the incarnation of the link before. What killed it for the last time is set aside. */
void ek_poison_hello(struct ek_broker *broker, struct ek_worker *worker, uint64_t incarnation, uint64_t now_us);
/* Sends the probe, behind its REPORT. */
void ek_poison_probe(struct ek_broker *broker, const struct ek_worker *worker);
void ek_poison_probe_answered(struct ek_worker *worker);

/* May one more job be in flight there? */
bool ek_poison_allows(const struct ek_worker *worker);
/* Jobs that were in flight at a death are waiting for their answer: they go before others. */
bool ek_poison_searches(const struct ek_worker *worker);

/* A job leaves for good. */
void ek_poison_settled(struct ek_broker *broker, struct ek_shard *shard, struct ek_broker_job *job);
/* A shard that will not be served for long holds nobody up. */
void ek_poison_forget_shard(struct ek_broker *broker, struct ek_shard *shard);
/* A shard with its suspects goes from one worker (or EK_NOBODY) to another. */
void ek_poison_move_shard(struct ek_broker *broker, const struct ek_shard *shard, int from, int to);
/* What the worker made of a job that was set aside. */
void ek_poison_note_verdict(struct ek_broker *broker, struct ek_worker *worker, const struct ek_broker_job *job,
                            enum ek_wire_status status);
/* Fewer dead letters than before: there is room again. */
void ek_poison_note_kept(struct ek_broker *broker, struct ek_worker *worker, uint64_t kept_before);

#endif
