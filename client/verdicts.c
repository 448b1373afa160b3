#include "client/parts.h"

/* ---- in and out of flight ---- */

void ek_session_take_back(struct ek_session *session, struct ek_pending_job *job)
{
    struct ek_lane *lane = job->lane;
    ek_session_land(session, job);
    if (job->kind == EK_JOB_READ) {
        lane->reads_in_flight--;
        job->queued = true;
        TAILQ_INSERT_HEAD(&lane->reads, job, in_lane);
    } else {
        lane->resends++;
        lane->writes_in_flight--;
    }
    ek_session_make_ready(session, lane);
}

void ek_session_detach(struct ek_session *session, struct ek_pending_job *job)
{
    struct ek_lane *lane = job->lane;
    bool read = job->kind == EK_JOB_READ;
    if (job->id)
        ek_table_remove(&session->by_id, &job->by_id);
    job->id = 0;
    bool was_out = job->out;
    if (was_out)
        ek_session_land(session, job);
    if (job->queued)
        TAILQ_REMOVE(read ? &lane->reads : &lane->writes, job, in_lane);
    else if (read)
        lane->reads_in_flight--;
    else {
        TAILQ_REMOVE(&lane->unsettled, job, in_lane);
        lane->resends -= !was_out;
        lane->writes_in_flight = (uint16_t)(lane->writes_in_flight - was_out);
        lane->unsettled_bytes -= job->lane_bytes;
        job->lane_bytes = 0;
        job->number = 0;
    }
    job->queued = false;
}

void ek_session_resend_all(struct ek_session *session)
{
    for (struct ek_pending_job *job; (job = TAILQ_LAST(&session->in_flight, ek_jobs));)
        ek_session_take_back(session, job);
    for (uint32_t i = 0; i < session->welcome.shards; i++) {
        struct ek_lane *lane = &session->lanes[i];
        if (lane->hold_until_us)
            ek_session_make_ready(session, lane);
        lane->hold_until_us = 0;
        lane->refusals = 0;
        lane->window = EK_UNSETTLED_MAX;
    }
}

/* ---- settled ---- */

/* Once nothing is left under the forgotten producer the lane may take a new one. */
static void end_forgotten(struct ek_lane *lane)
{
    if (!lane->forgotten || !TAILQ_EMPTY(&lane->unsettled))
        return;
    lane->forgotten = false;
    lane->producer = 0;
}

/*
 * How many writes may be in flight. What was carried out makes room for more; what expired in a queue tells that it is too long for
 * the deadlines that are asked for, and a number that was only used up tells nothing.
 */
static void adapt_window(struct ek_lane *lane, const struct ek_pending_job *job, enum ek_wire_status status)
{
    uint32_t window = lane->window;
    if (status != EK_WIRE_EXPIRED)
        window++;
    else if (!job->cancel)
        window /= 2;
    lane->window = (uint16_t)(window < 1 ? 1 : window < EK_UNSETTLED_MAX ? window : EK_UNSETTLED_MAX);
}

static bool has_something_to_send(const struct ek_lane *lane)
{
    return lane->resends || !TAILQ_EMPTY(&lane->writes) || !TAILQ_EMPTY(&lane->reads);
}

static void settle(struct ek_session *session, struct ek_pending_job *job, const struct ek_reply *reply)
{
    struct ek_lane *lane = job->lane;
    ek_session_detach(session, job);
    ek_wheel_disarm(&session->wheel, &job->timer);
    bool never_queued = job->sends > 0 && job->refusals >= job->sends;
    job->status = job->cancel && reply->status == EK_WIRE_EXPIRED && never_queued ? EK_WIRE_BUSY : reply->status;
    job->position = reply->position;
    job->results = reply->body;
    TAILQ_INSERT_TAIL(&session->finished, job, in_progress);
    lane->refusals = 0;
    lane->busy = false;
    adapt_window(lane, job, reply->status);
    lane->probe_us = EK_PROBE_US;
    session->patience_us = EK_SILENCE_US;
    end_forgotten(lane);
    if (has_something_to_send(lane))
        ek_session_make_ready(session, lane);
}

/* ---- refused: to be sent again ---- */

/*
 * Holds the lane back: for `base_us` in the first round of refusals (0: not at all), then for ever longer. What had been sent
 * before the round began belongs to it, so that a row of refusals counts once.
 */
static void hold(struct ek_session *session, struct ek_pending_job *job, uint64_t base_us, uint64_t now_us)
{
    struct ek_lane *lane = job->lane;
    if (job->sent_serial <= lane->refused_serial)
        return;
    lane->refused_serial = session->send_serial;
    uint32_t rounds = lane->refusals++;
    if (base_us == 0) {
        if (rounds == 0)
            return;
        base_us = EK_HOLD_MIN_US;
        rounds--;
    }
    uint64_t most_us = base_us > EK_HOLD_MAX_US ? base_us : EK_HOLD_MAX_US;
    uint64_t wait_us = rounds < 10 ? base_us << rounds : most_us;
    lane->hold_until_us = now_us + ek_session_jitter(session, wait_us < most_us ? wait_us : most_us);
    ek_session_wake_at(session, lane, lane->hold_until_us);
}

static void refuse(struct ek_session *session, struct ek_pending_job *job, const struct ek_reply *reply, uint64_t now_us)
{
    if (!job->out)
        return;
    bool busy = reply->status == EK_WIRE_BUSY;
    uint32_t hint_ms = reply->retry_ms < EK_HOLD_HINT_MAX_MS ? reply->retry_ms : EK_HOLD_HINT_MAX_MS;
    uint64_t base_us = (uint64_t)hint_ms * 1000 > EK_HOLD_MIN_US ? (uint64_t)hint_ms * 1000 : EK_HOLD_MIN_US;
    job->refusals += busy && !job->cancel;
    job->lane->busy = busy;
    if (busy) /* one finds out whether there is room, and not all at once */
        job->lane->window = 1;
    session->counters.busy_jobs += busy;
    ek_session_take_back(session, job);
    hold(session, job, base_us, now_us);
}

/* ---- sent before ---- */

/* Everything from the awaited number on that left before the refused job did is lost or refused: it goes first. */
static void rewind_lane(struct ek_session *session, struct ek_lane *lane, uint64_t awaited, uint64_t sent_serial)
{
    struct ek_pending_job *job;
    TAILQ_FOREACH(job, &lane->unsettled, in_lane)
    {
        if (job->number >= awaited && job->out && job->sent_serial < sent_serial)
            ek_session_take_back(session, job);
    }
}

/* ---- forgotten ---- */

/* Back to the queue, as if it had never been sent. */
static void requeue(struct ek_session *session, struct ek_pending_job *job)
{
    struct ek_lane *lane = job->lane;
    ek_session_detach(session, job);
    ek_session_drop_given_up(session, job);
    if (job->waiting == 0) {
        ek_session_free_job(session, job);
        return;
    }
    job->tries = job->sends = job->refusals = 0;
    job->closed = job->queued = true;
    struct ek_pending_job *later = TAILQ_FIRST(&lane->writes);
    while (later && later->serial < job->serial)
        later = TAILQ_NEXT(later, in_lane);
    if (later)
        TAILQ_INSERT_BEFORE(later, job, in_lane);
    else
        TAILQ_INSERT_TAIL(&lane->writes, job, in_lane);
}

/* How many of its sends may have reached a worker; the one that is answered now is among them. */
static uint32_t doubtful_sends(const struct ek_pending_job *job)
{
    return job->sends - job->refusals;
}

/* The lane takes a new producer as soon as nothing is left under the present one. */
static void renew_producer(struct ek_session *session, struct ek_pending_job *job, uint64_t now_us)
{
    struct ek_lane *lane = job->lane;
    if (lane->forgotten)
        return;
    lane->forgotten = true;
    lane->producer_wanted = session->producer_wanted = session->hello_id + 1;
    hold(session, job, 0, now_us);
}

/*
 * The worker no longer knows the lane's producer. A job of which one copy was sent, which is the one answered here, was not applied
 * and goes out under a new producer; so does what was only ever refused. Others in flight wait for their own answer. One that was
 * taken back and is answered all the same may have arrived twice: a connection that breaks does not say what came through.
 */
static void forget(struct ek_session *session, struct ek_pending_job *job, uint64_t now_us)
{
    struct ek_lane *lane = job->lane;
    bool certain = job->out && doubtful_sends(job) <= 1;
    renew_producer(session, job, now_us);
    rewind_lane(session, lane, 0, job->sent_serial);
    if (certain && !job->cancel)
        requeue(session, job);
    else
        settle(session, job, &(struct ek_reply){.status = EK_WIRE_FORGOTTEN});
    for (struct ek_pending_job *other = TAILQ_FIRST(&lane->unsettled), *next; other; other = next) {
        next = TAILQ_NEXT(other, in_lane);
        if (!other->out && !other->cancel && doubtful_sends(other) == 0)
            requeue(session, other);
    }
    end_forgotten(lane);
    ek_session_make_ready(session, lane);
}

/* ---- gaps ---- */

static void close_gap(struct ek_session *session, struct ek_pending_job *job, uint64_t awaited, uint64_t now_us)
{
    bool read = job->kind == EK_JOB_READ;
    if (!job->out)
        return;
    if (!read && (awaited == 0 || awaited > job->number)) {
        session->counters.unreadable++;
        return;
    }
    /* The numbers below `lowest_sent` had been answered: a worker that awaits one of them has lost its memory of this producer. */
    if (!read && awaited < job->lowest_sent) {
        forget(session, job, now_us);
        return;
    }
    if (awaited)
        rewind_lane(session, job->lane, awaited, job->sent_serial);
    ek_session_take_back(session, job);
    hold(session, job, 0, now_us);
}

/* ---- rejected ---- */

/* A cancellation that uses up the number of a job that the broker would not take. */
static void fill_number(struct ek_session *session, struct ek_pending_job *job, enum ek_wire_status cause)
{
    struct ek_lane *lane = job->lane;
    struct ek_pending_job *filler = ek_session_take_job(session, lane, EK_JOB_WRITE);
    filler->cancel = filler->closed = true;
    filler->cause = cause;
    filler->number = job->number;
    filler->serial = job->serial;
    filler->tries = 1;
    filler->id = ++session->last_id;
    ek_table_add(&session->by_id, &filler->by_id, filler->id);
    TAILQ_INSERT_AFTER(&lane->unsettled, job, filler, in_lane);
    lane->resends++;
}

/* The broker did not queue a numbered job and never will: its number must not become a hole. */
static void reject(struct ek_session *session, struct ek_pending_job *job, const struct ek_reply *reply)
{
    if (!job->out)
        return;
    if (doubtful_sends(job) <= 1) {
        fill_number(session, job, reply->status);
        settle(session, job, reply);
        return;
    }
    /* An earlier copy may be applied: the cancellation's verdict tells. */
    job->cancel = true;
    job->cause = reply->status;
    ek_session_take_back(session, job);
}

void ek_session_judge(struct ek_session *session, struct ek_pending_job *job, const struct ek_reply *reply, uint64_t now_us)
{
    bool numbered = job->kind != EK_JOB_READ && !job->cancel;
    switch (reply->status) {
    case EK_WIRE_BUSY:
    case EK_WIRE_UNAVAILABLE:
        refuse(session, job, reply, now_us);
        return;
    case EK_WIRE_GAP:
        close_gap(session, job, reply->position, now_us);
        return;
    case EK_WIRE_FORGOTTEN:
        if (job->kind != EK_JOB_READ) {
            forget(session, job, now_us);
            return;
        }
        if (job->out) /* the writes that it waits for have been forgotten as well, and their answers are lost */
            rewind_lane(session, job->lane, 0, job->sent_serial);
        close_gap(session, job, 0, now_us);
        return;
    case EK_WIRE_USAGE:
    case EK_WIRE_DENIED:
    case EK_WIRE_TOO_LARGE:
        if (numbered)
            reject(session, job, reply);
        else
            settle(session, job, reply);
        return;
    case EK_WIRE_UNKNOWN: /* mostly because its producer was forgotten, and what comes behind it would fare alike */
        if (job->kind != EK_JOB_READ)
            renew_producer(session, job, now_us);
        settle(session, job, reply);
        return;
    case EK_WIRE_OK:
    case EK_WIRE_CONDITION_FAILED:
    case EK_WIRE_EXPIRED:
    case EK_WIRE_FAILED:
    case EK_WIRE_DEAD:
        settle(session, job, reply);
        return;
    case EK_WIRE_NOT_FOUND:
    case EK_WIRE_STALE:
    case EK_WIRE_OUT_OF_ORDER:
    case EK_WIRE_ALONE:
    case EK_WIRE_STATUS_COUNT:
        break;
    }
    session->counters.unreadable++;
}
