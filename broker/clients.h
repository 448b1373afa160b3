/*
 * The clients that the broker remembers: one per connection, found by its peer name, the longest silent ones forgotten first. It
 * queues nothing and sends nothing. One thread.
 */
#ifndef EK_BROKER_CLIENTS_H
#define EK_BROKER_CLIENTS_H

#include "broker/state.h"

/* Finds or makes the client and notes that it was heard. NULL when EK_CLIENTS_MAX are known and the few that were looked at have
 * jobs here: the next call looks at others. */
struct ek_broker_client *ek_clients_hear(struct ek_broker *broker, ek_broker_peer peer, uint64_t now_us);
/* NULL when it is not known. */
struct ek_broker_client *ek_clients_find(const struct ek_broker *broker, ek_broker_peer peer);
/* Replies to it may be lost: it gets another connection number, so that its library asks again for what is unanswered. */
void ek_clients_lost(struct ek_broker *broker, ek_broker_peer peer);
/* Frees them all. */
void ek_clients_done(struct ek_broker *broker);

#endif
