#include "broker/check.h"

#include "broker/moves.h"
#include "common/json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

/* What was known of a shard at the beginning, and what the workers say of it. Workers are indexes, or EK_NOBODY. */
struct shard {
    int holder;
    uint64_t epoch;
    uint64_t floor;
    bool due;   /* it was served, and its holder was asked */
    bool heard; /* the holder has said: */
    struct ek_checked said;
    int learner; /* of the move that is under way, with everything up to its position */
    struct ek_checked learned;
    int usurper; /* says that it serves the shard, and does not hold it */
    int stranger;
    uint64_t foreign_rows;
    uint64_t awaiting_rows;
};

struct asked {
    uint64_t link; /* 0: was not asked, or has said all */
    uint32_t next; /* the lowest shard that may follow */
    uint64_t heard_us;
};

struct asker {
    ek_broker_peer peer;
    uint64_t id;
};

struct ek_check {
    uint64_t number;
    struct shard *shards;
    struct asked asked[EK_WORKERS_MAX];
    size_t missing; /* workers that have not said all */
    struct asker askers[EK_CHECK_ASKERS_MAX];
    size_t asker_count;
};

/* What it comes to, and the details as JSON. */
struct outcome {
    uint64_t checked;
    uint64_t changed;
    uint64_t unavailable;
    uint64_t rows;
    uint64_t mismatches;
    uint64_t awaiting_rows;
    uint64_t foreign_rows;
    size_t detail_count;
    struct ek_buffer details;
};

/* ---- answering ---- */

static void end(struct ek_broker *broker, enum ek_wire_status status)
{
    struct ek_check *check = broker->check;
    broker->check = NULL;
    for (size_t i = 0; i < check->asker_count; i++)
        ek_broker_act(broker, EK_ACTION_ANSWER, check->askers[i].peer)->answer =
            (struct ek_answer){.id = check->askers[i].id, .status = status, .text = ek_buffer_slice(&broker->answer)};
    free(check->shards);
    free(check);
}

/* Without a result. */
static void give_up(struct ek_broker *broker, int worker, const char *why)
{
    char text[EK_TEXT_BYTES_MAX];
    if (worker == EK_NOBODY)
        (void)snprintf(text, sizeof text, "%s", why);
    else
        (void)snprintf(text, sizeof text, "worker %.64s %s: see evenkeel workers, then check again", broker->workers[worker].name,
                       why);
    ek_buffer_clear(&broker->answer);
    ek_buffer_append(&broker->answer, text, strlen(text));
    end(broker, EK_WIRE_UNAVAILABLE);
}

/* ---- beginning ---- */

static struct shard shard_of(const struct ek_broker *broker, const struct ek_shard *shard)
{
    bool up = shard->holder != EK_NOBODY && broker->workers[shard->holder].state == EK_WORKER_UP;
    return (struct shard){.holder = shard->holder,
                          .epoch = shard->epoch,
                          .floor = shard->floor,
                          .due = up && shard->state == EK_SHARD_SERVING,
                          .learner = EK_NOBODY,
                          .usurper = EK_NOBODY,
                          .stranger = EK_NOBODY};
}

static void ask_worker(struct ek_broker *broker, size_t index)
{
    struct ek_check *check = broker->check;
    const struct ek_worker *worker = &broker->workers[index];
    struct ek_action *action = ek_broker_act(broker, EK_ACTION_WORKER_CHECK, worker->peer);
    action->link = (struct ek_link){.link = worker->link, .generation = broker->config.generation};
    action->check = check->number;
    check->asked[index] = (struct asked){.link = worker->link, .heard_us = broker->now_us};
    check->missing++;
}

static void begin(struct ek_broker *broker)
{
    struct ek_check *check = ek_alloc_zero(1, sizeof *check);
    broker->check = check;
    check->number = ++broker->last_check;
    check->shards = ek_alloc_zero(broker->config.shards, sizeof *check->shards);
    for (uint32_t i = 0; i < broker->config.shards; i++)
        check->shards[i] = shard_of(broker, &broker->shards[i]);
    for (size_t i = 0; i < broker->worker_count; i++)
        if (broker->workers[i].state == EK_WORKER_UP)
            ask_worker(broker, i);
}

/* One that asks again waits for the answer to its last question alone. */
static struct asker *place_for(struct ek_check *check, ek_broker_peer peer)
{
    for (size_t i = 0; i < check->asker_count; i++)
        if (check->askers[i].peer == peer)
            return &check->askers[i];
    return check->asker_count < EK_CHECK_ASKERS_MAX ? &check->askers[check->asker_count++] : NULL;
}

/* ---- judging ---- */

__attribute__((format(printf, 5, 6))) static void note(const struct ek_broker *broker, struct outcome *outcome, int worker,
                                                       uint32_t shard, const char *format, ...)
{
    char text[EK_TEXT_BYTES_MAX];
    if (outcome->detail_count == EK_CHECK_DETAILS_MAX)
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct ek_buffer *details = &outcome->details;
    outcome->detail_count++;
    ek_json_open(details, NULL, '{');
    if (worker == EK_NOBODY) /* it was forgotten meanwhile */
        ek_json_null(details, "worker");
    else
        ek_json_text(details, "worker", broker->workers[worker].name);
    ek_json_uint(details, "shard", shard);
    ek_json_text(details, "text", text);
    ek_json_close(details, '{');
}

static void judge_holder(const struct ek_broker *broker, const struct shard *shard, uint32_t number, struct outcome *outcome)
{
    const struct ek_checked *said = &shard->said;
    outcome->checked++;
    outcome->rows += said->rows;
    outcome->mismatches += said->bad_rows + said->bad_entries;
    if (said->bad_rows)
        note(broker, outcome, shard->holder, number,
             "%" PRIu64 " rows are unreadable, in the place of another key, or newer than the shard", said->bad_rows);
    if (said->bad_entries)
        note(broker, outcome, shard->holder, number, "%" PRIu64 " entries of its book-keeping are not what the worker goes by",
             said->bad_entries);
    if (said->state != EK_HOLDING_SERVING || said->epoch != shard->epoch) {
        outcome->mismatches++;
        note(broker, outcome, shard->holder, number, "it ought to serve the shard at epoch %" PRIu64 ", and does not",
             shard->epoch);
    } else if (said->position < shard->floor) {
        outcome->mismatches++;
        note(broker, outcome, shard->holder, number, "it is at position %" PRIu64 ", but %" PRIu64 " was acknowledged",
             said->position, shard->floor);
    }
}

/* What two have of a shard as of the same position is the same, save for rows that had expired. */
static void judge_others(const struct ek_broker *broker, const struct shard *shard, uint32_t number, struct outcome *outcome)
{
    const struct ek_checked *said = &shard->said;
    const struct ek_checked *learned = &shard->learned;
    bool comparable = shard->learner != EK_NOBODY && shard->heard && learned->position == said->position;
    if (comparable && (learned->hash != said->hash || learned->rows - learned->expired_rows != said->rows - said->expired_rows)) {
        outcome->mismatches++;
        note(broker, outcome, shard->learner, number, "its copy is not what the holder has, which is at the same position");
    }
    if (shard->usurper != EK_NOBODY) {
        outcome->mismatches++;
        note(broker, outcome, shard->usurper, number, "it serves the shard, which is not assigned to it");
    }
}

static void judge(const struct ek_broker *broker, uint32_t number, struct outcome *outcome)
{
    const struct shard *shard = &broker->check->shards[number];
    const struct ek_shard *now = &broker->shards[number];
    bool same = now->holder == shard->holder && now->epoch == shard->epoch;
    outcome->unavailable += !shard->due;
    if (!same || (shard->due && now->state != EK_SHARD_SERVING)) {
        outcome->changed += shard->due;
        return;
    }
    if (shard->due)
        judge_holder(broker, shard, number, outcome);
    judge_others(broker, shard, number, outcome);
    outcome->awaiting_rows += shard->awaiting_rows;
    outcome->foreign_rows += shard->foreign_rows;
    if (shard->foreign_rows)
        note(broker, outcome, shard->stranger, number, "%" PRIu64 " rows lie where it has no role in the shard",
             shard->foreign_rows);
}

static void conclude(struct ek_broker *broker)
{
    struct outcome outcome = {0};
    for (uint32_t i = 0; i < broker->config.shards; i++)
        judge(broker, i, &outcome);
    bool ok = outcome.mismatches == 0 && outcome.foreign_rows == 0;
    struct ek_buffer *out = &broker->answer;
    ek_buffer_clear(out);
    ek_json_open(out, NULL, '{');
    ek_json_text(out, "status", ok ? "ok" : "failed");
    if (!ok)
        ek_json_text(
            out, "error",
            "what the workers have stored is not what it should be: see details; before anything else copy the directories of "
            "the workers named, then see docs/FAULTS.md");
    ek_json_uint(out, "shards_checked", outcome.checked);
    ek_json_uint(out, "rows", outcome.rows);
    ek_json_uint(out, "mismatches", outcome.mismatches);
    ek_json_uint(out, "rows_awaiting_deletion", outcome.awaiting_rows);
    ek_json_uint(out, "foreign_rows", outcome.foreign_rows);
    ek_json_uint(out, "shards_changed", outcome.changed);
    ek_json_uint(out, "shards_unavailable", outcome.unavailable);
    ek_json_open(out, "details", '[');
    ek_buffer_append(out, outcome.details.data, outcome.details.size);
    ek_json_close(out, '[');
    ek_json_close(out, '{');
    ek_buffer_done(&outcome.details);
    end(broker, EK_WIRE_OK);
}

/* ---- what the workers say ---- */

static bool learns(const struct ek_broker *broker, uint32_t shard, int worker)
{
    const struct ek_move *move = broker->shards[shard].move;
    return move && move->target == worker && move->phase >= EK_MOVE_COPYING && move->phase <= EK_MOVE_HOLDING;
}

static void take(struct ek_broker *broker, int worker, const struct ek_checked *said)
{
    struct shard *shard = &broker->check->shards[said->shard];
    if (worker == shard->holder) {
        shard->heard = true;
        shard->said = *said;
        return;
    }
    switch (said->state) {
    case EK_HOLDING_SERVING:
        shard->usurper = worker;
        break;
    case EK_HOLDING_FILLING:
    case EK_HOLDING_LEARNER:
        if (!learns(broker, said->shard, worker)) {
            shard->awaiting_rows += said->rows;
        } else if (said->state == EK_HOLDING_LEARNER) {
            shard->learner = worker;
            shard->learned = *said;
        }
        break;
    case EK_HOLDING_RELEASED:
        shard->awaiting_rows += said->rows;
        break;
    default: /* aside, or no role */
        shard->foreign_rows += said->rows;
        shard->stranger = said->rows ? worker : shard->stranger;
    }
}

void ek_check_reported(struct ek_broker *broker, const struct ek_worker *worker, const struct ek_check_report *report)
{
    struct ek_check *check = broker->check;
    int index = (int)(worker - broker->workers);
    if (!check || check->number != report->check || check->asked[index].link != worker->link)
        return;
    struct asked *asked = &check->asked[index];
    asked->heard_us = broker->now_us;
    for (uint32_t i = 0; i < report->count; i++) {
        const struct ek_checked *said = &report->shards[i];
        if (said->shard < asked->next || said->shard >= broker->config.shards) {
            give_up(broker, index, "tells of a shard that there is not, or twice of one");
            return;
        }
        asked->next = said->shard + 1u;
        take(broker, index, said);
    }
    if (!report->last)
        return;
    asked->link = 0;
    if (--check->missing == 0)
        conclude(broker);
}

/* ---- from beginning to end ---- */

const char *ek_check_ask(struct ek_broker *broker, ek_broker_peer peer, uint64_t id)
{
    if (!broker->check)
        begin(broker);
    struct asker *asker = place_for(broker->check, peer);
    if (!asker)
        return "a check is under way, and too many wait for it: ask again when it is over";
    *asker = (struct asker){.peer = peer, .id = id};
    if (broker->check->missing == 0)
        conclude(broker);
    return NULL;
}

void ek_check_run(struct ek_broker *broker)
{
    for (size_t i = 0; broker->check && i < broker->worker_count; i++)
        if (broker->check->asked[i].link && broker->now_us - broker->check->asked[i].heard_us >= EK_CHECK_US)
            give_up(broker, (int)i, "does not go on with the check");
}

void ek_check_done(struct ek_broker *broker)
{
    if (broker->check)
        free(broker->check->shards);
    free(broker->check);
}

void ek_check_link_ended(struct ek_broker *broker, int worker)
{
    if (broker->check && broker->check->asked[worker].link)
        give_up(broker, worker, "went away before it had checked everything");
}

void ek_check_stop(struct ek_broker *broker)
{
    if (broker->check)
        give_up(broker, EK_NOBODY, "this broker is stopping");
}

static void renumber(int *worker, int from, int to)
{
    *worker = *worker == from ? to : *worker;
}

void ek_check_renumber(struct ek_broker *broker, int from, int to)
{
    if (!broker->check)
        return;
    for (uint32_t i = 0; i < broker->config.shards; i++) {
        struct shard *shard = &broker->check->shards[i];
        renumber(&shard->holder, from, to);
        renumber(&shard->learner, from, to);
        renumber(&shard->usurper, from, to);
        renumber(&shard->stranger, from, to);
    }
    if (to != EK_NOBODY)
        broker->check->asked[to] = broker->check->asked[from];
    broker->check->asked[from] = (struct asked){0};
}
