/*
 * Shards whose data is in doubt, or gone: quarantine, and what an operator accepts. A shard is quarantined when its worker's disk
 * knows less than was acknowledged, was rolled back, or was cloned; it stays so, across restarts, until the loss is accepted: then
 * it goes on at a new epoch and at a position beyond every one that was ever given, with an empty memory of its producers. Decides
 * about no shard that is in order, and judges no report (links.h).
 */
#ifndef EK_BROKER_LOSS_H
#define EK_BROKER_LOSS_H

#include "broker/state.h"

/* How far beyond the last known position a shard goes on: more than what can have been given since a floor was last written. */
#define EK_LOSS_POSITIONS ((uint64_t)1 << 32)

/* Nothing of the shard may be in flight. The caller writes the records (durable.h). */
void ek_loss_quarantine(struct ek_broker *broker, struct ek_shard *shard);
/* Everything that the worker holds; `code` and `text` are the alarm's. */
void ek_loss_quarantine_worker(struct ek_broker *broker, int worker, const char *code, const char *text);
/* Brings the alarms about a worker's quarantined shards up to date. */
void ek_loss_update_alarms(struct ek_broker *broker, int worker);

/* The operator's word. NULL, or why it cannot be. `ret_text` gets what came of it, as JSON. */
const char *ek_loss_accept(struct ek_broker *broker, uint16_t shard, struct ek_buffer *ret_text, uint64_t now_us);
/* The worker leaves the table; what it holds goes to others as empty shards, if `accept_loss`. */
const char *ek_loss_forget(struct ek_broker *broker, int worker, bool accept_loss, struct ek_buffer *ret_text, uint64_t now_us);

/* The holder has to make the shard's accepted loss durable before it serves: it says that it last held it at `epoch`. */
bool ek_loss_is_due(const struct ek_shard *shard, uint64_t epoch);
/* Tells the worker all losses of its shards that are due. */
void ek_loss_tell(struct ek_broker *broker, int worker);

/* Rows of a shard that was given up meanwhile came back with this worker: it keeps them, and gets no role in the shard. */
void ek_loss_set_aside(struct ek_broker *broker, struct ek_worker *worker, uint16_t shard);
bool ek_loss_is_aside(const struct ek_worker *worker, uint16_t shard);
/* A report begins: what is aside is told anew, shard by shard. */
void ek_loss_forget_aside(struct ek_broker *broker, struct ek_worker *worker);

#endif
