#include "broker/balance.h"

#include "broker/drain.h"
#include "broker/effort.h"
#include "broker/links.h"
#include "common/mean.h"
#include "common/work.h"

#include <stdlib.h>

#define SECOND_US UINT64_C(1000000)

/* What clients may be kept waiting; beyond it copies go slower. */
#define LATENCY_OBJECTIVE_US UINT64_C(100000)

/* How much work an operation is goes along when its shard moves, and is an average over many seconds. */
#define WORK_WEIGHT 0.03

/* A shard's counters at the last sample. */
struct meter {
    struct ek_shard_load then;
    uint64_t link; /* whose counters these are: another one's stand elsewhere; 0 = nobody's */
    uint64_t arrived_then;
    double arrived;    /* a second */
    double operations; /* this and the next: done, a second */
    double busy_us;
    double work;        /* of one operation */
    double work_weight; /* of the last measurement in it: 1 at first, falling to WORK_WEIGHT; 0 = there was none */
};

struct ek_balance {
    struct ek_planner *planner;
    struct ek_plan_shard *shards;
    struct ek_plan_worker workers[EK_WORKERS_MAX];
    struct meter *meters;
    struct ek_effort effort;
    uint64_t heard_then[EK_WORKERS_MAX]; /* each worker's last heartbeat at the last sample */
    uint64_t sampled_us;
    bool due;
};

void ek_balance_open(struct ek_broker *broker)
{
    struct ek_balance *balance = ek_alloc_zero(1, sizeof *balance);
    balance->planner = ek_planner_new(&ek_plan_rules, broker->config.shards);
    balance->shards = ek_alloc_zero(broker->config.shards, sizeof *balance->shards);
    balance->meters = ek_alloc_zero(broker->config.shards, sizeof *balance->meters);
    balance->sampled_us = broker->now_us;
    broker->balance = balance;
}

void ek_balance_close(struct ek_broker *broker)
{
    struct ek_balance *balance = broker->balance;
    if (!balance)
        return;
    ek_planner_destroy(&balance->planner);
    free(balance->shards);
    free(balance->meters);
    free(balance);
    broker->balance = NULL;
}

/* ---- what is seen ---- */

static uint64_t rise(uint64_t now, uint64_t then)
{
    return now > then ? now - then : 0;
}

/* Rates since the last sample. False: there is none, since the holder is new or has not been heard. */
static bool sample_shard(struct ek_balance *balance, const struct ek_shard *shard, uint64_t link, double seconds,
                         double heard_seconds)
{
    struct meter *meter = &balance->meters[shard->number];
    struct ek_plan_shard *out = &balance->shards[shard->number];
    struct ek_shard_load then = meter->then;
    bool is_based = link && meter->link == link;
    meter->arrived = (double)(shard->arrived - meter->arrived_then) / seconds;
    meter->then = shard->load;
    meter->link = link;
    meter->arrived_then = shard->arrived;
    if (!is_based || heard_seconds <= 0)
        return false;
    uint64_t operations = rise(shard->load.operations, then.operations);
    uint64_t in = rise(shard->load.bytes_in, then.bytes_in);
    uint64_t bytes = in + rise(shard->load.bytes_out, then.bytes_out);
    meter->operations = (double)operations / heard_seconds;
    meter->busy_us = (double)rise(shard->load.busy_us, then.busy_us) / heard_seconds;
    out->rates[EK_PLAN_WRITES] = (double)in / heard_seconds;
    out->rates[EK_PLAN_NET] = (double)bytes / heard_seconds;
    ek_effort_add(&balance->effort, (size_t)shard->holder, ek_work_units(operations, bytes) / heard_seconds, meter->busy_us);
    return true;
}

/* How much work an operation is, by its part in its holder's time: how fast that is does not matter. */
static void note_work(struct meter *meter, double unit_us)
{
    if (meter->operations <= 0 || unit_us <= 0)
        return;
    double work = meter->busy_us / meter->operations / unit_us;
    meter->work_weight = ek_mean_weight(meter->work_weight, WORK_WEIGHT);
    meter->work += meter->work_weight * (work - meter->work);
}

/* Whoever holds a shard without a figure so far holds it idle: workers tell what changes. */
static void note_silence(const struct ek_broker *broker, struct ek_shard *shard)
{
    if (shard->load_known || shard->state != EK_SHARD_SERVING || !broker->workers[shard->holder].has_credit)
        return;
    uint64_t stored = shard->load.stored_bytes;
    shard->load = (struct ek_shard_load){.shard = shard->number, .stored_bytes = stored};
    shard->load_known = true;
}

/* The work that arrives for each shard, and what it costs its holder. */
static void weigh(struct ek_broker *broker)
{
    struct ek_balance *balance = broker->balance;
    for (uint32_t i = 0; i < broker->config.shards; i++)
        if (balance->shards[i].sampled)
            note_work(&balance->meters[i], ek_effort_now_us(&balance->effort, (size_t)broker->shards[i].holder));
    ek_effort_end(&balance->effort, broker->worker_count);
    for (uint32_t i = 0; i < broker->config.shards; i++) {
        const struct meter *meter = &balance->meters[i];
        if (balance->shards[i].sampled)
            balance->shards[i].rates[EK_PLAN_BUSY] =
                meter->arrived * meter->work * ek_effort_each_us(&balance->effort, (size_t)broker->shards[i].holder);
    }
}

static void sample(struct ek_broker *broker)
{
    struct ek_balance *balance = broker->balance;
    double seconds = (double)(broker->now_us - balance->sampled_us) / SECOND_US;
    double heard_seconds[EK_WORKERS_MAX];
    for (size_t i = 0; i < broker->worker_count; i++) {
        heard_seconds[i] = (double)rise(broker->workers[i].heard_us, balance->heard_then[i]) / SECOND_US;
        balance->heard_then[i] = broker->workers[i].heard_us;
        bool said = heard_seconds[i] > 0 || broker->workers[i].state != EK_WORKER_UP;
        ek_effort_begin(&balance->effort, i, broker->workers[i].capacity_milli, said);
    }
    for (uint32_t i = 0; i < broker->config.shards; i++) {
        struct ek_shard *shard = &broker->shards[i];
        double heard = shard->holder == EK_NOBODY ? 0 : heard_seconds[shard->holder];
        note_silence(broker, shard);
        uint64_t link = shard->load_known ? broker->workers[shard->holder].link : 0;
        balance->shards[i].sampled = sample_shard(balance, shard, link, seconds, heard);
    }
    weigh(broker);
    balance->sampled_us = broker->now_us;
}

static void see_shards(struct ek_broker *broker)
{
    struct ek_balance *balance = broker->balance;
    for (uint32_t i = 0; i < broker->config.shards; i++) {
        const struct ek_shard *shard = &broker->shards[i];
        struct ek_plan_shard *out = &balance->shards[i];
        bool moves = shard->move && shard->move->phase <= EK_MOVE_HOLDING;
        out->holder = shard->holder;
        out->learner = moves ? shard->move->target : EK_NOBODY;
        out->movable = shard->state == EK_SHARD_SERVING && !shard->move;
        out->empty = ek_links_is_free(shard);
        out->stored_bytes = shard->load.stored_bytes;
    }
}

/* Since when the oldest queued job of a served shard waits: so many seconds of work stand before a new one. */
static uint64_t queued_us(const struct ek_broker *broker, const struct ek_shard *shard)
{
    const struct ek_broker_job *oldest = shard->queue.first;
    if (!oldest || shard->state != EK_SHARD_SERVING)
        return 0;
    return broker->now_us - (oldest->arrived_us > shard->served_us ? oldest->arrived_us : shard->served_us);
}

static struct ek_plan_worker see_worker(const struct ek_worker *worker, uint64_t now_us)
{
    const struct ek_heartbeat *heartbeat = &worker->heartbeat;
    bool is_up = worker->state == EK_WORKER_UP && worker->has_credit;
    uint64_t total_bytes = heartbeat->disk_total_bytes;
    return (struct ek_plan_worker){
        .id = worker->id,
        .state = !is_up                 ? EK_PLAN_AWAY
                 : worker->drain.wanted ? EK_PLAN_DRAINING
                                        : EK_PLAN_UP,
        .capacity_milli = worker->capacity_milli,
        .up_since_us = worker->up_us,
        .disk_free_bytes = ek_links_is_full(worker, now_us) ? 0 : ek_links_room(worker),
        .disk_total_bytes = total_bytes > heartbeat->disk_reserve_bytes ? total_bytes - heartbeat->disk_reserve_bytes : total_bytes,
        .rate_bytes = heartbeat->rate_bytes,
        .late = heartbeat->commit_p99_us > LATENCY_OBJECTIVE_US,
    };
}

static void see_workers(struct ek_broker *broker)
{
    struct ek_balance *balance = broker->balance;
    for (size_t i = 0; i < broker->worker_count; i++)
        balance->workers[i] = see_worker(&broker->workers[i], broker->now_us);
    for (uint32_t i = 0; i < broker->config.shards; i++) {
        const struct ek_shard *shard = &broker->shards[i];
        uint64_t waits_us = queued_us(broker, shard);
        if (shard->holder == EK_NOBODY || waits_us <= balance->workers[shard->holder].queued_us)
            continue;
        balance->workers[shard->holder].queued_us = waits_us;
        balance->workers[shard->holder].late |= waits_us > LATENCY_OBJECTIVE_US;
    }
}

static struct ek_plan_snapshot see(struct ek_broker *broker)
{
    see_shards(broker);
    see_workers(broker);
    return (struct ek_plan_snapshot){.now_us = broker->now_us,
                                     .workers = broker->balance->workers,
                                     .worker_count = broker->worker_count,
                                     .shards = broker->balance->shards,
                                     .balance = !broker->settings[EK_SETTING_BALANCE_OFF]};
}

/* ---- what is done ---- */

static enum ek_move_reason reason_of(enum ek_plan_reason reason)
{
    return reason == EK_PLAN_REPAIR ? EK_MOVE_REPAIR : reason == EK_PLAN_DRAIN ? EK_MOVE_DRAIN : EK_MOVE_BALANCE;
}

static void start(struct ek_broker *broker, const struct ek_plan_entry *entry)
{
    const struct ek_shard *shard = &broker->shards[entry->shard];
    if (shard->holder == EK_NOBODY || ek_links_is_free(shard)) {
        ek_links_give(broker, entry->shard, entry->target);
        return;
    }
    const struct ek_move_wish wish = {.shard = entry->shard,
                                      .target = entry->target,
                                      .reason = reason_of(entry->reason),
                                      .bytes_per_second = entry->bytes_per_second};
    uint64_t number;
    if (ek_moves_ask(broker, &wish, &number))
        ek_planner_failed(broker->balance->planner, entry->shard, broker->now_us);
    broker->moves_may_begin = true;
}

static void run(struct ek_broker *broker)
{
    struct ek_plan_snapshot snapshot = see(broker);
    size_t count;
    const struct ek_plan_entry *starts = ek_planner_step(broker->balance->planner, &snapshot, &count);
    for (size_t i = 0; i < broker->config.shards; i++)
        broker->balance->shards[i].sampled = false;
    for (size_t i = 0; i < count; i++)
        start(broker, &starts[i]);
    broker->balance->due = false;
}

void ek_balance_tick(struct ek_broker *broker)
{
    if (broker->stopping || broker->now_us - broker->balance->sampled_us < SECOND_US)
        return;
    sample(broker);
    run(broker);
}

void ek_balance_go_on(struct ek_broker *broker)
{
    if (broker->stopping || !broker->balance->due)
        return;
    run(broker);
}

/* ---- what became of it ---- */

void ek_balance_moved(struct ek_broker *broker, const struct ek_move *move)
{
    struct ek_balance *balance = broker->balance;
    if (move->source != EK_NOBODY)
        ek_planner_moved(balance->planner, move->shard, &broker->workers[move->source].id, broker->now_us);
    balance->due = true;
}

void ek_balance_failed(struct ek_broker *broker, const struct ek_move *move)
{
    ek_planner_failed(broker->balance->planner, move->shard, broker->now_us);
    broker->balance->due = true;
}

void ek_balance_renumbered(struct ek_broker *broker)
{
    struct ek_balance *balance = broker->balance;
    ek_planner_renumbered(balance->planner);
    memset(balance->heard_then, 0, sizeof balance->heard_then);
    ek_effort_renumbered(&balance->effort);
    for (uint32_t i = 0; i < broker->config.shards; i++)
        balance->meters[i].link = 0;
}

const char *ek_balance_why_no_drain(struct ek_broker *broker, int worker)
{
    struct ek_plan_snapshot snapshot = see(broker);
    switch (ek_planner_may_drain(broker->balance->planner, &snapshot, worker)) {
    case EK_RULE_NONE:
        return NULL;
    case EK_RULE_DISK:
        return "the other workers' disks would be more than 92.5 % full: start another worker first";
    case EK_RULE_TARGET:
        return "no other worker is up that could take its shards: start one first";
    default:
        return "this worker is not connected: start it, so that it can hand its shards over";
    }
}

const struct ek_plan *ek_balance_plan(const struct ek_broker *broker)
{
    return ek_planner_plan(broker->balance->planner);
}

double ek_balance_busy_us(const struct ek_broker *broker, uint16_t shard)
{
    return ek_planner_busy_us(broker->balance->planner, shard);
}
