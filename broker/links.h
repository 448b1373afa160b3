/*
 * Workers and their links: HELLO, report, what they hold, heartbeats, silence, and what the broker believes of a shard. It decides
 * which state a shard is in; who shall hold an empty one is assign.h's business.
 */
#ifndef EK_BROKER_LINKS_H
#define EK_BROKER_LINKS_H

#include "broker/state.h"

void ek_links_hello(struct ek_broker *broker, ek_broker_peer peer, const struct ek_worker_hello *hello, uint64_t now_us);
/* The worker that has this link on this connection; NULL, after an answer to the sender, when nobody has. */
struct ek_worker *ek_links_find(struct ek_broker *broker, ek_broker_peer peer, struct ek_link link);
void ek_links_report(struct ek_broker *broker, struct ek_worker *worker, const struct ek_holding *holdings, size_t count);
void ek_links_assigned(struct ek_broker *broker, struct ek_worker *worker, const struct ek_holding *holdings, size_t count);
void ek_links_heartbeat(struct ek_broker *broker, struct ek_worker *worker, const struct ek_heartbeat *heartbeat,
                        const struct ek_shard_load *loads, uint64_t now_us);
/* The link is over: its shards are away, what was in flight is queued again. The worker may say HELLO at any time. */
void ek_links_end(struct ek_broker *broker, struct ek_worker *worker, const char *why);
/* It says that it ends, and why. */
void ek_links_bye(struct ek_broker *broker, struct ek_worker *worker, enum ek_bye_cause cause);
void ek_links_lost(struct ek_broker *broker, ek_broker_peer peer);
/* Ends links that were silent, or whose storage stood still, for longer than the liveness limit. */
void ek_links_check(struct ek_broker *broker, uint64_t now_us);
/* Tells a worker its role in one shard, at the shard's present epoch. */
void ek_links_tell(struct ek_broker *broker, int worker, uint16_t shard, enum ek_holding_state state);
/* Nobody has data of it: a connected holder called it empty in this generation, or it never had a holder. */
bool ek_links_is_free(const struct ek_shard *shard);
/* Gives a shard that is free, or that nobody holds, to another worker at once. */
void ek_links_give(struct ek_broker *broker, uint16_t shard, int target);
/* It has taken no writes for so long that it is no pause of its storage. */
bool ek_links_is_full(const struct ek_worker *worker, uint64_t now_us);
/* What the worker's disk takes before its reserve is touched, as far as its last heartbeat says. */
uint64_t ek_links_room(const struct ek_worker *worker);
/* Index of a known worker, or EK_NOBODY. */
int ek_links_find_worker(const struct ek_broker *broker, const struct ek_worker_id *id);

#endif
