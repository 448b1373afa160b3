/*
 * What waits to leave on one ROUTER socket: per peer an open envelope, and behind it a bounded backlog of messages that the peer's
 * pipe had no room for. Decides nothing about jobs. One thread.
 */
#ifndef EK_BROKER_OUTBOX_H
#define EK_BROKER_OUTBOX_H

#include "common/codec.h"
#include "common/transport.h"

/* A message beyond it is large: ZeroMQ bounds what its pipes hold by messages, which says little of these. */
#define EK_OUTBOX_LARGE_BYTES (2 * EK_ENVELOPE_BYTES_GOAL)

struct ek_outbox;

/* `peer_bytes_max` and `bytes_max` bound the backlog of one peer and of all; a peer that passes them loses its backlog and is
 * reported lost. */
struct ek_outbox *ek_outbox_new(struct ek_socket *socket, size_t peer_bytes_max, size_t bytes_max);
void ek_outbox_destroy(struct ek_outbox **outbox);

/* Into the peer's open envelope. */
void ek_outbox_reply(struct ek_outbox *outbox, ek_peer peer, const struct ek_reply *reply);
void ek_outbox_job(struct ek_outbox *outbox, ek_peer peer, struct ek_link link, const struct ek_worker_job *job);
void ek_outbox_fed(struct ek_outbox *outbox, ek_peer peer, struct ek_link link, const struct ek_fed *fed);
/* A message of its own, behind what the envelope holds; the memory passes over. */
void ek_outbox_message(struct ek_outbox *outbox, ek_peer peer, struct ek_owned message);
/* Likewise one that its peer can do without: it is dropped where it would have to wait. For answers to strangers, who could
 * otherwise keep a backlog each. */
void ek_outbox_offer(struct ek_outbox *outbox, ek_peer peer, struct ek_owned message);
/* So much waits for the peer that nothing large should be added: its large messages that ZeroMQ still holds, and its backlog, have
 * passed what one peer's backlog may have. */
bool ek_outbox_is_slow(const struct ek_outbox *outbox, ek_peer peer);
/* Sends what can be sent. */
void ek_outbox_flush(struct ek_outbox *outbox);
/* Something stayed, because pipes are full: flush again soon. */
bool ek_outbox_waits(const struct ek_outbox *outbox);
/* A peer that is gone, or lost its backlog; true while there are any. */
bool ek_outbox_next_lost(struct ek_outbox *outbox, ek_peer *ret_peer);

#endif
