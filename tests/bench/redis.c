/*
 * YCSB's workload A on a Redis server, with the keys, values and draws of `evenkeel bench`: redis-benchmark knows neither zipfian
 * keys nor mixed operations. One thread; several connections, each with a pipeline of commands that is sent and answered whole.
 *
 *     redis --port N --mode load|a [--clients N] [--pipeline N] [--keys N] [--value-size B] [--seconds N] [--seed N]
 */
#include "client/cli/generator.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "tests/bench/tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS_MAX = 256, READ_BYTES = 1 << 16, VALUES_BYTES = 1 << 20 };

struct connection {
    int fd;
    struct ek_buffer out; /* the pipeline; `sent` bytes of it have left */
    size_t sent;
    uint64_t awaited;      /* answers */
    uint64_t value_bytes;  /* of a value that is being received, its end of line included */
    struct ek_buffer line; /* of a head that is not complete yet */
    uint64_t began_us;
};

struct load {
    const char *mode;
    uint64_t port, clients, pipeline, keys, value_bytes, seconds, random;
    bool loading;
    uint64_t loaded, operations, bytes;
    struct ek_zipfian zipfian;
    struct ek_histogram latency;
    uint8_t *values;
    struct connection connections[CLIENTS_MAX];
};

static int connect_to(uint64_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on))
        ek_tool_fail("no server at port %u: %s", (unsigned)port, strerror(errno));
    return fd;
}

static void append_command(struct load *load, struct ek_buffer *out)
{
    bool set = load->loading || ek_random_unit(&load->random) >= 0.5;
    uint64_t index = load->loading ? load->loaded++ : ek_zipfian_key(&load->zipfian, load->keys, ek_random_unit(&load->random));
    char text[64];
    char key[EK_BENCH_KEY_BYTES];
    ek_bench_key(key, "user", index);
    int size = snprintf(text, sizeof text, "*%d\r\n$3\r\n%s\r\n$%zu\r\n", set ? 3 : 2, set ? "SET" : "GET", sizeof key);
    ek_buffer_append(out, text, (size_t)size);
    ek_buffer_append(out, key, sizeof key);
    ek_buffer_append(out, "\r\n", 2);
    load->bytes += sizeof key;
    if (!set)
        return;
    size = snprintf(text, sizeof text, "$%llu\r\n", (unsigned long long)load->value_bytes);
    ek_buffer_append(out, text, (size_t)size);
    ek_buffer_append(out, load->values + ek_random_below(&load->random, VALUES_BYTES), (size_t)load->value_bytes);
    ek_buffer_append(out, "\r\n", 2);
    load->bytes += load->value_bytes;
}

static void fill(struct load *load, struct connection *connection)
{
    ek_buffer_clear(&connection->out);
    connection->sent = 0;
    for (; connection->awaited < load->pipeline && !(load->loading && load->loaded == load->keys); connection->awaited++)
        append_command(load, &connection->out);
    connection->began_us = ek_clock_monotonic_us();
}

static void send_some(struct connection *connection)
{
    ssize_t sent = send(connection->fd, connection->out.data + connection->sent, connection->out.size - connection->sent,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        ek_tool_fail("cannot send: %s", strerror(errno));
    connection->sent += sent > 0 ? (size_t)sent : 0;
}

static void answered(struct load *load, struct connection *connection, uint64_t now_us)
{
    if (connection->awaited == 0)
        ek_tool_fail("more answers than commands");
    connection->awaited--;
    load->operations++;
    ek_histogram_add(&load->latency, now_us - connection->began_us);
}

/* A head without its end of line: `+OK`, `$100`, `$-1`, `-ERR ...`. */
static void take_head(struct load *load, struct connection *connection, uint64_t now_us)
{
    ek_buffer_append(&connection->line, "", 1);
    const char *head = (const char *)connection->line.data;
    if (*head != '+' && *head != '$')
        ek_tool_fail("the server answers: %s", head);
    if (*head == '$' && head[1] != '-')
        connection->value_bytes = strtoull(head + 1, NULL, 10) + 2;
    else
        answered(load, connection, now_us);
    ek_buffer_clear(&connection->line);
}

static void take_bytes(struct load *load, struct connection *connection, const uint8_t *bytes, size_t size)
{
    uint64_t now_us = ek_clock_monotonic_us();
    for (size_t at = 0; at < size;) {
        if (connection->value_bytes) {
            uint64_t skipped = size - at < connection->value_bytes ? size - at : connection->value_bytes;
            connection->value_bytes -= skipped;
            at += (size_t)skipped;
            if (connection->value_bytes == 0)
                answered(load, connection, now_us);
            continue;
        }
        uint8_t byte = bytes[at++];
        if (byte == '\n')
            take_head(load, connection, now_us);
        else if (byte != '\r')
            ek_buffer_append(&connection->line, &byte, 1);
    }
}

static void receive_some(struct load *load, struct connection *connection)
{
    static uint8_t bytes[READ_BYTES];
    ssize_t size = recv(connection->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
        ek_tool_fail("the server hangs up");
    if (size > 0)
        take_bytes(load, connection, bytes, (size_t)size);
}

/* False when the connection has nothing more to do. */
static bool step(struct load *load, struct connection *connection, short events, bool over)
{
    if (events & POLLOUT)
        send_some(connection);
    if (events & (POLLIN | POLLERR | POLLHUP))
        receive_some(load, connection);
    if (connection->awaited == 0 && !over)
        fill(load, connection);
    return connection->awaited > 0;
}

static void run(struct load *load)
{
    uint64_t began_us = ek_tool_begin();
    uint64_t now_us = began_us;
    struct pollfd items[CLIENTS_MAX];
    for (size_t i = 0; i < load->clients; i++)
        fill(load, &load->connections[i]);
    for (bool busy = true; busy;) {
        for (size_t i = 0; i < load->clients; i++) {
            const struct connection *connection = &load->connections[i];
            short wanted = connection->sent < connection->out.size ? POLLIN | POLLOUT : POLLIN;
            items[i] = (struct pollfd){.fd = connection->fd, .events = wanted};
        }
        if (poll(items, load->clients, -1) < 0 && errno != EINTR)
            ek_tool_fail("cannot poll: %s", strerror(errno));
        now_us = ek_clock_monotonic_us();
        bool over = load->loading ? load->loaded == load->keys : now_us - began_us >= load->seconds * 1000000;
        busy = false;
        for (size_t i = 0; i < load->clients; i++)
            busy = step(load, &load->connections[i], items[i].revents, over) || busy;
    }
    ek_tool_report(&(struct ek_tool_figures){.operations = load->operations, .bytes = load->bytes, .took_us = now_us - began_us},
                   &load->latency);
}

int main(int argc, char **argv)
{
    static struct load load = {
        .mode = "a", .clients = 1, .pipeline = 1, .keys = 1000000, .value_bytes = 100, .seconds = 1, .random = 1};
    ek_tool_flags(argc, argv,
                  (const struct ek_tool_flag[]){{"mode", NULL, &load.mode},
                                                {"port", &load.port, NULL},
                                                {"clients", &load.clients, NULL},
                                                {"pipeline", &load.pipeline, NULL},
                                                {"keys", &load.keys, NULL},
                                                {"value-size", &load.value_bytes, NULL},
                                                {"seconds", &load.seconds, NULL},
                                                {"seed", &load.random, NULL},
                                                {0}});
    load.loading = strcmp(load.mode, "load") == 0;
    if ((!load.loading && strcmp(load.mode, "a") != 0) || !load.clients || load.clients > CLIENTS_MAX || !load.pipeline ||
        !load.keys)
        ek_tool_fail("--mode is load or a; --clients, --pipeline and --keys are at least 1");
    ek_zipfian_init(&load.zipfian, EK_ZIPFIAN_ITEMS);
    load.values = ek_alloc(VALUES_BYTES + (size_t)load.value_bytes);
    ek_bench_values(load.values, VALUES_BYTES + (size_t)load.value_bytes, load.random);
    for (size_t i = 0; i < load.clients; i++)
        load.connections[i].fd = connect_to(load.port);
    run(&load);
    for (size_t i = 0; i < load.clients; i++) {
        (void)close(load.connections[i].fd);
        ek_buffer_done(&load.connections[i].out);
        ek_buffer_done(&load.connections[i].line);
    }
    free(load.values);
    return EXIT_SUCCESS;
}
