/*
 * Figures for people: rates once a second, and a snapshot of everything that can be seen from outside, copied so that another
 * thread can write it out. Changes nothing that a job depends on.
 */
#ifndef EK_BROKER_METRICS_H
#define EK_BROKER_METRICS_H

#include "broker/planner.h"
#include "broker/state.h"

/* Takes the rates when a second has gone by. */
void ek_metrics_tick(struct ek_broker *broker, uint64_t now_us);

struct ek_latency_view {
    uint64_t p50_us;
    uint64_t p99_us;
};

struct ek_shard_view {
    uint32_t first_prefix;
    uint32_t last_prefix;
    int worker; /* index into the snapshot's workers, or EK_NOBODY */
    enum ek_shard_state state;
    uint64_t epoch;
    uint64_t position;
    uint64_t queued_jobs;
    uint64_t queued_bytes;
    uint64_t oldest_job_age_ms;
    uint64_t in_flight_jobs;
    uint64_t stored_bytes;
    int target;     /* where it moves to, or EK_NOBODY */
    double busy_us; /* a second, as the planner believes */
};

struct ek_worker_view {
    struct ek_worker_id id;
    char name[EK_TEXT_BYTES_MAX];
    char endpoint[EK_TEXT_BYTES_MAX];
    char alarm[EK_TEXT_BYTES_MAX];
    enum ek_worker_state state;
    bool full;        /* its disk takes no writes */
    bool quarantined; /* it holds a shard that is */
    bool draining;
    bool drained;
    bool safe_to_stop;
    bool planned; /* the next one is known */
    struct ek_plan_load load;
    uint32_t shards;
    uint32_t capacity_milli;
    uint64_t stored_bytes;    /* of the shards that it holds */
    uint64_t disk_used_bytes; /* with what is deleted and not cleaned up yet */
    uint64_t stored_keys;
    double busy_ratio;
    double reads_per_second;
    double writes_per_second;
    double write_bytes_per_second;
    uint64_t queued_jobs;
    uint64_t queued_bytes;
    uint64_t in_flight_jobs;
    uint32_t credit_jobs;
    uint32_t credit_bytes;
    uint64_t disk_free_bytes;
    uint32_t commit_p50_us;
    uint32_t commit_p99_us;
    uint64_t heartbeat_age_ms;
    uint32_t moves_in;
    uint32_t moves_out;
};

struct ek_move_view {
    uint64_t number;
    uint16_t shard;
    char source[EK_TEXT_BYTES_MAX];
    char target[EK_TEXT_BYTES_MAX];
    const char *reason; /* static, as is the next one */
    const char *phase;
    bool open;
    uint64_t copied_bytes;
    uint64_t total_bytes;
    uint64_t bytes_per_second;
    uint64_t eta_ms; /* UINT64_MAX: not known */
    uint64_t started_unix_ms;
    uint64_t ended_unix_ms; /* 0: it has not */
    uint64_t longest_hold_us;
    uint32_t restarts;
    char error[EK_TEXT_BYTES_MAX];
};

enum { EK_PLAN_SHOWN_MAX = 100 };

/* The planner's last round, with the first of its entries. */
struct ek_plan_view {
    struct ek_plan plan; /* entries and held point to these */
    struct ek_plan_entry entries[EK_PLAN_SHOWN_MAX];
    struct ek_plan_entry held[EK_PLAN_SHOWN_MAX];
    size_t entry_count;
    size_t held_count;
    uint64_t age_ms;
    bool balance;
    bool paused;
};

/* Owned by whoever took it; ek_snapshot_destroy frees it. */
struct ek_snapshot {
    uint64_t time_unix_ms;
    uint64_t generation;
    uint64_t uptime_ms;
    struct ek_ledger ledger;
    uint64_t dead_kept; /* as far as the workers have told */
    uint64_t queued_bytes;
    uint64_t queue_limit_bytes;
    uint64_t oldest_job_age_ms;
    double reads_per_second;
    double writes_per_second;
    struct ek_latency_view queue_wait;
    struct ek_latency_view end_to_end;
    struct ek_worker_view *workers;
    size_t worker_count;
    struct ek_shard_view *shards;
    size_t shard_count;
    struct ek_move_view *moves;
    size_t move_count;
    size_t moves_active;
    struct ek_plan_view plan;
    double busy_us; /* mean of the shards */
    struct ek_alarm alarms[EK_ALARMS_MAX];
    size_t alarm_count;
};

struct ek_snapshot *ek_snapshot_take(const struct ek_broker *broker, uint64_t now_us);
void ek_snapshot_destroy(struct ek_snapshot **snapshot);

#endif
