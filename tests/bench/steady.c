/*
 * A load that goes on until SIGTERM, and tells each second what became of it: puts at a fixed rate by the clock, however long
 * answers take, or as many as can be with a fixed number under way.
 *
 *     steady --broker ENDPOINT --rate N | --pipeline N [--keys N] [--value-size B] [--clients N] [--seed N] [--zipfian 1]
 *            [--shards N --only SHARD,SHARD…]
 *
 * Keys are those of `evenkeel bench`, drawn evenly or zipfian (0.99). With --only they are the first N of them that lie on these
 * shards. Latency counts from the intended start where there is a rate. Standard output: a line of JSON each second
 *
 *     {"us":…,"ended":…,"errors":…,"latency":[[bucket,count]…]}
 *
 * with the time of the monotonic clock, what ended since the line before, and the buckets of common/histogram.h; after SIGTERM,
 * when everything has an outcome, one that begins with {"submitted".
 */
#include "client/cli/generator.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/hash.h"
#include "common/histogram.h"
#include "common/limits.h"
#include "tests/bench/producer.h"
#include "tests/bench/tool.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    CLIENTS_MAX = 64,
    BURST = 128,
    NAP_NS = 50000,
    DRAIN_US = 30000000,
    UNDER_WAY_MAX = 1 << 20, /* with a rate; beyond that operations begin late, and that counts */
    KEYS_MAX = 100000000,
    SECOND_US = 1000000
};

struct call {
    uint64_t intended_us;
    struct call *next_free;
};

static struct {
    const char *broker, *only;
    uint64_t rate, pipeline, keys, value_bytes, clients, shards, random, zipfian;
    struct ek_client *handles[CLIENTS_MAX];
    struct ek_zipfian popularity;
    uint32_t *indexes; /* of the keys that are meant; NULL: all */
    uint8_t *value;
    struct call *calls, *free;
    uint64_t start_us, submitted, ended;
    uint64_t by_outcome[PRODUCER_OUTCOMES];
    struct ek_histogram latency; /* of this second */
    uint64_t errors;
} load = {.keys = 1000000, .value_bytes = 100, .clients = 1, .shards = 512, .random = 1};

static volatile sig_atomic_t stopping;

static void stop(int number)
{
    (void)number;
    stopping = 1;
}

static void read_options(int argc, char **argv)
{
    const struct ek_tool_flag known[] = {{"broker", NULL, &load.broker},
                                         {"only", NULL, &load.only},
                                         {"rate", &load.rate, NULL},
                                         {"pipeline", &load.pipeline, NULL},
                                         {"keys", &load.keys, NULL},
                                         {"value-size", &load.value_bytes, NULL},
                                         {"clients", &load.clients, NULL},
                                         {"shards", &load.shards, NULL},
                                         {"seed", &load.random, NULL},
                                         {"zipfian", &load.zipfian, NULL},
                                         {0}};
    ek_tool_flags(argc, argv, known);
    if (!load.broker || !load.rate == !load.pipeline || load.pipeline > UNDER_WAY_MAX || !load.keys || load.keys > KEYS_MAX ||
        !load.clients || load.clients > CLIENTS_MAX || !load.shards || load.shards > EK_SHARDS_MAX)
        ek_tool_fail("--broker, and either --rate or --pipeline, is missing, or a number makes no sense");
}

/* ---- keys ---- */

static void mark_shards(bool meant[EK_SHARDS_MAX])
{
    char *words = strdup(load.only);
    char *rest;
    size_t count = 0;
    for (char *word = words ? strtok_r(words, ",", &rest) : NULL; word; word = strtok_r(NULL, ",", &rest)) {
        char *end;
        uint64_t shard = strtoull(word, &end, 10);
        if (end != word && *end == 0 && shard < load.shards) {
            meant[shard] = true;
            count++;
        }
    }
    free(words);
    if (count == 0)
        ek_tool_fail("--only names no shard");
}

static uint16_t shard_of(uint64_t index)
{
    char key[EK_BENCH_KEY_BYTES];
    ek_bench_key(key, "user", index);
    return ek_shard_of(ek_hash_prefix(ek_slice_of(key, sizeof key)), (uint32_t)load.shards);
}

static void choose_keys(void)
{
    if (load.zipfian)
        ek_zipfian_init(&load.popularity, load.keys);
    if (!load.only)
        return;
    static bool meant[EK_SHARDS_MAX];
    mark_shards(meant);
    load.indexes = ek_alloc((size_t)load.keys * sizeof *load.indexes);
    uint64_t found = 0;
    for (uint32_t index = 0; found < load.keys; index++)
        if (meant[shard_of(index)])
            load.indexes[found++] = index;
}

static void draw_key(char key[EK_BENCH_KEY_BYTES])
{
    uint64_t place =
        load.zipfian ? ek_zipfian_rank(&load.popularity, ek_random_unit(&load.random)) : ek_random_below(&load.random, load.keys);
    ek_bench_key(key, "user", load.indexes ? load.indexes[place] : place);
}

/* ---- calls ---- */

static void note(struct call *call, enum ek_outcome outcome, uint64_t now_us)
{
    ek_histogram_add(&load.latency, now_us > call->intended_us ? now_us - call->intended_us : 0);
    load.by_outcome[outcome]++;
    load.errors += outcome != EK_OUTCOME_OK;
    load.ended++;
    call->next_free = load.free;
    load.free = call;
}

static void complete(void *context, const struct ek_completion *completions, size_t count)
{
    (void)count;
    note(context, completions[0].outcome, ek_clock_monotonic_us());
}

/* False when no more may be under way: later. */
static bool submit(uint64_t intended_us)
{
    struct call *call = load.free;
    uint64_t random = load.random;
    char key[EK_BENCH_KEY_BYTES];
    if (!call)
        return false;
    draw_key(key);
    struct ek_request request = {
        .kind = EK_PUT, .key = key, .key_size = sizeof key, .value = load.value, .value_size = (size_t)load.value_bytes};
    load.free = call->next_free;
    call->intended_us = intended_us;
    enum ek_outcome outcome = ek_submit(load.handles[load.submitted % load.clients], &request, UINT32_MAX, complete, call);
    if (outcome == EK_OUTCOME_BUSY) {
        load.random = random;
        load.free = call;
        return false;
    }
    load.submitted++;
    if (outcome != EK_OUTCOME_OK)
        note(call, outcome, intended_us);
    return true;
}

static size_t submit_due(uint64_t now_us)
{
    size_t count = 0;
    for (; count < BURST; count++) {
        uint64_t intended_us = load.rate ? load.start_us + load.submitted * SECOND_US / load.rate : now_us;
        if (intended_us > now_us || !submit(intended_us))
            break;
    }
    return count;
}

/* ---- what it tells ---- */

static void tell_second(uint64_t now_us)
{
    const char *comma = "";
    (void)printf("{\"us\":%llu,\"ended\":%llu,\"errors\":%llu,\"latency\":[", (unsigned long long)now_us,
                 (unsigned long long)load.latency.count, (unsigned long long)load.errors);
    for (unsigned i = 0; i < EK_HISTOGRAM_BUCKETS; i++) {
        if (load.latency.buckets[i] == 0)
            continue;
        (void)printf("%s[%u,%llu]", comma, i, (unsigned long long)load.latency.buckets[i]);
        comma = ",";
    }
    (void)printf("]}\n");
    (void)fflush(stdout);
    memset(&load.latency, 0, sizeof load.latency);
    load.errors = 0;
}

/* How many of the keys each shard has. */
static void tell_keys(void)
{
    static uint64_t counts[EK_SHARDS_MAX];
    for (uint64_t place = 0; place < load.keys; place++)
        counts[shard_of(load.indexes ? load.indexes[place] : place)]++;
    (void)printf("{\"keys\":[");
    for (uint64_t shard = 0; shard < load.shards; shard++)
        (void)printf("%s%llu", shard ? "," : "", (unsigned long long)counts[shard]);
    (void)printf("]}\n");
    (void)fflush(stdout);
}

static void run(void)
{
    load.start_us = ek_clock_monotonic_us();
    uint64_t tell_us = load.start_us + SECOND_US;
    uint64_t give_up_us = UINT64_MAX;
    for (uint64_t now_us = load.start_us; now_us < give_up_us && !(stopping && load.ended == load.submitted);
         now_us = ek_clock_monotonic_us()) {
        size_t moved = stopping ? 0 : submit_due(now_us);
        for (uint64_t i = 0; i < load.clients; i++)
            moved += ek_client_poll(load.handles[i], 0);
        if (stopping && give_up_us == UINT64_MAX)
            give_up_us = now_us + DRAIN_US;
        if (now_us >= tell_us) {
            tell_second(now_us);
            tell_us += SECOND_US;
        }
        if (moved == 0) /* a poll's millisecond is too coarse to keep to a rate */
            (void)nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
    }
    tell_second(ek_clock_monotonic_us());
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    choose_keys();
    size_t count = load.pipeline ? (size_t)load.pipeline : UNDER_WAY_MAX;
    load.calls = ek_alloc_zero(count, sizeof *load.calls);
    for (size_t i = 0; i < count; i++)
        load.calls[i].next_free = i + 1 < count ? &load.calls[i + 1] : NULL;
    load.free = load.calls;
    load.value = ek_alloc((size_t)load.value_bytes);
    ek_bench_values(load.value, (size_t)load.value_bytes, load.random);
    struct sigaction on_stop = {.sa_handler = stop};
    (void)sigaction(SIGTERM, &on_stop, NULL);
    producer_open(load.broker, "steady", load.handles, load.clients);
    tell_keys();
    run();
    (void)printf("{\"submitted\":%llu,\"ended\":%llu,\"outcomes\":{", (unsigned long long)load.submitted,
                 (unsigned long long)load.ended);
    producer_print_outcomes(load.by_outcome);
    (void)printf("}}\n");
    producer_close(load.handles, load.clients);
    free(load.value);
    free(load.indexes);
    free(load.calls);
    return EXIT_SUCCESS;
}
