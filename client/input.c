#include "client/parts.h"

#include "common/codec.h"

#include <string.h>

/* ---- WELCOME ---- */

static void open_lanes(struct ek_session *session)
{
    ek_sweep_init(&session->ready, session->welcome.shards);
    session->lanes = ek_alloc_aligned(alignof(struct ek_lane), session->welcome.shards * sizeof *session->lanes);
    for (uint32_t i = 0; i < session->welcome.shards; i++) {
        struct ek_lane *lane = &session->lanes[i];
        lane->shard = (uint16_t)i;
        lane->probe_us = EK_PROBE_US;
        lane->window = EK_WINDOW_FIRST;
        lane->wake.kind = EK_TIMER_LANE;
        TAILQ_INIT(&lane->writes);
        TAILQ_INIT(&lane->reads);
        TAILQ_INIT(&lane->unsettled);
    }
    ek_session_empty_lobby(session);
}

static void adopt_producer(struct ek_session *session, const struct ek_welcome *welcome)
{
    if (welcome->producer == 0 || welcome->id < session->producer_wanted || session->producer_from >= session->producer_wanted)
        return;
    session->producer = welcome->producer;
    session->producer_from = welcome->id;
    for (uint32_t i = 0; i < session->welcome.shards; i++)
        if (!TAILQ_EMPTY(&session->lanes[i].writes))
            ek_session_make_ready(session, &session->lanes[i]);
}

static bool is_same_store(const struct ek_welcome *a, const struct ek_welcome *b)
{
    return memcmp(a->cluster.bytes, b->cluster.bytes, sizeof a->cluster.bytes) == 0 && a->shards == b->shards;
}

static enum ek_status take_welcome(struct ek_session *session, struct ek_reader *fields)
{
    struct ek_welcome welcome;
    enum ek_status status = ek_decode_welcome(fields, &welcome);
    if (status != EK_OK)
        return status;
    if (welcome.id <= session->welcome.id || welcome.id > session->hello_id) {
        session->counters.stray++;
        return EK_OK;
    }
    const struct ek_welcome known = session->welcome;
    if (known.id && !is_same_store(&known, &welcome)) {
        session->foreign = true;
        ek_session_give_up_all(session, EK_OUTCOME_FAILED, "the broker at this endpoint is now another cluster's");
        return EK_OK;
    }
    session->welcome = welcome;
    session->refusal[0] = 0;
    if (known.id == 0)
        open_lanes(session);
    else if (known.generation != welcome.generation || known.connection != welcome.connection)
        ek_session_resend_all(session);
    adopt_producer(session, &welcome);
    return EK_OK;
}

/* ---- REPLIES, ANSWER, ERROR ---- */

static bool has_id(const struct ek_table_link *item, const void *id)
{
    return EK_ITEM(item, const struct ek_pending_job, by_id)->id == *(const uint64_t *)id;
}

static enum ek_status take_replies(struct ek_session *session, struct ek_reader *fields, uint64_t now_us)
{
    uint32_t count;
    enum ek_status status = ek_decode_count(fields, EK_ENVELOPE_JOBS_MAX, &count);
    for (uint32_t i = 0; status == EK_OK && i < count; i++) {
        struct ek_reply reply;
        status = ek_decode_reply(fields, &reply);
        if (status != EK_OK)
            break;
        struct ek_table_link *link = ek_table_find(&session->by_id, reply.id, has_id, &reply.id);
        if (link)
            ek_session_judge(session, EK_ITEM(link, struct ek_pending_job, by_id), &reply, now_us);
        else
            session->counters.stray++;
    }
    return status == EK_OK ? ek_decode_end(fields) : status;
}

static enum ek_status take_answer(struct ek_session *session, struct ek_reader *fields)
{
    struct ek_answer answer;
    enum ek_status status = ek_decode_answer(fields, &answer);
    if (status != EK_OK)
        return status;
    if (answer.id != session->query_id || session->query_answered) {
        session->counters.stray++;
        return EK_OK;
    }
    session->query_answered = true;
    session->answer_outcome = answer.status <= EK_WIRE_DEAD ? (enum ek_outcome)answer.status : EK_OUTCOME_UNKNOWN;
    ek_buffer_clear(&session->answer);
    ek_buffer_append(&session->answer, answer.text.data, answer.text.size);
    return EK_OK;
}

static enum ek_status take_error(struct ek_session *session, struct ek_reader *fields)
{
    struct ek_refusal refusal;
    enum ek_status status = ek_decode_refusal(fields, &refusal);
    if (status == EK_OK)
        memcpy(session->refusal, refusal.text, sizeof session->refusal);
    return status;
}

void ek_session_receive(struct ek_session *session, struct ek_slice message, uint64_t now_us)
{
    enum ek_message_type type;
    struct ek_reader fields;
    enum ek_status status = ek_decode_type(message, &type, &fields);
    if (session->foreign)
        return;
    session->received_us = now_us;
    if (status == EK_OK && type == EK_MESSAGE_WELCOME)
        status = take_welcome(session, &fields);
    else if (status == EK_OK && type == EK_MESSAGE_REPLIES)
        status = take_replies(session, &fields, now_us);
    else if (status == EK_OK && type == EK_MESSAGE_ANSWER)
        status = take_answer(session, &fields);
    else if (status == EK_OK && type == EK_MESSAGE_ERROR)
        status = take_error(session, &fields);
    else
        status = EK_MALFORMED;
    session->counters.unreadable += status != EK_OK;
}
