#include "client/handle.h"

#include "common/clock.h"

#include <stdlib.h>

static const char *const default_endpoint = "tcp://127.0.0.1:5600";

enum {
    SOCKETS_MAX = 1023,
    RECEIVE_MAX = 256, /* messages in one pass, so that sending gets its turn */
    FULL_PIPE_WAIT_MS = 2
};

/* ---- birth and death ---- */

static enum ek_outcome connect_to(struct ek_connection *connection, const char *endpoint)
{
    struct ek_error error;
    if (!connection->context || ek_socket_open(connection->context, EK_SOCKET_DEALER, &connection->socket) != EK_OK)
        return EK_OUTCOME_UNAVAILABLE;
    enum ek_status status = ek_socket_connect(connection->socket, endpoint, &error);
    return status == EK_OK ? EK_OUTCOME_OK : status == EK_MALFORMED ? EK_OUTCOME_USAGE : EK_OUTCOME_UNAVAILABLE;
}

void ek_connection_free(struct ek_connection *connection)
{
    free(connection->unsent.memory);
    ek_socket_close(&connection->socket);
    if (connection->owns_context)
        ek_context_destroy(&connection->context);
    free(connection->set.sessions);
    free(connection->set.heard);
    free(connection->slots);
    free(connection);
}

enum ek_outcome ek_connection_start(const char *endpoint, struct ek_context *shared, uint32_t clients_max,
                                    struct ek_connection **ret)
{
    if (!endpoint)
        endpoint = default_endpoint;
    if (!ek_endpoint_is_valid(endpoint))
        return EK_OUTCOME_USAGE;
    struct ek_connection *connection = ek_alloc_zero(1, sizeof *connection);
    connection->clients_max = clients_max;
    connection->owns_context = !shared;
    connection->context = shared ? shared : ek_context_new(1, SOCKETS_MAX);
    enum ek_outcome outcome = connect_to(connection, endpoint);
    if (outcome == EK_OUTCOME_OK)
        *ret = connection;
    else
        ek_connection_free(connection);
    return outcome;
}

enum ek_outcome ek_connection_open(const char *endpoint, struct ek_connection *share_io, struct ek_connection **ret_connection)
{
    return ek_connection_start(endpoint, share_io ? share_io->context : NULL, EK_SLOTS_MAX, ret_connection);
}

void ek_connection_close(struct ek_connection **connection)
{
    if (!*connection || (*connection)->clients > 0)
        return;
    ek_connection_free(*connection);
    *connection = NULL;
}

/* ---- slots ---- */

static void *grown(const struct ek_connection *connection, void *array, size_t width)
{
    size_t capacity = connection->capacity;
    return ek_grow(array, &capacity, connection->set.count + 1, width);
}

static void add_slot(struct ek_connection *connection)
{
    struct ek_session_set *set = &connection->set;
    set->sessions = grown(connection, set->sessions, sizeof(struct ek_session *));
    set->heard = grown(connection, set->heard, sizeof *set->heard);
    connection->slots = ek_grow(connection->slots, &connection->capacity, set->count + 1, sizeof *connection->slots);
    set->sessions[set->count] = NULL;
    connection->slots[set->count] = (struct ek_slot){.due_us = UINT64_MAX};
    set->count++;
}

bool ek_connection_take_slot(struct ek_connection *connection, struct ek_session_ids *ret)
{
    struct ek_session_set *set = &connection->set;
    if (connection->clients == connection->clients_max)
        return false;
    uint32_t slot = connection->taken_below;
    while (slot < set->count && set->sessions[slot])
        slot++;
    if (slot == set->count)
        add_slot(connection);
    connection->taken_below = slot + 1;
    connection->clients++;
    *ret = (struct ek_session_ids){.slot = slot, .first = connection->slots[slot].first_id};
    return true;
}

void ek_connection_put(struct ek_connection *connection, uint32_t slot, struct ek_session *session)
{
    connection->set.sessions[slot] = session;
    ek_connection_has_work(connection, slot);
}

void ek_connection_free_slot(struct ek_connection *connection, uint32_t slot, uint64_t first_id)
{
    connection->slots[slot] = (struct ek_slot){.due_us = UINT64_MAX, .first_id = first_id};
    connection->set.sessions[slot] = NULL;
    if (slot < connection->taken_below)
        connection->taken_below = slot;
    connection->clients--;
}

void ek_connection_has_work(struct ek_connection *connection, uint32_t slot)
{
    connection->idle = false;
    connection->due_us = 0;
    connection->slots[slot].due_us = 0;
}

/* ---- moving bytes ---- */

static size_t run_callbacks(struct ek_connection *connection, struct ek_session *session)
{
    connection->inside = true;
    size_t ran = ek_session_drain(session);
    connection->inside = false;
    return ran;
}

/* True when all has left. */
static bool send_unsent(struct ek_connection *connection)
{
    if (connection->unsent.memory && ek_socket_send(connection->socket, 0, connection->unsent) != EK_AGAIN)
        connection->unsent = (struct ek_owned){0};
    return !connection->unsent.memory;
}

/* What the session has to send; notes when it is to be looked at again. */
void ek_connection_send(struct ek_connection *connection, uint32_t slot, uint64_t now_us)
{
    struct ek_session *session = connection->set.sessions[slot];
    while (send_unsent(connection) && ek_session_output(session, now_us, &connection->unsent))
        ;
    connection->slots[slot].due_us = connection->unsent.memory ? 0 : ek_session_due_us(session);
}

/* Runs the callbacks of what the message has brought before the message goes. */
static size_t run_callbacks_of_heard(struct ek_connection *connection)
{
    size_t ran = 0;
    for (uint32_t i = 0; i < connection->set.heard_count; i++) {
        uint32_t slot = connection->set.heard[i];
        ran += run_callbacks(connection, connection->set.sessions[slot]);
        connection->slots[slot].due_us = 0;
    }
    return ran;
}

static void send_due(struct ek_connection *connection, uint64_t now_us)
{
    for (uint32_t slot = 0; slot < connection->set.count; slot++)
        if (connection->slots[slot].due_us == 0)
            ek_connection_send(connection, slot, now_us);
}

/* What callbacks submit leaves behind all messages that are there; but behind the first one where one comes at a time. `now_us` is
 * brought up to date behind each message, whose callbacks may take long. */
static size_t receive_all(struct ek_connection *connection, uint64_t *now_us)
{
    size_t ran = 0;
    connection->heard = false;
    ek_burst_begin(&connection->burst);
    for (int i = 0; i < RECEIVE_MAX; i++) {
        struct ek_frame frame;
        enum ek_status status = ek_socket_receive(connection->socket, &frame, NULL);
        if (status == EK_AGAIN)
            break;
        if (status != EK_OK)
            continue;
        ek_session_set_receive(&connection->set, ek_frame_bytes(&frame), *now_us);
        size_t answers = run_callbacks_of_heard(connection);
        ran += answers;
        connection->heard = true;
        *now_us = ek_clock_monotonic_us();
        if (ek_burst_took(&connection->burst, answers))
            send_due(connection, *now_us);
        ek_frame_done(&frame);
    }
    ek_burst_end(&connection->burst);
    return ran;
}

/* Whatever time has brought about, and what was submitted. */
static size_t attend(struct ek_connection *connection, uint32_t slot, uint64_t *now_us)
{
    struct ek_session *session = connection->set.sessions[slot];
    ek_session_tick(session, *now_us);
    size_t ran = run_callbacks(connection, session);
    if (ran)
        *now_us = ek_clock_monotonic_us();
    ek_connection_send(connection, slot, *now_us);
    return ran;
}

static uint64_t earliest_due_us(const struct ek_connection *connection)
{
    uint64_t due_us = UINT64_MAX;
    for (uint32_t slot = 0; slot < connection->set.count; slot++)
        if (connection->slots[slot].due_us < due_us)
            due_us = connection->slots[slot].due_us;
    return due_us;
}

/* What callbacks submit leaves in the same pass, and so does what a WELCOME sets free. */
static size_t pass(struct ek_connection *connection, uint64_t *now_us)
{
    size_t ran = 0;
    for (uint32_t slot = 0; slot < connection->set.count; slot++)
        if (connection->slots[slot].due_us <= *now_us)
            ran += attend(connection, slot, now_us);
    ran += receive_all(connection, now_us);
    if (connection->heard)
        send_due(connection, *now_us);
    connection->due_us = earliest_due_us(connection);
    return ran;
}

/* ---- waiting ---- */

/* Until the next work or `until_us`, whatever comes first; UINT64_MAX: neither will. */
static uint64_t wait_ms(const struct ek_connection *connection, uint64_t until_us, uint64_t now_us)
{
    uint64_t due_us = connection->due_us < until_us ? connection->due_us : until_us;
    /* A lingering job is due within a fraction of the poll's millisecond: it is waited for by looking again. */
    uint64_t left_us = due_us > now_us ? due_us - now_us : 0;
    uint64_t left_ms = due_us == UINT64_MAX ? UINT64_MAX : connection->lingers ? left_us / 1000 : (left_us + 999) / 1000;
    /* Whatever is due cannot leave before the pipe has room. */
    return connection->unsent.memory ? FULL_PIPE_WAIT_MS : left_ms;
}

static void wait_for_messages(struct ek_poll_item *items, size_t count, uint64_t left_ms)
{
    (void)!ek_poll(items, count, left_ms > INT32_MAX ? -1 : (int64_t)left_ms);
}

static uint64_t later_us(uint64_t now_us, int timeout_ms)
{
    return timeout_ms < 0 ? UINT64_MAX : now_us + (uint64_t)timeout_ms * 1000;
}

/* As ek_connection_step; `now_us` is brought up to date. */
static size_t step(struct ek_connection *connection, uint64_t until_us, uint64_t *now_us)
{
    size_t ran = pass(connection, now_us);
    if (ran == 0 && !connection->heard && *now_us < until_us) {
        wait_for_messages(&(struct ek_poll_item){.socket = connection->socket}, 1, wait_ms(connection, until_us, *now_us));
        *now_us = ek_clock_monotonic_us();
    }
    return ran;
}

size_t ek_connection_step(struct ek_connection *connection, uint64_t until_us)
{
    uint64_t now_us = ek_clock_monotonic_us();
    return step(connection, until_us, &now_us);
}

size_t ek_connection_poll(struct ek_connection *connection, int timeout_ms)
{
    bool idle = connection->idle;
    connection->idle = false;
    if (connection->inside || (idle && timeout_ms == 0))
        return 0;
    uint64_t now_us = ek_clock_monotonic_us();
    uint64_t until_us = later_us(now_us, timeout_ms);
    for (;;) {
        /* Looked at before the step: what comes while the last wait ends is still taken. */
        bool last = now_us >= until_us;
        size_t ran = step(connection, until_us, &now_us);
        if (ran || last)
            return ran;
    }
}

void ek_connection_wait(struct ek_connection *const *connections, size_t count, int timeout_ms)
{
    struct ek_poll_item *items = ek_alloc_zero(count, sizeof *items);
    uint64_t now_us = ek_clock_monotonic_us();
    uint64_t until_us = later_us(now_us, timeout_ms);
    uint64_t shortest_ms = timeout_ms < 0 ? UINT64_MAX : (uint64_t)timeout_ms; /* without any connection too */
    for (size_t i = 0; i < count; i++) {
        uint64_t left_ms = wait_ms(connections[i], until_us, now_us);
        shortest_ms = left_ms < shortest_ms ? left_ms : shortest_ms;
        items[i].socket = connections[i]->socket;
    }
    wait_for_messages(items, count, shortest_ms);
    now_us = ek_clock_monotonic_us();
    for (size_t i = 0; i < count; i++)
        connections[i]->idle = !items[i].readable && !connections[i]->unsent.memory && connections[i]->due_us > now_us;
    free(items);
}
