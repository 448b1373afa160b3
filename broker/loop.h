/*
 * The broker's edge: sockets, clock and signals around the core. Polls, turns messages into events, carries actions out; holds no
 * policy. One thread; the keeper's and the stats' threads run beside it.
 */
#ifndef EK_BROKER_LOOP_H
#define EK_BROKER_LOOP_H

#include "broker/core.h"
#include "broker/meta.h"
#include "common/transport.h"

struct ek_broker_loop_options {
    struct ek_broker *broker;
    struct ek_meta *meta;
    const struct ek_context *context; /* of these sockets */
    struct ek_socket *clients;        /* bound; stays the caller's */
    struct ek_socket *workers;        /* likewise */
    struct ek_socket *stats;          /* bound PUB; closed by the loop */
    uint64_t queue_bytes_max;
};

/* Runs until SIGTERM or SIGINT (blocked by the caller before any thread started), then finishes what is in flight. 0, or 1 after a
 * failure that was logged. */
int ek_broker_loop_run(const struct ek_broker_loop_options *options);

#endif
