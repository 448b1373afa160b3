/*
 * Workers' replies: the job they belong to is found, counted, answered and freed. Sends nothing to workers, save that a reply which
 * shows that broker and worker disagree ends the link, so that both begin again from the report.
 */
#ifndef EK_BROKER_SETTLE_H
#define EK_BROKER_SETTLE_H

#include "broker/state.h"

/* `worker` has the link that the replies came on. */
void ek_settle_replies(struct ek_broker *broker, struct ek_worker *worker, const struct ek_worker_reply *replies, size_t count,
                       uint64_t now_us);

#endif
