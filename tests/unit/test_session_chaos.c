/*
 * One session against a model of broker and worker that loses connections, restarts, refuses, forgets and is slow, by seed; a
 * checker then holds what was applied against what the callbacks said. A failure names its seed.
 */
#include "client/session.h"
#include "common/codec.h"
#include "common/operations.h"
#include "tests/support/run_suite.h"
#include "tests/support/session_rig.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHARDS = 4,
    KEYS = 8,
    OPERATIONS = 3000,
    PENDING_MAX = 300,
    SEEDS = 60,
    STEPS_MAX = 200000,
    REMEMBERED = 128,
    PRODUCERS = 64
};

/* One submission and what became of it. */
struct deed {
    bool read;
    int key;
    int ended;
    enum ek_outcome outcome;
    int applied;     /* how often */
    int last_before; /* read: the last put of its key submitted before it, -1 = none */
    int seen;        /* read: the put it returned, -1 = none */
};

/* A job at the broker. */
struct entry {
    struct ek_job job; /* owns its body */
    uint64_t connection;
    uint64_t expires_us;
    bool cancelled;
};

struct queue {
    struct entry *entries;
    size_t count;
    size_t capacity;
};

/* What a worker remembers of a producer on a shard. */
struct memory {
    uint64_t producer;
    uint64_t last;
    struct {
        uint64_t number;
        enum ek_wire_status status;
        uint64_t position;
    } replies[REMEMBERED];
};

static struct world {
    uint64_t seed;
    uint64_t random;
    struct ek_rig rig;
    bool down;
    bool calm; /* no more faults */
    struct deed deeds[OPERATIONS];
    int submitted;
    struct queue uplink;
    struct queue queues[SHARDS];
    struct ek_envelope downlink;
    struct {
        uint64_t producer;
        uint64_t number; /* has to come again, 0 = none */
    } refused[SHARDS];
    struct memory memories[SHARDS][PRODUCERS];
    uint64_t floors[SHARDS];
    uint64_t positions[SHARDS];
    int latest[KEYS]; /* the put that is stored, -1 = none */
} world;

#define FAIL_UNLESS(condition) ck_assert_msg(condition, "%s (seed %" PRIu64 ")", #condition, world.seed)

static uint64_t draw(uint64_t below)
{
    world.random = world.random * 6364136223846793005ull + 1442695040888963407ull;
    return (world.random >> 33) % below;
}

static bool chance(uint64_t percent)
{
    return !world.calm && draw(100) < percent;
}

static void push(struct queue *queue, struct entry entry)
{
    queue->entries = ek_grow(queue->entries, &queue->capacity, queue->count + 1, sizeof entry);
    queue->entries[queue->count++] = entry;
}

static struct entry pop(struct queue *queue)
{
    struct entry first = queue->entries[0];
    memmove(queue->entries, queue->entries + 1, --queue->count * sizeof first);
    return first;
}

static void drop(struct entry entry)
{
    free((void *)(uintptr_t)entry.job.body.data);
}

static void empty(struct queue *queue)
{
    while (queue->count)
        drop(pop(queue));
}

/* ---- worker ---- */

static struct memory *memory_of(unsigned shard, uint64_t producer, bool create)
{
    struct memory *unused = NULL;
    for (int i = 0; i < PRODUCERS; i++) {
        struct memory *memory = &world.memories[shard][i];
        if (memory->producer == producer)
            return memory;
        if (memory->producer == 0 && !unused)
            unused = memory;
    }
    if (!create || producer <= world.floors[shard])
        return NULL;
    FAIL_UNLESS(unused);
    *unused = (struct memory){.producer = producer};
    return unused;
}

static void apply(const struct ek_job *job)
{
    for (uint32_t i = 0; i < job->count; i++) {
        struct ek_operation operation = ek_rig_operation(job, i);
        char text[16];
        (void)snprintf(text, sizeof text, "%.*s", (int)operation.value.size, (const char *)operation.value.data);
        int deed = atoi(text);
        int key = world.deeds[deed].key;
        world.deeds[deed].applied++;
        /* One client's writes take effect in the order of their submission. */
        FAIL_UNLESS(world.latest[key] < deed);
        world.latest[key] = deed;
    }
}

static struct ek_reply judge_write(const struct entry *entry)
{
    const struct ek_route *route = &entry->job.route;
    struct ek_reply reply = {.id = entry->job.id, .status = EK_WIRE_FORGOTTEN};
    struct memory *memory = memory_of(route->shard, route->producer, true);
    if (!memory)
        return reply;
    if (route->number <= memory->last) {
        FAIL_UNLESS(memory->replies[route->number % REMEMBERED].number == route->number);
        reply.status = memory->replies[route->number % REMEMBERED].status;
        reply.position = memory->replies[route->number % REMEMBERED].position;
        return reply;
    }
    if (route->number > memory->last + 1) {
        reply.status = EK_WIRE_GAP;
        reply.position = memory->last + 1;
        return reply;
    }
    bool cancel = entry->cancelled || entry->job.kind == EK_JOB_CANCEL;
    reply.status = cancel ? EK_WIRE_EXPIRED : EK_WIRE_OK;
    reply.position = world.positions[route->shard] + 1;
    world.positions[route->shard] += entry->job.count;
    if (!cancel)
        apply(&entry->job);
    memory->last = route->number;
    memory->replies[route->number % REMEMBERED].number = route->number;
    memory->replies[route->number % REMEMBERED].status = reply.status;
    memory->replies[route->number % REMEMBERED].position = reply.position;
    return reply;
}

static struct ek_reply judge_read(const struct entry *entry, struct ek_buffer *body)
{
    const struct ek_route *route = &entry->job.route;
    struct ek_reply reply = {.id = entry->job.id};
    if (entry->cancelled) {
        reply.status = EK_WIRE_EXPIRED;
        return reply;
    }
    struct memory *memory = route->number ? memory_of(route->shard, route->producer, false) : NULL;
    if (route->number && (!memory || memory->last < route->number)) {
        reply.status = !memory && route->producer <= world.floors[route->shard] ? EK_WIRE_FORGOTTEN : EK_WIRE_GAP;
        reply.position = memory ? memory->last + 1 : 1;
        return reply;
    }
    *ek_buffer_reserve(body, 3) = 0xdc;
    ek_put_u16(body->data + 1, (uint16_t)entry->job.count);
    ek_buffer_advance(body, 3);
    for (uint32_t i = 0; i < entry->job.count; i++) {
        struct ek_operation get = ek_rig_operation(&entry->job, i);
        int latest = world.latest[get.key.data[2] - '0'];
        char text[16];
        (void)snprintf(text, sizeof text, "%d", latest);
        if (latest < 0)
            ek_encode_status(body, EK_WIRE_NOT_FOUND, NULL);
        else if (entry->job.count > 1 && chance(3))
            ek_encode_status(body, EK_WIRE_ALONE, NULL);
        else
            ek_encode_get(body, &(struct ek_entry){.value = ek_slice_text(text), .version = 1});
    }
    reply.body = ek_buffer_slice(body);
    return reply;
}

static void work(unsigned shard)
{
    struct queue *queue = &world.queues[shard];
    if (queue->count == 0)
        return;
    struct entry entry = pop(queue);
    if (entry.expires_us && entry.expires_us <= world.rig.now_us)
        entry.cancelled = true;
    struct ek_buffer body = {0};
    struct ek_reply reply = entry.job.kind == EK_JOB_READ ? judge_read(&entry, &body) : judge_write(&entry);
    if (entry.connection == world.rig.welcome.connection)
        ek_encode_reply(&world.downlink, &reply);
    ek_buffer_done(&body);
    drop(entry);
}

/* ---- broker ---- */

static struct entry *find_copy(const struct ek_job *job)
{
    struct queue *queue = &world.queues[job->route.shard];
    for (size_t i = 0; i < queue->count; i++) {
        const struct ek_route *route = &queue->entries[i].job.route;
        if (queue->entries[i].job.kind != EK_JOB_READ && route->producer == job->route.producer &&
            route->number == job->route.number)
            return &queue->entries[i];
    }
    return NULL;
}

static void admit(struct entry entry)
{
    const struct ek_job *job = &entry.job;
    struct ek_reply busy = {.id = job->id, .status = EK_WIRE_BUSY, .retry_ms = (uint32_t)draw(20)};
    uint64_t producer = world.refused[job->route.shard].producer;
    uint64_t *refused = &world.refused[job->route.shard].number;
    bool read = job->kind == EK_JOB_READ;
    if (job->route.producer == producer && job->route.lowest > *refused)
        *refused = 0;
    bool behind = !read && *refused && job->route.producer == producer && job->route.number > *refused && !chance(3);
    if (behind || (job->kind != EK_JOB_CANCEL && chance(5))) {
        if (!read && !behind) {
            world.refused[job->route.shard].producer = job->route.producer;
            *refused = job->route.number;
        }
        ek_encode_reply(&world.downlink, &busy);
        drop(entry);
        return;
    }
    if (!read && job->route.producer == producer && job->route.number == *refused)
        *refused = 0;
    struct entry *copy = job->route.repeated ? find_copy(job) : NULL;
    if (copy) {
        copy->connection = entry.connection;
        copy->job.id = job->id;
        drop(entry);
        return;
    }
    entry.expires_us = job->deadline_ms ? world.rig.now_us + (uint64_t)job->deadline_ms * 1000 : 0;
    push(&world.queues[job->route.shard], entry);
}

/* What the session sent goes on its way. */
static void collect(void)
{
    for (size_t i = 0; i < world.rig.job_count; i++)
        push(&world.uplink, (struct entry){.job = world.rig.jobs[i].job});
    world.rig.job_count = 0;
}

static void deliver_replies(void)
{
    if (world.downlink.count == 0)
        return;
    struct ek_owned message = ek_envelope_seal(&world.downlink, EK_MESSAGE_REPLIES, NULL);
    ek_rig_deliver(&world.rig, message.message);
    free(message.memory);
}

static void lose_connection(void)
{
    world.rig.welcome.connection++;
    ek_envelope_done(&world.downlink);
    /* What waits in the pipe may reach the next connection. */
    if (draw(2))
        empty(&world.uplink);
}

static void restart_broker(void)
{
    lose_connection();
    world.rig.welcome.generation++;
    for (int i = 0; i < SHARDS; i++) {
        empty(&world.queues[i]);
        world.refused[i].number = 0;
    }
}

static void forget_producers(unsigned shard)
{
    memset(world.memories[shard], 0, sizeof world.memories[shard]);
    world.floors[shard] = world.rig.next_producer - 1;
}

/* ---- client ---- */

static void note(void *context, const struct ek_completion *completions, size_t count)
{
    struct deed *deed = context;
    FAIL_UNLESS(count == 1);
    deed->ended++;
    deed->outcome = completions->outcome;
    deed->seen = -1;
    if (deed->read && completions->outcome == EK_OUTCOME_OK) {
        char text[16];
        (void)snprintf(text, sizeof text, "%.*s", (int)completions->reading.value_size, (const char *)completions->reading.value);
        deed->seen = atoi(text);
    }
}

static void submit_one(void)
{
    static const uint32_t timeouts_ms[] = {UINT32_MAX, 200, 2000};
    struct deed *deed = &world.deeds[world.submitted];
    *deed = (struct deed){.key = (int)draw(KEYS), .read = draw(10) < 3, .last_before = -1};
    for (int i = world.submitted - 1; i >= 0 && deed->last_before < 0; i--)
        if (!world.deeds[i].read && world.deeds[i].key == deed->key)
            deed->last_before = i;
    char key[8];
    char value[16];
    (void)snprintf(key, sizeof key, "{k%d}", deed->key);
    (void)snprintf(value, sizeof value, "%d", world.submitted);
    struct ek_request request = {.kind = deed->read ? EK_GET : EK_PUT, .key = key, .key_size = strlen(key)};
    request.value = deed->read ? NULL : value;
    request.value_size = deed->read ? 0 : strlen(value);
    FAIL_UNLESS(ek_session_submit(world.rig.session, &request, timeouts_ms[draw(3)], note, deed, world.rig.now_us) ==
                EK_OUTCOME_OK);
    world.submitted++;
}

static void step(void)
{
    while (world.submitted < OPERATIONS && ek_session_pending(world.rig.session) < PENDING_MAX && draw(8))
        submit_one();
    ek_rig_turn(&world.rig);
    collect();
    if (chance(1))
        world.down = !world.down;
    if (world.calm)
        world.down = false;
    world.rig.deaf = world.down;
    for (uint64_t n = draw(20); n && world.uplink.count && !world.down; n--) {
        struct entry entry = pop(&world.uplink);
        entry.connection = world.rig.welcome.connection;
        admit(entry);
    }
    for (uint64_t n = draw(20); n && !world.down; n--)
        work((unsigned)draw(SHARDS));
    if (chance(1))
        lose_connection();
    if (!world.calm && draw(300) == 0)
        restart_broker();
    if (!world.calm && draw(300) == 0)
        forget_producers((unsigned)draw(SHARDS));
    if (draw(3) && !world.down)
        deliver_replies();
    ek_rig_advance(&world.rig, draw(10) ? draw(20000) : draw(1000000));
    collect();
}

/* ---- checker ---- */

static void check_read(const struct deed *read)
{
    FAIL_UNLESS(read->outcome != EK_OUTCOME_FAILED);
    if (read->outcome != EK_OUTCOME_OK && read->outcome != EK_OUTCOME_NOT_FOUND)
        return;
    /* Whatever was submitted before and is not in what it saw has never been applied. */
    for (int i = read->seen + 1; i <= read->last_before; i++)
        FAIL_UNLESS(world.deeds[i].read || world.deeds[i].key != read->key || world.deeds[i].applied == 0);
}

static int check(void)
{
    int done = 0;
    for (int i = 0; i < OPERATIONS; i++) {
        const struct deed *deed = &world.deeds[i];
        FAIL_UNLESS(deed->ended == 1);
        done += deed->outcome == EK_OUTCOME_OK;
        if (deed->read)
            check_read(deed);
        else if (deed->outcome == EK_OUTCOME_OK)
            FAIL_UNLESS(deed->applied == 1);
        else if (deed->outcome == EK_OUTCOME_UNKNOWN)
            FAIL_UNLESS(deed->applied <= 1);
        else
            FAIL_UNLESS(deed->applied == 0);
    }
    return done;
}

START_TEST(nothing_is_lost_doubled_or_reordered)
{
    memset(&world, 0, sizeof world);
    world.seed = (uint64_t)_i + 1;
    world.random = world.seed;
    ek_rig_init(&world.rig, &(struct ek_session_options){.seed = world.seed});
    world.rig.welcome.shards = SHARDS;
    for (int i = 0; i < KEYS; i++)
        world.latest[i] = -1;
    int steps = 0;
    while (world.submitted < OPERATIONS || ek_session_due_us(world.rig.session) != UINT64_MAX) {
        world.calm = world.submitted == OPERATIONS;
        step();
        FAIL_UNLESS(++steps < STEPS_MAX);
    }
    FAIL_UNLESS(ek_session_pending(world.rig.session) == 0);
    int done = check();
    FAIL_UNLESS(done > OPERATIONS / 10);
    struct ek_session_counters counters = ek_session_counters(world.rig.session);
    FAIL_UNLESS(counters.unreadable == 0);
    FAIL_UNLESS(counters.resent_jobs > 0 && counters.busy_jobs > 0);
    ek_rig_done(&world.rig);
    empty(&world.uplink);
    free(world.uplink.entries);
    for (int i = 0; i < SHARDS; i++) {
        empty(&world.queues[i]);
        free(world.queues[i].entries);
    }
    ek_envelope_done(&world.downlink);
}
END_TEST

static Suite *suite(void)
{
    Suite *result = suite_create("session chaos");
    TCase *chaos = tcase_create("chaos");
    tcase_set_timeout(chaos, 60);
    tcase_add_loop_test(chaos, nothing_is_lost_doubled_or_reordered, 0, SEEDS);
    suite_add_tcase(result, chaos);
    return result;
}

int main(void)
{
    return ek_run_suite(suite());
}
