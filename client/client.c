#include "client/handle.h"

#include "common/clock.h"
#include "common/table.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const default_endpoint = "tcp://127.0.0.1:5600";

enum {
    DEFAULT_TIMEOUT_MS = 5000,
    SOCKETS_MAX = 1023,
    RECEIVE_MAX = 256, /* messages in one pass, so that sending gets its turn */
    FULL_PIPE_WAIT_MS = 2
};

#define DEFAULT_PENDING_BYTES ((size_t)256 * EK_MIB)

void ek_client_set_error(struct ek_client *client, const char *text)
{
    (void)snprintf(client->error, sizeof client->error, "%s", text);
}

static enum ek_outcome connect_to(struct ek_client *client, const char *endpoint)
{
    struct ek_error error;
    if (!client->context || ek_socket_open(client->context, EK_SOCKET_DEALER, &client->socket) != EK_OK)
        return EK_OUTCOME_UNAVAILABLE;
    enum ek_status status = ek_socket_connect(client->socket, endpoint, &error);
    return status == EK_OK ? EK_OUTCOME_OK : status == EK_MALFORMED ? EK_OUTCOME_USAGE : EK_OUTCOME_UNAVAILABLE;
}

static void free_client(struct ek_client *client)
{
    free(client->unsent.memory);
    ek_socket_close(&client->socket);
    if (client->owns_context)
        ek_context_destroy(&client->context);
    ek_buffer_done(&client->kept);
    free(client);
}

static struct ek_session *start_session(const struct ek_client *client, const struct ek_client_options *options)
{
    uint64_t now_us = ek_clock_monotonic_us();
    return ek_session_new(&(struct ek_session_options){.name = options->name,
                                                       .seed = ek_mix(now_us ^ (uint64_t)(uintptr_t)client),
                                                       .timeout_ms = client->timeout_ms,
                                                       .linger_us = options->linger_us,
                                                       .pending_bytes_max = options->pending_bytes_max ? options->pending_bytes_max
                                                                                                       : DEFAULT_PENDING_BYTES},
                          now_us);
}

enum ek_outcome ek_client_open(const struct ek_client_options *options, struct ek_client **ret_client)
{
    const struct ek_client_options defaults = {0};
    if (!options)
        options = &defaults;
    const char *endpoint = options->endpoint ? options->endpoint : default_endpoint;
    if (!ek_endpoint_is_valid(endpoint))
        return EK_OUTCOME_USAGE;
    struct ek_client *client = ek_alloc_zero(1, sizeof *client);
    client->owns_context = !options->share_io;
    client->context = options->share_io ? options->share_io->context : ek_context_new(1, SOCKETS_MAX);
    client->timeout_ms = options->timeout_ms ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
    client->lingers = options->linger_us > 0;
    enum ek_outcome outcome = connect_to(client, endpoint);
    if (outcome != EK_OUTCOME_OK) {
        free_client(client);
        return outcome;
    }
    client->session = start_session(client, options);
    *ret_client = client;
    return EK_OUTCOME_OK;
}

/* Says goodbye to a broker that listens; one that does not is not waited for. */
static void take_leave(struct ek_client *client)
{
    struct ek_owned farewell;
    if (client->unsent.memory || ek_socket_unsent_bytes(client->socket) > 0)
        return;
    if (ek_session_farewell(client->session, ek_clock_monotonic_us(), &farewell))
        ek_socket_send_last(client->socket, farewell);
}

void ek_client_close(struct ek_client **client)
{
    if (!*client || (*client)->inside)
        return;
    (*client)->inside = true;
    take_leave(*client);
    ek_session_destroy(&(*client)->session);
    free_client(*client);
    *client = NULL;
}

static void has_work(struct ek_client *client)
{
    client->idle = false;
    client->due_us = 0;
}

enum ek_outcome ek_submit(struct ek_client *client, const struct ek_request *request, uint32_t timeout_ms, ek_callback callback,
                          void *context)
{
    has_work(client);
    return ek_session_submit(client->session, request, timeout_ms, callback, context, ek_clock_monotonic_us());
}

enum ek_outcome ek_submit_transaction(struct ek_client *client, const struct ek_request *requests, size_t count,
                                      uint32_t timeout_ms, ek_callback callback, void *context)
{
    has_work(client);
    return ek_session_submit_transaction(client->session, requests, count, timeout_ms, callback, context, ek_clock_monotonic_us());
}

/* ---- moving bytes ---- */

static size_t run_callbacks(struct ek_client *client)
{
    client->inside = true;
    size_t ran = ek_session_drain(client->session);
    client->inside = false;
    return ran;
}

static void send_all(struct ek_client *client, uint64_t now_us)
{
    while (client->unsent.memory || ek_session_output(client->session, now_us, &client->unsent)) {
        if (ek_socket_send(client->socket, 0, client->unsent) == EK_AGAIN)
            return;
        client->unsent = (struct ek_owned){0};
    }
}

/* `now_us` is brought up to date behind each message, whose callbacks may take long. */
static size_t receive_all(struct ek_client *client, uint64_t *now_us, bool *ret_heard)
{
    size_t ran = 0;
    *ret_heard = false;
    for (int i = 0; i < RECEIVE_MAX; i++) {
        struct ek_frame frame;
        enum ek_status status = ek_socket_receive(client->socket, &frame, NULL);
        if (status == EK_AGAIN)
            break;
        if (status != EK_OK)
            continue;
        ek_session_receive(client->session, ek_frame_bytes(&frame), *now_us);
        ran += run_callbacks(client);
        *ret_heard = true;
        ek_frame_done(&frame);
        *now_us = ek_clock_monotonic_us();
    }
    return ran;
}

/* What callbacks submit leaves in the same pass, and so does what a WELCOME sets free. */
static size_t pass(struct ek_client *client, uint64_t *now_us, bool *ret_heard)
{
    ek_session_tick(client->session, *now_us);
    size_t ran = run_callbacks(client);
    if (ran)
        *now_us = ek_clock_monotonic_us();
    send_all(client, *now_us);
    ran += receive_all(client, now_us, ret_heard);
    if (*ret_heard)
        send_all(client, *now_us);
    client->due_us = ek_session_due_us(client->session);
    return ran;
}

/* Until the session's next work or `until_us`, whatever comes first; UINT64_MAX: neither will. */
static uint64_t wait_ms(const struct ek_client *client, uint64_t until_us, uint64_t now_us)
{
    uint64_t due_us = client->due_us < until_us ? client->due_us : until_us;
    /* A lingering job is due within a fraction of the poll's millisecond: it is waited for by looking again. */
    uint64_t left_us = due_us > now_us ? due_us - now_us : 0;
    uint64_t left_ms = due_us == UINT64_MAX ? UINT64_MAX : client->lingers ? left_us / 1000 : (left_us + 999) / 1000;
    /* Whatever is due cannot leave before the pipe has room. */
    return client->unsent.memory ? FULL_PIPE_WAIT_MS : left_ms;
}

static void wait_for_messages(struct ek_poll_item *items, size_t count, uint64_t left_ms)
{
    (void)!ek_poll(items, count, left_ms > INT32_MAX ? -1 : (int64_t)left_ms);
}

static uint64_t later_us(uint64_t now_us, int timeout_ms)
{
    return timeout_ms < 0 ? UINT64_MAX : now_us + (uint64_t)timeout_ms * 1000;
}

/* As ek_client_step; `now_us` is brought up to date. */
static size_t step(struct ek_client *client, uint64_t until_us, uint64_t *now_us)
{
    bool heard;
    size_t ran = pass(client, now_us, &heard);
    if (ran == 0 && !heard && *now_us < until_us) {
        wait_for_messages(&(struct ek_poll_item){.socket = client->socket}, 1, wait_ms(client, until_us, *now_us));
        *now_us = ek_clock_monotonic_us();
    }
    return ran;
}

size_t ek_client_step(struct ek_client *client, uint64_t until_us)
{
    uint64_t now_us = ek_clock_monotonic_us();
    return step(client, until_us, &now_us);
}

size_t ek_client_poll(struct ek_client *client, int timeout_ms)
{
    bool idle = client->idle;
    client->idle = false;
    if (client->inside || (idle && timeout_ms == 0))
        return 0;
    uint64_t now_us = ek_clock_monotonic_us();
    uint64_t until_us = later_us(now_us, timeout_ms);
    for (;;) {
        /* Looked at before the step: what comes while the last wait ends is still taken. */
        bool last = now_us >= until_us;
        size_t ran = step(client, until_us, &now_us);
        if (ran || last)
            return ran;
    }
}

void ek_client_wait(struct ek_client *const *clients, size_t count, int timeout_ms)
{
    struct ek_poll_item *items = ek_alloc_zero(count, sizeof *items);
    uint64_t now_us = ek_clock_monotonic_us();
    uint64_t until_us = later_us(now_us, timeout_ms);
    uint64_t shortest_ms = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        uint64_t left_ms = wait_ms(clients[i], until_us, now_us);
        shortest_ms = left_ms < shortest_ms ? left_ms : shortest_ms;
        items[i].socket = clients[i]->socket;
    }
    wait_for_messages(items, count, shortest_ms);
    now_us = ek_clock_monotonic_us();
    for (size_t i = 0; i < count; i++)
        clients[i]->idle = !items[i].readable && !clients[i]->unsent.memory && clients[i]->due_us > now_us;
    free(items);
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
