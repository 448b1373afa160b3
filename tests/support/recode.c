#include "tests/support/recode.h"

#include "common/letters.h"

#include <stdlib.h>

struct walk {
    enum ek_message_type type;
    struct ek_reader fields;
    struct ek_buffer *out;
    ek_visitor visit;
    void *context;
};

static void show(struct walk *walk, enum ek_part part, uint32_t index, const void *decoded)
{
    if (walk->visit)
        walk->visit(walk->context, walk->type, part, index, decoded);
}

/* ---- messages with a struct of their own ---- */

#define WALK_MESSAGE(name)                                                                                                         \
    static enum ek_status walk_##name(struct walk *walk)                                                                           \
    {                                                                                                                              \
        struct ek_##name message;                                                                                                  \
        enum ek_status status = ek_decode_##name(&walk->fields, &message);                                                         \
        if (status != EK_OK)                                                                                                       \
            return status;                                                                                                         \
        show(walk, EK_PART_MESSAGE, 0, &message);                                                                                  \
        ek_encode_##name(walk->out, &message);                                                                                     \
        return EK_OK;                                                                                                              \
    }

WALK_MESSAGE(hello)
WALK_MESSAGE(welcome)
WALK_MESSAGE(query)
WALK_MESSAGE(answer)
WALK_MESSAGE(admin)
WALK_MESSAGE(worker_hello)
WALK_MESSAGE(worker_welcome)
WALK_MESSAGE(bye)
WALK_MESSAGE(move_order)
WALK_MESSAGE(move_report)
WALK_MESSAGE(check_order)
WALK_MESSAGE(copy_ask)
WALK_MESSAGE(copy_chunk)

static enum ek_status walk_refusal(struct walk *walk)
{
    struct ek_refusal refusal;
    enum ek_status status = ek_decode_refusal(&walk->fields, &refusal);
    if (status != EK_OK)
        return status;
    show(walk, EK_PART_MESSAGE, 0, &refusal);
    ek_encode_refusal(walk->out, walk->type, &refusal);
    return EK_OK;
}

static enum ek_status walk_link(struct walk *walk)
{
    struct ek_link link;
    enum ek_status status = ek_decode_link(&walk->fields, &link);
    if (status == EK_OK)
        status = ek_decode_end(&walk->fields);
    if (status != EK_OK)
        return status;
    show(walk, EK_PART_MESSAGE, 0, &link);
    ek_encode_pulse(walk->out, link);
    return EK_OK;
}

/* ---- envelopes ---- */

#define WALK_ITEM(name)                                                                                                            \
    static enum ek_status walk_##name(struct walk *walk, struct ek_envelope *envelope, uint32_t index)                             \
    {                                                                                                                              \
        struct ek_##name item;                                                                                                     \
        enum ek_status status = ek_decode_##name(&walk->fields, &item);                                                            \
        if (status != EK_OK)                                                                                                       \
            return status;                                                                                                         \
        show(walk, EK_PART_ITEM, index, &item);                                                                                    \
        ek_encode_##name(envelope, &item);                                                                                         \
        return EK_OK;                                                                                                              \
    }

WALK_ITEM(job)
WALK_ITEM(reply)
WALK_ITEM(worker_job)
WALK_ITEM(worker_reply)
WALK_ITEM(fed)

static enum ek_status walk_items(struct walk *walk, struct ek_envelope *envelope,
                                 enum ek_status (*item)(struct walk *, struct ek_envelope *, uint32_t))
{
    uint32_t count = 0;
    enum ek_status status = ek_decode_count(&walk->fields, EK_ENVELOPE_JOBS_MAX, &count);
    for (uint32_t i = 0; status == EK_OK && i < count; i++)
        status = item(walk, envelope, i);
    return status == EK_OK ? ek_decode_end(&walk->fields) : status;
}

static enum ek_status walk_envelope(struct walk *walk, bool linked,
                                    enum ek_status (*item)(struct walk *, struct ek_envelope *, uint32_t))
{
    struct ek_link link;
    if (linked) {
        enum ek_status status = ek_decode_link(&walk->fields, &link);
        if (status != EK_OK)
            return status;
        show(walk, EK_PART_LINK, 0, &link);
    }
    struct ek_envelope envelope = {0};
    enum ek_status status = walk_items(walk, &envelope, item);
    if (status == EK_OK) {
        struct ek_owned sealed = ek_envelope_seal(&envelope, walk->type, linked ? &link : NULL);
        ek_buffer_append(walk->out, sealed.message.data, sealed.message.size);
        free(sealed.memory);
    }
    ek_envelope_done(&envelope);
    return status;
}

static enum ek_status walk_holdings(struct walk *walk)
{
    struct ek_link link;
    uint32_t count = 0;
    enum ek_status status = ek_decode_link(&walk->fields, &link);
    if (status == EK_OK)
        status = ek_decode_count(&walk->fields, EK_SHARDS_MAX, &count);
    if (status != EK_OK)
        return status;
    show(walk, EK_PART_LINK, 0, &link);
    struct ek_holding *holdings = ek_alloc_zero(count, sizeof *holdings);
    for (uint32_t i = 0; status == EK_OK && i < count; i++) {
        status = ek_decode_holding(&walk->fields, &holdings[i]);
        if (status == EK_OK)
            show(walk, EK_PART_ITEM, i, &holdings[i]);
    }
    if (status == EK_OK)
        status = ek_decode_end(&walk->fields);
    if (status == EK_OK)
        ek_encode_holdings(walk->out, walk->type, link, holdings, count);
    free(holdings);
    return status;
}

static enum ek_status walk_close(struct walk *walk)
{
    uint32_t count = 0;
    enum ek_status status = ek_decode_count(&walk->fields, EK_SHARDS_MAX, &count);
    if (status != EK_OK)
        return status;
    struct ek_closed *closed = ek_alloc_zero(count, sizeof *closed);
    for (uint32_t i = 0; status == EK_OK && i < count; i++) {
        status = ek_decode_closed(&walk->fields, &closed[i]);
        if (status == EK_OK)
            show(walk, EK_PART_ITEM, i, &closed[i]);
    }
    if (status == EK_OK)
        status = ek_decode_end(&walk->fields);
    if (status == EK_OK)
        ek_encode_close(walk->out, closed, count);
    free(closed);
    return status;
}

static enum ek_status walk_losses(struct walk *walk)
{
    struct ek_link link;
    uint32_t count = 0;
    enum ek_status status = ek_decode_link(&walk->fields, &link);
    if (status == EK_OK)
        status = ek_decode_count(&walk->fields, EK_SHARDS_MAX, &count);
    if (status != EK_OK)
        return status;
    show(walk, EK_PART_LINK, 0, &link);
    struct ek_loss *losses = ek_alloc_zero(count, sizeof *losses);
    for (uint32_t i = 0; status == EK_OK && i < count; i++) {
        status = ek_decode_loss(&walk->fields, &losses[i]);
        if (status == EK_OK)
            show(walk, EK_PART_ITEM, i, &losses[i]);
    }
    if (status == EK_OK)
        status = ek_decode_end(&walk->fields);
    if (status == EK_OK)
        ek_encode_losses(walk->out, link, losses, count);
    free(losses);
    return status;
}

static enum ek_status walk_heartbeat(struct walk *walk)
{
    struct ek_heartbeat heartbeat;
    enum ek_status status = ek_decode_heartbeat(&walk->fields, &heartbeat);
    if (status != EK_OK)
        return status;
    show(walk, EK_PART_MESSAGE, 0, &heartbeat);
    struct ek_shard_load *loads = ek_alloc_zero(heartbeat.load_count, sizeof *loads);
    for (uint32_t i = 0; status == EK_OK && i < heartbeat.load_count; i++) {
        status = ek_decode_shard_load(&walk->fields, &loads[i]);
        if (status == EK_OK)
            show(walk, EK_PART_ITEM, i, &loads[i]);
    }
    if (status == EK_OK)
        status = ek_decode_end(&walk->fields);
    if (status == EK_OK)
        ek_encode_heartbeat(walk->out, &heartbeat, loads);
    free(loads);
    return status;
}

static enum ek_status walk_check_report(struct walk *walk)
{
    struct ek_check_report report;
    enum ek_status status = ek_decode_check_report(&walk->fields, &report);
    if (status != EK_OK)
        return status;
    show(walk, EK_PART_MESSAGE, 0, &report);
    struct ek_checked *shards = ek_alloc_zero(report.count, sizeof *shards);
    report.shards = shards;
    for (uint32_t i = 0; status == EK_OK && i < report.count; i++) {
        status = ek_decode_checked(&walk->fields, &shards[i]);
        if (status == EK_OK)
            show(walk, EK_PART_ITEM, i, &shards[i]);
    }
    if (status == EK_OK)
        status = ek_decode_end(&walk->fields);
    if (status == EK_OK)
        ek_encode_check_report(walk->out, &report);
    free(shards);
    return status;
}

enum ek_status ek_recode_message(struct ek_slice message, struct ek_buffer *out, ek_visitor visit, void *context)
{
    struct walk walk = {.out = out, .visit = visit, .context = context};
    enum ek_status status = ek_decode_type(message, &walk.type, &walk.fields);
    if (status != EK_OK)
        return status;
    switch (walk.type) {
    case EK_MESSAGE_HELLO:
        return walk_hello(&walk);
    case EK_MESSAGE_WELCOME:
        return walk_welcome(&walk);
    case EK_MESSAGE_JOBS:
        return walk_envelope(&walk, false, walk_job);
    case EK_MESSAGE_REPLIES:
        return walk_envelope(&walk, false, walk_reply);
    case EK_MESSAGE_QUERY:
        return walk_query(&walk);
    case EK_MESSAGE_ANSWER:
        return walk_answer(&walk);
    case EK_MESSAGE_ADMIN:
        return walk_admin(&walk);
    case EK_MESSAGE_CLOSE:
        return walk_close(&walk);
    case EK_MESSAGE_ERROR:
    case EK_MESSAGE_WORKER_REFUSED:
        return walk_refusal(&walk);
    case EK_MESSAGE_WORKER_HELLO:
        return walk_worker_hello(&walk);
    case EK_MESSAGE_WORKER_WELCOME:
        return walk_worker_welcome(&walk);
    case EK_MESSAGE_WORKER_REPORT:
    case EK_MESSAGE_WORKER_ASSIGN:
    case EK_MESSAGE_WORKER_ASSIGNED:
        return walk_holdings(&walk);
    case EK_MESSAGE_WORKER_LOSS:
        return walk_losses(&walk);
    case EK_MESSAGE_WORKER_JOBS:
        return walk_envelope(&walk, true, walk_worker_job);
    case EK_MESSAGE_WORKER_REPLIES:
        return walk_envelope(&walk, true, walk_worker_reply);
    case EK_MESSAGE_WORKER_HEARTBEAT:
        return walk_heartbeat(&walk);
    case EK_MESSAGE_WORKER_PULSE:
        return walk_link(&walk);
    case EK_MESSAGE_WORKER_BYE:
        return walk_bye(&walk);
    case EK_MESSAGE_WORKER_MOVE:
        return walk_move_order(&walk);
    case EK_MESSAGE_WORKER_FEED:
        return walk_envelope(&walk, true, walk_fed);
    case EK_MESSAGE_WORKER_MOVED:
        return walk_move_report(&walk);
    case EK_MESSAGE_WORKER_CHECK:
        return walk_check_order(&walk);
    case EK_MESSAGE_WORKER_CHECKED:
        return walk_check_report(&walk);
    case EK_MESSAGE_COPY_ASK:
        return walk_copy_ask(&walk);
    case EK_MESSAGE_COPY_CHUNK:
        return walk_copy_chunk(&walk);
    }
    return EK_MALFORMED;
}

/* ---- bodies ---- */

enum ek_status ek_recode_operation(struct ek_reader *body, struct ek_buffer *out)
{
    struct ek_operation operation;
    enum ek_status status = ek_decode_operation(body, &operation);
    if (status == EK_OK)
        ek_encode_operation(out, &operation);
    return status;
}

static enum ek_status recode_cursor(struct ek_reader *body, struct ek_buffer *out)
{
    struct ek_slice cursor;
    enum ek_status status = ek_decode_cursor(body, &cursor);
    if (status == EK_OK)
        ek_encode_cursor(out, cursor);
    return status;
}

static enum ek_status recode_scan(struct ek_reader *body, uint32_t entries, struct ek_buffer *out)
{
    ek_encode_scan_head(out, entries);
    for (uint32_t i = 0; i < entries; i++) {
        struct ek_entry entry;
        enum ek_status status = ek_decode_entry(body, &entry);
        if (status != EK_OK)
            return status;
        ek_encode_entry(out, &entry);
    }
    return recode_cursor(body, out);
}

static enum ek_status recode_list(struct ek_reader *body, uint32_t entries, struct ek_buffer *out)
{
    ek_encode_scan_head(out, entries);
    for (uint32_t i = 0; i < entries; i++) {
        struct ek_letter letter;
        enum ek_status status = ek_decode_letter(body, &letter);
        if (status != EK_OK)
            return status;
        ek_encode_letter(out, &letter);
    }
    return recode_cursor(body, out);
}

enum ek_status ek_recode_result(struct ek_reader *body, enum ek_operation_code code, struct ek_buffer *out,
                                struct ek_result *ret_result)
{
    bool plain = !ek_read_at_array(body);
    struct ek_result result;
    enum ek_status status = ek_decode_result(body, code, &result);
    if (status != EK_OK)
        return status;
    if (plain)
        ek_encode_status(out, result.status, NULL);
    else if (result.status == EK_WIRE_CONDITION_FAILED)
        ek_encode_condition_failed(out, result.version);
    else if (result.status != EK_WIRE_OK)
        ek_encode_status(out, result.status, result.text);
    else if (code == EK_OPERATION_GET)
        ek_encode_get(out,
                      &(struct ek_entry){
                          .value = result.value, .version = result.version, .has_ttl = result.has_ttl, .ttl_ms = result.ttl_ms});
    else if (code == EK_OPERATION_INCREMENT || code == EK_OPERATION_DEAD_REPLAY)
        ek_encode_number(out, result.number);
    else if (code == EK_OPERATION_DEAD_LIST)
        status = recode_list(body, result.entries, out);
    else
        status = recode_scan(body, result.entries, out);
    if (ret_result)
        *ret_result = result;
    return status;
}
