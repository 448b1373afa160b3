#include "tests/sim/net.h"

#include "tests/sim/tally.h"

#include <stdlib.h>
#include <string.h>

enum {
    SOCKETS_MAX = 4096,
    FDS_MAX = 65536,
    FD_FIRST = 100000,
    RECONNECT_US = 20 * 1000,
    RECONNECT_MAX_US = 500 * 1000,
    TURN_US = 8, /* what a turn of a loop takes at least */
    LATE_US = 3 * 1000 * 1000,
    LATE_PERCENT = 50,
    ALL_ARRIVE_PERCENT = 20,
    HOLDS_MAX = 64
};

struct message {
    struct message *next;
    uint64_t ready_us;
    size_t size;
    uint8_t bytes[];
};

struct queue {
    struct message *first;
    struct message **end;
    size_t count;
    size_t bytes;
    uint64_t last_us; /* order holds: nothing is ready before what was sent before it */
};

struct connection {
    struct connection *next; /* of its router */
    uint64_t id;
    struct ek_socket *dealer; /* NULL: closed */
    struct ek_socket *router;
    struct queue up;
    struct queue down;
    bool broken;
    bool replaced; /* its DEALER has another one */
    bool dealer_knows;
    bool router_knows;
};

struct ek_socket {
    struct sim_process *process;
    enum ek_socket_kind kind;
    char endpoint[EK_TEXT_BYTES_MAX];
    bool bound;
    bool closed;
    struct queue out;              /* of a DEALER without a connection */
    struct queue late;             /* of a DEALER: what its former connections still deliver */
    struct connection *connection; /* of a DEALER; NULL: none at present */
    struct connection *former;     /* the one before */
    bool connecting;
    struct connection *connections; /* of a ROUTER */
    uint64_t last_sender;
};

struct ek_context {
    char unused;
};

struct countdown {
    struct sim_process *process; /* NULL: none */
    unsigned messages;
    void (*run)(void *context, uint64_t argument);
    uint64_t argument;
};

struct hold {
    struct sim_process *process;
    struct sim_process *peer; /* NULL: whoever it is */
    bool from;
    bool to;
    uint64_t until_us;
};

static struct {
    struct sim_net_options options;
    sim_net_tap tap;
    struct ek_socket *sockets[SOCKETS_MAX];
    size_t socket_count;
    uint64_t last_connection;
    bool raised[FDS_MAX];
    struct sim_process *fd_owners[FDS_MAX];
    int fd_count;
    struct hold holds[HOLDS_MAX];
    size_t hold_count;
    struct countdown countdowns[HOLDS_MAX];
    size_t last_countdown;
} net;

void sim_net_open(const struct sim_net_options *options, sim_net_tap tap)
{
    net.options = *options;
    net.tap = tap;
}

/* Whoever polls looks again. */
static void stir(struct sim_process *process)
{
    if (process && process->state != SIM_ENDED)
        sim_wake(process->poller);
}

static void stir_later(void *context, uint64_t life)
{
    struct sim_process *process = context;
    if (process->life == life)
        stir(process);
}

/* ---- queues ---- */

static struct message *make_message(struct ek_slice bytes)
{
    struct message *message = sim_alloc(1, sizeof *message + bytes.size);
    message->size = bytes.size;
    if (bytes.size)
        memcpy(message->bytes, bytes.data, bytes.size);
    return message;
}

static void append(struct queue *queue, struct message *message)
{
    message->next = NULL;
    *(queue->first ? queue->end : &queue->first) = message;
    queue->end = &message->next;
    queue->count++;
    queue->bytes += message->size;
}

static struct message *take_first(struct queue *queue)
{
    struct message *message = queue->first;
    queue->first = message->next;
    queue->count--;
    queue->bytes -= message->size;
    return message;
}

static void drop_all(struct queue *queue)
{
    while (queue->first)
        free(take_first(queue));
}

/* ---- holds ---- */

static bool is_held(const struct sim_process *from, const struct sim_process *to)
{
    for (size_t i = 0; i < net.hold_count; i++) {
        const struct hold *hold = &net.holds[i];
        bool out = hold->from && hold->process == from && (!hold->peer || hold->peer == to);
        bool in = hold->to && hold->process == to && (!hold->peer || hold->peer == from);
        if (hold->until_us > sim_now_us() && (out || in))
            return true;
    }
    return false;
}

static void stir_all(void *context, uint64_t argument)
{
    (void)context, (void)argument;
    for (size_t i = 0; i < net.socket_count; i++)
        stir(net.sockets[i]->process);
}

void sim_net_cut(struct sim_process *a, struct sim_process *b, bool from_a, bool from_b, uint64_t until_us)
{
    if (net.hold_count == HOLDS_MAX)
        net.hold_count = 0;
    net.holds[net.hold_count++] = (struct hold){.process = a, .peer = b, .from = from_a, .to = from_b, .until_us = until_us};
    sim_at(until_us + 1, stir_all, NULL, 0);
}

void sim_net_hold(struct sim_process *process, bool from, bool to, uint64_t until_us)
{
    sim_net_cut(process, NULL, from, to, until_us);
}

void sim_net_heal(void)
{
    net.hold_count = 0;
    memset(net.countdowns, 0, sizeof net.countdowns);
    stir_all(NULL, 0);
}

/* ---- countdowns ---- */

void sim_net_count_down(struct sim_process *process, unsigned messages, void (*run)(void *context, uint64_t argument),
                        uint64_t argument)
{
    net.countdowns[net.last_countdown++ % HOLDS_MAX] =
        (struct countdown){.process = process, .messages = messages, .run = run, .argument = argument};
}

static void count_down(const struct sim_process *from, const struct sim_process *to)
{
    for (size_t i = 0; i < HOLDS_MAX; i++) {
        struct countdown *countdown = &net.countdowns[i];
        if (!countdown->process || (countdown->process != from && countdown->process != to) || --countdown->messages)
            continue;
        sim_at(sim_now_us() + sim_draw(net.options.delay_us), countdown->run, countdown->process, countdown->argument);
        countdown->process = NULL;
    }
}

/* ---- connections ---- */

static void send_on(struct queue *queue, struct message *message, struct sim_process *to)
{
    uint64_t ready_us = sim_now_us() + sim_delay_us(net.options.delay_us);
    queue->last_us = ready_us > queue->last_us ? ready_us : queue->last_us + 1;
    message->ready_us = queue->last_us;
    append(queue, message);
    sim_at(message->ready_us, stir_later, to, to->life);
}

static void try_to_connect(void *context, uint64_t argument);

static void connect_later(struct ek_socket *dealer, uint64_t delay_us)
{
    if (dealer->connecting || dealer->closed)
        return;
    dealer->connecting = true;
    sim_at(sim_now_us() + delay_us, try_to_connect, dealer, 0);
}

static struct ek_socket *listener_at(const char *endpoint)
{
    for (size_t i = 0; i < net.socket_count; i++)
        if (net.sockets[i]->bound && strcmp(net.sockets[i]->endpoint, endpoint) == 0)
            return net.sockets[i];
    return NULL;
}

static void try_to_connect(void *context, uint64_t argument)
{
    struct ek_socket *dealer = context;
    (void)argument;
    dealer->connecting = false;
    if (dealer->closed || dealer->connection)
        return;
    struct ek_socket *router = listener_at(dealer->endpoint);
    bool reachable = router && !is_held(dealer->process, router->process) && !is_held(router->process, dealer->process) &&
                     router->process->state == SIM_RUNNING;
    if (!reachable) {
        connect_later(dealer, sim_between(RECONNECT_US, RECONNECT_MAX_US));
        return;
    }
    struct connection *connection = sim_alloc(1, sizeof *connection);
    *connection = (struct connection){.next = router->connections, .id = ++net.last_connection, .dealer = dealer, .router = router};
    router->connections = connection;
    if (dealer->former)
        dealer->former->replaced = true;
    dealer->former = connection;
    dealer->connection = connection;
    while (dealer->out.first)
        send_on(&connection->up, take_first(&dealer->out), router->process);
    stir(dealer->process);
}

static void dealer_notices(void *context, uint64_t argument)
{
    struct connection *connection = context;
    struct ek_socket *dealer = connection->dealer;
    (void)argument;
    connection->dealer_knows = true;
    if (!dealer || dealer->connection != connection)
        return;
    dealer->connection = NULL;
    while (connection->down.first)
        append(&dealer->late, take_first(&connection->down));
    connect_later(dealer, sim_between(RECONNECT_US, RECONNECT_MAX_US));
    stir(dealer->process);
}

static void router_notices(void *context, uint64_t argument)
{
    (void)argument;
    ((struct connection *)context)->router_knows = true;
}

static struct sim_process *dealer_process(const struct connection *connection)
{
    return connection->dealer && !connection->dealer->closed ? connection->dealer->process : NULL;
}

/* What is behind the first `from` messages arrives late: among what the next connection carries. */
static void delay_rest(struct queue *queue, uint64_t from, struct sim_process *to)
{
    uint64_t late_us = sim_draw(LATE_US);
    uint64_t at = 0;
    if (!to)
        return;
    for (struct message *message = queue->first; message; message = message->next)
        if (at++ >= from) {
            message->ready_us += late_us;
            sim_at(message->ready_us, stir_later, to, to->life);
        }
}

/* A part is lost: a suffix, the middle, or a prefix. Some of the rest may be late. */
static void lose_some(struct queue *queue, struct sim_process *to, enum sim_count lost)
{
    uint64_t kept = sim_draw(queue->count + 1);
    uint64_t behind = sim_chance(50) ? queue->count : kept + sim_draw(queue->count - kept + 1);
    struct queue rest = *queue;
    *queue = (struct queue){.last_us = rest.last_us};
    for (uint64_t i = 0; rest.first; i++) {
        struct message *message = take_first(&rest);
        if (i < kept || i >= behind) {
            append(queue, message);
            continue;
        }
        sim_count(lost);
        if (rest.count && i + 1 == behind)
            sim_count(SIM_COUNT_LOST_INSIDE);
        free(message);
    }
    if (sim_chance(LATE_PERCENT))
        delay_rest(queue, sim_draw(queue->count + 1), to);
}

/* Of what the DEALER sent a prefix arrives, a suffix had not left yet, and what is between is lost; or arrives twice. */
static void part_up(struct connection *connection)
{
    struct queue all = connection->up;
    uint64_t count = all.count;
    bool all_arrive = sim_chance(ALL_ARRIVE_PERCENT);
    uint64_t left = all_arrive ? count : sim_draw(count + 1);
    uint64_t arrived = all_arrive ? count : sim_draw(left + 1);
    uint64_t again = sim_chance(net.options.repeat_percent) ? sim_draw(arrived + 1) : left;
    struct queue kept = {.last_us = all.last_us};
    struct queue back = {0};
    for (uint64_t i = 0; i < count; i++) {
        struct message *message = take_first(&all);
        if (i >= again)
            append(&back, make_message(ek_slice_of(message->bytes, message->size)));
        if (i >= again && i < arrived)
            sim_count(SIM_COUNT_TWICE);
        if (i >= arrived && i < left)
            sim_count(count > left ? SIM_COUNT_LOST_INSIDE : SIM_COUNT_LOST_UP);
        if (i < arrived)
            append(&kept, message);
        else
            free(message);
    }
    connection->up = kept;
    if (sim_chance(LATE_PERCENT))
        delay_rest(&connection->up, sim_draw(arrived + 1), connection->router->process);
    while (connection->dealer->out.first)
        append(&back, take_first(&connection->dealer->out));
    connection->dealer->out = back;
}

static uint64_t notice_us(void)
{
    return sim_now_us() + (sim_chance(80) ? sim_draw(50 * 1000) : sim_draw(4 * 1000 * 1000));
}

static void break_connection(struct connection *connection)
{
    if (connection->broken)
        return;
    connection->broken = true;
    sim_note(4, connection->id);
    lose_some(&connection->down, dealer_process(connection), SIM_COUNT_LOST_DOWN);
    if (connection->dealer)
        part_up(connection);
    else
        lose_some(&connection->up, connection->router->process, SIM_COUNT_LOST_UP);
    sim_at(notice_us(), dealer_notices, connection, 0);
    sim_at(notice_us(), router_notices, connection, 0);
}

void sim_net_break(struct sim_process *process)
{
    for (size_t i = 0; i < net.socket_count; i++)
        if (net.sockets[i]->process == process && net.sockets[i]->connection)
            break_connection(net.sockets[i]->connection);
}

bool sim_net_forge(const struct sim_process *process, bool up, struct ek_slice message)
{
    for (size_t i = 0; i < net.socket_count; i++) {
        struct connection *connection = net.sockets[i]->connection;
        if (net.sockets[i]->process != process || !connection || connection->broken)
            continue;
        if (up)
            send_on(&connection->up, make_message(message), connection->router->process);
        else
            send_on(&connection->down, make_message(message), net.sockets[i]->process);
        return true;
    }
    return false;
}

void sim_net_lose(const struct sim_process *process, bool (*wanted)(struct ek_slice message))
{
    for (size_t i = 0; i < net.socket_count; i++) {
        struct connection *connection = net.sockets[i]->connection;
        if (net.sockets[i]->process != process || !connection)
            continue;
        struct queue rest = connection->down;
        bool lost = false;
        connection->down = (struct queue){.last_us = rest.last_us};
        while (rest.first) {
            struct message *message = take_first(&rest);
            if (!lost && wanted(ek_slice_of(message->bytes, message->size))) {
                lost = true;
                free(message);
            } else
                append(&connection->down, message);
        }
    }
}

static void close_socket(struct ek_socket *socket)
{
    socket->closed = true;
    socket->bound = false;
    if (socket->connection) {
        struct connection *connection = socket->connection;
        socket->connection = NULL;
        connection->dealer = NULL;
        break_connection(connection);
        connection->dealer_knows = true;
    }
    for (struct connection *connection = socket->connections; connection; connection = connection->next) {
        break_connection(connection);
        connection->router_knows = true;
        drop_all(&connection->up);
    }
    socket->connections = NULL;
    drop_all(&socket->out);
    drop_all(&socket->late);
    for (size_t i = 0; i < net.socket_count; i++)
        if (net.sockets[i] == socket)
            net.sockets[i] = net.sockets[--net.socket_count];
}

void sim_net_forget(struct sim_process *process)
{
    for (size_t i = net.socket_count; i-- > 0;)
        if (i < net.socket_count && net.sockets[i]->process == process)
            close_socket(net.sockets[i]);
}

/* ---- transport.h: sockets ---- */

struct ek_context *ek_context_new(int io_threads, int sockets_max)
{
    (void)io_threads, (void)sockets_max;
    return ek_alloc_zero(1, sizeof(struct ek_context));
}

void ek_context_destroy(struct ek_context **context)
{
    free(*context);
    *context = NULL;
}

enum ek_status ek_socket_open(struct ek_context *context, enum ek_socket_kind kind, struct ek_socket **ret)
{
    (void)context;
    if (net.socket_count == SOCKETS_MAX)
        abort();
    struct ek_socket *socket = sim_alloc(1, sizeof *socket);
    socket->process = sim_self();
    socket->kind = kind;
    net.sockets[net.socket_count++] = socket;
    *ret = socket;
    return EK_OK;
}

void ek_socket_close(struct ek_socket **socket)
{
    if (*socket)
        close_socket(*socket);
    *socket = NULL;
}

enum ek_status ek_socket_bind(struct ek_socket *socket, const char *endpoint, char *ret_actual, struct ek_error *error)
{
    if (listener_at(endpoint))
        return ek_error_set(error, EK_IN_USE, "%s is taken", endpoint);
    (void)snprintf(socket->endpoint, sizeof socket->endpoint, "%s", endpoint);
    (void)snprintf(ret_actual, EK_TEXT_BYTES_MAX, "%s", endpoint);
    socket->bound = socket->kind == EK_SOCKET_ROUTER;
    return EK_OK;
}

enum ek_status ek_socket_connect(struct ek_socket *socket, const char *endpoint, struct ek_error *error)
{
    (void)error;
    (void)snprintf(socket->endpoint, sizeof socket->endpoint, "%s", endpoint);
    connect_later(socket, sim_delay_us(net.options.delay_us));
    return EK_OK;
}

enum ek_status ek_socket_subscribe(struct ek_socket *socket, const char *topic)
{
    (void)socket, (void)topic;
    return EK_OK;
}

/* ---- receiving ---- */

struct frame {
    struct message *message;
};

static struct frame *frame_of(struct ek_frame *frame)
{
    return (struct frame *)(void *)frame->storage;
}

static bool is_ready(const struct queue *queue, const struct sim_process *from, const struct sim_process *to)
{
    return queue->first && queue->first->ready_us <= sim_now_us() && !is_held(from, to);
}

/* One of the connections that have something, by chance: a ROUTER takes turns, and old connections come among new ones. */
static struct connection *choose(struct ek_socket *router)
{
    struct connection *chosen = NULL;
    uint64_t seen = 0;
    for (struct connection **at = &router->connections; *at;) {
        struct connection *connection = *at;
        if (connection->broken && connection->router_knows && !connection->up.first) {
            *at = connection->next;
            continue;
        }
        if (is_ready(&connection->up, dealer_process(connection), router->process) && sim_draw(++seen) == 0)
            chosen = connection;
        at = &connection->next;
    }
    return chosen;
}

/* What a DEALER receives from next, or NULL. */
static struct queue *choose_down(struct ek_socket *dealer)
{
    struct connection *connection = dealer->connection;
    bool new = connection &&is_ready(&connection->down, connection->router->process, dealer->process);
    bool late = is_ready(&dealer->late, NULL, dealer->process);
    if (late && (!new || sim_chance(50)))
        return &dealer->late;
    return new ? &connection->down : NULL;
}

static bool can_receive(struct ek_socket *socket)
{
    return socket->kind == EK_SOCKET_ROUTER ? choose(socket) != NULL : choose_down(socket) != NULL;
}

enum ek_status ek_socket_receive(struct ek_socket *socket, struct ek_frame *ret_frame, ek_peer *ret_peer)
{
    bool to_router = socket->kind == EK_SOCKET_ROUTER;
    struct connection *connection = to_router ? choose(socket) : NULL;
    struct queue *queue = connection ? &connection->up : to_router ? NULL : choose_down(socket);
    if (!queue)
        return EK_AGAIN;
    struct message *message = take_first(queue);
    frame_of(ret_frame)->message = message;
    if (to_router) {
        socket->last_sender = connection->id;
        *ret_peer = connection->id;
    }
    if (connection && connection->replaced)
        sim_count(SIM_COUNT_LATE_UP);
    if (queue == &socket->late && socket->connection)
        sim_count(SIM_COUNT_LATE_DOWN);
    struct ek_slice bytes = ek_slice_of(message->bytes, message->size);
    sim_note_bytes(5 + to_router, bytes.data, bytes.size);
    return EK_OK;
}

struct ek_slice ek_frame_bytes(struct ek_frame *frame)
{
    return ek_slice_of(frame_of(frame)->message->bytes, frame_of(frame)->message->size);
}

void ek_frame_done(struct ek_frame *frame)
{
    free(frame_of(frame)->message);
    frame_of(frame)->message = NULL;
}

/* ---- sending ---- */

static struct connection *find(const struct ek_socket *router, uint64_t id)
{
    for (struct connection *connection = router->connections; connection; connection = connection->next)
        if (connection->id == id)
            return connection;
    return NULL;
}

static enum ek_status send_down(struct ek_socket *router, uint64_t peer, struct ek_slice bytes)
{
    struct connection *connection = find(router, peer);
    if (!connection || connection->router_knows)
        return EK_UNREACHABLE;
    if (connection->down.count >= net.options.messages_max)
        return EK_AGAIN;
    net.tap(router->process, dealer_process(connection), bytes);
    count_down(router->process, dealer_process(connection));
    if (!connection->broken) /* else into the void: it does not know yet */
        send_on(&connection->down, make_message(bytes), connection->dealer->process);
    return EK_OK;
}

static enum ek_status send_up(struct ek_socket *dealer, struct ek_slice bytes)
{
    struct connection *connection = dealer->connection;
    struct queue *queue = connection ? &connection->up : &dealer->out;
    if (queue->count + dealer->out.count >= net.options.messages_max)
        return EK_AGAIN;
    net.tap(dealer->process, connection ? connection->router->process : NULL, bytes);
    count_down(dealer->process, connection ? connection->router->process : NULL);
    if (!connection)
        append(&dealer->out, make_message(bytes));
    else if (!connection->broken)
        send_on(&connection->up, make_message(bytes), connection->router->process);
    return EK_OK;
}

enum ek_status ek_socket_send(struct ek_socket *socket, ek_peer peer, struct ek_owned message)
{
    enum ek_status status =
        socket->kind == EK_SOCKET_ROUTER ? send_down(socket, peer, message.message) : send_up(socket, message.message);
    if (status != EK_AGAIN)
        free(message.memory);
    return status;
}

/* What was sent is never memory of the sender's here. */
struct ek_unsent {
    size_t bytes;
};

struct ek_unsent *ek_unsent_new(void)
{
    return ek_alloc_zero(1, sizeof(struct ek_unsent));
}

void ek_unsent_destroy(struct ek_unsent **unsent)
{
    free(*unsent);
    *unsent = NULL;
}

size_t ek_unsent_bytes(const struct ek_unsent *unsent)
{
    return unsent->bytes;
}

enum ek_status ek_socket_send_counted(struct ek_socket *socket, ek_peer peer, struct ek_owned message, struct ek_unsent *unsent)
{
    (void)unsent;
    return ek_socket_send(socket, peer, message);
}

void ek_socket_send_last(struct ek_socket *socket, struct ek_owned message)
{
    if (ek_socket_send(socket, 0, message) == EK_AGAIN)
        free(message.memory);
}

size_t ek_socket_unsent_bytes(const struct ek_socket *socket)
{
    return socket->out.bytes + (socket->connection ? socket->connection->up.bytes : 0);
}

void ek_socket_answer(struct ek_socket *socket, struct ek_slice message)
{
    if (socket->kind == EK_SOCKET_ROUTER)
        (void)!send_down(socket, socket->last_sender, message);
}

/* ---- waiting ---- */

int sim_fd_new(void)
{
    if (net.fd_count == FDS_MAX)
        abort();
    net.fd_owners[net.fd_count] = sim_self();
    return FD_FIRST + net.fd_count++;
}

void sim_fd_raise(int fd)
{
    net.raised[fd - FD_FIRST] = true;
    stir(net.fd_owners[fd - FD_FIRST]);
}

bool sim_fd_take(int fd)
{
    bool raised = net.raised[fd - FD_FIRST];
    net.raised[fd - FD_FIRST] = false;
    return raised;
}

static bool look(struct ek_poll_item *items, size_t count)
{
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        items[i].readable = items[i].socket ? can_receive(items[i].socket) : net.raised[items[i].fd - FD_FIRST];
        any = any || items[i].readable;
    }
    return any;
}

enum ek_status ek_poll(struct ek_poll_item *items, size_t count, int64_t timeout_ms)
{
    struct sim_process *process = sim_self();
    uint64_t until_us = timeout_ms < 0 ? SIM_NEVER : sim_now_us() + (uint64_t)timeout_ms * 1000;
    sim_sleep_us(TURN_US + sim_draw(TURN_US));
    bool any;
    while (!(any = look(items, count)) && sim_now_us() < until_us) {
        process->poller = sim_fiber_self();
        sim_wait(until_us);
        process->poller = NULL;
    }
    return any ? EK_OK : EK_AGAIN;
}

bool ek_endpoint_is_loopback(const char *endpoint)
{
    (void)endpoint;
    return true;
}

bool ek_endpoint_is_valid(const char *endpoint)
{
    return endpoint[0] != 0;
}
