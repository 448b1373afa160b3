/*
 * Replies on their way to the broker: gathered into envelopes as large as the protocol likes them, each under the link of its jobs.
 * It sends nothing. One thread at a time; a whole list may be handed from one thread to another.
 */
#ifndef EK_WORKER_ANSWERS_H
#define EK_WORKER_ANSWERS_H

#include "common/envelope.h"

struct ek_answer_message {
    struct ek_answer_message *next;
    struct ek_link link;
    struct ek_owned owned;
};

/* All zero is empty. */
struct ek_answers {
    struct ek_envelope open;
    struct ek_link open_link;
    struct ek_answer_message *first;
    struct ek_answer_message *last;
    size_t bytes; /* of the sealed messages */
};

void ek_answers_done(struct ek_answers *answers);
/* Appends a reply; its bytes are copied. */
void ek_answers_add(struct ek_answers *answers, struct ek_link link, const struct ek_worker_reply *reply);
/* Ends the open envelope, so that the list holds everything. */
void ek_answers_seal(struct ek_answers *answers);
/* Appends a message of another kind. */
void ek_answers_push(struct ek_answers *answers, struct ek_link link, struct ek_owned owned);
/* Moves all sealed messages of `from` behind those of `to`. */
void ek_answers_move(struct ek_answers *to, struct ek_answers *from);
/* The first sealed message, or NULL; it stays in the list. */
struct ek_answer_message *ek_answers_peek(const struct ek_answers *answers);
/* Takes the first one out; its bytes are the caller's, or are freed when `keep_bytes` is false. */
void ek_answers_pop(struct ek_answers *answers, bool keep_bytes);

#endif
