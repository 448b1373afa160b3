#include "broker/dispatch.h"

#include "broker/door.h"
#include "broker/poison.h"
#include "common/letters.h"

enum {
    QUANTUM_JOBS = 16,     /* of one shard before the next one's turn */
    OVERTAKE_JOBS_MAX = 64 /* how far behind a blocked write a read is looked for */
};

/* ---- queues and rings ---- */

static struct ek_worker *holder_of(struct ek_broker *broker, const struct ek_shard *shard)
{
    return shard->holder == EK_NOBODY ? NULL : &broker->workers[shard->holder];
}

static uint16_t *ready_at(struct ek_ready *ready, uint32_t place)
{
    return &ready->shards[(ready->first + place) % EK_SHARDS_MAX];
}

void ek_dispatch_make_ready(struct ek_broker *broker, struct ek_shard *shard)
{
    struct ek_worker *worker = holder_of(broker, shard);
    if (shard->ready || shard->held || shard->state != EK_SHARD_SERVING || shard->queue.count == 0 || !worker)
        return;
    shard->ready = true;
    *ready_at(&worker->ready, worker->ready.count++) = shard->number;
}

/* With many shards the jobs that wait have long left the cache, and so have the shards: both are asked for while others send. */
static void expect_ready(struct ek_broker *broker, struct ek_ready *ready)
{
    enum { SHARD_AHEAD = 6, JOB_AHEAD = 3 };
    if (SHARD_AHEAD < ready->count)
        ek_shard_expect(&broker->shards[*ready_at(ready, SHARD_AHEAD)]);
    if (JOB_AHEAD < ready->count)
        ek_job_expect_sent(broker->shards[*ready_at(ready, JOB_AHEAD)].queue.first);
}

static struct ek_shard *next_ready(struct ek_broker *broker, struct ek_worker *worker)
{
    struct ek_ready *ready = &worker->ready;
    struct ek_shard *shard = &broker->shards[*ready_at(ready, 0)];
    expect_ready(broker, ready);
    ready->first = (ready->first + 1) % EK_SHARDS_MAX;
    ready->count--;
    shard->ready = false;
    return shard;
}

void ek_dispatch_forget_ring(struct ek_broker *broker, struct ek_worker *worker)
{
    while (worker->ready.count)
        (void)next_ready(broker, worker);
}

static void leave_ring(struct ek_worker *worker, struct ek_shard *shard)
{
    struct ek_ready *ready = &worker->ready;
    if (!shard->ready)
        return;
    uint32_t left = 0;
    for (uint32_t i = 0; i < ready->count; i++)
        if (*ready_at(ready, i) != shard->number)
            *ready_at(ready, left++) = *ready_at(ready, i);
    ready->count = left;
    shard->ready = false;
}

void ek_dispatch_set_holder(struct ek_broker *broker, struct ek_shard *shard, int holder)
{
    struct ek_worker *former = holder_of(broker, shard);
    ek_poison_move_shard(broker, shard, shard->holder, holder);
    if (former) {
        leave_ring(former, shard);
        former->passing.reads -= shard->passing.reads;
        former->passing.writes -= shard->passing.writes;
        former->shards--;
    }
    shard->holder = holder;
    shard->load_known = false;
    if (holder != EK_NOBODY) {
        broker->workers[holder].passing.reads += shard->passing.reads;
        broker->workers[holder].passing.writes += shard->passing.writes;
        broker->workers[holder].shards++;
    }
}

static void count_one(struct ek_passing *passing, bool writes, bool more)
{
    *(writes ? &passing->writes : &passing->reads) += more ? 1u : (uint32_t)-1;
}

static void count_passing(struct ek_broker *broker, struct ek_shard *shard, const struct ek_broker_job *job, bool more)
{
    struct ek_worker *worker = holder_of(broker, shard);
    count_one(&shard->passing, ek_job_writes(job), more);
    if (worker)
        count_one(&worker->passing, ek_job_writes(job), more);
}

static void insert_behind(struct ek_shard *shard, struct ek_broker_job *place, struct ek_broker_job *job)
{
    if (place)
        ek_job_list_insert_after(&shard->queue, place, job);
    else
        ek_job_list_prepend(&shard->queue, job);
}

static bool waits_unsent(const struct ek_broker_job *job)
{
    return !job->in_flight && job->position == 0;
}

/* The cancellations of the numbers behind its own wait for it alone. */
static void draw_behind(struct ek_broker *broker, struct ek_shard *shard, struct ek_broker_job *job)
{
    for (uint32_t i = 0; i < EK_UNSETTLED_MAX; i++) {
        struct ek_broker_job *next = ek_job_by_number(&broker->jobs, job->producer, job->shard, job->number + 1);
        if (!next || next->kind != EK_JOB_CANCEL || !waits_unsent(next) || next->closed)
            return;
        ek_job_list_remove(&shard->queue, next);
        ek_job_list_insert_after(&shard->queue, job, next);
        job = next;
    }
}

/*
 * Its caller's time is over, so a cancellation waits for nothing but what its producer sent before it: it goes behind the job with
 * the number before its own, or first when that is not in the queue. One that says whose session has ended stands behind what that
 * session sent.
 */
static void insert_cancel(struct ek_broker *broker, struct ek_shard *shard, struct ek_broker_job *job)
{
    if (job->producer == 0 || job->closed) {
        ek_job_list_append(&shard->queue, job);
        return;
    }
    struct ek_broker_job *before = ek_job_by_number(&broker->jobs, job->producer, job->shard, job->number - 1);
    insert_behind(shard, before && waits_unsent(before) ? before : shard->last_positioned, job);
    draw_behind(broker, shard, job);
}

void ek_dispatch_enqueue(struct ek_broker *broker, struct ek_shard *shard, struct ek_broker_job *job)
{
    if (job->kind == EK_JOB_CANCEL)
        insert_cancel(broker, shard, job);
    else
        ek_job_list_append(&shard->queue, job);
    if (ek_job_passes(job))
        count_passing(broker, shard, job, true);
    if (job->deadline_us && (shard->sweep_us == 0 || job->deadline_us < shard->sweep_us))
        shard->sweep_us = job->deadline_us;
    ek_dispatch_make_ready(broker, shard);
}

static void leave_queue(struct ek_broker *broker, struct ek_shard *shard, struct ek_broker_job *job)
{
    if (job == shard->last_positioned)
        shard->last_positioned = job->prev;
    ek_job_list_remove(&shard->queue, job);
    if (ek_job_passes(job))
        count_passing(broker, shard, job, false);
}

void ek_dispatch_turn_into_cancel(struct ek_broker *broker, struct ek_broker_job *job, enum ek_wire_status cause)
{
    struct ek_shard *shard = &broker->shards[job->shard];
    if (!ek_job_passes(job))
        count_passing(broker, shard, job, true);
    ek_job_cancel(job, cause);
    broker->cancel_jobs++;
    if (job->closed)
        return;
    ek_job_list_remove(&shard->queue, job);
    insert_cancel(broker, shard, job);
}

void ek_dispatch_turn_into_dead(struct ek_broker *broker, struct ek_broker_job *job, const struct ek_dead *dead)
{
    struct ek_shard *shard = &broker->shards[job->shard];
    struct ek_buffer body = {0};
    ek_encode_dead(&body, dead);
    if (ek_job_passes(job))
        count_passing(broker, shard, job, false);
    bool is_last_positioned = job == shard->last_positioned;
    job = ek_job_rewrite(&broker->jobs, &shard->queue, job, ek_buffer_slice(&body));
    job->kind = EK_JOB_DEAD;
    if (is_last_positioned)
        shard->last_positioned = job;
    ek_buffer_done(&body);
}

void ek_dispatch_drop(struct ek_broker *broker, struct ek_shard *shard, struct ek_broker_job *job, enum ek_wire_status status,
                      const char *text)
{
    leave_queue(broker, shard, job);
    broker->ledger.queued--;
    *(status == EK_WIRE_DEAD ? &broker->ledger.dead : &broker->ledger.expired) += 1;
    ek_door_answer(broker, job->client->peer, job->client_job_id, status, 0, text);
    ek_dispatch_release(broker, shard, job);
}

void ek_dispatch_release(struct ek_broker *broker, struct ek_shard *shard, struct ek_broker_job *job)
{
    ek_poison_settled(broker, shard, job);
    ek_door_discharge(broker, shard, job);
    if (job->kind == EK_JOB_CANCEL)
        broker->cancel_jobs--;
    ek_job_free(&broker->jobs, job);
}

/* ---- in flight ---- */

static void count_in_flight(struct ek_broker *broker, struct ek_worker *worker, struct ek_broker_job *job, bool begins)
{
    uint32_t one = begins ? 1u : (uint32_t)-1;
    uint64_t bytes = begins ? job->charged_bytes : (uint64_t)0 - job->charged_bytes;
    job->in_flight = begins;
    broker->ledger.in_flight += begins ? 1 : (uint64_t)-1;
    if (job->kind == EK_JOB_CANCEL) {
        worker->in_flight_cancels += one;
    } else if (!ek_job_writes(job)) {
        worker->in_flight_reads += one;
    } else {
        worker->in_flight_jobs += one;
        worker->in_flight_bytes += bytes;
    }
    if (ek_job_writes(job) && job->producer == 0)
        job->client->thin_writes_in_flight += one;
}

void ek_dispatch_land(struct ek_broker *broker, struct ek_shard *shard, struct ek_broker_job *job)
{
    ek_job_list_remove(ek_job_writes(job) ? &shard->writes : &shard->reads, job);
    count_in_flight(broker, holder_of(broker, shard), job, false);
}

/* In front of the queue, or behind `place`. */
static void put_back(struct ek_broker *broker, struct ek_shard *shard, struct ek_broker_job *job, struct ek_broker_job *place)
{
    ek_dispatch_land(broker, shard, job);
    broker->ledger.queued++;
    insert_behind(shard, place, job);
    if (job->position && !shard->last_positioned)
        shard->last_positioned = job;
    if (ek_job_passes(job))
        count_passing(broker, shard, job, true);
}

void ek_dispatch_take_back(struct ek_broker *broker, struct ek_shard *shard)
{
    while (shard->writes.last)
        put_back(broker, shard, shard->writes.last, NULL);
    /* Reads may wait for a write, also for one that was taken back before and has not gone out again; and what is confirmed ends
     * before the first position that waits, so nothing else may stand in front of one. */
    while (shard->reads.last)
        put_back(broker, shard, shard->reads.last, shard->last_positioned);
}

void ek_dispatch_give_back(struct ek_broker *broker, struct ek_shard *shard, enum ek_wire_status status)
{
    for (struct ek_broker_job *job = shard->queue.first, *next; job; job = next) {
        next = job->next;
        if (job->position == 0)
            continue;
        leave_queue(broker, shard, job);
        broker->ledger.queued--;
        broker->ledger.given_back++;
        if (job->client != &broker->self)
            ek_door_answer(broker, job->client->peer, job->client_job_id, status, 0, NULL);
        ek_dispatch_release(broker, shard, job);
    }
}

uint64_t ek_dispatch_confirmed(const struct ek_shard *shard)
{
    if (shard->writes.first)
        return shard->writes.first->position - 1;
    /* Jobs that were taken back stand in front, with their positions. */
    const struct ek_broker_job *next = shard->queue.first;
    return next && next->position ? next->position - 1 : shard->given;
}

/*
 * The position that a read has to wait for. One with a number has none: that its client's write has reached its position does not
 * mean that the number was taken there, so the worker looks the number up. A thin client's writes are not numbered; waiting for
 * everything that is in flight is more than enough.
 */
static uint64_t awaited_position(const struct ek_shard *shard, const struct ek_broker_job *read)
{
    bool waits = read->producer == 0 && read->client->thin_writes_in_flight && shard->writes.last;
    return waits ? shard->given : 0;
}

static void send(struct ek_broker *broker, struct ek_worker *worker, struct ek_shard *shard, struct ek_broker_job *job,
                 uint64_t now_us)
{
    uint64_t confirmed = ek_dispatch_confirmed(shard);
    bool first_time = job->dispatched_us == 0;
    leave_queue(broker, shard, job);
    broker->ledger.queued--;
    if (ek_job_writes(job) && job->position == 0) {
        job->position = shard->given + 1;
        shard->given += job->count;
        shard->empty = false;
    }
    if (ek_job_writes(job))
        shard->wrote_us = now_us;
    if (job->stamp_unix_ms == 0 || !ek_job_writes(job)) /* a read that goes out again sees later rows, at a later time */
        job->stamp_unix_ms = ek_time_unix_ms(&broker->time, now_us);
    job->dispatched_us = now_us;
    if (first_time)
        ek_histogram_add(&broker->queue_wait, now_us - job->arrived_us);
    struct ek_action *action = ek_broker_act(broker, EK_ACTION_WORKER_JOB, worker->peer);
    action->link = (struct ek_link){.link = worker->link, .generation = broker->config.generation};
    action->job = ek_job_message(job);
    action->job.token = job->token;
    action->job.epoch = shard->epoch;
    action->job.confirmed = confirmed;
    if (!ek_job_writes(job))
        action->job.position = awaited_position(shard, job);
    ek_job_list_append(ek_job_writes(job) ? &shard->writes : &shard->reads, job);
    count_in_flight(broker, worker, job, true);
}

/* ---- expiry ---- */

static bool has_expired(const struct ek_broker_job *job, uint64_t now_us)
{
    return job->deadline_us && job->deadline_us <= now_us && job->position == 0 && job->kind != EK_JOB_CANCEL;
}

/* A numbered job stays, as its cancellation: only the worker can tell whether an earlier copy was applied. True when it left. */
static bool expire(struct ek_broker *broker, struct ek_shard *shard, struct ek_broker_job *job)
{
    if (ek_job_writes(job) && job->producer) {
        ek_dispatch_turn_into_cancel(broker, job, EK_WIRE_EXPIRED);
        return false;
    }
    ek_dispatch_drop(broker, shard, job, EK_WIRE_EXPIRED, NULL);
    return true;
}

static void sweep_shard(struct ek_broker *broker, struct ek_shard *shard, uint64_t now_us)
{
    shard->sweep_us = 0;
    for (struct ek_broker_job *job = shard->queue.first, *next; job; job = next) {
        next = job->next;
        while (next && next->kind == EK_JOB_CANCEL) /* they have no deadline, and may be drawn forward now */
            next = next->next;
        if (has_expired(job, now_us) && expire(broker, shard, job))
            continue;
        bool waits = job->deadline_us && job->position == 0 && job->kind != EK_JOB_CANCEL;
        if (waits && (shard->sweep_us == 0 || job->deadline_us < shard->sweep_us))
            shard->sweep_us = job->deadline_us;
    }
}

void ek_dispatch_sweep(struct ek_broker *broker, uint64_t now_us)
{
    for (uint32_t i = 0; i < broker->config.shards; i++) {
        struct ek_shard *shard = &broker->shards[i];
        if (shard->sweep_us && shard->sweep_us <= now_us)
            sweep_shard(broker, shard, now_us);
    }
}

/* ---- credit ---- */

/* A cancellation costs the storage next to nothing: it takes no other write's place. */
static bool has_cancel_credit(const struct ek_worker *worker)
{
    return worker->heartbeat.credit_jobs && worker->in_flight_cancels < EK_CREDIT_CANCELS_MAX;
}

static bool has_write_credit(const struct ek_worker *worker, const struct ek_broker_job *job)
{
    const struct ek_heartbeat *said = &worker->heartbeat;
    if (job->kind == EK_JOB_CANCEL)
        return has_cancel_credit(worker);
    if (worker->in_flight_jobs >= said->credit_jobs)
        return false;
    /* The disk is short: only what frees room, and what room was reserved for when it was sent first. */
    if (said->credit_bytes == 0)
        return (ek_job_passes(job) || job->position) && worker->in_flight_bytes < EK_ENVELOPE_BYTES_GOAL;
    return worker->in_flight_bytes == 0 || worker->in_flight_bytes + job->charged_bytes <= said->credit_bytes;
}

static bool has_credit(const struct ek_worker *worker, const struct ek_broker_job *job)
{
    if (!ek_poison_allows(worker))
        return false;
    return ek_job_writes(job) ? has_write_credit(worker, job) : worker->in_flight_reads < worker->heartbeat.credit_reads;
}

/* Whether one of these has credit while writes have none. Deletes and cancellations go before other writes only when those wait for
 * the storage; behind what waits for answers they have their turn soon. */
static bool may_pass(const struct ek_worker *worker, const struct ek_passing *passing)
{
    const struct ek_heartbeat *said = &worker->heartbeat;
    bool reads = passing->reads && worker->in_flight_reads < said->credit_reads;
    bool writes = passing->writes && said->credit_bytes == 0 && worker->in_flight_jobs < said->credit_jobs;
    return reads || writes;
}

static bool can_send_anything(const struct ek_worker *worker)
{
    if (worker->state != EK_WORKER_UP || !worker->has_credit || worker->ready.count == 0 || !ek_poison_allows(worker))
        return false;
    bool writes = worker->in_flight_jobs < worker->heartbeat.credit_jobs &&
                  (worker->in_flight_bytes == 0 || worker->in_flight_bytes < worker->heartbeat.credit_bytes);
    bool cancels = worker->passing.writes && has_cancel_credit(worker);
    return writes || cancels || may_pass(worker, &worker->passing);
}

/* Behind a write without credit, the first job of another client that has some. Nothing that needs a position overtakes one that
 * has its own. Bounded; NULL when there is none. */
static struct ek_broker_job *find_overtaker(const struct ek_worker *worker, const struct ek_shard *shard)
{
    const struct ek_broker_client *waiting[OVERTAKE_JOBS_MAX];
    size_t waiting_count = 0;
    if (!may_pass(worker, &shard->passing))
        return NULL;
    bool only_reads = shard->queue.first->position != 0;
    for (struct ek_broker_job *job = shard->queue.first; job && waiting_count < OVERTAKE_JOBS_MAX; job = job->next) {
        bool behind_own = false;
        for (size_t i = 0; i < waiting_count && !behind_own; i++)
            behind_own = waiting[i] == job->client;
        bool passes = job->position == 0 && ek_job_passes(job) && !(only_reads && ek_job_writes(job));
        if (!behind_own && passes && has_credit(worker, job))
            return job;
        waiting[waiting_count++] = job->client;
    }
    return NULL;
}

/* Up to a quantum of the shard's jobs; returns how many. */
static size_t send_some(struct ek_broker *broker, struct ek_worker *worker, struct ek_shard *shard, uint64_t now_us)
{
    size_t sent = 0;
    while (sent < QUANTUM_JOBS && shard->queue.first) {
        struct ek_broker_job *job = shard->queue.first;
        if (job->next)
            ek_job_expect_sent(job->next->next);
        if (has_expired(job, now_us) && expire(broker, shard, job))
            continue;
        if (!has_credit(worker, job))
            job = find_overtaker(worker, shard);
        if (!job)
            break;
        send(broker, worker, shard, job, now_us);
        sent++;
    }
    return sent;
}

static size_t send_round(struct ek_broker *broker, struct ek_worker *worker, size_t most, bool suspects_only, uint64_t now_us)
{
    size_t sent = 0;
    uint32_t fruitless = 0; /* shards in a row that could send nothing */
    while (sent < most && fruitless < worker->ready.count && can_send_anything(worker)) {
        struct ek_shard *shard = next_ready(broker, worker);
        bool waits = shard->held || (suspects_only && shard->suspects == 0);
        size_t now_sent = waits ? 0 : send_some(broker, worker, shard, now_us);
        ek_dispatch_make_ready(broker, shard);
        fruitless = now_sent ? 0 : fruitless + 1;
        sent += now_sent;
    }
    return sent;
}

static size_t dispatch_to(struct ek_broker *broker, struct ek_worker *worker, size_t most, uint64_t now_us)
{
    if (!ek_poison_searches(worker))
        return send_round(broker, worker, most, false, now_us);
    size_t sent = send_round(broker, worker, most, true, now_us);
    /* Suspects that cannot go, for want of credit, keep nobody else waiting. */
    if (sent == 0 && worker->in_flight_jobs == 0 && worker->in_flight_cancels == 0 && worker->in_flight_reads == 0)
        sent = send_round(broker, worker, most, false, now_us);
    return sent;
}

void ek_dispatch_run(struct ek_broker *broker, uint64_t now_us)
{
    broker->more = false;
    if (broker->stopping)
        return;
    for (size_t i = 0; i < broker->worker_count; i++)
        if (dispatch_to(broker, &broker->workers[i], EK_DISPATCH_JOBS_MAX, now_us) >= EK_DISPATCH_JOBS_MAX)
            broker->more = true;
}
