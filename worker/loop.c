#include "worker/loop.h"

#include "common/burst.h"
#include "common/clock.h"
#include "common/codec.h"
#include "common/log.h"
#include "common/together.h"
#include "worker/commit.h"
#include "worker/link.h"
#include "worker/moving.h"
#include "worker/pulse.h"
#include "worker/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <uuid/uuid.h>

enum {
    FRAMES_PER_TURN = 64,
    RETRY_MS = 2, /* while the pipe to the broker is full */
    SOCKETS_MAX = 16,
    UUID_TEXT_BYTES = 37
};
#define STOP_US          ((uint64_t)5000000)
#define UNSENT_BYTES_MAX (2 * (size_t)EK_ENVELOPE_BYTES_MAX) /* in the pipe to the broker, and in replies to reads behind it */
#define PARCEL_BYTES_MAX (2 * (size_t)EK_CREDIT_BYTES_MAX)   /* beyond it nothing more is received: twice the credit */

struct loop {
    const struct ek_worker_settings *settings;
    struct ek_context *context;
    struct ek_socket *broker;
    struct ek_socket *peers; /* for copies between workers */
    char endpoint[EK_TEXT_BYTES_MAX];
    struct ek_identity identity; /* as of the last adoption */
    struct ek_worker_link link;
    struct ek_load *load;
    struct ek_serve *serve;
    struct ek_pulse *pulse;
    struct ek_commit *commit;
    struct ek_moving *moving;
    struct ek_survey *survey; /* of the broker's last check, until its last report */
    uint64_t survey_due_us;
    struct ek_answers outbox;
    size_t parcel_bytes; /* of jobs that the storage thread has */
    bool more_reads;
    struct ek_burst burst; /* of the broker's messages */
    struct ek_together *together;
    size_t jobs; /* of the present message */
    bool announced;
    bool stopping;
    struct ek_error *error;
    enum ek_status verdict; /* why the loop ends before its time, or EK_OK */
};

/* ---- sending ---- */

static bool send_or_drop(struct loop *loop, struct ek_owned message)
{
    enum ek_status status = ek_socket_send(loop->broker, 0, message);
    if (status == EK_AGAIN)
        free(message.memory);
    return status == EK_OK;
}

/* Replies of a link that has ended are nobody's: the broker would ignore them, or ask for yet another HELLO. */
static bool is_wanted(const struct loop *loop, const struct ek_answer_message *message)
{
    return loop->link.state == EK_WORKER_LINK_OPEN && message->link.link == loop->link.link.link &&
           message->link.generation == loop->link.link.generation;
}

static bool pipe_is_full(const struct loop *loop)
{
    return ek_socket_unsent_bytes(loop->broker) >= UNSENT_BYTES_MAX;
}

static void flush_outbox(struct loop *loop)
{
    struct ek_answer_message *message;
    while ((message = ek_answers_peek(&loop->outbox))) {
        bool sent = false;
        if (is_wanted(loop, message)) {
            if (pipe_is_full(loop) || ek_socket_send(loop->broker, 0, message->owned) == EK_AGAIN)
                return;
            sent = true;
        }
        ek_answers_pop(&loop->outbox, sent);
    }
}

static enum ek_status connect_broker(struct loop *loop)
{
    ek_socket_close(&loop->broker);
    enum ek_status status = ek_socket_open(loop->context, EK_SOCKET_DEALER, &loop->broker);
    if (status != EK_OK)
        return ek_error_set(loop->error, status, "cannot open a socket");
    return ek_socket_connect(loop->broker, loop->settings->broker, loop->error);
}

static void say_hello(struct loop *loop)
{
    struct ek_worker_hello hello = {.worker = loop->identity.worker,
                                    .incarnation = loop->identity.incarnation,
                                    .generation = loop->identity.generation,
                                    .has_cluster = loop->identity.has_cluster,
                                    .cluster = loop->identity.cluster,
                                    .shards = loop->identity.shards,
                                    .capacity_milli = loop->settings->capacity_milli};
    (void)snprintf(hello.name, sizeof hello.name, "%s", loop->settings->name);
    (void)snprintf(hello.endpoint, sizeof hello.endpoint, "%s", loop->endpoint);
    struct ek_buffer out = {0};
    ek_encode_worker_hello(&out, &hello);
    (void)send_or_drop(loop, ek_owned_of(&out));
}

static struct ek_commit_item *item_of(enum ek_commit_kind kind)
{
    struct ek_commit_item *item = ek_alloc_zero(1, sizeof *item);
    item->kind = kind;
    return item;
}

static void send_heartbeat(struct loop *loop)
{
    struct ek_buffer out = {0};
    ek_pulse_write(loop->pulse, &out, loop->link.link, loop->serve->shard_count, loop->commit, ek_clock_monotonic_us());
    if (loop->pulse->wants_flush)
        ek_commit_push(loop->commit, item_of(EK_COMMIT_FLUSH));
    if (!send_or_drop(loop, ek_owned_of(&out)))
        ek_load_forget_told(loop->load); /* it was not told after all */
    ek_moving_set_full(loop->moving, loop->pulse->credit.full, &loop->outbox);
}

static void step_link(struct loop *loop)
{
    switch (ek_worker_link_step(&loop->link, ek_clock_monotonic_us())) {
    case EK_WORKER_LINK_WAIT:
        break;
    case EK_WORKER_LINK_RECONNECT:
        ek_log(EK_LOG_DEBUG, "no sign of the broker at %s; saying HELLO on a new connection", loop->settings->broker);
        loop->verdict = connect_broker(loop);
        if (loop->verdict == EK_OK)
            say_hello(loop);
        break;
    case EK_WORKER_LINK_HELLO:
        say_hello(loop);
        break;
    case EK_WORKER_LINK_HEARTBEAT:
        send_heartbeat(loop);
        break;
    }
}

/* ---- what the storage thread hands back ---- */

static void announce(struct loop *loop)
{
    char id[UUID_TEXT_BYTES];
    if (loop->announced)
        return;
    loop->announced = true;
    uuid_unparse_lower(loop->identity.worker.bytes, id);
    (void)printf("ready name=%s id=%s listen=%s\n", loop->settings->name, id, loop->endpoint);
    (void)fflush(stdout);
}

static void send_holdings(struct loop *loop, enum ek_message_type type, struct ek_link link, const struct ek_commit_item *item)
{
    struct ek_buffer out = {0};
    ek_encode_holdings(&out, type, link, item->holdings, item->holding_count);
    ek_answers_push(&loop->outbox, link, ek_owned_of(&out));
}

/* What is left of a shard that was served until now stays for a while; the rows of a learner were nobody's. */
static void note_released(struct loop *loop, const struct ek_commit_item *item)
{
    uint64_t now_us = ek_clock_monotonic_us();
    for (size_t i = 0; i < item->holding_count; i++) {
        const struct ek_holding *holding = &item->holdings[i];
        bool stays = item->kind == EK_COMMIT_ADOPT || loop->serve->shards[holding->shard].serving;
        if (holding->state == EK_HOLDING_RELEASED)
            ek_moving_released(loop->moving, holding->shard, holding->epoch, stays ? now_us + EK_RELEASE_GRACE_US : now_us);
    }
}

static void adopted(struct loop *loop, const struct ek_commit_done *done)
{
    const struct ek_commit_item *item = done->items;
    const struct ek_worker_welcome *welcome = &item->welcome;
    if (done->status != EK_OK) {
        loop->verdict = ek_error_set(loop->error, EK_MISMATCH, "%s", done->error.text);
        return;
    }
    loop->identity = done->identity;
    ek_serve_adopt(loop->serve, welcome->link, welcome->shards, item->holdings, item->holding_count);
    ek_moving_adopt(loop->moving, welcome->link);
    ek_survey_destroy(&loop->survey);
    note_released(loop, item);
    if (!ek_worker_link_adopted(&loop->link, welcome->link))
        return; /* another WELCOME is on its way through the queue */
    ek_log(EK_LOG_INFO, "joined generation %llu with %zu shards", (unsigned long long)welcome->link.generation,
           item->holding_count);
    ek_load_forget_told(loop->load);
    send_holdings(loop, EK_MESSAGE_WORKER_REPORT, welcome->link, item);
    flush_outbox(loop);
    announce(loop);
}

static void assigned(struct loop *loop, const struct ek_commit_done *done)
{
    const struct ek_commit_item *item = done->items;
    if (done->status == EK_AGAIN)
        return; /* of a link that has ended */
    if (done->status != EK_OK) {
        ek_log(EK_LOG_WARNING, "%s; ignored", done->error.text);
        return;
    }
    note_released(loop, item);
    for (size_t i = 0; i < item->holding_count; i++)
        if (item->holdings[i].state == EK_HOLDING_SERVING)
            ek_load_forget_shard(loop->load, item->holdings[i].shard);
    ek_serve_assign(loop->serve, item->holdings, item->holding_count);
    send_holdings(loop, EK_MESSAGE_WORKER_ASSIGNED, item->link, item);
}

static void opened_survey(struct loop *loop, struct ek_commit_item *item)
{
    if (!item->survey)
        return; /* of a link that has ended */
    ek_survey_destroy(&loop->survey);
    loop->survey = item->survey;
    loop->survey_due_us = 0;
    item->survey = NULL;
}

static void finished_jobs(struct loop *loop, struct ek_commit_done *done)
{
    struct ek_pulse_work work = {0};
    ek_answers_move(&loop->outbox, &done->answers);
    flush_outbox(loop); /* first of all: somebody waits for it */
    ek_serve_synced(loop->serve, done->positions, done->position_count);
    for (struct ek_commit_item *item = done->items; item; item = item->next) {
        loop->parcel_bytes -= item->parcel->bytes;
        work.bytes += item->parcel->bytes;
        work.jobs += item->parcel->work_jobs;
        work.body_bytes += item->parcel->work_bytes;
        for (uint32_t i = 0; i < item->passed_count; i++)
            ek_serve_add(loop->serve, item->parcel, &item->parcel->jobs[item->passed[i]]);
    }
    if (done->position_count)
        ek_pulse_committed(loop->pulse, done->took_us, &work);
    if (ek_pulse_is_overdue(loop->pulse))
        ek_worker_link_hurry(&loop->link);
}

static void finished_step(struct loop *loop, struct ek_learn_step *step)
{
    if (step->written_bytes)
        ek_load_copied(loop->load, step->attempt.shard, step->written_bytes);
    ek_pulse_wrote(loop->pulse, step->written_bytes);
    if (step->emptied)
        ek_reclaim_swept(&loop->pulse->swept, step->attempt.shard, ek_clock_monotonic_us());
    ek_moving_done(loop->moving, step, &loop->outbox);
    if (ek_pulse_is_overdue(loop->pulse))
        ek_worker_link_hurry(&loop->link);
}

static void say_bye(struct loop *loop, enum ek_bye_cause cause)
{
    if (loop->link.state != EK_WORKER_LINK_OPEN)
        return;
    struct ek_bye bye = {.link = loop->link.link, .cause = cause};
    struct ek_buffer out = {0};
    ek_encode_bye(&out, &bye);
    (void)send_or_drop(loop, ek_owned_of(&out));
}

static void finished(struct loop *loop, struct ek_commit_done *done)
{
    loop->pulse->dead_kept = done->dead_kept;
    if (done->items->kind == EK_COMMIT_JOBS)
        finished_jobs(loop, done);
    else if (done->items->kind == EK_COMMIT_ADOPT)
        adopted(loop, done);
    else if (done->items->kind == EK_COMMIT_ASSIGN || done->items->kind == EK_COMMIT_LOSS)
        assigned(loop, done);
    else if (done->items->kind == EK_COMMIT_LEARN)
        finished_step(loop, done->items->step);
    else if (done->items->kind == EK_COMMIT_SURVEY)
        opened_survey(loop, done->items);
    else if (done->items->kind == EK_COMMIT_FLUSH && done->items->begun)
        loop->pulse->wants_flush = false;
}

static void take_done(struct loop *loop)
{
    for (struct ek_commit_done *done; loop->verdict == EK_OK && (done = ek_commit_take(loop->commit));) {
        if (done->failed)
            loop->verdict = ek_error_set(loop->error, EK_IO, "%s", done->error.text);
        else
            finished(loop, done);
        ek_commit_done_destroy(done);
    }
}

/* ---- what the broker says ---- */

static enum ek_status take_welcome(struct loop *loop, struct ek_reader *fields)
{
    struct ek_worker_welcome welcome;
    enum ek_status status = ek_decode_worker_welcome(fields, &welcome);
    if (status != EK_OK)
        return status;
    ek_worker_link_welcomed(&loop->link, &welcome, ek_clock_monotonic_us());
    struct ek_commit_item *item = item_of(EK_COMMIT_ADOPT);
    item->welcome = welcome;
    ek_commit_push(loop->commit, item);
    return EK_OK;
}

static enum ek_status take_refusal(struct loop *loop, struct ek_reader *fields)
{
    struct ek_refusal refusal;
    enum ek_status status = ek_decode_refusal(fields, &refusal);
    if (status != EK_OK)
        return status;
    if (refusal.status == EK_WIRE_STALE)
        ek_worker_link_stale(&loop->link, ek_clock_monotonic_us());
    else
        loop->verdict = ek_error_set(loop->error, EK_MISMATCH, "the broker refuses this worker: %s (%s)", refusal.text,
                                     ek_wire_status_name(refusal.status));
    return EK_OK;
}

static enum ek_status decode_roles(struct ek_reader *fields, struct ek_commit_item *item)
{
    enum ek_status status = EK_OK;
    for (size_t i = 0; i < item->holding_count && status == EK_OK; i++)
        status = item->losses ? ek_decode_loss(fields, &item->losses[i]) : ek_decode_holding(fields, &item->holdings[i]);
    return status == EK_OK ? ek_decode_end(fields) : status;
}

/* ASSIGN and LOSS: what the worker shall make durable. */
static enum ek_status take_roles(struct loop *loop, struct ek_reader *fields, enum ek_commit_kind kind)
{
    struct ek_link link;
    uint32_t count;
    if (ek_decode_link(fields, &link) != EK_OK || ek_decode_count(fields, EK_SHARDS_MAX, &count) != EK_OK)
        return EK_MALFORMED;
    struct ek_commit_item *item = item_of(kind);
    item->link = link;
    item->holdings = ek_alloc_zero(count, sizeof *item->holdings);
    item->holding_count = count;
    if (kind == EK_COMMIT_LOSS)
        item->losses = ek_alloc_zero(count, sizeof *item->losses);
    enum ek_status status = decode_roles(fields, item);
    if (status != EK_OK) {
        free(item->holdings);
        free(item->losses);
        free(item);
        return status;
    }
    ek_worker_link_heard(&loop->link, link, ek_clock_monotonic_us());
    ek_commit_push(loop->commit, item);
    return EK_OK;
}

static enum ek_status take_pulse(struct loop *loop, struct ek_reader *fields)
{
    struct ek_link link;
    if (ek_decode_link(fields, &link) != EK_OK || ek_decode_end(fields) != EK_OK)
        return EK_MALFORMED;
    ek_worker_link_heard(&loop->link, link, ek_clock_monotonic_us());
    return EK_OK;
}

/* Takes the frame. */
static enum ek_status take_jobs(struct loop *loop, struct ek_frame *frame)
{
    struct ek_parcel *parcel;
    enum ek_status status = ek_parcel_take(frame, &parcel);
    if (status != EK_OK)
        return status;
    loop->jobs = parcel->count;
    ek_worker_link_heard(&loop->link, parcel->link, ek_clock_monotonic_us());
    for (uint32_t i = 0; i < parcel->count && parcel->for_commit < parcel->count; i++)
        if (ek_job_is_plain_read(&parcel->jobs[i]))
            ek_serve_add(loop->serve, parcel, &parcel->jobs[i]);
    if (parcel->for_commit) {
        struct ek_commit_item *item = item_of(EK_COMMIT_JOBS);
        item->parcel = parcel;
        loop->parcel_bytes += parcel->bytes;
        ek_commit_push(loop->commit, item);
    } else
        ek_parcel_release(parcel);
    return EK_OK;
}

static enum ek_status take_check(struct loop *loop, struct ek_reader *fields)
{
    struct ek_check_order order;
    enum ek_status status = ek_decode_check_order(fields, &order);
    if (status != EK_OK)
        return status;
    struct ek_commit_item *item = item_of(EK_COMMIT_SURVEY);
    item->link = order.link;
    item->check = order.check;
    ek_commit_push(loop->commit, item);
    return EK_OK;
}

static enum ek_status take_message(struct loop *loop, enum ek_message_type type, struct ek_reader *fields)
{
    switch (type) {
    case EK_MESSAGE_WORKER_WELCOME:
        return take_welcome(loop, fields);
    case EK_MESSAGE_WORKER_REFUSED:
        return take_refusal(loop, fields);
    case EK_MESSAGE_WORKER_ASSIGN:
        return take_roles(loop, fields, EK_COMMIT_ASSIGN);
    case EK_MESSAGE_WORKER_LOSS:
        return take_roles(loop, fields, EK_COMMIT_LOSS);
    case EK_MESSAGE_WORKER_PULSE:
        return take_pulse(loop, fields);
    case EK_MESSAGE_WORKER_MOVE:
        return ek_moving_order(loop->moving, fields, &loop->outbox, ek_clock_monotonic_us());
    case EK_MESSAGE_WORKER_CHECK:
        return take_check(loop, fields);
    default:
        return EK_MALFORMED;
    }
}

static void take_frame(struct loop *loop, struct ek_frame *frame)
{
    enum ek_message_type type;
    struct ek_reader fields;
    enum ek_status status = ek_decode_type(ek_frame_bytes(frame), &type, &fields);
    if (status == EK_OK && type == EK_MESSAGE_WORKER_JOBS)
        status = take_jobs(loop, frame);
    else if (status == EK_OK && type == EK_MESSAGE_WORKER_FEED)
        status = ek_moving_feed(loop->moving, frame, &loop->outbox);
    else {
        if (status == EK_OK)
            status = take_message(loop, type, &fields);
        ek_frame_done(frame);
    }
    if (status != EK_OK)
        ek_log(EK_LOG_WARNING, "a message of the broker cannot be read%s; ignored",
               status == EK_NEWER ? ": it speaks another version of the protocol" : "");
}

static bool may_receive(const struct loop *loop)
{
    return !loop->stopping && loop->parcel_bytes < PARCEL_BYTES_MAX && loop->serve->wait_count < 2 * EK_CREDIT_READS_MAX;
}

/* ---- turns ---- */

static void serve_reads(struct loop *loop)
{
    struct ek_answers answers = {0};
    /* What nobody takes is not read: it would pile up here. */
    if (loop->outbox.bytes >= UNSENT_BYTES_MAX)
        return;
    if (ek_serve_run(loop->serve, &answers, &loop->more_reads, loop->error) != EK_OK)
        loop->verdict = EK_IO;
    ek_answers_seal(&answers);
    ek_answers_move(&loop->outbox, &answers);
    ek_answers_done(&answers);
}

static bool receive_one(struct loop *loop, size_t *bytes)
{
    struct ek_frame frame;
    enum ek_status status = ek_socket_receive(loop->broker, &frame, NULL);
    loop->jobs = 0;
    if (status == EK_OK) {
        *bytes += ek_frame_bytes(&frame).size;
        take_frame(loop, &frame);
    }
    return status != EK_AGAIN;
}

static void receive(struct loop *loop)
{
    size_t bytes = 0;
    ek_burst_begin(&loop->burst);
    for (int i = 0; i < FRAMES_PER_TURN && may_receive(loop) && loop->verdict == EK_OK && receive_one(loop, &bytes); i++)
        if (ek_burst_took(&loop->burst, loop->jobs)) {
            serve_reads(loop);
            flush_outbox(loop);
        }
    ek_burst_end(&loop->burst);
    ek_together_pass(loop->together, loop->burst.jobs, bytes);
}

static bool may_survey(const struct loop *loop)
{
    return loop->survey && !loop->stopping && loop->outbox.bytes < UNSENT_BYTES_MAX;
}

/* A part of the check, and then as long a break: whoever is served waits for one part, and half of the time is theirs. */
static void survey_on(struct loop *loop)
{
    uint64_t began_us = ek_clock_monotonic_us();
    struct ek_buffer out = {0};
    bool last = false;
    if (!may_survey(loop) || began_us < loop->survey_due_us)
        return;
    if (ek_survey_run(loop->survey, &out, &last, loop->error) != EK_OK)
        loop->verdict = EK_IO;
    else
        ek_answers_push(&loop->outbox, ek_survey_link(loop->survey), ek_owned_of(&out));
    if (last || loop->verdict != EK_OK)
        ek_survey_destroy(&loop->survey);
    uint64_t now_us = ek_clock_monotonic_us();
    loop->survey_due_us = now_us + (now_us - began_us);
}

static int64_t wait_ms(const struct loop *loop, uint64_t due_us)
{
    if (ek_answers_peek(&loop->outbox))
        return RETRY_MS;
    if (loop->more_reads)
        return 0;
    uint64_t now_us = ek_clock_monotonic_us();
    uint64_t moving_us = ek_moving_due_us(loop->moving);
    due_us = moving_us < due_us ? moving_us : due_us;
    if (may_survey(loop) && loop->survey_due_us < due_us)
        due_us = loop->survey_due_us;
    return due_us <= now_us ? 0 : (int64_t)((due_us - now_us + 999) / 1000);
}

/* One wait and everything that is there afterwards. True when `signal_fd` has something. */
static bool turn(struct loop *loop, int signal_fd, uint64_t due_us)
{
    struct ek_poll_item items[4 + EK_COPIES_MAX] = {
        {.fd = ek_commit_fd(loop->commit)}, {.fd = signal_fd}, {.socket = loop->peers}, {.socket = loop->broker}};
    bool receives = may_receive(loop);
    size_t count = receives ? 4 : 3;
    count += ek_moving_items(loop->moving, items + count);
    enum ek_status polled = ek_poll(items, count, wait_ms(loop, due_us));
    if (polled != EK_OK && polled != EK_AGAIN) {
        loop->verdict = ek_error_set(loop->error, EK_IO, "cannot wait for messages");
        return false;
    }
    if (items[0].readable)
        take_done(loop);
    if (items[2].readable && ek_moving_serve(loop->moving, loop->peers, loop->error) != EK_OK)
        loop->verdict = EK_IO;
    if (receives && items[3].readable)
        receive(loop);
    ek_moving_run(loop->moving, ek_clock_monotonic_us());
    serve_reads(loop);
    survey_on(loop);
    flush_outbox(loop);
    return items[1].readable;
}

static void stop(struct loop *loop, int signal_fd)
{
    struct signalfd_siginfo asked;
    (void)!read(signal_fd, &asked, sizeof asked); /* else it stays readable and the turns below would not wait */
    ek_log(EK_LOG_INFO, "stopping: finishing what is in flight");
    loop->stopping = true;
    ek_commit_push(loop->commit, item_of(EK_COMMIT_STOP));
    uint64_t until_us = ek_clock_monotonic_us() + STOP_US;
    while (loop->verdict == EK_OK && ek_clock_monotonic_us() < until_us &&
           (!ek_commit_ended(loop->commit) || loop->more_reads || ek_answers_peek(&loop->outbox)))
        (void)turn(loop, signal_fd, until_us);
    take_done(loop);
    serve_reads(loop);
    flush_outbox(loop);
    say_bye(loop, loop->verdict == EK_OK ? EK_BYE_STOPPED : EK_BYE_STORAGE);
}

static enum ek_status open_sockets(struct loop *loop)
{
    loop->context = ek_context_new(1, SOCKETS_MAX);
    if (!loop->context)
        return ek_error_set(loop->error, EK_IO, "cannot start ZeroMQ");
    enum ek_status status = ek_socket_open(loop->context, EK_SOCKET_ROUTER, &loop->peers);
    if (status != EK_OK)
        return ek_error_set(loop->error, status, "cannot open a socket");
    status = ek_socket_bind(loop->peers, loop->settings->listen, loop->endpoint, loop->error);
    if (status != EK_OK)
        return status;
    if (!ek_endpoint_is_loopback(loop->endpoint))
        ek_log(EK_LOG_WARNING, "listening on %s without authentication: whoever reaches it can connect", loop->endpoint);
    if (loop->settings->advertise)
        (void)snprintf(loop->endpoint, sizeof loop->endpoint, "%s", loop->settings->advertise);
    return connect_broker(loop);
}

static void close_sockets(struct loop *loop)
{
    ek_socket_close(&loop->broker);
    ek_socket_close(&loop->peers);
    ek_context_destroy(&loop->context);
}

enum ek_status ek_worker_loop_run(const struct ek_worker_settings *settings, struct ek_engine *engine, struct ek_store *store,
                                  int signal_fd, struct ek_error *error)
{
    struct loop loop = {.settings = settings, .identity = engine->identity, .error = error};
    enum ek_status status = open_sockets(&loop);
    if (status != EK_OK) {
        close_sockets(&loop);
        return status;
    }
    loop.together = ek_together_new(loop.context);
    loop.load = ek_load_new();
    loop.serve = ek_serve_new(store, &engine->stamps, loop.load);
    loop.pulse = ek_pulse_new(store, loop.load, settings->reserve_bytes);
    loop.commit = ek_commit_start(engine, loop.load);
    if (!loop.commit)
        loop.verdict = ek_error_set(error, EK_IO, "cannot start the storage thread");
    loop.moving = ek_moving_new(loop.context, loop.commit);
    ek_store_enter_thread();
    ek_worker_link_init(&loop.link, ek_clock_monotonic_us());
    for (bool asked = false; !asked && loop.verdict == EK_OK;) {
        step_link(&loop);
        if (loop.verdict == EK_OK)
            asked = turn(&loop, signal_fd, ek_worker_link_due_us(&loop.link));
    }
    if (loop.commit && loop.verdict == EK_OK)
        stop(&loop, signal_fd);
    else if (loop.verdict == EK_IO)
        say_bye(&loop, EK_BYE_STORAGE);
    ek_moving_destroy(&loop.moving);
    ek_survey_destroy(&loop.survey);
    ek_together_destroy(&loop.together);
    close_sockets(&loop);
    if (loop.commit && !ek_commit_ended(loop.commit))
        return loop.verdict == EK_OK ? EK_AGAIN : loop.verdict;
    ek_commit_destroy(&loop.commit);
    ek_answers_done(&loop.outbox);
    ek_serve_destroy(&loop.serve);
    ek_pulse_destroy(&loop.pulse);
    ek_load_destroy(&loop.load);
    return loop.verdict;
}
