#include "broker/moves.h"

#include "broker/balance.h"
#include "broker/dispatch.h"
#include "broker/durable.h"
#include "broker/feed.h"
#include "broker/links.h"
#include "broker/loss.h"

#include <stdlib.h>

enum {
    COPIES_OUT_MAX = 1, /* of one worker */
    COPIES_IN_MAX = 2,
    NEAR_BYTES = 256 * 1024, /* what may still wait for the learner when a hold begins */
    HOLDS_MAX = 20,
    ROOM_TIMES = 2 /* of a copy's bytes must be free: files are written once more when they are merged */
};
#define PATIENCE_US   UINT64_C(10000000) /* without a sign of either side */
#define US_A_SECOND   UINT64_C(1000000)
#define HOLD_AGAIN_US UINT64_C(300000)
#define AWAY_US       UINT64_C(30000000) /* that one by the planner waits for a worker that is away */

const char *ek_move_phase_name(enum ek_move_phase phase)
{
    static const char *const names[] = {"queued",   "copying", "catching_up", "holding", "releasing",
                                        "cleaning", "done",    "cancelled",   "failed"};
    return names[phase];
}

const char *ek_move_reason_name(enum ek_move_reason reason)
{
    static const char *const names[] = {"balance", "drain", "operator", "repair"};
    return names[reason];
}

static struct ek_shard *shard_of(struct ek_broker *broker, const struct ek_move *move)
{
    return &broker->shards[move->shard];
}

/* The source still owns the shard. */
static bool is_before_switch(const struct ek_move *move)
{
    return move->phase <= EK_MOVE_HOLDING;
}

static bool is_attempted(const struct ek_move *move)
{
    return move->phase >= EK_MOVE_COPYING && move->phase <= EK_MOVE_HOLDING;
}

/* ---- attempts ---- */

/* An order is many times as large as a job: the actions only point to it, so that each of thousands is not as large as the rarest.
 */
struct ek_move_told {
    struct ek_move_told *next;
    struct ek_move_order order;
};

static void free_told(struct ek_broker *broker)
{
    while (broker->told) {
        struct ek_move_told *told = broker->told;
        broker->told = told->next;
        free(told);
    }
}

static uint64_t rate_of(const struct ek_broker *broker, const struct ek_move *move)
{
    uint64_t limit = broker->settings[EK_SETTING_COPY_BYTES_PER_SECOND];
    uint64_t rate = limit && limit < move->bytes_per_second ? limit : move->bytes_per_second;
    return rate > EK_COPY_RATE_MIN ? rate : EK_COPY_RATE_MIN;
}

static void order(struct ek_broker *broker, const struct ek_move *move, int worker, enum ek_move_step step)
{
    const struct ek_worker *to = &broker->workers[worker];
    struct ek_action *action = ek_broker_act(broker, EK_ACTION_WORKER_MOVE, to->peer);
    action->link = (struct ek_link){.link = to->link, .generation = broker->config.generation};
    struct ek_move_told *told = ek_alloc(sizeof *told);
    told->order = (struct ek_move_order){.link = action->link,
                                         .attempt = {.shard = move->shard, .number = move->attempt},
                                         .step = step,
                                         .epoch = broker->shards[move->shard].epoch,
                                         .position = move->position,
                                         .bytes_per_second = rate_of(broker, move)};
    if (step == EK_MOVE_PULL)
        memcpy(told->order.endpoint, broker->workers[move->source].endpoint, sizeof told->order.endpoint);
    told->next = broker->told;
    broker->told = told;
    action->move = &told->order;
}

static bool is_up(const struct ek_broker *broker, int worker)
{
    return worker != EK_NOBODY && broker->workers[worker].state == EK_WORKER_UP;
}

static void let_go(struct ek_broker *broker, struct ek_move *move)
{
    struct ek_shard *shard = shard_of(broker, move);
    uint64_t held_us = move->held_us ? broker->now_us - move->held_us : 0;
    move->longest_hold_us = held_us > move->longest_hold_us ? held_us : move->longest_hold_us;
    move->held_us = 0;
    if (!shard->held || shard->move != move) /* a later move's hold is not this one's */
        return;
    shard->held = false;
    ek_dispatch_make_ready(broker, shard);
}

/* From now on it counts among those that are under way, or no more: another one may begin then. */
static void count_active(struct ek_broker *broker, const struct ek_move *move, bool begins)
{
    broker->moves_active += begins ? 1 : (size_t)-1;
    broker->workers[move->source].copies_out += begins ? 1 : UINT32_MAX;
    broker->workers[move->target].copies_in += begins ? 1 : UINT32_MAX;
    broker->moves_may_begin |= !begins;
}

/* What either side has of it is dropped; nothing is left behind. */
static void end_attempt(struct ek_broker *broker, struct ek_move *move)
{
    ek_feed_free(broker, move, UINT64_MAX);
    let_go(broker, move);
    if (is_attempted(move)) {
        if (is_up(broker, move->source))
            order(broker, move, move->source, EK_MOVE_DROP);
        if (is_up(broker, move->target)) {
            order(broker, move, move->target, EK_MOVE_DROP);
            ek_links_tell(broker, move->target, move->shard, EK_HOLDING_RELEASED);
        }
        count_active(broker, move, false);
    }
    move->emptied = move->placed = false;
    move->copied_bytes = 0;
    move->queued_us = broker->now_us;
    move->phase = EK_MOVE_QUEUED;
}

static void end_move(struct ek_broker *broker, struct ek_move *move, enum ek_move_phase phase, const char *error)
{
    struct ek_shard *shard = shard_of(broker, move);
    if (is_before_switch(move))
        end_attempt(broker, move);
    let_go(broker, move);
    if (shard->move == move)
        shard->move = NULL;
    broker->moves_open--;
    broker->moves_ended++;
    move->phase = phase;
    move->ended_unix_ms = ek_time_unix_ms(&broker->time, broker->now_us);
    (void)snprintf(move->error, sizeof move->error, "%s", error ? error : "");
    if (phase == EK_MOVE_FAILED || phase == EK_MOVE_CANCELLED)
        ek_balance_failed(broker, move);
    if (phase == EK_MOVE_FAILED)
        ek_broker_say(broker, EK_ACTION_NOTICE, "shard %u could not move from %s to %s: %s", move->shard, move->source_name,
                      move->target_name, move->error);
}

static void try_again(struct ek_broker *broker, struct ek_move *move, const char *why)
{
    char text[EK_TEXT_BYTES_MAX];
    (void)snprintf(text, sizeof text, "%s", why);
    if (move->attempts >= EK_MOVE_ATTEMPTS_MAX) {
        end_move(broker, move, EK_MOVE_FAILED, text);
        return;
    }
    end_attempt(broker, move);
    memcpy(move->error, text, sizeof move->error);
}

/* ---- beginning ---- */

/* Both have said how they are since they joined. */
static bool is_up_and_heard(const struct ek_broker *broker, int worker)
{
    return is_up(broker, worker) && broker->workers[worker].has_credit;
}

static bool may_begin(const struct ek_broker *broker, const struct ek_move *move)
{
    const struct ek_shard *shard = &broker->shards[move->shard];
    return move->phase == EK_MOVE_QUEUED && shard->state == EK_SHARD_SERVING && is_up_and_heard(broker, move->source) &&
           is_up_and_heard(broker, move->target) && broker->workers[move->source].copies_out < COPIES_OUT_MAX &&
           broker->workers[move->target].copies_in < COPIES_IN_MAX;
}

static uint64_t bytes_to_come(const struct ek_move *move)
{
    return move->total_bytes > move->copied_bytes ? move->total_bytes - move->copied_bytes : 0;
}

/* What the target's disk has room for holds this copy and those that are under way to it. */
static bool has_room(const struct ek_broker *broker, const struct ek_move *move)
{
    uint64_t room = ek_links_room(&broker->workers[move->target]) / ROOM_TIMES;
    for (const struct ek_move *other = broker->moves; other; other = other->next) {
        if (!is_attempted(other) || other->target != move->target)
            continue;
        if (bytes_to_come(other) > room)
            return false;
        room -= bytes_to_come(other);
    }
    return broker->shards[move->shard].load.stored_bytes <= room;
}

void ek_moves_gained(struct ek_broker *broker, uint16_t shard, int worker)
{
    for (struct ek_move *move = broker->moves, *next; move; move = next) {
        next = move->next;
        if (move->phase == EK_MOVE_CLEANING && move->shard == shard && move->source == worker)
            end_move(broker, move, EK_MOVE_DONE, NULL);
    }
}

static void begin(struct ek_broker *broker, struct ek_move *move)
{
    ek_moves_gained(broker, move->shard, move->target);
    move->attempt = ++broker->last_attempt;
    move->attempts++;
    move->phase = EK_MOVE_COPYING;
    move->copying_us = move->progress_us = broker->now_us;
    move->holds = 0;
    move->hold_again_us = 0;
    move->fed = 0;
    move->total_bytes = shard_of(broker, move)->load.stored_bytes;
    count_active(broker, move, true);
    order(broker, move, move->target, EK_MOVE_FILL);
}

/* A target that takes no writes for a moment may take them again; one whose disk is full will not. */
static void begin_or_fail(struct ek_broker *broker, struct ek_move *move)
{
    const struct ek_worker *target = &broker->workers[move->target];
    if (!has_room(broker, move))
        end_move(broker, move, EK_MOVE_FAILED, "the target's disk has no room");
    else if (ek_links_is_full(target, broker->now_us))
        end_move(broker, move, EK_MOVE_FAILED, "the target takes no writes: its disk has no room, or its storage stands still");
    else if (!target->full_us)
        begin(broker, move);
}

/* In the order in which they were asked for. An attempt that has failed is not begun anew in the same breath. */
static void begin_some(struct ek_broker *broker, bool anew)
{
    for (struct ek_move *move = broker->moves, *next; move; move = next) {
        if (broker->settings[EK_SETTING_MOVES_PAUSED] || broker->moves_active >= EK_MOVES_ACTIVE_MAX)
            return;
        next = move->next;
        if ((anew || move->attempts == 0) && may_begin(broker, move))
            begin_or_fail(broker, move);
    }
}

static const char *why_not(const struct ek_broker *broker, const struct ek_shard *shard, int target)
{
    if (shard->state == EK_SHARD_QUARANTINED)
        return "this shard is quarantined: it moves once its loss is accepted, or its worker has the right disk again";
    if (shard->holder == EK_NOBODY)
        return "nobody holds this shard: it is given to the next worker that joins";
    if (shard->holder == target)
        return "this worker holds the shard already";
    if (shard->move)
        return "this shard is being moved already: see evenkeel moves";
    if (!is_up(broker, target))
        return "the worker that should get it is not up";
    if (broker->workers[target].drain.wanted)
        return "the worker that should get it is being drained";
    if (ek_loss_is_aside(&broker->workers[target], shard->number))
        return "that worker keeps rows of this shard that were given up: a new directory drops them";
    if (broker->moves_open >= EK_MOVES_QUEUED_MAX)
        return "too many moves are queued";
    return NULL;
}

const char *ek_moves_ask(struct ek_broker *broker, const struct ek_move_wish *wish, uint64_t *ret_number)
{
    struct ek_shard *shard = &broker->shards[wish->shard];
    const char *wrong = why_not(broker, shard, wish->target);
    if (wrong)
        return wrong;
    struct ek_move *move = ek_alloc_zero(1, sizeof *move);
    move->number = *ret_number = ++broker->last_move;
    move->shard = wish->shard;
    move->source = shard->holder;
    move->target = wish->target;
    move->bytes_per_second = wish->bytes_per_second;
    memcpy(move->source_name, broker->workers[move->source].name, sizeof move->source_name);
    memcpy(move->target_name, broker->workers[wish->target].name, sizeof move->target_name);
    move->reason = wish->reason;
    move->queued_us = broker->now_us;
    move->started_unix_ms = ek_time_unix_ms(&broker->time, broker->now_us);
    move->end = &move->first;
    struct ek_move **at = &broker->moves;
    while (*at)
        at = &(*at)->next;
    *at = move;
    shard->move = move;
    broker->moves_open++;
    return NULL;
}

const char *ek_moves_cancel(struct ek_broker *broker, uint64_t number)
{
    for (struct ek_move *move = broker->moves; move; move = move->next) {
        if (move->number != number)
            continue;
        if (!is_before_switch(move))
            return "this move is past the point of no return, or has ended";
        end_move(broker, move, EK_MOVE_CANCELLED, NULL);
        return NULL;
    }
    return "there is no such move: see evenkeel moves";
}

/* Ends those before their switch that come from `source` or go to `target`, for that reason alone if `only_drains`. */
static void end_those(struct ek_broker *broker, int source, int target, bool only_drains)
{
    for (struct ek_move *move = broker->moves; move; move = move->next) {
        bool meant = (source != EK_NOBODY && move->source == source) || (target != EK_NOBODY && move->target == target);
        if (meant && is_before_switch(move) && (!only_drains || move->reason == EK_MOVE_DRAIN))
            end_move(broker, move, EK_MOVE_CANCELLED, only_drains ? "the drain was cancelled" : "its target is being drained");
    }
}

void ek_moves_target_leaves(struct ek_broker *broker, int worker)
{
    end_those(broker, EK_NOBODY, worker, false);
}

void ek_moves_drain_cancelled(struct ek_broker *broker, int worker)
{
    end_those(broker, worker, EK_NOBODY, true);
}

bool ek_moves_involve(const struct ek_broker *broker, int worker, enum ek_move_phase up_to)
{
    for (const struct ek_move *move = broker->moves; move; move = move->next)
        if ((move->source == worker || move->target == worker) && move->phase <= up_to)
            return true;
    return false;
}

/* ---- the hold and the switch ---- */

static bool is_at_rest(const struct ek_broker *broker, const struct ek_move *move)
{
    const struct ek_shard *shard = &broker->shards[move->shard];
    bool positioned = shard->queue.first && shard->queue.first->position;
    return shard->writes.count == 0 && shard->reads.count == 0 && !positioned && !move->first && move->fed == shard->given;
}

/* The point of no return is the record. */
static void switch_over(struct ek_broker *broker, struct ek_move *move)
{
    struct ek_shard *shard = shard_of(broker, move);
    move->phase = EK_MOVE_RELEASING;
    ek_balance_moved(broker, move);
    count_active(broker, move, false);
    shard->epoch++;
    ek_dispatch_set_holder(broker, shard, move->target);
    ek_shard_set_state(broker, shard, EK_SHARD_OPENING);
    shard->empty = false;
    ek_durable_add_assignment(broker, shard);
    ek_durable_write(broker);
    ek_links_tell(broker, move->target, move->shard, EK_HOLDING_SERVING);
    ek_links_tell(broker, move->source, move->shard, EK_HOLDING_RELEASED);
}

static void note_hold_ends(struct ek_broker *broker, const struct ek_move *move)
{
    uint64_t end_us = move->held_us + EK_MOVE_HOLD_US;
    if (end_us < broker->holds_due_us)
        broker->holds_due_us = end_us;
}

static void hold(struct ek_broker *broker, struct ek_move *move)
{
    move->phase = EK_MOVE_HOLDING;
    move->held_us = broker->now_us;
    move->holds++;
    shard_of(broker, move)->held = true;
    note_hold_ends(broker, move);
}

static void undo_hold(struct ek_broker *broker, struct ek_move *move)
{
    if (move->holds >= HOLDS_MAX) {
        try_again(broker, move, "the shard did not come to rest within the bound of a hold");
        return;
    }
    move->phase = EK_MOVE_CATCHING_UP;
    move->hold_again_us = broker->now_us + HOLD_AGAIN_US;
    let_go(broker, move);
}

static void go_on(struct ek_broker *broker, struct ek_move *move)
{
    if (move->phase == EK_MOVE_CATCHING_UP || move->phase == EK_MOVE_HOLDING)
        ek_feed_send(broker, move);
    if (move->phase == EK_MOVE_CATCHING_UP && move->feed_bytes < NEAR_BYTES && broker->now_us >= move->hold_again_us)
        hold(broker, move);
    if (move->phase != EK_MOVE_HOLDING)
        return;
    if (is_at_rest(broker, move))
        switch_over(broker, move);
    else if (broker->now_us - move->held_us >= EK_MOVE_HOLD_US)
        undo_hold(broker, move);
}

/* The planner had better look again. */
static bool waits_in_vain(const struct ek_broker *broker, const struct ek_move *move)
{
    return move->phase == EK_MOVE_QUEUED && move->reason != EK_MOVE_OPERATOR && broker->now_us - move->queued_us >= AWAY_US &&
           !(is_up(broker, move->source) && is_up(broker, move->target));
}

/* The largest part of a copy comes without a sign in between, and at the rate that was granted. */
static uint64_t patience_us(const struct ek_broker *broker, const struct ek_move *move)
{
    return PATIENCE_US + EK_COPY_CHUNK_BYTES_MAX * US_A_SECOND / rate_of(broker, move);
}

void ek_moves_run(struct ek_broker *broker)
{
    begin_some(broker, true);
    for (struct ek_move *move = broker->moves, *next; move; move = next) {
        next = move->next;
        if (waits_in_vain(broker, move))
            end_move(broker, move, EK_MOVE_FAILED, "one of the two workers is away");
        else if (is_attempted(move) && broker->now_us - move->progress_us >= patience_us(broker, move))
            try_again(broker, move, "one of the two workers did not go on");
        else
            go_on(broker, move);
    }
}

static void end_holds(struct ek_broker *broker)
{
    if (broker->now_us < broker->holds_due_us)
        return;
    broker->holds_due_us = UINT64_MAX;
    for (struct ek_move *move = broker->moves; move; move = move->next) {
        if (move->phase != EK_MOVE_HOLDING)
            continue;
        go_on(broker, move);
        if (move->phase == EK_MOVE_HOLDING)
            note_hold_ends(broker, move);
    }
}

/* The last ones are kept for people. */
static void keep_few(struct ek_broker *broker)
{
    for (struct ek_move **at = &broker->moves; *at && broker->moves_ended > EK_MOVES_KEPT;) {
        struct ek_move *move = *at;
        if (move->phase < EK_MOVE_DONE) {
            at = &move->next;
            continue;
        }
        *at = move->next;
        broker->moves_ended--;
        free(move);
    }
}

static void free_feed_over(struct ek_broker *broker)
{
    while (broker->feed_over) {
        struct ek_feed_entry *entry = broker->feed_over;
        broker->feed_over = entry->next;
        free(entry);
    }
}

void ek_moves_begin_step(struct ek_broker *broker)
{
    free_feed_over(broker);
    free_told(broker);
    keep_few(broker);
    end_holds(broker);
}

void ek_moves_end_step(struct ek_broker *broker)
{
    if (!broker->moves_may_begin)
        return;
    broker->moves_may_begin = false;
    begin_some(broker, false);
}

void ek_moves_done(struct ek_broker *broker)
{
    while (broker->moves) {
        struct ek_move *move = broker->moves;
        broker->moves = move->next;
        ek_feed_free(broker, move, UINT64_MAX);
        free(move);
    }
    free_feed_over(broker);
    free_told(broker);
}

/* ---- what the workers say ---- */

static void take_report(struct ek_broker *broker, struct ek_move *move, bool from_source, const struct ek_move_report *report)
{
    move->progress_us = broker->now_us;
    switch (report->step) {
    case EK_MOVED_EMPTIED:
        if (from_source || move->emptied)
            return;
        move->emptied = true;
        order(broker, move, move->source, EK_MOVE_COPY); /* behind the jobs that went out before */
        break;
    case EK_MOVED_COPYING:
        if (!from_source || move->placed)
            return;
        move->placed = true;
        move->position = report->position;
        ek_feed_free(broker, move, report->position);
        order(broker, move, move->target, EK_MOVE_PULL);
        break;
    case EK_MOVED_FETCHED:
        if (!from_source)
            move->copied_bytes = report->bytes;
        break;
    case EK_MOVED_COMPLETE:
        if (from_source || move->phase != EK_MOVE_COPYING)
            return;
        order(broker, move, move->source, EK_MOVE_DROP); /* its copy has served */
        move->phase = EK_MOVE_CATCHING_UP;
        move->fed = report->position;
        break;
    case EK_MOVED_FED:
        if (from_source || report->position < move->fed)
            return;
        move->fed = report->position;
        ek_feed_free(broker, move, report->position);
        break;
    case EK_MOVED_FAILED:
        try_again(broker, move, report->text[0] ? report->text : "a worker gave up");
        return;
    case EK_MOVED_CLEANED: /* take_cleaned */
        return;
    }
    go_on(broker, move);
}

static void take_cleaned(struct ek_broker *broker, uint16_t shard, int worker)
{
    for (struct ek_move *move = broker->moves, *next; move; move = next) {
        next = move->next;
        if (move->shard != shard || move->source != worker)
            continue;
        if (move->phase == EK_MOVE_CLEANING)
            end_move(broker, move, EK_MOVE_DONE, NULL);
        else if (move->phase == EK_MOVE_RELEASING)
            move->cleaned = true; /* its grace was over before the new owner was there */
    }
}

void ek_moves_reported(struct ek_broker *broker, const struct ek_worker *worker, const struct ek_move_report *report)
{
    int index = (int)(worker - broker->workers);
    if (report->attempt.shard >= broker->config.shards)
        return;
    if (report->step == EK_MOVED_CLEANED) {
        take_cleaned(broker, report->attempt.shard, index);
        return;
    }
    struct ek_move *move = broker->shards[report->attempt.shard].move;
    if (move && is_attempted(move) && move->attempt == report->attempt.number && (move->source == index || move->target == index))
        take_report(broker, move, move->source == index, report);
}

/* ---- what the rest of the core tells ---- */

void ek_moves_answered(struct ek_broker *broker, struct ek_shard *shard, const struct ek_broker_job *job,
                       const struct ek_worker_reply *reply)
{
    struct ek_move *move = shard->move;
    if (!move || !is_attempted(move) || !move->emptied || !ek_job_writes(job) || job->position <= move->position)
        return;
    ek_feed_add(broker, move, job, reply);
    struct ek_move *ended = ek_feed_beyond_limit(broker, move);
    if (ended)
        try_again(broker, ended, "writes came faster than the learner took them");
}

void ek_moves_settled(struct ek_broker *broker, struct ek_shard *shard)
{
    if (shard->move)
        go_on(broker, shard->move);
}

void ek_moves_link_ended(struct ek_broker *broker, int worker)
{
    for (struct ek_move *move = broker->moves, *next; move; move = next) {
        next = move->next;
        if (is_attempted(move) && (move->source == worker || move->target == worker))
            try_again(broker, move, "a worker's link ended");
        else if (move->phase == EK_MOVE_CLEANING && move->source == worker)
            end_move(broker, move, EK_MOVE_DONE, NULL); /* it is told again when it comes back, and deletes then */
    }
}

void ek_moves_shard_left(struct ek_broker *broker, struct ek_shard *shard)
{
    struct ek_move *move = shard->move;
    if (move && is_before_switch(move))
        end_move(broker, move, EK_MOVE_FAILED, "the shard was quarantined, or went to another worker");
}

void ek_moves_opened(struct ek_broker *broker, struct ek_shard *shard)
{
    struct ek_move *move = shard->move;
    if (!move || move->phase != EK_MOVE_RELEASING)
        return;
    let_go(broker, move);
    shard->move = NULL;
    move->phase = EK_MOVE_CLEANING;
    if (move->cleaned || !is_up(broker, move->source))
        end_move(broker, move, EK_MOVE_DONE, NULL);
}

void ek_moves_renumber(struct ek_broker *broker, int from, int to)
{
    for (struct ek_move *move = broker->moves, *next; move; move = next) {
        next = move->next;
        bool touched = move->source == from || move->target == from;
        if (touched && to == EK_NOBODY && move->phase < EK_MOVE_DONE)
            end_move(broker, move, is_before_switch(move) ? EK_MOVE_FAILED : EK_MOVE_DONE, "one of the two workers was forgotten");
        move->source = move->source == from ? to : move->source;
        move->target = move->target == from ? to : move->target;
    }
}
