/*
 * From a received frame to an event for the core. Holds the arrays that events lend; reads nothing from sockets. One thread.
 */
#ifndef EK_BROKER_INBOUND_H
#define EK_BROKER_INBOUND_H

#include "broker/core.h"
#include "common/codec.h"

struct ek_inbound;

struct ek_inbound *ek_inbound_new(void);
void ek_inbound_destroy(struct ek_inbound **inbound);

/* A client's message. EK_OK with `ret_query` set (and no event): it asks for figures. EK_MALFORMED, EK_TOO_LARGE, EK_NEWER. What is
 * lent is valid until the next call. */
EK_MUST enum ek_status ek_inbound_client(struct ek_inbound *inbound, struct ek_slice message, struct ek_event *ret_event,
                                         const struct ek_query **ret_query);
/* A worker's message, likewise. */
EK_MUST enum ek_status ek_inbound_worker(struct ek_inbound *inbound, struct ek_slice message, struct ek_event *ret_event);

#endif
