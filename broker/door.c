#include "broker/door.h"

#include "broker/clients.h"
#include "broker/dispatch.h"
#include "common/hash.h"
#include "common/operations.h"

enum {
    RETRY_FULL_MS = 20,  /* a queue that workers are emptying */
    RETRY_AWAY_MS = 250, /* a queue whose worker is away */
    RETRY_STOPPING_MS = 1000,
    CANCELS_IN_FRONT_MAX = 8,
    DEADLINE_PART = 4 /* of which a queue may take up as much as its first job has waited */
};

/*
 * Time in the upper bits; behind it a counter keeps ids of one millisecond apart. It begins at a random number, because a broker on
 * an old copy of its directory may be given times once more, and welcomes clients before a worker tells it that it is old.
 */
uint64_t ek_door_next_producer(struct ek_broker *broker, uint64_t now_us)
{
    uint64_t first = broker->config.random >> (32 - (EK_PRODUCER_COUNTER_BITS - 1)); /* half of them are left to count */
    uint64_t stamped = (ek_time_unix_ms(&broker->time, now_us) << EK_PRODUCER_COUNTER_BITS) + first;
    broker->last_producer = stamped > broker->last_producer ? stamped : broker->last_producer + 1;
    return broker->last_producer;
}

void ek_door_hello(struct ek_broker *broker, ek_broker_peer peer, const struct ek_hello *hello, uint64_t now_us)
{
    struct ek_broker_client *client = ek_clients_hear(broker, peer, now_us);
    if (!client)
        return; /* the library asks again, and by then somebody may have gone */
    memcpy(client->name, hello->name, sizeof client->name);
    client->announced = true;
    broker->welcome = (struct ek_welcome){
        .id = hello->id,
        .cluster = broker->config.cluster,
        .generation = broker->config.generation,
        .connection = client->connection,
        .shards = broker->config.shards,
        .producer = hello->wants_producer ? ek_door_next_producer(broker, now_us) : 0,
        .now_unix_ms = ek_time_unix_ms(&broker->time, now_us),
    };
    (void)snprintf(broker->welcome.stats_endpoint, sizeof broker->welcome.stats_endpoint, "%s", broker->config.stats_endpoint);
    ek_broker_act(broker, EK_ACTION_WELCOME, peer)->welcome = &broker->welcome;
}

/* The texts of one step's refusals lie behind each other in `scratch`, whose room was reserved beforehand, so that slices stay
 * valid. */
static struct ek_slice refusal_body(struct ek_broker *broker, enum ek_wire_status status, const char *text)
{
    size_t start = broker->scratch.size;
    ek_encode_refused(&broker->scratch, 0, status, text);
    return ek_slice_of(broker->scratch.data + start, broker->scratch.size - start);
}

void ek_door_answer(struct ek_broker *broker, ek_broker_peer peer, uint64_t id, enum ek_wire_status status, uint32_t retry_ms,
                    const char *text)
{
    struct ek_action *action = ek_broker_act(broker, EK_ACTION_REPLY, peer);
    action->reply = (struct ek_reply){.id = id, .status = status, .retry_ms = retry_ms};
    if (text)
        action->reply.body = refusal_body(broker, status, text);
}

static void refuse(struct ek_broker *broker, ek_broker_peer peer, uint64_t id, enum ek_wire_status status, const char *text)
{
    broker->ledger.refused++;
    ek_door_answer(broker, peer, id, status, 0, text);
}

/* ---- BUSY ---- */

static struct ek_busy_note *note_of(struct ek_broker *broker, const struct ek_route *route)
{
    return &broker->busy_notes[ek_mix(route->producer * 31 + route->shard) % EK_BUSY_NOTES];
}

static bool note_is_for(const struct ek_busy_note *note, const struct ek_route *route)
{
    return note->producer == route->producer && note->shard == route->shard;
}

static void write_note(struct ek_broker *broker, const struct ek_route *route)
{
    struct ek_busy_note *note = note_of(broker, route);
    if (note_is_for(note, route) && route->number >= note->number)
        return;
    broker->busy_note_count += note->producer == 0;
    *note = (struct ek_busy_note){route->producer, route->number, route->shard};
}

static void drop_note(struct ek_broker *broker, const struct ek_route *route)
{
    if (broker->busy_note_count == 0) /* most often; the notes are more than a cache holds */
        return;
    struct ek_busy_note *note = note_of(broker, route);
    if (!note_is_for(note, route))
        return;
    *note = (struct ek_busy_note){0};
    broker->busy_note_count--;
}

static bool is_numbered_write(const struct ek_job *job)
{
    return job->kind != EK_JOB_READ && job->route.producer != 0;
}

static void answer_busy(struct ek_broker *broker, ek_broker_peer peer, const struct ek_job *job, const struct ek_shard *shard)
{
    if (is_numbered_write(job))
        write_note(broker, &job->route);
    uint32_t retry_ms = broker->stopping ? RETRY_STOPPING_MS : shard->state == EK_SHARD_SERVING ? RETRY_FULL_MS : RETRY_AWAY_MS;
    broker->ledger.refused++;
    ek_door_answer(broker, peer, job->id, EK_WIRE_BUSY, retry_ms, NULL);
}

/* A limit that always has room for one job of the largest size. */
static bool over(uint64_t used, uint64_t more, uint64_t limit)
{
    uint64_t largest = ek_job_charge(EK_JOB_BODY_BYTES_MAX);
    return used + more > (limit > largest ? limit : largest);
}

static bool has_room(const struct ek_broker *broker, const struct ek_broker_client *client, const struct ek_shard *shard,
                     uint64_t more)
{
    uint64_t total = broker->config.queue_bytes_max;
    if (over(broker->bytes, more, total) || over(client->bytes, more, total / 2) || over(shard->bytes, more, total / 4))
        return false;
    if (shard->state == EK_SHARD_SERVING)
        return true;
    return !over(broker->away_bytes, more, total / 2) && !over(client->away_bytes, more, total / 4);
}

/* An earlier number of this producer was refused here and has not come again; one below `lowest` has its answer by now. */
static bool waits_for_refused(struct ek_broker *broker, const struct ek_job *job)
{
    if (broker->busy_note_count == 0)
        return false;
    const struct ek_busy_note *note = note_of(broker, &job->route);
    return note_is_for(note, &job->route) && job->route.number > note->number && note->number >= job->route.lowest;
}

/*
 * The shard's first job has waited so long that this one's deadline would pass in the queue, or nearly. Let in it would only end as
 * a cancellation, which the worker has to take as well: a queue of those keeps jobs waiting that could still be carried out.
 * What waited for a worker that was away says nothing of how fast it works, so that time does not count. Reads that expire are
 * dropped for nothing, and while the disk is short deletes do not wait behind what is queued.
 */
static bool would_expire(const struct ek_broker *broker, const struct ek_job *job, const struct ek_shard *shard, uint64_t now_us)
{
    if (!job->deadline_ms || job->kind == EK_JOB_READ || shard->state != EK_SHARD_SERVING)
        return false;
    const struct ek_broker_job *first = shard->queue.first;
    for (int i = 0; i < CANCELS_IN_FRONT_MAX && first && first->kind == EK_JOB_CANCEL; i++) /* they went before what was here */
        first = first->next;
    if (!first)
        return false;
    if (job->kind == EK_JOB_DELETE && broker->workers[shard->holder].heartbeat.credit_bytes == 0)
        return false;
    uint64_t since_us = first->arrived_us > shard->served_us ? first->arrived_us : shard->served_us;
    return now_us - since_us > (uint64_t)job->deadline_ms * 1000 / DEADLINE_PART;
}

static bool is_admitted(struct ek_broker *broker, const struct ek_broker_client *client, const struct ek_job *job,
                        const struct ek_shard *shard, uint64_t now_us)
{
    if (broker->stopping || (is_numbered_write(job) && waits_for_refused(broker, job)))
        return false;
    if (job->kind == EK_JOB_CANCEL && broker->cancel_jobs < EK_CANCEL_JOBS_MAX)
        return true;
    return has_room(broker, client, shard, ek_job_charge(job->body.size)) && !would_expire(broker, job, shard, now_us);
}

/* ---- into the queue ---- */

void ek_door_charge(struct ek_broker *broker, struct ek_shard *shard, struct ek_broker_job *job)
{
    uint64_t bytes = job->charged_bytes;
    broker->bytes += bytes;
    shard->bytes += bytes;
    job->client->bytes += bytes;
    job->client->jobs++;
    if (shard->state != EK_SHARD_SERVING) {
        broker->away_bytes += bytes;
        job->client->away_bytes += bytes;
    }
}

void ek_door_discharge(struct ek_broker *broker, struct ek_shard *shard, struct ek_broker_job *job)
{
    uint64_t bytes = job->charged_bytes;
    broker->bytes -= bytes;
    shard->bytes -= bytes;
    job->client->bytes -= bytes;
    job->client->jobs--;
    if (shard->state != EK_SHARD_SERVING) {
        broker->away_bytes -= bytes;
        job->client->away_bytes -= bytes;
    }
}

/* The repetition of a job that is still here: the newest connection gets its answer. */
static bool joins_earlier_copy(struct ek_broker *broker, struct ek_broker_client *client, const struct ek_job *job)
{
    struct ek_broker_job *here = ek_job_by_number(&broker->jobs, job->route.producer, job->route.shard, job->route.number);
    if (!here)
        return false;
    struct ek_shard *shard = &broker->shards[here->shard];
    ek_door_discharge(broker, shard, here);
    here->client = client;
    here->client_job_id = job->id;
    ek_door_charge(broker, shard, here);
    if (job->kind == EK_JOB_CANCEL && here->kind != EK_JOB_CANCEL && here->position == 0) {
        enum ek_wire_status cause;
        if (ek_decode_cause(job->body, &cause) == EK_OK)
            ek_dispatch_turn_into_cancel(broker, here, cause);
    }
    broker->ledger.duplicate++;
    return true;
}

void ek_door_enqueue(struct ek_broker *broker, struct ek_broker_client *client, struct ek_shard *shard,
                     const struct ek_job *message, uint64_t now_us)
{
    struct ek_broker_job *job = ek_job_new(&broker->jobs, message);
    job->client = client;
    job->unannounced = !client->announced;
    job->shard = shard->number;
    job->arrived_us = now_us;
    job->deadline_us = message->deadline_ms ? now_us + (uint64_t)message->deadline_ms * 1000 : 0;
    if (is_numbered_write(message))
        ek_job_index(&broker->jobs, job);
    if (job->kind == EK_JOB_CANCEL)
        broker->cancel_jobs++;
    /* Now, not at dispatch: what the session had sent before it ended stands before the mark. */
    if (ek_job_writes(job))
        job->closed = ek_closed_take(&shard->closed);
    shard->arrived += job->count;
    broker->ledger.accepted++;
    broker->ledger.queued++;
    ek_door_charge(broker, shard, job);
    ek_dispatch_enqueue(broker, shard, job);
}

/* The shard by the first operation of a thin client's job, or the one that the library names. EK_NOBODY after an answer. */
static int route(struct ek_broker *broker, ek_broker_peer peer, const struct ek_job *job)
{
    if (job->route.present) {
        if (job->route.shard < broker->config.shards)
            return job->route.shard;
        refuse(broker, peer, job->id, EK_WIRE_USAGE, "there is no such shard");
        return EK_NOBODY;
    }
    struct ek_reader body = ek_reader_of(job->body);
    struct ek_operation first;
    uint32_t count;
    enum ek_status status = ek_decode_operation_count(&body, &count);
    if (status == EK_OK)
        status = ek_decode_operation(&body, &first);
    if (status == EK_TOO_LARGE)
        refuse(broker, peer, job->id, EK_WIRE_TOO_LARGE, "a key has at most 4096 bytes, a value at most 16 MiB");
    else if (status != EK_OK)
        refuse(broker, peer, job->id, EK_WIRE_USAGE, "the body's first operation cannot be read");
    return status == EK_OK ? ek_shard_of(ek_operation_prefix(&first), broker->config.shards) : EK_NOBODY;
}

/* Also, that it is no larger than a cause: cancellations are let in beyond the limits. */
static bool can_cancel(const struct ek_job *job)
{
    enum ek_wire_status cause;
    return ek_decode_cause(job->body, &cause) == EK_OK && cause != EK_WIRE_OK;
}

static void let_in(struct ek_broker *broker, struct ek_broker_client *client, const struct ek_job *job, uint64_t now_us)
{
    int shard_number = route(broker, client->peer, job);
    if (shard_number == EK_NOBODY)
        return;
    if (job->kind == EK_JOB_CANCEL && !can_cancel(job)) {
        refuse(broker, client->peer, job->id, EK_WIRE_USAGE, "the cause of this cancellation cannot be read");
        return;
    }
    struct ek_shard *shard = &broker->shards[shard_number];
    if (is_numbered_write(job) && job->route.repeated && joins_earlier_copy(broker, client, job))
        return;
    if (!is_admitted(broker, client, job, shard, now_us)) {
        answer_busy(broker, client->peer, job, shard);
        return;
    }
    if (is_numbered_write(job))
        drop_note(broker, &job->route);
    ek_door_enqueue(broker, client, shard, job, now_us);
}

void ek_door_close(struct ek_broker *broker, const struct ek_closed *closed, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (closed[i].shard < broker->config.shards && closed[i].producer)
            ek_closed_add(&broker->shards[closed[i].shard].closed, closed[i].producer);
}

/* With many shards none of what the next jobs need is in a cache. */
static void look_ahead(const struct ek_broker *broker, const struct ek_job *jobs, size_t i, size_t count)
{
    enum { AHEAD = 8 };
    if (i + AHEAD >= count)
        return;
    const struct ek_job *job = &jobs[i + AHEAD];
    if (job->route.present && job->route.shard < broker->config.shards)
        ek_shard_expect(&broker->shards[job->route.shard]);
    if (is_numbered_write(job))
        ek_job_expect_number(&broker->jobs, job->route.producer, job->route.shard, job->route.number);
}

void ek_door_jobs(struct ek_broker *broker, ek_broker_peer peer, const struct ek_job *jobs, size_t count, uint64_t now_us)
{
    enum { REFUSAL_BYTES_MAX = 96 };
    struct ek_broker_client *client = ek_clients_hear(broker, peer, now_us);
    (void)ek_buffer_reserve(&broker->scratch, count * REFUSAL_BYTES_MAX);
    for (size_t i = 0; i < count; i++) {
        look_ahead(broker, jobs, i, count);
        if (client)
            let_in(broker, client, &jobs[i], now_us);
        else {
            broker->ledger.refused++;
            ek_door_answer(broker, peer, jobs[i].id, EK_WIRE_BUSY, RETRY_STOPPING_MS, NULL);
        }
    }
}
