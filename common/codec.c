#include "common/codec.h"

#include "common/letters.h"
#include "common/operations.h"
#include "common/writer.h"

/* Field counts of the fixed arrays, as PROTOCOL.md lists them: a message's version and type count too. */
enum {
    HELLO_FIELDS = 5,
    WELCOME_FIELDS = 10,
    ENVELOPE_FIELDS = 3,
    QUERY_FIELDS = 4,
    ADMIN_FIELDS = 4,
    ANSWER_FIELDS = 5,
    REFUSAL_FIELDS = 4,
    WORKER_HELLO_FIELDS = 10,
    WORKER_WELCOME_FIELDS = 7,
    LINK_FIELDS = 4,
    LINK_ENVELOPE_FIELDS = 5,
    BYE_FIELDS = 5,
    HEARTBEAT_FIELDS = 20,
    MOVE_FIELDS = 11,
    MOVED_FIELDS = 10,
    CHECK_FIELDS = 5,
    CHECKED_FIELDS = 7,
    COPY_ASK_FIELDS = 6,
    COPY_CHUNK_FIELDS = 12,
    JOB_FIELDS = 5,
    ROUTE_FIELDS = 5,
    REPLY_FIELDS = 5,
    HOLDING_FIELDS = 4,
    CLOSED_FIELDS = 2,
    LOSS_FIELDS = 4,
    WORKER_JOB_FIELDS = 12,
    WORKER_REPLY_FIELDS = 5,
    FED_FIELDS = 2,
    LOAD_FIELDS = 7
};

enum { ROUTE_REPEATED = 1, REPLY_REPEATED = 1 };

static uint32_t fields_of(enum ek_message_type type)
{
    switch (type) {
    case EK_MESSAGE_HELLO:
        return HELLO_FIELDS;
    case EK_MESSAGE_WELCOME:
        return WELCOME_FIELDS;
    case EK_MESSAGE_JOBS:
    case EK_MESSAGE_REPLIES:
    case EK_MESSAGE_CLOSE:
        return ENVELOPE_FIELDS;
    case EK_MESSAGE_QUERY:
        return QUERY_FIELDS;
    case EK_MESSAGE_ADMIN:
        return ADMIN_FIELDS;
    case EK_MESSAGE_ANSWER:
        return ANSWER_FIELDS;
    case EK_MESSAGE_ERROR:
    case EK_MESSAGE_WORKER_REFUSED:
        return REFUSAL_FIELDS;
    case EK_MESSAGE_WORKER_HELLO:
        return WORKER_HELLO_FIELDS;
    case EK_MESSAGE_WORKER_WELCOME:
        return WORKER_WELCOME_FIELDS;
    case EK_MESSAGE_WORKER_PULSE:
        return LINK_FIELDS;
    case EK_MESSAGE_WORKER_BYE:
        return BYE_FIELDS;
    case EK_MESSAGE_WORKER_REPORT:
    case EK_MESSAGE_WORKER_ASSIGN:
    case EK_MESSAGE_WORKER_ASSIGNED:
    case EK_MESSAGE_WORKER_LOSS:
    case EK_MESSAGE_WORKER_JOBS:
    case EK_MESSAGE_WORKER_REPLIES:
    case EK_MESSAGE_WORKER_FEED:
        return LINK_ENVELOPE_FIELDS;
    case EK_MESSAGE_WORKER_MOVE:
        return MOVE_FIELDS;
    case EK_MESSAGE_WORKER_MOVED:
        return MOVED_FIELDS;
    case EK_MESSAGE_WORKER_CHECK:
        return CHECK_FIELDS;
    case EK_MESSAGE_WORKER_CHECKED:
        return CHECKED_FIELDS;
    case EK_MESSAGE_COPY_ASK:
        return COPY_ASK_FIELDS;
    case EK_MESSAGE_COPY_CHUNK:
        return COPY_CHUNK_FIELDS;
    case EK_MESSAGE_WORKER_HEARTBEAT:
        return HEARTBEAT_FIELDS;
    }
    return 0;
}

static enum ek_status read_status(const struct ek_reader *fields)
{
    return ek_reader_ok(fields) ? EK_OK : EK_MALFORMED;
}

enum ek_status ek_decode_type(struct ek_slice message, enum ek_message_type *ret_type, struct ek_reader *ret_fields)
{
    struct ek_reader reader = ek_reader_of(message);
    uint32_t count = ek_read_array(&reader);
    uint64_t version = ek_read_uint(&reader);
    if (!ek_reader_ok(&reader))
        return EK_MALFORMED;
    if (version != EK_PROTOCOL_VERSION)
        return EK_NEWER;
    enum ek_message_type type = (enum ek_message_type)ek_read_uint_max(&reader, EK_MESSAGE_LAST);
    if (!ek_reader_ok(&reader) || count == 0 || count != fields_of(type))
        return EK_MALFORMED;
    *ret_type = type;
    *ret_fields = reader;
    return EK_OK;
}

enum ek_status ek_decode_end(const struct ek_reader *fields)
{
    return ek_reader_ended(fields) ? EK_OK : EK_MALFORMED;
}

void ek_encode_head(struct ek_buffer *out, enum ek_message_type type)
{
    ek_write_array(out, fields_of(type));
    ek_write_uint(out, EK_PROTOCOL_VERSION);
    ek_write_uint(out, type);
}

/* ---- client and broker ---- */

enum ek_status ek_decode_hello(struct ek_reader *fields, struct ek_hello *ret)
{
    ret->id = ek_read_uint(fields);
    ek_read_text(fields, ret->name, sizeof ret->name);
    ret->wants_producer = ek_read_bool(fields);
    return ek_decode_end(fields);
}

void ek_encode_hello(struct ek_buffer *out, const struct ek_hello *message)
{
    ek_encode_head(out, EK_MESSAGE_HELLO);
    ek_write_uint(out, message->id);
    ek_write_text(out, message->name);
    ek_write_bool(out, message->wants_producer);
}

enum ek_status ek_decode_welcome(struct ek_reader *fields, struct ek_welcome *ret)
{
    ret->id = ek_read_uint(fields);
    ek_read_fixed(fields, ret->cluster.bytes, sizeof ret->cluster.bytes);
    ret->generation = ek_read_uint(fields);
    ret->connection = ek_read_uint(fields);
    ret->shards = (uint32_t)ek_read_uint_max(fields, EK_SHARDS_MAX);
    ret->producer = ek_read_uint(fields);
    ret->now_unix_ms = ek_read_uint(fields);
    ek_read_text(fields, ret->stats_endpoint, sizeof ret->stats_endpoint);
    return ret->shards ? ek_decode_end(fields) : EK_MALFORMED;
}

void ek_encode_welcome(struct ek_buffer *out, const struct ek_welcome *message)
{
    ek_encode_head(out, EK_MESSAGE_WELCOME);
    ek_write_uint(out, message->id);
    ek_write_bytes(out, ek_slice_of(message->cluster.bytes, sizeof message->cluster.bytes));
    ek_write_uint(out, message->generation);
    ek_write_uint(out, message->connection);
    ek_write_uint(out, message->shards);
    ek_write_uint(out, message->producer);
    ek_write_uint(out, message->now_unix_ms);
    ek_write_text(out, message->stats_endpoint);
}

enum ek_status ek_decode_query(struct ek_reader *fields, struct ek_query *ret)
{
    ret->id = ek_read_uint(fields);
    ek_read_text(fields, ret->what, sizeof ret->what);
    return ek_decode_end(fields);
}

void ek_encode_query(struct ek_buffer *out, const struct ek_query *message)
{
    ek_encode_head(out, EK_MESSAGE_QUERY);
    ek_write_uint(out, message->id);
    ek_write_text(out, message->what);
}

enum ek_status ek_decode_admin(struct ek_reader *fields, struct ek_admin *ret)
{
    ret->id = ek_read_uint(fields);
    uint32_t count = ek_read_array(fields);
    if (!ek_reader_ok(fields) || count == 0)
        return EK_MALFORMED;
    if (count > EK_ADMIN_WORDS_MAX)
        return EK_TOO_LARGE;
    for (uint32_t i = 0; i < count; i++)
        ek_read_text(fields, ret->words[i], sizeof ret->words[i]);
    ret->count = count;
    return ek_decode_end(fields);
}

void ek_encode_admin(struct ek_buffer *out, const struct ek_admin *message)
{
    ek_encode_head(out, EK_MESSAGE_ADMIN);
    ek_write_uint(out, message->id);
    ek_write_array(out, message->count);
    for (uint32_t i = 0; i < message->count; i++)
        ek_write_text(out, message->words[i]);
}

enum ek_status ek_decode_answer(struct ek_reader *fields, struct ek_answer *ret)
{
    ret->id = ek_read_uint(fields);
    ret->status = (enum ek_wire_status)ek_read_uint_max(fields, EK_WIRE_STATUS_COUNT - 1);
    ret->text = ek_read_bytes(fields);
    if (ret->text.size > EK_ANSWER_BYTES_MAX)
        return EK_TOO_LARGE;
    return ek_decode_end(fields);
}

void ek_encode_answer(struct ek_buffer *out, const struct ek_answer *message)
{
    ek_encode_head(out, EK_MESSAGE_ANSWER);
    ek_write_uint(out, message->id);
    ek_write_uint(out, message->status);
    ek_write_bytes(out, message->text);
}

enum ek_status ek_decode_refusal(struct ek_reader *fields, struct ek_refusal *ret)
{
    ret->status = (enum ek_wire_status)ek_read_uint_max(fields, EK_WIRE_STATUS_COUNT - 1);
    ek_read_text(fields, ret->text, sizeof ret->text);
    return ek_decode_end(fields);
}

void ek_encode_refusal(struct ek_buffer *out, enum ek_message_type type, const struct ek_refusal *message)
{
    ek_encode_head(out, type);
    ek_write_uint(out, message->status);
    ek_write_text(out, message->text);
}

enum ek_status ek_decode_count(struct ek_reader *fields, uint32_t max, uint32_t *ret_count)
{
    uint32_t count = ek_read_array(fields);
    if (!ek_reader_ok(fields))
        return EK_MALFORMED;
    if (count > max)
        return EK_TOO_LARGE;
    *ret_count = count;
    return EK_OK;
}

/* A job's body: not nil, within the limit, and an array whose count is read ahead. */
static enum ek_status read_body(struct ek_reader *fields, struct ek_slice *ret_body, uint32_t *ret_count)
{
    *ret_body = ek_read_bytes(fields);
    if (!ek_reader_ok(fields))
        return EK_MALFORMED;
    if (ret_body->size > EK_JOB_BODY_BYTES_MAX)
        return EK_TOO_LARGE;
    struct ek_reader body = ek_reader_of(*ret_body);
    return ek_decode_operation_count(&body, ret_count);
}

static void read_route(struct ek_reader *fields, struct ek_route *ret)
{
    *ret = (struct ek_route){.present = !ek_read_nil(fields)};
    if (!ret->present)
        return;
    uint64_t numbers[ROUTE_FIELDS];
    ek_read_array_of(fields, ROUTE_FIELDS);
    ek_read_uints(fields, numbers, ROUTE_FIELDS);
    ret->shard = (uint16_t)ek_read_checked(fields, numbers[0], EK_SHARDS_MAX - 1);
    ret->producer = numbers[1];
    ret->number = numbers[2];
    ret->lowest = numbers[3];
    ret->repeated = ek_read_checked(fields, numbers[4], ROUTE_REPEATED) != 0;
}

/* A numbered write has a producer and a number, and lowest is no higher than it; a cancellation needs a number to cancel. */
static bool route_fits(enum ek_job_kind kind, const struct ek_route *route)
{
    if (kind == EK_JOB_READ)
        return (route->producer == 0) == (route->number == 0);
    if (!route->present || route->producer == 0)
        return kind != EK_JOB_CANCEL && route->number == 0;
    return route->number > 0 && route->lowest > 0 && route->lowest <= route->number &&
           route->number - route->lowest < EK_UNSETTLED_MAX;
}

enum ek_status ek_decode_job(struct ek_reader *fields, struct ek_job *ret)
{
    uint64_t numbers[JOB_FIELDS - 2]; /* then the route and the body */
    ek_read_array_of(fields, JOB_FIELDS);
    ek_read_uints(fields, numbers, JOB_FIELDS - 2);
    ret->id = numbers[0];
    ret->kind = (enum ek_job_kind)ek_read_checked(fields, numbers[1], EK_JOB_DELETE);
    ret->deadline_ms = (uint32_t)ek_read_checked(fields, numbers[2], EK_DEADLINE_MS_MAX);
    read_route(fields, &ret->route);
    if (!ek_reader_ok(fields) || !route_fits(ret->kind, &ret->route))
        return EK_MALFORMED;
    return read_body(fields, &ret->body, &ret->count);
}

void ek_encode_job(struct ek_envelope *envelope, const struct ek_job *job)
{
    struct ek_buffer *out = ek_envelope_item(envelope);
    ek_write_array(out, JOB_FIELDS);
    ek_write_uint(out, job->id);
    ek_write_uint(out, job->kind);
    ek_write_uint(out, job->deadline_ms);
    if (job->route.present) {
        ek_write_array(out, ROUTE_FIELDS);
        ek_write_uint(out, job->route.shard);
        ek_write_uint(out, job->route.producer);
        ek_write_uint(out, job->route.number);
        ek_write_uint(out, job->route.lowest);
        ek_write_uint(out, job->route.repeated ? ROUTE_REPEATED : 0);
    } else
        ek_write_nil(out);
    ek_write_bytes(out, job->body);
}

static void read_reply_body(struct ek_reader *fields, struct ek_slice *ret)
{
    *ret = ek_read_nil(fields) ? ek_slice_of(NULL, 0) : ek_read_bytes(fields);
}

enum ek_status ek_decode_reply(struct ek_reader *fields, struct ek_reply *ret)
{
    uint64_t numbers[REPLY_FIELDS - 1]; /* then the body */
    ek_read_array_of(fields, REPLY_FIELDS);
    ek_read_uints(fields, numbers, REPLY_FIELDS - 1);
    ret->id = numbers[0];
    ret->status = (enum ek_wire_status)ek_read_checked(fields, numbers[1], EK_WIRE_STATUS_COUNT - 1);
    ret->position = numbers[2];
    ret->retry_ms = (uint32_t)ek_read_checked(fields, numbers[3], UINT32_MAX);
    read_reply_body(fields, &ret->body);
    return read_status(fields);
}

void ek_encode_reply(struct ek_envelope *envelope, const struct ek_reply *reply)
{
    struct ek_buffer *out = ek_envelope_item(envelope);
    ek_write_array(out, REPLY_FIELDS);
    const uint64_t numbers[] = {reply->id, reply->status, reply->position, reply->retry_ms};
    ek_write_uints(out, numbers, sizeof numbers / sizeof *numbers);
    ek_write_bytes_or_nil(out, reply->body);
}

/* ---- worker and broker ---- */

enum ek_status ek_decode_link(struct ek_reader *fields, struct ek_link *ret)
{
    ret->link = ek_read_uint(fields);
    ret->generation = ek_read_uint(fields);
    return read_status(fields);
}

static void write_link(struct ek_buffer *out, struct ek_link link)
{
    ek_write_uint(out, link.link);
    ek_write_uint(out, link.generation);
}

void ek_encode_pulse(struct ek_buffer *out, struct ek_link link)
{
    ek_encode_head(out, EK_MESSAGE_WORKER_PULSE);
    write_link(out, link);
}

enum ek_status ek_decode_bye(struct ek_reader *fields, struct ek_bye *ret)
{
    if (ek_decode_link(fields, &ret->link) != EK_OK)
        return EK_MALFORMED;
    ret->cause = (enum ek_bye_cause)ek_read_uint_max(fields, EK_BYE_STORAGE);
    return ek_decode_end(fields);
}

void ek_encode_bye(struct ek_buffer *out, const struct ek_bye *message)
{
    ek_encode_head(out, EK_MESSAGE_WORKER_BYE);
    write_link(out, message->link);
    ek_write_uint(out, message->cause);
}

enum ek_status ek_decode_worker_hello(struct ek_reader *fields, struct ek_worker_hello *ret)
{
    ek_read_fixed(fields, ret->worker.bytes, sizeof ret->worker.bytes);
    ret->incarnation = ek_read_uint(fields);
    ret->generation = ek_read_uint(fields);
    ret->has_cluster = !ek_read_nil(fields);
    if (ret->has_cluster)
        ek_read_fixed(fields, ret->cluster.bytes, sizeof ret->cluster.bytes);
    ret->shards = (uint32_t)ek_read_uint_max(fields, EK_SHARDS_MAX);
    ret->capacity_milli = (uint32_t)ek_read_uint_max(fields, 1000u * 1000u);
    ek_read_text(fields, ret->name, sizeof ret->name);
    ek_read_text(fields, ret->endpoint, sizeof ret->endpoint);
    return ret->capacity_milli ? ek_decode_end(fields) : EK_MALFORMED;
}

void ek_encode_worker_hello(struct ek_buffer *out, const struct ek_worker_hello *message)
{
    ek_encode_head(out, EK_MESSAGE_WORKER_HELLO);
    ek_write_bytes(out, ek_slice_of(message->worker.bytes, sizeof message->worker.bytes));
    ek_write_uint(out, message->incarnation);
    ek_write_uint(out, message->generation);
    ek_write_bytes_or_nil(out, message->has_cluster ? ek_slice_of(message->cluster.bytes, sizeof message->cluster.bytes)
                                                    : ek_slice_of(NULL, 0));
    ek_write_uint(out, message->shards);
    ek_write_uint(out, message->capacity_milli);
    ek_write_text(out, message->name);
    ek_write_text(out, message->endpoint);
}

enum ek_status ek_decode_worker_welcome(struct ek_reader *fields, struct ek_worker_welcome *ret)
{
    if (ek_decode_link(fields, &ret->link) != EK_OK)
        return EK_MALFORMED;
    ek_read_fixed(fields, ret->cluster.bytes, sizeof ret->cluster.bytes);
    ret->shards = (uint32_t)ek_read_uint_max(fields, EK_SHARDS_MAX);
    ret->liveness_ms = (uint32_t)ek_read_uint_max(fields, UINT32_MAX);
    return ret->shards && ret->liveness_ms ? ek_decode_end(fields) : EK_MALFORMED;
}

void ek_encode_worker_welcome(struct ek_buffer *out, const struct ek_worker_welcome *message)
{
    ek_encode_head(out, EK_MESSAGE_WORKER_WELCOME);
    write_link(out, message->link);
    ek_write_bytes(out, ek_slice_of(message->cluster.bytes, sizeof message->cluster.bytes));
    ek_write_uint(out, message->shards);
    ek_write_uint(out, message->liveness_ms);
}

enum ek_status ek_decode_holding(struct ek_reader *fields, struct ek_holding *ret)
{
    ek_read_array_of(fields, HOLDING_FIELDS);
    ret->shard = (uint16_t)ek_read_uint_max(fields, EK_SHARDS_MAX - 1);
    ret->epoch = ek_read_uint(fields);
    ret->position = ek_read_uint(fields);
    uint64_t state = ek_read_uint_max(fields, EK_HOLDING_LEARNER);
    ret->state = (enum ek_holding_state)state;
    return state ? read_status(fields) : EK_MALFORMED;
}

void ek_encode_holdings(struct ek_buffer *out, enum ek_message_type type, struct ek_link link, const struct ek_holding *holdings,
                        size_t count)
{
    ek_encode_head(out, type);
    write_link(out, link);
    ek_write_array(out, count);
    for (size_t i = 0; i < count; i++) {
        ek_write_array(out, HOLDING_FIELDS);
        ek_write_uint(out, holdings[i].shard);
        ek_write_uint(out, holdings[i].epoch);
        ek_write_uint(out, holdings[i].position);
        ek_write_uint(out, holdings[i].state);
    }
}

enum ek_status ek_decode_closed(struct ek_reader *fields, struct ek_closed *ret)
{
    ek_read_array_of(fields, CLOSED_FIELDS);
    ret->shard = (uint16_t)ek_read_uint_max(fields, EK_SHARDS_MAX - 1);
    ret->producer = ek_read_uint(fields);
    return read_status(fields);
}

void ek_encode_close(struct ek_buffer *out, const struct ek_closed *closed, size_t count)
{
    ek_encode_head(out, EK_MESSAGE_CLOSE);
    ek_write_array(out, count);
    for (size_t i = 0; i < count; i++) {
        ek_write_array(out, CLOSED_FIELDS);
        ek_write_uint(out, closed[i].shard);
        ek_write_uint(out, closed[i].producer);
    }
}

enum ek_status ek_decode_loss(struct ek_reader *fields, struct ek_loss *ret)
{
    ek_read_array_of(fields, LOSS_FIELDS);
    ret->shard = (uint16_t)ek_read_uint_max(fields, EK_SHARDS_MAX - 1);
    ret->epoch = ek_read_uint(fields);
    ret->position = ek_read_uint(fields);
    ret->floor = ek_read_uint(fields);
    return read_status(fields);
}

void ek_encode_losses(struct ek_buffer *out, struct ek_link link, const struct ek_loss *losses, size_t count)
{
    ek_encode_head(out, EK_MESSAGE_WORKER_LOSS);
    write_link(out, link);
    ek_write_array(out, count);
    for (size_t i = 0; i < count; i++) {
        ek_write_array(out, LOSS_FIELDS);
        ek_write_uint(out, losses[i].shard);
        ek_write_uint(out, losses[i].epoch);
        ek_write_uint(out, losses[i].position);
        ek_write_uint(out, losses[i].floor);
    }
}

/* What only a worker's job may have: nothing, or a job inside the job. */
static enum ek_status read_worker_body(struct ek_reader *fields, struct ek_worker_job *job)
{
    if (job->kind != EK_JOB_PROBE && job->kind != EK_JOB_DEAD)
        return read_body(fields, &job->body, &job->count);
    job->body = ek_read_bytes(fields);
    job->count = 0;
    if (job->kind == EK_JOB_PROBE)
        return ek_reader_ok(fields) && job->body.size == 0 ? EK_OK : EK_MALFORMED;
    struct ek_dead dead;
    enum ek_status status = ek_decode_dead(job->body, &dead);
    if (status == EK_OK)
        job->count = dead.operations;
    return status;
}

enum ek_status ek_decode_worker_job(struct ek_reader *fields, struct ek_worker_job *ret)
{
    uint64_t numbers[WORKER_JOB_FIELDS - 1]; /* then the body */
    ek_read_array_of(fields, WORKER_JOB_FIELDS);
    ek_read_uints(fields, numbers, WORKER_JOB_FIELDS - 1);
    ret->token = numbers[0];
    ret->shard = (uint16_t)ek_read_checked(fields, numbers[1], EK_SHARDS_MAX - 1);
    ret->epoch = numbers[2];
    ret->kind = (enum ek_job_kind)ek_read_checked(fields, numbers[3], EK_JOB_DEAD);
    ret->position = numbers[4];
    ret->stamp_unix_ms = numbers[5];
    ret->producer = numbers[6];
    ret->number = numbers[7];
    ret->lowest = numbers[8];
    ret->confirmed = numbers[9];
    ret->closed = numbers[10];
    return read_worker_body(fields, ret);
}

static void write_worker_job(struct ek_buffer *out, const struct ek_worker_job *job)
{
    ek_write_array(out, WORKER_JOB_FIELDS);
    const uint64_t numbers[] = {job->token,    job->shard,  job->epoch,  job->kind,      job->position, job->stamp_unix_ms,
                                job->producer, job->number, job->lowest, job->confirmed, job->closed};
    ek_write_uints(out, numbers, sizeof numbers / sizeof *numbers);
    ek_write_bytes(out, job->body);
}

void ek_encode_worker_job(struct ek_envelope *envelope, const struct ek_worker_job *job)
{
    write_worker_job(ek_envelope_item(envelope), job);
}

enum ek_status ek_decode_worker_reply(struct ek_reader *fields, struct ek_worker_reply *ret)
{
    uint64_t numbers[WORKER_REPLY_FIELDS - 1]; /* then the body */
    ek_read_array_of(fields, WORKER_REPLY_FIELDS);
    ek_read_uints(fields, numbers, WORKER_REPLY_FIELDS - 1);
    ret->token = numbers[0];
    ret->status = (enum ek_wire_status)ek_read_checked(fields, numbers[1], EK_WIRE_STATUS_COUNT - 1);
    ret->position = numbers[2];
    ret->repeated = ek_read_checked(fields, numbers[3], REPLY_REPEATED) != 0;
    read_reply_body(fields, &ret->body);
    return read_status(fields);
}

static void write_worker_reply(struct ek_buffer *out, const struct ek_worker_reply *reply)
{
    ek_write_array(out, WORKER_REPLY_FIELDS);
    ek_write_uint(out, reply->token);
    ek_write_uint(out, reply->status);
    ek_write_uint(out, reply->position);
    ek_write_uint(out, reply->repeated ? REPLY_REPEATED : 0);
    ek_write_bytes_or_nil(out, reply->body);
}

void ek_encode_worker_reply(struct ek_envelope *envelope, const struct ek_worker_reply *reply)
{
    write_worker_reply(ek_envelope_item(envelope), reply);
}

enum ek_status ek_decode_fed(struct ek_reader *fields, struct ek_fed *ret)
{
    ek_read_array_of(fields, FED_FIELDS);
    enum ek_status status = ek_decode_worker_job(fields, &ret->job);
    if (status == EK_OK)
        status = ek_decode_worker_reply(fields, &ret->reply);
    bool is_write = ret->job.kind != EK_JOB_READ && ret->job.kind != EK_JOB_PROBE && ret->job.position;
    return status == EK_OK && !is_write ? EK_MALFORMED : status;
}

void ek_encode_fed(struct ek_envelope *envelope, const struct ek_fed *fed)
{
    struct ek_buffer *out = ek_envelope_item(envelope);
    ek_write_array(out, FED_FIELDS);
    write_worker_job(out, &fed->job);
    write_worker_reply(out, &fed->reply);
}

enum ek_status ek_decode_heartbeat(struct ek_reader *fields, struct ek_heartbeat *ret)
{
    if (ek_decode_link(fields, &ret->link) != EK_OK)
        return EK_MALFORMED;
    ret->stalled_ms = (uint32_t)ek_read_uint_max(fields, UINT32_MAX);
    ret->credit_jobs = (uint32_t)ek_read_uint_max(fields, EK_CREDIT_JOBS_MAX);
    ret->credit_bytes = (uint32_t)ek_read_uint_max(fields, EK_CREDIT_BYTES_MAX);
    ret->credit_reads = (uint32_t)ek_read_uint_max(fields, EK_CREDIT_READS_MAX);
    ret->disk_free_bytes = ek_read_uint(fields);
    ret->disk_total_bytes = ek_read_uint(fields);
    ret->disk_reserve_bytes = ek_read_uint(fields);
    ret->rate_bytes = ek_read_uint(fields);
    ret->stored_bytes = ek_read_uint(fields);
    ret->stored_keys = ek_read_uint(fields);
    ret->commit_p50_us = (uint32_t)ek_read_uint_max(fields, UINT32_MAX);
    ret->commit_p99_us = (uint32_t)ek_read_uint_max(fields, UINT32_MAX);
    ret->busy_us = ek_read_uint(fields);
    ret->dead_kept = ek_read_uint(fields);
    ek_read_text(fields, ret->alarm, sizeof ret->alarm);
    return ek_decode_count(fields, EK_SHARDS_MAX, &ret->load_count);
}

enum ek_status ek_decode_shard_load(struct ek_reader *fields, struct ek_shard_load *ret)
{
    ek_read_array_of(fields, LOAD_FIELDS);
    ret->shard = (uint16_t)ek_read_uint_max(fields, EK_SHARDS_MAX - 1);
    ret->stored_bytes = ek_read_uint(fields);
    ret->operations = ek_read_uint(fields);
    ret->bytes_in = ek_read_uint(fields);
    ret->bytes_out = ek_read_uint(fields);
    ret->busy_us = ek_read_uint(fields);
    ret->expires_unix_ms = ek_read_uint(fields);
    return read_status(fields);
}

static void write_loads(struct ek_buffer *out, const struct ek_shard_load *loads, uint32_t count)
{
    ek_write_array(out, count);
    for (uint32_t i = 0; i < count; i++) {
        ek_write_array(out, LOAD_FIELDS);
        ek_write_uint(out, loads[i].shard);
        ek_write_uint(out, loads[i].stored_bytes);
        ek_write_uint(out, loads[i].operations);
        ek_write_uint(out, loads[i].bytes_in);
        ek_write_uint(out, loads[i].bytes_out);
        ek_write_uint(out, loads[i].busy_us);
        ek_write_uint(out, loads[i].expires_unix_ms);
    }
}

void ek_encode_heartbeat(struct ek_buffer *out, const struct ek_heartbeat *message, const struct ek_shard_load *loads)
{
    ek_encode_head(out, EK_MESSAGE_WORKER_HEARTBEAT);
    write_link(out, message->link);
    ek_write_uint(out, message->stalled_ms);
    ek_write_uint(out, message->credit_jobs);
    ek_write_uint(out, message->credit_bytes);
    ek_write_uint(out, message->credit_reads);
    ek_write_uint(out, message->disk_free_bytes);
    ek_write_uint(out, message->disk_total_bytes);
    ek_write_uint(out, message->disk_reserve_bytes);
    ek_write_uint(out, message->rate_bytes);
    ek_write_uint(out, message->stored_bytes);
    ek_write_uint(out, message->stored_keys);
    ek_write_uint(out, message->commit_p50_us);
    ek_write_uint(out, message->commit_p99_us);
    ek_write_uint(out, message->busy_us);
    ek_write_uint(out, message->dead_kept);
    ek_write_text(out, message->alarm);
    write_loads(out, loads, message->load_count);
}

const char *ek_wire_status_name(enum ek_wire_status status)
{
    static const char *const names[EK_WIRE_STATUS_COUNT] = {
        "ok",     "not_found", "condition_failed", "usage", "unknown", "expired", "unavailable",  "forgotten", "busy",
        "denied", "too_large", "failed",           "dead",  "gap",     "stale",   "out_of_order", "alone"};
    return (unsigned)status < EK_WIRE_STATUS_COUNT ? names[status] : "invalid";
}
