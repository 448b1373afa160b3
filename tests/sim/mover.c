#include "tests/sim/mover.h"

#include "broker/moves.h"
#include "client/evenkeel.h"
#include "common/hash.h"
#include "tests/sim/cluster.h"
#include "tests/sim/disk.h"
#include "tests/sim/hazard.h"
#include "tests/sim/holders.h"
#include "tests/sim/tally.h"
#include "tests/sim/workload.h"

#include <inttypes.h>
#include <string.h>

enum {
    THINK_MAX_US = 400 * 1000,
    MOVER_NUMBER = 98,
    CANCEL_PERCENT = 20,
    BACK_PERCENT = 30,
    CANCEL_LOOKS = 300,
    CANCEL_LOOK_US = 2000
};

static struct {
    bool open;
    bool healed;
    struct sim_process process;
} mover;

/* ---- what is asked for ---- */

static void say(struct ek_client *client, const char *second, const char *third, enum sim_count what)
{
    const char *json;
    enum ek_outcome outcome = ek_client_command(client, (const char *const[]){"move", second, third}, 3, &json);
    sim_tell("the mover says %s %s: %s %s", second, third, ek_outcome_name(outcome), ek_client_error(client));
    if (outcome == EK_OUTCOME_OK)
        sim_count(what);
}

static void ask(struct ek_client *client, uint16_t shard, const char *target)
{
    char number[12];
    (void)snprintf(number, sizeof number, "%u", shard);
    say(client, number, target, SIM_COUNT_MOVE_ASKED);
}

/* One of those in such a phase, or NULL. */
static const struct ek_move *some_move(enum ek_move_phase first, enum ek_move_phase last)
{
    const struct ek_broker *core = sim_broker_core();
    const struct ek_move *found = NULL;
    uint64_t seen = 0;
    for (const struct ek_move *move = core ? core->moves : NULL; move; move = move->next)
        if (move->phase >= first && move->phase <= last && sim_draw(++seen) == 0)
            found = move;
    return found;
}

static bool is_held_by(uint16_t shard, const char *worker)
{
    const struct ek_broker *core = sim_broker_core();
    int holder = core ? core->shards[shard].holder : EK_NOBODY;
    return holder != EK_NOBODY && strcmp(core->workers[holder].name, worker) == 0;
}

/* Mostly one that it is not with already. */
static void ask_for_some(struct ek_client *client)
{
    uint16_t shard = (uint16_t)sim_draw(sim_shard_count());
    char worker[8];
    for (unsigned i = 0; i < 2; i++) {
        (void)snprintf(worker, sizeof worker, "w%u", 1 + (unsigned)sim_draw(sim_worker_count()));
        if (!is_held_by(shard, worker))
            break;
    }
    ask(client, shard, worker);
}

/* Where it came from, while its rows are still there. */
static void ask_back(struct ek_client *client)
{
    char source[EK_TEXT_BYTES_MAX];
    const struct ek_move *move = some_move(EK_MOVE_RELEASING, EK_MOVE_CLEANING);
    if (!move) {
        ask_for_some(client);
        return;
    }
    memcpy(source, move->source_name, sizeof source);
    ask(client, move->shard, source);
}

/* In a phase that it waits for; some are short. Then, perhaps, the same once more: what is left of the first attempt comes late. */
static void cancel_some(struct ek_client *client)
{
    static const enum ek_move_phase phases[] = {EK_MOVE_QUEUED, EK_MOVE_COPYING, EK_MOVE_CATCHING_UP, EK_MOVE_CATCHING_UP,
                                                EK_MOVE_HOLDING};
    enum ek_move_phase wanted = phases[sim_draw(sizeof phases / sizeof *phases)];
    const struct ek_move *move = some_move(wanted, wanted);
    char number[24];
    char target[EK_TEXT_BYTES_MAX];
    for (unsigned i = 0; i < CANCEL_LOOKS && !move; i++) {
        sim_sleep_us(sim_draw(CANCEL_LOOK_US));
        move = some_move(i + 1 < CANCEL_LOOKS ? wanted : EK_MOVE_QUEUED, i + 1 < CANCEL_LOOKS ? wanted : EK_MOVE_HOLDING);
    }
    if (!move)
        return;
    uint16_t shard = move->shard;
    memcpy(target, move->target_name, sizeof target);
    (void)snprintf(number, sizeof number, "%" PRIu64, move->number);
    say(client, "cancel", number, SIM_COUNT_MOVE_CANCELLED);
    if (sim_chance(50))
        ask(client, shard, target);
}

static void run_mover(void *context)
{
    struct ek_client *client = sim_workload_open_client(&mover.process);
    (void)context;
    while (client) {
        sim_sleep_us(sim_draw(THINK_MAX_US));
        (void)ek_client_poll(client, 0);
        if (mover.healed)
            continue;
        uint64_t choice = sim_draw(100);
        if (choice < CANCEL_PERCENT)
            cancel_some(client);
        else if (choice < CANCEL_PERCENT + BACK_PERCENT)
            ask_back(client);
        else
            ask_for_some(client);
    }
}

/* ---- a run ---- */

void sim_mover_open(void)
{
    mover.open = true;
    mover.process = (struct sim_process){.name = "mover", .number = MOVER_NUMBER, .state = SIM_ENDED};
    sim_start(&mover.process, run_mover, NULL);
}

void sim_mover_heal(void)
{
    mover.healed = true;
}

/* ---- what is left behind ---- */

static const struct ek_worker *holder_of(const struct ek_broker *core, uint32_t shard)
{
    int holder = core->shards[shard].holder;
    return holder == EK_NOBODY ? NULL : &core->workers[holder];
}

/* A row of `disk` that it should not have; NULL: there is none. */
static const struct sim_row *foreign_row(const struct ek_broker *core, const struct sim_disk *disk)
{
    const struct sim_rows *rows = &disk->spaces[EK_STORE_ROWS];
    for (size_t i = 0; i < rows->count; i++) {
        uint16_t shard = ek_shard_of(ek_get_u16(rows->rows[i].key), core->config.shards);
        const struct ek_worker *holder = holder_of(core, shard);
        bool aside = sim_disk_role(disk, shard).state == EK_HOLDING_ASIDE;
        if (!aside && (!holder || sim_hazard_disk_of(&holder->id) != disk))
            return &rows->rows[i];
    }
    return NULL;
}

/* What a move should have taken from the worker; NULL: nothing. */
static const char *false_role(const struct ek_broker *core, const struct sim_disk *disk, uint16_t shard)
{
    struct ek_holding role = sim_disk_role(disk, shard);
    if (role.state == EK_HOLDING_FILLING || role.state == EK_HOLDING_LEARNER)
        return "is still a learner";
    const struct ek_worker *holder = holder_of(core, shard);
    bool is_holder = holder && sim_hazard_disk_of(&holder->id) == disk;
    if (role.state == EK_HOLDING_SERVING && role.epoch && !is_holder)
        return "believes that it serves";
    bool released = role.state == EK_HOLDING_RELEASED && !is_holder;
    return released && sim_holders_remembers(disk, shard) ? "remembers producers, or keeps dead letters" : NULL;
}

static bool is_clean(const struct ek_broker *core, const struct sim_disk *disk)
{
    for (uint32_t shard = 0; shard < core->config.shards; shard++)
        if (false_role(core, disk, (uint16_t)shard))
            return false;
    return !foreign_row(core, disk);
}

bool sim_mover_is_over(void)
{
    const struct ek_broker *core = sim_broker_core();
    if (!mover.open)
        return true;
    if (!core || core->moves_open)
        return false;
    for (unsigned i = 1; i <= sim_worker_count(); i++)
        if (!is_clean(core, sim_disk_of(i)))
            return false;
    return true;
}

static void tell_leftovers(const struct ek_broker *core, unsigned worker)
{
    const struct sim_disk *disk = sim_disk_of(worker);
    const struct sim_row *row = foreign_row(core, disk);
    if (row)
        sim_tell("worker %u has a row of shard %u", worker, ek_shard_of(ek_get_u16(row->key), core->config.shards));
    for (uint32_t shard = 0; shard < core->config.shards; shard++) {
        const char *role = false_role(core, disk, (uint16_t)shard);
        if (role)
            sim_tell("worker %u: %s: shard %" PRIu32, worker, role, shard);
    }
}

void sim_mover_tell(void)
{
    const struct ek_broker *core = sim_broker_core();
    for (const struct ek_move *move = core ? core->moves : NULL; move; move = move->next)
        if (move->phase < EK_MOVE_DONE)
            sim_tell("move %" PRIu64 " of shard %u from %s to %s is %s: %s", move->number, move->shard, move->source_name,
                     move->target_name, ek_move_phase_name(move->phase), move->error);
    for (unsigned i = 1; core && i <= sim_worker_count(); i++)
        tell_leftovers(core, i);
}

void sim_mover_count(void)
{
    const struct ek_broker *core = sim_broker_core();
    for (const struct ek_move *move = core ? core->moves : NULL; move; move = move->next)
        if (move->phase == EK_MOVE_DONE)
            sim_count(SIM_COUNT_MOVE_DONE);
}
