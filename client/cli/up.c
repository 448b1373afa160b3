/* up: a broker and workers on this machine, until interrupted. */
#include "client/cli/child.h"
#include "client/cli/cli.h"
#include "client/cli/connect.h"
#include "common/json.h"
#include "client/cli/output.h"
#include "client/cli/view.h"
#include "common/args.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/transport.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    WORKERS_MAX = 64,
    FIRST_DEATHS_MAX = 3, /* of a worker before all have joined: then the start has failed */
    BACKOFF_MS = 100,
    BACKOFF_MAX_MS = 10000,
    STEADY_US = 30000000, /* who lived so long begins with a short back-off again */
    ASK_EVERY_US = 50000,
    ASK_MS = 1000,
    PATIENCE_US = 10000000, /* then it says what it is waiting for */
    STOP_US = 10000000
};

#define CLIENTS_DEFAULT "tcp://127.0.0.1:5600"
#define WORKERS_DEFAULT "tcp://127.0.0.1:5601"
#define STATS_DEFAULT   "tcp://127.0.0.1:5602"
#define FREE_PORT       "tcp://127.0.0.1:*"

struct up_options {
    uint64_t workers;
    const char *data;
    const char *clients;
    const char *workers_endpoint;
    const char *stats;
    uint64_t shards;
    uint64_t max_queue_bytes;
    uint64_t reserve_bytes;
};
/* NOT_GIVEN is for the program to choose. */
#define NOT_GIVEN UINT64_MAX
static const struct up_options defaults = {
    .workers = 2, .data = "./evenkeel-data", .shards = NOT_GIVEN, .max_queue_bytes = NOT_GIVEN, .reserve_bytes = NOT_GIVEN};

#define AT(member) offsetof(struct up_options, member)
static const struct ek_option options_table[] = {
    {"workers", EK_OPTION_NUMBER, AT(workers), 1, WORKERS_MAX, "N", "how many (default 2, or as many as the data has)"},
    {"data", EK_OPTION_TEXT, AT(data), 0, 0, "DIR", "where everything is kept (default ./evenkeel-data)"},
    {"clients", EK_OPTION_TEXT, AT(clients), 0, 0, "ENDPOINT",
     "where clients connect (default that of --broker); port * = a free one"},
    {"workers-endpoint", EK_OPTION_TEXT, AT(workers_endpoint), 0, 0, "ENDPOINT", "where workers connect"},
    {"stats", EK_OPTION_TEXT, AT(stats), 0, 0, "ENDPOINT", "where figures are published"},
    {"shards", EK_OPTION_NUMBER, AT(shards), 1, EK_SHARDS_MAX, "N", "for the broker: shards of a new store"},
    {"max-queue", EK_OPTION_SIZE, AT(max_queue_bytes), EK_QUEUE_BYTES_MIN, INT64_MAX, "SIZE",
     "for the broker: memory of its queues"},
    {"reserve", EK_OPTION_SIZE, AT(reserve_bytes), 0, INT64_MAX, "SIZE", "for the workers: disk space to keep free"},
    {.name = NULL},
};

/* Endpoints as the broker says that it serves them, or as it is told to. */
struct endpoints {
    char clients[EK_TEXT_BYTES_MAX];
    char workers[EK_TEXT_BYTES_MAX];
    char stats[EK_TEXT_BYTES_MAX];
};

struct up {
    const struct ek_cli *cli;
    const struct up_options *options;
    struct endpoints endpoints;
    char broker_program[PATH_MAX];
    char worker_program[PATH_MAX];
    char data[PATH_MAX];
    struct ek_child children[1 + WORKERS_MAX]; /* the broker first */
    size_t child_count;
    int signals; /* a signalfd */
    struct ek_client *client;
    uint64_t say_us;   /* when to say what the start is waiting for; 0 = said */
    uint64_t ask_us;   /* when to look again whether all serve */
    bool broker_known; /* its endpoints are the true ones */
    bool ready;
    unsigned interrupts;
    bool failed;
    struct ek_error error;
};

/* ---- what is started ---- */

static void find_program(char out[PATH_MAX], const char *name)
{
    char self[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    self[size > 0 ? size : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash) {
        *slash = '\0';
        int written = snprintf(out, PATH_MAX, "%s/%s", self, name);
        if (written > 0 && written < PATH_MAX && access(out, X_OK) == 0)
            return;
    }
    (void)snprintf(out, PATH_MAX, "%s", name);
}

static void take_endpoints(struct up *up)
{
    const struct up_options *options = up->options;
    const char *clients = options->clients ? options->clients : up->cli->endpoint_given ? up->cli->endpoint : CLIENTS_DEFAULT;
    /* Beside another broker on the default ports only free ones are right. */
    bool usual = strcmp(clients, CLIENTS_DEFAULT) == 0;
    const char *workers = options->workers_endpoint ? options->workers_endpoint : usual ? WORKERS_DEFAULT : FREE_PORT;
    const char *stats = options->stats ? options->stats : usual ? STATS_DEFAULT : FREE_PORT;
    (void)snprintf(up->endpoints.clients, EK_TEXT_BYTES_MAX, "%s", clients);
    (void)snprintf(up->endpoints.workers, EK_TEXT_BYTES_MAX, "%s", workers);
    (void)snprintf(up->endpoints.stats, EK_TEXT_BYTES_MAX, "%s", stats);
}

static void directory_of(const struct up *up, char out[PATH_MAX], const char *name)
{
    (void)snprintf(out, PATH_MAX, "%.*s/%s", PATH_MAX - 40, up->data, name);
}

static bool make_directory(const char *path)
{
    char part[PATH_MAX];
    (void)snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0777) && errno != EEXIST)
            return false;
        *slash = '/';
    }
    return mkdir(part, 0777) == 0 || errno == EEXIST;
}

/* Workers whose data is there have to run again: without them their shards would be away. */
static size_t known_workers(const struct up *up)
{
    char name[32];
    char path[PATH_MAX];
    for (size_t number = 1;; number++) {
        (void)snprintf(name, sizeof name, "w%zu", number);
        directory_of(up, path, name);
        if (number > WORKERS_MAX || access(path, F_OK))
            return number - 1;
    }
}

static void add_number(struct ek_child *child, const char *flag, uint64_t number)
{
    char text[24];
    if (number == NOT_GIVEN)
        return;
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    ek_child_add(child, flag, text);
}

static void arm_broker(struct up *up)
{
    char path[PATH_MAX];
    struct ek_child *broker = &up->children[0];
    directory_of(up, path, "broker");
    ek_child_clear(broker);
    ek_child_add(broker, "--clients", up->endpoints.clients);
    ek_child_add(broker, "--workers", up->endpoints.workers);
    ek_child_add(broker, "--stats", up->endpoints.stats);
    ek_child_add(broker, "--data", path);
    add_number(broker, "--shards", up->options->shards);
    add_number(broker, "--max-queue", up->options->max_queue_bytes);
}

static void arm_worker(struct up *up, struct ek_child *worker)
{
    char path[PATH_MAX];
    char endpoint[EK_TEXT_BYTES_MAX];
    directory_of(up, path, worker->name);
    ek_endpoint_reach(endpoint, up->endpoints.workers, NULL);
    ek_child_clear(worker);
    ek_child_add(worker, "--broker", endpoint);
    ek_child_add(worker, "--data", path);
    ek_child_add(worker, "--name", worker->name);
    add_number(worker, "--reserve", up->options->reserve_bytes);
}

static void start(struct up *up, struct ek_child *child)
{
    if (child == &up->children[0])
        arm_broker(up);
    else
        arm_worker(up, child);
    if (ek_child_start(child, &up->error))
        up->failed = true;
}

/* ---- what they say ---- */

/* The value of `name=` in a line of words. */
static bool take_word(const char *line, const char *name, char out[EK_TEXT_BYTES_MAX])
{
    size_t size = strlen(name);
    for (const char *at = line; (at = strstr(at, name)); at += size) {
        if (at[size] != '=' || (at > line && at[-1] != ' '))
            continue;
        size_t length = strcspn(at + size + 1, " ");
        if (length == 0 || length >= EK_TEXT_BYTES_MAX)
            return false;
        memcpy(out, at + size + 1, length);
        out[length] = '\0';
        return true;
    }
    return false;
}

static void take_line(void *context, struct ek_child *child, const char *line)
{
    struct up *up = context;
    (void)fprintf(stderr, "%-7s| %s\n", child->name, line);
    if (strncmp(line, "ready", 5) != 0 || (line[5] != ' ' && line[5] != '\0'))
        return;
    child->ready = true;
    if (child != &up->children[0] || up->broker_known)
        return;
    up->broker_known = take_word(line, "clients", up->endpoints.clients) && take_word(line, "workers", up->endpoints.workers) &&
                       take_word(line, "stats", up->endpoints.stats);
    for (size_t i = 1; up->broker_known && i < up->child_count; i++)
        start(up, &up->children[i]);
}

static void bury(struct up *up, struct ek_child *child, const char *how)
{
    uint64_t now_us = ek_clock_monotonic_us();
    ek_child_read(child, take_line, up);
    child->deaths = now_us - child->started_us > STEADY_US ? 1 : child->deaths + 1;
    bool is_broker = child == &up->children[0];
    if (!up->ready && (is_broker || child->deaths >= FIRST_DEATHS_MAX)) {
        up->failed = true;
        (void)snprintf(up->error.text, sizeof up->error.text, "%s did not start (%s): %.300s", child->name, how, child->last_line);
        return;
    }
    unsigned doublings = child->deaths < 8 ? child->deaths - 1 : 7;
    uint64_t wait_ms = (uint64_t)BACKOFF_MS << doublings;
    wait_ms = wait_ms < BACKOFF_MAX_MS ? wait_ms : BACKOFF_MAX_MS;
    child->restart_us = now_us + wait_ms * 1000;
    ek_note("%s ended with %s; it is started again in %llu ms", child->name, how, (unsigned long long)wait_ms);
}

/* ---- the loop ---- */

static void answer_ready(const struct up *up)
{
    struct ek_buffer out = {0};
    const struct endpoints *endpoints = &up->endpoints;
    if (up->cli->json) {
        ek_json_open(&out, NULL, '{');
        ek_json_text(&out, "status", "ok");
        ek_json_text(&out, "clients", endpoints->clients);
        ek_json_text(&out, "workers_endpoint", endpoints->workers);
        ek_json_text(&out, "stats", endpoints->stats);
        ek_json_text(&out, "data", up->data);
        ek_json_uint(&out, "workers", up->child_count - 1);
        ek_json_open(&out, "pids", '{');
        for (size_t i = 0; i < up->child_count; i++)
            ek_json_uint(&out, up->children[i].name, (uint64_t)up->children[i].pid);
        ek_json_close(&out, '{');
        ek_json_close(&out, '{');
        ek_buffer_append(&out, "\n", 1);
        ek_output_write(ek_buffer_slice(&out));
        ek_buffer_done(&out);
    } else {
        (void)printf("ready clients=%s workers=%zu stats=%s workers_endpoint=%s data=%s pids=", endpoints->clients,
                     up->child_count - 1, endpoints->stats, endpoints->workers, up->data);
        for (size_t i = 0; i < up->child_count; i++)
            (void)printf("%s%s:%lld", i ? "," : "", up->children[i].name, (long long)up->children[i].pid);
        (void)printf("\n");
    }
    (void)ek_output_flush();
}

static bool open_client(struct up *up)
{
    char endpoint[EK_TEXT_BYTES_MAX];
    if (up->client)
        return true;
    ek_endpoint_reach(endpoint, up->endpoints.clients, NULL);
    struct ek_client_options options = {.endpoint = endpoint, .name = "evenkeel up", .timeout_ms = ASK_MS};
    return ek_client_open(&options, &up->client) == EK_OUTCOME_OK;
}

/* Asks the broker whether everybody has joined and every shard is served. */
static bool do_all_serve(struct up *up, uint64_t *ret_workers_up, uint64_t *ret_unavailable)
{
    const char *json;
    if (!open_client(up) || ek_client_query(up->client, "stats", &json))
        return false;
    return ek_view_number(ek_slice_text(json), "workers_up", ret_workers_up) &&
           ek_view_number(ek_slice_text(json), "shards_unavailable", ret_unavailable) && *ret_workers_up >= up->child_count - 1 &&
           *ret_unavailable == 0;
}

static void look_whether_ready(struct up *up, uint64_t now_us)
{
    uint64_t workers_up = 0;
    uint64_t unavailable = 0;
    if (now_us < up->ask_us || !up->broker_known)
        return;
    up->ask_us = now_us + ASK_EVERY_US;
    if (do_all_serve(up, &workers_up, &unavailable)) {
        up->ready = true;
        ek_client_close(&up->client);
        answer_ready(up);
        return;
    }
    if (up->say_us && now_us >= up->say_us) {
        up->say_us = 0;
        ek_note("still starting: %llu of %zu workers have joined, %llu shards are not served; see: evenkeel shards",
                (unsigned long long)workers_up, up->child_count - 1, (unsigned long long)unavailable);
    }
}

static int wait_ms(const struct up *up, uint64_t now_us)
{
    uint64_t next_us = up->ready ? UINT64_MAX : now_us + ASK_EVERY_US;
    for (size_t i = 0; i < up->child_count; i++)
        if (up->children[i].restart_us && up->children[i].restart_us < next_us)
            next_us = up->children[i].restart_us;
    if (next_us == UINT64_MAX)
        return -1;
    return next_us <= now_us ? 0 : (int)((next_us - now_us + 999) / 1000);
}

/* Waits for signals and lines, and takes them; sees who has ended. */
static void take_events(struct up *up, int timeout_ms, void (*ended)(struct up *, struct ek_child *, const char *))
{
    struct pollfd items[2 + WORKERS_MAX];
    struct signalfd_siginfo signal;
    for (size_t i = 0; i < up->child_count; i++)
        items[i] = (struct pollfd){.fd = up->children[i].output, .events = POLLIN};
    items[up->child_count] = (struct pollfd){.fd = up->signals, .events = POLLIN};
    (void)poll(items, up->child_count + 1, timeout_ms);
    while (read(up->signals, &signal, sizeof signal) == (ssize_t)sizeof signal)
        up->interrupts += signal.ssi_signo != SIGCHLD;
    for (size_t i = 0; i < up->child_count; i++) {
        char how[64];
        ek_child_read(&up->children[i], take_line, up);
        if (ek_child_reap(&up->children[i], how))
            ended(up, &up->children[i], how);
    }
}

static void serve(struct up *up)
{
    while (!up->interrupts && !up->failed) {
        uint64_t now_us = ek_clock_monotonic_us();
        for (size_t i = 0; i < up->child_count; i++)
            if (up->children[i].restart_us && up->children[i].restart_us <= now_us) {
                start(up, &up->children[i]);
                ek_note("%s runs again as process %lld", up->children[i].name, (long long)up->children[i].pid);
            }
        if (!up->ready)
            look_whether_ready(up, now_us);
        take_events(up, wait_ms(up, ek_clock_monotonic_us()), bury);
    }
}

static void note_end(struct up *up, struct ek_child *child, const char *how)
{
    (void)up;
    if (strcmp(how, "exit code 0") != 0)
        ek_note("%s ended with %s", child->name, how);
}

static bool is_any_running(const struct up *up, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (up->children[i].pid)
            return true;
    return false;
}

/* Ends children [from, to): asks first, and kills after a while or when somebody interrupts again. */
static void stop(struct up *up, size_t from, size_t to)
{
    unsigned interrupts = up->interrupts;
    uint64_t end_us = ek_clock_monotonic_us() + STOP_US;
    for (size_t i = from; i < to; i++)
        ek_child_signal(&up->children[i], SIGTERM);
    for (bool killed = false; is_any_running(up, from, to);) {
        uint64_t now_us = ek_clock_monotonic_us();
        if (!killed && (now_us >= end_us || up->interrupts != interrupts)) {
            killed = true;
            for (size_t i = from; i < to; i++)
                ek_child_signal(&up->children[i], SIGKILL);
        }
        take_events(up, killed ? -1 : (int)((end_us - now_us) / 1000) + 1, note_end);
    }
}

/* ---- beginning and end ---- */

/* What the programs would refuse is told before anything is made or started. */
static int refuse_flags(const struct up *up)
{
    const char *endpoints[] = {up->endpoints.clients, up->endpoints.workers, up->endpoints.stats};
    size_t data_size = strlen(up->options->data);
    if (data_size == 0 || data_size > PATH_MAX - 40)
        return ek_fail(up->cli, EK_OUTCOME_USAGE, "--data is %s path", data_size ? "too long a" : "an empty");
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++)
        if (!ek_endpoint_is_valid(endpoints[i]))
            return ek_fail(up->cli, EK_OUTCOME_USAGE, "`%.80s` is no endpoint: write one like %s", endpoints[i], CLIENTS_DEFAULT);
    return 0;
}

static int begin(struct up *up)
{
    take_endpoints(up);
    int refused = refuse_flags(up);
    if (refused)
        return refused;
    (void)snprintf(up->data, sizeof up->data, "%s", up->options->data);
    if (!make_directory(up->data))
        return ek_fail(up->cli, EK_OUTCOME_USAGE, "cannot make the directory %.300s: %s", up->data, strerror(errno));
    size_t workers = (size_t)up->options->workers;
    size_t known = known_workers(up);
    if (known > workers) {
        ek_note("%s holds the data of %zu workers: starting all of them", up->data, known);
        workers = known;
    }
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGHUP);
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    up->signals = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    if (up->signals < 0)
        return ek_fail(up->cli, EK_OUTCOME_FAILED, "the system gives no signal descriptor: %s", strerror(errno));
    find_program(up->broker_program, "evenkeel-broker");
    find_program(up->worker_program, "evenkeel-worker");
    ek_child_init(&up->children[up->child_count++], "broker", up->broker_program);
    for (size_t number = 1; number <= workers; number++) {
        char name[32];
        (void)snprintf(name, sizeof name, "w%zu", number);
        ek_child_init(&up->children[up->child_count++], name, up->worker_program);
    }
    return 0;
}

static int run_up(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    struct up *up = ek_alloc_zero(1, sizeof *up);
    (void)words, (void)count;
    up->cli = cli;
    up->options = options;
    up->signals = -1;
    ek_raise_file_limit();
    int code = begin(up);
    if (!code) {
        ek_note("the data is kept in %s", up->data);
        up->say_us = ek_clock_monotonic_us() + PATIENCE_US;
        start(up, &up->children[0]);
        serve(up);
        stop(up, 1, up->child_count);
        stop(up, 0, 1);
        code = up->failed ? ek_fail(cli, EK_OUTCOME_FAILED, "%s", up->error.text) : ek_output_end(0);
    }
    ek_client_close(&up->client);
    for (size_t i = 0; i < up->child_count; i++)
        ek_child_done(&up->children[i]);
    if (up->signals >= 0)
        (void)close(up->signals);
    free(up);
    return code;
}

const struct ek_command ek_command_up = {
    .name = "up",
    .synopsis = "",
    .summary = "a broker and workers on this machine, until interrupted",
    .details = "Prints one line `ready ...` on standard output when every worker has joined and every shard is served; what the\n"
               "processes say goes to standard error. One that dies is started again. SIGINT and SIGTERM end all of them in order.",
    .options = options_table,
    .defaults = &defaults,
    .options_size = sizeof defaults,
    .run = run_up,
};
