#include "broker/settle.h"

#include "broker/dispatch.h"
#include "broker/links.h"
#include "broker/moves.h"
#include "broker/poison.h"

static void count_verdict(struct ek_broker *broker, const struct ek_worker_reply *reply)
{
    struct ek_ledger *ledger = &broker->ledger;
    if (reply->repeated)
        ledger->duplicate++;
    switch (reply->status) {
    case EK_WIRE_OK:
    case EK_WIRE_NOT_FOUND:
    case EK_WIRE_CONDITION_FAILED:
        ledger->done++;
        break;
    case EK_WIRE_EXPIRED:
        ledger->expired++;
        break;
    case EK_WIRE_DEAD:
        ledger->dead++;
        break;
    case EK_WIRE_GAP:
    case EK_WIRE_FORGOTTEN:
        ledger->given_back++;
        break;
    default:
        ledger->failed++;
    }
}

static void count_work(struct ek_broker *broker, struct ek_worker *worker, const struct ek_broker_job *job, uint64_t now_us)
{
    ek_histogram_add(&broker->end_to_end, now_us - job->arrived_us);
    if (ek_job_writes(job)) {
        worker->writes += job->count;
        worker->write_bytes += job->body_bytes;
        broker->writes += job->count;
    } else {
        worker->reads += job->count;
        broker->reads += job->count;
    }
}

/*
 * A library that is told FORGOTTEN sends again, as something new, what it knows to have sent once. But a connection that took the
 * place of another one without a HELLO in between may have brought what the other one had brought already: there nobody can say.
 */
static enum ek_wire_status told(const struct ek_broker_job *job, enum ek_wire_status status)
{
    return status == EK_WIRE_FORGOTTEN && ek_job_writes(job) && job->unannounced ? EK_WIRE_UNKNOWN : status;
}

static void settle(struct ek_broker *broker, struct ek_worker *worker, struct ek_broker_job *job,
                   const struct ek_worker_reply *reply, uint64_t now_us)
{
    struct ek_shard *shard = &broker->shards[job->shard];
    count_verdict(broker, reply);
    ek_poison_note_verdict(broker, worker, job, reply->status);
    if (job->client != &broker->self) {
        count_work(broker, worker, job, now_us);
        struct ek_action *action = ek_broker_act(broker, EK_ACTION_REPLY, job->client->peer);
        action->reply = (struct ek_reply){
            .id = job->client_job_id, .status = told(job, reply->status), .position = reply->position, .body = reply->body};
    }
    ek_moves_answered(broker, shard, job, reply);
    ek_dispatch_land(broker, shard, job);
    ek_dispatch_release(broker, shard, job);
    uint64_t confirmed = ek_dispatch_confirmed(shard);
    if (confirmed > shard->floor) {
        shard->floor = confirmed;
        shard->floor_changed = true;
    }
    ek_moves_settled(broker, shard);
}

static bool shows_disagreement(enum ek_wire_status status)
{
    return status == EK_WIRE_STALE || status == EK_WIRE_OUT_OF_ORDER;
}

/* A job was sent long ago, as processors see it, and thousands after it: nothing of it is in a cache. */
static void look_ahead(const struct ek_broker *broker, const struct ek_worker_reply *replies, size_t i, size_t count)
{
    enum { TOKEN_AHEAD = 24, JOB_AHEAD = 16, FREE_AHEAD = 8 };
    if (i + TOKEN_AHEAD < count)
        ek_job_expect_token(&broker->jobs, replies[i + TOKEN_AHEAD].token);
    if (i + JOB_AHEAD < count)
        ek_job_expect(&broker->jobs, replies[i + JOB_AHEAD].token);
    if (i + FREE_AHEAD < count) {
        uint32_t shard = ek_job_expect_free(&broker->jobs, replies[i + FREE_AHEAD].token);
        ek_shard_expect(shard < broker->config.shards ? &broker->shards[shard] : NULL);
    }
}

void ek_settle_replies(struct ek_broker *broker, struct ek_worker *worker, const struct ek_worker_reply *replies, size_t count,
                       uint64_t now_us)
{
    int index = (int)(worker - broker->workers);
    for (size_t i = 0; i < count; i++) {
        look_ahead(broker, replies, i, count);
        if (replies[i].token == EK_PROBE_TOKEN) {
            if (replies[i].status == EK_WIRE_OK)
                ek_poison_probe_answered(worker);
            continue;
        }
        struct ek_broker_job *job = ek_job_by_token(&broker->jobs, replies[i].token);
        if (!job || !job->in_flight || broker->shards[job->shard].holder != index)
            continue; /* answered already, or a token that was never given */
        if (shows_disagreement(replies[i].status)) {
            ek_broker_say(broker, EK_ACTION_NOTICE, "%s refused a job of shard %u as %s: beginning the link again", worker->name,
                          job->shard, ek_wire_status_name(replies[i].status));
            ek_links_end(broker, worker, "refused a job");
            return;
        }
        settle(broker, worker, job, &replies[i], now_us);
    }
}
