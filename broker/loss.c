#include "broker/loss.h"

#include "broker/balance.h"
#include "broker/check.h"
#include "broker/dispatch.h"
#include "broker/door.h"
#include "broker/durable.h"
#include "broker/moves.h"

#include <inttypes.h>

/* ---- quarantine ---- */

void ek_loss_quarantine(struct ek_broker *broker, struct ek_shard *shard)
{
    if (shard->state == EK_SHARD_QUARANTINED)
        return;
    ek_shard_set_state(broker, shard, EK_SHARD_QUARANTINED);
    ek_moves_shard_left(broker, shard);
    ek_durable_add_assignment(broker, shard);
}

void ek_loss_quarantine_worker(struct ek_broker *broker, int worker, const char *code, const char *text)
{
    for (uint32_t i = 0; i < broker->config.shards; i++)
        if (broker->shards[i].holder == worker)
            ek_loss_quarantine(broker, &broker->shards[i]);
    ek_broker_alarm(broker, code, worker, EK_NOBODY, text);
    ek_loss_update_alarms(broker, worker);
}

static uint32_t quarantined_of(const struct ek_broker *broker, int worker)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < broker->config.shards; i++)
        count += broker->shards[i].holder == worker && broker->shards[i].state == EK_SHARD_QUARANTINED;
    return count;
}

void ek_loss_update_alarms(struct ek_broker *broker, int worker)
{
    uint32_t count = quarantined_of(broker, worker);
    if (count == 0) {
        ek_broker_clear_alarm(broker, "quarantined", worker, EK_NOBODY);
        ek_broker_clear_alarm(broker, "incarnation_below", worker, EK_NOBODY);
        ek_broker_clear_alarm(broker, "worker_cloned", worker, EK_NOBODY);
        return;
    }
    char text[EK_TEXT_BYTES_MAX];
    (void)snprintf(text, sizeof text,
                   "%" PRIu32 " shards of worker %.64s are quarantined: what was acknowledged may be missing there; they wait for "
                   "the right disk to be looked for, or: evenkeel accept-loss SHARD",
                   count, broker->workers[worker].name);
    ek_broker_alarm(broker, "quarantined", worker, EK_NOBODY, text);
}

/* ---- rows that came back ---- */

bool ek_loss_is_aside(const struct ek_worker *worker, uint16_t shard)
{
    return worker->aside[shard / 8] & (1u << shard % 8);
}

void ek_loss_set_aside(struct ek_broker *broker, struct ek_worker *worker, uint16_t shard)
{
    if (!ek_loss_is_aside(worker, shard))
        worker->aside_count++;
    worker->aside[shard / 8] |= (uint8_t)(1u << shard % 8);
    char text[EK_TEXT_BYTES_MAX];
    (void)snprintf(text, sizeof text,
                   "worker %.64s came back with rows of %" PRIu32 " shards that were given up: it keeps them and takes no role "
                   "there; a new directory drops them",
                   worker->name, worker->aside_count);
    ek_broker_alarm(broker, "rows_aside", (int)(worker - broker->workers), EK_NOBODY, text);
}

void ek_loss_forget_aside(struct ek_broker *broker, struct ek_worker *worker)
{
    ek_broker_clear_alarm(broker, "rows_aside", (int)(worker - broker->workers), EK_NOBODY);
    memset(worker->aside, 0, sizeof worker->aside);
    worker->aside_count = 0;
}

/* ---- accepting ---- */

bool ek_loss_is_due(const struct ek_shard *shard, uint64_t epoch)
{
    return shard->loss.epoch == shard->epoch && epoch < shard->epoch && shard->epoch != 0;
}

void ek_loss_tell(struct ek_broker *broker, int index)
{
    const struct ek_worker *worker = &broker->workers[index];
    size_t first = broker->loss_count;
    if (worker->state != EK_WORKER_UP)
        return;
    for (uint32_t i = 0; i < broker->config.shards; i++) {
        struct ek_shard *shard = &broker->shards[i];
        if (shard->holder != index || !shard->loss_due || shard->state != EK_SHARD_OPENING)
            continue;
        shard->loss_due = false;
        broker->losses[broker->loss_count++] = shard->loss;
    }
    if (broker->loss_count == first)
        return;
    struct ek_action *action = ek_broker_act(broker, EK_ACTION_WORKER_LOSS, worker->peer);
    action->link = (struct ek_link){.link = worker->link, .generation = broker->config.generation};
    action->loss.losses = broker->losses + first;
    action->loss.count = broker->loss_count - first;
}

/* Nobody can say any more what became of the jobs that had a position. */
static void give_up(struct ek_broker *broker, struct ek_shard *shard, int holder, uint64_t now_us)
{
    uint64_t known = shard->given > shard->floor ? shard->given : shard->floor;
    ek_moves_shard_left(broker, shard);
    ek_dispatch_give_back(broker, shard, EK_WIRE_UNKNOWN);
    ek_broker_clear_alarm(broker, "position_below_floor", shard->holder, shard->number);
    ek_dispatch_set_holder(broker, shard, holder);
    ek_moves_gained(broker, shard->number, holder);
    shard->epoch++;
    shard->given = known + EK_LOSS_POSITIONS;
    shard->floor = shard->given;
    shard->floor_changed = true;
    shard->empty = false;
    shard->loss = (struct ek_loss){
        .shard = shard->number, .epoch = shard->epoch, .position = shard->given, .floor = ek_door_next_producer(broker, now_us)};
    shard->loss_due = true;
    ek_shard_set_state(broker, shard, broker->workers[holder].state == EK_WORKER_UP ? EK_SHARD_OPENING : EK_SHARD_AWAY);
    ek_durable_add_assignment(broker, shard);
}

const char *ek_loss_accept(struct ek_broker *broker, uint16_t number, struct ek_buffer *ret_text, uint64_t now_us)
{
    if (number >= broker->config.shards)
        return "there is no such shard";
    struct ek_shard *shard = &broker->shards[number];
    if (shard->state != EK_SHARD_QUARANTINED)
        return "this shard is not quarantined: there is no loss to accept; if its worker's disk is gone: evenkeel forget WORKER "
               "--accept-loss";
    give_up(broker, shard, shard->holder, now_us);
    ek_durable_write(broker);
    ek_loss_tell(broker, shard->holder);
    ek_loss_update_alarms(broker, shard->holder);
    int size = snprintf((char *)ek_buffer_reserve(ret_text, EK_TEXT_BYTES_MAX), EK_TEXT_BYTES_MAX,
                        "{\"status\":\"ok\",\"shard\":%u,\"epoch\":%" PRIu64 ",\"position\":%" PRIu64 "}", number, shard->epoch,
                        shard->given);
    ek_buffer_advance(ret_text, (size_t)size);
    return NULL;
}

/* ---- forgetting a worker ---- */

/* Of the workers that are up, the one with the fewest shards that has no rows of this one, or EK_NOBODY. */
static int heir_of(const struct ek_broker *broker, uint16_t shard)
{
    int heir = EK_NOBODY;
    for (size_t i = 0; i < broker->worker_count; i++) {
        const struct ek_worker *worker = &broker->workers[i];
        if (worker->state == EK_WORKER_UP && !worker->drain.wanted && !ek_loss_is_aside(worker, shard) &&
            (heir == EK_NOBODY || worker->shards < broker->workers[heir].shards))
            heir = (int)i;
    }
    return heir;
}

static const char *why_not_forget(const struct ek_broker *broker, int index, bool accept_loss)
{
    const struct ek_worker *worker = &broker->workers[index];
    if (worker->state != EK_WORKER_AWAY)
        return "this worker is connected: stop it first";
    if (worker->shards && !accept_loss)
        return "this worker holds shards, and what only its disk knows would be lost: start it again, or say --accept-loss";
    for (uint32_t i = 0; i < broker->config.shards; i++)
        if (broker->shards[i].holder == index && heir_of(broker, (uint16_t)i) == EK_NOBODY)
            return "no other worker is up that could take its shards: start one with an empty directory first";
    return NULL;
}

/* The last one of the table moves into the place of the one that leaves. */
static void remove_worker(struct ek_broker *broker, int index)
{
    if (broker->workers[index].welcomed)
        broker->forgotten[broker->forgotten_count++ % EK_FORGOTTEN_MAX] = broker->workers[index].id;
    ek_balance_renumbered(broker);
    ek_moves_renumber(broker, index, EK_NOBODY);
    ek_check_renumber(broker, index, EK_NOBODY);
    int last = (int)--broker->worker_count;
    for (size_t i = 0; i < broker->alarm_count;)
        if (broker->alarms[i].worker == index)
            broker->alarms[i] = broker->alarms[--broker->alarm_count];
        else
            i++;
    if (last == index)
        return;
    broker->workers[index] = broker->workers[last];
    ek_moves_renumber(broker, last, index);
    ek_check_renumber(broker, last, index);
    for (uint32_t i = 0; i < broker->config.shards; i++)
        if (broker->shards[i].holder == last)
            broker->shards[i].holder = index;
    for (size_t i = 0; i < broker->alarm_count; i++)
        if (broker->alarms[i].worker == last)
            broker->alarms[i].worker = index;
}

const char *ek_loss_forget(struct ek_broker *broker, int index, bool accept_loss, struct ek_buffer *ret_text, uint64_t now_us)
{
    const char *wrong = why_not_forget(broker, index, accept_loss);
    if (wrong)
        return wrong;
    uint32_t lost = broker->workers[index].shards;
    for (uint32_t i = 0; i < broker->config.shards; i++)
        if (broker->shards[i].holder == index)
            give_up(broker, &broker->shards[i], heir_of(broker, (uint16_t)i), now_us);
    ek_durable_add(broker, EK_RECORD_WORKER_GONE)->worker = broker->workers[index].id;
    if (broker->workers[index].drain.wanted)
        ek_durable_add(broker, EK_RECORD_DRAIN_OVER)->worker = broker->workers[index].id;
    ek_durable_write(broker);
    ek_broker_say(broker, EK_ACTION_NOTICE, "worker %s is forgotten; %" PRIu32 " shards went to others as empty ones",
                  broker->workers[index].name, lost);
    remove_worker(broker, index);
    for (size_t i = 0; i < broker->worker_count; i++)
        ek_loss_tell(broker, (int)i);
    int size = snprintf((char *)ek_buffer_reserve(ret_text, EK_TEXT_BYTES_MAX), EK_TEXT_BYTES_MAX,
                        "{\"status\":\"ok\",\"shards\":%" PRIu32 "}", lost);
    ek_buffer_advance(ret_text, (size_t)size);
    return NULL;
}
