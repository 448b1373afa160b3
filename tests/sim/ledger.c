#include "tests/sim/ledger.h"

#include "common/operations.h"
#include "common/reader.h"
#include "common/table.h"
#include "tests/sim/answers.h"
#include "tests/sim/cluster.h"
#include "tests/sim/disk.h"
#include "tests/sim/hazard.h"
#include "tests/sim/links.h"
#include "tests/sim/world.h"
#include "worker/book.h"

#include <inttypes.h>
#include <string.h>

enum { SENDERS_MAX = 32768 };

/* A number of one producer on one shard. */
struct entry {
    struct ek_table_link link;
    uint64_t producer;
    uint32_t shard;
    uint64_t number;
    bool recorded;
    bool twice;                  /* on two disks, of which one was a clone's: its place is not certain */
    bool disputed;               /* between a clone and its original: one carried it out, the other did not */
    const struct sim_disk *disk; /* that recorded it last */
    bool carried_out;
    uint64_t position;
    uint8_t *body; /* the job's verdict; NULL = every result is 0 */
    size_t body_bytes;
    enum ek_operation_code *codes; /* of the job's operations */
};

/* A call, and where it stands in the jobs that carried it. A job that a worker has forgotten goes out again under another number.
 */
struct sender {
    struct sim_call *call;
    uint32_t shard;
    struct entry *entries[4];
    uint32_t offsets[4];
    size_t count;
};

static struct ek_table entries;
static struct sender senders[SENDERS_MAX];
static size_t sender_count;
static size_t producers[EK_SHARDS_MAX]; /* by shard */

static bool same_entry(const struct ek_table_link *item, const void *wanted)
{
    const struct entry *a = EK_ITEM(item, const struct entry, link);
    const struct entry *b = wanted;
    return a->producer == b->producer && a->shard == b->shard && a->number == b->number;
}

static struct entry *entry_of(uint64_t producer, uint32_t shard, uint64_t number, bool *ret_new)
{
    const struct entry wanted = {.producer = producer, .shard = shard, .number = number};
    uint64_t hash = ek_mix(producer * 31 + shard) ^ ek_mix(number);
    struct ek_table_link *found = ek_table_find(&entries, hash, same_entry, &wanted);
    *ret_new = !found;
    if (found)
        return EK_ITEM(found, struct entry, link);
    struct entry *entry = sim_alloc(1, sizeof *entry);
    *entry = wanted;
    ek_table_add(&entries, &entry->link, hash);
    return entry;
}

void sim_ledger_submitted(uint32_t shard, struct sim_call *call)
{
    if (sender_count == SENDERS_MAX)
        sim_fail("too many calls");
    else
        senders[sender_count++] = (struct sender){.call = call, .shard = shard};
}

/* ---- which call is in which job ---- */

static bool is_same(const struct sim_call *call, size_t step, const struct ek_operation *operation)
{
    static const enum ek_operation_code codes[] = {EK_OPERATION_PUT, EK_OPERATION_DELETE, EK_OPERATION_EXISTS,
                                                   EK_OPERATION_INCREMENT, EK_OPERATION_GET};
    const struct check_step *wanted = &call->steps[step];
    if (codes[wanted->kind] != operation->code || !ek_slice_equal(operation->key, ek_slice_text(sim_key(call->tag, wanted->key))))
        return false;
    if (wanted->kind == CHECK_PUT)
        return answers_text_number(operation->value) == wanted->value;
    return wanted->kind != CHECK_INCREMENT || operation->by == wanted->value;
}

static void assign(struct sender *sender, struct entry *entry, uint32_t offset)
{
    size_t room = sizeof sender->entries / sizeof *sender->entries;
    if (sender->count == room) {
        sim_fail("a call went out under more than %zu numbers", room);
        return;
    }
    sender->entries[sender->count] = entry;
    sender->offsets[sender->count++] = offset;
}

static bool has_number_of(const struct sender *sender, uint64_t producer)
{
    for (size_t i = 0; i < sender->count; i++)
        if (sender->entries[i]->producer == producer)
            return true;
    return false;
}

/* It has no answer, or its caller stopped waiting while it stood before a full pipe for the first time. */
static bool is_awaited(const struct sender *sender)
{
    const struct sim_call *call = sender->call;
    return !call->ended || (call->call.maybe && !call->never && sender->count == 0);
}

/* As above, but it was refused under an earlier number before. */
static bool is_doubtful(const struct sender *sender)
{
    return sender->call->call.maybe && !sender->call->never;
}

/* What the job does from `operation` on is what the call does. */
static bool is_whole(const struct sim_call *call, const struct ek_operation *operation, struct ek_reader rest)
{
    struct ek_operation next = *operation;
    for (size_t step = 0; step < call->call.step_count; step++)
        if ((step && ek_decode_operation(&rest, &next) != EK_OK) || !is_same(call, step, &next))
            return false;
    return true;
}

/* The session's first call that may be sent, has no number of this producer, and does what the job does at this place. */
static struct sender *find_sender(unsigned session, const struct entry *entry, bool transaction,
                                  const struct ek_operation *operation, struct ek_reader rest)
{
    struct sender *doubtful = NULL;
    for (size_t i = 0; i < sender_count; i++) {
        struct sender *sender = &senders[i];
        if (sender->call->call.session != session || sender->shard != entry->shard ||
            (sender->call->call.step_count > 1) != transaction || has_number_of(sender, entry->producer) ||
            !is_whole(sender->call, operation, rest))
            continue;
        if (is_awaited(sender))
            return sender;
        if (!doubtful && is_doubtful(sender))
            doubtful = sender;
    }
    return doubtful;
}

static void note_codes(struct entry *entry, struct ek_reader operations, uint32_t count)
{
    struct ek_operation operation;
    entry->codes = sim_alloc(count, sizeof *entry->codes);
    for (uint32_t i = 0; i < count && ek_decode_operation(&operations, &operation) == EK_OK; i++)
        entry->codes[i] = operation.code;
}

void sim_ledger_sent_beside(const struct ek_job *job)
{
    bool is_new;
    const struct entry *entry = entry_of(job->route.producer, job->route.shard, job->route.number, &is_new);
    producers[entry->shard] += is_new && entry->number == 1;
}

void sim_ledger_sent(unsigned session, const struct ek_job *job)
{
    bool is_new;
    struct entry *entry = entry_of(job->route.producer, job->route.shard, job->route.number, &is_new);
    struct ek_reader body = ek_reader_of(job->body);
    uint32_t count;
    if (!is_new)
        return;
    producers[entry->shard] += entry->number == 1;
    if (ek_decode_operation_count(&body, &count) != EK_OK) {
        sim_fail("a job's operations cannot be read");
        return;
    }
    note_codes(entry, body, count);
    for (uint32_t i = 0; i < count;) {
        struct ek_operation operation;
        if (ek_decode_operation(&body, &operation) != EK_OK)
            return;
        struct sender *sender = find_sender(session, entry, job->kind == EK_JOB_TRANSACTION, &operation, body);
        if (!sender) {
            sim_fail("session %u sends an operation (code %d, key %.*s) that it was not given, or that has ended", session,
                     (int)operation.code, (int)operation.key.size, (const char *)operation.key.data);
            return;
        }
        assign(sender, entry, i);
        i += (uint32_t)sender->call->call.step_count;
        for (size_t skipped = 1; skipped < sender->call->call.step_count; skipped++)
            if (ek_decode_operation(&body, &operation) != EK_OK)
                return;
    }
}

size_t sim_ledger_producers(uint32_t shard)
{
    return producers[shard];
}

/* ---- what was carried out ---- */

static bool is_of_clone(const struct sim_disk *disk)
{
    return disk == sim_disk_of(SIM_CLONE_NUMBER);
}

static void enter(const struct sim_disk *disk, struct entry *entry, const struct ek_verdict *verdict)
{
    /* What a clone had carried out for nobody goes to the original again. */
    if (entry->recorded && !sim_hazard_has_struck())
        sim_fail("shard %u, producer %" PRIu64 ": number %" PRIu64 " was used up twice", entry->shard, entry->producer,
                 entry->number);
    entry->twice = entry->twice || entry->recorded;
    bool by_both = entry->recorded && is_of_clone(entry->disk) != is_of_clone(disk);
    entry->disputed = entry->disputed || (by_both && entry->carried_out != (verdict->status == EK_WIRE_OK));
    entry->disk = disk;
    entry->recorded = true;
    entry->carried_out = verdict->status == EK_WIRE_OK;
    entry->position = verdict->position;
    entry->body = verdict->body.size ? ek_slice_copy(verdict->body) : NULL;
    entry->body_bytes = verdict->body.size;
}

static void take_back(const struct sim_disk *disk, struct entry *entry, const struct ek_verdict *verdict)
{
    (void)disk, (void)verdict;
    entry->recorded = entry->carried_out = false;
}

static void for_each_number(const struct sim_disk *disk, struct ek_slice bytes,
                            void (*run)(const struct sim_disk *disk, struct entry *entry, const struct ek_verdict *verdict))
{
    struct ek_book_record record;
    uint16_t shard;
    struct ek_verdict verdict;
    if (ek_book_record_open(bytes, &record) != EK_OK) {
        sim_fail("a record on disk cannot be read");
        return;
    }
    while (ek_book_record_next(&record, &shard, &verdict) == EK_OK) {
        bool is_new;
        /* A learner follows what its shard's holder has done. */
        bool follows = sim_disk_role(disk, shard).state == EK_HOLDING_LEARNER;
        if (verdict.producer && verdict.used && !follows)
            run(disk, entry_of(verdict.producer, shard, verdict.number, &is_new), &verdict);
    }
}

void sim_ledger_recorded(const struct sim_disk *disk, struct ek_slice record)
{
    sim_links_recorded(record);
    for_each_number(disk, record, enter);
}

void sim_ledger_lost(const struct sim_disk *disk, struct ek_slice record)
{
    for_each_number(disk, record, take_back);
}

bool sim_ledger_is_disputed(const struct sim_call *call)
{
    for (size_t i = 0; i < sender_count; i++)
        for (size_t k = 0; senders[i].call == call && k < senders[i].count; k++)
            if (senders[i].entries[k]->disputed)
                return true;
    return false;
}

bool sim_ledger_took_effect(const struct sim_call *call, uint64_t *ret_position)
{
    bool found = false;
    for (size_t i = 0; i < sender_count; i++)
        for (size_t k = 0; senders[i].call == call && k < senders[i].count; k++) {
            if (!senders[i].entries[k]->carried_out)
                continue;
            if (found)
                sim_fail("a call was carried out twice, at %" PRIu64 " and at %" PRIu64, *ret_position,
                         senders[i].entries[k]->position + senders[i].offsets[k]);
            found = true;
            *ret_position = senders[i].entries[k]->twice ? 0 : senders[i].entries[k]->position + senders[i].offsets[k];
        }
    return found;
}

/* ---- what its record says of a call ---- */

static void take_result(struct check_step *step, const struct ek_result *result, uint64_t version)
{
    switch (result->status) {
    case EK_WIRE_OK:
        step->answer = CHECK_OK;
        step->result = result->number;
        step->version = step->kind == CHECK_PUT || step->kind == CHECK_INCREMENT ? version : 0;
        break;
    case EK_WIRE_NOT_FOUND:
        step->answer = CHECK_NOT_FOUND;
        break;
    case EK_WIRE_CONDITION_FAILED:
        step->answer = CHECK_REFUSED;
        step->version = result->version;
        break;
    case EK_WIRE_FAILED:
        step->answer = CHECK_FAILED;
        break;
    default:
        sim_fail("a record holds %s as an operation's result", ek_wire_status_name(result->status));
    }
}

/* The results of the call's steps are those from `offset` on. */
static void take_results(struct check_call *check, const struct entry *entry, uint32_t offset)
{
    struct ek_reader results = ek_reader_of(ek_slice_of(entry->body, entry->body_bytes));
    struct ek_result result = {.status = EK_WIRE_OK};
    if (entry->body)
        (void)ek_read_array(&results);
    for (uint32_t i = 0; i < offset + check->step_count; i++) {
        if (entry->body && ek_decode_result(&results, entry->codes[i], &result) != EK_OK) {
            sim_fail("a record's results cannot be read");
            return;
        }
        if (i >= offset)
            take_result(&check->steps[i - offset], &result, entry->position + i);
    }
}

bool sim_ledger_complete(const struct sim_call *call, struct check_call *check)
{
    for (size_t i = 0; i < sender_count; i++)
        for (size_t k = 0; senders[i].call == call && k < senders[i].count; k++) {
            const struct entry *entry = senders[i].entries[k];
            bool refused = check->refused && entry->recorded && !entry->carried_out;
            if (!entry->carried_out && !refused)
                continue;
            check->order = entry->twice ? 0 : entry->position + senders[i].offsets[k];
            if (check->maybe)
                take_results(check, entry, senders[i].offsets[k]);
            return true;
        }
    return false;
}
