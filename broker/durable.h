/*
 * The records that a step wants on disk before it goes on: gathers them, and asks for their write. Decides nothing.
 */
#ifndef EK_BROKER_DURABLE_H
#define EK_BROKER_DURABLE_H

#include "broker/state.h"

/* A record of this step, for the caller to fill. */
struct ek_record *ek_durable_add(struct ek_broker *broker, enum ek_record_type type);
/* Who holds a shard as it stands now. */
void ek_durable_add_assignment(struct ek_broker *broker, const struct ek_shard *shard);
/* Everything gathered in this step is written and synced before its later actions; nothing when there is nothing. */
void ek_durable_write(struct ek_broker *broker);

#endif
