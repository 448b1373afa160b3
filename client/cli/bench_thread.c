#include "client/cli/bench.h"

#include "client/cli/connect.h"
#include "client/cli/output.h"
#include "common/clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CLOCK_EVERY = 16, POLL_EVERY = 256, IDLE_MS = 1, NAP_US = 50 };

/* An operation under way. */
struct slot {
    struct ek_bench_producer *producer;
    uint64_t start_us; /* with a rate: when it was meant to start */
};

struct ek_bench_producer {
    struct ek_bench_thread *thread;
    struct ek_client *client;
    uint64_t number; /* among all producers */
    uint64_t random;
    uint64_t submitted, wanted;
    struct slot *slots;
    struct slot **unused; /* a stack */
    size_t unused_count;
};

enum ek_outcome ek_bench_thread_init(struct ek_bench_thread *thread, const struct ek_bench_plan *plan, uint64_t first,
                                     uint64_t step)
{
    thread->plan = plan;
    thread->producers = ek_alloc_zero((size_t)((plan->producers - first + step - 1) / step), sizeof *thread->producers);
    for (uint64_t number = first; number < plan->producers; number += step) {
        struct ek_bench_producer *producer = &thread->producers[thread->count];
        producer->thread = thread;
        producer->number = number;
        enum ek_outcome outcome = ek_connect(plan->cli, thread->count ? thread->producers[0].client : NULL, &producer->client);
        if (outcome)
            return outcome;
        thread->count++;
        outcome = ek_connect_await(plan->cli, producer->client);
        if (outcome) {
            (void)ek_fail_outcome(plan->cli, outcome, ek_client_error(producer->client));
            return outcome;
        }
        producer->slots = ek_alloc_zero((size_t)plan->pipeline, sizeof *producer->slots);
        producer->unused = ek_alloc_zero((size_t)plan->pipeline, sizeof(struct slot *));
        for (size_t i = 0; i < plan->pipeline; i++) {
            producer->slots[i].producer = producer;
            producer->unused[producer->unused_count++] = &producer->slots[i];
        }
    }
    return EK_OUTCOME_OK;
}

static void complete(void *context, const struct ek_completion *completions, size_t count)
{
    struct slot *slot = context;
    struct ek_bench_producer *producer = slot->producer;
    struct ek_bench_thread *thread = producer->thread;
    const struct ek_completion *completion = &completions[0];
    (void)count;
    if (thread->until_clock-- == 0) {
        thread->now_us = ek_clock_monotonic_us();
        thread->until_clock = CLOCK_EVERY - 1;
    }
    producer->unused[producer->unused_count++] = slot;
    thread->operations++;
    ek_histogram_add(&thread->latency, thread->now_us > slot->start_us ? thread->now_us - slot->start_us : 0);
    if (completion->outcome == EK_OUTCOME_OK) {
        thread->bytes += completion->reading.value_size;
    } else if (completion->outcome == EK_OUTCOME_NOT_FOUND) {
        thread->not_found++;
    } else if (thread->errors++ == 0) {
        ek_explain(thread->plan->cli, completion->outcome, completion->text, &thread->first_error);
    }
}

static uint64_t draw_key(struct ek_bench_producer *producer, const struct ek_bench_plan *plan)
{
    if (plan->loading)
        return producer->number + producer->submitted * plan->producers;
    if (plan->zipfian_keys)
        return ek_zipfian_scatter(&plan->zipfian, ek_zipfian_rank(&plan->zipfian, ek_random_unit(&producer->random)));
    return ek_random_below(&producer->random, plan->keys);
}

static enum ek_operation_kind draw_kind(struct ek_bench_producer *producer, const struct ek_bench_plan *plan)
{
    if (plan->loading)
        return EK_PUT;
    switch (plan->workload) {
    case EK_WORKLOAD_GET:
        return EK_GET;
    case EK_WORKLOAD_MIXED:
        return ek_random_next(&producer->random) >> 63 ? EK_GET : EK_PUT;
    case EK_WORKLOAD_INCR:
        return EK_INCREMENT;
    default:
        return EK_PUT;
    }
}

/* False when too many bytes are under way already: poll first. */
static bool submit(struct ek_bench_producer *producer, uint64_t start_us)
{
    struct ek_bench_thread *thread = producer->thread;
    const struct ek_bench_plan *plan = thread->plan;
    char key[EK_BENCH_KEY_BYTES];
    uint64_t random = producer->random; /* drawn again when it is submitted again */
    struct ek_request request = {.key = key, .key_size = sizeof key, .by = 1};
    request.kind = draw_kind(producer, plan);
    ek_bench_key(key, plan->workload == EK_WORKLOAD_INCR ? "cntr" : "user", draw_key(producer, plan));
    if (request.kind == EK_PUT && plan->workload == EK_WORKLOAD_INCR) {
        request.value = "0";
        request.value_size = 1;
    } else if (request.kind == EK_PUT) {
        request.value = plan->values + ek_random_below(&producer->random, EK_BENCH_BLOCK_BYTES);
        request.value_size = (size_t)plan->value_bytes;
    }
    struct slot *slot = producer->unused[producer->unused_count - 1];
    enum ek_outcome outcome = ek_submit(producer->client, &request, plan->timeout_ms, complete, slot);
    if (outcome == EK_OUTCOME_BUSY) {
        producer->random = random;
        return false;
    }
    producer->unused_count--;
    producer->submitted++;
    slot->start_us = start_us;
    thread->bytes += sizeof key + request.value_size;
    if (outcome)
        complete(slot, &(struct ek_completion){.outcome = outcome, .text = ""}, 1);
    return true;
}

static uint64_t intended_us(const struct ek_bench_producer *producer, const struct ek_bench_plan *plan)
{
    double turn = (double)(producer->submitted * plan->producers + producer->number);
    return plan->started_us + (uint64_t)(turn * 1e6 / (double)plan->rate);
}

/* Submits what may be submitted now; returns how many. */
static size_t submit_all(struct ek_bench_producer *producer)
{
    struct ek_bench_thread *thread = producer->thread;
    const struct ek_bench_plan *plan = thread->plan;
    size_t count = 0;
    while (producer->unused_count && producer->submitted < producer->wanted && count < POLL_EVERY) {
        if (count % CLOCK_EVERY == 0)
            thread->now_us = ek_clock_monotonic_us();
        if (plan->duration_us && !plan->loading && thread->now_us - plan->started_us >= plan->duration_us) {
            producer->wanted = producer->submitted;
            break;
        }
        uint64_t start_us = plan->rate && !plan->loading ? intended_us(producer, plan) : thread->now_us;
        if (start_us > thread->now_us || !submit(producer, start_us))
            break;
        count++;
    }
    return count;
}

static bool has_ended(const struct ek_bench_thread *thread)
{
    for (size_t i = 0; i < thread->count; i++)
        if (thread->producers[i].submitted < thread->producers[i].wanted ||
            thread->producers[i].unused_count < thread->plan->pipeline)
            return false;
    return true;
}

/* Nothing could be submitted and nothing had come: waits for the first of both, at `producer` where it can wait at one only. */
static void wait(struct ek_bench_thread *thread, struct ek_bench_producer *producer)
{
    const struct ek_bench_plan *plan = thread->plan;
    if (!plan->rate || plan->loading) {
        (void)ek_client_poll(producer->client, thread->count == 1 ? -1 : IDLE_MS);
        return;
    }
    bool may_submit = false;
    uint64_t next_us = thread->now_us + 1000 * IDLE_MS;
    for (size_t i = 0; i < thread->count; i++) {
        const struct ek_bench_producer *other = &thread->producers[i];
        if (other->submitted == other->wanted || other->unused_count == 0)
            continue;
        uint64_t due_us = intended_us(other, plan);
        may_submit = true;
        next_us = due_us < next_us ? due_us : next_us;
    }
    uint64_t now_us = ek_clock_monotonic_us();
    if (!may_submit || next_us >= now_us + 1000 * IDLE_MS) {
        (void)ek_client_poll(producer->client, IDLE_MS);
    } else if (next_us > now_us) {
        /* A millisecond is too coarse to keep to a rate. */
        uint64_t nap_us = next_us - now_us < NAP_US ? next_us - now_us : NAP_US;
        (void)nanosleep(&(struct timespec){.tv_nsec = (long)nap_us * 1000}, NULL);
    }
}

static void begin(struct ek_bench_thread *thread)
{
    const struct ek_bench_plan *plan = thread->plan;
    uint64_t total = plan->loading ? plan->keys : plan->count;
    thread->latency = (struct ek_histogram){0};
    thread->operations = thread->not_found = thread->bytes = 0;
    for (size_t i = 0; i < thread->count; i++) {
        struct ek_bench_producer *producer = &thread->producers[i];
        producer->random = ek_mix(plan->seed * 0x9e3779b97f4a7c15u + producer->number + 1);
        producer->submitted = 0;
        producer->wanted = total == UINT64_MAX ? total : total / plan->producers + (producer->number < total % plan->producers);
    }
}

void *ek_bench_thread_run(void *context)
{
    struct ek_bench_thread *thread = context;
    begin(thread);
    for (size_t turn = 0; !has_ended(thread); turn = turn + 1 < thread->count ? turn + 1 : 0) {
        size_t moved = 0;
        for (size_t i = 0; i < thread->count; i++) {
            moved += submit_all(&thread->producers[i]);
            thread->until_clock = 0;
            moved += ek_client_poll(thread->producers[i].client, 0);
        }
        if (moved == 0 && !has_ended(thread)) { /* with nothing under way nothing would come */
            thread->until_clock = 0;
            wait(thread, &thread->producers[turn]);
        }
        atomic_store_explicit(&thread->progress, thread->operations, memory_order_relaxed);
    }
    thread->ended_us = ek_clock_monotonic_us();
    atomic_store_explicit(&thread->finished, true, memory_order_release);
    return NULL;
}

uint64_t ek_bench_thread_busy_retries(const struct ek_bench_thread *thread)
{
    uint64_t retries = 0;
    for (size_t i = 0; i < thread->count; i++)
        retries += ek_client_busy_retries(thread->producers[i].client);
    return retries;
}

void ek_bench_thread_done(struct ek_bench_thread *thread)
{
    /* The first one's I/O thread serves the others: it goes last. */
    for (size_t i = thread->count; i-- > 0;) {
        ek_client_close(&thread->producers[i].client);
        free(thread->producers[i].slots);
        free(thread->producers[i].unused);
    }
    free(thread->producers);
    thread->producers = NULL;
    thread->count = 0;
}
