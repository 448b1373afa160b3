#include "client/cli/bench.h"

#include "client/cli/connect.h"
#include "client/cli/output.h"
#include "common/clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CLOCK_EVERY = 16, POLL_EVERY = 256, TURN_PASSES = 2, IDLE_MS = 1, NAP_US = 50 };

/* An operation under way. */
struct slot {
    struct ek_bench_producer *producer;
    uint64_t start_us; /* with a rate: when it was meant to start */
    uint64_t key;
    bool modifies; /* a get, behind which a put of the same key belongs to the operation */
};

struct drawn {
    bool known;
    bool modifies;
    enum ek_operation_kind kind;
    uint64_t key;
    const uint8_t *value; /* of a put; NULL: a counter's */
};

struct ek_bench_producer {
    struct ek_bench_thread *thread;
    struct ek_client *client;
    uint64_t number; /* among all producers */
    uint64_t random;
    struct drawn next;
    uint64_t submitted, wanted;
    struct slot *slots;
    struct slot **unused; /* a stack */
    size_t unused_count;
    struct slot **read; /* a stack: got, and still to be put */
    size_t read_count;
};

/* How many of `first`, `first` + `step`, ... are below `all`. */
static size_t share_of(uint64_t all, uint64_t first, uint64_t step)
{
    return first < all ? (size_t)((all - first + step - 1) / step) : 0;
}

static enum ek_outcome open_connections(struct ek_bench_thread *thread, size_t count)
{
    thread->connections = ek_alloc_zero(count, sizeof(struct ek_connection *));
    for (; thread->connection_count < count; thread->connection_count++) {
        enum ek_outcome outcome =
            ek_connect_for_several(thread->plan->cli, thread->connections[0], &thread->connections[thread->connection_count]);
        if (outcome)
            return outcome;
    }
    return EK_OUTCOME_OK;
}

static enum ek_outcome open_producer(struct ek_bench_thread *thread, uint64_t number)
{
    const struct ek_bench_plan *plan = thread->plan;
    struct ek_bench_producer *producer = &thread->producers[thread->count];
    enum ek_outcome outcome =
        ek_connect(plan->cli, thread->connections[thread->count % thread->connection_count], &producer->client);
    if (outcome)
        return outcome;
    thread->count++;
    outcome = ek_connect_await(plan->cli, producer->client);
    if (outcome) {
        (void)ek_fail_outcome(plan->cli, outcome, ek_client_error(producer->client));
        return outcome;
    }
    producer->thread = thread;
    producer->number = number;
    producer->slots = ek_alloc_zero((size_t)plan->pipeline, sizeof *producer->slots);
    producer->unused = ek_alloc_zero((size_t)plan->pipeline, sizeof(struct slot *));
    producer->read = ek_alloc_zero((size_t)plan->pipeline, sizeof(struct slot *));
    for (size_t i = 0; i < plan->pipeline; i++) {
        producer->slots[i].producer = producer;
        producer->unused[producer->unused_count++] = &producer->slots[i];
    }
    return EK_OUTCOME_OK;
}

enum ek_outcome ek_bench_thread_init(struct ek_bench_thread *thread, const struct ek_bench_plan *plan, uint64_t first,
                                     uint64_t step)
{
    thread->plan = plan;
    thread->producers = ek_alloc_zero(share_of(plan->producers, first, step), sizeof *thread->producers);
    enum ek_outcome outcome = open_connections(thread, share_of(plan->connections, first, step));
    for (uint64_t number = first; !outcome && number < plan->producers; number += step)
        outcome = open_producer(thread, number);
    return outcome;
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
    if (slot->modifies && (completion->outcome == EK_OUTCOME_OK || completion->outcome == EK_OUTCOME_NOT_FOUND)) {
        slot->modifies = false;
        producer->read[producer->read_count++] = slot;
        thread->bytes += completion->reading.value_size;
        thread->not_found += completion->outcome == EK_OUTCOME_NOT_FOUND;
        return;
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
        return ek_zipfian_key(&plan->zipfian, plan->keys, ek_random_unit(&producer->random));
    return ek_random_below(&producer->random, plan->keys);
}

static bool has_counters(const struct ek_bench_plan *plan)
{
    return plan->workload->rest == EK_BENCH_INCREMENT;
}

/* Operations that are all of one kind draw nothing. */
static bool draw_get(struct ek_bench_producer *producer, const struct ek_workload *workload)
{
    return workload->gets > 0 && (workload->gets >= 1 || ek_random_unit(&producer->random) < workload->gets);
}

static const uint8_t *draw_value(struct ek_bench_producer *producer)
{
    const struct ek_bench_plan *plan = producer->thread->plan;
    const uint8_t *value = plan->values + ek_random_below(&producer->random, EK_BENCH_BLOCK_BYTES);
    /* It is seldom in the cache, and will be copied soon. */
    __builtin_prefetch(value);
    __builtin_prefetch(value + plan->value_bytes);
    return value;
}

/* What the producer does next, unless that is known already. */
static void draw(struct ek_bench_producer *producer)
{
    const struct ek_bench_plan *plan = producer->thread->plan;
    struct drawn *next = &producer->next;
    if (next->known)
        return;
    bool gets = !plan->loading && draw_get(producer, plan->workload);
    bool modifies = !plan->loading && !gets && plan->workload->rest == EK_BENCH_MODIFY;
    bool increments = !plan->loading && has_counters(plan);
    *next = (struct drawn){.known = true, .key = draw_key(producer, plan), .modifies = modifies};
    next->kind = gets || modifies ? EK_GET : increments ? EK_INCREMENT : EK_PUT;
    if (next->kind == EK_PUT && !has_counters(plan))
        next->value = draw_value(producer);
}

static enum ek_outcome submit(struct ek_bench_producer *producer, struct slot *slot, enum ek_operation_kind kind,
                              const uint8_t *value)
{
    struct ek_bench_thread *thread = producer->thread;
    const struct ek_bench_plan *plan = thread->plan;
    char key[EK_BENCH_KEY_BYTES];
    struct ek_request request = {.kind = kind, .key = key, .key_size = sizeof key, .by = 1};
    if (kind == EK_PUT) {
        request.value = value ? (const void *)value : "0";
        request.value_size = value ? (size_t)plan->value_bytes : 1;
    }
    ek_bench_key(key, has_counters(plan) ? "cntr" : "user", slot->key);
    enum ek_outcome outcome = ek_submit(producer->client, &request, plan->timeout_ms, complete, slot);
    if (outcome != EK_OUTCOME_BUSY)
        thread->bytes += sizeof key + request.value_size;
    if (outcome != EK_OUTCOME_BUSY && outcome != EK_OUTCOME_OK)
        complete(slot, &(struct ek_completion){.outcome = outcome, .text = ""}, 1);
    return outcome;
}

/* False when too many bytes are under way already: poll first. */
static bool submit_next(struct ek_bench_producer *producer, uint64_t start_us)
{
    struct slot *slot = producer->unused[producer->unused_count - 1];
    struct drawn *next = &producer->next;
    draw(producer);
    slot->key = next->key;
    slot->modifies = next->modifies;
    slot->start_us = start_us;
    producer->unused_count--;
    if (submit(producer, slot, next->kind, next->value) == EK_OUTCOME_BUSY) {
        producer->unused_count++;
        return false;
    }
    next->known = false;
    producer->submitted++;
    return true;
}

/* Puts what was got for that; returns how many. */
static size_t submit_puts(struct ek_bench_producer *producer)
{
    size_t count = 0;
    for (; producer->read_count; count++) {
        struct slot *slot = producer->read[producer->read_count - 1];
        uint64_t random = producer->random;
        if (submit(producer, slot, EK_PUT, draw_value(producer)) == EK_OUTCOME_BUSY) {
            producer->random = random;
            break;
        }
        producer->read_count--;
    }
    return count;
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
    size_t count = submit_puts(producer);
    while (producer->unused_count && producer->submitted < producer->wanted && count < POLL_EVERY) {
        if (count % CLOCK_EVERY == 0)
            thread->now_us = ek_clock_monotonic_us();
        if (plan->duration_us && !plan->loading && thread->now_us - plan->started_us >= plan->duration_us) {
            producer->wanted = producer->submitted;
            break;
        }
        uint64_t start_us = plan->rate && !plan->loading ? intended_us(producer, plan) : thread->now_us;
        if (start_us > thread->now_us || !submit_next(producer, start_us))
            break;
        count++;
    }
    return count;
}

static size_t submit_and_flush(struct ek_bench_producer *producer)
{
    size_t count = submit_all(producer);
    if (count)
        ek_client_flush(producer->client);
    if (producer->thread->count == 1)
        draw(producer); /* while what was sent is under way: that is no part of what an operation takes */
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

/* Nothing could be submitted and nothing had come: waits for the first of both. */
static void wait(struct ek_bench_thread *thread)
{
    const struct ek_bench_plan *plan = thread->plan;
    if (!plan->rate || plan->loading) {
        ek_connection_wait(thread->connections, thread->connection_count, -1);
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
        ek_connection_wait(thread->connections, thread->connection_count, IDLE_MS);
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
        producer->next.known = false;
        producer->submitted = 0;
        producer->wanted = total == UINT64_MAX ? total : total / plan->producers + (producer->number < total % plan->producers);
    }
}

/* What answers set free is submitted and sent in the same turn. True when this connection has nothing more to do until something
 * comes. */
static bool take_turn(struct ek_bench_thread *thread, size_t connection)
{
    for (int i = 0; i < TURN_PASSES; i++) {
        bool has_more = false;
        for (size_t k = connection; k < thread->count; k += thread->connection_count)
            has_more = submit_and_flush(&thread->producers[k]) == POLL_EVERY || has_more;
        thread->until_clock = 0;
        if (ek_connection_poll(thread->connections[connection], 0) == 0 && !has_more)
            return true;
    }
    return false;
}

void *ek_bench_thread_run(void *context)
{
    struct ek_bench_thread *thread = context;
    begin(thread);
    while (!has_ended(thread)) {
        bool rests = true;
        for (size_t i = 0; i < thread->connection_count; i++)
            rests = take_turn(thread, i) && rests;
        if (rests && !has_ended(thread)) { /* with nothing under way nothing would come */
            thread->until_clock = 0;
            wait(thread);
        } else if (thread->connection_count > 1) /* one look at all of them finds those that are not worth a look of their own */
            ek_connection_wait(thread->connections, thread->connection_count, 0);
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
    for (size_t i = 0; i < thread->count; i++) {
        ek_client_close(&thread->producers[i].client);
        free(thread->producers[i].slots);
        free(thread->producers[i].unused);
        free(thread->producers[i].read);
    }
    /* The first one's I/O thread serves the others: it goes last. */
    for (size_t i = thread->connection_count; i-- > 0;)
        ek_connection_close(&thread->connections[i]);
    free(thread->producers);
    free(thread->connections);
    thread->producers = NULL;
    thread->count = 0;
}
