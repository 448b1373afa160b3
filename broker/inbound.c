#include "broker/inbound.h"

#include <stdlib.h>

struct ek_inbound {
    struct ek_hello hello;
    struct ek_query query;
    struct ek_admin admin;
    struct ek_worker_hello worker_hello;
    struct ek_heartbeat heartbeat;
    struct ek_move_report moved;
    struct ek_check_report checked;
    struct ek_checked checked_shards[EK_SHARDS_MAX];
    struct ek_job jobs[EK_ENVELOPE_JOBS_MAX];
    struct ek_closed closed[EK_SHARDS_MAX];
    struct ek_worker_reply replies[EK_ENVELOPE_JOBS_MAX];
    struct ek_holding holdings[EK_SHARDS_MAX];
    struct ek_shard_load loads[EK_SHARDS_MAX];
};

struct ek_inbound *ek_inbound_new(void)
{
    return ek_alloc_zero(1, sizeof(struct ek_inbound));
}

void ek_inbound_destroy(struct ek_inbound **inbound)
{
    free(*inbound);
    *inbound = NULL;
}

static enum ek_status read_jobs(struct ek_inbound *inbound, struct ek_reader *fields, struct ek_event *event)
{
    uint32_t count;
    enum ek_status status = ek_decode_count(fields, EK_ENVELOPE_JOBS_MAX, &count);
    if (status != EK_OK)
        return status;
    for (uint32_t i = 0; i < count && status == EK_OK; i++)
        status = ek_decode_job(fields, &inbound->jobs[i]);
    event->type = EK_EVENT_CLIENT_JOBS;
    event->jobs = inbound->jobs;
    event->count = count;
    return status == EK_OK ? ek_decode_end(fields) : status;
}

static enum ek_status read_close(struct ek_inbound *inbound, struct ek_reader *fields, struct ek_event *event)
{
    uint32_t count;
    enum ek_status status = ek_decode_count(fields, EK_SHARDS_MAX, &count);
    if (status != EK_OK)
        return status;
    for (uint32_t i = 0; i < count && status == EK_OK; i++)
        status = ek_decode_closed(fields, &inbound->closed[i]);
    event->type = EK_EVENT_CLIENT_CLOSE;
    event->closed = inbound->closed;
    event->count = count;
    return status == EK_OK ? ek_decode_end(fields) : status;
}

enum ek_status ek_inbound_client(struct ek_inbound *inbound, struct ek_slice message, struct ek_event *ret_event,
                                 const struct ek_query **ret_query)
{
    struct ek_reader fields;
    enum ek_message_type type;
    enum ek_status status = ek_decode_type(message, &type, &fields);
    *ret_query = NULL;
    if (status != EK_OK)
        return status;
    switch (type) {
    case EK_MESSAGE_JOBS:
        return read_jobs(inbound, &fields, ret_event);
    case EK_MESSAGE_HELLO:
        ret_event->type = EK_EVENT_CLIENT_HELLO;
        ret_event->hello = &inbound->hello;
        return ek_decode_hello(&fields, &inbound->hello);
    case EK_MESSAGE_ADMIN:
        ret_event->type = EK_EVENT_CLIENT_ADMIN;
        ret_event->admin = &inbound->admin;
        return ek_decode_admin(&fields, &inbound->admin);
    case EK_MESSAGE_CLOSE:
        return read_close(inbound, &fields, ret_event);
    case EK_MESSAGE_QUERY:
        *ret_query = &inbound->query;
        return ek_decode_query(&fields, &inbound->query);
    default:
        return EK_MALFORMED;
    }
}

static enum ek_status read_holdings(struct ek_inbound *inbound, struct ek_reader *fields, struct ek_event *event)
{
    uint32_t count;
    enum ek_status status = ek_decode_count(fields, EK_SHARDS_MAX, &count);
    if (status != EK_OK)
        return status;
    for (uint32_t i = 0; i < count && status == EK_OK; i++)
        status = ek_decode_holding(fields, &inbound->holdings[i]);
    event->holdings = inbound->holdings;
    event->count = count;
    return status == EK_OK ? ek_decode_end(fields) : status;
}

static enum ek_status read_replies(struct ek_inbound *inbound, struct ek_reader *fields, struct ek_event *event)
{
    uint32_t count;
    enum ek_status status = ek_decode_count(fields, EK_ENVELOPE_JOBS_MAX, &count);
    if (status != EK_OK)
        return status;
    for (uint32_t i = 0; i < count && status == EK_OK; i++)
        status = ek_decode_worker_reply(fields, &inbound->replies[i]);
    event->replies = inbound->replies;
    event->count = count;
    return status == EK_OK ? ek_decode_end(fields) : status;
}

static enum ek_status read_heartbeat(struct ek_inbound *inbound, struct ek_reader *fields, struct ek_event *event)
{
    enum ek_status status = ek_decode_heartbeat(fields, &inbound->heartbeat);
    for (uint32_t i = 0; status == EK_OK && i < inbound->heartbeat.load_count; i++)
        status = ek_decode_shard_load(fields, &inbound->loads[i]);
    event->heartbeat = &inbound->heartbeat;
    event->loads = inbound->loads;
    event->link = inbound->heartbeat.link;
    return status == EK_OK ? ek_decode_end(fields) : status;
}

static enum ek_status read_bye(struct ek_reader *fields, struct ek_event *event)
{
    struct ek_bye bye = {0};
    enum ek_status status = ek_decode_bye(fields, &bye);
    event->type = EK_EVENT_WORKER_BYE;
    event->link = bye.link;
    event->bye = bye.cause;
    return status;
}

static enum ek_status read_moved(struct ek_inbound *inbound, struct ek_reader *fields, struct ek_event *event)
{
    enum ek_status status = ek_decode_move_report(fields, &inbound->moved);
    event->type = EK_EVENT_WORKER_MOVED;
    event->link = inbound->moved.link;
    event->moved = &inbound->moved;
    return status;
}

static enum ek_status read_checked(struct ek_inbound *inbound, struct ek_reader *fields, struct ek_event *event)
{
    enum ek_status status = ek_decode_check_report(fields, &inbound->checked);
    for (uint32_t i = 0; status == EK_OK && i < inbound->checked.count; i++)
        status = ek_decode_checked(fields, &inbound->checked_shards[i]);
    inbound->checked.shards = inbound->checked_shards;
    event->type = EK_EVENT_WORKER_CHECKED;
    event->link = inbound->checked.link;
    event->checked = &inbound->checked;
    return status == EK_OK ? ek_decode_end(fields) : status;
}

/* The messages that begin with a link; of a heartbeat, a BYE and reports of moves and checks it is read with their other fields. */
static enum ek_status read_linked(struct ek_inbound *inbound, enum ek_message_type type, struct ek_reader *fields,
                                  struct ek_event *event)
{
    enum ek_status status = ek_decode_link(fields, &event->link);
    if (status != EK_OK)
        return status;
    switch (type) {
    case EK_MESSAGE_WORKER_REPORT:
        event->type = EK_EVENT_WORKER_REPORT;
        return read_holdings(inbound, fields, event);
    case EK_MESSAGE_WORKER_ASSIGNED:
        event->type = EK_EVENT_WORKER_ASSIGNED;
        return read_holdings(inbound, fields, event);
    case EK_MESSAGE_WORKER_REPLIES:
        event->type = EK_EVENT_WORKER_REPLIES;
        return read_replies(inbound, fields, event);
    default:
        return EK_MALFORMED;
    }
}

enum ek_status ek_inbound_worker(struct ek_inbound *inbound, struct ek_slice message, struct ek_event *ret_event)
{
    struct ek_reader fields;
    enum ek_message_type type;
    enum ek_status status = ek_decode_type(message, &type, &fields);
    if (status != EK_OK)
        return status;
    if (type == EK_MESSAGE_WORKER_HELLO) {
        ret_event->type = EK_EVENT_WORKER_HELLO;
        ret_event->worker_hello = &inbound->worker_hello;
        return ek_decode_worker_hello(&fields, &inbound->worker_hello);
    }
    if (type == EK_MESSAGE_WORKER_HEARTBEAT) {
        ret_event->type = EK_EVENT_WORKER_HEARTBEAT;
        return read_heartbeat(inbound, &fields, ret_event);
    }
    if (type == EK_MESSAGE_WORKER_BYE)
        return read_bye(&fields, ret_event);
    if (type == EK_MESSAGE_WORKER_MOVED)
        return read_moved(inbound, &fields, ret_event);
    if (type == EK_MESSAGE_WORKER_CHECKED)
        return read_checked(inbound, &fields, ret_event);
    return read_linked(inbound, type, &fields, ret_event);
}
