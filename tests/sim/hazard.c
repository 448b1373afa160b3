#include "tests/sim/hazard.h"

#include "broker/state.h"
#include "client/evenkeel.h"
#include "tests/sim/cluster.h"
#include "tests/sim/disk.h"
#include "tests/sim/tally.h"
#include "tests/sim/workload.h"
#include "worker/book.h"

#include <stdlib.h>

enum {
    NOBODY = 0,
    STRIKE_MIN_US = 200 * 1000,
    STRIKE_MAX_US = 1200 * 1000,
    CLONE_MIN_US = 300 * 1000,
    CLONE_MAX_US = 4000 * 1000,
    THINK_MIN_US = 50 * 1000,
    THINK_MAX_US = 600 * 1000,
    OPERATOR_NUMBER = 99
};

/* A worker's disk as it was. */
struct copy {
    struct sim_rows spaces[2];
    struct ek_identity identity;
};

/* Workers' places count from 1, as their disks do. */
static struct {
    bool open;
    bool healed;
    bool struck;
    bool had_clone;
    struct sim_process operator;
    struct copy copies[SIM_WORKERS_MAX + 1];
    struct sim_records records; /* of the broker */
    bool old;                   /* its directory is such a copy; the right one is */
    struct sim_directory right;
    bool unheard[SIM_WORKERS_MAX + 1]; /* its disk lies, and the broker has not noticed yet */
    unsigned cloned;                   /* the place, or NOBODY */
    uint64_t clone_until_us;
} hazard;

/* ---- what the disks say ---- */

/* False: nobody has begun on it. */
static bool identity_on(const struct sim_disk *disk, struct ek_identity *ret)
{
    const struct sim_rows *book = &disk->spaces[EK_STORE_BOOK];
    enum ek_book_kind kind;
    uint64_t number;
    return book->count && ek_book_parse_key(ek_slice_of(book->rows->key, book->rows->key_size), &kind, &number) == EK_OK &&
           kind == EK_BOOK_IDENTITY &&
           ek_book_decode_identity(ek_slice_of(book->rows->value, book->rows->value_size), ret) == EK_OK;
}

static bool same_id(const struct ek_worker_id *a, const struct ek_worker_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

const struct sim_disk *sim_hazard_disk_of(const struct ek_worker_id *worker)
{
    struct ek_identity identity;
    for (unsigned place = 1; place <= sim_worker_count(); place++)
        if (identity_on(sim_disk_of(place), &identity) && same_id(&identity.worker, worker))
            return sim_disk_of(place);
    return NULL;
}

/* What the broker has on disk of a worker; 0: nothing. */
static uint64_t known_incarnation(const struct ek_worker_id *worker)
{
    const struct sim_records *durable = &sim_directory()->durable;
    for (size_t i = 0; i < durable->record_count; i++)
        if (durable->records[i].type == EK_RECORD_WORKER && same_id(&durable->records[i].worker, worker))
            return durable->records[i].number;
    return 0;
}

/* How many shards it holds, by the broker's disk; or how many of these are quarantined. */
static size_t count_held(const struct ek_worker_id *worker, bool only_quarantined)
{
    const struct sim_records *durable = &sim_directory()->durable;
    size_t count = 0;
    for (size_t i = 0; i < durable->record_count; i++) {
        const struct ek_record *record = &durable->records[i];
        count +=
            record->type == EK_RECORD_ASSIGNMENT && same_id(&record->worker, worker) && (record->quarantined || !only_quarantined);
    }
    return count;
}

static bool is_quarantined(const struct ek_worker_id *worker)
{
    return count_held(worker, true) == count_held(worker, false);
}

/* ---- hazards ---- */

static void take_copies(void)
{
    for (unsigned place = 1; place <= sim_worker_count(); place++) {
        struct copy *copy = &hazard.copies[place];
        struct ek_identity identity;
        if (!identity_on(sim_disk_of(place), &identity) || sim_chance(50))
            continue;
        copy->identity = identity;
        for (size_t space = 0; space < 2; space++)
            sim_rows_copy(&sim_disk_of(place)->spaces[space], &copy->spaces[space]);
    }
    if (sim_chance(50))
        hazard.records = sim_directory()->durable;
}

/* A start raises the incarnation by one: only a copy from two starts ago says less than is known. */
static void roll_back(unsigned place)
{
    const struct copy *copy = &hazard.copies[place];
    struct ek_identity present;
    if (!identity_on(sim_disk_of(place), &present) || !same_id(&present.worker, &copy->identity.worker) ||
        copy->identity.incarnation + 1 >= known_incarnation(&present.worker))
        return;
    sim_tell("HAZARD the disk of w%u is rolled back", place);
    sim_count(SIM_COUNT_ROLLED_BACK);
    sim_kill(sim_worker(place - 1));
    if (sim_chance(60)) {
        sim_kill(sim_broker());
        sim_directory_cut_power();
    }
    sim_disk_replace(sim_disk_of(place), copy->spaces);
    hazard.unheard[place] = !is_quarantined(&present.worker);
    hazard.struck = true;
}

static void wipe(unsigned place)
{
    static const struct sim_rows empty[2];
    sim_tell("HAZARD the disk of w%u is gone", place);
    sim_count(SIM_COUNT_WIPED);
    sim_kill(sim_worker(place - 1));
    sim_disk_replace(sim_disk_of(place), empty);
    hazard.struck = true;
}

/* One that has joined, and is there to stay: its next start, or one that has not come to an end, would be the clone's number. */
static void clone(unsigned place)
{
    struct ek_identity identity;
    const struct sim_process *worker = sim_worker(place - 1);
    if (worker->state == SIM_ENDED || worker->stopping || !identity_on(sim_disk_of(place), &identity) ||
        identity.incarnation != known_incarnation(&identity.worker))
        return;
    sim_tell("HAZARD w%u is cloned", place);
    sim_count(SIM_COUNT_CLONED);
    sim_disk_replace(sim_disk_of(SIM_CLONE_NUMBER), sim_disk_of(place)->spaces);
    hazard.cloned = place;
    hazard.had_clone = hazard.struck = true;
    hazard.clone_until_us = sim_now_us() + sim_between(CLONE_MIN_US, CLONE_MAX_US);
    sim_clone_start(place - 1);
}

/* Every worker has to know that it is old. */
static void put_old_directory(void)
{
    struct ek_identity identity;
    for (unsigned place = 1; place <= sim_worker_count(); place++)
        if (!identity_on(sim_disk_of(place), &identity) || identity.generation <= hazard.records.generation)
            return;
    if (!hazard.records.made)
        return;
    sim_tell("HAZARD the broker's directory is an old copy, of generation %llu", (unsigned long long)hazard.records.generation);
    sim_count(SIM_COUNT_OLD_DIRECTORY);
    sim_kill(sim_broker());
    hazard.right = *sim_directory();
    sim_directory()->present = sim_directory()->durable = hazard.records;
    hazard.old = true;
}

static bool is_lost(const struct ek_worker *worker)
{
    return worker->state == EK_WORKER_AWAY && !sim_hazard_disk_of(&worker->id);
}

bool sim_hazard_is_over(void)
{
    const struct ek_broker *core = sim_broker_core();
    if (hazard.open && (!core || hazard.old || hazard.cloned))
        return false;
    for (unsigned place = 1; place <= sim_worker_count(); place++)
        if (hazard.unheard[place])
            return false;
    for (size_t i = 0; hazard.open && i < core->worker_count; i++)
        if (is_lost(&core->workers[i]))
            return false;
    for (uint32_t i = 0; hazard.open && i < core->config.shards; i++)
        if (core->shards[i].state == EK_SHARD_QUARANTINED)
            return false;
    return true;
}

static void strike(void)
{
    unsigned place = 1 + (unsigned)sim_draw(sim_worker_count());
    uint64_t choice = sim_draw(100);
    if (choice < 20)
        take_copies();
    else if (choice < 40 && !sim_hazard_protects(sim_worker(place - 1)))
        sim_kill(sim_worker(place - 1)); /* the next one is another incarnation */
    else if (!sim_hazard_is_over())
        return;
    else if (choice < 70)
        roll_back(place);
    else if (choice < 77)
        wipe(place);
    else if (choice < 88)
        clone(place);
    else
        put_old_directory();
}

/* ---- the operator ---- */

/* A broker that has quarantined for a number below the known one takes that for the known one. */
static void notice(void)
{
    struct ek_identity identity;
    for (unsigned place = 1; place <= sim_worker_count(); place++)
        if (hazard.unheard[place] && identity_on(sim_disk_of(place), &identity) &&
            known_incarnation(&identity.worker) <= identity.incarnation)
            hazard.unheard[place] = false;
}

/* One of the two has to go; with nothing but the original's own data unless all of it is quarantined. */
static void end_clone(void)
{
    unsigned place = hazard.cloned;
    struct ek_identity identity;
    if (place == NOBODY || sim_now_us() < hazard.clone_until_us)
        return;
    sim_kill(sim_clone());
    hazard.cloned = NOBODY;
    if (!identity_on(sim_disk_of(place), &identity))
        return;
    sim_tell("the clone of w%u is ended; the original is at start %llu, the broker knows of %llu", place,
             (unsigned long long)identity.incarnation, (unsigned long long)known_incarnation(&identity.worker));
    if (!is_quarantined(&identity.worker)) {
        hazard.unheard[place] = known_incarnation(&identity.worker) > identity.incarnation;
    } else if (sim_chance(50)) {
        sim_tell("the clone of w%u stays", place);
        sim_kill(sim_worker(place - 1));
        sim_disk_replace(sim_disk_of(place), sim_disk_of(SIM_CLONE_NUMBER)->spaces);
    }
}

static void command(struct ek_client *client, const char *const *words, size_t count)
{
    const char *json;
    enum ek_outcome outcome = ek_client_command(client, words, count, &json);
    sim_tell("the operator says %s %s: %s%s", words[0], words[1], ek_outcome_name(outcome), ek_client_error(client));
}

static void accept_losses(struct ek_client *client)
{
    const struct sim_records *durable = &sim_directory()->durable;
    for (size_t i = 0; i < durable->record_count && !hazard.cloned && !hazard.old; i++) {
        const struct ek_record *record = &durable->records[i];
        char number[12];
        if (record->type != EK_RECORD_ASSIGNMENT || !record->quarantined || !sim_hazard_disk_of(&record->worker))
            continue;
        (void)snprintf(number, sizeof number, "%u", record->shard);
        command(client, (const char *const[]){"accept-loss", number}, 2);
    }
}

static void forget_lost(struct ek_client *client)
{
    const struct ek_broker *core = sim_broker_core();
    char id[2 * sizeof(struct ek_worker_id) + 1] = "";
    for (size_t i = 0; core && !hazard.old && i < core->worker_count && !*id; i++)
        if (is_lost(&core->workers[i]))
            for (size_t k = 0; k < sizeof core->workers[i].id.bytes; k++)
                (void)snprintf(id + 2 * k, 3, "%02x", core->workers[i].id.bytes[k]);
    if (*id)
        command(client, (const char *const[]){"forget", id, "--accept-loss"}, 3);
}

static void operate(void *context)
{
    struct ek_client *client = sim_workload_open_client(&hazard.operator);
    (void)context;
    while (client) {
        sim_sleep_us(sim_between(THINK_MIN_US, THINK_MAX_US));
        (void)ek_client_poll(client, 0);
        end_clone();
        notice();
        accept_losses(client);
        forget_lost(client);
    }
}

static void strike_on(void *context, uint64_t argument)
{
    (void)context, (void)argument;
    if (hazard.healed)
        return;
    strike();
    sim_at(sim_now_us() + sim_between(STRIKE_MIN_US, STRIKE_MAX_US), strike_on, NULL, 0);
}

void sim_hazard_open(void)
{
    hazard.open = true;
    hazard.operator=(struct sim_process){.name = "operator", .number = OPERATOR_NUMBER, .state = SIM_ENDED};
    sim_start(&hazard.operator, operate, NULL);
    strike_on(NULL, 0);
}

void sim_hazard_heal(void)
{
    hazard.healed = true;
    hazard.clone_until_us = 0;
}

/* ---- what others ask ---- */

bool sim_hazard_has_struck(void)
{
    return hazard.struck;
}

bool sim_hazard_protects(const struct sim_process *process)
{
    for (unsigned place = 1; place <= sim_worker_count(); place++)
        if (process == sim_worker(place - 1))
            return hazard.unheard[place] || hazard.cloned == place;
    return hazard.cloned != NOBODY && process == sim_broker();
}

bool sim_hazard_broker_is_old(void)
{
    return hazard.old;
}

bool sim_hazard_may_refuse(const struct sim_process *process)
{
    return hazard.had_clone && process != sim_broker();
}

void sim_hazard_ended(const struct sim_process *process)
{
    if (process != sim_broker() || !hazard.old)
        return;
    sim_tell("the broker gets its right directory back");
    *sim_directory() = hazard.right;
    hazard.old = false;
}
