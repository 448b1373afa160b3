/*
 * A worker's engine on a RocksDB in a directory of its own, and short ways to say jobs: for unit tests of the worker. Time is what
 * the jobs' stamps say. One thread. Everything that goes wrong ends the test.
 */
#ifndef EK_TESTS_SUPPORT_ENGINE_RIG_H
#define EK_TESTS_SUPPORT_ENGINE_RIG_H

#include "worker/engine.h"

enum { EK_RIG_SHARDS = 16, EK_RIG_EPOCH = 3, EK_RIG_BODY_BYTES = 4096 };

struct ek_engine_rig {
    char directory[64];
    size_t live_bytes_max;
    struct ek_store *store;
    struct ek_engine *engine;
    struct ek_link link;
    struct ek_buffer bodies[8]; /* of the last jobs, in turn */
    size_t next_body;
    uint64_t token;
};

/* Opens an empty directory, is adopted by a broker of generation 1 and serves every shard. */
void ek_engine_rig_open(struct ek_engine_rig *rig, size_t live_bytes_max);
/* As after a crash or an orderly stop: closes the store without a word and opens it again. */
void ek_engine_rig_restart(struct ek_engine_rig *rig);
/* Likewise, but is only adopted: the roles are what the store knows. */
void ek_engine_rig_reopen(struct ek_engine_rig *rig);
void ek_engine_rig_adopt(struct ek_engine_rig *rig);
/* Gives the shard another role. */
void ek_engine_rig_assign(struct ek_engine_rig *rig, uint16_t shard, enum ek_holding_state state, uint64_t epoch);
void ek_engine_rig_join(struct ek_engine_rig *rig);
/* Removes the directory. */
void ek_engine_rig_done(struct ek_engine_rig *rig);

uint16_t ek_rig_shard(const char *key);
struct ek_operation ek_rig_put(const char *key, const char *value);
struct ek_operation ek_rig_key(enum ek_operation_code code, const char *key);
struct ek_operation ek_rig_increment(const char *key, int64_t by);

/* A job of `count` operations on the shard of the first one, at that shard's next position; stamp 1000. Its body lives until 8 more
 * jobs were made. */
struct ek_worker_job ek_rig_job(struct ek_engine_rig *rig, enum ek_job_kind kind, const struct ek_operation *operations,
                                size_t count);
/* Judges a job in the group that is open. */
struct ek_worker_reply ek_rig_judge(struct ek_engine_rig *rig, const struct ek_worker_job *job);
void ek_rig_begin(struct ek_engine_rig *rig);
void ek_rig_commit(struct ek_engine_rig *rig);
/* A group of one job; the reply's body is valid until the next call. */
struct ek_worker_reply ek_rig_run(struct ek_engine_rig *rig, const struct ek_worker_job *job);
struct ek_worker_reply ek_rig_run_one(struct ek_engine_rig *rig, enum ek_job_kind kind, struct ek_operation operation);

/* The stored text of a key, or NULL; static memory. */
const char *ek_rig_value(struct ek_engine_rig *rig, const char *key);
/* The memory of all shards and their roles as bytes, to compare. */
void ek_rig_state(const struct ek_engine_rig *rig, struct ek_buffer *out);
/* The `index`-th result of an OK reply to operations of one code. */
struct ek_result ek_rig_result(const struct ek_worker_reply *reply, enum ek_operation_code code, uint32_t index);

#endif
