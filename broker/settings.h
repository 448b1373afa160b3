/*
 * What an operator sets for the whole cluster while it runs, and what outlives the broker: whether shards are balanced, whether
 * moves begin, how fast a copy may be. It only keeps them; broker/balance.h and broker/moves.h heed them.
 */
#ifndef EK_BROKER_SETTINGS_H
#define EK_BROKER_SETTINGS_H

#include "broker/state.h"

/* Of the durable state. EK_CORRUPT: there is no such setting. */
EK_MUST enum ek_status ek_settings_load(struct ek_broker *broker, const struct ek_record *record);
/* Durable with the next record write of this step, which it asks for. */
void ek_settings_set(struct ek_broker *broker, enum ek_setting setting, uint64_t value);
/* Members of the JSON object under construction. */
void ek_settings_describe(const struct ek_broker *broker, struct ek_buffer *out);

#endif
