#include "client/parts.h"

#include "common/codec.h"
#include "common/operations.h"

#include <stdlib.h>
#include <string.h>

/* ---- HELLO and QUERY ---- */

/* SplitMix64 (Steele, Lea and Flood, 2014). */
static uint64_t random_of(struct ek_session *session)
{
    session->random += 0x9e3779b97f4a7c15ull;
    uint64_t mixed = session->random;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9ull;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebull;
    return mixed ^ mixed >> 31;
}

uint64_t ek_session_jitter(struct ek_session *session, uint64_t time_us)
{
    return time_us - time_us / 4 + random_of(session) % (time_us / 2 + 1);
}

static bool producer_is_wanted(const struct ek_session *session)
{
    return session->producer_from < session->producer_wanted;
}

uint64_t ek_session_hello_due_us(const struct ek_session *session)
{
    if (session->foreign)
        return UINT64_MAX;
    if (session->asked)
        return 0;
    if (session->hello_id > session->welcome.id)
        return session->hello_sent_us + session->hello_wait_us;
    if (producer_is_wanted(session))
        return session->hello_id < session->producer_wanted ? 0 : session->hello_sent_us + session->hello_wait_us;
    const struct ek_pending_job *oldest = TAILQ_FIRST(&session->in_flight);
    if (!oldest)
        return UINT64_MAX;
    uint64_t since_us = oldest->sent_us > session->hello_sent_us ? oldest->sent_us : session->hello_sent_us;
    return since_us + session->patience_us;
}

bool ek_session_is_silent(const struct ek_session *session, uint64_t now_us)
{
    return session->hello_id > session->welcome.id && now_us >= session->received_us + EK_SILENCE_US;
}

static uint64_t twice(uint64_t time_us, uint64_t max_us)
{
    return time_us < max_us / 2 ? time_us * 2 : max_us;
}

static void put_hello(struct ek_session *session, uint64_t now_us, struct ek_owned *ret)
{
    bool repeated = session->hello_id > session->welcome.id;
    bool silence = !repeated && !session->asked && !producer_is_wanted(session);
    struct ek_hello hello = {.id = ek_session_wire_id(session, ++session->hello_id), .wants_producer = producer_is_wanted(session)};
    memcpy(hello.name, session->name, sizeof hello.name);
    uint64_t max_us = session->lanes ? EK_SILENCE_MAX_US : EK_HELLO_MAX_US;
    session->hello_wait_us = ek_session_jitter(session, repeated ? twice(session->hello_wait_us, max_us) : EK_HELLO_US);
    if (silence)
        session->patience_us = ek_session_jitter(session, twice(session->patience_us, EK_SILENCE_MAX_US));
    session->hello_sent_us = now_us;
    session->asked = false;
    session->counters.hellos++;
    struct ek_buffer message = {0};
    ek_encode_hello(&message, &hello);
    *ret = ek_owned_of(&message);
}

static void put_query(struct ek_session *session, struct ek_owned *ret)
{
    session->query_wanted = false;
    *ret = ek_owned_of(&session->question);
}

bool ek_session_farewell(struct ek_session *session, uint64_t now_us, struct ek_owned *ret)
{
    if (!session->lanes || session->foreign || ek_session_is_silent(session, now_us))
        return false;
    struct ek_closed *closed = ek_alloc_zero(session->welcome.shards, sizeof *closed);
    size_t count = 0;
    for (uint32_t i = 0; i < session->welcome.shards; i++)
        if (session->lanes[i].producer && session->lanes[i].last_number)
            closed[count++] = (struct ek_closed){.shard = (uint16_t)i, .producer = session->lanes[i].producer};
    if (count) {
        struct ek_buffer message = {0};
        ek_encode_close(&message, closed, count);
        *ret = ek_owned_of(&message);
    }
    free(closed);
    return count > 0;
}

/* ---- jobs ---- */

static uint32_t time_left_ms(const struct ek_pending_job *job, uint64_t now_us)
{
    if (job->deadline_us == UINT64_MAX)
        return 0;
    uint64_t left_ms = job->deadline_us > now_us ? (job->deadline_us - now_us + 999) / 1000 : 1;
    return left_ms <= EK_DEADLINE_MS_MAX ? (uint32_t)left_ms : 0;
}

static struct ek_route route_of(const struct ek_pending_job *job)
{
    struct ek_lane *lane = job->lane;
    struct ek_route route = {.present = true, .shard = lane->shard};
    bool read = job->kind == EK_JOB_READ;
    struct ek_pending_job *last = read ? TAILQ_LAST(&lane->unsettled, ek_jobs) : NULL;
    route.number = read ? (last ? last->number : 0) : job->number;
    route.producer = route.number ? lane->producer : 0;
    route.lowest = route.number ? TAILQ_FIRST(&lane->unsettled)->number : 0;
    route.repeated = !read && job->tries > 0;
    return route;
}

/* Appends `job` to the envelope and notes that it is in flight. */
static void send_job(struct ek_session *session, struct ek_pending_job *job, uint64_t now_us)
{
    bool read = job->kind == EK_JOB_READ;
    /* Sent again behind its deadline it could still be applied; a cancellation gets a verdict that is certain either way. */
    if (!read && job->tries > 0 && job->deadline_us <= now_us)
        job->cancel = true;
    struct ek_job wire = {.id = ek_session_wire_id(session, job->id),
                          .deadline_ms = job->cancel ? 0 : time_left_ms(job, now_us),
                          .route = route_of(job)};
    wire.kind = job->cancel ? EK_JOB_CANCEL : !read && job->deletes == job->operations ? EK_JOB_DELETE : job->kind;
    if (job->cancel) {
        ek_buffer_clear(&session->scratch);
        ek_encode_cause(&session->scratch, job->cause);
        wire.body = ek_buffer_slice(&session->scratch);
    } else
        wire.body = ek_session_body(session, job);
    ek_encode_job(&session->envelope, &wire);
    session->counters.resent_jobs += job->tries > 0;
    job->tries++;
    job->sends += !job->cancel;
    job->lowest_sent = wire.route.lowest;
    ek_session_take_off(session, job, now_us);
    job->lane->writes_in_flight = (uint16_t)(job->lane->writes_in_flight + !read);
}

/* The first send gives the id by which the reply is found. */
static void start_job(struct ek_session *session, struct ek_pending_job *job)
{
    TAILQ_REMOVE(job->kind == EK_JOB_READ ? &job->lane->reads : &job->lane->writes, job, in_lane);
    job->queued = false;
    job->closed = true;
    if (job->id)
        return;
    job->id = ++session->last_id;
    ek_table_add(&session->by_id, &job->by_id, job->id);
    session->counters.jobs++;
    session->counters.operations += job->operations;
}

/* A cancellation, which is soon done with, needs no room in the window. */
static bool resend_one(struct ek_session *session, struct ek_lane *lane, bool has_window, uint64_t now_us)
{
    struct ek_pending_job *job;
    TAILQ_FOREACH(job, &lane->unsettled, in_lane)
    {
        if (job->out)
            continue;
        if (!has_window && !job->cancel && job->deadline_us > now_us)
            return false;
        lane->resends--;
        send_job(session, job, now_us);
        return true;
    }
    return false;
}

/* True when the lane has a producer that may number one more job. */
static bool may_number(const struct ek_session *session, struct ek_lane *lane)
{
    const struct ek_pending_job *lowest = TAILQ_FIRST(&lane->unsettled);
    if (lane->forgotten)
        return false;
    if (lane->producer == 0) {
        if (session->producer == 0 || session->producer_from < lane->producer_wanted)
            return false;
        lane->producer = session->producer;
        lane->last_number = 0;
    }
    return !lowest || lane->last_number + 1 - lowest->number < EK_UNSETTLED_MAX;
}

static bool is_large(const struct ek_pending_job *job)
{
    return job->closed || job->operations >= EK_BATCH_LARGE_OPERATIONS || job->body.size >= EK_BATCH_LARGE_BYTES;
}

/* While a job of the lane is under way the next one grows, unless it is large already. */
static bool write_one(struct ek_session *session, struct ek_lane *lane, uint64_t now_us)
{
    struct ek_pending_job *job = TAILQ_FIRST(&lane->writes);
    if (!job || !may_number(session, lane))
        return false;
    if (!TAILQ_EMPTY(&lane->unsettled) && (!is_large(job) || lane->unsettled_bytes + job->counted_bytes > EK_LANE_BYTES_MAX))
        return false;
    start_job(session, job);
    job->number = ++lane->last_number;
    job->lane_bytes = job->counted_bytes;
    lane->unsettled_bytes += job->lane_bytes;
    TAILQ_INSERT_TAIL(&lane->unsettled, job, in_lane);
    send_job(session, job, now_us);
    return true;
}

/* A read leaves behind the writes that were submitted before it. */
static bool read_one(struct ek_session *session, struct ek_lane *lane, uint64_t now_us)
{
    struct ek_pending_job *job = TAILQ_FIRST(&lane->reads);
    struct ek_pending_job *write = TAILQ_FIRST(&lane->writes);
    if (!job || (write && write->serial <= job->serial) || lane->forgotten)
        return false;
    if (lane->reads_in_flight && (!is_large(job) || lane->reads_in_flight >= EK_LANE_READS_MAX))
        return false;
    start_job(session, job);
    lane->reads_in_flight++;
    send_job(session, job, now_us);
    return true;
}

/* Sends one job of the lane; false: it has none that may leave now. */
static bool send_one(struct ek_session *session, struct ek_lane *lane, uint64_t now_us)
{
    if (now_us < lane->hold_until_us)
        return false;
    bool has_window = lane->writes_in_flight < lane->window;
    if (lane->resends)
        return resend_one(session, lane, has_window, now_us);
    return (has_window && write_one(session, lane, now_us)) || read_one(session, lane, now_us);
}

static bool may_send_jobs(const struct ek_session *session, uint64_t now_us)
{
    if (!session->lanes || session->foreign || ek_session_is_silent(session, now_us))
        return false;
    return now_us >= session->linger_until_us || session->fresh_bytes >= EK_FRESH_BYTES_GOAL;
}

bool ek_session_output(struct ek_session *session, uint64_t now_us, struct ek_owned *ret)
{
    ek_session_place_staged(session);
    if (now_us >= ek_session_hello_due_us(session)) {
        put_hello(session, now_us, ret);
        return true;
    }
    if (session->query_wanted) {
        put_query(session, ret);
        return true;
    }
    if (!may_send_jobs(session, now_us))
        return false;
    if (session->ready.count)
        (void)ek_buffer_reserve(&session->envelope.bytes, session->envelope_bytes);
    for (uint32_t shard; !ek_envelope_full(&session->envelope) && !ek_session_flight_is_full(session, now_us) &&
                         ek_sweep_next(&session->ready, &shard);)
        if (!send_one(session, &session->lanes[shard], now_us))
            ek_sweep_remove(&session->ready, shard);
    if (session->ready.count == 0) {
        session->linger_until_us = 0;
        session->fresh_bytes = 0;
    }
    if (session->envelope.count == 0)
        return false;
    session->envelope_bytes = session->envelope.bytes.size;
    *ret = ek_envelope_seal(&session->envelope, EK_MESSAGE_JOBS, NULL);
    return true;
}
