/*
 * Taking office: from what the directory says to a core whose generation and time ceiling are durable before anybody hears of them.
 * Opens nothing and binds nothing. Called once, before the loop.
 */
#ifndef EK_BROKER_OFFICE_H
#define EK_BROKER_OFFICE_H

#include "broker/core.h"
#include "broker/meta.h"

struct ek_office {
    uint64_t queue_bytes_max;
    uint64_t liveness_us;
    uint64_t now_us;      /* monotonic */
    uint64_t now_unix_ms; /* the wall clock */
    uint32_t random;
    const char *stats_endpoint;
};

/* Makes the core of the generation that follows `state`'s. EK_CORRUPT: the records contradict each other; others are the store's.
 */
EK_MUST enum ek_status ek_office_take(const struct ek_office *office, struct ek_meta *meta, const struct ek_meta_state *state,
                                      struct ek_broker **ret, struct ek_error *error);

#endif
