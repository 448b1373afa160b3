#include "client/parts.h"

#include "common/codec.h"

#include <string.h>

enum { REPLIES_AT_ONCE = 16 };

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

static void take_welcome(struct ek_session *session, const struct ek_welcome *welcome)
{
    if (welcome->id <= session->welcome.id || welcome->id > session->hello_id) {
        session->counters.stray++;
        return;
    }
    const struct ek_welcome known = session->welcome;
    if (known.id && !is_same_store(&known, welcome)) {
        session->foreign = true;
        ek_session_give_up_all(session, EK_OUTCOME_FAILED, "the broker at this endpoint is now another cluster's");
        return;
    }
    session->welcome = *welcome;
    session->refusal[0] = 0;
    if (known.id == 0)
        open_lanes(session);
    else if (known.generation != welcome->generation || known.connection != welcome->connection)
        ek_session_resend_all(session);
    adopt_producer(session, welcome);
}

/* ---- REPLIES, ANSWER ---- */

static bool has_id(const struct ek_table_link *item, const void *id)
{
    return EK_ITEM(item, const struct ek_pending_job, by_id)->id == *(const uint64_t *)id;
}

static struct ek_pending_job *job_of(const struct ek_session *session, uint64_t id)
{
    struct ek_table_link *link = ek_table_find(&session->by_id, id, has_id, &id);
    return link ? EK_ITEM(link, struct ek_pending_job, by_id) : NULL;
}

static void take_reply(struct ek_session *session, const struct ek_reply *reply, uint64_t now_us)
{
    struct ek_pending_job *job = job_of(session, reply->id);
    if (job)
        ek_session_judge(session, job, reply, now_us);
    else
        session->counters.stray++;
}

static void take_answer(struct ek_session *session, const struct ek_answer *answer)
{
    if (answer->id != session->query_id || session->query_answered) {
        session->counters.stray++;
        return;
    }
    session->query_answered = true;
    session->answer_outcome = answer->status <= EK_WIRE_DEAD ? (enum ek_outcome)answer->status : EK_OUTCOME_UNKNOWN;
    ek_buffer_clear(&session->answer);
    ek_buffer_append(&session->answer, answer->text.data, answer->text.size);
}

/* ---- whose they are ---- */

static void hear(struct ek_session_set *set, struct ek_session *session, uint64_t now_us)
{
    if (session->heard || session->foreign)
        return;
    session->heard = true;
    session->received_us = now_us;
    set->heard[set->heard_count++] = session->options.ids.slot;
}

/* The session to which the id is addressed, in place of which it gets the session's own; NULL: nobody any more. */
static struct ek_session *addressee(struct ek_session_set *set, uint64_t *id, uint64_t now_us)
{
    uint64_t slot = *id >> EK_SLOT_SHIFT;
    uint64_t number = *id - (slot << EK_SLOT_SHIFT);
    struct ek_session *session = slot < set->count ? set->sessions[slot] : NULL;
    if (!session || number <= session->options.ids.first)
        return NULL;
    *id = number - session->options.ids.first;
    hear(set, session, now_us);
    return session->foreign ? NULL : session;
}

static enum ek_status deliver_welcome(struct ek_session_set *set, struct ek_reader *fields, uint64_t now_us)
{
    struct ek_welcome welcome;
    enum ek_status status = ek_decode_welcome(fields, &welcome);
    struct ek_session *session = status == EK_OK ? addressee(set, &welcome.id, now_us) : NULL;
    if (session)
        take_welcome(session, &welcome);
    return status;
}

struct arrival {
    struct ek_session *session;
    struct ek_reply reply;
};

static void expect_around(const struct ek_pending_job *job)
{
    ek_session_expect_bytes(job->lane, offsetof(struct ek_lane, wake));
    __builtin_prefetch(STAILQ_FIRST(&job->calls), 1);
    __builtin_prefetch(TAILQ_NEXT(job, in_progress), 1);
    __builtin_prefetch(job->in_progress.tqe_prev, 1);
    __builtin_prefetch(job->timer.link, 1);
}

/* With many jobs under way, or many sessions, nothing of what the replies are about is in the cache: it is fetched for all of them
 * at once, a step further in each round. */
static void expect_jobs(const struct arrival *arrivals, size_t count)
{
    const struct ek_pending_job *jobs[REPLIES_AT_ONCE];
    for (size_t i = 0; i < count; i++)
        ek_table_expect(&arrivals[i].session->by_id, arrivals[i].reply.id);
    for (size_t i = 0; i < count; i++)
        (void)ek_table_expect_item(&arrivals[i].session->by_id, arrivals[i].reply.id);
    for (size_t i = 0; i < count; i++) {
        jobs[i] = job_of(arrivals[i].session, arrivals[i].reply.id);
        if (jobs[i])
            ek_session_expect_bytes(jobs[i], sizeof *jobs[i]);
    }
    for (size_t i = 0; i < count; i++)
        if (jobs[i])
            expect_around(jobs[i]);
}

static void take_arrivals(const struct arrival *arrivals, size_t count, uint64_t now_us)
{
    expect_jobs(arrivals, count);
    for (size_t i = 0; i < count; i++)
        take_reply(arrivals[i].session, &arrivals[i].reply, now_us);
}

static enum ek_status deliver_replies(struct ek_session_set *set, struct ek_reader *fields, uint64_t now_us)
{
    struct arrival arrivals[REPLIES_AT_ONCE];
    size_t arrived = 0;
    uint32_t count;
    enum ek_status status = ek_decode_count(fields, EK_ENVELOPE_JOBS_MAX, &count);
    for (uint32_t i = 0; status == EK_OK && i < count; i++) {
        struct arrival *next = &arrivals[arrived];
        status = ek_decode_reply(fields, &next->reply);
        next->session = status == EK_OK ? addressee(set, &next->reply.id, now_us) : NULL;
        arrived += next->session != NULL;
        if (arrived == REPLIES_AT_ONCE) {
            take_arrivals(arrivals, arrived, now_us);
            arrived = 0;
        }
    }
    take_arrivals(arrivals, arrived, now_us);
    return status == EK_OK ? ek_decode_end(fields) : status;
}

static enum ek_status deliver_answer(struct ek_session_set *set, struct ek_reader *fields, uint64_t now_us)
{
    struct ek_answer answer;
    enum ek_status status = ek_decode_answer(fields, &answer);
    struct ek_session *session = status == EK_OK ? addressee(set, &answer.id, now_us) : NULL;
    if (session)
        take_answer(session, &answer);
    return status;
}

/* It says of the connection what is wrong, not of one session. */
static enum ek_status deliver_error(struct ek_session_set *set, struct ek_reader *fields, uint64_t now_us)
{
    struct ek_refusal refusal;
    enum ek_status status = ek_decode_refusal(fields, &refusal);
    for (uint32_t i = 0; status == EK_OK && i < set->count; i++) {
        struct ek_session *session = set->sessions[i];
        if (!session || session->foreign)
            continue;
        hear(set, session, now_us);
        memcpy(session->refusal, refusal.text, sizeof session->refusal);
    }
    return status;
}

static enum ek_status deliver(struct ek_session_set *set, struct ek_slice message, uint64_t now_us)
{
    enum ek_message_type type;
    struct ek_reader fields;
    enum ek_status status = ek_decode_type(message, &type, &fields);
    if (status != EK_OK)
        return status;
    switch (type) {
    case EK_MESSAGE_WELCOME:
        return deliver_welcome(set, &fields, now_us);
    case EK_MESSAGE_REPLIES:
        return deliver_replies(set, &fields, now_us);
    case EK_MESSAGE_ANSWER:
        return deliver_answer(set, &fields, now_us);
    case EK_MESSAGE_ERROR:
        return deliver_error(set, &fields, now_us);
    default:
        return EK_MALFORMED;
    }
}

void ek_session_set_receive(struct ek_session_set *set, struct ek_slice message, uint64_t now_us)
{
    set->heard_count = 0;
    bool readable = deliver(set, message, now_us) == EK_OK;
    for (uint32_t i = 0; !readable && i < set->count; i++)
        if (set->sessions[i])
            set->sessions[i]->counters.unreadable++;
    for (uint32_t i = 0; i < set->heard_count; i++)
        set->sessions[set->heard[i]]->heard = false;
}

void ek_session_receive(struct ek_session *session, struct ek_slice message, uint64_t now_us)
{
    uint32_t heard;
    struct ek_session_set alone = {.sessions = &session, .count = 1, .heard = &heard};
    ek_session_set_receive(&alone, message, now_us);
}
