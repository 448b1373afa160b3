/*
 * A broker core with four workers that move SHARD from one to another by events: the ordinary steps of a move, each with what it
 * must lead to. One move and one attempt at a time; what is special stands in the tests. For tests only.
 */
#ifndef EK_TESTS_MOVES_RIG_H
#define EK_TESTS_MOVES_RIG_H

#include "tests/support/broker_rig.h"

#include <check.h>

/* SOURCE holds the shards 0 to 3, TARGET none, THIRD 4 and 5, FOURTH 6 and 7; each of them at POSITION. */
enum { SOURCE = 11, TARGET = 12, THIRD = 13, FOURTH = 14, CLIENT = 21, SHARD = 3, POSITION = 10, TICK_US = 100000 };

struct moves_rig {
    struct rig rig;
    struct ek_link links[16]; /* by peer */
    struct ek_attempt attempt;
    uint64_t number; /* of the move that was asked for last */
};
extern struct moves_rig moves;

void moves_setup(void);
/* With another limit of queued bytes than the least. */
void moves_setup_sized(uint64_t queue_bytes_max);
void moves_teardown(void);
/* The worker joins, again if it was there. */
void moves_come(ek_broker_peer peer);
/* A heartbeat with a disk, and the size of one shard. */
void moves_beat(ek_broker_peer peer, uint32_t credit_bytes, uint64_t disk_free_bytes, uint16_t shard, uint64_t stored_bytes);
/* With heartbeats of all workers and a tick in each. */
void moves_let_time_pass(uint64_t seconds);

/* Commands: `move` with one or two words behind it. */
enum ek_wire_status moves_command(const char *second, const char *third);
enum ek_wire_status moves_ask(int shard, ek_broker_peer target);
enum ek_wire_status moves_cancel(uint64_t move);
struct ek_move_view moves_view(uint64_t move);
#define ck_assert_move(wanted) ck_assert_str_eq(moves_view(moves.number).phase, wanted)

/* Of the last step: an order, or NULL; what a worker was told of SHARD; the attempt's end as both sides hear it. */
const struct ek_move_order *moves_order_to(ek_broker_peer peer, enum ek_move_step step);
bool moves_is_told(ek_broker_peer peer, enum ek_holding_state state, uint64_t epoch);
bool moves_all_is_dropped(void);

/* Dispatches the one job that is queued, which must go to that worker. */
struct ek_worker_job moves_sent_to(ek_broker_peer peer);
struct ek_worker_job moves_write_one(void);
void moves_answer(ek_broker_peer peer, const struct ek_worker_job *job);

/* Steps of the attempt. */
void moves_say(ek_broker_peer peer, enum ek_moved_step step, uint64_t position);
void moves_begin(void);
void moves_begins(void);
void moves_copy(uint64_t position);
void moves_check_switch(void);
void moves_serves(ek_broker_peer peer, uint64_t position);

#endif
