#include "tests/sim/thin.h"

#include "common/codec.h"
#include "common/operations.h"
#include "common/writer.h"
#include "tests/sim/history.h"
#include "tests/sim/net.h"

#include <stdlib.h>
#include <string.h>

enum { PATIENCE_MS = 2500, VALUE_TEXT_MAX = 32 };

struct sim_thin {
    struct ek_socket *socket;
    uint64_t last_id;
};

struct sim_thin *sim_thin_open(const char *endpoint)
{
    struct sim_thin *thin = ek_alloc_zero(1, sizeof *thin);
    if (ek_socket_open(NULL, EK_SOCKET_DEALER, &thin->socket) != EK_OK || ek_socket_connect(thin->socket, endpoint, NULL) != EK_OK)
        sim_fail("a thin client cannot connect");
    return thin;
}

static struct ek_operation operation_of(unsigned tag, const struct check_step *step, char *text)
{
    static const enum ek_operation_code codes[] = {EK_OPERATION_PUT, EK_OPERATION_DELETE, EK_OPERATION_EXISTS,
                                                   EK_OPERATION_INCREMENT, EK_OPERATION_GET};
    struct ek_operation operation = {.code = codes[step->kind], .key = ek_slice_text(sim_key(tag, step->key))};
    (void)snprintf(text, VALUE_TEXT_MAX, "v%lld", (long long)step->value);
    operation.value = ek_slice_text(text);
    operation.ttl_ms = step->ttl_ms;
    operation.condition = step->condition == CHECK_IF_ABSENT    ? EK_CONDITION_ABSENT
                          : step->condition == CHECK_IF_VERSION ? EK_CONDITION_VERSION
                                                                : EK_CONDITION_NONE;
    operation.version = step->if_version;
    operation.by = step->value;
    return operation;
}

static void send_job(struct sim_thin *thin, const struct ek_operation *operation, bool writes, uint32_t deadline_ms)
{
    struct ek_buffer body = {0};
    struct ek_envelope envelope = {0};
    ek_write_array(&body, 1);
    ek_encode_operation(&body, operation);
    struct ek_job job = {.id = ++thin->last_id,
                         .kind = writes ? EK_JOB_WRITE : EK_JOB_READ,
                         .deadline_ms = deadline_ms,
                         .body = ek_buffer_slice(&body),
                         .count = 1};
    ek_encode_job(&envelope, &job);
    struct ek_owned message = ek_envelope_seal(&envelope, EK_MESSAGE_JOBS, NULL);
    if (ek_socket_send(thin->socket, 0, message) == EK_AGAIN)
        free(message.memory);
    ek_buffer_done(&body);
}

/* From a reply to what the library would have made of it. */
static void take_reply(struct sim_call *call, const struct ek_operation *operation, const struct ek_reply *reply)
{
    struct ek_completion completion = {.outcome = (enum ek_outcome)reply->status, .text = ""};
    struct ek_result result = {0};
    struct ek_reader body = ek_reader_of(reply->body);
    if (reply->status > EK_WIRE_DEAD || reply->status == EK_WIRE_FORGOTTEN)
        sim_fail("a thin client was answered %s", ek_wire_status_name(reply->status));
    if (reply->status == EK_WIRE_OK && reply->body.data) {
        if (ek_read_array(&body) != 1 || ek_decode_result(&body, operation->code, &result) != EK_OK)
            sim_fail("a thin client cannot read its reply");
        completion.outcome = (enum ek_outcome)result.status;
        completion.version = result.version;
        completion.number = result.number;
        completion.reading =
            (struct ek_reading){.value = result.value.data, .value_size = result.value.size, .version = result.version};
    }
    if (call->call.writes)
        call->call.order = reply->position;
    if (completion.outcome == EK_OUTCOME_OK && call->call.writes)
        completion.version = reply->position;
    sim_history_end(call, &completion, 1);
}

/* True when the reply to the last job was in it. */
static bool take_message(struct sim_thin *thin, struct ek_slice message, struct sim_call *call,
                         const struct ek_operation *operation)
{
    enum ek_message_type type;
    struct ek_reader fields;
    uint32_t count;
    if (ek_decode_type(message, &type, &fields) != EK_OK || type != EK_MESSAGE_REPLIES ||
        ek_decode_count(&fields, EK_ENVELOPE_JOBS_MAX, &count) != EK_OK) {
        sim_fail("a thin client was sent something else than replies");
        return true;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct ek_reply reply;
        if (ek_decode_reply(&fields, &reply) != EK_OK)
            sim_fail("a thin client cannot read a reply");
        else if (reply.id == thin->last_id) {
            take_reply(call, operation, &reply);
            return true;
        }
    }
    return false;
}

void sim_thin_call(struct sim_thin *thin, unsigned session, unsigned tag, const struct check_step *step)
{
    char text[VALUE_TEXT_MAX];
    struct sim_call *call = sim_history_begin(session, tag, 1);
    struct ek_operation operation = operation_of(tag, step, text);
    call->steps[0] = *step;
    if (step->kind != CHECK_GET && step->kind != CHECK_EXISTS)
        sim_history_writes(call, true);
    send_job(thin, &operation, call->call.writes, sim_chance(50) ? (uint32_t)sim_between(1, 1000) : 0);
    for (uint64_t until_us = sim_now_us() + PATIENCE_MS * UINT64_C(1000); sim_now_us() < until_us;) {
        struct ek_poll_item item = {.socket = thin->socket};
        struct ek_frame frame;
        (void)!ek_poll(&item, 1, (int64_t)((until_us - sim_now_us()) / 1000 + 1));
        if (ek_socket_receive(thin->socket, &frame, NULL) != EK_OK)
            continue;
        bool answered = take_message(thin, ek_frame_bytes(&frame), call, &operation);
        ek_frame_done(&frame);
        if (answered)
            return;
    }
    sim_history_answered(call, EK_OUTCOME_UNKNOWN);
}
