/*
 * A load that does not wait: puts at a fixed rate by the clock, however long answers take. Latency counts from the moment at which
 * an operation was meant to start, so that a store which stalls the producer is not spared the operations that fell into the stall.
 *
 *     openloop --broker ENDPOINT --rate N --duration-ms N --log FILE [--keys N] [--value-size B] [--deadline-ms N] [--clients N]
 *              [--shards N] [--seed N] [--alone 1]
 *
 * Keys are those of `evenkeel bench`. Each operation becomes a record of 16 bytes in the log, little-endian, in the order of their
 * intended starts: intended start (u64, microseconds of the monotonic clock), latency (u32, microseconds), shard (u16), outcome
 * (u8, enum ek_outcome; 255 = none came), a zero. Standard output: `second N` as each second begins, in the end a line of JSON.
 *
 * With `--alone 1` each put is a job of its own: a transaction, which the library merges with nothing.
 *
 * With a deadline an operation gets what is left of it when it is submitted; one that could be submitted only behind its deadline
 * is EXPIRED without having been sent, and counts as `late` too.
 */
#include "client/cli/generator.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/hash.h"
#include "common/limits.h"
#include "tests/bench/producer.h"
#include "tests/bench/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CLIENTS_MAX = 64, BURST = 128, NAP_NS = 50000, NO_OUTCOME = 255, DRAIN_US = 30000000 };

struct record {
    uint64_t intended_us;
    uint32_t latency_us;
    uint16_t shard;
    uint8_t outcome;
    uint8_t zero;
};
_Static_assert(sizeof(struct record) == 16, "readers of the log count on it");

struct load {
    const char *broker, *log;
    uint64_t rate, duration_ms, keys, value_bytes, deadline_ms, clients, shards, random, alone;
    struct ek_client *handles[CLIENTS_MAX];
    uint8_t *value;
    struct record *records;
    uint64_t wanted, submitted, ended, late;
    uint64_t start_us;
    uint64_t by_outcome[PRODUCER_OUTCOMES];
};

static void read_options(struct load *load, int argc, char **argv)
{
    ek_tool_flags(argc, argv,
                  (const struct ek_tool_flag[]){{"broker", NULL, &load->broker},
                                                {"log", NULL, &load->log},
                                                {"rate", &load->rate, NULL},
                                                {"duration-ms", &load->duration_ms, NULL},
                                                {"keys", &load->keys, NULL},
                                                {"value-size", &load->value_bytes, NULL},
                                                {"deadline-ms", &load->deadline_ms, NULL},
                                                {"clients", &load->clients, NULL},
                                                {"shards", &load->shards, NULL},
                                                {"seed", &load->random, NULL},
                                                {"alone", &load->alone, NULL},
                                                {0}});
    if (!load->broker || !load->log || !load->rate || !load->duration_ms || !load->keys || !load->clients ||
        load->clients > CLIENTS_MAX || !load->shards || load->shards > EK_SHARDS_MAX)
        ek_tool_fail("--broker, --rate, --duration-ms or --log is missing, or a number makes no sense");
}

static struct load *running; /* a completion finds its record by itself; this is where it counts */

static void note(struct record *record, enum ek_outcome outcome, uint64_t now_us)
{
    uint64_t latency_us = now_us > record->intended_us ? now_us - record->intended_us : 0;
    record->latency_us = latency_us < UINT32_MAX ? (uint32_t)latency_us : UINT32_MAX;
    record->outcome = (uint8_t)outcome;
    running->by_outcome[outcome]++;
    running->ended++;
}

static void complete(void *context, const struct ek_completion *completions, size_t count)
{
    (void)count;
    note(context, completions[0].outcome, ek_clock_monotonic_us());
}

/* False when the client has as much under way as it may: later. */
static bool submit(struct load *load, uint64_t now_us)
{
    struct record *record = &load->records[load->submitted];
    uint64_t random = load->random;
    char key[EK_BENCH_KEY_BYTES];
    ek_bench_key(key, "user", ek_random_below(&load->random, load->keys));
    record->intended_us = load->start_us + load->submitted * 1000000 / load->rate;
    record->shard = ek_shard_of(ek_hash_prefix(ek_slice_of(key, sizeof key)), (uint32_t)load->shards);
    record->outcome = NO_OUTCOME;
    uint64_t behind_ms = (now_us - record->intended_us) / 1000;
    if (load->deadline_ms && behind_ms >= load->deadline_ms) {
        load->submitted++;
        load->late++;
        note(record, EK_OUTCOME_EXPIRED, now_us);
        return true;
    }
    struct ek_request request = {
        .kind = EK_PUT, .key = key, .key_size = sizeof key, .value = load->value, .value_size = (size_t)load->value_bytes};
    uint32_t timeout_ms = load->deadline_ms ? (uint32_t)(load->deadline_ms - behind_ms) : UINT32_MAX;
    struct ek_client *client = load->handles[load->submitted % load->clients];
    enum ek_outcome outcome = load->alone ? ek_submit_transaction(client, &request, 1, timeout_ms, complete, record)
                                          : ek_submit(client, &request, timeout_ms, complete, record);
    if (outcome == EK_OUTCOME_BUSY) {
        load->random = random;
        return false;
    }
    load->submitted++;
    if (outcome != EK_OUTCOME_OK)
        note(record, outcome, now_us);
    return true;
}

static size_t submit_due(struct load *load, uint64_t now_us)
{
    size_t count = 0;
    while (count < BURST && load->submitted < load->wanted && load->start_us + load->submitted * 1000000 / load->rate <= now_us &&
           submit(load, now_us))
        count++;
    return count;
}

static void run(struct load *load)
{
    uint64_t said = 0;
    uint64_t give_up_us = load->start_us + load->duration_ms * 1000 + DRAIN_US;
    for (uint64_t now_us; load->ended < load->wanted && (now_us = ek_clock_monotonic_us()) < give_up_us;) {
        size_t moved = now_us >= load->start_us ? submit_due(load, now_us) : 0;
        for (uint64_t i = 0; i < load->clients; i++)
            moved += ek_client_poll(load->handles[i], 0);
        for (; now_us >= load->start_us + said * 1000000 && said * 1000 < load->duration_ms; said++) {
            (void)printf("second %llu\n", (unsigned long long)said);
            (void)fflush(stdout);
        }
        if (moved == 0) /* a poll's millisecond is too coarse to keep to a rate */
            (void)nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
    }
}

static void write_log(const struct load *load)
{
    FILE *log = fopen(load->log, "wb");
    bool done = log && fwrite(load->records, sizeof *load->records, (size_t)load->submitted, log) == load->submitted;
    if (!log || fclose(log) != 0 || !done) {
        perror(load->log);
        exit(EXIT_FAILURE);
    }
}

int main(int argc, char **argv)
{
    struct load load = {.keys = 1000000, .value_bytes = 100, .clients = 1, .shards = 512, .random = 1};
    read_options(&load, argc, argv);
    load.wanted = load.rate * load.duration_ms / 1000;
    load.records = ek_alloc_zero((size_t)load.wanted, sizeof *load.records);
    load.value = ek_alloc((size_t)load.value_bytes);
    ek_bench_values(load.value, (size_t)load.value_bytes, load.random);
    running = &load;
    producer_open(load.broker, "openloop", load.handles, load.clients);
    load.start_us = ek_clock_monotonic_us();
    run(&load);
    write_log(&load);
    (void)printf("{\"wanted\":%llu,\"submitted\":%llu,\"ended\":%llu,\"late\":%llu,\"outcomes\":{", (unsigned long long)load.wanted,
                 (unsigned long long)load.submitted, (unsigned long long)load.ended, (unsigned long long)load.late);
    producer_print_outcomes(load.by_outcome);
    (void)printf("}}\n");
    producer_close(load.handles, load.clients);
    free(load.value);
    free(load.records);
    return EXIT_SUCCESS;
}
