#include "worker/moving.h"

#include "common/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STORING_MAX = 2, PEERS_UNSENT_BYTES_MAX = 2 * EK_COPY_CHUNK_BYTES_MAX };
#define ASK_AGAIN_US UINT64_C(500000)
#define US_A_SECOND  UINT64_C(1000000)

struct fetch {
    bool active;
    struct ek_link link;
    struct ek_attempt attempt;
    uint64_t position;
    uint64_t bytes_per_second;
    struct ek_socket *source;
    uint64_t chunk; /* the one that is wanted next */
    bool asked;     /* and was asked for, at */
    uint64_t asked_us;
    uint64_t not_before_us; /* for the rate */
    unsigned storing;       /* chunks that the storage thread has */
    bool all_here;
};

struct sweep {
    uint16_t shard;
    uint64_t epoch;
    uint64_t due_us;
};

struct ek_moving {
    struct ek_context *context;
    struct ek_commit *commit;
    struct ek_link link;
    bool full; /* the disk is short */
    struct ek_copy *copies[EK_COPIES_MAX];
    struct fetch fetches[EK_COPIES_MAX];
    struct sweep *sweeps; /* at most one a shard */
    size_t sweep_count;
    size_t sweep_capacity;
    uint64_t sweep_due_us; /* the earliest; UINT64_MAX: none */
    struct ek_buffer out;
};

struct ek_moving *ek_moving_new(struct ek_context *context, struct ek_commit *commit)
{
    struct ek_moving *moving = ek_alloc_zero(1, sizeof *moving);
    moving->context = context;
    moving->commit = commit;
    moving->sweep_due_us = UINT64_MAX;
    return moving;
}

static void end_fetch(struct fetch *fetch)
{
    ek_socket_close(&fetch->source);
    *fetch = (struct fetch){0};
}

static void drop_all(struct ek_moving *moving)
{
    for (size_t i = 0; i < EK_COPIES_MAX; i++) {
        ek_copy_destroy(&moving->copies[i]);
        end_fetch(&moving->fetches[i]);
    }
}

void ek_moving_destroy(struct ek_moving **reference)
{
    struct ek_moving *moving = *reference;
    if (!moving)
        return;
    drop_all(moving);
    free(moving->sweeps);
    ek_buffer_done(&moving->out);
    free(moving);
    *reference = NULL;
}

void ek_moving_adopt(struct ek_moving *moving, struct ek_link link)
{
    drop_all(moving);
    moving->link = link;
}

static bool same(struct ek_attempt a, struct ek_attempt b)
{
    return a.shard == b.shard && a.number == b.number;
}

/* Takes the step. */
static void push_whole(struct ek_moving *moving, struct ek_learn_step *step)
{
    struct ek_commit_item *item = ek_alloc_zero(1, sizeof *item);
    item->kind = EK_COMMIT_LEARN;
    item->step = step;
    ek_commit_push(moving->commit, item);
}

/* Of a step without a frame. */
static void push(struct ek_moving *moving, const struct ek_learn_step *step)
{
    struct ek_learn_step *copy = ek_alloc(sizeof *copy);
    *copy = *step;
    push_whole(moving, copy);
}

/* Takes the frame. The step stays where it is from now on: a small message lies inside its frame, and what is read of it
 * points there. */
static struct ek_learn_step *step_of(enum ek_learn_kind kind, const struct ek_frame *frame)
{
    struct ek_learn_step *step = ek_alloc_zero(1, sizeof *step);
    step->kind = kind;
    step->frame = *frame;
    step->has_frame = true;
    return step;
}

static void discard(struct ek_learn_step *step)
{
    ek_learn_step_done(step);
    free(step);
}

static void report(struct ek_answers *answers, const struct ek_move_report *report)
{
    struct ek_buffer out = {0};
    ek_encode_move_report(&out, report);
    ek_answers_push(answers, report->link, ek_owned_of(&out));
}

static void fail(struct ek_answers *answers, struct ek_link link, struct ek_attempt attempt, const char *why)
{
    struct ek_move_report failed = {.link = link, .attempt = attempt, .step = EK_MOVED_FAILED};
    (void)snprintf(failed.text, sizeof failed.text, "%s", why);
    report(answers, &failed);
}

static void fail_for_room(struct ek_answers *answers, struct ek_link link, struct ek_attempt attempt)
{
    fail(answers, link, attempt, "the target's disk is nearly full");
}

void ek_moving_set_full(struct ek_moving *moving, bool full, struct ek_answers *answers)
{
    moving->full = full;
    for (size_t i = 0; i < EK_COPIES_MAX && full; i++) {
        struct fetch *fetch = &moving->fetches[i];
        if (!fetch->active)
            continue;
        fail_for_room(answers, fetch->link, fetch->attempt);
        end_fetch(fetch);
    }
}

/* ---- deletions ---- */

void ek_moving_released(struct ek_moving *moving, uint16_t shard, uint64_t epoch, uint64_t due_us)
{
    size_t at = 0;
    while (at < moving->sweep_count && moving->sweeps[at].shard != shard)
        at++;
    if (at == moving->sweep_count) {
        moving->sweeps = ek_grow(moving->sweeps, &moving->sweep_capacity, at + 1, sizeof *moving->sweeps);
        moving->sweeps[moving->sweep_count++] = (struct sweep){.shard = shard, .epoch = epoch, .due_us = due_us};
    }
    struct sweep *sweep = &moving->sweeps[at];
    if (sweep->epoch != epoch || due_us < sweep->due_us) /* a link that begins again and again must not put it off for ever */
        *sweep = (struct sweep){.shard = shard, .epoch = epoch, .due_us = due_us};
    if (due_us < moving->sweep_due_us)
        moving->sweep_due_us = due_us;
}

static void run_sweeps(struct ek_moving *moving, uint64_t now_us)
{
    if (now_us < moving->sweep_due_us)
        return;
    moving->sweep_due_us = UINT64_MAX;
    for (size_t i = 0; i < moving->sweep_count;) {
        const struct sweep sweep = moving->sweeps[i];
        if (sweep.due_us > now_us) {
            if (sweep.due_us < moving->sweep_due_us)
                moving->sweep_due_us = sweep.due_us;
            i++;
            continue;
        }
        moving->sweeps[i] = moving->sweeps[--moving->sweep_count];
        push(moving, &(struct ek_learn_step){
                         .kind = EK_LEARN_SWEEP, .link = moving->link, .attempt = {.shard = sweep.shard}, .epoch = sweep.epoch});
    }
}

/* ---- what the broker says ---- */

static struct fetch *fetch_of(struct ek_moving *moving, struct ek_attempt attempt)
{
    for (size_t i = 0; i < EK_COPIES_MAX; i++)
        if (moving->fetches[i].active && same(moving->fetches[i].attempt, attempt))
            return &moving->fetches[i];
    return NULL;
}

/* An attempt whose source cannot be reached at all ends by its own time, as one whose source does not answer. */
static void begin_fetch(struct ek_moving *moving, const struct ek_move_order *order, uint64_t now_us)
{
    struct fetch *free_place = NULL;
    for (size_t i = 0; i < EK_COPIES_MAX; i++) {
        struct fetch *fetch = &moving->fetches[i];
        if (fetch->active && fetch->attempt.shard == order->attempt.shard)
            end_fetch(fetch);
        if (!fetch->active)
            free_place = fetch;
    }
    struct ek_socket *source = NULL;
    if (!free_place || ek_socket_open(moving->context, EK_SOCKET_DEALER, &source) != EK_OK)
        return;
    if (ek_socket_connect(source, order->endpoint, NULL) != EK_OK) {
        ek_socket_close(&source);
        return;
    }
    *free_place = (struct fetch){.active = true,
                                 .link = order->link,
                                 .attempt = order->attempt,
                                 .position = order->position,
                                 .bytes_per_second = order->bytes_per_second ? order->bytes_per_second : 1,
                                 .source = source,
                                 .not_before_us = now_us};
}

static void drop(struct ek_moving *moving, struct ek_attempt attempt)
{
    for (size_t i = 0; i < EK_COPIES_MAX; i++) {
        if (moving->copies[i] && same(ek_copy_attempt(moving->copies[i]), attempt))
            ek_copy_destroy(&moving->copies[i]);
        if (moving->fetches[i].active && same(moving->fetches[i].attempt, attempt))
            end_fetch(&moving->fetches[i]);
    }
}

static bool is_current(const struct ek_moving *moving, struct ek_link link)
{
    return link.link == moving->link.link && link.generation == moving->link.generation;
}

enum ek_status ek_moving_order(struct ek_moving *moving, struct ek_reader *fields, struct ek_answers *answers, uint64_t now_us)
{
    struct ek_move_order order;
    enum ek_status status = ek_decode_move_order(fields, &order);
    if (status != EK_OK)
        return status;
    struct ek_learn_step step = {.link = order.link, .attempt = order.attempt, .epoch = order.epoch};
    if (!is_current(moving, order.link))
        return EK_OK;
    if (moving->full && (order.step == EK_MOVE_FILL || order.step == EK_MOVE_PULL)) {
        fail_for_room(answers, order.link, order.attempt);
        return EK_OK;
    }
    switch (order.step) {
    case EK_MOVE_FILL:
        step.kind = EK_LEARN_FILL;
        push(moving, &step);
        break;
    case EK_MOVE_COPY:
        step.kind = EK_LEARN_COPY;
        push(moving, &step);
        break;
    case EK_MOVE_PULL:
        begin_fetch(moving, &order, now_us);
        break;
    case EK_MOVE_DROP:
        step.kind = EK_LEARN_DROP; /* behind a COPY that may still wait there */
        push(moving, &step);
        break;
    }
    return EK_OK;
}

static enum ek_status decode_feed(struct ek_slice message, struct ek_learn_step *step)
{
    enum ek_message_type type;
    struct ek_reader fields;
    uint32_t count;
    enum ek_status status = ek_decode_type(message, &type, &fields);
    if (status == EK_OK)
        status = ek_decode_link(&fields, &step->link);
    if (status == EK_OK)
        status = ek_decode_count(&fields, EK_ENVELOPE_JOBS_MAX, &count);
    if (status != EK_OK)
        return status;
    step->fed = ek_alloc_zero(count + 1u, sizeof *step->fed);
    for (uint32_t i = 0; i < count && status == EK_OK; i++)
        status = ek_decode_fed(&fields, &step->fed[i]);
    step->fed_count = count;
    step->attempt = (struct ek_attempt){.shard = step->fed->job.shard, .number = step->fed->job.token};
    return status == EK_OK ? ek_decode_end(&fields) : status;
}

enum ek_status ek_moving_feed(struct ek_moving *moving, struct ek_frame *frame, struct ek_answers *answers)
{
    struct ek_learn_step *step = step_of(EK_LEARN_FEED, frame);
    enum ek_status status = decode_feed(ek_frame_bytes(&step->frame), step);
    bool counts = status == EK_OK && step->fed_count && is_current(moving, step->link);
    if (counts && moving->full)
        fail_for_room(answers, step->link, step->attempt);
    if (counts && !moving->full)
        push_whole(moving, step);
    else
        discard(step);
    return status;
}

/* ---- what the storage thread says ---- */

static void keep_copy(struct ek_moving *moving, struct ek_learn_step *step, struct ek_answers *answers)
{
    size_t place = EK_COPIES_MAX;
    for (size_t i = 0; i < EK_COPIES_MAX; i++) {
        if (moving->copies[i] && ek_copy_attempt(moving->copies[i]).shard == step->attempt.shard)
            ek_copy_destroy(&moving->copies[i]);
        if (!moving->copies[i])
            place = i;
    }
    if (place == EK_COPIES_MAX) {
        step->reports = false;
        fail(answers, step->link, step->attempt, "this worker gives as many copies as it can already");
        return;
    }
    moving->copies[place] = step->copy;
    step->copy = NULL;
}

void ek_moving_done(struct ek_moving *moving, struct ek_learn_step *step, struct ek_answers *answers)
{
    struct fetch *fetch = fetch_of(moving, step->attempt);
    if (step->kind != EK_LEARN_SWEEP && !is_current(moving, step->link))
        return;
    if (step->copy)
        keep_copy(moving, step, answers);
    if (step->kind == EK_LEARN_DROP)
        drop(moving, step->attempt);
    if (step->kind == EK_LEARN_CHUNK && fetch && fetch->storing)
        fetch->storing--;
    if (step->more)
        push(moving, &(struct ek_learn_step){.kind = EK_LEARN_VERIFY, .link = step->link, .attempt = step->attempt});
    if (fetch && (step->report.step == EK_MOVED_COMPLETE || step->report.step == EK_MOVED_FAILED))
        end_fetch(fetch);
    if (step->reports)
        report(answers, &step->report);
}

/* ---- giving ---- */

static struct ek_copy *copy_for(const struct ek_moving *moving, const struct ek_copy_ask *ask)
{
    for (size_t i = 0; i < EK_COPIES_MAX; i++)
        if (moving->copies[i] && same(ek_copy_attempt(moving->copies[i]), ask->attempt) &&
            ask->generation == moving->link.generation)
            return moving->copies[i];
    return NULL;
}

static void refuse(struct ek_moving *moving, struct ek_socket *peers, const char *why)
{
    struct ek_refusal refusal = {.status = EK_WIRE_USAGE};
    (void)snprintf(refusal.text, sizeof refusal.text, "%s", why);
    ek_buffer_clear(&moving->out);
    ek_encode_refusal(&moving->out, EK_MESSAGE_ERROR, &refusal);
    ek_socket_answer(peers, ek_buffer_slice(&moving->out));
}

static bool read_ask(struct ek_slice message, struct ek_copy_ask *ret)
{
    enum ek_message_type type;
    struct ek_reader fields;
    return ek_decode_type(message, &type, &fields) == EK_OK && type == EK_MESSAGE_COPY_ASK &&
           ek_decode_copy_ask(&fields, ret) == EK_OK;
}

enum ek_status ek_moving_serve(struct ek_moving *moving, struct ek_socket *peers, struct ek_error *error)
{
    struct ek_frame frame;
    struct ek_copy_ask ask;
    ek_peer peer;
    enum ek_status status = ek_socket_receive(peers, &frame, &peer);
    if (status == EK_AGAIN)
        return EK_OK;
    bool readable = status == EK_OK && read_ask(ek_frame_bytes(&frame), &ask);
    if (status == EK_OK)
        ek_frame_done(&frame);
    struct ek_copy *copy = readable ? copy_for(moving, &ask) : NULL;
    if (!copy) {
        refuse(moving, peers, readable ? "there is no such copy here" : "this endpoint is for copies between workers");
        return EK_OK;
    }
    if (ek_socket_unsent_bytes(peers) >= PEERS_UNSENT_BYTES_MAX)
        return EK_OK; /* a learner that does not take what it asks for; it will be asked for again */
    struct ek_buffer out = {0};
    status = ek_copy_chunk(copy, ask.generation, ask.chunk, &out, error);
    if (status == EK_OK) {
        struct ek_owned message = ek_owned_of(&out);
        if (ek_socket_send(peers, peer, message) == EK_AGAIN)
            free(message.memory); /* it will be asked for again */
    }
    ek_buffer_done(&out);
    return status == EK_NOT_FOUND ? EK_OK : status;
}

/* ---- fetching ---- */

size_t ek_moving_items(const struct ek_moving *moving, struct ek_poll_item *items)
{
    size_t count = 0;
    for (size_t i = 0; i < EK_COPIES_MAX; i++)
        if (moving->fetches[i].active)
            items[count++] = (struct ek_poll_item){.socket = moving->fetches[i].source};
    return count;
}

/* Takes the frame when the chunk is the one that was asked for. */
static void take_chunk(struct ek_moving *moving, struct fetch *fetch, struct ek_frame *frame, uint64_t now_us)
{
    enum ek_message_type type;
    struct ek_reader fields;
    struct ek_learn_step *step = step_of(EK_LEARN_CHUNK, frame);
    struct ek_copy_chunk *chunk = &step->chunk;
    step->link = fetch->link;
    step->attempt = fetch->attempt;
    step->position = fetch->position;
    struct ek_slice message = ek_frame_bytes(&step->frame);
    bool wanted = ek_decode_type(message, &type, &fields) == EK_OK && type == EK_MESSAGE_COPY_CHUNK &&
                  ek_decode_copy_chunk(&fields, chunk) == EK_OK && same(chunk->attempt, fetch->attempt) &&
                  chunk->generation == fetch->link.generation && chunk->chunk == fetch->chunk && fetch->asked;
    if (!wanted) {
        discard(step);
        return;
    }
    fetch->asked = false;
    fetch->chunk++;
    fetch->storing++;
    fetch->all_here = chunk->last;
    uint64_t from_us = fetch->not_before_us > now_us ? fetch->not_before_us : now_us;
    fetch->not_before_us = from_us + chunk->body.size * US_A_SECOND / fetch->bytes_per_second;
    push_whole(moving, step);
}

static void ask(struct fetch *fetch, uint64_t now_us)
{
    bool again = fetch->asked && now_us - fetch->asked_us >= ASK_AGAIN_US;
    bool next = !fetch->asked && fetch->storing < STORING_MAX && now_us >= fetch->not_before_us;
    if (fetch->all_here || (!again && !next))
        return;
    struct ek_copy_ask wanted = {.generation = fetch->link.generation, .attempt = fetch->attempt, .chunk = fetch->chunk};
    struct ek_buffer out = {0};
    ek_encode_copy_ask(&out, &wanted);
    struct ek_owned message = ek_owned_of(&out);
    if (ek_socket_send(fetch->source, 0, message) == EK_AGAIN)
        free(message.memory);
    fetch->asked = true;
    fetch->asked_us = now_us;
}

void ek_moving_run(struct ek_moving *moving, uint64_t now_us)
{
    run_sweeps(moving, now_us);
    for (size_t i = 0; i < EK_COPIES_MAX; i++) {
        struct fetch *fetch = &moving->fetches[i];
        struct ek_frame frame;
        while (fetch->active && ek_socket_receive(fetch->source, &frame, NULL) == EK_OK)
            take_chunk(moving, fetch, &frame, now_us);
        if (fetch->active)
            ask(fetch, now_us);
    }
}

uint64_t ek_moving_due_us(const struct ek_moving *moving)
{
    uint64_t due_us = moving->sweep_due_us;
    for (size_t i = 0; i < EK_COPIES_MAX; i++) {
        const struct fetch *fetch = &moving->fetches[i];
        if (!fetch->active || fetch->all_here || (!fetch->asked && fetch->storing >= STORING_MAX))
            continue;
        uint64_t at_us = fetch->asked ? fetch->asked_us + ASK_AGAIN_US : fetch->not_before_us;
        due_us = at_us < due_us ? at_us : due_us;
    }
    return due_us;
}
