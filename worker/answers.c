#include "worker/answers.h"

#include "common/codec.h"

#include <stdlib.h>

/* A reply's fields beside its body. */
enum { REPLY_HEAD_BYTES = 64 };

void ek_answers_done(struct ek_answers *answers)
{
    while (answers->first)
        ek_answers_pop(answers, false);
    ek_envelope_done(&answers->open);
}

static bool same_link(struct ek_link a, struct ek_link b)
{
    return a.link == b.link && a.generation == b.generation;
}

void ek_answers_add(struct ek_answers *answers, struct ek_link link, const struct ek_worker_reply *reply)
{
    bool fits = ek_envelope_bytes(&answers->open) + reply->body.size + REPLY_HEAD_BYTES <= EK_ENVELOPE_BYTES_MAX;
    if (answers->open.count && (!fits || ek_envelope_full(&answers->open) || !same_link(answers->open_link, link)))
        ek_answers_seal(answers);
    answers->open_link = link;
    ek_encode_worker_reply(&answers->open, reply);
}

void ek_answers_seal(struct ek_answers *answers)
{
    if (answers->open.count == 0)
        return;
    struct ek_link link = answers->open_link;
    ek_answers_push(answers, link, ek_envelope_seal(&answers->open, EK_MESSAGE_WORKER_REPLIES, &link));
}

void ek_answers_push(struct ek_answers *answers, struct ek_link link, struct ek_owned owned)
{
    struct ek_answer_message *message = ek_alloc(sizeof *message);
    *message = (struct ek_answer_message){.link = link, .owned = owned};
    *(answers->last ? &answers->last->next : &answers->first) = message;
    answers->last = message;
    answers->bytes += owned.message.size;
}

void ek_answers_move(struct ek_answers *to, struct ek_answers *from)
{
    if (!from->first)
        return;
    *(to->last ? &to->last->next : &to->first) = from->first;
    to->last = from->last;
    to->bytes += from->bytes;
    from->first = NULL;
    from->last = NULL;
    from->bytes = 0;
}

struct ek_answer_message *ek_answers_peek(const struct ek_answers *answers)
{
    return answers->first;
}

void ek_answers_pop(struct ek_answers *answers, bool keep_bytes)
{
    struct ek_answer_message *message = answers->first;
    answers->first = message->next;
    if (!answers->first)
        answers->last = NULL;
    answers->bytes -= message->owned.message.size;
    if (!keep_bytes)
        free(message->owned.memory);
    free(message);
}
