#include "broker/clients.h"

#include <stdlib.h>

static bool same_peer(const struct ek_table_link *item, const void *wanted)
{
    return EK_ITEM(item, struct ek_broker_client, by_peer)->peer == *(const ek_broker_peer *)wanted;
}

struct ek_broker_client *ek_clients_find(const struct ek_broker *broker, ek_broker_peer peer)
{
    struct ek_table_link *found = ek_table_find(&broker->clients, ek_mix(peer), same_peer, &peer);
    return found ? EK_ITEM(found, struct ek_broker_client, by_peer) : NULL;
}

static void unlink_by_age(struct ek_broker *broker, struct ek_broker_client *client)
{
    *(client->older ? &client->older->newer : &broker->oldest_client) = client->newer;
    *(client->newer ? &client->newer->older : &broker->newest_client) = client->older;
}

static void link_as_newest(struct ek_broker *broker, struct ek_broker_client *client)
{
    client->older = broker->newest_client;
    client->newer = NULL;
    *(broker->newest_client ? &broker->newest_client->newer : &broker->oldest_client) = client;
    broker->newest_client = client;
}

static void forget(struct ek_broker *broker, struct ek_broker_client *client)
{
    unlink_by_age(broker, client);
    ek_table_remove(&broker->clients, &client->by_peer);
    free(client);
}

/* Makes room by forgetting the longest silent client that has nothing here; looks at a few only, so that the cost is bounded. Those
 * with jobs, which may wait for a worker that is away for long, have their turn again behind all others. */
static bool make_room(struct ek_broker *broker)
{
    enum { CANDIDATES = 64 };
    for (int i = 0; i < CANDIDATES && broker->oldest_client; i++) {
        struct ek_broker_client *client = broker->oldest_client;
        if (client->jobs == 0) {
            forget(broker, client);
            return true;
        }
        unlink_by_age(broker, client);
        link_as_newest(broker, client);
    }
    return false;
}

struct ek_broker_client *ek_clients_hear(struct ek_broker *broker, ek_broker_peer peer, uint64_t now_us)
{
    struct ek_broker_client *client = ek_clients_find(broker, peer);
    if (client)
        unlink_by_age(broker, client);
    else {
        if (broker->clients.count >= EK_CLIENTS_MAX && !make_room(broker))
            return NULL;
        client = ek_alloc_zero(1, sizeof *client);
        client->peer = peer;
        client->connection = ++broker->last_connection;
        ek_table_add(&broker->clients, &client->by_peer, ek_mix(peer));
    }
    client->heard_us = now_us;
    link_as_newest(broker, client);
    return client;
}

void ek_clients_lost(struct ek_broker *broker, ek_broker_peer peer)
{
    struct ek_broker_client *client = ek_clients_find(broker, peer);
    if (client)
        client->connection = ++broker->last_connection;
}

void ek_clients_done(struct ek_broker *broker)
{
    while (broker->oldest_client)
        forget(broker, broker->oldest_client);
    ek_table_done(&broker->clients);
}
