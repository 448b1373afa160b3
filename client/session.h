/*
 * A client's side of the protocol without its socket: groups operations into jobs by shard and jobs into envelopes, numbers writes,
 * repeats what is unanswered, and turns replies into completions. It has no clock, no socket, no random source and no log: time
 * comes with each event, jitter from a seed, so a simulator can run thousands of sessions on one virtual clock. client/client.c is
 * the edge that moves the bytes.
 *
 * A turn of the edge: ek_session_tick; ek_session_output until it has no more, sending each message; ek_session_receive for each
 * message that came, followed by ek_session_drain before the message is freed; and so on at ek_session_due_us at the latest.
 * Completions run inside ek_session_drain and ek_session_destroy only; they may submit, and nothing else.
 *
 * Times are microseconds of one monotonic clock that never falls. Memory is bounded by pending_bytes_max. One thread at a time.
 *
 * What a callback may rely on: EXPIRED, BUSY, UNAVAILABLE and FAILED mean that the operation is not applied and never will be;
 * UNKNOWN that it may be, once.
 */
#ifndef EK_CLIENT_SESSION_H
#define EK_CLIENT_SESSION_H

#include "client/evenkeel.h"
#include "common/envelope.h"

struct ek_session;

/* Which ids on a connection are a session's: those with its slot in their upper bits, and the lower ones above `first`. All zero:
 * as if it had the connection to itself. */
struct ek_session_ids {
    uint32_t slot; /* below EK_SLOTS_MAX */
    uint64_t first;
};
enum { EK_SLOT_SHIFT = 48, EK_SLOTS_MAX = 65536 };

struct ek_session_options {
    const char *name;         /* copied; cut at EK_TEXT_BYTES_MAX - 1 bytes */
    uint64_t seed;            /* of the jitter */
    uint32_t timeout_ms;      /* default deadline of an operation; UINT32_MAX = none */
    uint32_t linger_us;       /* how long new jobs wait for company */
    size_t pending_bytes_max; /* operations under way with their book-keeping */
    struct ek_session_ids ids;
};

struct ek_session *ek_session_new(const struct ek_session_options *options, uint64_t now_us);
/* Gives up what is under way, callbacks included: UNKNOWN when it was sent, else UNAVAILABLE. NULL is fine. */
void ek_session_destroy(struct ek_session **session);

/* As ek_submit and ek_submit_transaction say; FAILED once the broker turned out to be another cluster's. Everything is copied. */
enum ek_outcome ek_session_submit(struct ek_session *session, const struct ek_request *request, uint32_t timeout_ms,
                                  ek_callback callback, void *context, uint64_t now_us);
enum ek_outcome ek_session_submit_transaction(struct ek_session *session, const struct ek_request *requests, size_t count,
                                              uint32_t timeout_ms, ek_callback callback, void *context, uint64_t now_us);

/* Lets deadlines and back-offs pass. */
void ek_session_tick(struct ek_session *session, uint64_t now_us);
/* The next message to send, which then is the caller's; false: nothing more for now. What it holds counts as sent. */
bool ek_session_output(struct ek_session *session, uint64_t now_us, struct ek_owned *ret);
/* Takes a message of the broker. What cannot be read is counted and otherwise ignored. `message` has to stay until the next
 * ek_session_drain has returned. */
void ek_session_receive(struct ek_session *session, struct ek_slice message, uint64_t now_us);
/* Runs the callbacks of what has ended; returns how many. */
size_t ek_session_drain(struct ek_session *session);
/* When tick and output have something to do even if nothing is received; 0 = now, UINT64_MAX = never. */
uint64_t ek_session_due_us(struct ek_session *session);

/* The last message of a session that ends: its producers are over. Only a hint to the workers, which nobody answers. False: there
 * is nothing to say, or nobody to say it to. What holds is the caller's. */
bool ek_session_farewell(struct ek_session *session, uint64_t now_us, struct ek_owned *ret);

/* Submissions whose callback is still to come. */
size_t ek_session_pending(const struct ek_session *session);

struct ek_session_counters {
    uint64_t jobs;       /* first sends */
    uint64_t operations; /* in them */
    uint64_t resent_jobs;
    uint64_t busy_jobs;  /* answered BUSY, and sent again */
    uint64_t unreadable; /* messages of the broker that broke the protocol, and replies that make no sense */
    uint64_t stray;      /* replies that belong to nothing any more */
    uint64_t hellos;
};
struct ek_session_counters ek_session_counters(const struct ek_session *session);

/* Sends a HELLO with the next output and returns its id. */
uint64_t ek_session_ask(struct ek_session *session);
/* The broker's last WELCOME, whose id is that of the HELLO it answers; NULL before the first. */
const struct ek_welcome *ek_session_welcome(const struct ek_session *session);
/* Sends a QUERY with the next output, in place of an earlier one without its answer. `what` is cut at EK_TEXT_BYTES_MAX - 1 bytes.
 */
void ek_session_query(struct ek_session *session, const char *what);
/* Likewise an operator's command, sent once. USAGE, TOO_LARGE: words that cannot be. */
enum ek_outcome ek_session_command(struct ek_session *session, const char *const *words, size_t count);
/* True when its answer is there; `ret_text` borrows until the next query. */
bool ek_session_answer(const struct ek_session *session, enum ek_outcome *ret_outcome, struct ek_slice *ret_text);
/* The text of the last ERROR that the broker sent, or "". */
const char *ek_session_refusal(const struct ek_session *session);

/* ---- several sessions on one connection ---- */

/* By slot; NULL: the slot is free. */
struct ek_session_set {
    struct ek_session **sessions;
    uint32_t count;
    uint32_t *heard; /* slots, room for `count`: whose sessions the last message had something for */
    uint32_t heard_count;
};
/* As ek_session_receive, a message that may be for any of them. What is for nobody is ignored. */
void ek_session_set_receive(struct ek_session_set *set, struct ek_slice message, uint64_t now_us);
/* The `first` of a session that gets this one's slot, so that a late reply is never taken for another's. */
uint64_t ek_session_end_of_ids(const struct ek_session *session);

#endif
