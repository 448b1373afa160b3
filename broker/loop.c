#include "broker/loop.h"

#include "broker/inbound.h"
#include "broker/keeper.h"
#include "broker/outbox.h"
#include "broker/stats.h"
#include "common/burst.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/together.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    TICK_US = 100 * 1000,
    SECOND_US = 1000 * 1000,
    STOP_US = 5 * SECOND_US,
    MESSAGES_A_TURN = 256,
    BYTES_A_TURN = 4 * 1024 * 1024,
    DISPATCHES_A_TURN = 32, /* small steps: what one leaves is still in the processor's cache when it is carried out */
    REPLIES_A_STEP = 128,   /* likewise */
    PIPE_FULL_WAIT_MS = 2,
    SLOW_RETRY_MS = 100
};

struct loop;

/* Where messages come from. */
struct source {
    struct ek_socket *socket;
    enum ek_status (*take)(struct loop *loop, ek_peer peer, struct ek_slice bytes);
    enum ek_message_type error_type; /* tells a sender why its message was not read */
    struct ek_burst burst;
};

struct loop {
    struct ek_broker_loop_options options;
    struct source workers;
    struct source clients;
    struct ek_together *together;
    size_t jobs; /* and replies, of the present message */
    struct ek_inbound *inbound;
    struct ek_outbox *to_clients;
    struct ek_outbox *to_workers;
    struct ek_keeper *keeper;
    struct ek_stats *stats;
    struct ek_floor *floors;
    int signals;
    uint64_t next_tick_us;
    uint64_t next_second_us;
    uint64_t stop_at_us; /* 0 = not stopping */
    bool failed;
};

/* ---- actions ---- */

/* Only what was read is large, and can be read again: when its client takes less than it asks for it is told to come back. */
static void send_reply(struct loop *loop, const struct ek_action *action)
{
    struct ek_reply busy = {.id = action->reply.id, .status = EK_WIRE_BUSY, .retry_ms = SLOW_RETRY_MS};
    bool refused = action->reply.body.size > EK_OUTBOX_LARGE_BYTES && ek_outbox_is_slow(loop->to_clients, action->peer);
    ek_outbox_reply(loop->to_clients, action->peer, refused ? &busy : &action->reply);
}

static void send_assign(struct loop *loop, const struct ek_action *action)
{
    struct ek_buffer message = {0};
    ek_encode_holdings(&message, EK_MESSAGE_WORKER_ASSIGN, action->link, action->assign.holdings, action->assign.count);
    ek_outbox_message(loop->to_workers, action->peer, ek_owned_of(&message));
}

static void send_losses(struct loop *loop, const struct ek_action *action)
{
    struct ek_buffer message = {0};
    ek_encode_losses(&message, action->link, action->loss.losses, action->loss.count);
    ek_outbox_message(loop->to_workers, action->peer, ek_owned_of(&message));
}

static void send_move(struct loop *loop, const struct ek_action *action)
{
    struct ek_buffer message = {0};
    ek_encode_move_order(&message, action->move);
    ek_outbox_message(loop->to_workers, action->peer, ek_owned_of(&message));
}

static void send_check(struct loop *loop, const struct ek_action *action)
{
    struct ek_buffer message = {0};
    ek_encode_check_order(&message, &(struct ek_check_order){.link = action->link, .check = action->check});
    ek_outbox_message(loop->to_workers, action->peer, ek_owned_of(&message));
}

static void send_single(struct loop *loop, const struct ek_action *action)
{
    struct ek_buffer message = {0};
    if (action->type == EK_ACTION_WELCOME)
        ek_encode_welcome(&message, action->welcome);
    else if (action->type == EK_ACTION_ANSWER)
        ek_encode_answer(&message, &action->answer);
    else if (action->type == EK_ACTION_WORKER_WELCOME)
        ek_encode_worker_welcome(&message, &action->worker_welcome);
    else
        ek_encode_pulse(&message, action->link);
    bool to_client = action->type == EK_ACTION_WELCOME || action->type == EK_ACTION_ANSWER;
    ek_outbox_message(to_client ? loop->to_clients : loop->to_workers, action->peer, ek_owned_of(&message));
}

/* Whoever goes on without it is refused again. */
static void send_refusal(struct loop *loop, const struct ek_action *action)
{
    struct ek_buffer message = {0};
    ek_encode_refusal(&message, EK_MESSAGE_WORKER_REFUSED, action->refusal);
    ek_outbox_offer(loop->to_workers, action->peer, ek_owned_of(&message));
}

static void persist(struct loop *loop, const struct ek_action *action)
{
    struct ek_error error;
    if (ek_meta_write_records(loop->options.meta, action->persist.records, action->persist.count, &error) == EK_OK)
        return;
    ek_log(EK_LOG_ERROR, "%s; stopping, because nothing may be announced that is not durable", error.text);
    _exit(EXIT_FAILURE);
}

static void perform(struct loop *loop, const struct ek_action *action)
{
    switch (action->type) {
    case EK_ACTION_REPLY:
        send_reply(loop, action);
        break;
    case EK_ACTION_WORKER_JOB:
        ek_outbox_job(loop->to_workers, action->peer, action->link, &action->job);
        break;
    case EK_ACTION_WORKER_FEED:
        ek_outbox_fed(loop->to_workers, action->peer, action->link, action->fed);
        break;
    case EK_ACTION_WORKER_MOVE:
        send_move(loop, action);
        break;
    case EK_ACTION_WORKER_CHECK:
        send_check(loop, action);
        break;
    case EK_ACTION_WORKER_ASSIGN:
        send_assign(loop, action);
        break;
    case EK_ACTION_WORKER_LOSS:
        send_losses(loop, action);
        break;
    case EK_ACTION_ANSWER:
    case EK_ACTION_WELCOME:
    case EK_ACTION_WORKER_WELCOME:
    case EK_ACTION_WORKER_PULSE:
        send_single(loop, action);
        break;
    case EK_ACTION_WORKER_REFUSED:
        send_refusal(loop, action);
        break;
    case EK_ACTION_PERSIST:
        persist(loop, action);
        break;
    case EK_ACTION_NOTICE:
        ek_log(EK_LOG_INFO, "%s", action->text);
        break;
    case EK_ACTION_ALARM:
        ek_log(EK_LOG_WARNING, "%s", action->text);
        break;
    case EK_ACTION_END:
        ek_log(EK_LOG_ERROR, "stopping: %s", action->text);
        loop->failed = true;
        break;
    }
}

static void step(struct loop *loop, struct ek_event *event)
{
    if (event->type == EK_EVENT_CLIENT_JOBS || event->type == EK_EVENT_WORKER_REPLIES)
        loop->jobs += event->count;
    event->now_us = ek_clock_monotonic_us();
    size_t count;
    const struct ek_action *actions = ek_broker_step(loop->options.broker, event, &count);
    for (size_t i = 0; i < count && !loop->failed; i++)
        perform(loop, &actions[i]);
}

/* ---- messages ---- */

/* The sender of the last message gets told why it was not read. */
static void answer_unreadable(struct ek_socket *socket, enum ek_message_type type, enum ek_status status)
{
    struct ek_refusal refusal = {.status = status == EK_TOO_LARGE ? EK_WIRE_TOO_LARGE : EK_WIRE_USAGE};
    const char *text = status == EK_TOO_LARGE ? "the message passes a limit; see PROTOCOL.md"
                       : status == EK_NEWER   ? "this broker speaks version 1 of the protocol"
                       : status == EK_DENIED  ? "let ZeroMQ choose the routing id"
                                              : "the message cannot be read; see PROTOCOL.md";
    (void)snprintf(refusal.text, sizeof refusal.text, "%s", text);
    struct ek_buffer message = {0};
    ek_encode_refusal(&message, type, &refusal);
    ek_socket_answer(socket, ek_buffer_slice(&message));
    ek_buffer_done(&message);
}

static void answer_query(struct loop *loop, ek_peer peer, const struct ek_query *query)
{
    bool slow = ek_outbox_is_slow(loop->to_clients, peer);
    struct ek_snapshot *snapshot = slow ? NULL : ek_snapshot_take(loop->options.broker, ek_clock_monotonic_us());
    if (snapshot && ek_stats_query(loop->stats, snapshot, peer, query))
        return;
    struct ek_answer busy = {.id = query->id, .status = EK_WIRE_BUSY, .text = ek_slice_text("{}")};
    struct ek_buffer message = {0};
    ek_encode_answer(&message, &busy);
    ek_outbox_message(loop->to_clients, peer, ek_owned_of(&message));
}

static enum ek_status take_client_message(struct loop *loop, ek_peer peer, struct ek_slice bytes)
{
    struct ek_event event = {.peer = peer};
    const struct ek_query *query;
    enum ek_status status = ek_inbound_client(loop->inbound, bytes, &event, &query);
    if (status == EK_OK && query)
        answer_query(loop, peer, query);
    else if (status == EK_OK)
        step(loop, &event);
    return status;
}

/* A message without replies is a step as well: whoever has no link is told so. */
static void step_in_parts(struct loop *loop, struct ek_event event)
{
    size_t left = event.count;
    do {
        event.count = left < REPLIES_A_STEP ? left : REPLIES_A_STEP;
        step(loop, &event);
        left -= event.count;
        event.replies += event.count;
    } while (left && !loop->failed);
}

static enum ek_status take_worker_message(struct loop *loop, ek_peer peer, struct ek_slice bytes)
{
    struct ek_event event = {.peer = peer};
    enum ek_status status = ek_inbound_worker(loop->inbound, bytes, &event);
    if (status == EK_OK && event.type == EK_EVENT_WORKER_REPLIES)
        step_in_parts(loop, event);
    else if (status == EK_OK)
        step(loop, &event);
    return status;
}

static void report_lost(struct loop *loop, struct ek_outbox *outbox, enum ek_event_type type)
{
    struct ek_event event = {.type = type};
    while (ek_outbox_next_lost(outbox, &event.peer))
        step(loop, &event);
}

static void send_out(struct loop *loop)
{
    int i = 0;
    do
        step(loop, &(struct ek_event){.type = EK_EVENT_DISPATCH});
    while (ek_broker_has_more(loop->options.broker) && ++i < DISPATCHES_A_TURN);
    ek_outbox_flush(loop->to_workers);
    ek_outbox_flush(loop->to_clients);
    report_lost(loop, loop->to_workers, EK_EVENT_WORKER_LOST);
    report_lost(loop, loop->to_clients, EK_EVENT_CLIENT_LOST);
}

/* Takes a message; false when there is none. */
static bool receive_one(struct loop *loop, struct source *source, size_t *bytes)
{
    struct ek_frame frame;
    ek_peer peer;
    enum ek_status status = ek_socket_receive(source->socket, &frame, &peer);
    if (status == EK_AGAIN)
        return false;
    loop->jobs = 0;
    if (status == EK_OK) {
        struct ek_slice message = ek_frame_bytes(&frame);
        *bytes += message.size;
        status = source->take(loop, peer, message);
        ek_frame_done(&frame);
    }
    if (status != EK_OK)
        answer_unreadable(source->socket, source->error_type, status);
    return true;
}

/* Takes what is there, up to a bound, so that no peer keeps the others waiting. */
static void receive(struct loop *loop, struct source *source)
{
    size_t bytes = 0;
    ek_burst_begin(&source->burst);
    for (int i = 0; i < MESSAGES_A_TURN && bytes < BYTES_A_TURN && !loop->failed && receive_one(loop, source, &bytes); i++)
        if (ek_burst_took(&source->burst, loop->jobs))
            send_out(loop);
    ek_burst_end(&source->burst);
    ek_together_pass(loop->together, source->burst.jobs, bytes);
}

/* ---- beside the jobs ---- */

static void every_second(struct loop *loop, uint64_t now_us)
{
    ek_stats_ask(loop->stats);
    if (ek_keeper_is_busy(loop->keeper))
        return; /* a slow disk: the next second's write will hold both */
    size_t count = ek_broker_take_floors(loop->options.broker, loop->floors, EK_SHARDS_MAX);
    ek_keeper_write(loop->keeper, loop->floors, count, ek_broker_wanted_ceiling(loop->options.broker, now_us));
}

static void take_results(struct loop *loop)
{
    struct ek_event event = {.type = EK_EVENT_CEILING_DURABLE};
    while (ek_keeper_take_done(loop->keeper, &event.ceiling_unix_ms))
        step(loop, &event);
    struct ek_stats_answer answer;
    while (ek_stats_take_answer(loop->stats, &answer))
        ek_outbox_message(loop->to_clients, answer.peer, answer.message);
}

/* A snapshot names every shard: it is taken only for somebody. */
static void publish_if_wanted(struct loop *loop)
{
    if (ek_stats_take_wanted(loop->stats))
        ek_stats_publish(loop->stats, ek_snapshot_take(loop->options.broker, ek_clock_monotonic_us()));
}

static void run_timers(struct loop *loop)
{
    uint64_t now_us = ek_clock_monotonic_us();
    if (now_us >= loop->next_tick_us) {
        loop->next_tick_us = now_us + TICK_US;
        step(loop, &(struct ek_event){.type = EK_EVENT_TICK, .wall_unix_ms = ek_clock_unix_ms()});
    }
    if (now_us >= loop->next_second_us) {
        loop->next_second_us = now_us + SECOND_US;
        every_second(loop, now_us);
    }
}

static void begin_to_stop(struct loop *loop)
{
    struct signalfd_siginfo signal;
    if (read(loop->signals, &signal, sizeof signal) != sizeof signal || loop->stop_at_us)
        return;
    loop->stop_at_us = ek_clock_monotonic_us() + STOP_US;
    ek_log(EK_LOG_INFO, "stopping: finishing %zu jobs in flight, refusing new ones", ek_broker_in_flight(loop->options.broker));
    step(loop, &(struct ek_event){.type = EK_EVENT_STOP});
}

static bool is_done(const struct loop *loop)
{
    if (loop->failed)
        return true;
    return loop->stop_at_us && (ek_broker_in_flight(loop->options.broker) == 0 || ek_clock_monotonic_us() >= loop->stop_at_us);
}

static int64_t wait_ms(const struct loop *loop)
{
    if (ek_broker_has_more(loop->options.broker))
        return 0;
    if (ek_outbox_waits(loop->to_clients) || ek_outbox_waits(loop->to_workers))
        return PIPE_FULL_WAIT_MS;
    uint64_t now_us = ek_clock_monotonic_us();
    uint64_t due_us = ek_broker_due_us(loop->options.broker);
    if (loop->next_tick_us < due_us)
        due_us = loop->next_tick_us;
    return due_us > now_us ? (int64_t)((due_us - now_us) / 1000 + 1) : 0;
}

static void turn(struct loop *loop)
{
    struct ek_poll_item items[] = {
        {.socket = loop->workers.socket},   {.socket = loop->clients.socket}, {.fd = loop->signals},
        {.fd = ek_keeper_fd(loop->keeper)}, {.fd = ek_stats_fd(loop->stats)},
    };
    enum ek_status status = ek_poll(items, sizeof items / sizeof *items, wait_ms(loop));
    if (status == EK_IO) {
        ek_log(EK_LOG_ERROR, "cannot wait for messages any more; stopping");
        loop->failed = true;
        return;
    }
    if (items[2].readable)
        begin_to_stop(loop);
    if (items[0].readable)
        receive(loop, &loop->workers);
    if (items[1].readable)
        receive(loop, &loop->clients);
    if (items[3].readable || items[4].readable)
        take_results(loop);
    run_timers(loop);
    publish_if_wanted(loop);
    send_out(loop);
}

static bool start(struct loop *loop)
{
    sigset_t stops;
    (void)sigemptyset(&stops);
    (void)sigaddset(&stops, SIGTERM);
    (void)sigaddset(&stops, SIGINT);
    loop->signals = signalfd(-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK);
    loop->workers =
        (struct source){.socket = loop->options.workers, .take = take_worker_message, .error_type = EK_MESSAGE_WORKER_REFUSED};
    loop->clients = (struct source){.socket = loop->options.clients, .take = take_client_message, .error_type = EK_MESSAGE_ERROR};
    loop->together = ek_together_new(loop->options.context);
    loop->keeper = ek_keeper_new(loop->options.meta);
    loop->stats = ek_stats_new(loop->options.stats);
    loop->inbound = ek_inbound_new();
    loop->floors = ek_alloc_zero(EK_SHARDS_MAX, sizeof *loop->floors);
    loop->to_clients = ek_outbox_new(loop->options.clients, EK_OUTBOX_BYTES_MAX, loop->options.queue_bytes_max / 2);
    loop->to_workers = ek_outbox_new(loop->options.workers, EK_CREDIT_BYTES_MAX * 2, SIZE_MAX);
    return loop->signals >= 0 && loop->keeper && loop->stats;
}

int ek_broker_loop_run(const struct ek_broker_loop_options *options)
{
    struct loop loop = {.options = *options};
    if (start(&loop)) {
        while (!is_done(&loop))
            turn(&loop);
        send_out(&loop);
    } else {
        ek_log(EK_LOG_ERROR, "the system has no thread or file descriptor left");
        loop.failed = true;
    }
    ek_outbox_destroy(&loop.to_clients);
    ek_outbox_destroy(&loop.to_workers);
    ek_keeper_destroy(&loop.keeper);
    ek_stats_destroy(&loop.stats);
    ek_inbound_destroy(&loop.inbound);
    ek_together_destroy(&loop.together);
    free(loop.floors);
    if (loop.signals >= 0)
        (void)close(loop.signals);
    return loop.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
