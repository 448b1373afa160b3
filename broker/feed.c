#include "broker/feed.h"

#include "broker/dispatch.h"

enum { WINDOW_BYTES = 1024 * 1024, SHARE_OF_QUEUE = 2 };

void ek_feed_free(struct ek_broker *broker, struct ek_move *move, uint64_t up_to)
{
    while (move->first && move->first->fed.job.position <= up_to) {
        struct ek_feed_entry *entry = move->first;
        if (entry == move->unsent)
            move->unsent = entry->next;
        else
            move->sent_bytes -= entry->bytes;
        move->first = entry->next;
        move->feed_bytes -= entry->bytes;
        broker->feed_bytes -= entry->bytes;
        entry->next = broker->feed_over; /* an action of this step may point to it */
        broker->feed_over = entry;
    }
    if (!move->first)
        move->end = &move->first;
}

static struct ek_feed_entry *entry_of(const struct ek_move *move, const struct ek_broker_job *job,
                                      const struct ek_worker_reply *reply, uint64_t confirmed)
{
    size_t bodies = job->body_bytes + reply->body.size;
    struct ek_feed_entry *entry = ek_alloc(sizeof *entry + bodies);
    *entry = (struct ek_feed_entry){.bytes = sizeof *entry + bodies};
    memcpy(entry->bodies, job->body, job->body_bytes);
    if (reply->body.size)
        memcpy(entry->bodies + job->body_bytes, reply->body.data, reply->body.size);
    entry->fed.job = ek_job_message(job);
    entry->fed.job.token = move->attempt;
    entry->fed.job.confirmed = confirmed;
    entry->fed.job.body = ek_slice_of(entry->bodies, job->body_bytes);
    entry->fed.reply = *reply;
    entry->fed.reply.token = move->attempt;
    entry->fed.reply.body =
        reply->body.data ? ek_slice_of(entry->bodies + job->body_bytes, reply->body.size) : ek_slice_of(NULL, 0);
    return entry;
}

void ek_feed_add(struct ek_broker *broker, struct ek_move *move, const struct ek_broker_job *job,
                 const struct ek_worker_reply *reply)
{
    struct ek_feed_entry *entry = entry_of(move, job, reply, ek_dispatch_confirmed(&broker->shards[move->shard]));
    *move->end = entry;
    move->end = &entry->next;
    if (!move->unsent)
        move->unsent = entry;
    move->feed_bytes += entry->bytes;
    broker->feed_bytes += entry->bytes;
}

void ek_feed_send(struct ek_broker *broker, struct ek_move *move)
{
    const struct ek_worker *target = &broker->workers[move->target];
    while (move->unsent && move->sent_bytes < WINDOW_BYTES) {
        struct ek_action *action = ek_broker_act(broker, EK_ACTION_WORKER_FEED, target->peer);
        action->link = (struct ek_link){.link = target->link, .generation = broker->config.generation};
        action->fed = &move->unsent->fed;
        move->sent_bytes += move->unsent->bytes;
        move->unsent = move->unsent->next;
    }
}

static struct ek_move *largest(const struct ek_broker *broker)
{
    struct ek_move *found = NULL;
    for (struct ek_move *move = broker->moves; move; move = move->next)
        if (!found || move->feed_bytes > found->feed_bytes)
            found = move;
    return found;
}

struct ek_move *ek_feed_beyond_limit(const struct ek_broker *broker, struct ek_move *fed)
{
    if (fed->feed_bytes > EK_FEED_BYTES_MAX)
        return fed;
    return broker->feed_bytes > broker->config.queue_bytes_max / SHARE_OF_QUEUE ? largest(broker) : NULL;
}
