/*
 * The worker's side of its connection to the broker as a state machine: when to say HELLO, when a heartbeat is due, which link
 * counts. It sends nothing and reads no clock: time comes in, what to do comes out. Pure; one thread at a time. All times are
 * microseconds of one monotonic clock.
 *
 *   GREETING ──WELCOME──► ADOPTING ──generation durable──► OPEN (REPORT is sent)
 *      ▲                     │                               │
 *      └── refused as stale, or no sign of the broker for 2 × liveness ──┘
 */
#ifndef EK_WORKER_LINK_H
#define EK_WORKER_LINK_H

#include "common/messages.h"

enum ek_worker_link_state { EK_WORKER_LINK_GREETING, EK_WORKER_LINK_ADOPTING, EK_WORKER_LINK_OPEN };

enum ek_worker_link_action {
    EK_WORKER_LINK_WAIT,
    EK_WORKER_LINK_HELLO,     /* say HELLO on the present connection */
    EK_WORKER_LINK_RECONNECT, /* open a new connection, so that nothing old is in the way, and say HELLO there */
    EK_WORKER_LINK_HEARTBEAT
};

struct ek_worker_link {
    enum ek_worker_link_state state;
    struct ek_link link; /* of the last WELCOME */
    uint64_t liveness_us;
    uint64_t heard_us; /* the last sign of the broker, or the last HELLO */
    uint64_t heartbeat_us;
    bool greeted; /* a HELLO was said in this state */
    bool hello_now;
};

void ek_worker_link_init(struct ek_worker_link *link, uint64_t now_us);
/* When ek_worker_link_step has to be asked next. */
uint64_t ek_worker_link_due_us(const struct ek_worker_link *link);
/* What is due now; one action a call, and the caller carries it out. */
enum ek_worker_link_action ek_worker_link_step(struct ek_worker_link *link, uint64_t now_us);

/* A WELCOME came: its generation has to be made durable. */
void ek_worker_link_welcomed(struct ek_worker_link *link, const struct ek_worker_welcome *welcome, uint64_t now_us);
/* The generation of `adopted` is durable. True when that is still the link, and REPORT has to be sent. */
bool ek_worker_link_adopted(struct ek_worker_link *link, struct ek_link adopted);
/* The broker does not know this link (any more). */
void ek_worker_link_stale(struct ek_worker_link *link, uint64_t now_us);
/* The next heartbeat is due at once. */
void ek_worker_link_hurry(struct ek_worker_link *link);
/* Something came over `from`. */
void ek_worker_link_heard(struct ek_worker_link *link, struct ek_link from, uint64_t now_us);

#endif
