#include "broker/poison.h"

#include "broker/dispatch.h"
#include "common/letters.h"
#include "common/operations.h"

static int index_of(const struct ek_broker *broker, const struct ek_worker *worker)
{
    return (int)(worker - broker->workers);
}

static uint32_t in_flight(const struct ek_worker *worker)
{
    return worker->in_flight_jobs + worker->in_flight_cancels + worker->in_flight_reads;
}

/* ---- links ---- */

static void mark(struct ek_job_list *list, uint64_t link)
{
    for (struct ek_broker_job *job = list->first; job; job = job->next)
        job->ended_link = link;
}

void ek_poison_link_ends(struct ek_broker *broker, struct ek_worker *worker)
{
    struct ek_watch *watch = &worker->watch;
    if (worker->state != EK_WORKER_UP)
        return; /* nothing was sent; what the link before left open is still open */
    watch->link = worker->link;
    watch->jobs = in_flight(worker);
    watch->counts = watch->probed;
    for (uint32_t i = 0; watch->jobs && i < broker->config.shards; i++)
        if (broker->shards[i].holder == index_of(broker, worker)) {
            mark(&broker->shards[i].writes, worker->link);
            mark(&broker->shards[i].reads, worker->link);
        }
}

void ek_poison_excuse(struct ek_worker *worker)
{
    worker->watch.link = 0;
}

void ek_poison_probe(struct ek_broker *broker, const struct ek_worker *worker)
{
    struct ek_action *action = ek_broker_act(broker, EK_ACTION_WORKER_JOB, worker->peer);
    action->link = (struct ek_link){.link = worker->link, .generation = broker->config.generation};
    action->job = (struct ek_worker_job){.token = EK_PROBE_TOKEN, .kind = EK_JOB_PROBE};
}

void ek_poison_probe_answered(struct ek_worker *worker)
{
    worker->watch.probed = true;
}

/* ---- the bound ---- */

bool ek_poison_allows(const struct ek_worker *worker)
{
    return worker->watch.bound == 0 || in_flight(worker) < worker->watch.bound;
}

bool ek_poison_searches(const struct ek_worker *worker)
{
    return worker->watch.bound != 0;
}

static void lift_when_done(struct ek_broker *broker, struct ek_worker *worker)
{
    if (worker->watch.suspects || worker->watch.bound == 0)
        return;
    worker->watch.bound = 0;
    ek_broker_clear_alarm(broker, "worker_died", index_of(broker, worker), EK_NOBODY);
}

static void suspect(struct ek_worker *worker, struct ek_shard *shard, struct ek_broker_job *job)
{
    if (job->suspect)
        return;
    job->suspect = true;
    shard->suspects++;
    worker->watch.suspects++;
}

static void clear(struct ek_broker *broker, struct ek_shard *shard, struct ek_broker_job *job)
{
    if (!job->suspect)
        return;
    job->suspect = false;
    shard->suspects--;
    if (shard->holder == EK_NOBODY)
        return;
    struct ek_worker *worker = &broker->workers[shard->holder];
    worker->watch.suspects--;
    lift_when_done(broker, worker);
}

void ek_poison_settled(struct ek_broker *broker, struct ek_shard *shard, struct ek_broker_job *job)
{
    clear(broker, shard, job);
}

void ek_poison_forget_shard(struct ek_broker *broker, struct ek_shard *shard)
{
    struct ek_job_list *lists[] = {&shard->queue, &shard->writes, &shard->reads};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (struct ek_broker_job *job = lists[i]->first; job && shard->suspects; job = job->next)
            clear(broker, shard, job);
}

void ek_poison_move_shard(struct ek_broker *broker, const struct ek_shard *shard, int from, int to)
{
    if (from != EK_NOBODY) {
        broker->workers[from].watch.suspects -= shard->suspects;
        lift_when_done(broker, &broker->workers[from]);
    }
    if (to != EK_NOBODY)
        broker->workers[to].watch.suspects += shard->suspects;
}

/* ---- deaths ---- */

static void set_aside_write(struct ek_broker *broker, struct ek_broker_job *job, const char *cause, uint64_t now_us)
{
    struct ek_dead dead = {.cause = ek_slice_text(cause),
                           .time_unix_ms = ek_time_unix_ms(&broker->time, now_us),
                           .kind = job->kind,
                           .operations = job->count,
                           .job = ek_slice_of(job->body, job->body_bytes)};
    if (job->kind == EK_JOB_DEAD) { /* even keeping it kills: it is given up */
        if (ek_decode_dead(dead.job, &dead) != EK_OK)
            return;
        dead.job = ek_slice_of(NULL, 0);
    }
    ek_dispatch_turn_into_dead(broker, job, &dead);
}

/* A cancellation touches no row: whatever kills with it is not the job, and goes on being tried. */
static void set_aside(struct ek_broker *broker, const struct ek_worker *worker, struct ek_broker_job *job, uint64_t now_us)
{
    char cause[EK_TEXT_BYTES_MAX];
    job->deaths = 0;
    if (job->kind == EK_JOB_CANCEL)
        return;
    (void)snprintf(cause, sizeof cause, "worker %.100s died %u times with this job alone in flight", worker->name,
                   EK_POISON_DEATHS);
    ek_broker_say(broker, EK_ACTION_ALARM, "poison: a %s on shard %u at position %llu is set aside: %s",
                  ek_job_writes(job) ? "job" : "read", job->shard, (unsigned long long)job->position, cause);
    if (ek_job_writes(job))
        set_aside_write(broker, job, cause, now_us);
    else
        ek_dispatch_drop(broker, &broker->shards[job->shard], job, EK_WIRE_DEAD, cause);
}

static void tell(struct ek_broker *broker, const struct ek_worker *worker)
{
    char text[EK_TEXT_BYTES_MAX];
    (void)snprintf(text, sizeof text, "worker %.64s died with %u jobs in flight; until these are answered it gets %u at a time",
                   worker->name, worker->watch.jobs, worker->watch.bound);
    ek_broker_alarm(broker, "worker_died", index_of(broker, worker), EK_NOBODY, text);
}

/* What was in flight stands in front of its queue since the link ended; among it what was sent only before, and cancellations that
 * came since. */
static bool may_have_been_in_flight(const struct ek_broker_job *job)
{
    return job->dispatched_us || job->kind == EK_JOB_CANCEL;
}

static struct ek_broker_job *suspect_all(struct ek_broker *broker, struct ek_worker *worker)
{
    struct ek_broker_job *last = NULL;
    for (uint32_t i = 0; i < broker->config.shards; i++) {
        struct ek_shard *shard = &broker->shards[i];
        if (shard->holder != index_of(broker, worker) || shard->state == EK_SHARD_QUARANTINED)
            continue;
        for (struct ek_broker_job *job = shard->queue.first; job && may_have_been_in_flight(job); job = job->next) {
            if (job->ended_link != worker->watch.link)
                continue;
            suspect(worker, shard, job);
            last = job;
        }
    }
    return last;
}

void ek_poison_hello(struct ek_broker *broker, struct ek_worker *worker, uint64_t incarnation, uint64_t now_us)
{
    struct ek_watch *watch = &worker->watch;
    watch->probed = false;
    if (watch->link == 0 || incarnation <= worker->incarnation)
        return; /* nobody has died, or the same process is back */
    struct ek_broker_job *last = suspect_all(broker, worker);
    watch->link = 0;
    if (!last)
        return;
    watch->bound = watch->jobs > 1 ? watch->jobs / 2 : 1;
    tell(broker, worker);
    bool guilty = watch->jobs == 1 && watch->counts && ++last->deaths >= EK_POISON_DEATHS;
    if (guilty)
        set_aside(broker, worker, last, now_us);
}

/* ---- what became of it ---- */

/* A replay that killed is no new letter. */
static bool would_be_kept(const struct ek_broker_job *job)
{
    struct ek_dead dead;
    struct ek_operation first;
    uint32_t count;
    if (ek_decode_dead(ek_slice_of(job->body, job->body_bytes), &dead) != EK_OK || !dead.job.data)
        return false;
    struct ek_reader body = ek_reader_of(dead.job);
    return ek_decode_operation_count(&body, &count) == EK_OK && ek_decode_operation(&body, &first) == EK_OK &&
           !ek_operation_names_letter(first.code);
}

void ek_poison_note_verdict(struct ek_broker *broker, struct ek_worker *worker, const struct ek_broker_job *job,
                            enum ek_wire_status status)
{
    if (job->kind != EK_JOB_DEAD)
        return;
    if (status == EK_WIRE_DEAD)
        ek_broker_say(broker, EK_ACTION_NOTICE, "worker %.64s keeps dead letter %u-%llu", worker->name, job->shard,
                      (unsigned long long)job->position);
    if (status != EK_WIRE_FAILED || !would_be_kept(job))
        return;
    char text[EK_TEXT_BYTES_MAX];
    (void)snprintf(text, sizeof text,
                   "shard %u keeps no more dead letters: the job at position %llu ended failed; replay or drop some", job->shard,
                   (unsigned long long)job->position);
    ek_broker_alarm(broker, "dead_letters_full", index_of(broker, worker), job->shard, text);
}

void ek_poison_note_kept(struct ek_broker *broker, struct ek_worker *worker, uint64_t kept_before)
{
    for (uint32_t i = 0; worker->heartbeat.dead_kept < kept_before && i < broker->config.shards; i++)
        ek_broker_clear_alarm(broker, "dead_letters_full", index_of(broker, worker), (int)i);
}
