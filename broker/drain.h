/*
 * Workers that are to end empty, so that they can be stopped for good. The wish is durable; the planner gives the shards away, and
 * nobody gives such a worker new ones.
 */
#ifndef EK_BROKER_DRAIN_H
#define EK_BROKER_DRAIN_H

#include "broker/state.h"

/* Of the durable state; EK_CORRUPT: there is no such worker. */
EK_MUST enum ek_status ek_drain_load(struct ek_broker *broker, const struct ek_record *record);
/* The operator's word. NULL, or why it cannot be. Saying it twice is the same as once. */
const char *ek_drain_begin(struct ek_broker *broker, int worker);
void ek_drain_cancel(struct ek_broker *broker, int worker);
/* It holds no shard, gets none, and has deleted what it held. */
bool ek_drain_is_over(const struct ek_broker *broker, int worker);
/* No shard would be missed if it stopped now: it holds none and gets none. */
bool ek_drain_is_safe_to_stop(const struct ek_broker *broker, int worker);
/* How far it is, as a JSON object. */
void ek_drain_describe(struct ek_broker *broker, int worker, struct ek_buffer *out);
/* At each tick: says it once when one is done. */
void ek_drain_tick(struct ek_broker *broker);

#endif
