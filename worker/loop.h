/*
 * The worker's loop: its sockets, and the threading of messages between the broker, the storage thread and the reads. It holds no
 * policy: when to greet is link.h's, what a job comes to is judge.h's, how much may be sent is credit.h's.
 */
#ifndef EK_WORKER_LOOP_H
#define EK_WORKER_LOOP_H

#include "worker/engine.h"
#include "worker/store.h"

struct ek_worker_settings {
    const char *broker;
    const char *listen;
    const char *advertise; /* NULL: where it listens */
    const char *name;
    uint32_t capacity_milli;
    uint64_t reserve_bytes;
};

/* Serves until `signal_fd` (signalfd) becomes readable, then stops in order: finishes what is in flight, at most 5 s, and says BYE.
 * Takes the engine over until it returns. Returns EK_OK after an orderly stop, EK_IN_USE, EK_DENIED or EK_MALFORMED for an endpoint
 * that cannot be used, EK_MISMATCH when the broker refuses this worker, EK_AGAIN when the storage thread did not end in time: the
 * process must then end without closing the store. */
EK_MUST enum ek_status ek_worker_loop_run(const struct ek_worker_settings *settings, struct ek_engine *engine,
                                          struct ek_store *store, int signal_fd, struct ek_error *error);

#endif
