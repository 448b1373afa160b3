#include "tests/sim/cluster.h"

#include "broker/loop.h"
#include "broker/office.h"
#include "common/clock.h"
#include "tests/sim/disk.h"
#include "tests/sim/hazard.h"
#include "tests/sim/net.h"
#include "tests/sim/tally.h"
#include "worker/loop.h"

#include <stdlib.h>
#include <string.h>

enum { SAMPLE_US = 20 * 1000, SAMPLES_MAX = 65536, WALL_OFF_MS = 60 * 60 * 1000 };

struct sample {
    uint64_t at_us;
    uint64_t stamp_unix_ms;
    uint64_t highest_unix_ms; /* none was given before the next sample that is higher */
};

static struct {
    struct sim_cluster_options options;
    struct sim_process broker;
    struct sim_process workers[SIM_WORKERS_MAX];
    struct sim_process clone;
    char names[SIM_WORKERS_MAX][16];
    struct ek_broker *core; /* of the running broker */
    struct sample samples[SAMPLES_MAX];
    size_t sample_count;
} cluster;

/* ---- the broker's time ---- */

/* No stamp that this broker gives at that time is higher: its time may stand still at a ceiling for a while, and then catches up.
 */
static uint64_t highest_stamp(uint64_t broker_us)
{
    const struct ek_time *time = &cluster.core->time;
    return time->base_unix_ms + (broker_us - time->base_us) / 1000 + 1;
}

static void take_sample(void)
{
    if (!cluster.core || sim_hazard_broker_is_old() || cluster.sample_count == SAMPLES_MAX)
        return;
    uint64_t now_us = sim_now_us() + cluster.broker.clock_ahead_us;
    uint64_t stamp = ek_broker_wanted_ceiling(cluster.core, now_us) - EK_TIME_CEILING_AHEAD_MS;
    if (cluster.sample_count && stamp < cluster.samples[cluster.sample_count - 1].stamp_unix_ms)
        sim_fail("the broker's time went back by %llu ms",
                 (unsigned long long)(cluster.samples[cluster.sample_count - 1].stamp_unix_ms - stamp));
    cluster.samples[cluster.sample_count++] =
        (struct sample){.at_us = sim_now_us(), .stamp_unix_ms = stamp, .highest_unix_ms = highest_stamp(now_us) + SAMPLE_US / 1000};
}

static void sample_on(void *context, uint64_t argument)
{
    (void)context, (void)argument;
    take_sample();
    sim_at(sim_now_us() + SAMPLE_US, sample_on, NULL, 0);
}

/* The first sample behind `at_us`. */
static size_t sample_behind(uint64_t at_us)
{
    size_t low = 0;
    size_t high = cluster.sample_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (cluster.samples[middle].at_us <= at_us)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint64_t sim_stamp_low(uint64_t at_us)
{
    size_t behind = sample_behind(at_us);
    return behind ? cluster.samples[behind - 1].stamp_unix_ms : 0;
}

uint64_t sim_stamp_high(uint64_t at_us)
{
    size_t behind = sample_behind(at_us);
    return behind < cluster.sample_count ? cluster.samples[behind].stamp_unix_ms : UINT64_MAX;
}

uint64_t sim_stamp_now(void)
{
    if (cluster.core)
        return highest_stamp(sim_now_us() + cluster.broker.clock_ahead_us);
    return cluster.sample_count ? cluster.samples[cluster.sample_count - 1].highest_unix_ms : 0;
}

/* ---- programs ---- */

static void fail_program(const struct ek_error *error)
{
    if (sim_hazard_may_refuse(sim_self())) {
        sim_tell("%s ends: %s", sim_self()->name, error->text);
        sim_self()->expected = true;
    } else
        sim_fail("%s ends: %s", sim_self()->name, error->text);
    sim_exit(EXIT_FAILURE);
}

static void run_broker(void *context)
{
    struct ek_error error = {{0}};
    struct ek_meta *meta;
    struct ek_meta_state state;
    struct ek_context *sockets = ek_context_new(1, 1);
    struct ek_socket *ends[3];
    static const char *const endpoints[] = {"clients", "workers", "stats"};
    char actual[EK_TEXT_BYTES_MAX];
    (void)context;
    if (ek_meta_open("0", cluster.options.shards, &meta, &state, &error) != EK_OK)
        fail_program(&error);
    for (size_t i = 0; i < 3; i++)
        if (ek_socket_open(sockets, i < 2 ? EK_SOCKET_ROUTER : EK_SOCKET_PUB, &ends[i]) != EK_OK ||
            ek_socket_bind(ends[i], endpoints[i], actual, &error) != EK_OK)
            fail_program(&error);
    struct ek_office office = {.queue_bytes_max = cluster.options.queue_bytes_max,
                               .liveness_us = cluster.options.liveness_ms * 1000,
                               .now_us = ek_clock_monotonic_us(),
                               .now_unix_ms = ek_clock_unix_ms(),
                               .random = (uint32_t)sim_random(),
                               .stats_endpoint = endpoints[2]};
    struct ek_broker *core;
    if (ek_office_take(&office, meta, &state, &core, &error) != EK_OK)
        fail_program(&error);
    cluster.core = core;
    take_sample();
    struct ek_broker_loop_options loop = {.broker = core,
                                          .meta = meta,
                                          .clients = ends[0],
                                          .workers = ends[1],
                                          .stats = ends[2],
                                          .queue_bytes_max = cluster.options.queue_bytes_max};
    int code = ek_broker_loop_run(&loop);
    take_sample();
    cluster.core = NULL;
    ek_broker_destroy(&core);
    ek_meta_state_done(&state);
    ek_meta_close(&meta);
    sim_exit(code);
}

static void run_worker(void *context)
{
    struct sim_process *self = sim_self();
    char directory[16];
    char listen[24];
    struct ek_error error = {{0}};
    struct ek_store *store;
    (void)context;
    (void)snprintf(directory, sizeof directory, "%d", self->number);
    (void)snprintf(listen, sizeof listen, "copies-%d", self->number);
    struct ek_store_options options = {.directory = directory};
    struct ek_worker_settings settings = {
        .broker = "workers", .listen = listen, .name = self->name, .capacity_milli = 1000, .reserve_bytes = 1};
    struct ek_engine *engine = ek_alloc_zero(1, sizeof *engine);
    self->stop_fd = sim_fd_new();
    if (ek_store_open(&options, &store, &error) != EK_OK ||
        ek_engine_open(engine, store, cluster.options.live_bytes_max, &error) != EK_OK)
        fail_program(&error);
    enum ek_status status = ek_worker_loop_run(&settings, engine, store, self->stop_fd, &error);
    if (status == EK_AGAIN)
        sim_exit(EXIT_SUCCESS); /* the disk did not finish in time */
    if (status != EK_OK)
        fail_program(&error);
    ek_engine_done(engine);
    free(engine);
    ek_store_close(&store);
    sim_exit(EXIT_SUCCESS);
}

static void close_behind(struct sim_process *process)
{
    bool expected = process->expected || (process == &cluster.broker && sim_hazard_broker_is_old());
    if (process->exit_code > 0 && !expected)
        sim_fail("%s ended by itself with code %d", process->name, process->exit_code);
    sim_tell("%s is gone", process->name);
    sim_net_forget(process);
    if (process == &cluster.broker)
        cluster.core = NULL;
    else
        sim_disk_crash(sim_disk_of((unsigned)process->number));
    if (process != &cluster.broker && process->exit_code <= 0)
        sim_count(process->exit_code < 0 ? SIM_COUNT_WORKER_DEATH : SIM_COUNT_WORKER_STOPPED);
    sim_hazard_ended(process);
}

/* ---- places ---- */

static void make_place(struct sim_process *process, const char *name, int number)
{
    *process = (struct sim_process){.name = name, .number = number, .state = SIM_ENDED, .ended = close_behind};
    process->clock_ahead_us = sim_draw(1ull << 40);
    process->wall_ahead_ms = sim_chance(50) ? (int64_t)sim_draw(2 * WALL_OFF_MS) - WALL_OFF_MS : 0;
}

void sim_cluster_open(const struct sim_cluster_options *options)
{
    cluster.options = *options;
    make_place(&cluster.broker, "broker", 0);
    sim_directory()->sync_us = options->sync_us;
    for (unsigned i = 0; i < options->workers; i++) {
        (void)snprintf(cluster.names[i], sizeof cluster.names[i], "w%u", i + 1);
        make_place(&cluster.workers[i], cluster.names[i], (int)i + 1);
        sim_disk_of(i + 1)->sync_us = options->sync_us;
    }
    make_place(&cluster.clone, "clone", SIM_CLONE_NUMBER);
    sim_disk_of(SIM_CLONE_NUMBER)->sync_us = options->sync_us;
    sample_on(NULL, 0);
}

struct sim_process *sim_broker(void)
{
    return &cluster.broker;
}

struct sim_process *sim_worker(unsigned number)
{
    return &cluster.workers[number];
}

unsigned sim_worker_count(void)
{
    return cluster.options.workers;
}

uint32_t sim_shard_count(void)
{
    return cluster.options.shards;
}

uint64_t sim_liveness_us(void)
{
    return cluster.options.liveness_ms * 1000;
}

void sim_broker_start(void)
{
    if (cluster.broker.state != SIM_ENDED)
        return;
    sim_tell("broker starts");
    sim_start(&cluster.broker, run_broker, NULL);
}

void sim_worker_start(unsigned number)
{
    if (cluster.workers[number].state != SIM_ENDED)
        return;
    sim_tell("%s starts", cluster.workers[number].name);
    sim_start(&cluster.workers[number], run_worker, NULL);
}

void sim_clone_start(unsigned of)
{
    cluster.clone.name = cluster.workers[of].name;
    sim_start(&cluster.clone, run_worker, NULL);
}

struct sim_process *sim_clone(void)
{
    return &cluster.clone;
}

const struct ek_broker *sim_broker_core(void)
{
    return cluster.core;
}

void sim_stop(struct sim_process *process)
{
    if (process->state == SIM_ENDED || !process->stop_fd)
        return;
    process->stopping = true;
    sim_fd_raise(process->stop_fd);
}

/* ---- what is looked at ---- */

void sim_cluster_look(const struct ek_snapshot *snapshot)
{
    const struct ek_ledger *ledger = &snapshot->ledger;
    uint64_t ended = ledger->done + ledger->failed + ledger->expired + ledger->dead + ledger->given_back;
    if (ledger->accepted != ended + ledger->queued + ledger->in_flight)
        sim_fail("the ledger does not balance: %llu accepted, %llu ended, %llu queued, %llu in flight",
                 (unsigned long long)ledger->accepted, (unsigned long long)ended, (unsigned long long)ledger->queued,
                 (unsigned long long)ledger->in_flight);
    for (size_t i = 0; !sim_hazard_has_struck() && i < snapshot->alarm_count; i++)
        if (strcmp(snapshot->alarms[i].code, "position_below_floor") == 0 ||
            strcmp(snapshot->alarms[i].code, "incarnation_below") == 0)
            sim_fail("an alarm without a cause: %s", snapshot->alarms[i].text);
}
