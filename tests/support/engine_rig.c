#include "tests/support/engine_rig.h"

#include "common/hash.h"
#include "common/operations.h"
#include "common/writer.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void open_engine(struct ek_engine_rig *rig)
{
    struct ek_error error = {0};
    struct ek_store_options options = {.directory = rig->directory, .cache_bytes = 1 << 20, .write_buffer_bytes = 1 << 20};
    ck_assert_msg(ek_store_open(&options, &rig->store, &error) == EK_OK, "%s", error.text);
    rig->engine = ek_alloc_zero(1, sizeof *rig->engine);
    ck_assert_msg(ek_engine_open(rig->engine, rig->store, rig->live_bytes_max, &error) == EK_OK, "%s", error.text);
}

static void close_engine(struct ek_engine_rig *rig)
{
    ek_engine_done(rig->engine);
    free(rig->engine);
    ek_store_close(&rig->store);
}

void ek_engine_rig_adopt(struct ek_engine_rig *rig)
{
    struct ek_error error = {0};
    rig->link.link++;
    struct ek_worker_welcome welcome = {.link = rig->link, .shards = EK_RIG_SHARDS, .liveness_ms = 2000};
    ck_assert_msg(ek_engine_adopt(rig->engine, &welcome, &error) == EK_OK, "%s", error.text);
}

void ek_engine_rig_reopen(struct ek_engine_rig *rig)
{
    close_engine(rig);
    open_engine(rig);
    ek_engine_rig_adopt(rig);
}

void ek_engine_rig_assign(struct ek_engine_rig *rig, uint16_t shard, enum ek_holding_state state, uint64_t epoch)
{
    struct ek_error error = {0};
    struct ek_holding holding = {.shard = shard, .state = state, .epoch = epoch};
    ck_assert_int_eq(ek_engine_assign(rig->engine, rig->link, &holding, 1, &error), EK_OK);
}

void ek_engine_rig_join(struct ek_engine_rig *rig)
{
    struct ek_error error = {0};
    struct ek_holding holdings[EK_RIG_SHARDS];
    ek_engine_rig_adopt(rig);
    for (uint16_t i = 0; i < EK_RIG_SHARDS; i++)
        holdings[i] = (struct ek_holding){.shard = i, .state = EK_HOLDING_SERVING, .epoch = EK_RIG_EPOCH};
    ck_assert_int_eq(ek_engine_assign(rig->engine, rig->link, holdings, EK_RIG_SHARDS, &error), EK_OK);
}

void ek_engine_rig_open(struct ek_engine_rig *rig, size_t live_bytes_max)
{
    *rig = (struct ek_engine_rig){.directory = "/tmp/evenkeel-engine-XXXXXX", .live_bytes_max = live_bytes_max, .link = {0, 1}};
    ck_assert_ptr_nonnull(mkdtemp(rig->directory));
    open_engine(rig);
    ek_engine_rig_join(rig);
}

void ek_engine_rig_restart(struct ek_engine_rig *rig)
{
    close_engine(rig);
    open_engine(rig);
    ek_engine_rig_join(rig);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status, (void)type, (void)place;
    return remove(path);
}

void ek_engine_rig_done(struct ek_engine_rig *rig)
{
    close_engine(rig);
    for (size_t i = 0; i < sizeof rig->bodies / sizeof *rig->bodies; i++)
        ek_buffer_done(&rig->bodies[i]);
    ck_assert_int_eq(nftw(rig->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

uint16_t ek_rig_shard(const char *key)
{
    return ek_shard_of(ek_hash_prefix(ek_slice_text(key)), EK_RIG_SHARDS);
}

struct ek_operation ek_rig_key(enum ek_operation_code code, const char *key)
{
    return (struct ek_operation){.code = code, .key = ek_slice_text(key)};
}

struct ek_operation ek_rig_put(const char *key, const char *value)
{
    return (struct ek_operation){.code = EK_OPERATION_PUT, .key = ek_slice_text(key), .value = ek_slice_text(value)};
}

struct ek_operation ek_rig_increment(const char *key, int64_t by)
{
    return (struct ek_operation){.code = EK_OPERATION_INCREMENT, .key = ek_slice_text(key), .by = by};
}

struct ek_worker_job ek_rig_job(struct ek_engine_rig *rig, enum ek_job_kind kind, const struct ek_operation *operations,
                                size_t count)
{
    struct ek_buffer *body = &rig->bodies[rig->next_body++ % (sizeof rig->bodies / sizeof *rig->bodies)];
    uint16_t shard = ek_shard_of(ek_operation_prefix(operations), EK_RIG_SHARDS);
    ek_buffer_clear(body);
    ek_write_array(body, count);
    for (size_t i = 0; i < count; i++)
        ek_encode_operation(body, &operations[i]);
    return (struct ek_worker_job){.token = ++rig->token,
                                  .shard = shard,
                                  .epoch = EK_RIG_EPOCH,
                                  .kind = kind,
                                  .position = rig->engine->judge.shards[shard].memory.position + 1,
                                  .stamp_unix_ms = 1000,
                                  .body = ek_buffer_slice(body),
                                  .count = (uint32_t)count};
}

struct ek_worker_reply ek_rig_judge(struct ek_engine_rig *rig, const struct ek_worker_job *job)
{
    struct ek_worker_reply reply;
    ck_assert_int_eq(ek_judge_write(&rig->engine->judge, rig->link, job, &reply), EK_OK);
    ck_assert_uint_eq(reply.token, job->token);
    return reply;
}

void ek_rig_begin(struct ek_engine_rig *rig)
{
    ek_engine_begin(rig->engine);
}

void ek_rig_commit(struct ek_engine_rig *rig)
{
    struct ek_error error = {0};
    ck_assert_msg(ek_engine_commit(rig->engine, &error) == EK_OK, "%s", error.text);
}

struct ek_worker_reply ek_rig_run(struct ek_engine_rig *rig, const struct ek_worker_job *job)
{
    ek_rig_begin(rig);
    struct ek_worker_reply reply = ek_rig_judge(rig, job);
    ek_rig_commit(rig);
    return reply;
}

struct ek_worker_reply ek_rig_run_one(struct ek_engine_rig *rig, enum ek_job_kind kind, struct ek_operation operation)
{
    struct ek_worker_job job = ek_rig_job(rig, kind, &operation, 1);
    return ek_rig_run(rig, &job);
}

const char *ek_rig_value(struct ek_engine_rig *rig, const char *key)
{
    static char text[EK_RIG_BODY_BYTES];
    uint8_t physical[EK_ROW_KEY_BYTES_MAX];
    struct ek_pinned pinned = {0};
    struct ek_row row;
    size_t size = ek_row_key(physical, ek_hash_prefix(ek_slice_text(key)), ek_slice_text(key));
    if (ek_store_get(rig->store, EK_STORE_ROWS, ek_slice_of(physical, size), &pinned, NULL) != EK_OK)
        return NULL;
    ck_assert_int_eq(ek_row_decode(pinned.bytes, &row), EK_OK);
    ck_assert_uint_lt(row.value.size, sizeof text);
    memcpy(text, row.value.data, row.value.size);
    text[row.value.size] = 0;
    ek_pinned_done(&pinned);
    return text;
}

void ek_rig_state(const struct ek_engine_rig *rig, struct ek_buffer *out)
{
    for (size_t i = 0; i < EK_RIG_SHARDS; i++) {
        const struct ek_judge_shard *shard = &rig->engine->judge.shards[i];
        ek_write_uint(out, shard->epoch);
        ek_write_uint(out, shard->state);
        ek_book_encode_snapshot(out, &shard->memory);
    }
}

struct ek_result ek_rig_result(const struct ek_worker_reply *reply, enum ek_operation_code code, uint32_t index)
{
    struct ek_result result = {0};
    ck_assert_int_eq(reply->status, EK_WIRE_OK);
    if (!reply->body.data)
        return result;
    struct ek_reader body = ek_reader_of(reply->body);
    ck_assert_uint_gt(ek_read_array(&body), index);
    for (uint32_t i = 0; i <= index; i++)
        ck_assert_int_eq(ek_decode_result(&body, code, &result), EK_OK);
    return result;
}
