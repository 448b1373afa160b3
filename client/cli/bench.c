/* bench: how many operations a second, and how long each takes. */
#include "client/cli/bench.h"

#include "common/json.h"
#include "client/cli/output.h"
#include "client/cli/progress.h"
#include "common/args.h"
#include "common/clock.h"
#include "common/limits.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PRODUCERS_MAX = 4096, SLOTS_MAX = 10000000, WATCH_NS = 100000000 };

struct bench_options {
    uint64_t workload, distribution;
    uint64_t count, duration_ms, rate, keys, value_bytes, pipeline, producers, connections, seed;
    bool load;
};
#define COUNT_DEFAULT 100000u
#define NOT_GIVEN     UINT64_MAX
static const struct bench_options defaults = {
    .distribution = NOT_GIVEN, .keys = 100000, .value_bytes = 100, .pipeline = 1000, .producers = 1, .seed = 1};

#define AT(member) offsetof(struct bench_options, member)
static const struct ek_option options_table[] = {
    {"workload", EK_OPTION_CHOICE, AT(workload), 0, 0, "put|get|mixed|incr|a|b|c|f", "default put; see above"},
    {"count", EK_OPTION_NUMBER, AT(count), 1, UINT64_MAX - 1, "N", "operations in all (default 100000, or no end with --duration)"},
    {"duration", EK_OPTION_DURATION, AT(duration_ms), 1, 7 * 86400000u, "TIME", "stop after this time"},
    {"rate", EK_OPTION_NUMBER, AT(rate), 1, 1000000000, "N",
     "start so many a second, however long answers take; latency counts from the intended start"},
    {"keys", EK_OPTION_NUMBER, AT(keys), 1, EK_BENCH_KEYS_MAX, "N", "different keys (default 100000)"},
    {"value-size", EK_OPTION_SIZE, AT(value_bytes), 0, EK_VALUE_BYTES_MAX, "B", "bytes of a value (default 100)"},
    {"distribution", EK_OPTION_CHOICE, AT(distribution), 0, 0, "uniform|zipfian",
     "of the keys (default uniform, zipfian for a, b, c, f)"},
    {"pipeline", EK_OPTION_NUMBER, AT(pipeline), 1, 1000000, "N", "operations under way, per producer (default 1000)"},
    {"producers", EK_OPTION_NUMBER, AT(producers), 1, PRODUCERS_MAX, "N", "clients with numbers of their own (default 1)"},
    {"connections", EK_OPTION_NUMBER, AT(connections), 1, PRODUCERS_MAX, "N",
     "that the producers share (default: one for each producer)"},
    {"seed", EK_OPTION_NUMBER, AT(seed), 0, UINT64_MAX, "N", "the same seed draws the same operations (default 1)"},
    {"load", EK_OPTION_SWITCH, AT(load), 0, 0, NULL, "first write every key once, as fast as it goes"},
    {.name = NULL},
};

/* As the option's words. The letters are YCSB's core workloads. */
static const struct ek_workload workloads[] = {{.name = "put"},
                                               {.name = "get", .gets = 1},
                                               {.name = "mixed", .gets = 0.5},
                                               {.name = "incr", .rest = EK_BENCH_INCREMENT},
                                               {.name = "a", .gets = 0.5, .zipfian = true},
                                               {.name = "b", .gets = 0.95, .zipfian = true},
                                               {.name = "c", .gets = 1, .zipfian = true},
                                               {.name = "f", .gets = 0.5, .rest = EK_BENCH_MODIFY, .zipfian = true}};
static const char *const distribution_names[] = {"uniform", "zipfian"};

struct bench {
    struct ek_bench_plan plan;
    uint8_t *values;
    struct ek_bench_thread *threads;
    pthread_t *handles;
    size_t thread_count;
    struct ek_histogram latency;
    uint64_t operations, errors, not_found, bytes, busy_retries, duration_us;
    uint64_t load_us; /* that the load took; 0: there was none */
    const char *first_error;
};

static void watch(struct bench *bench, uint64_t total)
{
    struct ek_progress progress;
    ek_progress_init(&progress, total);
    for (bool finished = !progress.shown; !finished;) {
        uint64_t done = 0;
        finished = true;
        for (size_t i = 0; i < bench->thread_count; i++) {
            done += atomic_load_explicit(&bench->threads[i].progress, memory_order_relaxed);
            finished = finished && atomic_load_explicit(&bench->threads[i].finished, memory_order_acquire);
        }
        ek_progress_show(&progress, done, done, bench->plan.loading ? "keys loaded" : "operations");
        if (!finished)
            (void)nanosleep(&(struct timespec){.tv_nsec = WATCH_NS}, NULL);
    }
    ek_progress_clear(&progress);
}

/* False when a thread could not be started. */
static bool run_phase(struct bench *bench)
{
    struct ek_bench_plan *plan = &bench->plan;
    size_t started = 0;
    plan->started_us = ek_clock_monotonic_us();
    for (; started < bench->thread_count; started++) {
        struct ek_bench_thread *thread = &bench->threads[started];
        atomic_store_explicit(&thread->progress, 0, memory_order_relaxed);
        atomic_store_explicit(&thread->finished, false, memory_order_relaxed);
        if (pthread_create(&bench->handles[started], NULL, ek_bench_thread_run, thread))
            break;
    }
    if (started == bench->thread_count)
        watch(bench, plan->loading ? plan->keys : plan->count == UINT64_MAX ? 0 : plan->count);
    for (size_t i = 0; i < started; i++)
        (void)pthread_join(bench->handles[i], NULL);
    return started == bench->thread_count;
}

/* How long the last phase took. */
static uint64_t phase_us(const struct bench *bench)
{
    uint64_t ended_us = bench->plan.started_us;
    for (size_t i = 0; i < bench->thread_count; i++)
        if (bench->threads[i].ended_us > ended_us)
            ended_us = bench->threads[i].ended_us;
    return ended_us - bench->plan.started_us;
}

static void collect(struct bench *bench)
{
    for (size_t i = 0; i < bench->thread_count; i++) {
        const struct ek_bench_thread *thread = &bench->threads[i];
        ek_histogram_merge(&bench->latency, &thread->latency);
        bench->operations += thread->operations;
        bench->errors += thread->errors;
        bench->not_found += thread->not_found;
        bench->bytes += thread->bytes;
        bench->busy_retries += ek_bench_thread_busy_retries(thread);
        if (thread->errors && !bench->first_error)
            bench->first_error = thread->first_error.text;
    }
    bench->duration_us = phase_us(bench);
}

struct percentile {
    const char *name;  /* of the JSON member */
    const char *title; /* for people */
    double share;
};
static const struct percentile percentiles[] = {{"latency_p50_us", "p50", 0.5},
                                                {"latency_p90_us", "p90", 0.9},
                                                {"latency_p99_us", "p99", 0.99},
                                                {"latency_p999_us", "p99.9", 0.999}};
#define PERCENTILES (sizeof percentiles / sizeof *percentiles)

static double load_rate(const struct bench *bench)
{
    return (double)bench->plan.keys * 1e6 / (double)bench->load_us;
}

static void answer_json(const struct bench *bench, double seconds)
{
    const struct ek_bench_plan *plan = &bench->plan;
    struct ek_buffer out = {0};
    ek_json_open(&out, NULL, '{');
    ek_json_text(&out, "status", bench->errors ? "failed" : "ok");
    if (bench->first_error)
        ek_json_text(&out, "error", bench->first_error);
    ek_json_text(&out, "workload", plan->workload->name);
    ek_json_text(&out, "distribution", distribution_names[plan->zipfian_keys]);
    ek_json_uint(&out, "seed", plan->seed);
    ek_json_uint(&out, "producers", plan->producers);
    ek_json_uint(&out, "connections", plan->connections);
    ek_json_uint(&out, "pipeline", plan->pipeline);
    ek_json_uint(&out, "keys", plan->keys);
    ek_json_uint(&out, "value_size_bytes", plan->value_bytes);
    if (plan->rate)
        ek_json_uint(&out, "target_ops_per_second", plan->rate);
    else
        ek_json_null(&out, "target_ops_per_second");
    ek_json_uint(&out, "operations", bench->operations);
    ek_json_uint(&out, "errors", bench->errors);
    ek_json_uint(&out, "busy_retries", bench->busy_retries);
    ek_json_uint(&out, "not_found", bench->not_found);
    ek_json_uint(&out, "duration_ms", bench->duration_us / 1000);
    if (bench->load_us)
        ek_json_real(&out, "load_ops_per_second", load_rate(bench));
    else
        ek_json_null(&out, "load_ops_per_second");
    ek_json_real(&out, "ops_per_second", (double)bench->operations / seconds);
    ek_json_real(&out, "bytes_per_second", (double)bench->bytes / seconds);
    ek_json_uint(&out, "latency_min_us", bench->latency.min);
    for (size_t i = 0; i < PERCENTILES; i++)
        ek_json_uint(&out, percentiles[i].name, ek_histogram_percentile(&bench->latency, percentiles[i].share));
    ek_json_uint(&out, "latency_max_us", bench->latency.max);
    ek_json_close(&out, '{');
    ek_buffer_append(&out, "\n", 1);
    ek_output_write(ek_buffer_slice(&out));
    ek_buffer_done(&out);
}

static void answer_text(const struct bench *bench, double seconds)
{
    const struct ek_bench_plan *plan = &bench->plan;
    char a[EK_FIGURE_BYTES];
    char b[EK_FIGURE_BYTES];
    (void)printf("%s, %s keys of %s, values of %s, %llu producers on %llu connections with %llu operations under way each\n\n",
                 plan->workload->name, distribution_names[plan->zipfian_keys], ek_figure_count(a, (double)plan->keys),
                 ek_figure_bytes(b, (double)plan->value_bytes), (unsigned long long)plan->producers,
                 (unsigned long long)plan->connections, (unsigned long long)plan->pipeline);
    if (bench->load_us)
        (void)printf("  load          %14s/s in %.3f s\n", ek_figure_count(a, load_rate(bench)), (double)bench->load_us / 1e6);
    (void)printf("  operations    %14s   in %.3f s\n", ek_figure_count(a, (double)bench->operations), seconds);
    (void)printf("  throughput    %14s/s %s/s\n", ek_figure_count(a, (double)bench->operations / seconds),
                 ek_figure_bytes(b, (double)bench->bytes / seconds));
    (void)printf("  errors        %14llu\n", (unsigned long long)bench->errors);
    (void)printf("  not found     %14llu\n", (unsigned long long)bench->not_found);
    (void)printf("  busy retries  %14llu\n", (unsigned long long)bench->busy_retries);
    (void)printf("  latency  min  %14s\n", ek_figure_us(a, (double)bench->latency.min));
    for (size_t i = 0; i < PERCENTILES; i++)
        (void)printf("           %-6s%13s\n", percentiles[i].title,
                     ek_figure_us(a, (double)ek_histogram_percentile(&bench->latency, percentiles[i].share)));
    (void)printf("           max  %14s\n", ek_figure_us(a, (double)bench->latency.max));
}

static int answer(const struct bench *bench)
{
    double seconds = (double)(bench->duration_us ? bench->duration_us : 1) / 1e6;
    if (bench->plan.cli->json)
        answer_json(bench, seconds);
    else
        answer_text(bench, seconds);
    if (bench->errors && !bench->plan.cli->json)
        ek_note("%llu operations failed, the first: %s", (unsigned long long)bench->errors,
                bench->first_error ? bench->first_error : "");
    return ek_output_end(bench->errors ? ek_exit_code(EK_OUTCOME_FAILED) : 0);
}

static int open_threads(struct bench *bench)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t wanted = processors > 0 ? (uint64_t)processors : 1;
    wanted = wanted < bench->plan.connections ? wanted : bench->plan.connections;
    bench->threads = ek_alloc_zero((size_t)wanted, sizeof *bench->threads);
    bench->handles = ek_alloc_zero((size_t)wanted, sizeof *bench->handles);
    for (uint64_t i = 0; i < wanted; i++) {
        bench->thread_count++;
        enum ek_outcome outcome = ek_bench_thread_init(&bench->threads[i], &bench->plan, i, wanted);
        if (outcome)
            return ek_exit_code(outcome);
    }
    return 0;
}

static int run_phases(struct bench *bench, bool load)
{
    bench->plan.loading = load;
    bool started = !load || run_phase(bench);
    bench->load_us = load && started ? phase_us(bench) : 0;
    bench->plan.loading = false;
    started = started && run_phase(bench);
    if (!started)
        return ek_fail(bench->plan.cli, EK_OUTCOME_FAILED, "the system starts no thread");
    collect(bench);
    return answer(bench);
}

static void take_options(struct bench *bench, const struct ek_cli *cli, const struct bench_options *options)
{
    struct ek_bench_plan *plan = &bench->plan;
    plan->cli = cli;
    plan->workload = &workloads[options->workload];
    plan->zipfian_keys = options->distribution == NOT_GIVEN ? plan->workload->zipfian : options->distribution == 1;
    plan->keys = options->keys;
    plan->value_bytes = options->value_bytes;
    plan->producers = options->producers;
    plan->connections =
        options->connections && options->connections < options->producers ? options->connections : options->producers;
    plan->pipeline = options->pipeline;
    plan->seed = options->seed;
    plan->rate = options->rate;
    plan->duration_us = options->duration_ms * 1000;
    plan->count = options->count ? options->count : options->duration_ms ? UINT64_MAX : COUNT_DEFAULT;
    plan->timeout_ms = ek_cli_long_timeout(cli);
    if (plan->zipfian_keys)
        ek_zipfian_init(&plan->zipfian, EK_ZIPFIAN_ITEMS);
    size_t size = EK_BENCH_BLOCK_BYTES + (size_t)options->value_bytes;
    bench->values = ek_alloc(size);
    ek_bench_values(bench->values, size, options->seed);
    plan->values = bench->values;
}

static int run_bench(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    const struct bench_options *given = options;
    struct bench bench = {0};
    (void)words, (void)count;
    if (given->producers * given->pipeline > SLOTS_MAX)
        return ek_fail(cli, EK_OUTCOME_USAGE, "--producers times --pipeline is more than %d operations under way", SLOTS_MAX);
    ek_raise_file_limit();
    take_options(&bench, cli, given);
    int code = open_threads(&bench);
    if (!code)
        code = run_phases(&bench, given->load);
    for (size_t i = 0; i < bench.thread_count; i++)
        ek_bench_thread_done(&bench.threads[i]);
    free(bench.threads);
    free(bench.handles);
    free(bench.values);
    return code;
}

const struct ek_command ek_command_bench = {
    .name = "bench",
    .synopsis = "",
    .summary = "measure throughput and latency",
    .details =
        "put, get, mixed (half gets, half puts) and incr draw uniform keys unless told otherwise. The letters are YCSB's core\n"
        "workloads, whose keys are zipfian (theta 0.99, scrambled over all keys): a is half gets, half puts; b 95 % gets; c gets\n"
        "only; f half gets, half read-modify-writes: a get, then an unconditional put of the same key, timed as one operation.\n\n"
        "Keys have 16 bytes and stay in the store. `not_found` counts gets of keys that nobody wrote: --load writes them first.\n"
        "Times are kept in steps of one part in 32: a percentile is at most 3.2 % above the true one.",
    .options = options_table,
    .defaults = &defaults,
    .options_size = sizeof defaults,
    .run = run_bench,
};
