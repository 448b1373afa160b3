#include "worker/options.h"

#include "common/args.h"
#include "common/transport.h"

#include <argp.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { USAGE = 2, CAPACITY_MILLI_MAX = 1000 * 1000 };
#define WRITE_BUFFER_BYTES_MIN ((uint64_t)1 << 20)

enum flag { BROKER = 256, DATA, NAME, LISTEN, ADVERTISE, CAPACITY, CACHE, WRITE_BUFFER, RESERVE, LOG_LEVEL, CONFIG, VERSION };

static const struct argp_option flags[] = {
    {"broker", BROKER, "ENDPOINT", 0, "the broker's endpoint for workers (tcp://127.0.0.1:5601)", 0},
    {"data", DATA, "DIR", 0, "the directory of this worker, its own; made when it is not there (required)", 0},
    {"name", NAME, "NAME", 0, "shown to operators (host name and process id)", 0},
    {"listen", LISTEN, "ENDPOINT", 0, "where other workers reach this one (tcp://127.0.0.1:*)", 0},
    {"advertise", ADVERTISE, "ENDPOINT", 0, "the same as seen from other machines (where it listens)", 0},
    {"capacity", CAPACITY, "FACTOR", 0, "what this machine can do beside others (1.0)", 0},
    {"cache", CACHE, "SIZE", 0, "block cache (256M)", 0},
    {"write-buffer", WRITE_BUFFER, "SIZE", 0, "each of RocksDB's memory tables (64M)", 0},
    {"reserve", RESERVE, "SIZE", 0, "free disk that writes may not use up (1G)", 0},
    {"log-level", LOG_LEVEL, "LEVEL", 0, "error, warning, info or debug (info)", 0},
    {"config", CONFIG, "FILE", 0, "flags as `name = value` lines; flags on the command line win", 0},
    {"version", VERSION, NULL, 0, "print the version", 0},
    {0}};

/* Ends the process with code 2. */
static void refuse(struct argp_state *state, const char *flag, const char *value, const char *wanted)
{
    argp_error(state, "--%s %s: give %s", flag, value, wanted);
}

static const char *parse_endpoint(struct argp_state *state, const char *flag, const char *value)
{
    if (!ek_endpoint_is_valid(value))
        refuse(state, flag, value, "an endpoint such as tcp://127.0.0.1:5601");
    return value;
}

static uint64_t parse_size(struct argp_state *state, const char *flag, const char *value, uint64_t min)
{
    uint64_t bytes = 0;
    if (ek_parse_size(value, &bytes) != EK_OK || bytes < min)
        refuse(state, flag, value, min ? "a size of at least 1M, such as 64M" : "a size such as 64M or 1G");
    return bytes;
}

static uint32_t parse_capacity(struct argp_state *state, const char *value)
{
    char *end;
    double factor = strtod(value, &end);
    double milli = factor * 1000;
    if (end == value || *end || !(milli >= 1 && milli <= CAPACITY_MILLI_MAX))
        refuse(state, "capacity", value, "a number from 0.001 to 1000");
    return (uint32_t)lround(milli);
}

static const char *parse_text(struct argp_state *state, const char *flag, const char *value)
{
    if (*value == 0 || strlen(value) >= EK_TEXT_BYTES_MAX)
        refuse(state, flag, value, "1 to 255 bytes");
    return value;
}

static error_t parse_flag(int key, char *value, struct argp_state *state)
{
    struct ek_worker_options *options = state->input;
    switch (key) {
    case BROKER:
        options->settings.broker = parse_endpoint(state, "broker", value);
        break;
    case DATA:
        options->store.directory = value;
        break;
    case NAME:
        options->settings.name = parse_text(state, "name", value);
        break;
    case LISTEN:
        options->settings.listen = parse_endpoint(state, "listen", value);
        break;
    case ADVERTISE:
        options->settings.advertise = parse_endpoint(state, "advertise", value);
        break;
    case CAPACITY:
        options->settings.capacity_milli = parse_capacity(state, value);
        break;
    case CACHE:
        options->store.cache_bytes = parse_size(state, "cache", value, 0);
        break;
    case WRITE_BUFFER:
        options->store.write_buffer_bytes = parse_size(state, "write-buffer", value, WRITE_BUFFER_BYTES_MIN);
        break;
    case RESERVE:
        options->settings.reserve_bytes = parse_size(state, "reserve", value, 0);
        options->store.reserve_bytes = options->settings.reserve_bytes;
        break;
    case LOG_LEVEL:
        if (ek_log_level_of(value, &options->log_level) != EK_OK)
            refuse(state, "log-level", value, "error, warning, info or debug");
        break;
    case CONFIG:
        break; /* its entries already stand before the other arguments */
    case VERSION:
        (void)printf("evenkeel-worker %s\n", EK_VERSION);
        exit(EXIT_SUCCESS);
    case ARGP_KEY_ARG:
        argp_error(state, "%s: only flags are understood", value);
        break;
    case ARGP_KEY_END:
        if (!options->store.directory || !*options->store.directory)
            argp_error(state, "--data is missing: name the directory of this worker");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static void name_by_host(struct ek_worker_options *options)
{
    char host[128] = "worker";
    (void)gethostname(host, sizeof host - 1);
    (void)snprintf(options->name, sizeof options->name, "%s-%ld", host, (long)getpid());
    options->settings.name = options->name;
}

void ek_worker_options_parse(int argc, char **argv, struct ek_worker_options *ret)
{
    static const struct argp parser = {
        .options = flags,
        .parser = parse_flag,
        .doc = "Keeps shards of an Evenkeel store. Start one more to scale; the broker tells it everything else."};
    struct ek_error error;
    *ret = (struct ek_worker_options){
        .settings = {.broker = "tcp://127.0.0.1:5601",
                     .listen = "tcp://127.0.0.1:*",
                     .capacity_milli = 1000,
                     .reserve_bytes = EK_DISK_RESERVE_DEFAULT},
        .store = {.cache_bytes = 256ull * EK_MIB, .write_buffer_bytes = 64ull * EK_MIB, .reserve_bytes = EK_DISK_RESERVE_DEFAULT},
        .log_level = EK_LOG_INFO};
    if (ek_args_with_config(flags, CONFIG, argc, argv, &argc, &argv, &error) != EK_OK) {
        (void)fprintf(stderr, "evenkeel-worker: %s\n", error.text);
        exit(USAGE);
    }
    argp_err_exit_status = USAGE;
    if (argp_parse(&parser, argc, argv, 0, NULL, ret) != 0)
        exit(USAGE);
    if (!ret->settings.name)
        name_by_host(ret);
}
