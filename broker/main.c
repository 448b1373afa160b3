/*
 * evenkeel-broker: flags, durable state, sockets, then the loop.
 */
#include "broker/loop.h"
#include "broker/office.h"
#include "common/args.h"
#include "common/clock.h"
#include "common/directory.h"
#include "common/log.h"

#include <argp.h>
#include <czmq.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>

enum { EXIT_USAGE = 2, IO_THREADS = 1, SOCKETS = 16, LIVENESS_MS_MIN = 200, LIVENESS_MS_MAX = 600000 };

struct flags {
    const char *clients;
    const char *workers;
    const char *stats;
    const char *data;
    uint64_t shards; /* 0: not said */
    uint64_t queue_bytes_max;
    uint64_t liveness_ms;
    enum ek_log_level log_level;
};

static const struct argp_option options[] = {
    {"clients", 'c', "ENDPOINT", 0, "where producers and readers connect (tcp://127.0.0.1:5600)", 0},
    {"workers", 'w', "ENDPOINT", 0, "where workers connect (tcp://127.0.0.1:5601)", 0},
    {"stats", 's', "ENDPOINT", 0, "where figures are published once a second (tcp://127.0.0.1:5602)", 0},
    {"data", 'd', "DIR", 0, "directory for assignments and epochs; needed", 0},
    {"shards", 'n', "N", 0, "number of shards, 1 to 8192, fixed by the first start (512)", 0},
    {"max-queue", 'q', "SIZE", 0, "memory for jobs that wait, at least 32M (256M)", 0},
    {"liveness", 'l', "TIME", 0, "a worker that is silent for longer is away (2s)", 0},
    {"log-level", 'L', "LEVEL", 0, "error, warning, info or debug (info)", 0},
    {"config", 'C', "FILE", 0, "take flags from a file, one `name = value` a line", 0},
    {0}};

static error_t parse_endpoint(const char *argument, const char **ret, struct argp_state *state)
{
    if (!ek_endpoint_is_valid(argument))
        argp_error(state, "'%s' is no endpoint: write tcp://ADDRESS:PORT, or ipc://PATH", argument);
    *ret = argument;
    return 0;
}

static void check(const struct flags *flags, struct argp_state *state)
{
    if (!flags->data || !*flags->data)
        argp_error(state, "say where to keep assignments and epochs: --data DIR");
    if (flags->queue_bytes_max < EK_QUEUE_BYTES_MIN)
        argp_error(state, "--max-queue must be at least 32M, so that one job of the largest size fits");
    if (flags->liveness_ms < LIVENESS_MS_MIN || flags->liveness_ms > LIVENESS_MS_MAX)
        argp_error(state, "--liveness must be between 200ms and 10m");
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct flags *flags = state->input;
    switch (key) {
    case 'c':
        return parse_endpoint(argument, &flags->clients, state);
    case 'w':
        return parse_endpoint(argument, &flags->workers, state);
    case 's':
        return parse_endpoint(argument, &flags->stats, state);
    case 'd':
        flags->data = argument;
        return 0;
    case 'n':
        if (ek_parse_number(argument, 1, EK_SHARDS_MAX, &flags->shards) != EK_OK)
            argp_error(state, "--shards must be a whole number from 1 to %u", EK_SHARDS_MAX);
        return 0;
    case 'q':
        if (ek_parse_size(argument, &flags->queue_bytes_max) != EK_OK)
            argp_error(state, "--max-queue '%s' is no size: write 256M or 1G", argument);
        return 0;
    case 'l':
        if (ek_parse_duration(argument, &flags->liveness_ms) != EK_OK)
            argp_error(state, "--liveness '%s' is no time: write 2s or 500ms", argument);
        return 0;
    case 'L':
        if (ek_log_level_of(argument, &flags->log_level) != EK_OK)
            argp_error(state, "--log-level must be error, warning, info or debug");
        return 0;
    case 'C':
        return 0; /* its entries stand before the other arguments already */
    case ARGP_KEY_ARG:
        argp_error(state, "'%s' is not a flag", argument);
        return 0;
    case ARGP_KEY_END:
        check(flags, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_version(FILE *stream, struct argp_state *state)
{
    (void)state;
    (void)fprintf(stream, "evenkeel-broker %s\n", EK_VERSION);
}

/* What has to be undone at the end, in reverse order. */
struct parts {
    struct ek_context *context;
    struct ek_socket *clients;
    struct ek_socket *workers;
    struct ek_socket *stats;
    struct ek_meta *meta;
    struct ek_meta_state state;
    struct ek_broker *broker;
    char clients_endpoint[EK_TEXT_BYTES_MAX];
    char workers_endpoint[EK_TEXT_BYTES_MAX];
    char stats_endpoint[EK_TEXT_BYTES_MAX];
};

static enum ek_status listen_on(struct parts *parts, enum ek_socket_kind kind, const char *endpoint, struct ek_socket **ret,
                                char *ret_actual, struct ek_error *error)
{
    enum ek_status status = ek_socket_open(parts->context, kind, ret);
    if (status != EK_OK)
        return ek_error_set(error, status, "the system has no socket left");
    if (!ek_endpoint_is_loopback(endpoint))
        ek_log(EK_LOG_WARNING, "%s can be reached from other machines, and nobody is asked for a password there", endpoint);
    return ek_socket_bind(*ret, endpoint, ret_actual, error);
}

static enum ek_status open_sockets(struct parts *parts, const struct flags *flags, struct ek_error *error)
{
    parts->context = ek_context_new(IO_THREADS, SOCKETS);
    if (!parts->context)
        return ek_error_set(error, EK_IO, "the system has no socket left");
    enum ek_status status = listen_on(parts, EK_SOCKET_ROUTER, flags->clients, &parts->clients, parts->clients_endpoint, error);
    if (status == EK_OK)
        status = listen_on(parts, EK_SOCKET_ROUTER, flags->workers, &parts->workers, parts->workers_endpoint, error);
    if (status == EK_OK)
        status = listen_on(parts, EK_SOCKET_PUB, flags->stats, &parts->stats, parts->stats_endpoint, error);
    return status;
}

/* Without them ids of producers are apart by time alone, which is all that a start in order needs. */
static uint32_t random_bits(void)
{
    uint32_t bits = 0;
    return getrandom(&bits, sizeof bits, 0) == sizeof bits ? bits : 0;
}

static enum ek_status take_office(struct parts *parts, const struct flags *flags, struct ek_error *error)
{
    struct ek_office office = {
        .queue_bytes_max = flags->queue_bytes_max,
        .liveness_us = flags->liveness_ms * 1000,
        .now_us = ek_clock_monotonic_us(),
        .now_unix_ms = ek_clock_unix_ms(),
        .random = random_bits(),
        .stats_endpoint = parts->stats_endpoint,
    };
    return ek_office_take(&office, parts->meta, &parts->state, &parts->broker, error);
}

static int serve(struct parts *parts, const struct flags *flags)
{
    (void)printf("ready clients=%s workers=%s stats=%s\n", parts->clients_endpoint, parts->workers_endpoint, parts->stats_endpoint);
    (void)fflush(stdout);
    struct ek_broker_loop_options loop = {
        .broker = parts->broker,
        .meta = parts->meta,
        .context = parts->context,
        .clients = parts->clients,
        .workers = parts->workers,
        .stats = parts->stats,
        .queue_bytes_max = flags->queue_bytes_max,
    };
    parts->stats = NULL;
    return ek_broker_loop_run(&loop);
}

static void close_all(struct parts *parts)
{
    ek_broker_destroy(&parts->broker);
    ek_meta_state_done(&parts->state);
    ek_meta_close(&parts->meta);
    ek_socket_close(&parts->stats);
    ek_socket_close(&parts->workers);
    ek_socket_close(&parts->clients);
    ek_context_destroy(&parts->context);
}

static int run(const struct flags *flags)
{
    struct parts parts = {0};
    struct ek_error error = {{0}};
    enum ek_status status = ek_directory_make(flags->data, 0700, &error);
    if (status == EK_OK)
        status = ek_meta_open(flags->data, (uint32_t)flags->shards, &parts.meta, &parts.state, &error);
    if (status == EK_OK)
        status = open_sockets(&parts, flags, &error);
    if (status == EK_OK)
        status = take_office(&parts, flags, &error);
    int result = EXIT_FAILURE;
    if (status == EK_OK)
        result = serve(&parts, flags);
    else
        ek_log(EK_LOG_ERROR, "%s", error.text);
    close_all(&parts);
    return result;
}

/* czmq and libzmq start threads; signals are to reach the loop's descriptor and nobody else. */
static void block_signals(void)
{
    sigset_t stops;
    (void)sigemptyset(&stops);
    (void)sigaddset(&stops, SIGTERM);
    (void)sigaddset(&stops, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &stops, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)setenv("ZSYS_SIGHANDLER", "false", 1);
}

/* Frames are allocated by an I/O thread and freed here; with an arena a thread, and a threshold that grows, glibc would keep them
 * all. */
static void return_memory(void)
{
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_MMAP_THRESHOLD, 64 * 1024);
    (void)mallopt(M_TRIM_THRESHOLD, 8 * 1024 * 1024);
}

int main(int argc, char **argv)
{
    struct flags flags = {
        .clients = "tcp://127.0.0.1:5600",
        .workers = "tcp://127.0.0.1:5601",
        .stats = "tcp://127.0.0.1:5602",
        .queue_bytes_max = EK_QUEUE_BYTES_DEFAULT,
        .liveness_ms = 2000,
        .log_level = EK_LOG_INFO,
    };
    const struct argp argp = {options, parse, NULL, "Queues store requests, and spreads them over workers that store them.",
                              NULL,    NULL,  NULL};
    struct ek_error error;
    ek_occupy_standard_files();
    argp_program_version_hook = print_version;
    argp_err_exit_status = EXIT_USAGE;
    if (ek_args_with_config(options, 'C', argc, argv, &argc, &argv, &error) != EK_OK) {
        (void)fprintf(stderr, "evenkeel-broker: %s\n", error.text);
        return EXIT_USAGE;
    }
    if (argp_parse(&argp, argc, argv, 0, NULL, &flags) != 0)
        return EXIT_USAGE;
    ek_log_open("evenkeel-broker", flags.log_level);
    return_memory();
    ek_raise_file_limit();
    block_signals();
    return run(&flags);
}
