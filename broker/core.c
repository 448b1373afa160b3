#include "broker/core.h"

#include "broker/admin.h"
#include "broker/balance.h"
#include "broker/check.h"
#include "broker/clients.h"
#include "broker/dispatch.h"
#include "broker/door.h"
#include "broker/drain.h"
#include "broker/idle.h"
#include "broker/links.h"
#include "broker/loss.h"
#include "broker/metrics.h"
#include "broker/moves.h"
#include "broker/poison.h"
#include "broker/settings.h"
#include "broker/settle.h"

#include <stdarg.h>
#include <stdlib.h>

/* Most holdings that one step can say: strays, everything a joining worker holds, and each moved shard taken and given. */
enum { HOLDINGS_A_SHARD = 4, RECORDS_A_SHARD = 2, BESIDE = 2 + 4 * EK_MOVES_ACTIVE_MAX, TEXTS_A_STEP = 64 };

/* ---- actions ---- */

struct ek_action *ek_broker_act(struct ek_broker *broker, enum ek_action_type type, ek_broker_peer peer)
{
    broker->actions = ek_grow(broker->actions, &broker->action_capacity, broker->action_count + 1, sizeof *broker->actions);
    struct ek_action *action = &broker->actions[broker->action_count++];
    action->type = type;
    action->peer = peer;
    action->link = (struct ek_link){0};
    return action;
}

void ek_broker_say(struct ek_broker *broker, enum ek_action_type type, const char *format, ...)
{
    if (broker->texts.capacity - broker->texts.size < EK_TEXT_BYTES_MAX)
        return;
    char *text = (char *)broker->texts.data + broker->texts.size;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, EK_TEXT_BYTES_MAX, format, args);
    va_end(args);
    ek_buffer_advance(&broker->texts, EK_TEXT_BYTES_MAX);
    ek_broker_act(broker, type, 0)->text = text;
}

static struct ek_alarm *find_alarm(struct ek_broker *broker, const char *code, int worker, int shard)
{
    for (size_t i = 0; i < broker->alarm_count; i++) {
        struct ek_alarm *alarm = &broker->alarms[i];
        if (alarm->worker == worker && alarm->shard == shard && strcmp(alarm->code, code) == 0)
            return alarm;
    }
    return NULL;
}

/* Those of single shards, which one bad disk raises by the hundred, leave half of the room to all others. */
static bool has_room_for_alarm(const struct ek_broker *broker, int shard)
{
    size_t of_shards = 0;
    for (size_t i = 0; i < broker->alarm_count; i++)
        of_shards += broker->alarms[i].shard != EK_NOBODY;
    return broker->alarm_count < EK_ALARMS_MAX && (shard == EK_NOBODY || of_shards < EK_ALARMS_MAX / 2);
}

void ek_broker_alarm(struct ek_broker *broker, const char *code, int worker, int shard, const char *text)
{
    struct ek_alarm *alarm = find_alarm(broker, code, worker, shard);
    if (!alarm) {
        if (!has_room_for_alarm(broker, shard))
            return; /* dozens of others are shouting already */
        alarm = &broker->alarms[broker->alarm_count++];
        *alarm = (struct ek_alarm){.worker = worker, .shard = shard};
        (void)snprintf(alarm->code, sizeof alarm->code, "%s", code);
        ek_broker_say(broker, EK_ACTION_ALARM, "%s: %s", code, text);
    }
    (void)snprintf(alarm->text, sizeof alarm->text, "%s", text);
}

void ek_broker_clear_alarm(struct ek_broker *broker, const char *code, int worker, int shard)
{
    struct ek_alarm *alarm = find_alarm(broker, code, worker, shard);
    if (alarm)
        *alarm = broker->alarms[--broker->alarm_count];
}

void ek_shard_expect(const struct ek_shard *shard)
{
    for (size_t at = 0; shard && at < sizeof *shard; at += EK_LINE_BYTES)
        __builtin_prefetch((const char *)shard + at, 1);
}

void ek_shard_set_state(struct ek_broker *broker, struct ek_shard *shard, enum ek_shard_state state)
{
    bool was_away = shard->state != EK_SHARD_SERVING;
    bool is_away = state != EK_SHARD_SERVING;
    shard->state = state;
    if (state == EK_SHARD_QUARANTINED)
        ek_poison_forget_shard(broker, shard);
    if (was_away == is_away)
        return;
    shard->served_us = broker->now_us;
    struct ek_job_list *lists[] = {&shard->queue, &shard->writes, &shard->reads};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (struct ek_broker_job *job = lists[i]->first; job; job = job->next) {
            uint64_t change = is_away ? job->charged_bytes : (uint64_t)0 - job->charged_bytes;
            broker->away_bytes += change;
            job->client->away_bytes += change;
        }
}

/* ---- life ---- */

static enum ek_status load_assignment(struct ek_broker *broker, const struct ek_record *record)
{
    if (record->shard >= broker->config.shards)
        return EK_CORRUPT;
    int holder = ek_links_find_worker(broker, &record->worker);
    if (holder == EK_NOBODY)
        return EK_CORRUPT;
    struct ek_shard *shard = &broker->shards[record->shard];
    shard->epoch = record->number;
    shard->loss = record->loss;
    shard->state = record->quarantined ? EK_SHARD_QUARANTINED : EK_SHARD_AWAY;
    if (shard->loss.position > shard->floor)
        shard->floor = shard->loss.position;
    shard->given = shard->loss.position;
    ek_dispatch_set_holder(broker, shard, holder);
    return EK_OK;
}

static enum ek_status load_worker(struct ek_broker *broker, const struct ek_record *record)
{
    if (broker->worker_count == EK_WORKERS_MAX)
        return EK_CORRUPT;
    struct ek_worker *worker = &broker->workers[broker->worker_count++];
    *worker = (struct ek_worker){.id = record->worker, .incarnation = record->number, .capacity_milli = 1000};
    memcpy(worker->name, record->name, sizeof worker->name);
    return EK_OK;
}

static enum ek_status load_floor(struct ek_broker *broker, const struct ek_record *record)
{
    if (record->shard >= broker->config.shards)
        return EK_CORRUPT;
    struct ek_shard *shard = &broker->shards[record->shard];
    shard->floor = record->number > shard->loss.position ? record->number : shard->loss.position;
    return EK_OK;
}

static enum ek_status load(struct ek_broker *broker, const struct ek_record *records, size_t count)
{
    enum ek_status status = EK_OK;
    for (size_t i = 0; i < count && status == EK_OK; i++)
        if (records[i].type == EK_RECORD_WORKER)
            status = load_worker(broker, &records[i]);
    for (size_t i = 0; i < count && status == EK_OK; i++) {
        if (records[i].type == EK_RECORD_ASSIGNMENT)
            status = load_assignment(broker, &records[i]);
        else if (records[i].type == EK_RECORD_FLOOR)
            status = load_floor(broker, &records[i]);
        else if (records[i].type == EK_RECORD_DRAIN)
            status = ek_drain_load(broker, &records[i]);
        else if (records[i].type == EK_RECORD_SETTING)
            status = ek_settings_load(broker, &records[i]);
    }
    for (size_t i = 0; i < broker->worker_count && status == EK_OK; i++)
        ek_loss_update_alarms(broker, (int)i);
    return status;
}

enum ek_status ek_broker_new(const struct ek_broker_config *config, const struct ek_record *records, size_t record_count,
                             struct ek_broker **ret)
{
    struct ek_broker *broker = ek_alloc_zero(1, sizeof *broker);
    broker->config = *config;
    broker->second_us = broker->now_us = config->started_us;
    broker->holds_due_us = UINT64_MAX;
    broker->shards = ek_alloc_zero(config->shards, sizeof *broker->shards);
    for (uint32_t i = 0; i < config->shards; i++) {
        broker->shards[i].number = (uint16_t)i;
        broker->shards[i].holder = EK_NOBODY;
        broker->shards[i].wrote_us = config->started_us;
    }
    (void)ek_buffer_reserve(&broker->texts, (size_t)TEXTS_A_STEP * EK_TEXT_BYTES_MAX);
    broker->holding_capacity = (size_t)config->shards * HOLDINGS_A_SHARD + BESIDE;
    broker->holdings = ek_alloc_zero(broker->holding_capacity, sizeof *broker->holdings);
    broker->losses = ek_alloc_zero(config->shards, sizeof *broker->losses);
    broker->record_capacity = (size_t)config->shards * RECORDS_A_SHARD + BESIDE;
    broker->records = ek_alloc_zero(broker->record_capacity, sizeof *broker->records);
    ek_time_start(&broker->time, config->started_us, config->started_unix_ms, config->ceiling_unix_ms);
    ek_balance_open(broker);
    enum ek_status status = load(broker, records, record_count);
    if (status == EK_OK)
        *ret = broker;
    else
        ek_broker_destroy(&broker);
    return status;
}

static void free_jobs(struct ek_broker *broker, struct ek_job_list *list)
{
    while (list->first) {
        struct ek_broker_job *job = list->first;
        ek_job_list_remove(list, job);
        ek_job_free(&broker->jobs, job);
    }
}

void ek_broker_destroy(struct ek_broker **destroyed)
{
    struct ek_broker *broker = *destroyed;
    if (!broker)
        return;
    for (uint32_t i = 0; i < broker->config.shards; i++) {
        free_jobs(broker, &broker->shards[i].queue);
        free_jobs(broker, &broker->shards[i].writes);
        free_jobs(broker, &broker->shards[i].reads);
        ek_closed_done(&broker->shards[i].closed);
    }
    ek_moves_done(broker);
    ek_balance_close(broker);
    ek_check_done(broker);
    ek_jobs_done(&broker->jobs);
    ek_clients_done(broker);
    ek_buffer_done(&broker->scratch);
    ek_buffer_done(&broker->texts);
    free(broker->shards);
    free(broker->actions);
    free(broker->holdings);
    free(broker->records);
    free(broker->losses);
    ek_buffer_done(&broker->answer);
    free(broker);
    *destroyed = NULL;
}

/* ---- step ---- */

static void tick(struct ek_broker *broker, const struct ek_event *event)
{
    ek_links_check(broker, event->now_us);
    ek_dispatch_sweep(broker, event->now_us);
    ek_metrics_tick(broker, event->now_us);
    ek_idle_check(broker, event->now_us);
    ek_balance_tick(broker);
    ek_drain_tick(broker);
    ek_moves_run(broker);
    ek_check_run(broker);
    ek_pool_rest(&broker->jobs.pool);
    if (ek_time_is_off(&broker->time, event->now_us, event->wall_unix_ms))
        ek_broker_alarm(
            broker, "clock_step", EK_NOBODY, EK_NOBODY,
            broker->time.jump_refused
                ? "the wall clock is more than a day ahead of what this broker knew: its time goes on from there, until "
                  "somebody says that the clock is right: evenkeel accept-clock"
                : "the wall clock was set: expiry goes on by the broker's own time; if the clock is ahead, and right: "
                  "evenkeel accept-clock");
    else
        ek_broker_clear_alarm(broker, "clock_step", EK_NOBODY, EK_NOBODY);
}

static void worker_event(struct ek_broker *broker, const struct ek_event *event)
{
    struct ek_worker *worker = ek_links_find(broker, event->peer, event->link);
    if (!worker)
        return;
    switch (event->type) {
    case EK_EVENT_WORKER_REPORT:
        ek_links_report(broker, worker, event->holdings, event->count);
        break;
    case EK_EVENT_WORKER_ASSIGNED:
        ek_links_assigned(broker, worker, event->holdings, event->count);
        break;
    case EK_EVENT_WORKER_REPLIES:
        ek_settle_replies(broker, worker, event->replies, event->count, event->now_us);
        break;
    case EK_EVENT_WORKER_HEARTBEAT:
        ek_links_heartbeat(broker, worker, event->heartbeat, event->loads, event->now_us);
        break;
    case EK_EVENT_WORKER_MOVED:
        ek_moves_reported(broker, worker, event->moved);
        break;
    case EK_EVENT_WORKER_CHECKED:
        ek_check_reported(broker, worker, event->checked);
        break;
    default: /* BYE */
        ek_links_bye(broker, worker, event->bye);
    }
}

const struct ek_action *ek_broker_step(struct ek_broker *broker, const struct ek_event *event, size_t *ret_count)
{
    broker->action_count = 0;
    broker->now_us = event->now_us;
    broker->holding_count = 0;
    broker->record_count = 0;
    broker->records_asked = 0;
    broker->loss_count = 0;
    ek_buffer_clear(&broker->scratch);
    ek_buffer_clear(&broker->texts);
    ek_moves_begin_step(broker);
    switch (event->type) {
    case EK_EVENT_CLIENT_HELLO:
        ek_door_hello(broker, event->peer, event->hello, event->now_us);
        break;
    case EK_EVENT_CLIENT_JOBS:
        ek_door_jobs(broker, event->peer, event->jobs, event->count, event->now_us);
        break;
    case EK_EVENT_CLIENT_ADMIN:
        ek_admin_run(broker, event->peer, event->admin, event->now_us);
        break;
    case EK_EVENT_CLIENT_CLOSE:
        ek_door_close(broker, event->closed, event->count);
        break;
    case EK_EVENT_CLIENT_LOST:
        ek_clients_lost(broker, event->peer);
        break;
    case EK_EVENT_WORKER_HELLO:
        ek_links_hello(broker, event->peer, event->worker_hello, event->now_us);
        break;
    case EK_EVENT_WORKER_REPORT:
    case EK_EVENT_WORKER_ASSIGNED:
    case EK_EVENT_WORKER_REPLIES:
    case EK_EVENT_WORKER_HEARTBEAT:
    case EK_EVENT_WORKER_BYE:
    case EK_EVENT_WORKER_MOVED:
    case EK_EVENT_WORKER_CHECKED:
        worker_event(broker, event);
        break;
    case EK_EVENT_WORKER_LOST:
        ek_links_lost(broker, event->peer);
        break;
    case EK_EVENT_CEILING_DURABLE:
        ek_time_ceiling_durable(&broker->time, event->ceiling_unix_ms);
        break;
    case EK_EVENT_DISPATCH:
        ek_dispatch_run(broker, event->now_us);
        break;
    case EK_EVENT_TICK:
        tick(broker, event);
        break;
    case EK_EVENT_STOP:
        broker->stopping = true;
        ek_check_stop(broker);
        break;
    }
    ek_balance_go_on(broker);
    ek_moves_end_step(broker);
    *ret_count = broker->action_count;
    return broker->actions;
}

bool ek_broker_has_more(const struct ek_broker *broker)
{
    return broker->more;
}

uint64_t ek_broker_due_us(const struct ek_broker *broker)
{
    return broker->holds_due_us;
}

size_t ek_broker_in_flight(const struct ek_broker *broker)
{
    return broker->ledger.in_flight;
}

size_t ek_broker_take_floors(struct ek_broker *broker, struct ek_floor *out, size_t capacity)
{
    size_t count = 0;
    for (uint32_t i = 0; i < broker->config.shards && count < capacity; i++) {
        struct ek_shard *shard = &broker->shards[i];
        if (!shard->floor_changed)
            continue;
        shard->floor_changed = false;
        out[count++] = (struct ek_floor){.shard = shard->number, .position = shard->floor};
    }
    return count;
}

uint64_t ek_broker_wanted_ceiling(const struct ek_broker *broker, uint64_t now_us)
{
    return ek_time_wanted_ceiling(&broker->time, now_us);
}
