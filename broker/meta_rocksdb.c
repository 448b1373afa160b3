#include "broker/meta.h"

#include "common/bytes.h"
#include "common/rocks.h"

#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

/*
 * Keys: the names below, then one row a record: 'a' + shard (2 bytes) -> epoch (8), worker id (16), and, of a shard that is
 * quarantined or once had a loss accepted, quarantined (1), epoch (8), position (8) and floor (8) of the last loss; 'f' + shard ->
 * position (8); 'w' + worker id (16) -> incarnation (8), name; 'd' + worker id of one that is drained -> 0 (8); 's' + setting (2)
 * -> its value (8). Numbers are big-endian.
 */
enum { FORMAT = 1, ID_BYTES = 16, NUMBER_BYTES = 8, LOSS_BYTES = 1 + 3 * NUMBER_BYTES, LOG_FILES_KEPT = 2 };

static const char format_key[] = "format";
static const char cluster_key[] = "cluster";
static const char generation_key[] = "generation";
static const char shards_key[] = "shards";
static const char ceiling_key[] = "ceiling";

struct ek_meta {
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_writeoptions_t *synced;
    rocksdb_readoptions_t *reading;
    char *directory;
};

/* ---- rows ---- */

static void put_bytes(rocksdb_writebatch_t *batch, const char *key, const uint8_t *value, size_t size)
{
    rocksdb_writebatch_put(batch, key, strlen(key), (const char *)value, size);
}

static void put_number(rocksdb_writebatch_t *batch, const char *key, uint64_t value)
{
    uint8_t bytes[NUMBER_BYTES];
    ek_put_u64(bytes, value);
    put_bytes(batch, key, bytes, sizeof bytes);
}

static void append_number(struct ek_buffer *out, uint64_t value)
{
    uint8_t bytes[NUMBER_BYTES];
    ek_put_u64(bytes, value);
    ek_buffer_append(out, bytes, sizeof bytes);
}

static void append_holder(struct ek_buffer *out, const struct ek_record *record)
{
    ek_buffer_append(out, record->worker.bytes, ID_BYTES);
    if (!record->quarantined && record->loss.epoch == 0)
        return;
    ek_buffer_append(out, record->quarantined ? "\1" : "\0", 1);
    append_number(out, record->loss.epoch);
    append_number(out, record->loss.position);
    append_number(out, record->loss.floor);
}

static void put_record(rocksdb_writebatch_t *batch, const struct ek_record *record)
{
    static const uint8_t kinds[] = {[EK_RECORD_ASSIGNMENT] = 'a', [EK_RECORD_WORKER] = 'w',     [EK_RECORD_WORKER_GONE] = 'w',
                                    [EK_RECORD_DRAIN] = 'd',      [EK_RECORD_DRAIN_OVER] = 'd', [EK_RECORD_SETTING] = 's'};
    struct ek_buffer key = {0};
    struct ek_buffer value = {0};
    uint8_t number[2];
    bool of_shard = record->type == EK_RECORD_ASSIGNMENT;
    ek_put_u16(number, of_shard ? record->shard : (uint16_t)record->setting);
    ek_buffer_append(&key, &kinds[record->type], 1);
    append_number(&value, record->number);
    if (of_shard || record->type == EK_RECORD_SETTING)
        ek_buffer_append(&key, number, sizeof number);
    else
        ek_buffer_append(&key, record->worker.bytes, ID_BYTES);
    if (record->type == EK_RECORD_WORKER)
        ek_buffer_append(&value, record->name, strlen(record->name));
    if (record->type == EK_RECORD_ASSIGNMENT)
        append_holder(&value, record);
    if (record->type == EK_RECORD_WORKER_GONE || record->type == EK_RECORD_DRAIN_OVER)
        rocksdb_writebatch_delete(batch, (const char *)key.data, key.size);
    else
        rocksdb_writebatch_put(batch, (const char *)key.data, key.size, (const char *)value.data, value.size);
    ek_buffer_done(&key);
    ek_buffer_done(&value);
}

static void put_floor(rocksdb_writebatch_t *batch, const struct ek_floor *floor)
{
    uint8_t key[3] = {'f'};
    uint8_t value[NUMBER_BYTES];
    ek_put_u16(key + 1, floor->shard);
    ek_put_u64(value, floor->position);
    rocksdb_writebatch_put(batch, (const char *)key, sizeof key, (const char *)value, sizeof value);
}

static bool read_worker(struct ek_slice key, struct ek_slice value, struct ek_record *ret)
{
    if (key.size != 1 + ID_BYTES || value.size < NUMBER_BYTES || value.size - NUMBER_BYTES >= sizeof ret->name)
        return false;
    *ret = (struct ek_record){.type = EK_RECORD_WORKER, .number = ek_get_u64(value.data)};
    memcpy(ret->worker.bytes, key.data + 1, ID_BYTES);
    memcpy(ret->name, value.data + NUMBER_BYTES, value.size - NUMBER_BYTES);
    return true;
}

static bool read_shard_record(struct ek_slice key, struct ek_slice value, enum ek_record_type type, struct ek_record *ret)
{
    size_t wanted = type == EK_RECORD_ASSIGNMENT ? NUMBER_BYTES + ID_BYTES : NUMBER_BYTES;
    bool has_loss = type == EK_RECORD_ASSIGNMENT && value.size == wanted + LOSS_BYTES;
    if (key.size != 3 || (value.size != wanted && !has_loss))
        return false;
    *ret = (struct ek_record){.type = type, .shard = ek_get_u16(key.data + 1), .number = ek_get_u64(value.data)};
    if (type == EK_RECORD_ASSIGNMENT)
        memcpy(ret->worker.bytes, value.data + NUMBER_BYTES, ID_BYTES);
    if (has_loss) {
        const uint8_t *at = value.data + wanted;
        ret->quarantined = at[0] != 0;
        ret->loss = (struct ek_loss){.shard = ret->shard,
                                     .epoch = ek_get_u64(at + 1),
                                     .position = ek_get_u64(at + 1 + NUMBER_BYTES),
                                     .floor = ek_get_u64(at + 1 + 2 * NUMBER_BYTES)};
    }
    return true;
}

static bool read_drain(struct ek_slice key, struct ek_slice value, struct ek_record *ret)
{
    if (key.size != 1 + ID_BYTES || value.size != NUMBER_BYTES)
        return false;
    *ret = (struct ek_record){.type = EK_RECORD_DRAIN};
    memcpy(ret->worker.bytes, key.data + 1, ID_BYTES);
    return true;
}

static bool read_setting(struct ek_slice key, struct ek_slice value, struct ek_record *ret)
{
    if (key.size != 3 || ek_get_u16(key.data + 1) >= EK_SETTINGS || value.size != NUMBER_BYTES)
        return false;
    *ret = (struct ek_record){
        .type = EK_RECORD_SETTING, .setting = (enum ek_setting)ek_get_u16(key.data + 1), .number = ek_get_u64(value.data)};
    return true;
}

static bool key_is(struct ek_slice key, const char *name)
{
    return ek_slice_equal(key, ek_slice_text(name));
}

static bool read_number(struct ek_slice value, uint64_t *ret)
{
    *ret = value.size == NUMBER_BYTES ? ek_get_u64(value.data) : 0;
    return value.size == NUMBER_BYTES;
}

/* One of the named rows; false when it is none of them, or damaged. */
static bool read_named(struct ek_slice key, struct ek_slice value, struct ek_meta_state *state, uint64_t *ret_format)
{
    uint64_t shards = 0;
    if (key_is(key, cluster_key) && value.size == ID_BYTES) {
        memcpy(state->cluster.bytes, value.data, ID_BYTES);
        return true;
    }
    if (key_is(key, shards_key) && read_number(value, &shards) && shards >= 1 && shards <= EK_SHARDS_MAX) {
        state->shards = (uint32_t)shards;
        return true;
    }
    return (key_is(key, format_key) && read_number(value, ret_format)) ||
           (key_is(key, generation_key) && read_number(value, &state->generation)) ||
           (key_is(key, ceiling_key) && read_number(value, &state->ceiling_unix_ms));
}

static bool read_record(struct ek_slice key, struct ek_slice value, struct ek_record *ret)
{
    switch (key.size ? key.data[0] : 0) {
    case 'w':
        return read_worker(key, value, ret);
    case 'a':
        return read_shard_record(key, value, EK_RECORD_ASSIGNMENT, ret);
    case 'f':
        return read_shard_record(key, value, EK_RECORD_FLOOR, ret);
    case 'd':
        return read_drain(key, value, ret);
    case 's':
        return read_setting(key, value, ret);
    default:
        return false;
    }
}

static bool read_row(struct ek_slice key, struct ek_slice value, struct ek_meta_state *state, size_t *capacity,
                     uint64_t *ret_format)
{
    if (read_named(key, value, state, ret_format))
        return true;
    struct ek_record record;
    if (!read_record(key, value, &record))
        return false;
    state->records = ek_grow(state->records, capacity, state->record_count + 1, sizeof *state->records);
    state->records[state->record_count++] = record;
    return true;
}

static enum ek_status read_all(struct ek_meta *meta, struct ek_meta_state *state, uint64_t *ret_format, struct ek_error *error)
{
    rocksdb_iterator_t *at = rocksdb_create_iterator(meta->db, meta->reading);
    enum ek_status status = EK_OK;
    size_t capacity = 0;
    for (rocksdb_iter_seek_to_first(at); rocksdb_iter_valid(at) && status == EK_OK; rocksdb_iter_next(at)) {
        struct ek_slice key;
        struct ek_slice value;
        key.data = (const uint8_t *)rocksdb_iter_key(at, &key.size);
        value.data = (const uint8_t *)rocksdb_iter_value(at, &value.size);
        if (!read_row(key, value, state, &capacity, ret_format) && (*ret_format == 0 || *ret_format == FORMAT))
            status = ek_error_set(error, EK_CORRUPT, "%s holds a row that no broker wrote", meta->directory);
    }
    char *text = NULL;
    rocksdb_iter_get_error(at, &text);
    if (status == EK_OK)
        status = ek_rocks_status(text, "read", meta->directory, error);
    rocksdb_iter_destroy(at);
    return status;
}

/* ---- writing ---- */

static enum ek_status commit(struct ek_meta *meta, rocksdb_writebatch_t *batch, struct ek_error *error)
{
    char *text = NULL;
    rocksdb_set_perf_level(rocksdb_disable); /* of this thread: counters at every comparison that nobody reads */
    rocksdb_write(meta->db, meta->synced, batch, &text);
    rocksdb_writebatch_destroy(batch);
    return ek_rocks_status(text, "write to", meta->directory, error);
}

enum ek_status ek_meta_write_office(struct ek_meta *meta, uint64_t generation, uint64_t ceiling_unix_ms, struct ek_error *error)
{
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    put_number(batch, generation_key, generation);
    put_number(batch, ceiling_key, ceiling_unix_ms);
    return commit(meta, batch, error);
}

enum ek_status ek_meta_write_records(struct ek_meta *meta, const struct ek_record *records, size_t count, struct ek_error *error)
{
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    for (size_t i = 0; i < count; i++)
        put_record(batch, &records[i]);
    return commit(meta, batch, error);
}

enum ek_status ek_meta_write_floors(struct ek_meta *meta, const struct ek_floor *floors, size_t count, uint64_t ceiling_unix_ms,
                                    struct ek_error *error)
{
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    for (size_t i = 0; i < count; i++)
        put_floor(batch, &floors[i]);
    put_number(batch, ceiling_key, ceiling_unix_ms);
    return commit(meta, batch, error);
}

/* ---- opening ---- */

static enum ek_status found(struct ek_meta *meta, uint32_t shards, struct ek_meta_state *state, struct ek_error *error)
{
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    state->shards = shards ? shards : EK_SHARDS_DEFAULT;
    uuid_generate(state->cluster.bytes);
    put_number(batch, format_key, FORMAT);
    put_number(batch, shards_key, state->shards);
    put_bytes(batch, cluster_key, state->cluster.bytes, ID_BYTES);
    return commit(meta, batch, error);
}

static enum ek_status check(const struct ek_meta *meta, uint32_t shards, uint64_t format, const struct ek_meta_state *state,
                            struct ek_error *error)
{
    if (format > FORMAT)
        return ek_error_set(error, EK_NEWER,
                            "%s was written by a newer evenkeel-broker (format %llu, this one knows %d): start that one",
                            meta->directory, (unsigned long long)format, FORMAT);
    if (state->shards == 0)
        return ek_error_set(error, EK_CORRUPT, "%s does not say how many shards there are", meta->directory);
    if (shards && shards != state->shards)
        return ek_error_set(
            error, EK_MISMATCH,
            "%s has %u shards since its first start, which cannot change: leave --shards away, or choose another --data",
            meta->directory, state->shards);
    return EK_OK;
}

static struct ek_meta *new_meta(const char *directory)
{
    struct ek_meta *meta = ek_alloc_zero(1, sizeof *meta);
    meta->directory = ek_copy_text(directory);
    meta->options = ek_rocks_options();
    meta->synced = rocksdb_writeoptions_create();
    meta->reading = rocksdb_readoptions_create();
    rocksdb_options_set_write_buffer_size(meta->options, (size_t)4 * EK_MIB);
    rocksdb_options_set_max_open_files(meta->options, 64);
    rocksdb_options_set_keep_log_file_num(meta->options, LOG_FILES_KEPT);
    rocksdb_writeoptions_set_sync(meta->synced, 1);
    return meta;
}

enum ek_status ek_meta_open(const char *directory, uint32_t shards, struct ek_meta **ret_meta, struct ek_meta_state *ret_state,
                            struct ek_error *error)
{
    struct ek_meta *meta = new_meta(directory);
    struct ek_meta_state state = {0};
    uint64_t format = 0;
    char *text = NULL;
    meta->db = rocksdb_open(meta->options, directory, &text);
    enum ek_status status = ek_rocks_status(text, "open", directory, error);
    if (status == EK_OK)
        status = read_all(meta, &state, &format, error);
    if (status == EK_OK && format == 0 && state.record_count == 0)
        status = found(meta, shards, &state, error);
    else if (status == EK_OK)
        status = check(meta, shards, format, &state, error);
    if (status == EK_OK) {
        *ret_meta = meta;
        *ret_state = state;
    } else {
        ek_meta_state_done(&state);
        ek_meta_close(&meta);
    }
    return status;
}

void ek_meta_close(struct ek_meta **meta)
{
    struct ek_meta *closed = *meta;
    if (!closed)
        return;
    if (closed->db)
        rocksdb_close(closed->db);
    rocksdb_options_destroy(closed->options);
    rocksdb_writeoptions_destroy(closed->synced);
    rocksdb_readoptions_destroy(closed->reading);
    free(closed->directory);
    free(closed);
    *meta = NULL;
}

void ek_meta_state_done(struct ek_meta_state *state)
{
    free(state->records);
    *state = (struct ek_meta_state){0};
}
