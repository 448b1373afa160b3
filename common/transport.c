#include "common/transport.h"

#include "common/clock.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum {
    LINGER_MS = 500,
    LAST_LINGER_MS = 20,
    HANDSHAKE_MS = 3000,
    RECONNECT_MS = 20,
    RECONNECT_MAX_MS = 500,
    MESSAGES_MAX = 256, /* per pipe and direction; bytes are bounded by credit, queue limits and outboxes */
    /* Per peer: what lies here was not yet judged against any limit in bytes. ZeroMQ changes threads at each half of it, and it
     * must not be raised while connections last: whoever waits at the old mark is not woken up. */
    ROUTER_RECEIVED_MAX = 64,
    /* Connections that wait to be taken up: with ZeroMQ's 100 a thousand clients that come at once, as they do behind a restart,
     * try again only after whole seconds (TCP's). Linux holds it to net.core.somaxconn, 4096 since 5.4. */
    WAITING_CONNECTIONS_MAX = 4096,
    ROUTE_BYTES = 5, /* of an automatic routing id: a zero byte and 32 bits */
    ROUTING_ID_MAX = 255,
    THREAD_NAME_BYTES = 17 /* with its end, and with that of the line that tells it */
};

#define DELIMITED ((ek_peer)1 << 32)
#define KNOWN     ((ek_peer)1 << 33)

struct ek_context {
    void *zmq;
    int number; /* the names of its threads begin with it */
};

/* What messages still hold; outlives its owner when ZeroMQ lingers over them. */
struct ek_unsent {
    _Atomic size_t bytes;
    _Atomic size_t users; /* its owner, and each message under way */
};

struct sent {
    struct ek_unsent *of_socket;
    struct ek_unsent *of_peer; /* NULL: not counted */
    uint8_t *memory;
    size_t bytes;
};

struct ek_socket {
    void *zmq;
    int fd;     /* tells that ZeroMQ has news, once: what a call has taken in beside its work it does not tell again */
    bool quiet; /* the last call found nothing to receive and took in all news: the descriptor tells what comes next */
    struct ek_unsent *unsent;
    enum ek_socket_kind kind;
    uint8_t last_sender[ROUTING_ID_MAX];
    size_t last_sender_bytes;
    bool last_delimited;
};

_Static_assert(sizeof(zmq_msg_t) <= sizeof(struct ek_frame), "a frame holds a zmq_msg_t");

struct ek_context *ek_context_new(int io_threads, int sockets_max)
{
    void *zmq = zmq_ctx_new();
    if (!zmq)
        return NULL;
    static _Atomic int contexts;
    int number = atomic_fetch_add(&contexts, 1);
    if (zmq_ctx_set(zmq, ZMQ_IO_THREADS, io_threads) || zmq_ctx_set(zmq, ZMQ_MAX_SOCKETS, sockets_max) ||
        zmq_ctx_set(zmq, ZMQ_THREAD_NAME_PREFIX, number)) {
        (void)zmq_ctx_term(zmq);
        return NULL;
    }
    struct ek_context *context = ek_alloc_zero(1, sizeof *context);
    context->zmq = zmq;
    context->number = number;
    return context;
}

void ek_context_destroy(struct ek_context **context)
{
    if (!*context)
        return;
    while (zmq_ctx_term((*context)->zmq) && errno == EINTR)
        ;
    free(*context);
    *context = NULL;
}

static bool has_name(const char *thread, const char *name)
{
    char path[300];
    char found[THREAD_NAME_BYTES] = "";
    (void)snprintf(path, sizeof path, "/proc/self/task/%s/comm", thread);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool read = fgets(found, sizeof found, file) != NULL;
    (void)fclose(file);
    found[strcspn(found, "\n")] = 0;
    return read && strcmp(found, name) == 0;
}

pid_t ek_context_io_thread(const struct ek_context *context)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%d/ZMQbg/IO/0", context->number);
    name[THREAD_NAME_BYTES - 2] = 0; /* as the system keeps it */
    DIR *tasks = opendir("/proc/self/task");
    pid_t found = 0;
    for (const struct dirent *task; tasks && !found && (task = readdir(tasks));)
        if (has_name(task->d_name, name))
            found = (pid_t)strtol(task->d_name, NULL, 10);
    if (tasks)
        (void)closedir(tasks);
    return found;
}

/* ---- what has not left yet ---- */

static void release_unsent(struct ek_unsent *unsent)
{
    if (atomic_fetch_sub(&unsent->users, 1) == 1)
        free(unsent);
}

struct ek_unsent *ek_unsent_new(void)
{
    struct ek_unsent *unsent = ek_alloc_zero(1, sizeof *unsent);
    atomic_init(&unsent->users, 1);
    return unsent;
}

void ek_unsent_destroy(struct ek_unsent **unsent)
{
    if (!*unsent)
        return;
    release_unsent(*unsent);
    *unsent = NULL;
}

size_t ek_unsent_bytes(const struct ek_unsent *unsent)
{
    return atomic_load(&unsent->bytes);
}

static void count_in(struct ek_unsent *unsent, size_t bytes)
{
    if (!unsent)
        return;
    atomic_fetch_add(&unsent->users, 1);
    atomic_fetch_add(&unsent->bytes, bytes);
}

static void count_out(struct ek_unsent *unsent, size_t bytes)
{
    if (!unsent)
        return;
    atomic_fetch_sub(&unsent->bytes, bytes);
    release_unsent(unsent);
}

/* ---- sockets ---- */

static int kind_of(enum ek_socket_kind kind)
{
    static const int kinds[] = {ZMQ_ROUTER, ZMQ_DEALER, ZMQ_PUB, ZMQ_SUB};
    return kinds[kind];
}

static bool set(void *zmq, int option, int value)
{
    return zmq_setsockopt(zmq, option, &value, sizeof value) == 0;
}

static bool set_limits(void *zmq, enum ek_socket_kind kind)
{
    int64_t message_bytes_max = EK_ENVELOPE_BYTES_MAX;
    bool done = set(zmq, ZMQ_LINGER, LINGER_MS) && set(zmq, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) &&
                set(zmq, ZMQ_SNDHWM, MESSAGES_MAX) &&
                set(zmq, ZMQ_RCVHWM, kind == EK_SOCKET_ROUTER ? ROUTER_RECEIVED_MAX : MESSAGES_MAX) &&
                set(zmq, ZMQ_BACKLOG, WAITING_CONNECTIONS_MAX) && set(zmq, ZMQ_RECONNECT_IVL, RECONNECT_MS) &&
                set(zmq, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS) &&
                zmq_setsockopt(zmq, ZMQ_MAXMSGSIZE, &message_bytes_max, sizeof message_bytes_max) == 0;
    return done && (kind != EK_SOCKET_ROUTER || set(zmq, ZMQ_ROUTER_MANDATORY, 1));
}

enum ek_status ek_socket_open(struct ek_context *context, enum ek_socket_kind kind, struct ek_socket **ret)
{
    void *zmq = zmq_socket(context->zmq, kind_of(kind));
    if (!zmq)
        return EK_IO;
    int fd = -1;
    size_t fd_bytes = sizeof fd;
    if (!set_limits(zmq, kind) || zmq_getsockopt(zmq, ZMQ_FD, &fd, &fd_bytes)) {
        (void)zmq_close(zmq);
        return EK_IO;
    }
    struct ek_socket *socket = ek_alloc_zero(1, sizeof *socket);
    socket->zmq = zmq;
    socket->fd = fd;
    socket->kind = kind;
    socket->unsent = ek_unsent_new();
    *ret = socket;
    return EK_OK;
}

void ek_socket_close(struct ek_socket **socket)
{
    if (!*socket)
        return;
    (void)zmq_close((*socket)->zmq);
    ek_unsent_destroy(&(*socket)->unsent);
    free(*socket);
    *socket = NULL;
}

static enum ek_status refused(const char *verb, const char *endpoint, struct ek_error *error)
{
    int cause = errno;
    enum ek_status status = cause == EADDRINUSE ? EK_IN_USE
                            : cause == EACCES   ? EK_DENIED
                            : cause == EINVAL || cause == EADDRNOTAVAIL || cause == ENODEV || cause == EPROTONOSUPPORT
                                ? EK_MALFORMED
                                : EK_IO;
    return ek_error_set(error, status, "cannot %s %s: %s", verb, endpoint, zmq_strerror(cause));
}

enum ek_status ek_socket_bind(struct ek_socket *socket, const char *endpoint, char *ret_actual, struct ek_error *error)
{
    socket->quiet = false;
    if (zmq_bind(socket->zmq, endpoint))
        return refused("listen on", endpoint, error);
    size_t size = EK_TEXT_BYTES_MAX;
    if (zmq_getsockopt(socket->zmq, ZMQ_LAST_ENDPOINT, ret_actual, &size))
        return refused("learn the address of", endpoint, error);
    return EK_OK;
}

enum ek_status ek_socket_connect(struct ek_socket *socket, const char *endpoint, struct ek_error *error)
{
    socket->quiet = false;
    return zmq_connect(socket->zmq, endpoint) ? refused("connect to", endpoint, error) : EK_OK;
}

enum ek_status ek_socket_subscribe(struct ek_socket *socket, const char *topic)
{
    socket->quiet = false;
    return zmq_setsockopt(socket->zmq, ZMQ_SUBSCRIBE, topic, strlen(topic)) ? EK_IO : EK_OK;
}

static zmq_msg_t *message_of(struct ek_frame *frame)
{
    return (zmq_msg_t *)(void *)frame->storage;
}

/* Receives the next frame into `frame`; false when there is none. */
static bool receive_frame(struct ek_socket *socket, struct ek_frame *frame)
{
    (void)zmq_msg_init(message_of(frame));
    int received;
    do
        received = zmq_msg_recv(message_of(frame), socket->zmq, ZMQ_DONTWAIT);
    while (received < 0 && errno == EINTR);
    socket->quiet = received < 0 && errno == EAGAIN;
    if (received < 0)
        ek_frame_done(frame);
    return received >= 0;
}

static bool more_follows(struct ek_frame *frame)
{
    return zmq_msg_more(message_of(frame)) != 0;
}

/* Drops what is left of the message that `frame`, which is consumed, belongs to. */
static void drop_rest(struct ek_socket *socket, struct ek_frame *frame)
{
    bool more = more_follows(frame);
    ek_frame_done(frame);
    while (more && receive_frame(socket, frame)) {
        more = more_follows(frame);
        ek_frame_done(frame);
    }
}

/* The routing id that a ROUTER puts first. */
static enum ek_status receive_sender(struct ek_socket *socket, ek_peer *ret_peer)
{
    struct ek_frame id;
    if (!receive_frame(socket, &id))
        return EK_AGAIN;
    struct ek_slice bytes = ek_frame_bytes(&id);
    socket->last_sender_bytes = bytes.size <= ROUTING_ID_MAX ? bytes.size : 0;
    memcpy(socket->last_sender, bytes.data, socket->last_sender_bytes);
    bool automatic = bytes.size == ROUTE_BYTES && bytes.data[0] == 0;
    bool complete = more_follows(&id);
    ek_frame_done(&id);
    if (!complete)
        return EK_MALFORMED;
    uint32_t route = 0;
    if (automatic)
        memcpy(&route, socket->last_sender + 1, sizeof route);
    *ret_peer = KNOWN | route;
    return automatic ? EK_OK : EK_DENIED;
}

enum ek_status ek_socket_receive(struct ek_socket *socket, struct ek_frame *ret_frame, ek_peer *ret_peer)
{
    enum ek_status status = EK_OK;
    ek_peer peer = 0;
    socket->last_delimited = false;
    if (socket->kind == EK_SOCKET_ROUTER) {
        status = receive_sender(socket, &peer);
        if (status == EK_AGAIN || status == EK_MALFORMED)
            return status;
    }
    if (!receive_frame(socket, ret_frame))
        return EK_AGAIN;
    bool skip = more_follows(ret_frame) && (ek_frame_bytes(ret_frame).size == 0 || socket->kind == EK_SOCKET_SUB);
    if (skip) {
        ek_frame_done(ret_frame);
        socket->last_delimited = true;
        peer |= DELIMITED;
        if (!receive_frame(socket, ret_frame))
            return EK_MALFORMED;
    }
    if (status == EK_OK && more_follows(ret_frame))
        status = EK_MALFORMED;
    if (status != EK_OK)
        drop_rest(socket, ret_frame);
    else if (ret_peer)
        *ret_peer = peer;
    return status;
}

struct ek_slice ek_frame_bytes(struct ek_frame *frame)
{
    return ek_slice_of(zmq_msg_data(message_of(frame)), zmq_msg_size(message_of(frame)));
}

void ek_frame_done(struct ek_frame *frame)
{
    (void)zmq_msg_close(message_of(frame));
}

/* ZeroMQ is through with a message; called from its own thread. */
static void free_sent(void *data, void *hint)
{
    struct sent *sent = hint;
    (void)data;
    count_out(sent->of_socket, sent->bytes);
    count_out(sent->of_peer, sent->bytes);
    free(sent->memory);
    free(sent);
}

size_t ek_socket_unsent_bytes(const struct ek_socket *socket)
{
    return ek_unsent_bytes(socket->unsent);
}

/* ZMQ_POLLIN and ZMQ_POLLOUT, of all that ZeroMQ knows by now. */
static bool look(struct ek_socket *socket, int *ret_events)
{
    size_t size = sizeof *ret_events;
    *ret_events = 0;
    if (zmq_getsockopt(socket->zmq, ZMQ_EVENTS, ret_events, &size))
        return false;
    socket->quiet = (*ret_events & ZMQ_POLLIN) == 0;
    return true;
}

/* The frames before a ROUTER's payload. */
static enum ek_status send_address(struct ek_socket *socket, const void *id, size_t id_bytes, bool delimited)
{
    int sent;
    socket->quiet = false;
    do
        sent = zmq_send(socket->zmq, id, id_bytes, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return errno == EAGAIN ? EK_AGAIN : EK_UNREACHABLE;
    if (delimited)
        (void)zmq_send(socket->zmq, "", 0, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    return EK_OK;
}

static bool has_room(struct ek_socket *socket)
{
    int events;
    return look(socket, &events) && (events & ZMQ_POLLOUT) != 0;
}

static int send_frame(struct ek_socket *socket, zmq_msg_t *frame)
{
    int sent;
    socket->quiet = false;
    do
        sent = zmq_msg_send(frame, socket->zmq, ZMQ_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent;
}

static enum ek_status send_payload(struct ek_socket *socket, struct ek_owned message, struct ek_unsent *of_peer)
{
    zmq_msg_t frame;
    struct sent *hint = ek_alloc(sizeof *hint);
    *hint = (struct sent){.of_socket = socket->unsent, .of_peer = of_peer, .memory = message.memory, .bytes = message.message.size};
    count_in(hint->of_socket, hint->bytes);
    count_in(hint->of_peer, hint->bytes);
    if (zmq_msg_init_data(&frame, (void *)(uintptr_t)message.message.data, message.message.size, free_sent, hint)) {
        free_sent(NULL, hint);
        return EK_UNREACHABLE;
    }
    int sent = send_frame(socket, &frame);
    /* ZeroMQ looks only now and then whether a full pipe has got room again: it is made to before that is believed. */
    if (sent < 0 && errno == EAGAIN) {
        if (has_room(socket))
            sent = send_frame(socket, &frame);
        else
            errno = EAGAIN;
    }
    if (sent >= 0)
        return EK_OK;
    bool full = errno == EAGAIN;
    if (full)
        hint->memory = NULL; /* stays the caller's when the frame around it goes */
    (void)zmq_msg_close(&frame);
    return full ? EK_AGAIN : EK_UNREACHABLE;
}

enum ek_status ek_socket_send_counted(struct ek_socket *socket, ek_peer peer, struct ek_owned message, struct ek_unsent *unsent)
{
    if (socket->kind == EK_SOCKET_ROUTER) {
        uint8_t id[ROUTE_BYTES] = {0};
        uint32_t route = (uint32_t)peer;
        memcpy(id + 1, &route, sizeof route);
        enum ek_status status = send_address(socket, id, sizeof id, (peer & DELIMITED) != 0);
        if (status == EK_UNREACHABLE)
            free(message.memory);
        if (status != EK_OK)
            return status;
    }
    return send_payload(socket, message, unsent);
}

enum ek_status ek_socket_send(struct ek_socket *socket, ek_peer peer, struct ek_owned message)
{
    return ek_socket_send_counted(socket, peer, message, NULL);
}

void ek_socket_send_last(struct ek_socket *socket, struct ek_owned message)
{
    if (!set(socket->zmq, ZMQ_LINGER, LAST_LINGER_MS) || ek_socket_send(socket, 0, message) == EK_AGAIN)
        free(message.memory);
}

void ek_socket_answer(struct ek_socket *socket, struct ek_slice message)
{
    if (send_address(socket, socket->last_sender, socket->last_sender_bytes, socket->last_delimited) == EK_OK)
        (void)zmq_send(socket->zmq, message.data, message.size, ZMQ_DONTWAIT);
}

/* A topic's memory, which ZeroMQ gives back as soon as no pipe holds it. */
struct topic {
    _Atomic int users; /* ZeroMQ, and whoever began the message */
    char text[];
};

/* True for the last one. */
static bool release_topic(struct topic *topic)
{
    bool last = atomic_fetch_sub(&topic->users, 1) == 1;
    if (last)
        free(topic);
    return last;
}

static void free_topic(void *data, void *hint)
{
    (void)data;
    (void)release_topic(hint);
}

/*
 * A PUB does not say who subscribes, and an XPUB passes on each cancellation, also one of a peer that had never subscribed. But
 * what no pipe takes is given back within the call; what one took stays there until the message has its end.
 */
bool ek_socket_begin(struct ek_socket *socket, const char *topic)
{
    zmq_msg_t frame;
    size_t size = strlen(topic);
    struct topic *kept = ek_alloc(sizeof *kept + size);
    atomic_init(&kept->users, 2);
    memcpy(kept->text, topic, size);
    socket->quiet = false;
    if (zmq_msg_init_data(&frame, kept->text, size, free_topic, kept)) {
        free(kept);
        return false;
    }
    bool sent = zmq_msg_send(&frame, socket->zmq, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0;
    if (!sent)
        (void)zmq_msg_close(&frame);
    bool taken = !release_topic(kept);
    if (sent && !taken)
        (void)zmq_send(socket->zmq, "", 0, ZMQ_DONTWAIT); /* the end of what went to nobody */
    return taken;
}

void ek_socket_publish(struct ek_socket *socket, struct ek_slice payload)
{
    (void)zmq_send(socket->zmq, payload.data, payload.size, ZMQ_DONTWAIT);
}

/* Asks the sockets that may have something which their descriptor does not tell. */
static enum ek_status look_at_sockets(struct ek_poll_item *items, size_t count, const struct pollfd *told, bool *ret_any)
{
    for (size_t i = 0; i < count; i++) {
        struct ek_socket *socket = items[i].socket;
        int events;
        if (!socket || (told ? told[i].revents == 0 : socket->quiet))
            continue;
        if (!look(socket, &events))
            return errno == EINTR ? EK_AGAIN : EK_IO;
        items[i].readable = (events & ZMQ_POLLIN) != 0;
        *ret_any = *ret_any || items[i].readable;
    }
    return EK_OK;
}

static int left_ms(uint64_t began_us, int64_t timeout_ms)
{
    if (timeout_ms < 0)
        return -1;
    int64_t left = timeout_ms - (int64_t)((ek_clock_monotonic_us() - began_us) / 1000);
    return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

static bool look_at_descriptors(struct ek_poll_item *items, size_t count, const struct pollfd *told)
{
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        if (items[i].socket)
            continue;
        items[i].readable = (told[i].revents & POLLIN) != 0;
        any = any || told[i].revents != 0;
    }
    return any;
}

/* zmq_poll does the same, but polls twice and asks each socket twice, at two system calls each. */
enum ek_status ek_poll(struct ek_poll_item *items, size_t count, int64_t timeout_ms)
{
    struct pollfd polled[EK_POLL_ITEMS_MAX];
    if (count > EK_POLL_ITEMS_MAX)
        return EK_TOO_LARGE;
    for (size_t i = 0; i < count; i++) {
        polled[i] = (struct pollfd){.fd = items[i].socket ? items[i].socket->fd : items[i].fd, .events = POLLIN};
        items[i].readable = false;
    }
    bool any = false;
    enum ek_status status = look_at_sockets(items, count, NULL, &any);
    uint64_t began_us = ek_clock_monotonic_us();
    int wait_ms = any ? 0 : left_ms(began_us, timeout_ms);
    while (status == EK_OK) {
        int ready = poll(polled, (nfds_t)count, wait_ms);
        if (ready < 0)
            return errno == EINTR ? EK_AGAIN : EK_IO;
        any = look_at_descriptors(items, count, polled) || any;
        status = look_at_sockets(items, count, polled, &any);
        /* A socket's news may be of something else than a message. */
        if (any || wait_ms == 0)
            break;
        wait_ms = left_ms(began_us, timeout_ms);
    }
    return status != EK_OK || any ? status : EK_AGAIN;
}

bool ek_endpoint_is_loopback(const char *endpoint)
{
    return strncmp(endpoint, "tcp://", 6) != 0 || strncmp(endpoint + 6, "127.", 4) == 0 ||
           strncmp(endpoint + 6, "localhost:", 10) == 0 || strncmp(endpoint + 6, "[::1]:", 6) == 0;
}

static bool is_port(const char *text)
{
    if (strcmp(text, "*") == 0)
        return true;
    char *end;
    unsigned long port = strtoul(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == 0 && port <= 65535;
}

bool ek_endpoint_is_valid(const char *endpoint)
{
    if (strlen(endpoint) >= EK_TEXT_BYTES_MAX)
        return false;
    if (strncmp(endpoint, "ipc://", 6) == 0)
        return endpoint[6] != 0;
    if (strncmp(endpoint, "inproc://", 9) == 0)
        return endpoint[9] != 0;
    const char *colon = strrchr(endpoint, ':');
    return strncmp(endpoint, "tcp://", 6) == 0 && colon > endpoint + 6 && is_port(colon + 1);
}
