/*
 * ZeroMQ by itself in the shape of the broker: clients, a proxy, whoever answers. Three processes of this program:
 *
 *     echo --role proxy                                             prints `ready front=ENDPOINT back=ENDPOINT`
 *     echo --role server --connect BACK [--answer-size B]           answers each message with itself, or with so many bytes
 *     echo --role client --connect FRONT [--connections N] [--size B] [--window N] [--seconds N]
 *
 * The client keeps `window` messages under way on each connection. Proxy and server end with SIGTERM.
 */
#include "common/bytes.h"
#include "common/clock.h"
#include "tests/bench/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { ENDPOINT_BYTES = 256, CONNECTIONS_MAX = 1000 };

static void bind_socket(void *socket, char *ret_endpoint)
{
    size_t size = ENDPOINT_BYTES;
    if (zmq_bind(socket, "tcp://127.0.0.1:*") || zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, ret_endpoint, &size))
        ek_tool_fail("cannot listen: %s", zmq_strerror(zmq_errno()));
}

static void run_proxy(void *context)
{
    char front_endpoint[ENDPOINT_BYTES];
    char back_endpoint[ENDPOINT_BYTES];
    void *front = ek_tool_socket(context, ZMQ_ROUTER);
    void *back = ek_tool_socket(context, ZMQ_DEALER);
    bind_socket(front, front_endpoint);
    bind_socket(back, back_endpoint);
    (void)printf("ready front=%s back=%s\n", front_endpoint, back_endpoint);
    (void)fflush(stdout);
    (void)zmq_proxy(front, back, NULL);
}

static void run_server(void *context, const char *endpoint, size_t answer_bytes)
{
    void *socket = ek_tool_socket(context, ZMQ_DEALER);
    uint8_t *answer = ek_alloc_zero(answer_bytes + 1, 1);
    ek_tool_connect(socket, endpoint);
    (void)printf("ready\n");
    (void)fflush(stdout);
    for (;;) {
        zmq_msg_t address;
        zmq_msg_t body;
        ek_tool_must(zmq_msg_init(&address));
        ek_tool_must(zmq_msg_init(&body));
        ek_tool_must(zmq_msg_recv(&address, socket, 0));
        ek_tool_must(zmq_msg_recv(&body, socket, 0));
        ek_tool_must(zmq_msg_send(&address, socket, ZMQ_SNDMORE));
        if (answer_bytes == 0) {
            ek_tool_must(zmq_msg_send(&body, socket, 0));
        } else {
            ek_tool_must(zmq_msg_close(&body));
            ek_tool_must(zmq_send(socket, answer, answer_bytes, 0));
        }
    }
}

/* A connection and what is under way on it. */
struct line {
    void *socket;
    uint64_t *sent_us; /* a ring: answers come in the order of the messages */
    uint64_t sent, received;
};

struct load {
    struct line *lines;
    zmq_pollitem_t *polled;
    uint64_t connections, window, seconds;
    size_t size;
    uint8_t *message;
    uint64_t now_us;
};

static void open_lines(struct load *load, void *context, const char *endpoint)
{
    load->lines = ek_alloc_zero((size_t)load->connections, sizeof *load->lines);
    load->polled = ek_alloc_zero((size_t)load->connections, sizeof *load->polled);
    load->message = ek_alloc_zero(load->size, 1);
    for (uint64_t i = 0; i < load->connections; i++) {
        struct line *line = &load->lines[i];
        line->socket = ek_tool_socket(context, ZMQ_DEALER);
        line->sent_us = ek_alloc((size_t)load->window * sizeof *line->sent_us);
        ek_tool_connect(line->socket, endpoint);
        load->polled[i] = (zmq_pollitem_t){.socket = line->socket, .events = ZMQ_POLLIN};
    }
}

static void close_lines(struct load *load)
{
    for (uint64_t i = 0; i < load->connections; i++) {
        ek_tool_must(zmq_close(load->lines[i].socket));
        free(load->lines[i].sent_us);
    }
    free(load->lines);
    free(load->polled);
    free(load->message);
}

static void fill(struct load *load, struct line *line)
{
    for (; line->sent < line->received + load->window; line->sent++) {
        line->sent_us[line->sent % load->window] = load->now_us;
        ek_tool_must(zmq_send(line->socket, load->message, load->size, 0));
    }
}

/* Takes what is there; with `flags` 0 it waits for the first answer. */
static void empty(struct load *load, struct line *line, int flags, struct ek_histogram *latency)
{
    zmq_msg_t answer;
    ek_tool_must(zmq_msg_init(&answer));
    while (line->received < line->sent && zmq_msg_recv(&answer, line->socket, flags) >= 0) {
        load->now_us = ek_clock_monotonic_us();
        ek_histogram_add(latency, load->now_us - line->sent_us[line->received++ % load->window]);
        flags = ZMQ_DONTWAIT;
    }
    ek_tool_must(zmq_msg_close(&answer));
}

static void turn(struct load *load, struct ek_histogram *latency)
{
    for (uint64_t i = 0; i < load->connections; i++)
        fill(load, &load->lines[i]);
    if (load->connections == 1) { /* a poll before each receive would slow down what others are compared with */
        empty(load, &load->lines[0], 0, latency);
        return;
    }
    ek_tool_must(zmq_poll(load->polled, (int)load->connections, -1));
    for (uint64_t i = 0; i < load->connections; i++)
        if (load->polled[i].revents)
            empty(load, &load->lines[i], ZMQ_DONTWAIT, latency);
}

static void run_client(void *context, const char *endpoint, struct load *load)
{
    static struct ek_histogram latency;
    open_lines(load, context, endpoint);
    uint64_t began_us = ek_tool_begin();
    load->now_us = began_us;
    while (load->now_us - began_us < load->seconds * 1000000)
        turn(load, &latency);
    uint64_t received = 0;
    for (uint64_t i = 0; i < load->connections; i++)
        received += load->lines[i].received;
    ek_tool_report(
        &(struct ek_tool_figures){.operations = received, .bytes = received * load->size, .took_us = load->now_us - began_us},
        &latency);
    close_lines(load);
}

int main(int argc, char **argv)
{
    const char *role = "";
    const char *endpoint = NULL;
    uint64_t size = 128;
    uint64_t answer_bytes = 0;
    struct load load = {.connections = 1, .window = 1, .seconds = 1};
    ek_tool_flags(argc, argv,
                  (const struct ek_tool_flag[]){{"role", NULL, &role},
                                                {"connect", NULL, &endpoint},
                                                {"size", &size, NULL},
                                                {"answer-size", &answer_bytes, NULL},
                                                {"connections", &load.connections, NULL},
                                                {"window", &load.window, NULL},
                                                {"seconds", &load.seconds, NULL},
                                                {0}});
    void *context = zmq_ctx_new();
    load.size = (size_t)size;
    if (!context || load.window == 0 || size == 0 || load.connections == 0 || load.connections > CONNECTIONS_MAX)
        ek_tool_fail("--window, --size and --connections must be at least 1, --connections at most %d", CONNECTIONS_MAX);
    if (strcmp(role, "proxy") == 0)
        run_proxy(context);
    else if (strcmp(role, "server") == 0)
        run_server(context, endpoint, (size_t)answer_bytes);
    else if (strcmp(role, "client") == 0)
        run_client(context, endpoint, &load);
    else
        ek_tool_fail("--role is proxy, server or client");
    return zmq_ctx_term(context) ? EXIT_FAILURE : EXIT_SUCCESS;
}
