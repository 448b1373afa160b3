/*
 * RocksDB behind ZeroMQ, and nothing else: the server of echo.c's proxy, which before it answers puts a row of its own (raw.h) for
 * each message that is there, all of them in one synced group, or gets one that is present.
 *
 *     served --connect BACK --mode put|get --data DIR [--keys N] [--value-size B] [--shards N] [--seed N] [--cache SIZE]
 *
 * The store was loaded by storage. It says `ready` when it waits for messages, and goes on until it is killed.
 */
#include "tests/bench/raw.h"
#include "tests/bench/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { GROUP_MAX = 10000 };

/* A message as the proxy passes it on, with the address to which its answer goes. */
struct question {
    zmq_msg_t address;
    zmq_msg_t body;
};

/* Waits for one, then takes what else is there; returns how many. */
static size_t take(void *socket, struct question *questions)
{
    size_t count = 0;
    for (int flags = 0; count < GROUP_MAX; flags = ZMQ_DONTWAIT) {
        struct question *next = &questions[count];
        ek_tool_must(zmq_msg_init(&next->address));
        if (zmq_msg_recv(&next->address, socket, flags) < 0) {
            if (zmq_errno() != EAGAIN)
                ek_tool_must(-1);
            return count;
        }
        ek_tool_must(zmq_msg_init(&next->body));
        ek_tool_must(zmq_msg_recv(&next->body, socket, 0));
        count++;
    }
    return count;
}

static void answer(void *socket, struct question *questions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ek_tool_must(zmq_msg_send(&questions[i].address, socket, ZMQ_SNDMORE));
        ek_tool_must(zmq_msg_send(&questions[i].body, socket, 0));
    }
}

_Noreturn static void serve(struct ek_raw *raw, const char *endpoint, bool reads)
{
    static struct question questions[GROUP_MAX];
    void *socket = ek_tool_socket(zmq_ctx_new(), ZMQ_DEALER);
    ek_tool_connect(socket, endpoint);
    (void)printf("ready\n");
    (void)fflush(stdout);
    for (;;) {
        size_t count = ek_raw_draw(raw, take(socket, questions));
        if (reads)
            ek_raw_get(raw, count);
        else
            ek_raw_put(raw, count);
        answer(socket, questions, count);
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
    bool reads = strcmp(mode, "get") == 0;
    if (!reads && strcmp(mode, "put") != 0)
        ek_tool_fail("--mode is put or get");
    ek_raw_open(&raw);
    serve(&raw, endpoint, reads);
}
