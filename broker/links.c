#include "broker/links.h"

#include "broker/assign.h"
#include "broker/check.h"
#include "broker/dispatch.h"
#include "broker/durable.h"
#include "broker/loss.h"
#include "broker/moves.h"
#include "broker/poison.h"

#include <stdlib.h>

#define FULL_US UINT64_C(10000000)

enum { TURNS_MAX = 4 }; /* more than what is under way on a connection that was given up can bring about */

static bool same_id(const struct ek_worker_id *a, const struct ek_worker_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

int ek_links_find_worker(const struct ek_broker *broker, const struct ek_worker_id *id)
{
    for (size_t i = 0; i < broker->worker_count; i++)
        if (same_id(&broker->workers[i].id, id))
            return (int)i;
    return EK_NOBODY;
}

static int index_of(const struct ek_broker *broker, const struct ek_worker *worker)
{
    return (int)(worker - broker->workers);
}

static void refuse(struct ek_broker *broker, ek_broker_peer peer, enum ek_wire_status status, const char *text)
{
    broker->refusal = (struct ek_refusal){.status = status};
    (void)snprintf(broker->refusal.text, sizeof broker->refusal.text, "%s", text);
    ek_broker_act(broker, EK_ACTION_WORKER_REFUSED, peer)->refusal = &broker->refusal;
}

/* ---- HELLO ---- */

/* Why a worker cannot be taken, or NULL. */
static const char *why_not(const struct ek_broker *broker, const struct ek_worker_hello *hello)
{
    if (hello->has_cluster && memcmp(hello->cluster.bytes, broker->config.cluster.bytes, sizeof hello->cluster.bytes) != 0)
        return "this worker's directory belongs to another cluster: point it to that cluster's broker, or give it an empty directory";
    if (hello->shards && hello->shards != broker->config.shards)
        return "this worker's directory was written with another number of shards";
    return NULL;
}

/* It was welcomed in this generation, and an operator had it forgotten. */
static bool was_forgotten(const struct ek_broker *broker, const struct ek_worker_id *id)
{
    for (size_t i = 0; i < broker->forgotten_count && i < EK_FORGOTTEN_MAX; i++)
        if (same_id(&broker->forgotten[i], id))
            return true;
    return false;
}

static struct ek_worker *known_or_new(struct ek_broker *broker, const struct ek_worker_hello *hello)
{
    int index = ek_links_find_worker(broker, &hello->worker);
    if (index != EK_NOBODY)
        return &broker->workers[index];
    if (broker->worker_count == EK_WORKERS_MAX)
        return NULL;
    struct ek_worker *worker = &broker->workers[broker->worker_count++];
    *worker = (struct ek_worker){.id = hello->worker, .welcomed = was_forgotten(broker, &hello->worker)};
    return worker;
}

static void keep_incarnation(struct ek_broker *broker, struct ek_worker *worker, uint64_t incarnation)
{
    worker->incarnation = incarnation;
    struct ek_record *record = ek_durable_add(broker, EK_RECORD_WORKER);
    record->worker = worker->id;
    record->number = worker->incarnation;
    memcpy(record->name, worker->name, sizeof record->name);
}

/* Two connections that say HELLO in turn for one worker are two processes: one that comes back does so on a new connection. */
static bool takes_turns(struct ek_worker *worker, ek_broker_peer peer)
{
    if (peer == worker->peer)
        return false;
    worker->turns = peer == worker->former_peer ? worker->turns + 1 : 0;
    worker->former_peer = worker->peer;
    worker->peer = peer;
    return worker->turns >= TURNS_MAX;
}

/* One of the two has to end. Nobody knows which of them has what. */
static void refuse_clone(struct ek_broker *broker, struct ek_worker *worker, ek_broker_peer peer)
{
    worker->turns = 0;
    ek_loss_quarantine_worker(broker, index_of(broker, worker), "worker_cloned",
                              "two processes used the id of this worker, so its disk was cloned: its shards are quarantined");
    ek_durable_write(broker);
    refuse(broker, peer, EK_WIRE_DENIED,
           "another process uses the id of this worker: its directory was cloned; give one of them a new one");
}

/* A disk that was rolled back or cloned says a lower number than it once said. From then on that one counts: the quarantine lasts.
 */
static void quarantine(struct ek_broker *broker, struct ek_worker *worker)
{
    ek_loss_quarantine_worker(broker, index_of(broker, worker), "incarnation_below",
                              "this worker's disk was rolled back or cloned: its shards are quarantined");
    keep_incarnation(broker, worker, worker->said_incarnation);
    worker->rolled_back = false;
}

void ek_links_hello(struct ek_broker *broker, ek_broker_peer peer, const struct ek_worker_hello *hello, uint64_t now_us)
{
    const char *reason = why_not(broker, hello);
    struct ek_worker *worker = reason ? NULL : known_or_new(broker, hello);
    if (!worker) {
        refuse(broker, peer, EK_WIRE_DENIED, reason ? reason : "there are 256 workers already");
        return;
    }
    uint64_t ours = broker->config.generation;
    if (hello->generation > ours || (hello->generation == ours && !worker->welcomed)) {
        ek_broker_say(broker, EK_ACTION_END,
                      "a worker has seen this generation or a later one before: this broker's directory is old");
        return;
    }
    if (worker->state != EK_WORKER_AWAY)
        ek_links_end(broker, worker, "says HELLO again");
    if (takes_turns(worker, peer)) {
        refuse_clone(broker, worker, peer);
        return;
    }
    ek_poison_hello(broker, worker, hello->incarnation, now_us);
    /* The HELLO of a start before the last one may come late, from a process that is gone: only its report shows that it lives. */
    bool renamed = strcmp(worker->name, hello->name) != 0;
    worker->said_incarnation = hello->incarnation;
    worker->rolled_back = hello->incarnation < worker->incarnation;
    memcpy(worker->name, hello->name, sizeof worker->name);
    bool is_news = renamed || hello->incarnation != worker->incarnation || worker->incarnation == 0;
    if (!worker->rolled_back && is_news)
        keep_incarnation(broker, worker, hello->incarnation);
    ek_durable_write(broker);
    memcpy(worker->endpoint, hello->endpoint, sizeof worker->endpoint);
    worker->capacity_milli = hello->capacity_milli;
    worker->state = EK_WORKER_JOINING;
    worker->welcomed = true;
    worker->peer = peer;
    worker->link = ++broker->last_link;
    worker->heard_us = now_us;
    struct ek_action *action = ek_broker_act(broker, EK_ACTION_WORKER_WELCOME, peer);
    action->worker_welcome = (struct ek_worker_welcome){
        .link = {.link = worker->link, .generation = ours},
        .cluster = broker->config.cluster,
        .shards = broker->config.shards,
        .liveness_ms = (uint32_t)(broker->config.liveness_us / 1000),
    };
}

struct ek_worker *ek_links_find(struct ek_broker *broker, ek_broker_peer peer, struct ek_link link)
{
    for (size_t i = 0; i < broker->worker_count; i++) {
        struct ek_worker *worker = &broker->workers[i];
        if (worker->state != EK_WORKER_AWAY && worker->peer == peer && worker->link == link.link &&
            link.generation == broker->config.generation)
            return worker;
    }
    refuse(broker, peer, EK_WIRE_STALE, "this link is over: say HELLO");
    return NULL;
}

/* ---- what a worker holds ---- */

/* Compares what the holder says with what was acknowledged. True when the shard can be served from there. */
static bool believe(struct ek_broker *broker, struct ek_shard *shard, uint64_t position)
{
    if (shard->state == EK_SHARD_QUARANTINED)
        return false;
    if (position < shard->floor) {
        char text[EK_TEXT_BYTES_MAX];
        (void)snprintf(text, sizeof text,
                       "shard %u: its worker knows position %llu, but %llu was acknowledged; the shard is not served",
                       shard->number, (unsigned long long)position, (unsigned long long)shard->floor);
        ek_broker_alarm(broker, "position_below_floor", shard->holder, shard->number, text);
        ek_loss_quarantine(broker, shard);
        ek_loss_update_alarms(broker, shard->holder);
        return false;
    }
    shard->empty = position == 0 && shard->given == 0;
    if (position > shard->given)
        shard->given = position;
    return true;
}

/* A part of the step's holdings, which one ASSIGN carries. */
struct part {
    size_t first;
    size_t count;
};

static struct part begin_part(const struct ek_broker *broker)
{
    return (struct part){.first = broker->holding_count};
}

/* The array was made for the most that one step can say, so that earlier actions' pointers hold. */
static void tell(struct ek_broker *broker, struct part *part, uint16_t shard, enum ek_holding_state state)
{
    broker->holdings[broker->holding_count++] =
        (struct ek_holding){.shard = shard, .state = state, .epoch = broker->shards[shard].epoch};
    part->count++;
}

static void act_assign(struct ek_broker *broker, const struct ek_worker *worker, struct part part)
{
    if (part.count == 0 || worker->state == EK_WORKER_AWAY)
        return;
    struct ek_action *action = ek_broker_act(broker, EK_ACTION_WORKER_ASSIGN, worker->peer);
    action->link = (struct ek_link){.link = worker->link, .generation = broker->config.generation};
    action->assign.holdings = broker->holdings + part.first;
    action->assign.count = part.count;
}

void ek_links_tell(struct ek_broker *broker, int worker, uint16_t shard, enum ek_holding_state state)
{
    struct part part = begin_part(broker);
    tell(broker, &part, shard, state);
    act_assign(broker, &broker->workers[worker], part);
}

static void reassign(struct ek_broker *broker, struct ek_shard *shard, int target)
{
    shard->epoch++;
    /* Reads may be in flight even to an empty one, and the former holder's answers will not count. */
    ek_dispatch_take_back(broker, shard);
    ek_dispatch_set_holder(broker, shard, target);
    ek_moves_gained(broker, shard->number, target);
    ek_shard_set_state(broker, shard, EK_SHARD_OPENING);
    ek_durable_add_assignment(broker, shard);
}

/* Only what a connected holder called empty in this generation may change hands like this. */
bool ek_links_is_free(const struct ek_shard *shard)
{
    bool live = shard->state == EK_SHARD_SERVING || shard->state == EK_SHARD_OPENING;
    return live && shard->empty && shard->floor == 0 && !shard->move;
}

void ek_links_give(struct ek_broker *broker, uint16_t number, int target)
{
    struct ek_shard *shard = &broker->shards[number];
    int former = shard->holder;
    reassign(broker, shard, target);
    ek_durable_write(broker);
    ek_links_tell(broker, target, number, EK_HOLDING_SERVING);
    if (former != EK_NOBODY)
        ek_links_tell(broker, former, number, EK_HOLDING_RELEASED);
}

/* Spreads unassigned and empty shards, and makes that durable. `ret_before` gets every shard's holder of before. */
static void spread(struct ek_broker *broker, int *ret_before)
{
    uint32_t shard_count = broker->config.shards;
    struct ek_assign_shard *table = ek_alloc_zero(shard_count, sizeof *table);
    struct ek_assign_move *moves = ek_alloc_zero(shard_count, sizeof *moves);
    bool usable[EK_WORKERS_MAX];
    for (size_t i = 0; i < broker->worker_count; i++)
        usable[i] = broker->workers[i].state == EK_WORKER_UP && !broker->workers[i].drain.wanted;
    for (uint32_t i = 0; i < shard_count; i++) {
        const struct ek_shard *shard = &broker->shards[i];
        table[i] = (struct ek_assign_shard){.holder = shard->holder, .empty = ek_links_is_free(shard)};
        ret_before[i] = shard->holder;
    }
    size_t count = ek_assign_evenly(table, shard_count, usable, broker->worker_count, moves);
    for (size_t i = 0; i < count; i++)
        reassign(broker, &broker->shards[moves[i].shard], moves[i].target);
    ek_durable_write(broker);
    free(table);
    free(moves);
}

/* What worker `index` got and what was taken from it; for the one that joins, all that it holds. */
static struct part list_holdings(struct ek_broker *broker, int index, const int *before, bool joins)
{
    struct part part = begin_part(broker);
    for (uint32_t i = 0; i < broker->config.shards; i++) {
        const struct ek_shard *shard = &broker->shards[i];
        bool changed = before[i] != shard->holder;
        bool opens = shard->state == EK_SHARD_OPENING && !shard->loss_due;
        if (shard->holder == index && (changed || joins) && opens)
            tell(broker, &part, shard->number, EK_HOLDING_SERVING);
        else if (before[i] == index && changed)
            tell(broker, &part, shard->number, EK_HOLDING_RELEASED);
    }
    return part;
}

/* `joining`: the worker that is told everything it holds; NULL = nobody. */
static void spread_and_tell(struct ek_broker *broker, const struct ek_worker *joining)
{
    int *before = ek_alloc_zero(broker->config.shards, sizeof *before);
    spread(broker, before);
    for (size_t i = 0; i < broker->worker_count; i++)
        act_assign(broker, &broker->workers[i], list_holdings(broker, (int)i, before, &broker->workers[i] == joining));
    free(before);
}

/* What fills, or was released, is worth nothing, wherever it stands. */
static bool has_rows(const struct ek_holding *said)
{
    return said->state == EK_HOLDING_SERVING || said->state == EK_HOLDING_LEARNER;
}

/* What a report says of a shard that another one holds. */
static void judge_stray(struct ek_broker *broker, struct ek_worker *worker, const struct ek_holding *said, struct part *strays)
{
    const struct ek_shard *shard = &broker->shards[said->shard];
    /* A learner has everything up to its position, and may be the last one that does. */
    bool given_up = has_rows(said) && said->position && said->epoch < shard->loss.epoch;
    if (given_up || said->state == EK_HOLDING_ASIDE)
        ek_loss_set_aside(broker, worker, said->shard);
    bool has_role = said->state != EK_HOLDING_RELEASED && said->state != EK_HOLDING_ASIDE;
    if (has_role && strays->count < broker->config.shards)
        tell(broker, strays, said->shard, given_up ? EK_HOLDING_ASIDE : EK_HOLDING_RELEASED);
}

/* The worker is told what it does not hold. False when the broker has to end. */
static bool release_strays(struct ek_broker *broker, struct ek_worker *worker, const struct ek_holding *holdings, size_t count)
{
    struct part strays = begin_part(broker);
    ek_loss_forget_aside(broker, worker);
    for (size_t i = 0; i < count; i++) {
        if (holdings[i].shard >= broker->config.shards)
            continue;
        const struct ek_shard *shard = &broker->shards[holdings[i].shard];
        if (holdings[i].epoch > shard->epoch) {
            ek_broker_say(broker, EK_ACTION_END, "a worker knows a later epoch of a shard: this broker's directory is old");
            return false;
        }
        if (shard->holder != index_of(broker, worker))
            judge_stray(broker, worker, &holdings[i], &strays);
    }
    act_assign(broker, worker, strays);
    return true;
}

/*
 * A report by shard; all zero where it is silent. The caller frees it. Where anything was acknowledged, a position without rows
 * counts as none: whoever holds such a shard has said before that its copy is complete, so a disk on which it fills yet is a clone
 * of that one, or was rolled back. Elsewhere it stays, so that nobody takes the shard for empty.
 */
static struct ek_holding *sort_report(const struct ek_broker *broker, const struct ek_holding *holdings, size_t count)
{
    struct ek_holding *by_shard = ek_alloc_zero(broker->config.shards, sizeof *by_shard);
    for (size_t i = 0; i < count; i++) {
        if (holdings[i].shard >= broker->config.shards)
            continue;
        by_shard[holdings[i].shard] = holdings[i];
        if (!has_rows(&holdings[i]) && broker->shards[holdings[i].shard].floor)
            by_shard[holdings[i].shard].position = 0;
    }
    return by_shard;
}

/* A holder that has still to make an accepted loss durable is not held against what was acknowledged before. */
static void open_shard(struct ek_broker *broker, struct ek_shard *shard, const struct ek_holding *said)
{
    if (shard->state == EK_SHARD_QUARANTINED)
        return;
    shard->loss_due = ek_loss_is_due(shard, said->epoch);
    if (shard->loss_due || believe(broker, shard, said->position))
        ek_shard_set_state(broker, shard, EK_SHARD_OPENING);
}

void ek_links_report(struct ek_broker *broker, struct ek_worker *worker, const struct ek_holding *holdings, size_t count)
{
    int index = index_of(broker, worker);
    if (worker->state != EK_WORKER_JOINING || !release_strays(broker, worker, holdings, count))
        return;
    worker->state = EK_WORKER_UP;
    worker->up_us = broker->now_us;
    ek_poison_probe(broker, worker);
    ek_broker_clear_alarm(broker, "worker_away", index, EK_NOBODY);
    if (worker->rolled_back)
        quarantine(broker, worker);
    struct ek_holding *said = sort_report(broker, holdings, count);
    for (uint32_t i = 0; i < broker->config.shards; i++)
        if (broker->shards[i].holder == index)
            open_shard(broker, &broker->shards[i], &said[i]);
    free(said);
    ek_durable_write(broker);
    spread_and_tell(broker, worker);
    ek_loss_tell(broker, index);
    ek_broker_say(broker, EK_ACTION_NOTICE, "worker %s joined and holds %u shards", worker->name, worker->shards);
}

void ek_links_assigned(struct ek_broker *broker, struct ek_worker *worker, const struct ek_holding *holdings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (holdings[i].shard >= broker->config.shards)
            continue;
        struct ek_shard *shard = &broker->shards[holdings[i].shard];
        bool current = shard->holder == index_of(broker, worker) && shard->epoch == holdings[i].epoch &&
                       shard->state == EK_SHARD_OPENING && holdings[i].state == EK_HOLDING_SERVING;
        if (!current || !believe(broker, shard, holdings[i].position))
            continue;
        ek_shard_set_state(broker, shard, EK_SHARD_SERVING);
        ek_moves_opened(broker, shard);
        ek_dispatch_make_ready(broker, shard);
    }
    ek_durable_write(broker);
    /* Only now is it known which of them are empty, and somebody may have joined meanwhile. */
    spread_and_tell(broker, NULL);
}

/* ---- life and death of a link ---- */

static void take_loads(struct ek_broker *broker, int worker, const struct ek_shard_load *loads, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (loads[i].shard >= broker->config.shards || broker->shards[loads[i].shard].holder != worker)
            continue;
        broker->shards[loads[i].shard].load = loads[i];
        broker->shards[loads[i].shard].load_known = true;
    }
}

bool ek_links_is_full(const struct ek_worker *worker, uint64_t now_us)
{
    return worker->full_us && now_us - worker->full_us >= FULL_US;
}

uint64_t ek_links_room(const struct ek_worker *worker)
{
    const struct ek_heartbeat *heartbeat = &worker->heartbeat;
    return heartbeat->disk_free_bytes > heartbeat->disk_reserve_bytes ? heartbeat->disk_free_bytes - heartbeat->disk_reserve_bytes
                                                                      : 0;
}

void ek_links_heartbeat(struct ek_broker *broker, struct ek_worker *worker, const struct ek_heartbeat *heartbeat,
                        const struct ek_shard_load *loads, uint64_t now_us)
{
    uint64_t kept_before = worker->heartbeat.dead_kept;
    worker->heartbeat = *heartbeat;
    ek_poison_note_kept(broker, worker, kept_before);
    worker->has_credit = true;
    worker->full_us = heartbeat->credit_bytes ? 0 : worker->full_us ? worker->full_us : now_us;
    worker->heard_us = now_us;
    take_loads(broker, index_of(broker, worker), loads, heartbeat->load_count);
    if (heartbeat->alarm[0])
        ek_broker_alarm(broker, "worker_storage", index_of(broker, worker), EK_NOBODY, heartbeat->alarm);
    else
        ek_broker_clear_alarm(broker, "worker_storage", index_of(broker, worker), EK_NOBODY);
    if ((uint64_t)heartbeat->stalled_ms * 1000 > broker->config.liveness_us) {
        ek_links_end(broker, worker, "its storage does not answer");
        return;
    }
    ek_broker_act(broker, EK_ACTION_WORKER_PULSE, worker->peer)->link =
        (struct ek_link){.link = worker->link, .generation = broker->config.generation};
}

void ek_links_end(struct ek_broker *broker, struct ek_worker *worker, const char *why)
{
    ek_poison_link_ends(broker, worker);
    ek_dispatch_forget_ring(broker, worker);
    for (uint32_t i = 0; i < broker->config.shards; i++) {
        struct ek_shard *shard = &broker->shards[i];
        if (shard->holder != index_of(broker, worker))
            continue;
        ek_dispatch_take_back(broker, shard);
        shard->empty = shard->load_known = false;
        if (shard->state != EK_SHARD_QUARANTINED)
            ek_shard_set_state(broker, shard, EK_SHARD_AWAY);
    }
    worker->state = EK_WORKER_AWAY;
    worker->has_credit = false;
    ek_moves_link_ended(broker, index_of(broker, worker));
    ek_check_link_ended(broker, index_of(broker, worker));
    if (worker->drain.wanted && worker->shards == 0)
        return; /* that is what it was drained for */
    char text[EK_TEXT_BYTES_MAX];
    (void)snprintf(text, sizeof text, "worker %.64s is away with %u shards: %.120s", worker->name, worker->shards, why);
    ek_broker_alarm(broker, "worker_away", index_of(broker, worker), EK_NOBODY, text);
}

void ek_links_bye(struct ek_broker *broker, struct ek_worker *worker, enum ek_bye_cause cause)
{
    ek_links_end(broker, worker, cause == EK_BYE_STORAGE ? "its storage failed" : "it was stopped in order");
    ek_poison_excuse(worker);
}

void ek_links_lost(struct ek_broker *broker, ek_broker_peer peer)
{
    for (size_t i = 0; i < broker->worker_count; i++)
        if (broker->workers[i].state != EK_WORKER_AWAY && broker->workers[i].peer == peer)
            ek_links_end(broker, &broker->workers[i], "its connection is gone");
}

void ek_links_check(struct ek_broker *broker, uint64_t now_us)
{
    for (size_t i = 0; i < broker->worker_count; i++) {
        struct ek_worker *worker = &broker->workers[i];
        if (worker->state != EK_WORKER_AWAY && worker->heard_us + broker->config.liveness_us < now_us)
            ek_links_end(broker, worker, "it was silent for longer than the liveness limit");
    }
}
