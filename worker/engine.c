#include "worker/engine.h"

#include "common/hash.h"
#include "worker/dead.h"
#include "worker/learn.h"
#include "worker/letters.h"
#include "worker/recover.h"
#include "worker/rows.h"

#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

/* Fetched from memory while one is encoded: shards, writes, and the bytes of theirs. */
enum { SHARDS_AHEAD = 4, WRITES_AHEAD = 12, ROWS_AHEAD = 6 };

static struct ek_slice key_slice(const struct ek_book_key *key)
{
    return ek_slice_of(key->bytes, key->size);
}

/* ---- opening ---- */

static enum ek_status read_row(void *context, struct ek_slice physical_key, struct ek_row *ret)
{
    struct ek_engine *engine = context;
    ek_pinned_done(&engine->read_row);
    enum ek_status status = ek_store_get(engine->store, EK_STORE_ROWS, physical_key, &engine->read_row, &engine->read_error);
    if (status != EK_OK)
        return status;
    status = ek_row_decode(engine->read_row.bytes, ret);
    if (status != EK_OK)
        return ek_error_set(&engine->read_error, status, "a stored row cannot be read: %s",
                            status == EK_NEWER ? "it is of a newer format" : "it is damaged");
    return EK_OK;
}

static enum ek_status read_letter(void *context, uint16_t shard, uint64_t position, bool keep, struct ek_letter *ret)
{
    struct ek_engine *engine = context;
    struct ek_book_key key = ek_book_dead_key(shard, position);
    ek_pinned_done(&engine->read_letter);
    enum ek_status status = ek_store_get(engine->store, EK_STORE_BOOK, key_slice(&key), &engine->read_letter, &engine->read_error);
    if (status != EK_OK)
        return status;
    status = ek_letter_read(engine->read_letter.bytes, ret);
    if (status != EK_OK)
        return ek_error_set(&engine->read_error, status, "a dead letter cannot be read: it is %s",
                            status == EK_NEWER ? "of a newer format" : "damaged");
    if (keep) {
        engine->kept_letters =
            ek_grow(engine->kept_letters, &engine->kept_capacity, engine->kept_count + 1, sizeof *engine->kept_letters);
        engine->kept_letters[engine->kept_count++] = engine->read_letter;
        engine->read_letter = (struct ek_pinned){0};
    }
    return EK_OK;
}

static void let_letters_go(struct ek_engine *engine)
{
    ek_pinned_done(&engine->read_letter);
    while (engine->kept_count)
        ek_pinned_done(&engine->kept_letters[--engine->kept_count]);
}

static void put_book(struct ek_engine *engine, enum ek_book_kind kind, uint64_t number)
{
    struct ek_book_key key = ek_book_key_of(kind, number);
    ek_store_put(engine->store, EK_STORE_BOOK, key_slice(&key), ek_buffer_slice(&engine->scratch), ek_slice_of(NULL, 0));
}

void ek_engine_put_snapshot(struct ek_engine *engine, uint16_t shard, const struct ek_producers *memory)
{
    ek_buffer_clear(&engine->scratch);
    ek_book_encode_snapshot(&engine->scratch, memory);
    put_book(engine, EK_BOOK_SNAPSHOT, shard);
}

static void put_identity(struct ek_engine *engine, const struct ek_identity *identity)
{
    ek_buffer_clear(&engine->scratch);
    ek_book_encode_identity(&engine->scratch, identity);
    put_book(engine, EK_BOOK_IDENTITY, 0);
}

/* A directory without book-keeping is ours only when it is empty. */
static enum ek_status begin_identity(struct ek_engine *engine, struct ek_error *error)
{
    struct ek_store_cursor *cursor = ek_store_walk(engine->store, EK_STORE_ROWS, ek_slice_of("", 0), ek_slice_of(NULL, 0));
    struct ek_slice key;
    struct ek_slice value;
    bool foreign = ek_store_cursor_entry(cursor, &key, &value);
    enum ek_status status = ek_store_cursor_close(&cursor, error);
    if (status != EK_OK)
        return status;
    if (foreign)
        return ek_error_set(error, EK_MISMATCH, "the directory holds another program's database; give the worker an empty one");
    uuid_generate(engine->identity.worker.bytes);
    return EK_OK;
}

/*
 * What had expired at the highest stamp that is synced may vanish from the files, under any read: every job still to be judged has
 * a stamp at or above it (the broker's time never falls, not across its restarts either), so to every condition the row is absent
 * already, and so it is to a read, whose time is that stamp at least (stamps.h). A power cut cannot take the stamp back.
 */
void ek_engine_set_horizon(struct ek_engine *engine, uint16_t shard)
{
    const struct ek_producers *memory = &engine->judge.shards[shard].memory;
    uint32_t shards = engine->identity.shards;
    if (memory->expires_unix_ms)
        ek_store_set_horizon(engine->store, ek_shard_first(shard, shards), ek_shard_first(shard + 1u, shards),
                             memory->stamp_unix_ms);
}

enum ek_status ek_engine_open(struct ek_engine *engine, struct ek_store *store, size_t live_bytes_max, struct ek_error *error)
{
    *engine = (struct ek_engine){.store = store, .learners = ek_alloc_zero(EK_COPIES_MAX, sizeof *engine->learners)};
    ek_judge_init(&engine->judge, (struct ek_row_reader){.read = read_row, .context = engine},
                  (struct ek_letter_reader){.read = read_letter, .context = engine});
    ek_live_init(&engine->live, live_bytes_max);
    enum ek_status status = ek_recover(store, &engine->identity, &engine->judge, &engine->live, error);
    if (status == EK_NOT_FOUND)
        status = begin_identity(engine, error);
    if (status == EK_OK) {
        engine->identity.incarnation++;
        put_identity(engine, &engine->identity);
        ek_learners_recover(engine);
        status = ek_store_commit(store, error);
    }
    if (status != EK_OK) {
        ek_engine_done(engine);
        return status;
    }
    for (uint32_t shard = 0; shard < engine->identity.shards; shard++) {
        ek_stamps_raise(&engine->stamps, (uint16_t)shard, engine->judge.shards[shard].memory.stamp_unix_ms);
        ek_engine_set_horizon(engine, (uint16_t)shard);
    }
    return EK_OK;
}

void ek_engine_done(struct ek_engine *engine)
{
    ek_pinned_done(&engine->read_row);
    let_letters_go(engine);
    free(engine->kept_letters);
    ek_judge_done(&engine->judge);
    ek_live_done(&engine->live);
    ek_buffer_done(&engine->scratch);
    ek_learners_done(engine);
}

/* ---- what a broker says ---- */

static enum ek_status check_welcome(const struct ek_identity *identity, const struct ek_worker_welcome *welcome,
                                    struct ek_error *error)
{
    if (identity->has_cluster && memcmp(identity->cluster.bytes, welcome->cluster.bytes, sizeof identity->cluster.bytes) != 0)
        return ek_error_set(
            error, EK_MISMATCH,
            "this directory belongs to another cluster; start the worker with its own broker, or with an empty directory");
    if (identity->shards && identity->shards != welcome->shards)
        return ek_error_set(error, EK_MISMATCH, "the broker has %u shards, this directory was written with %u", welcome->shards,
                            identity->shards);
    if (welcome->shards == 0 || welcome->shards > EK_SHARDS_MAX)
        return ek_error_set(error, EK_MISMATCH, "the broker speaks of %u shards; 1 to %u are possible", welcome->shards,
                            EK_SHARDS_MAX);
    if (welcome->link.generation < identity->generation)
        return ek_error_set(error, EK_DENIED, "the broker is of generation %llu, this worker has served %llu: its directory is old",
                            (unsigned long long)welcome->link.generation, (unsigned long long)identity->generation);
    return EK_OK;
}

enum ek_status ek_engine_adopt(struct ek_engine *engine, const struct ek_worker_welcome *welcome, struct ek_error *error)
{
    enum ek_status status = check_welcome(&engine->identity, welcome, error);
    if (status != EK_OK)
        return status;
    struct ek_identity identity = engine->identity;
    identity.generation = welcome->link.generation;
    identity.has_cluster = true;
    identity.cluster = welcome->cluster;
    identity.shards = welcome->shards;
    put_identity(engine, &identity);
    status = ek_store_commit(engine->store, error);
    if (status != EK_OK)
        return EK_IO;
    engine->identity = identity;
    engine->judge.shard_count = identity.shards;
    engine->judge.link = welcome->link;
    ek_learners_forget(engine);
    engine->dead_kept = ek_dead_kept(&engine->judge);
    return EK_OK;
}

void ek_engine_put_role(struct ek_engine *engine, const struct ek_holding *role)
{
    ek_buffer_clear(&engine->scratch);
    ek_book_encode_role(&engine->scratch, role);
    put_book(engine, EK_BOOK_ROLE, role->shard);
}

static bool is_news(const struct ek_engine *engine, const struct ek_holding *role)
{
    const struct ek_judge_shard *shard = &engine->judge.shards[role->shard];
    if (shard->epoch && shard->state == EK_HOLDING_ASIDE && role->state == EK_HOLDING_SERVING)
        return false; /* the rows here were given up: another history goes on elsewhere */
    return role->epoch > shard->epoch || (role->epoch == shard->epoch && role->state != shard->state);
}

static bool is_filling(const struct ek_judge_shard *shard)
{
    return shard->epoch && shard->state == EK_HOLDING_FILLING;
}

/* Part of a copy cannot be served. One of which nothing has come yet can, when the broker knows that there is nothing to copy. */
static bool is_part_of_copy(struct ek_engine *engine, const struct ek_holding *role)
{
    return is_filling(&engine->judge.shards[role->shard]) && role->state == EK_HOLDING_SERVING &&
           !ek_learn_is_empty(engine, role->shard);
}

/* Adds to the batch under construction. What is released may be served again, with the rows that it has: part of a copy goes with
 * the role. The memory of what fills is empty as it is. */
static void put_news(struct ek_engine *engine, const struct ek_holding *role)
{
    if (role->state == EK_HOLDING_RELEASED && is_filling(&engine->judge.shards[role->shard]))
        ek_learn_empty(engine, role->shard);
    ek_engine_put_role(engine, role);
}

static enum ek_status no_such_shard(const struct ek_judge *judge, uint16_t shard, struct ek_error *error)
{
    return ek_error_set(error, EK_MALFORMED, "the broker assigns shard %u of %u", shard, judge->shard_count);
}

static struct ek_holding holding_of(const struct ek_judge *judge, uint16_t number)
{
    const struct ek_judge_shard *shard = &judge->shards[number];
    return (struct ek_holding){.shard = number, .state = shard->state, .epoch = shard->epoch, .position = shard->memory.position};
}

enum ek_status ek_engine_assign(struct ek_engine *engine, struct ek_link link, struct ek_holding *holdings, size_t count,
                                struct ek_error *error)
{
    struct ek_judge *judge = &engine->judge;
    if (!ek_judge_has_link(judge, link))
        return EK_AGAIN;
    for (size_t i = 0; i < count; i++)
        if (holdings[i].shard >= judge->shard_count)
            return no_such_shard(judge, holdings[i].shard, error);
    size_t news = 0;
    bool *taken = ek_alloc_zero(count + 1, sizeof *taken);
    for (size_t i = 0; i < count; i++) {
        taken[i] = is_news(engine, &holdings[i]) && !is_part_of_copy(engine, &holdings[i]);
        if (taken[i])
            put_news(engine, &holdings[i]);
        news += taken[i];
    }
    enum ek_status status = news ? ek_store_commit(engine->store, error) : EK_OK;
    for (size_t i = 0; i < count && status == EK_OK; i++) {
        struct ek_judge_shard *shard = &judge->shards[holdings[i].shard];
        if (taken[i]) {
            shard->epoch = holdings[i].epoch;
            shard->state = holdings[i].state;
        }
        holdings[i] = holding_of(judge, holdings[i].shard);
    }
    free(taken);
    if (status != EK_OK)
        return EK_IO;
    ek_learners_tidy(engine);
    engine->dead_kept = ek_dead_kept(judge);
    return EK_OK;
}

/* ---- losses ---- */

static bool is_new_loss(const struct ek_engine *engine, const struct ek_loss *loss)
{
    struct ek_holding role = {.shard = loss->shard, .state = EK_HOLDING_SERVING, .epoch = loss->epoch};
    return loss->epoch > engine->judge.shards[loss->shard].epoch && is_news(engine, &role);
}

/* Rows that are left of an earlier role: no part of the shard. */
static bool has_leftovers(const struct ek_judge_shard *shard)
{
    bool has_data = shard->state == EK_HOLDING_SERVING || shard->state == EK_HOLDING_LEARNER;
    return shard->epoch && !has_data;
}

/* Nothing in memory changes before the batch is synced. The snapshot covers every record there is: its position lies beyond. */
static void put_loss(struct ek_engine *engine, const struct ek_loss *loss)
{
    const struct ek_judge_shard *shard = &engine->judge.shards[loss->shard];
    const struct ek_producers *memory = &shard->memory;
    if (has_leftovers(shard))
        ek_learn_empty(engine, loss->shard);
    struct ek_producers fresh = {.stamp_unix_ms = memory->stamp_unix_ms, .expires_unix_ms = memory->expires_unix_ms};
    ek_producers_give_up(&fresh, loss->position, loss->floor);
    ek_engine_put_role(engine, &(struct ek_holding){.shard = loss->shard, .state = EK_HOLDING_SERVING, .epoch = loss->epoch});
    ek_engine_put_snapshot(engine, loss->shard, &fresh);
}

static void take_loss(struct ek_engine *engine, const struct ek_loss *loss)
{
    struct ek_judge_shard *shard = &engine->judge.shards[loss->shard];
    if (has_leftovers(shard)) {
        shard->letters = 0;
        shard->letter_bytes = 0;
    }
    shard->epoch = loss->epoch;
    shard->state = EK_HOLDING_SERVING;
    ek_producers_give_up(&shard->memory, loss->position, loss->floor);
    ek_live_settle(&engine->live, loss->shard);
}

enum ek_status ek_engine_give_up(struct ek_engine *engine, struct ek_link link, const struct ek_loss *losses, size_t count,
                                 struct ek_holding *ret, struct ek_error *error)
{
    struct ek_judge *judge = &engine->judge;
    size_t news = 0;
    if (!ek_judge_has_link(judge, link))
        return EK_AGAIN;
    for (size_t i = 0; i < count; i++)
        if (losses[i].shard >= judge->shard_count)
            return no_such_shard(judge, losses[i].shard, error);
    for (size_t i = 0; i < count; i++)
        if (is_new_loss(engine, &losses[i])) {
            put_loss(engine, &losses[i]);
            news++;
        }
    if (news && ek_store_commit(engine->store, error) != EK_OK)
        return EK_IO;
    for (size_t i = 0; i < count; i++) {
        if (is_new_loss(engine, &losses[i]))
            take_loss(engine, &losses[i]);
        ret[i] = holding_of(judge, losses[i].shard);
    }
    ek_learners_tidy(engine);
    engine->dead_kept = ek_dead_kept(judge);
    return EK_OK;
}

size_t ek_engine_report(const struct ek_engine *engine, struct ek_holding *ret)
{
    size_t count = 0;
    for (uint32_t i = 0; i < engine->judge.shard_count; i++) {
        const struct ek_judge_shard *shard = &engine->judge.shards[i];
        if (shard->epoch)
            ret[count++] = holding_of(&engine->judge, (uint16_t)i);
    }
    return count;
}

uint64_t ek_engine_expiry(const struct ek_engine *engine, uint16_t shard)
{
    const struct ek_producers *memory = &engine->judge.shards[shard].memory;
    return memory->stamp_unix_ms < memory->expires_unix_ms ? memory->expires_unix_ms : 0;
}

/* ---- a group ---- */

void ek_engine_probe(struct ek_engine *engine)
{
    engine->probed = true;
}

void ek_engine_begin(struct ek_engine *engine)
{
    ek_judge_begin(&engine->judge);
}

static void put_row(struct ek_engine *engine, const struct ek_write *write)
{
    uint8_t key[EK_ROW_KEY_BYTES_MAX];
    struct ek_slice key_bytes = ek_slice_of(key, ek_row_key(key, write->prefix, write->key));
    if (write->kind == EK_WRITE_DELETE) {
        ek_store_delete(engine->store, EK_STORE_ROWS, key_bytes);
        return;
    }
    uint8_t head[EK_ROW_HEAD_BYTES_MAX];
    char digits[EK_ROW_NUMBER_BYTES_MAX];
    struct ek_slice value = write->value;
    if (write->kind == EK_WRITE_NUMBER)
        value = ek_slice_of(digits, ek_row_format_number(digits, write->number));
    size_t head_bytes = ek_row_head(head, write->version, write->expiry_unix_ms);
    ek_store_put(engine->store, EK_STORE_ROWS, key_bytes, ek_slice_of(head, head_bytes), value);
}

static void note_expiry(struct ek_engine *engine, const struct ek_write *write)
{
    struct ek_judge_shard *shard = &engine->judge.shards[ek_shard_of(write->prefix, engine->identity.shards)];
    if (write->expiry_unix_ms <= shard->memory.expires_unix_ms)
        return;
    shard->memory.expires_unix_ms = write->expiry_unix_ms;
    shard->group_expires_unix_ms = write->expiry_unix_ms;
}

/* In their order they are all over the group's jobs, which left the cache while others were judged. */
static void expect_rows(const struct ek_writes *writes, const struct ek_writes_order *next, size_t count)
{
    if (WRITES_AHEAD < count)
        __builtin_prefetch(&writes->items[next[WRITES_AHEAD].index]);
    if (ROWS_AHEAD < count) {
        const struct ek_write *write = &writes->items[next[ROWS_AHEAD].index];
        __builtin_prefetch(write->key.data);
        __builtin_prefetch(write->value.data);
        if (write->value.size > EK_LINE_BYTES)
            __builtin_prefetch(write->value.data + EK_LINE_BYTES);
    }
}

static void put_rows(struct ek_engine *engine)
{
    struct ek_writes *writes = &engine->judge.apply.writes;
    size_t count;
    const struct ek_writes_order *order = ek_writes_sorted(writes, &count);
    for (size_t i = 0; i < count; i++) {
        expect_rows(writes, order + i, count - i);
        const struct ek_write *write = &writes->items[order[i].index];
        put_row(engine, write);
        if (write->expiry_unix_ms)
            note_expiry(engine, write);
    }
}

static void put_letters(struct ek_engine *engine)
{
    const struct ek_judge *judge = &engine->judge;
    for (size_t i = 0; i < judge->letter_count; i++) {
        const struct ek_letter_change *change = &judge->letters[i];
        struct ek_book_key key = ek_book_dead_key(change->shard, change->position);
        if (change->removed) {
            ek_store_delete(engine->store, EK_STORE_BOOK, key_slice(&key));
            continue;
        }
        ek_buffer_clear(&engine->scratch);
        ek_letter_write_head(&engine->scratch, &change->letter);
        ek_store_put(engine->store, EK_STORE_BOOK, key_slice(&key), ek_buffer_slice(&engine->scratch), change->letter.job);
    }
}

static int compare_shards(const void *left, const void *right)
{
    return *(const uint16_t *)left - *(const uint16_t *)right;
}

static void encode_record(struct ek_engine *engine)
{
    struct ek_judge *judge = &engine->judge;
    struct ek_book_record record;
    ek_buffer_clear(&engine->scratch);
    ek_book_record_begin(&engine->scratch, &record);
    qsort(judge->touched, judge->touched_count, sizeof *judge->touched, compare_shards);
    for (size_t i = 0; i < judge->touched_count; i++) {
        const struct ek_judge_shard *shard = &judge->shards[judge->touched[i]];
        if (i + SHARDS_AHEAD < judge->touched_count)
            __builtin_prefetch(&judge->shards[judge->touched[i + SHARDS_AHEAD]].group_first);
        uint32_t at = shard->group_first;
        ek_book_record_shard(&engine->scratch, &record, judge->touched[i], judge->entries[at].verdict.position,
                             shard->group_expires_unix_ms, shard->group_jobs);
        for (; at != EK_JUDGE_NONE; at = judge->entries[at].next) {
            struct ek_verdict verdict = ek_judge_verdict(judge, &judge->entries[at]);
            ek_book_record_verdict(&engine->scratch, &record, &verdict);
        }
    }
}

static size_t put_record(struct ek_engine *engine)
{
    encode_record(engine);
    size_t bytes = engine->scratch.size;
    uint64_t sequence = ek_store_put_record(engine->store, ek_buffer_slice(&engine->scratch));
    ek_live_add(&engine->live, sequence, bytes);
    for (size_t i = 0; i < engine->judge.touched_count; i++)
        ek_live_touch(&engine->live, engine->judge.touched[i], sequence);
    return bytes;
}

/* Snapshots of the shards that hold the oldest records back, and an end to the records that nothing needs any more. */
static void put_snapshots(struct ek_engine *engine, size_t record_bytes)
{
    for (uint32_t due = ek_live_snapshots_due(&engine->live, record_bytes); due > 0; due--) {
        uint16_t shard = ek_live_oldest(&engine->live);
        if (shard == EK_LIVE_NONE)
            break;
        ek_engine_put_snapshot(engine, shard, &engine->judge.shards[shard].memory);
        ek_live_settle(&engine->live, shard);
    }
    uint64_t sequence;
    while (ek_live_drop(&engine->live, &sequence)) {
        struct ek_book_key key = ek_book_key_of(EK_BOOK_RECORD, sequence);
        ek_store_delete(engine->store, EK_STORE_BOOK, key_slice(&key));
    }
}

enum ek_status ek_engine_commit(struct ek_engine *engine, struct ek_error *error)
{
    const struct ek_judge *judge = &engine->judge;
    ek_pinned_done(&engine->read_row);
    if (judge->entry_count == 0 && !engine->probed)
        return EK_OK;
    if (engine->probed)
        put_identity(engine, &engine->identity);
    if (judge->entry_count) {
        put_rows(engine);
        put_letters(engine);
        put_snapshots(engine, put_record(engine));
    }
    for (size_t i = 0; i < judge->touched_count; i++)
        ek_stamps_raise(&engine->stamps, judge->touched[i], judge->shards[judge->touched[i]].memory.stamp_unix_ms);
    enum ek_status status = ek_store_commit(engine->store, error);
    let_letters_go(engine);
    if (status != EK_OK)
        return status;
    engine->probed = false;
    if (judge->letter_count)
        engine->dead_kept = ek_dead_kept(judge);
    for (size_t i = 0; i < judge->touched_count; i++)
        ek_engine_set_horizon(engine, judge->touched[i]);
    return EK_OK;
}
