/*
 * The writes that a learner is fed: kept from the moment its holder has answered them until the learner has them synced too. It
 * begins and ends no attempt (moves.h does, when ek_feed_is_over says so).
 *
 * Limits: EK_FEED_BYTES_MAX for one learner, half of the queue's bytes for all of them; 1 MiB sent and not synced yet.
 */
#ifndef EK_BROKER_FEED_H
#define EK_BROKER_FEED_H

#include "broker/moves.h"

/* Keeps a copy of a write of the move's attempt and of its verdict. */
void ek_feed_add(struct ek_broker *broker, struct ek_move *move, const struct ek_broker_job *job,
                 const struct ek_worker_reply *reply);
/* Sends what the learner may have under way. */
void ek_feed_send(struct ek_broker *broker, struct ek_move *move);
/* Lets go of everything up to that position; the memory goes when this step's actions are carried out. */
void ek_feed_free(struct ek_broker *broker, struct ek_move *move, uint64_t up_to);
/* Whose attempt has to end now that `fed` has got another write, so that what waits is within its limits again; NULL: it is. */
struct ek_move *ek_feed_beyond_limit(const struct ek_broker *broker, struct ek_move *fed);

#endif
