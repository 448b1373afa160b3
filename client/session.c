#include "client/session.h"

#include "client/parts.h"
#include "common/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ek_session *ek_session_new(const struct ek_session_options *options, uint64_t now_us)
{
    struct ek_session *session = ek_alloc_zero(1, sizeof *session);
    session->options = *options;
    session->options.name = NULL;
    (void)snprintf(session->name, sizeof session->name, "%s", options->name ? options->name : "");
    session->random = options->seed;
    session->producer_wanted = 1;
    session->asked = true;
    session->patience_us = EK_SILENCE_US;
    session->received_us = now_us;
    session->read_goal = EK_READ_OPERATIONS_MAX;
    ek_wheel_init(&session->wheel, now_us);
    TAILQ_INIT(&session->in_flight);
    TAILQ_INIT(&session->finished);
    TAILQ_INIT(&session->free_jobs);
    STAILQ_INIT(&session->given_up);
    STAILQ_INIT(&session->free_calls);
    session->lobby = ek_session_take_job(session, NULL, EK_JOB_WRITE);
    return session;
}

void ek_session_destroy(struct ek_session **session)
{
    struct ek_session *old = *session;
    if (!old)
        return;
    old->closing = true;
    ek_session_give_up_all(old, EK_OUTCOME_UNAVAILABLE, "the client was closed");
    (void)ek_session_drain(old);
    ek_session_free_pools(old);
    ek_table_done(&old->by_id);
    ek_envelope_done(&old->envelope);
    ek_buffer_done(&old->scratch);
    ek_buffer_done(&old->staged_bytes);
    ek_buffer_done(&old->answer);
    ek_buffer_done(&old->question);
    free(old->completions);
    free(old->found);
    free(old->dead);
    free(old->lanes);
    ek_sweep_done(&old->ready);
    free(old);
    *session = NULL;
}

/* When the next look for writes that were unanswered for long is due. */
static uint64_t probe_due_us(const struct ek_session *session)
{
    const struct ek_pending_job *oldest = TAILQ_FIRST(&session->in_flight);
    if (!oldest)
        return UINT64_MAX;
    uint64_t due_us = oldest->sent_us + EK_PROBE_US;
    return due_us > session->probe_from_us ? due_us : session->probe_from_us;
}

/* A copy of a lane's oldest write finds out what has become of it, without the others behind it. Returns when that is due. */
static uint64_t probe_one(struct ek_session *session, struct ek_pending_job *job, uint64_t now_us)
{
    struct ek_lane *lane = job->lane;
    if (job->kind == EK_JOB_READ || job != TAILQ_FIRST(&lane->unsettled))
        return UINT64_MAX;
    if (job->sent_us + lane->probe_us > now_us)
        return job->sent_us + lane->probe_us;
    ek_session_take_back(session, job);
    lane->probe_us = lane->probe_us * 2 < EK_PROBE_MAX_US ? lane->probe_us * 2 : EK_PROBE_MAX_US;
    return UINT64_MAX;
}

static void probe(struct ek_session *session, uint64_t now_us)
{
    uint64_t due_us = now_us + EK_PROBE_LOOK_US;
    struct ek_pending_job *job = TAILQ_FIRST(&session->in_flight);
    for (struct ek_pending_job *next; job && job->sent_us + EK_PROBE_US <= now_us; job = next) {
        next = TAILQ_NEXT(job, in_progress);
        uint64_t job_due_us = probe_one(session, job, now_us);
        due_us = job_due_us < due_us ? job_due_us : due_us;
    }
    if (job && job->sent_us + EK_PROBE_US < due_us)
        due_us = job->sent_us + EK_PROBE_US;
    session->probe_from_us = due_us > now_us + EK_PROBE_STEP_US ? due_us : now_us + EK_PROBE_STEP_US;
}

void ek_session_tick(struct ek_session *session, uint64_t now_us)
{
    ek_wheel_turn(&session->wheel, now_us);
    for (struct ek_timer *timer; (timer = ek_wheel_take(&session->wheel));) {
        if (timer->kind == EK_TIMER_LANE)
            ek_session_make_ready(session, EK_ITEM(timer, struct ek_lane, wake));
        else
            ek_session_pass_deadline(session, EK_ITEM(timer, struct ek_pending_job, timer), now_us);
    }
    if (now_us >= probe_due_us(session))
        probe(session, now_us);
}

/* When jobs may leave that may not yet, if nothing is received. */
static uint64_t jobs_due_us(const struct ek_session *session)
{
    uint64_t flight_us = ek_session_flight_due_us(session);
    uint64_t due_us = flight_us > session->linger_until_us ? flight_us : session->linger_until_us;
    return session->ready.count && due_us ? due_us : UINT64_MAX;
}

uint64_t ek_session_due_us(struct ek_session *session)
{
    ek_session_place_staged(session);
    if (!TAILQ_EMPTY(&session->finished) || !STAILQ_EMPTY(&session->given_up) || session->query_wanted)
        return 0;
    uint64_t due_us = ek_wheel_due_us(&session->wheel);
    uint64_t hello_us = ek_session_hello_due_us(session);
    if (hello_us < due_us)
        due_us = hello_us;
    uint64_t probe_us = probe_due_us(session);
    if (probe_us < due_us)
        due_us = probe_us;
    uint64_t jobs_us = jobs_due_us(session);
    return jobs_us < due_us ? jobs_us : due_us;
}

size_t ek_session_pending(const struct ek_session *session)
{
    return session->pending_calls;
}

struct ek_session_counters ek_session_counters(const struct ek_session *session)
{
    return session->counters;
}

uint64_t ek_session_ask(struct ek_session *session)
{
    session->asked = true;
    return session->hello_id + 1;
}

const struct ek_welcome *ek_session_welcome(const struct ek_session *session)
{
    return session->welcome.id ? &session->welcome : NULL;
}

static uint64_t begin_question(struct ek_session *session)
{
    session->query_wanted = true;
    session->query_answered = false;
    ek_buffer_clear(&session->question);
    return ++session->query_id;
}

void ek_session_query(struct ek_session *session, const char *what)
{
    struct ek_query query = {.id = ek_session_wire_id(session, begin_question(session))};
    (void)snprintf(query.what, sizeof query.what, "%s", what);
    ek_encode_query(&session->question, &query);
}

enum ek_outcome ek_session_command(struct ek_session *session, const char *const *words, size_t count)
{
    struct ek_admin admin = {.count = (uint32_t)count};
    if (count == 0 || count > EK_ADMIN_WORDS_MAX)
        return EK_OUTCOME_USAGE;
    for (size_t i = 0; i < count; i++) {
        if (strlen(words[i]) >= sizeof admin.words[i])
            return EK_OUTCOME_TOO_LARGE;
        (void)snprintf(admin.words[i], sizeof admin.words[i], "%s", words[i]);
    }
    admin.id = ek_session_wire_id(session, begin_question(session));
    ek_encode_admin(&session->question, &admin);
    return EK_OUTCOME_OK;
}

bool ek_session_answer(const struct ek_session *session, enum ek_outcome *ret_outcome, struct ek_slice *ret_text)
{
    if (!session->query_answered)
        return false;
    *ret_outcome = session->answer_outcome;
    *ret_text = ek_buffer_slice(&session->answer);
    return true;
}

uint64_t ek_session_end_of_ids(const struct ek_session *session)
{
    uint64_t last = session->last_id > session->hello_id ? session->last_id : session->hello_id;
    return session->options.ids.first + (last > session->query_id ? last : session->query_id);
}

const char *ek_session_refusal(const struct ek_session *session)
{
    return session->refusal;
}
