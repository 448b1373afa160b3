/*
 * RocksDB behind ZeroMQ, and nothing else: the server of echo.c's proxy, which before it answers puts a row of its own (raw.h) for
 * each message that is there, all of them in one synced group, or gets one that is present.
 *
 *     served --connect BACK --mode put|put-inline|get --data DIR [--keys N] [--value-size B] [--shards N] [--seed N] [--cache SIZE]
 *
 * Groups are put and synced by a thread of their own, as a worker's are, whose reads go on meanwhile; with put-inline by the thread
 * that reads the messages, where they could not. The store was loaded by storage. It says `ready` when it waits for messages, and
 * goes on until it is killed.
 */
#include "tests/bench/raw.h"
#include "tests/bench/tool.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <zmq.h>

enum { GROUP_MAX = 10000 };

/* A message as the proxy passes it on, with the address to which its answer goes. */
struct question {
    zmq_msg_t address;
    zmq_msg_t body;
};

struct group {
    size_t count;
    struct question questions[GROUP_MAX];
};

/* The thread that puts. */
struct storage {
    struct ek_raw *raw;
    int done_fd; /* readable once what was given is durable */
    pthread_mutex_t mutex;
    pthread_cond_t arrived;
    const struct group *given; /* NULL: nothing to do */
};

/* Adds what is there, up to a whole group. */
static void take(void *socket, struct group *group)
{
    while (group->count < GROUP_MAX) {
        struct question *next = &group->questions[group->count];
        ek_tool_must(zmq_msg_init(&next->address));
        if (zmq_msg_recv(&next->address, socket, ZMQ_DONTWAIT) < 0) {
            if (zmq_errno() != EAGAIN)
                ek_tool_must(-1);
            return;
        }
        ek_tool_must(zmq_msg_init(&next->body));
        ek_tool_must(zmq_msg_recv(&next->body, socket, 0));
        group->count++;
    }
}

static void answer(void *socket, struct group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        ek_tool_must(zmq_msg_send(&group->questions[i].address, socket, ZMQ_SNDMORE));
        ek_tool_must(zmq_msg_send(&group->questions[i].body, socket, 0));
    }
    group->count = 0;
}

static void *put_groups(void *context)
{
    struct storage *storage = context;
    for (;;) {
        (void)pthread_mutex_lock(&storage->mutex);
        while (!storage->given)
            (void)pthread_cond_wait(&storage->arrived, &storage->mutex);
        size_t count = storage->given->count;
        storage->given = NULL;
        (void)pthread_mutex_unlock(&storage->mutex);
        ek_raw_put(storage->raw, ek_raw_draw(storage->raw, count));
        if (eventfd_write(storage->done_fd, 1) != 0)
            ek_tool_fail("cannot say that a group is durable");
    }
    return NULL;
}

static void give(struct storage *storage, const struct group *group)
{
    (void)pthread_mutex_lock(&storage->mutex);
    storage->given = group;
    (void)pthread_cond_signal(&storage->arrived);
    (void)pthread_mutex_unlock(&storage->mutex);
}

static int descriptor_of(void *socket)
{
    int fd = -1;
    size_t size = sizeof fd;
    ek_tool_must(zmq_getsockopt(socket, ZMQ_FD, &fd, &size));
    return fd;
}

_Noreturn static void serve_beside(struct ek_raw *raw, void *socket)
{
    static struct group groups[2]; /* one grows while the other is put */
    static struct storage storage = {.mutex = PTHREAD_MUTEX_INITIALIZER, .arrived = PTHREAD_COND_INITIALIZER};
    struct group *growing = &groups[0];
    struct group *given = NULL;
    pthread_t thread;
    storage.raw = raw;
    storage.done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (storage.done_fd < 0 || pthread_create(&thread, NULL, put_groups, &storage) != 0)
        ek_tool_fail("cannot start a thread");
    struct pollfd news[] = {{.fd = descriptor_of(socket), .events = POLLIN}, {.fd = storage.done_fd, .events = POLLIN}};
    for (;;) {
        eventfd_t done;
        if (given && eventfd_read(storage.done_fd, &done) == 0) {
            answer(socket, given);
            given = NULL;
        }
        take(socket, growing);
        if (!given && growing->count) {
            give(&storage, growing);
            given = growing;
            growing = &groups[given == groups];
            take(socket, growing); /* what it had no room for is not told again */
        }
        (void)poll(news, sizeof news / sizeof *news, -1);
    }
}

_Noreturn static void serve_inline(struct ek_raw *raw, void *socket, void (*carry_out)(struct ek_raw *, size_t))
{
    static struct group group;
    zmq_pollitem_t news = {.socket = socket, .events = ZMQ_POLLIN};
    for (;;) {
        ek_tool_must(zmq_poll(&news, 1, -1));
        take(socket, &group);
        carry_out(raw, ek_raw_draw(raw, group.count));
        answer(socket, &group);
    }
}

int main(int argc, char **argv)
{
    static struct ek_raw raw = {.cache = "256M", .keys = 1000000, .value_bytes = 100, .group = GROUP_MAX, .random = 1};
    const char *endpoint = NULL;
    const char *mode = "put";
    ek_tool_flags(argc, argv,
                  (const struct ek_tool_flag[]){{"connect", NULL, &endpoint},
                                                {"mode", NULL, &mode},
                                                {"data", NULL, &raw.data},
                                                {"cache", NULL, &raw.cache},
                                                {"keys", &raw.keys, NULL},
                                                {"value-size", &raw.value_bytes, NULL},
                                                {"shards", &raw.shards, NULL},
                                                {"seed", &raw.random, NULL},
                                                {0}});
    bool beside = strcmp(mode, "put") == 0;
    bool reads = strcmp(mode, "get") == 0;
    if (!beside && !reads && strcmp(mode, "put-inline") != 0)
        ek_tool_fail("--mode is put, put-inline or get");
    ek_raw_open(&raw);
    void *socket = ek_tool_socket(zmq_ctx_new(), ZMQ_DEALER);
    ek_tool_connect(socket, endpoint);
    (void)printf("ready\n");
    (void)fflush(stdout);
    if (beside)
        serve_beside(&raw, socket);
    serve_inline(&raw, socket, reads ? ek_raw_get : ek_raw_put);
}
