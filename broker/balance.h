/*
 * The planner in office: shows it the cluster as it is, once a second and when a move has ended, and has carried out what it says.
 * It chooses nothing itself (broker/planner.h) and moves nothing itself (broker/moves.h, broker/links.h).
 *
 * A shard's busy time is what arrives for it: operations that arrived since the last second, times what one costs
 * (broker/effort.h).
 */
#ifndef EK_BROKER_BALANCE_H
#define EK_BROKER_BALANCE_H

#include "broker/moves.h"
#include "broker/planner.h"

void ek_balance_open(struct ek_broker *broker);
void ek_balance_close(struct ek_broker *broker);
/* At each tick. */
void ek_balance_tick(struct ek_broker *broker);
/* At the end of each step: a move that ended makes way for the next one. */
void ek_balance_go_on(struct ek_broker *broker);

/* A copied shard has its new owner, or a move ended without one. The next one may begin at once. */
void ek_balance_moved(struct ek_broker *broker, const struct ek_move *move);
void ek_balance_failed(struct ek_broker *broker, const struct ek_move *move);
/* The workers' indexes are others than before. */
void ek_balance_renumbered(struct ek_broker *broker);

/* Why the others cannot take what this worker holds, or NULL. */
const char *ek_balance_why_no_drain(struct ek_broker *broker, int worker);

/* The last round. */
const struct ek_plan *ek_balance_plan(const struct ek_broker *broker);
/* What a shard is believed to cost its worker, in microseconds a second. */
double ek_balance_busy_us(const struct ek_broker *broker, uint16_t shard);

#endif
