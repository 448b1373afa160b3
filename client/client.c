#include "client/handle.h"

#include "common/clock.h"
#include "common/table.h"

#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_TIMEOUT_MS = 5000 };

#define DEFAULT_PENDING_BYTES ((size_t)256 * EK_MIB)

void ek_client_set_error(struct ek_client *client, const char *text)
{
    (void)snprintf(client->error, sizeof client->error, "%s", text);
}

/* Its own connection, or a place on one that it was given. */
static enum ek_outcome join(struct ek_client *client, const struct ek_client_options *options)
{
    client->owns_connection = !options->connection;
    client->connection = options->connection;
    if (client->owns_connection) {
        struct ek_context *shared = options->share_io ? options->share_io->connection->context : NULL;
        enum ek_outcome outcome = ek_connection_start(options->endpoint, shared, 1, &client->connection);
        if (outcome != EK_OUTCOME_OK)
            return outcome;
    }
    return ek_connection_take_slot(client->connection, &client->ids) ? EK_OUTCOME_OK : EK_OUTCOME_BUSY;
}

static struct ek_session *start_session(const struct ek_client *client, const struct ek_client_options *options)
{
    uint64_t now_us = ek_clock_monotonic_us();
    struct ek_session_options filled = {
        .name = options->name,
        .seed = ek_mix(now_us ^ (uint64_t)(uintptr_t)client),
        .timeout_ms = client->timeout_ms,
        .linger_us = options->linger_us,
        .pending_bytes_max = options->pending_bytes_max ? options->pending_bytes_max : DEFAULT_PENDING_BYTES,
        .ids = client->ids,
    };
    return ek_session_new(&filled, now_us);
}

enum ek_outcome ek_client_open(const struct ek_client_options *options, struct ek_client **ret_client)
{
    const struct ek_client_options defaults = {0};
    if (!options)
        options = &defaults;
    struct ek_client *client = ek_alloc_zero(1, sizeof *client);
    enum ek_outcome outcome = join(client, options);
    if (outcome != EK_OUTCOME_OK) {
        free(client);
        return outcome;
    }
    client->timeout_ms = options->timeout_ms ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
    client->session = start_session(client, options);
    client->connection->lingers = client->connection->lingers || options->linger_us > 0;
    ek_connection_put(client->connection, client->ids.slot, client->session);
    *ret_client = client;
    return EK_OUTCOME_OK;
}

/* Says goodbye to a broker that listens; one that does not is not waited for. */
static void take_leave(struct ek_client *client)
{
    struct ek_connection *connection = client->connection;
    struct ek_owned farewell;
    if (connection->unsent.memory || (client->owns_connection && ek_socket_unsent_bytes(connection->socket) > 0))
        return;
    if (ek_session_farewell(client->session, ek_clock_monotonic_us(), &farewell))
        ek_socket_send_last(connection->socket, farewell);
}

void ek_client_close(struct ek_client **client)
{
    struct ek_client *old = *client;
    if (!old || old->connection->inside)
        return;
    old->connection->inside = true;
    take_leave(old);
    uint64_t end_of_ids = ek_session_end_of_ids(old->session);
    ek_session_destroy(&old->session);
    ek_connection_free_slot(old->connection, old->ids.slot, end_of_ids);
    old->connection->inside = false;
    if (old->owns_connection)
        ek_connection_free(old->connection);
    ek_buffer_done(&old->kept);
    free(old);
    *client = NULL;
}

enum ek_outcome ek_submit(struct ek_client *client, const struct ek_request *request, uint32_t timeout_ms, ek_callback callback,
                          void *context)
{
    ek_connection_has_work(client->connection, client->ids.slot);
    return ek_session_submit(client->session, request, timeout_ms, callback, context, ek_clock_monotonic_us());
}

enum ek_outcome ek_submit_transaction(struct ek_client *client, const struct ek_request *requests, size_t count,
                                      uint32_t timeout_ms, ek_callback callback, void *context)
{
    ek_connection_has_work(client->connection, client->ids.slot);
    return ek_session_submit_transaction(client->session, requests, count, timeout_ms, callback, context, ek_clock_monotonic_us());
}

void ek_client_flush(struct ek_client *client)
{
    if (!client->connection->inside)
        ek_connection_send(client->connection, client->ids.slot, ek_clock_monotonic_us());
}

size_t ek_client_poll(struct ek_client *client, int timeout_ms)
{
    return ek_connection_poll(client->connection, timeout_ms);
}

void ek_client_wait(struct ek_client *const *clients, size_t count, int timeout_ms)
{
    struct ek_connection **connections = ek_alloc_zero(count, sizeof(struct ek_connection *));
    for (size_t i = 0; i < count; i++)
        connections[i] = clients[i]->connection;
    ek_connection_wait(connections, count, timeout_ms);
    free(connections);
}

size_t ek_client_pending(const struct ek_client *client)
{
    return ek_session_pending(client->session);
}

uint64_t ek_client_busy_retries(const struct ek_client *client)
{
    return ek_session_counters(client->session).busy_jobs;
}

const char *ek_client_error(const struct ek_client *client)
{
    return client->error;
}
