#include "tests/sim/mover.h"

#include "broker/moves.h"
#include "client/evenkeel.h"
#include "common/hash.h"
#include "tests/sim/cluster.h"
#include "tests/sim/disk.h"
#include "tests/sim/hazard.h"
#include "tests/sim/tally.h"
#include "tests/sim/workload.h"

#include <inttypes.h>

enum { THINK_MAX_US = 400 * 1000, MOVER_NUMBER = 98, CANCEL_PERCENT = 15 };

static struct {
    bool open;
    bool healed;
    struct sim_process process;
} mover;

static void ask(struct ek_client *client)
{
    char shard[12];
    char worker[8];
    const char *json;
    bool cancels = sim_chance(CANCEL_PERCENT);
    const struct ek_broker *core = sim_broker_core();
    (void)snprintf(shard, sizeof shard, "%u", (unsigned)sim_draw(sim_shard_count()));
    (void)snprintf(worker, sizeof worker, "w%u", 1 + (unsigned)sim_draw(sim_worker_count()));
    if (cancels)
        (void)snprintf(worker, sizeof worker, "%u", core ? (unsigned)core->last_move : 1);
    const char *words[] = {"move", cancels ? "cancel" : shard, worker};
    enum ek_outcome outcome = ek_client_command(client, words, 3, &json);
    sim_tell("the mover says %s %s: %s %s", words[1], words[2], ek_outcome_name(outcome), ek_client_error(client));
    if (outcome == EK_OUTCOME_OK)
        sim_count(cancels ? SIM_COUNT_MOVE_CANCELLED : SIM_COUNT_MOVE_ASKED);
}

static void run_mover(void *context)
{
    struct ek_client *client = sim_workload_open_client(&mover.process);
    (void)context;
    while (client) {
        sim_sleep_us(sim_draw(THINK_MAX_US));
        (void)ek_client_poll(client, 0);
        if (!mover.healed)
            ask(client);
    }
}

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
    return role.state == EK_HOLDING_SERVING && role.epoch && !is_holder ? "believes that it serves" : NULL;
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
