#include "client/parts.h"

/* A transaction is a job by itself, which gains nothing by waiting: it counts once, as it does in what is pending. */
static uint32_t size_of(const struct ek_pending_job *job)
{
    return job->kind == EK_JOB_TRANSACTION ? 1 : job->operations;
}

static bool is_recent(const struct ek_session *session, const struct ek_pending_job *job)
{
    return session->recent && job->sent_serial >= session->recent->sent_serial;
}

void ek_session_take_off(struct ek_session *session, struct ek_pending_job *job, uint64_t now_us)
{
    job->sent_serial = ++session->send_serial;
    job->sent_us = now_us;
    job->out = true;
    TAILQ_INSERT_TAIL(&session->in_flight, job, in_progress);
    if (!session->recent)
        session->recent = job;
    session->recent_operations += size_of(job);
}

/* Of jobs in flight the first recent one; it is no longer. */
static void age(struct ek_session *session)
{
    session->recent_operations -= size_of(session->recent);
    session->recent = TAILQ_NEXT(session->recent, in_progress);
}

void ek_session_land(struct ek_session *session, struct ek_pending_job *job)
{
    if (job == session->recent)
        age(session);
    else if (is_recent(session, job))
        session->recent_operations -= size_of(job);
    if (job->sent_us > session->landed_us)
        session->landed_us = job->sent_us;
    TAILQ_REMOVE(&session->in_flight, job, in_progress);
    job->out = false;
}

static bool is_full(const struct ek_session *session)
{
    return session->recent_operations >= EK_FLIGHT_OPERATIONS_MIN && session->recent_operations >= session->pending_calls / 2;
}

/* Its worker is away, or slower than others. */
static bool is_late(const struct ek_session *session, const struct ek_pending_job *job, uint64_t now_us)
{
    return job->sent_us + EK_OVERTAKEN_US <= session->landed_us || job->sent_us + EK_FLIGHT_US <= now_us;
}

bool ek_session_flight_is_full(struct ek_session *session, uint64_t now_us)
{
    while (is_full(session) && is_late(session, session->recent, now_us))
        age(session);
    return is_full(session);
}

uint64_t ek_session_flight_due_us(const struct ek_session *session)
{
    return is_full(session) ? session->recent->sent_us + EK_FLIGHT_US : 0;
}
