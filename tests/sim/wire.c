#include "tests/sim/wire.h"

#include "common/codec.h"
#include "common/hash.h"
#include "common/table.h"
#include "tests/sim/cluster.h"
#include "tests/sim/course.h"
#include "tests/sim/disk.h"
#include "tests/sim/hazard.h"
#include "tests/sim/ledger.h"
#include "tests/sim/links.h"
#include "tests/sim/past.h"
#include "tests/sim/tally.h"
#include "tests/sim/workload.h"

#include <inttypes.h>
#include <string.h>

/* A job as a client calls it, and the number that it had when it was last sent. */
struct job {
    struct ek_table_link link;
    int client;
    uint64_t life;
    uint64_t id;
    struct ek_route route;
};

/* A number, and how it ended. */
struct verdict {
    struct ek_table_link link;
    uint64_t producer;
    uint16_t shard;
    uint64_t number;
    enum ek_wire_status status;
    uint64_t position;
    uint64_t body;
};

static struct ek_table jobs;
static struct ek_table verdicts;

static bool same_job(const struct ek_table_link *item, const void *wanted)
{
    const struct job *a = EK_ITEM(item, const struct job, link);
    const struct job *b = wanted;
    return a->client == b->client && a->life == b->life && a->id == b->id;
}

static uint64_t hash_job(const struct job *job)
{
    return ek_mix(job->id * 1000003 + job->life * 1009 + (uint64_t)job->client);
}

static struct job *find_job(const struct job *wanted)
{
    struct ek_table_link *found = ek_table_find(&jobs, hash_job(wanted), same_job, wanted);
    return found ? EK_ITEM(found, struct job, link) : NULL;
}

static void see_jobs(const struct sim_process *from, struct ek_reader *fields)
{
    uint32_t count;
    if (ek_decode_count(fields, EK_ENVELOPE_JOBS_MAX, &count) != EK_OK)
        return;
    for (uint32_t i = 0; i < count; i++) {
        struct ek_job message;
        if (ek_decode_job(fields, &message) != EK_OK)
            return;
        if (!message.route.present || message.kind == EK_JOB_READ)
            continue;
        struct job wanted = {.client = from->number, .life = from->life, .id = message.id, .route = message.route};
        struct job *job = find_job(&wanted);
        if (!job) {
            job = sim_alloc(1, sizeof *job);
            *job = wanted;
            ek_table_add(&jobs, &job->link, hash_job(&wanted));
        }
        job->route = message.route;
        if (sim_client_is_poisoner(from))
            sim_ledger_sent_beside(&message);
        else if (message.kind != EK_JOB_CANCEL)
            sim_ledger_sent(sim_client_session(from, message.id), &message);
    }
}

/* The same as lines of the story. */
static void tell_jobs(const struct sim_process *from, struct ek_reader fields)
{
    static const char *const kinds[] = {"read", "write", "transaction", "cancel", "delete"};
    uint32_t count;
    struct ek_job job;
    if (ek_decode_count(&fields, EK_ENVELOPE_JOBS_MAX, &count) != EK_OK)
        return;
    for (uint32_t i = 0; i < count && ek_decode_job(&fields, &job) == EK_OK; i++)
        sim_tell("%s: job %" PRIu64 " %s of %u on shard %u, producer %" PRIu64 " number %" PRIu64 " lowest %" PRIu64 "%s%s",
                 from->name, job.id, kinds[job.kind], job.count, job.route.shard, job.route.producer, job.route.number,
                 job.route.lowest, job.route.repeated ? ", repeated" : "", job.route.present ? "" : ", thin");
}

static void tell_worker_jobs(const struct sim_process *to, struct ek_reader fields)
{
    uint32_t count;
    struct ek_link link;
    struct ek_worker_job job;
    if (ek_decode_link(&fields, &link) != EK_OK || ek_decode_count(&fields, EK_ENVELOPE_JOBS_MAX, &count) != EK_OK)
        return;
    for (uint32_t i = 0; i < count && ek_decode_worker_job(&fields, &job) == EK_OK; i++)
        sim_tell("broker to %s: token %" PRIu64 " kind %d of %u on shard %u at %" PRIu64 ", producer %" PRIu64 " number %" PRIu64,
                 to ? to->name : "nobody", job.token, (int)job.kind, job.count, job.shard, job.position, job.producer, job.number);
}

static void tell_replies(const struct sim_process *to, struct ek_reader fields)
{
    uint32_t count;
    struct ek_reply reply;
    if (ek_decode_count(&fields, EK_ENVELOPE_JOBS_MAX, &count) != EK_OK)
        return;
    for (uint32_t i = 0; i < count && ek_decode_reply(&fields, &reply) == EK_OK; i++)
        sim_tell("%s is told: job %" PRIu64 " %s at %" PRIu64, to ? to->name : "nobody", reply.id,
                 ek_wire_status_name(reply.status), reply.position);
}

static void tell_worker_replies(const struct sim_process *from, struct ek_reader fields)
{
    uint32_t count;
    struct ek_link link;
    struct ek_worker_reply reply;
    if (ek_decode_link(&fields, &link) != EK_OK || ek_decode_count(&fields, EK_ENVELOPE_JOBS_MAX, &count) != EK_OK)
        return;
    for (uint32_t i = 0; i < count && ek_decode_worker_reply(&fields, &reply) == EK_OK; i++)
        sim_tell("%s: token %" PRIu64 " %s at %" PRIu64 "%s", from->name, reply.token, ek_wire_status_name(reply.status),
                 reply.position, reply.repeated ? ", repeated" : "");
}

static void tell_move(const struct sim_process *to, struct ek_reader fields)
{
    static const char *const steps[] = {"?", "fill", "copy", "pull", "drop"};
    struct ek_move_order order;
    if (ek_decode_move_order(&fields, &order) == EK_OK)
        sim_tell("broker to %s: %s shard %u, attempt %" PRIu64, to ? to->name : "nobody", steps[order.step], order.attempt.shard,
                 order.attempt.number);
}

static void tell_moved(const struct sim_process *from, struct ek_reader fields)
{
    static const char *const steps[] = {"?", "emptied", "copying", "fetched", "complete", "fed", "failed", "cleaned"};
    struct ek_move_report report;
    if (ek_decode_move_report(&fields, &report) == EK_OK)
        sim_tell("%s: %s shard %u, attempt %" PRIu64 ", at %" PRIu64 " %s", from->name, steps[report.step], report.attempt.shard,
                 report.attempt.number, report.position, report.text);
}

static void tell_holdings(const struct sim_process *of, const char *what, struct ek_reader fields)
{
    static const char *const states[] = {"?", "serving", "released", "aside", "filling", "learner"};
    uint32_t count;
    struct ek_link link;
    struct ek_holding holding;
    if (ek_decode_link(&fields, &link) != EK_OK || ek_decode_count(&fields, EK_SHARDS_MAX, &count) != EK_OK)
        return;
    for (uint32_t i = 0; i < count && ek_decode_holding(&fields, &holding) == EK_OK; i++)
        sim_tell("%s %s shard %u %s at %" PRIu64 ", epoch %" PRIu64, of ? of->name : "nobody", what, holding.shard,
                 states[holding.state], holding.position, holding.epoch);
}

static void tell_worker_hello(const struct sim_process *from, struct ek_reader fields)
{
    struct ek_worker_hello hello;
    if (ek_decode_worker_hello(&fields, &hello) == EK_OK)
        sim_tell("%s: HELLO of start %" PRIu64 ", generation %" PRIu64, from->name, hello.incarnation, hello.generation);
}

static void tell(const struct sim_process *from, const struct sim_process *to, enum ek_message_type type, struct ek_reader fields)
{
    switch (type) {
    case EK_MESSAGE_JOBS:
        tell_jobs(from, fields);
        break;
    case EK_MESSAGE_REPLIES:
        tell_replies(to, fields);
        break;
    case EK_MESSAGE_WORKER_JOBS:
        tell_worker_jobs(to, fields);
        break;
    case EK_MESSAGE_WORKER_REPLIES:
        tell_worker_replies(from, fields);
        break;
    case EK_MESSAGE_WORKER_MOVE:
        tell_move(to, fields);
        break;
    case EK_MESSAGE_WORKER_MOVED:
        tell_moved(from, fields);
        break;
    case EK_MESSAGE_WORKER_REPORT:
    case EK_MESSAGE_WORKER_ASSIGNED:
        tell_holdings(from, "has", fields);
        break;
    case EK_MESSAGE_WORKER_ASSIGN:
        tell_holdings(to, "shall have", fields);
        break;
    case EK_MESSAGE_WORKER_HELLO:
        tell_worker_hello(from, fields);
        break;
    case EK_MESSAGE_WORKER_HEARTBEAT:
    case EK_MESSAGE_WORKER_PULSE:
        break;
    default:
        sim_tell("%s to %s: message of type %d", from->name, to ? to->name : "nobody", (int)type);
    }
}

static bool same_verdict(const struct ek_table_link *item, const void *wanted)
{
    const struct verdict *a = EK_ITEM(item, const struct verdict, link);
    const struct verdict *b = wanted;
    return a->producer == b->producer && a->shard == b->shard && a->number == b->number;
}

static bool is_final(enum ek_wire_status status)
{
    return status == EK_WIRE_OK || status == EK_WIRE_CONDITION_FAILED || status == EK_WIRE_EXPIRED || status == EK_WIRE_FAILED ||
           status == EK_WIRE_DEAD;
}

static uint64_t hash_verdict(const struct verdict *verdict)
{
    return ek_mix(verdict->producer * 31 + verdict->shard) ^ ek_mix(verdict->number);
}

static const struct verdict *find_verdict(const struct verdict *wanted)
{
    struct ek_table_link *found = ek_table_find(&verdicts, hash_verdict(wanted), same_verdict, wanted);
    return found ? EK_ITEM(found, const struct verdict, link) : NULL;
}

static void see_verdict(const struct verdict *verdict)
{
    const struct verdict *first = find_verdict(verdict);
    bool all_remembered = sim_ledger_producers(verdict->shard) <= EK_PRODUCERS_PER_SHARD_MAX;
    if (!first && verdict->status == EK_WIRE_UNKNOWN && all_remembered && !sim_hazard_has_struck())
        sim_fail("shard %u, producer %" PRIu64 ", number %" PRIu64 ": answered UNKNOWN although its reply was never sent",
                 verdict->shard, verdict->producer, verdict->number);
    if (verdict->status == EK_WIRE_UNKNOWN)
        return; /* its sender has said that it needs the reply no more, or was forgotten before it was answered */
    if (!first) {
        struct verdict *kept = sim_alloc(1, sizeof *kept);
        *kept = *verdict;
        ek_table_add(&verdicts, &kept->link, hash_verdict(verdict));
        return;
    }
    sim_count(SIM_COUNT_REPETITION);
    if (first->status != verdict->status || first->position != verdict->position || first->body != verdict->body)
        sim_fail("shard %u, producer %" PRIu64 ", number %" PRIu64 ": answered %s at %" PRIu64 ", then %s at %" PRIu64 "%s",
                 verdict->shard, verdict->producer, verdict->number, ek_wire_status_name(first->status), first->position,
                 ek_wire_status_name(verdict->status), verdict->position, first->body == verdict->body ? "" : ", another body");
}

static void see_replies(const struct sim_process *to, struct ek_reader *fields)
{
    uint32_t count;
    if (ek_decode_count(fields, EK_ENVELOPE_JOBS_MAX, &count) != EK_OK)
        return;
    for (uint32_t i = 0; i < count; i++) {
        struct ek_reply reply;
        if (ek_decode_reply(fields, &reply) != EK_OK)
            return;
        sim_count(SIM_COUNT_ANSWER + reply.status);
        if (sim_hazard_broker_is_old() && reply.status == EK_WIRE_OK)
            sim_fail("a broker on an old copy of its directory answers %s", to->name);
        const struct job *job = find_job(&(struct job){.client = to->number, .life = to->life, .id = reply.id});
        if (job && (is_final(reply.status) || reply.status == EK_WIRE_UNKNOWN))
            see_verdict(&(struct verdict){.producer = job->route.producer,
                                          .shard = job->route.shard,
                                          .number = job->route.number,
                                          .status = reply.status,
                                          .position = reply.position,
                                          .body = ek_hash(reply.body)});
    }
}

/* A position that is not above all that went out before, in this broker's life, goes out again. */
static void count_sent(const struct sim_process *broker, struct ek_reader fields)
{
    static uint64_t life;
    static uint64_t highest[EK_SHARDS_MAX];
    uint32_t count;
    struct ek_link link;
    struct ek_worker_job job;
    if (life != broker->life)
        memset(highest, 0, sizeof highest);
    life = broker->life;
    if (ek_decode_link(&fields, &link) != EK_OK || ek_decode_count(&fields, EK_ENVELOPE_JOBS_MAX, &count) != EK_OK)
        return;
    for (uint32_t i = 0; i < count && ek_decode_worker_job(&fields, &job) == EK_OK; i++) {
        if (job.kind == EK_JOB_READ || job.position == 0)
            continue;
        if (job.position <= highest[job.shard])
            sim_count(SIM_COUNT_SENT_AGAIN);
        else
            highest[job.shard] = job.position;
    }
}

static void count_verdicts(const struct sim_process *from, struct ek_reader fields)
{
    uint32_t count;
    struct ek_link link;
    struct ek_worker_reply reply;
    if (ek_decode_link(&fields, &link) != EK_OK || ek_decode_count(&fields, EK_ENVELOPE_JOBS_MAX, &count) != EK_OK)
        return;
    for (uint32_t i = 0; i < count && ek_decode_worker_reply(&fields, &reply) == EK_OK; i++) {
        if (reply.repeated)
            sim_count(SIM_COUNT_STORED_REPLY);
        if (reply.status == EK_WIRE_OUT_OF_ORDER)
            sim_count(SIM_COUNT_OUT_OF_ORDER);
        if (reply.status == EK_WIRE_STALE)
            sim_count(SIM_COUNT_STALE);
        sim_past_look(from, reply.token, reply.status);
    }
}

/* What a worker may be told that it serves is on the broker's disk, and is there to stay. */
static bool is_durable(const struct ek_holding *holding)
{
    const struct sim_records *durable = &sim_directory()->durable;
    for (size_t i = 0; i < durable->record_count; i++)
        if (durable->records[i].type == EK_RECORD_ASSIGNMENT && durable->records[i].shard == holding->shard)
            return durable->records[i].number >= holding->epoch;
    return false;
}

static void see_assigned(const struct sim_process *to, struct ek_reader fields)
{
    uint32_t count;
    struct ek_link link;
    struct ek_holding holding;
    sim_course_assigned(to, fields);
    if (ek_decode_link(&fields, &link) != EK_OK || ek_decode_count(&fields, EK_SHARDS_MAX, &count) != EK_OK)
        return;
    for (uint32_t i = 0; i < count && ek_decode_holding(&fields, &holding) == EK_OK; i++)
        if (holding.state == EK_HOLDING_SERVING && !is_durable(&holding))
            sim_fail("shard %u is assigned at epoch %" PRIu64 ", which is not on the broker's disk", holding.shard, holding.epoch);
}

/* Two that have the same rows and judge the same jobs do not come to different ends, whatever is lost or late. */
static void see_moved(const struct sim_process *from, struct ek_reader fields)
{
    static const char *const impossible[] = {
        "rows are left in a range that was emptied", "a part of the copy is missing or damaged",
        "the source has sent another copy than it says", "what was stored is not what the source has sent",
        "the copy's memory of producers is not that of its position"};
    struct ek_move_report report;
    sim_course_reported(from, fields);
    if (ek_decode_move_report(&fields, &report) != EK_OK || report.step != EK_MOVED_FAILED || sim_hazard_has_struck())
        return;
    if (strcmp(report.text, "the learner does not come to the same as the shard's holder") == 0)
        sim_count(SIM_COUNT_LEARNER_GAP);
    for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++)
        if (strcmp(report.text, impossible[i]) == 0)
            sim_fail("%s, which learns shard %u, says: %s", from->name, report.attempt.shard, report.text);
}

void sim_wire_see(const struct sim_process *from, const struct sim_process *to, struct ek_slice message)
{
    enum ek_message_type type;
    struct ek_reader fields;
    if (ek_decode_type(message, &type, &fields) != EK_OK) {
        sim_fail("%s sends what cannot be read", from->name);
        return;
    }
    if (sim_is_verbose())
        tell(from, to, type, fields);
    if (type == EK_MESSAGE_WORKER_JOBS) {
        count_sent(from, fields);
        sim_links_sent(to, fields);
    } else if (type == EK_MESSAGE_WORKER_FEED) {
        sim_count(SIM_COUNT_FED);
        sim_course_fed(to);
    } else if (type == EK_MESSAGE_WORKER_MOVE)
        sim_course_ordered(to, fields);
    else if (type == EK_MESSAGE_WORKER_MOVED)
        see_moved(from, fields);
    else if (type == EK_MESSAGE_WORKER_ASSIGN)
        see_assigned(to, fields);
    else if (type == EK_MESSAGE_WORKER_REPORT)
        sim_links_reported(from, fields);
    else if (type == EK_MESSAGE_WORKER_REPLIES) {
        count_verdicts(from, fields);
        sim_past_keep(from, message, fields);
    } else if (type == EK_MESSAGE_WORKER_REFUSED)
        sim_count(SIM_COUNT_LINK_REFUSED);
    else if (type == EK_MESSAGE_JOBS)
        see_jobs(from, &fields);
    else if (type == EK_MESSAGE_REPLIES && to)
        see_replies(to, &fields);
    else if (type == EK_MESSAGE_ERROR && (from == sim_broker() || (to && to == sim_broker())))
        sim_fail("%s says ERROR", from->name);
}
