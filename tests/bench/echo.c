/*
 * ZeroMQ by itself in the shape of the broker: clients, a proxy, whoever answers. Three processes of this program:
 *
 *     echo --role proxy                                             prints `ready front=ENDPOINT back=ENDPOINT`
 *     echo --role server --connect BACK [--answer-size B]           answers each message with itself, or with so many bytes
 *     echo --role client --connect FRONT [--size B] [--window N] [--seconds N]
 *
 * The client keeps `window` messages under way. Proxy and server end with SIGTERM.
 */
#include "common/bytes.h"
#include "common/clock.h"
#include "tests/bench/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { ENDPOINT_BYTES = 256 };

static void *open_socket(void *context, int kind)
{
    void *socket = zmq_socket(context, kind);
    const int none = 0;
    if (!socket || zmq_setsockopt(socket, ZMQ_SNDHWM, &none, sizeof none) ||
        zmq_setsockopt(socket, ZMQ_RCVHWM, &none, sizeof none) || zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none))
        ek_tool_fail("no socket: %s", zmq_strerror(zmq_errno()));
    return socket;
}

static void bind_socket(void *socket, char *ret_endpoint)
{
    size_t size = ENDPOINT_BYTES;
    if (zmq_bind(socket, "tcp://127.0.0.1:*") || zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, ret_endpoint, &size))
        ek_tool_fail("cannot listen: %s", zmq_strerror(zmq_errno()));
}

static void connect_socket(void *socket, const char *endpoint)
{
    if (!endpoint || zmq_connect(socket, endpoint))
        ek_tool_fail("cannot connect: %s", zmq_strerror(zmq_errno()));
}

static void run_proxy(void *context)
{
    char front_endpoint[ENDPOINT_BYTES];
    char back_endpoint[ENDPOINT_BYTES];
    void *front = open_socket(context, ZMQ_ROUTER);
    void *back = open_socket(context, ZMQ_DEALER);
    bind_socket(front, front_endpoint);
    bind_socket(back, back_endpoint);
    (void)printf("ready front=%s back=%s\n", front_endpoint, back_endpoint);
    (void)fflush(stdout);
    (void)zmq_proxy(front, back, NULL);
}

static void must(int done)
{
    if (done < 0)
        ek_tool_fail("%s", zmq_strerror(zmq_errno()));
}

static void run_server(void *context, const char *endpoint, size_t answer_bytes)
{
    void *socket = open_socket(context, ZMQ_DEALER);
    uint8_t *answer = ek_alloc_zero(answer_bytes + 1, 1);
    connect_socket(socket, endpoint);
    (void)printf("ready\n");
    (void)fflush(stdout);
    for (;;) {
        zmq_msg_t address;
        zmq_msg_t body;
        must(zmq_msg_init(&address));
        must(zmq_msg_init(&body));
        must(zmq_msg_recv(&address, socket, 0));
        must(zmq_msg_recv(&body, socket, 0));
        must(zmq_msg_send(&address, socket, ZMQ_SNDMORE));
        if (answer_bytes == 0) {
            must(zmq_msg_send(&body, socket, 0));
        } else {
            must(zmq_msg_close(&body));
            must(zmq_send(socket, answer, answer_bytes, 0));
        }
    }
}

static void run_client(void *context, const char *endpoint, size_t size, uint64_t window, uint64_t seconds)
{
    static struct ek_histogram latency;
    void *socket = open_socket(context, ZMQ_DEALER);
    uint64_t *sent_us = ek_alloc((size_t)window * sizeof *sent_us); /* a ring: answers come in the order of the messages */
    uint8_t *message = ek_alloc_zero(size, 1);
    connect_socket(socket, endpoint);
    uint64_t began_us = ek_tool_begin();
    uint64_t now_us = began_us;
    uint64_t sent = 0;
    uint64_t received = 0;
    while (now_us - began_us < seconds * 1000000) {
        for (; sent < received + window; sent++) {
            sent_us[sent % window] = now_us;
            must(zmq_send(socket, message, size, 0));
        }
        int flags = 0;
        zmq_msg_t answer;
        must(zmq_msg_init(&answer));
        while (received < sent && zmq_msg_recv(&answer, socket, flags) >= 0) {
            now_us = ek_clock_monotonic_us();
            ek_histogram_add(&latency, now_us - sent_us[received++ % window]);
            flags = ZMQ_DONTWAIT;
        }
        must(zmq_msg_close(&answer));
    }
    ek_tool_report(&(struct ek_tool_figures){.operations = received, .bytes = received * size, .took_us = now_us - began_us},
                   &latency);
    must(zmq_close(socket));
    free(sent_us);
    free(message);
}

int main(int argc, char **argv)
{
    const char *role = "";
    const char *endpoint = NULL;
    uint64_t size = 128;
    uint64_t answer_bytes = 0;
    uint64_t window = 1;
    uint64_t seconds = 1;
    ek_tool_flags(argc, argv,
                  (const struct ek_tool_flag[]){{"role", NULL, &role},
                                                {"connect", NULL, &endpoint},
                                                {"size", &size, NULL},
                                                {"answer-size", &answer_bytes, NULL},
                                                {"window", &window, NULL},
                                                {"seconds", &seconds, NULL},
                                                {0}});
    void *context = zmq_ctx_new();
    if (!context || window == 0 || size == 0)
        ek_tool_fail("--window and --size must be at least 1");
    if (strcmp(role, "proxy") == 0)
        run_proxy(context);
    else if (strcmp(role, "server") == 0)
        run_server(context, endpoint, (size_t)answer_bytes);
    else if (strcmp(role, "client") == 0)
        run_client(context, endpoint, (size_t)size, window, seconds);
    else
        ek_tool_fail("--role is proxy, server or client");
    return zmq_ctx_term(context) ? EXIT_FAILURE : EXIT_SUCCESS;
}
