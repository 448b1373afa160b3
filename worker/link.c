#include "worker/link.h"

#define GREETING_US ((uint64_t)1000000) /* until a HELLO without an answer is repeated */

enum { HEARTBEATS_PER_LIVENESS = 4, SILENT_LIVENESSES = 2, LIVENESS_MS_MIN = 100 };

void ek_worker_link_init(struct ek_worker_link *link, uint64_t now_us)
{
    *link = (struct ek_worker_link){.state = EK_WORKER_LINK_GREETING, .heard_us = now_us, .hello_now = true};
}

static uint64_t patience_us(const struct ek_worker_link *link)
{
    return link->state == EK_WORKER_LINK_GREETING ? GREETING_US : SILENT_LIVENESSES * link->liveness_us;
}

uint64_t ek_worker_link_due_us(const struct ek_worker_link *link)
{
    if (link->hello_now)
        return 0;
    uint64_t silent_us = link->heard_us + patience_us(link);
    if (link->state == EK_WORKER_LINK_GREETING)
        return silent_us;
    return silent_us < link->heartbeat_us ? silent_us : link->heartbeat_us;
}

static enum ek_worker_link_action greet(struct ek_worker_link *link, uint64_t now_us, enum ek_worker_link_action action)
{
    link->state = EK_WORKER_LINK_GREETING;
    link->heard_us = now_us;
    link->hello_now = false;
    link->greeted = true;
    return action;
}

enum ek_worker_link_action ek_worker_link_step(struct ek_worker_link *link, uint64_t now_us)
{
    if (link->hello_now)
        return greet(link, now_us, EK_WORKER_LINK_HELLO);
    if (now_us >= link->heard_us + patience_us(link))
        return greet(link, now_us, EK_WORKER_LINK_RECONNECT);
    if (link->state == EK_WORKER_LINK_GREETING || now_us < link->heartbeat_us)
        return EK_WORKER_LINK_WAIT;
    link->heartbeat_us = now_us + link->liveness_us / HEARTBEATS_PER_LIVENESS;
    return EK_WORKER_LINK_HEARTBEAT;
}

void ek_worker_link_welcomed(struct ek_worker_link *link, const struct ek_worker_welcome *welcome, uint64_t now_us)
{
    link->state = EK_WORKER_LINK_ADOPTING;
    link->link = welcome->link;
    uint64_t liveness_ms = welcome->liveness_ms > LIVENESS_MS_MIN ? welcome->liveness_ms : LIVENESS_MS_MIN;
    link->liveness_us = liveness_ms * 1000;
    link->heard_us = now_us;
    link->heartbeat_us = now_us;
    link->hello_now = false;
    link->greeted = false;
}

static bool same(struct ek_link a, struct ek_link b)
{
    return a.link == b.link && a.generation == b.generation;
}

bool ek_worker_link_adopted(struct ek_worker_link *link, struct ek_link adopted)
{
    if (link->state != EK_WORKER_LINK_ADOPTING || !same(link->link, adopted))
        return false;
    link->state = EK_WORKER_LINK_OPEN;
    return true;
}

void ek_worker_link_stale(struct ek_worker_link *link, uint64_t now_us)
{
    /* Everything that was under way is refused one by one; a single HELLO answers all of that. */
    if (link->state == EK_WORKER_LINK_GREETING && link->greeted)
        return;
    link->state = EK_WORKER_LINK_GREETING;
    link->heard_us = now_us;
    link->hello_now = true;
}

void ek_worker_link_hurry(struct ek_worker_link *link)
{
    link->heartbeat_us = 0;
}

void ek_worker_link_heard(struct ek_worker_link *link, struct ek_link from, uint64_t now_us)
{
    if (link->state != EK_WORKER_LINK_GREETING && same(link->link, from))
        link->heard_us = now_us;
}
