/*
 * A session on a virtual clock and the wire that it talks to: what it sends is decoded, kept in a list and, when it is a HELLO,
 * answered; replies are made up by the test. It carries out no job.
 *
 * One thread. What the session sends is checked against the protocol's decoders; a message that breaks it fails the test.
 */
#ifndef EK_TESTS_SUPPORT_SESSION_RIG_H
#define EK_TESTS_SUPPORT_SESSION_RIG_H

#include "client/session.h"
#include "common/messages.h"

/* A job as it arrived. */
struct ek_rig_job {
    struct ek_job job; /* the body is the rig's copy */
    size_t envelope;   /* counts up from 0 */
    uint64_t at_us;
};

/* What became of one submission; the context of ek_rig_note. */
struct ek_rig_note {
    int calls;
    size_t count;
    struct ek_completion last; /* its pointers are dead, but for the texts copied here */
    char text[EK_TEXT_BYTES_MAX];
    char value[64];
    uint64_t found_version; /* scan: of the first entry */
    bool has_cursor;
};

struct ek_rig {
    struct ek_session *session;
    uint64_t now_us;
    bool deaf;                 /* HELLOs get no answer */
    bool no_wishes;            /* WELCOMEs bring no producer */
    struct ek_welcome welcome; /* what the next WELCOME says, id and producer aside */
    uint64_t next_producer;
    size_t hellos;
    size_t envelopes;
    size_t largest_envelope_bytes;
    struct ek_hello last_hello;
    struct ek_query last_query;
    struct ek_rig_job *jobs;
    size_t job_count;
    size_t job_capacity;
};

/* Options of zero: 5 s, no linger, 64 MiB, seed 1. */
void ek_rig_init(struct ek_rig *rig, const struct ek_session_options *options);
void ek_rig_done(struct ek_rig *rig);

/* One turn of the edge at the present time: tick, output, callbacks, until nothing more happens. */
void ek_rig_turn(struct ek_rig *rig);
/* Lets time pass, with a turn whenever the session says that it has something to do. */
void ek_rig_advance(struct ek_rig *rig, uint64_t time_us);
/* Hands a message to the session and runs the callbacks. */
void ek_rig_deliver(struct ek_rig *rig, struct ek_slice message);
/* The answer to a HELLO, and what the broker says now. */
void ek_rig_send_welcome(struct ek_rig *rig, uint64_t hello);
/* One reply, then a turn. `body` may be NULL. */
void ek_rig_reply(struct ek_rig *rig, uint64_t id, enum ek_wire_status status, uint64_t position, const struct ek_buffer *body);
void ek_rig_reply_busy(struct ek_rig *rig, uint64_t id, uint32_t retry_ms);
/* Forgets the jobs that arrived so far. */
void ek_rig_clear_jobs(struct ek_rig *rig);
/* Job `index` of those that arrived; fails the test when there are not as many. */
const struct ek_rig_job *ek_rig_job(const struct ek_rig *rig, size_t index);
/* Operation `index` of a job. */
struct ek_operation ek_rig_operation(const struct ek_job *job, size_t index);

/* An ek_callback whose context is a struct ek_rig_note. */
void ek_rig_take_note(void *context, const struct ek_completion *completions, size_t count);
/* Submissions by key text; every refusal fails the test. */
void ek_rig_put(struct ek_rig *rig, const char *key, const char *value, struct ek_rig_note *note);
void ek_rig_submit(struct ek_rig *rig, enum ek_operation_kind kind, const char *key, uint32_t timeout_ms, struct ek_rig_note *note);

#endif
