#include "tests/support/broker_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GENERATION = 5 };

/* put "k" = "v", and get "k", as bodies. */
static const uint8_t put_body[] = {0x91, 0x93, 0x01, 0xc4, 0x01, 'k', 0xc4, 0x01, 'v'};
static const uint8_t get_body[] = {0x91, 0x92, 0x02, 0xc4, 0x01, 'k'};
static const uint8_t cause_body[] = {0x91, EK_WIRE_EXPIRED};

void rig_open(struct rig *rig, const struct ek_record *records, size_t record_count)
{
    rig_open_sized(rig, EK_QUEUE_BYTES_MIN, records, record_count);
}

void rig_open_sized(struct rig *rig, uint64_t queue_bytes_max, const struct ek_record *records, size_t record_count)
{
    *rig = (struct rig){.now_us = 1000000};
    struct ek_broker_config config = {
        .generation = GENERATION,
        .shards = RIG_SHARDS,
        .queue_bytes_max = queue_bytes_max,
        .liveness_us = 2000000,
        .started_us = rig->now_us,
        .started_unix_ms = 1700000000000,
        .stats_endpoint = "tcp://127.0.0.1:5602",
    };
    struct ek_record *all = ek_alloc_zero(record_count + 1, sizeof *all);
    all[0] = (struct ek_record){.type = EK_RECORD_SETTING, .setting = EK_SETTING_BALANCE_OFF, .number = 1};
    if (record_count)
        memcpy(all + 1, records, record_count * sizeof *all);
    if (ek_broker_new(&config, all, record_count + 1, &rig->broker) != EK_OK)
        abort();
    free(all);
    rig_step(rig, (struct ek_event){.type = EK_EVENT_CEILING_DURABLE, .ceiling_unix_ms = 1800000000000});
}

void rig_close(struct rig *rig)
{
    ek_broker_destroy(&rig->broker);
}

void rig_step(struct rig *rig, struct ek_event event)
{
    event.now_us = ++rig->now_us;
    rig->actions = ek_broker_step(rig->broker, &event, &rig->action_count);
}

void rig_tick(struct rig *rig, uint64_t after_us)
{
    rig->now_us += after_us;
    rig_step(rig, (struct ek_event){.type = EK_EVENT_TICK, .wall_unix_ms = 1700000000000 + rig->now_us / 1000 - 1000});
}

const struct ek_action *rig_action(const struct rig *rig, enum ek_action_type type, size_t n)
{
    for (size_t i = 0; i < rig->action_count; i++)
        if (rig->actions[i].type == type && n-- == 0)
            return &rig->actions[i];
    return NULL;
}

const struct ek_worker_job *rig_sent(const struct rig *rig, size_t n)
{
    const struct ek_action *action = rig_action(rig, EK_ACTION_WORKER_JOB, n);
    return action ? &action->job : NULL;
}

size_t rig_count(const struct rig *rig, enum ek_action_type type)
{
    size_t count = 0;
    while (rig_action(rig, type, count))
        count++;
    return count;
}

struct ek_link rig_hello(struct rig *rig, ek_broker_peer peer, uint64_t incarnation)
{
    struct ek_worker_hello hello = {.incarnation = incarnation, .capacity_milli = 1000, .name = "w"};
    hello.worker.bytes[0] = (uint8_t)peer;
    (void)snprintf(hello.endpoint, sizeof hello.endpoint, "tcp://127.0.0.1:%u", 40000 + (unsigned)peer);
    rig_step(rig, (struct ek_event){.type = EK_EVENT_WORKER_HELLO, .peer = peer, .worker_hello = &hello});
    const struct ek_action *welcome = rig_action(rig, EK_ACTION_WORKER_WELCOME, 0);
    return welcome ? welcome->worker_welcome.link : (struct ek_link){0};
}

/* The last step's ASSIGNs, copied, because answering them is a step too. */
struct assign {
    ek_broker_peer peer;
    struct ek_link link;
    struct ek_holding holdings[RIG_SHARDS * 4];
    size_t count;
};

void rig_confirm_assigns(struct rig *rig, uint64_t position)
{
    uint64_t positions[RIG_SHARDS];
    for (size_t i = 0; i < RIG_SHARDS; i++)
        positions[i] = position;
    rig_confirm_positions(rig, positions);
}

void rig_confirm_positions(struct rig *rig, const uint64_t positions[RIG_SHARDS])
{
    struct assign assigns[8];
    size_t count = 0;
    for (const struct ek_action *action; count < 8 && (action = rig_action(rig, EK_ACTION_WORKER_ASSIGN, count)); count++) {
        assigns[count] = (struct assign){.peer = action->peer, .link = action->link, .count = action->assign.count};
        memcpy(assigns[count].holdings, action->assign.holdings, action->assign.count * sizeof(struct ek_holding));
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < assigns[i].count; k++)
            assigns[i].holdings[k].position = positions[assigns[i].holdings[k].shard];
        rig_step(rig, (struct ek_event){.type = EK_EVENT_WORKER_ASSIGNED,
                                        .peer = assigns[i].peer,
                                        .link = assigns[i].link,
                                        .holdings = assigns[i].holdings,
                                        .count = assigns[i].count});
    }
}

struct ek_link rig_join(struct rig *rig, ek_broker_peer peer, uint64_t position, const int *shards)
{
    struct ek_link link = rig_hello(rig, peer, 1);
    struct ek_holding holdings[RIG_SHARDS];
    size_t count = 0;
    for (; shards && shards[count] >= 0; count++)
        holdings[count] =
            (struct ek_holding){.shard = (uint16_t)shards[count], .state = EK_HOLDING_SERVING, .epoch = 1, .position = position};
    rig_step(rig,
             (struct ek_event){.type = EK_EVENT_WORKER_REPORT, .peer = peer, .link = link, .holdings = holdings, .count = count});
    rig_confirm_assigns(rig, position);
    rig_heartbeat(rig, peer, link, 100, EK_MIB, 100);
    return link;
}

struct ek_link rig_return(struct rig *rig, ek_broker_peer peer, uint64_t incarnation, const uint64_t positions[RIG_SHARDS],
                          bool answers)
{
    struct ek_link link = rig_hello(rig, peer, incarnation);
    struct ek_holding holdings[RIG_SHARDS];
    for (uint16_t i = 0; i < RIG_SHARDS; i++)
        holdings[i] = (struct ek_holding){.shard = i, .state = EK_HOLDING_SERVING, .epoch = 1, .position = positions[i]};
    rig_step(rig, (struct ek_event){
                      .type = EK_EVENT_WORKER_REPORT, .peer = peer, .link = link, .holdings = holdings, .count = RIG_SHARDS});
    rig_confirm_positions(rig, positions);
    if (answers)
        rig_reply(rig, peer, link, 0, EK_WIRE_OK, 0);
    rig_heartbeat(rig, peer, link, EK_CREDIT_JOBS_MAX, EK_MIB, 100);
    return link;
}

void rig_heartbeat(struct rig *rig, ek_broker_peer peer, struct ek_link link, uint32_t jobs, uint32_t bytes, uint32_t reads)
{
    struct ek_heartbeat heartbeat = {.link = link, .credit_jobs = jobs, .credit_bytes = bytes, .credit_reads = reads};
    rig_step(rig, (struct ek_event){.type = EK_EVENT_WORKER_HEARTBEAT, .peer = peer, .link = link, .heartbeat = &heartbeat});
}

void rig_load(struct rig *rig, ek_broker_peer peer, struct ek_link link, const struct ek_shard_load *loads, size_t count)
{
    struct ek_heartbeat heartbeat = {
        .link = link, .credit_jobs = 100, .credit_bytes = EK_MIB, .credit_reads = 100, .load_count = (uint32_t)count};
    rig_step(rig, (struct ek_event){
                      .type = EK_EVENT_WORKER_HEARTBEAT, .peer = peer, .link = link, .heartbeat = &heartbeat, .loads = loads});
}

enum ek_wire_status rig_command(struct rig *rig, const char *words, char ret_text[RIG_TEXT_BYTES])
{
    enum { OPERATOR = 99, ID = 77 };
    struct ek_admin admin = {.id = ID};
    for (const char *at = words; *at && admin.count < EK_ADMIN_WORDS_MAX; at += *at == ' ') {
        size_t size = strcspn(at, " ");
        (void)snprintf(admin.words[admin.count++], EK_TEXT_BYTES_MAX, "%.*s", (int)size, at);
        at += size;
    }
    rig_step(rig, (struct ek_event){.type = EK_EVENT_CLIENT_ADMIN, .peer = OPERATOR, .admin = &admin});
    const struct ek_answer *answer = &rig_action(rig, EK_ACTION_ANSWER, 0)->answer;
    if (ret_text)
        (void)snprintf(ret_text, RIG_TEXT_BYTES, "%.*s", (int)answer->text.size, (const char *)answer->text.data);
    return answer->status;
}

struct ek_job rig_job(struct rig *rig, enum ek_job_kind kind, uint16_t shard, uint64_t producer, uint64_t number)
{
    struct ek_slice body = kind == EK_JOB_READ     ? ek_slice_of(get_body, sizeof get_body)
                           : kind == EK_JOB_CANCEL ? ek_slice_of(cause_body, sizeof cause_body)
                                                   : ek_slice_of(put_body, sizeof put_body);
    return (struct ek_job){
        .id = ++rig->next_job_id,
        .kind = kind,
        .route = {.present = true, .shard = shard, .producer = producer, .number = number, .lowest = number ? number : 0},
        .body = body,
        .count = 1,
    };
}

void rig_jobs(struct rig *rig, ek_broker_peer client, const struct ek_job *jobs, size_t count)
{
    rig_step(rig, (struct ek_event){.type = EK_EVENT_CLIENT_JOBS, .peer = client, .jobs = jobs, .count = count});
}

uint64_t rig_write(struct rig *rig, ek_broker_peer client, uint16_t shard, uint64_t producer, uint64_t number)
{
    struct ek_job job = rig_job(rig, EK_JOB_WRITE, shard, producer, number);
    rig_jobs(rig, client, &job, 1);
    return job.id;
}

uint64_t rig_read(struct rig *rig, ek_broker_peer client, uint16_t shard, uint64_t producer, uint64_t number)
{
    struct ek_job job = rig_job(rig, EK_JOB_READ, shard, producer, number);
    rig_jobs(rig, client, &job, 1);
    return job.id;
}

void rig_dispatch(struct rig *rig)
{
    rig_step(rig, (struct ek_event){.type = EK_EVENT_DISPATCH});
}

void rig_reply(struct rig *rig, ek_broker_peer peer, struct ek_link link, uint64_t token, enum ek_wire_status status,
               uint64_t position)
{
    struct ek_worker_reply reply = {.token = token, .status = status, .position = position};
    rig_step(rig, (struct ek_event){.type = EK_EVENT_WORKER_REPLIES, .peer = peer, .link = link, .replies = &reply, .count = 1});
}

void rig_moved(struct rig *rig, ek_broker_peer peer, struct ek_link link, struct ek_attempt attempt, enum ek_moved_step step,
               uint64_t position, const char *text)
{
    struct ek_move_report report = {.link = link, .attempt = attempt, .step = step, .position = position};
    (void)snprintf(report.text, sizeof report.text, "%s", text ? text : "");
    rig_step(rig, (struct ek_event){.type = EK_EVENT_WORKER_MOVED, .peer = peer, .link = link, .moved = &report});
}

bool rig_balanced(const struct rig *rig, struct ek_ledger *ret_ledger)
{
    struct ek_snapshot *snapshot = ek_snapshot_take(rig->broker, rig->now_us);
    struct ek_ledger ledger = snapshot->ledger;
    uint64_t queued = 0;
    uint64_t in_flight = 0;
    for (size_t i = 0; i < snapshot->shard_count; i++) {
        queued += snapshot->shards[i].queued_jobs;
        in_flight += snapshot->shards[i].in_flight_jobs;
    }
    ek_snapshot_destroy(&snapshot);
    *ret_ledger = ledger;
    return queued == ledger.queued && in_flight == ledger.in_flight &&
           ledger.accepted == ledger.done + ledger.failed + ledger.expired + ledger.dead + ledger.given_back + queued + in_flight;
}
