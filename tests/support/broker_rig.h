/*
 * A broker core with workers and clients made of events: drives it on a clock of its own and keeps the actions of the last step.
 * For tests only.
 */
#ifndef EK_TESTS_BROKER_RIG_H
#define EK_TESTS_BROKER_RIG_H

#include "broker/core.h"
#include "broker/metrics.h"

enum { RIG_SHARDS = 8, RIG_TEXT_BYTES = 512 };

struct rig {
    struct ek_broker *broker;
    uint64_t now_us;
    const struct ek_action *actions;
    size_t action_count;
    uint64_t next_job_id;
};

/* Shards are not balanced, and everything else in its default: 8 shards, 32 MiB, 2 s of liveness, generation 5. `records` may be
 * NULL. */
void rig_open(struct rig *rig, const struct ek_record *records, size_t record_count);
void rig_open_sized(struct rig *rig, uint64_t queue_bytes_max, const struct ek_record *records, size_t record_count);
void rig_close(struct rig *rig);
void rig_step(struct rig *rig, struct ek_event event);
void rig_tick(struct rig *rig, uint64_t after_us);

/* The n-th action of that type in the last step, or NULL. */
const struct ek_action *rig_action(const struct rig *rig, enum ek_action_type type, size_t n);
size_t rig_count(const struct rig *rig, enum ek_action_type type);
/* The n-th job that it sent to a worker, or NULL. */
const struct ek_worker_job *rig_sent(const struct rig *rig, size_t n);

/* Worker `peer`, whose id is made of its peer number: HELLO only; returns its link. */
struct ek_link rig_hello(struct rig *rig, ek_broker_peer peer, uint64_t incarnation);
/* HELLO, report of `position` for the shards given (-1 ends the list), assignment confirmed, full credit. */
struct ek_link rig_join(struct rig *rig, ek_broker_peer peer, uint64_t position, const int *shards);
/* An operator's command, its words parted by spaces. `ret_text` gets the answer, and may be NULL. */
enum ek_wire_status rig_command(struct rig *rig, const char *words, char ret_text[RIG_TEXT_BYTES]);
/* A heartbeat with figures of shards; full credit. */
void rig_load(struct rig *rig, ek_broker_peer peer, struct ek_link link, const struct ek_shard_load *loads, size_t count);
void rig_heartbeat(struct rig *rig, ek_broker_peer peer, struct ek_link link, uint32_t jobs, uint32_t bytes, uint32_t reads);
/* The holder of all shards says HELLO, reports `positions`, answers the probe (token 0) or not, and gives credit: 65536 jobs, 1
 * MiB, 100 reads. */
struct ek_link rig_return(struct rig *rig, ek_broker_peer peer, uint64_t incarnation, const uint64_t positions[RIG_SHARDS],
                          bool answers);
/* Answers every ASSIGN of the last step with its epochs and `position`. */
void rig_confirm_assigns(struct rig *rig, uint64_t position);
void rig_confirm_positions(struct rig *rig, const uint64_t positions[RIG_SHARDS]);

/* One job of one small operation. `producer` 0: a thin client's. Returns its id. */
uint64_t rig_write(struct rig *rig, ek_broker_peer client, uint16_t shard, uint64_t producer, uint64_t number);
uint64_t rig_read(struct rig *rig, ek_broker_peer client, uint16_t shard, uint64_t producer, uint64_t number);
void rig_jobs(struct rig *rig, ek_broker_peer client, const struct ek_job *jobs, size_t count);
struct ek_job rig_job(struct rig *rig, enum ek_job_kind kind, uint16_t shard, uint64_t producer, uint64_t number);
void rig_dispatch(struct rig *rig);
void rig_reply(struct rig *rig, ek_broker_peer peer, struct ek_link link, uint64_t token, enum ek_wire_status status,
               uint64_t position);
/* What a worker says of an attempt to move a shard; `text` may be NULL. */
void rig_moved(struct rig *rig, ek_broker_peer peer, struct ek_link link, struct ek_attempt attempt, enum ek_moved_step step,
               uint64_t position, const char *text);
/* The ledger balances, and counts what a snapshot shows. */
bool rig_balanced(const struct rig *rig, struct ek_ledger *ret_ledger);

#endif
