#include "client/parts.h"

static const char *const no_broker = "no broker answered in time";
static const char *const queues_full = "the queues were full until the deadline";
static const char *const waited = "waited behind earlier jobs until the deadline";
static const char *const no_verdict = "no verdict in time: it may or may not be applied";

void ek_session_give_up(struct ek_session *session, struct ek_call *call, enum ek_outcome outcome, const char *text)
{
    call->state = EK_CALL_GIVEN_UP;
    call->outcome = (uint8_t)outcome;
    call->text = text;
    call->job->waiting--;
    STAILQ_INSERT_TAIL(&session->given_up, call, in_given_up);
}

/* Nobody waits for it any more. A number that was used has to be settled all the same. */
static void abandon(struct ek_session *session, struct ek_pending_job *job)
{
    if (job->number) {
        job->cancel = true;
        job->lane->unsettled_bytes -= job->lane_bytes;
        job->lane_bytes = 0;
        ek_session_strip_job(session, job);
        return;
    }
    /* What waited behind it may go. */
    ek_session_make_ready(session, job->lane);
    ek_session_detach(session, job);
    ek_session_free_job(session, job);
}

/* When something next happens to a call that waits: at its deadline, and again when its grace ends. */
static uint64_t next_us(const struct ek_call *call, uint64_t now_us)
{
    return call->deadline_us > now_us ? call->deadline_us : call->deadline_us + EK_GRACE_US;
}

void ek_session_arm_deadlines(struct ek_session *session, struct ek_pending_job *job, uint64_t now_us)
{
    uint64_t due_us = UINT64_MAX;
    struct ek_call *call;
    STAILQ_FOREACH(call, &job->calls, in_job)
    {
        if (call->state == EK_CALL_WAITS && next_us(call, now_us) < due_us)
            due_us = next_us(call, now_us);
    }
    ek_wheel_arm(&session->wheel, &job->timer, due_us);
}

/* Gives up the operations of a job that is not with the broker and whose deadline has passed, all in one go. */
static void give_up_late(struct ek_session *session, struct ek_pending_job *job, enum ek_outcome outcome, const char *text,
                         uint64_t now_us)
{
    struct ek_call *call;
    STAILQ_FOREACH(call, &job->calls, in_job)
    {
        if (call->state == EK_CALL_WAITS && call->deadline_us <= now_us)
            ek_session_give_up(session, call, outcome, text);
    }
    ek_session_drop_given_up(session, job);
    if (job->waiting == 0 && job != session->lobby)
        abandon(session, job);
    else
        ek_session_arm_deadlines(session, job, now_us);
}

/* Certain: it was never sent, or a read that was refused. */
static void end_unsent(struct ek_session *session, struct ek_pending_job *job, uint64_t now_us)
{
    struct ek_lane *lane = job->lane;
    if (!lane || ek_session_is_silent(session, now_us))
        give_up_late(session, job, EK_OUTCOME_UNAVAILABLE, session->refusal[0] ? session->refusal : no_broker, now_us);
    else if (job->tries > job->refusals)
        give_up_late(session, job, EK_OUTCOME_UNKNOWN, no_verdict, now_us);
    else if (job->refusals || lane->busy)
        give_up_late(session, job, EK_OUTCOME_BUSY, queues_full, now_us);
    else
        give_up_late(session, job, EK_OUTCOME_EXPIRED, waited, now_us);
}

/* Gives up the operations of a job that is with the broker and whose grace has ended; returns whether there were any. */
static bool end_grace(struct ek_session *session, struct ek_pending_job *job, uint64_t now_us)
{
    bool ended = false;
    struct ek_call *call;
    STAILQ_FOREACH(call, &job->calls, in_job)
    {
        if (call->state != EK_CALL_WAITS || call->deadline_us > now_us || now_us - call->deadline_us < EK_GRACE_US)
            continue;
        ek_session_give_up(session, call, EK_OUTCOME_UNKNOWN, no_verdict);
        ended = true;
    }
    return ended;
}

void ek_session_pass_deadline(struct ek_session *session, struct ek_pending_job *job, uint64_t now_us)
{
    if (!job->number && !job->out) {
        end_unsent(session, job, now_us);
        return;
    }
    bool ended = end_grace(session, job, now_us);
    if (job->waiting == 0) {
        abandon(session, job);
        return;
    }
    ek_session_arm_deadlines(session, job, now_us);
    /* Refused until now, it goes again at once, as a cancellation, for which queues have room beyond their limits. */
    if (!ended && job->number && !job->out && job->deadline_us <= now_us) {
        job->lane->hold_until_us = 0;
        ek_session_make_ready(session, job->lane);
    }
}

static void end_job(struct ek_session *session, struct ek_pending_job *job, enum ek_outcome unsent, const char *text)
{
    bool sent = job->tries > 0;
    struct ek_call *call;
    STAILQ_FOREACH(call, &job->calls, in_job)
    {
        if (call->state == EK_CALL_WAITS)
            ek_session_give_up(session, call, sent ? EK_OUTCOME_UNKNOWN : unsent, text);
    }
    if (job->lane)
        ek_session_detach(session, job);
    ek_session_free_job(session, job);
}

static void end_jobs(struct ek_session *session, struct ek_jobs *jobs, enum ek_outcome unsent, const char *text)
{
    for (struct ek_pending_job *job; (job = TAILQ_FIRST(jobs));)
        end_job(session, job, unsent, text);
}

void ek_session_give_up_all(struct ek_session *session, enum ek_outcome unsent, const char *text)
{
    ek_session_place_staged(session);
    if (session->lobby)
        end_job(session, session->lobby, unsent, text);
    session->lobby = NULL;
    for (uint32_t i = 0; session->lanes && i < session->welcome.shards; i++) {
        struct ek_lane *lane = &session->lanes[i];
        end_jobs(session, &lane->unsettled, unsent, text);
        end_jobs(session, &lane->writes, unsent, text);
        end_jobs(session, &lane->reads, unsent, text);
    }
    /* Only reads are left in flight, in no lane's list. */
    for (struct ek_pending_job *job; (job = TAILQ_FIRST(&session->in_flight));)
        end_job(session, job, unsent, text);
}
