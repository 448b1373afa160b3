/*
 * From the queues to the workers: who may go next, with which position and stamp, within which credit; and what expires on the way.
 * It judges no reply (settle.h) and opens no link (links.h).
 */
#ifndef EK_BROKER_DISPATCH_H
#define EK_BROKER_DISPATCH_H

#include "broker/state.h"

/* A charged job joins the end of its shard's queue. */
void ek_dispatch_enqueue(struct ek_broker *broker, struct ek_shard *shard, struct ek_broker_job *job);
/* A queued job that was never sent becomes its own cancellation. */
void ek_dispatch_turn_into_cancel(struct ek_broker *broker, struct ek_broker_job *job, enum ek_wire_status cause);
/* A queued job that killed its worker becomes what sets it aside, with its positions. */
void ek_dispatch_turn_into_dead(struct ek_broker *broker, struct ek_broker_job *job, const struct ek_dead *dead);
/* Ends a queued job with EXPIRED or DEAD and a text (or NULL). */
void ek_dispatch_drop(struct ek_broker *broker, struct ek_shard *shard, struct ek_broker_job *job, enum ek_wire_status status,
                      const char *text);
/* Sends what credit allows, to every worker; at most EK_DISPATCH_JOBS_MAX jobs in one step. */
void ek_dispatch_run(struct ek_broker *broker, uint64_t now_us);
/* A shard that serves from now on, or has work again, stands in its holder's ring. */
void ek_dispatch_make_ready(struct ek_broker *broker, struct ek_shard *shard);
/* The shard, with its queue, belongs to another worker (or EK_NOBODY) from now on; nothing of it may be in flight. */
void ek_dispatch_set_holder(struct ek_broker *broker, struct ek_shard *shard, int holder);
/* Everything in flight on this shard goes back to the front of its queue, writes in their order and with their positions. */
void ek_dispatch_take_back(struct ek_broker *broker, struct ek_shard *shard);
/* What stands in the queue with a position ends as `status`, given back; nothing of the shard may be in flight. The rest stays. */
void ek_dispatch_give_back(struct ek_broker *broker, struct ek_shard *shard, enum ek_wire_status status);
/* The holder's ring is emptied: it has no link any more. */
void ek_dispatch_forget_ring(struct ek_broker *broker, struct ek_worker *worker);
/* The position up to which the shard's replies are all here. */
uint64_t ek_dispatch_confirmed(const struct ek_shard *shard);
/* Ends what has expired in the queues without ever having been sent. */
void ek_dispatch_sweep(struct ek_broker *broker, uint64_t now_us);
/* A job in flight has its answer: it leaves its list and the credit that it used. */
void ek_dispatch_land(struct ek_broker *broker, struct ek_shard *shard, struct ek_broker_job *job);
/* A job that has its answer leaves; it is in no list any more. */
void ek_dispatch_release(struct ek_broker *broker, struct ek_shard *shard, struct ek_broker_job *job);

#endif
