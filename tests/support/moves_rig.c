#include "tests/support/moves_rig.h"

#include "broker/moves.h"

#include <stdio.h>
#include <string.h>

struct moves_rig moves;

static const int *shards_of(ek_broker_peer peer)
{
    static const int none[] = {-1}, first[] = {0, 1, 2, 3, -1}, third[] = {4, 5, -1}, fourth[] = {6, 7, -1};
    return peer == SOURCE ? first : peer == THIRD ? third : peer == FOURTH ? fourth : none;
}

void moves_come(ek_broker_peer peer)
{
    moves.links[peer] = rig_join(&moves.rig, peer, POSITION, shards_of(peer));
}

void moves_setup(void)
{
    moves_setup_sized(EK_QUEUE_BYTES_MIN);
}

void moves_setup_sized(uint64_t queue_bytes_max)
{
    struct ek_record records[32];
    size_t count = 0;
    for (ek_broker_peer peer = SOURCE; peer <= FOURTH; peer++) {
        records[count++] = (struct ek_record){.type = EK_RECORD_WORKER, .number = 1, .worker = {{(uint8_t)peer}}};
        for (const int *shard = shards_of(peer); *shard >= 0; shard++) {
            records[count++] = (struct ek_record){
                .type = EK_RECORD_ASSIGNMENT, .shard = (uint16_t)*shard, .number = 1, .worker = {{(uint8_t)peer}}};
            records[count++] = (struct ek_record){.type = EK_RECORD_FLOOR, .shard = (uint16_t)*shard, .number = POSITION};
        }
    }
    rig_open_sized(&moves.rig, queue_bytes_max, records, count);
    for (ek_broker_peer peer = SOURCE; peer <= FOURTH; peer++)
        moves_come(peer);
}

void moves_teardown(void)
{
    struct ek_ledger ledger;
    ck_assert(rig_balanced(&moves.rig, &ledger));
    rig_close(&moves.rig);
}

/* ---- asking and looking ---- */

enum ek_wire_status moves_command(const char *second, const char *third)
{
    unsigned long long given = 0;
    char words[2 * EK_TEXT_BYTES_MAX];
    char text[RIG_TEXT_BYTES];
    (void)snprintf(words, sizeof words, "move %s %s", second, third ? third : "");
    enum ek_wire_status status = rig_command(&moves.rig, words, text);
    if (status == EK_WIRE_OK) {
        ck_assert_int_eq(sscanf(text, "{\"status\":\"ok\",\"move\":%llu}", &given), 1);
        moves.number = given;
    }
    return status;
}

/* A worker's name in commands: the first digits of its id. */
static const char *id_of(ek_broker_peer peer)
{
    static char id[8];
    (void)snprintf(id, sizeof id, "%02x00", (unsigned)peer);
    return id;
}

enum ek_wire_status moves_ask(int shard, ek_broker_peer target)
{
    char word[12];
    (void)snprintf(word, sizeof word, "%d", shard);
    return moves_command(word, id_of(target));
}

enum ek_wire_status moves_cancel(uint64_t move)
{
    char word[24];
    (void)snprintf(word, sizeof word, "%llu", (unsigned long long)move);
    return moves_command("cancel", word);
}

struct ek_move_view moves_view(uint64_t move)
{
    struct ek_move_view found = {.phase = "none"};
    struct ek_snapshot *snapshot = ek_snapshot_take(moves.rig.broker, moves.rig.now_us);
    for (size_t i = 0; i < snapshot->move_count; i++)
        if (snapshot->moves[i].number == move)
            found = snapshot->moves[i];
    ek_snapshot_destroy(&snapshot);
    return found;
}

/* The order of the last step, or NULL. */
const struct ek_move_order *moves_order_to(ek_broker_peer peer, enum ek_move_step step)
{
    const struct ek_action *action;
    for (size_t n = 0; (action = rig_action(&moves.rig, EK_ACTION_WORKER_MOVE, n)); n++)
        if (action->peer == peer && action->move->step == step)
            return action->move;
    return NULL;
}

bool moves_is_told(ek_broker_peer peer, enum ek_holding_state state, uint64_t epoch)
{
    const struct ek_action *action;
    for (size_t n = 0; (action = rig_action(&moves.rig, EK_ACTION_WORKER_ASSIGN, n)); n++)
        for (size_t i = 0; action->peer == peer && i < action->assign.count; i++)
            if (action->assign.holdings[i].shard == SHARD && action->assign.holdings[i].state == state)
                return action->assign.holdings[i].epoch == epoch;
    return false;
}

bool moves_all_is_dropped(void)
{
    return moves_order_to(SOURCE, EK_MOVE_DROP) && moves_order_to(TARGET, EK_MOVE_DROP) &&
           moves_is_told(TARGET, EK_HOLDING_RELEASED, 1);
}

/* ---- jobs ---- */

struct ek_worker_job moves_sent_to(ek_broker_peer peer)
{
    rig_dispatch(&moves.rig);
    const struct ek_action *action = rig_action(&moves.rig, EK_ACTION_WORKER_JOB, 0);
    ck_assert_ptr_nonnull(action);
    ck_assert_uint_eq(action->peer, peer);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_JOB), 1);
    return action->job;
}

struct ek_worker_job moves_write_one(void)
{
    (void)rig_write(&moves.rig, CLIENT, SHARD, 0, 0);
    return moves_sent_to(SOURCE);
}

void moves_answer(ek_broker_peer peer, const struct ek_worker_job *job)
{
    rig_reply(&moves.rig, peer, moves.links[peer], job->token, EK_WIRE_OK, job->position);
}

/* ---- the way of a move ---- */

void moves_say(ek_broker_peer peer, enum ek_moved_step step, uint64_t position)
{
    rig_moved(&moves.rig, peer, moves.links[peer], moves.attempt, step, position, NULL);
}

void moves_begins(void)
{
    rig_tick(&moves.rig, TICK_US);
    const struct ek_move_order *fill = moves_order_to(TARGET, EK_MOVE_FILL);
    ck_assert_ptr_nonnull(fill);
    ck_assert_uint_eq(fill->epoch, 1);
    moves.attempt = fill->attempt;
    ck_assert_uint_eq(moves.attempt.shard, SHARD);
    ck_assert_move("copying");
}

void moves_begin(void)
{
    ck_assert_int_eq(moves_ask(SHARD, TARGET), EK_WIRE_OK);
    ck_assert_move("queued");
    moves_begins();
}

void moves_copy(uint64_t position)
{
    moves_say(TARGET, EK_MOVED_EMPTIED, 0);
    ck_assert_ptr_nonnull(moves_order_to(SOURCE, EK_MOVE_COPY));
    moves_say(SOURCE, EK_MOVED_COPYING, position);
    ck_assert_ptr_nonnull(moves_order_to(TARGET, EK_MOVE_PULL));
}

static size_t index_of(const struct ek_action *action)
{
    return (size_t)(action - moves.rig.actions);
}

/* The last step wrote the record, and said it afterwards. */
void moves_check_switch(void)
{
    const struct ek_action *persist = rig_action(&moves.rig, EK_ACTION_PERSIST, 0);
    ck_assert_ptr_nonnull(persist);
    ck_assert_uint_eq(persist->persist.count, 1);
    ck_assert_int_eq(persist->persist.records[0].type, EK_RECORD_ASSIGNMENT);
    ck_assert_uint_eq(persist->persist.records[0].number, 2);
    ck_assert_uint_eq(persist->persist.records[0].worker.bytes[0], TARGET);
    ck_assert_uint_eq(rig_count(&moves.rig, EK_ACTION_WORKER_ASSIGN), 2);
    ck_assert_uint_lt(index_of(persist), index_of(rig_action(&moves.rig, EK_ACTION_WORKER_ASSIGN, 0)));
    ck_assert(moves_is_told(TARGET, EK_HOLDING_SERVING, 2) && moves_is_told(SOURCE, EK_HOLDING_RELEASED, 2));
    ck_assert_move("releasing");
}

void moves_serves(ek_broker_peer peer, uint64_t position)
{
    struct ek_holding holding = {.shard = SHARD, .state = EK_HOLDING_SERVING, .epoch = 2, .position = position};
    rig_step(&moves.rig,
             (struct ek_event){
                 .type = EK_EVENT_WORKER_ASSIGNED, .peer = peer, .link = moves.links[peer], .holdings = &holding, .count = 1});
}

void moves_beat(ek_broker_peer peer, uint32_t credit_bytes, uint64_t disk_free_bytes, uint16_t shard, uint64_t stored_bytes)
{
    struct ek_shard_load load = {.shard = shard, .stored_bytes = stored_bytes};
    struct ek_heartbeat heartbeat = {.link = moves.links[peer],
                                     .credit_jobs = 100,
                                     .credit_bytes = credit_bytes,
                                     .credit_reads = 100,
                                     .disk_free_bytes = disk_free_bytes,
                                     .load_count = 1};
    rig_step(
        &moves.rig,
        (struct ek_event){
            .type = EK_EVENT_WORKER_HEARTBEAT, .peer = peer, .link = moves.links[peer], .heartbeat = &heartbeat, .loads = &load});
}

void moves_let_time_pass(uint64_t seconds)
{
    for (uint64_t i = 0; i < seconds; i++) {
        for (ek_broker_peer peer = SOURCE; peer <= FOURTH; peer++)
            rig_heartbeat(&moves.rig, peer, moves.links[peer], 100, EK_MIB, 100);
        rig_tick(&moves.rig, 1000000);
    }
}
