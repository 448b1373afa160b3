#include "worker/learn.h"

#include "common/hash.h"
#include "worker/dead.h"
#include "worker/letters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    VERIFY_BYTES = 4 * 1024 * 1024, /* looked at between two groups */
    MARK_BYTES = 64                 /* what a deletion writes, about: small, but it gives room back */
};

/* ---- steps and learners ---- */

void ek_learn_step_done(struct ek_learn_step *step)
{
    if (step->has_frame)
        ek_frame_done(&step->frame);
    free(step->fed);
    ek_copy_destroy(&step->copy);
}

static void forget(struct ek_learner *learner)
{
    if (learner->cursor)
        (void)!ek_store_cursor_close(&learner->cursor, NULL);
    ek_buffer_done(&learner->memory);
    *learner = (struct ek_learner){0};
}

void ek_learners_forget(struct ek_engine *engine)
{
    for (size_t i = 0; i < EK_COPIES_MAX; i++)
        forget(&engine->learners[i]);
}

void ek_learners_done(struct ek_engine *engine)
{
    if (engine->learners)
        ek_learners_forget(engine);
    free(engine->learners);
    engine->learners = NULL;
}

static void forget_attempt(struct ek_engine *engine, struct ek_attempt attempt)
{
    for (size_t i = 0; i < EK_COPIES_MAX; i++)
        if (engine->learners[i].active && engine->learners[i].attempt.number == attempt.number)
            forget(&engine->learners[i]);
}

/* Of an attempt that is under way. Steps may come behind the word that it is over: the role alone counts. */
static struct ek_learner *find(struct ek_engine *engine, struct ek_attempt attempt, enum ek_holding_state role)
{
    if (engine->judge.shards[attempt.shard].state != role)
        return NULL;
    for (size_t i = 0; i < EK_COPIES_MAX; i++) {
        struct ek_learner *learner = &engine->learners[i];
        if (learner->active && learner->attempt.shard == attempt.shard && learner->attempt.number == attempt.number)
            return learner;
    }
    return NULL;
}

/* It became the owner, or was told that it is none. */
static bool is_over(const struct ek_engine *engine, const struct ek_learner *learner)
{
    enum ek_holding_state role = engine->judge.shards[learner->attempt.shard].state;
    return role != EK_HOLDING_FILLING && role != EK_HOLDING_LEARNER;
}

void ek_learners_tidy(struct ek_engine *engine)
{
    for (size_t i = 0; i < EK_COPIES_MAX; i++)
        if (engine->learners[i].active && is_over(engine, &engine->learners[i]))
            forget(&engine->learners[i]);
}

/* The shard's place, or a free one; NULL when there are too many. */
static struct ek_learner *place_for(struct ek_engine *engine, uint16_t shard)
{
    struct ek_learner *found = NULL;
    for (size_t i = 0; i < EK_COPIES_MAX; i++) {
        struct ek_learner *learner = &engine->learners[i];
        if (learner->active && learner->attempt.shard == shard)
            return learner;
        if (!learner->active)
            found = learner;
    }
    return found;
}

static void tell(struct ek_learn_step *step, enum ek_moved_step what, uint64_t position, uint64_t bytes)
{
    step->reports = true;
    step->report =
        (struct ek_move_report){.link = step->link, .attempt = step->attempt, .step = what, .position = position, .bytes = bytes};
}

static enum ek_status fail(struct ek_engine *engine, struct ek_learn_step *step, const char *why)
{
    forget_attempt(engine, step->attempt);
    tell(step, EK_MOVED_FAILED, 0, 0);
    (void)snprintf(step->report.text, sizeof step->report.text, "%s", why);
    return EK_OK;
}

/* ---- emptying ---- */

static struct ek_producers position_of(const struct ek_producers *memory)
{
    return (struct ek_producers){.position = memory->position, .stamp_unix_ms = memory->stamp_unix_ms, .floor = memory->floor};
}

void ek_learn_empty(struct ek_engine *engine, uint16_t shard)
{
    struct ek_copy_range range = ek_copy_range_of(shard, engine->identity.shards);
    for (int space = 0; space < 2; space++)
        ek_store_delete_range(engine->store, (enum ek_store_space)space, ek_copy_first(&range, (enum ek_store_space)space),
                              ek_copy_end(&range, (enum ek_store_space)space));
    struct ek_producers left = position_of(&engine->judge.shards[shard].memory);
    ek_engine_put_snapshot(engine, shard, &left);
}

/* Once the batch is synced. */
static void note_emptied(struct ek_engine *engine, uint16_t shard)
{
    struct ek_judge_shard *judged = &engine->judge.shards[shard];
    struct ek_producers left = position_of(&judged->memory);
    ek_producers_done(&judged->memory);
    judged->memory = left;
    judged->letters = 0;
    judged->letter_bytes = 0;
    ek_live_settle(&engine->live, shard);
}

void ek_learners_recover(struct ek_engine *engine)
{
    for (uint32_t i = 0; i < engine->identity.shards; i++) {
        struct ek_judge_shard *shard = &engine->judge.shards[i];
        if (shard->epoch == 0 || shard->state != EK_HOLDING_FILLING)
            continue;
        ek_learn_empty(engine, (uint16_t)i);
        shard->state = EK_HOLDING_RELEASED;
        ek_engine_put_role(engine, &(struct ek_holding){.shard = (uint16_t)i, .state = shard->state, .epoch = shard->epoch});
        note_emptied(engine, (uint16_t)i);
    }
}

static enum ek_status is_empty(struct ek_engine *engine, uint16_t shard, bool *ret, struct ek_error *error)
{
    struct ek_copy_range range = ek_copy_range_of(shard, engine->identity.shards);
    *ret = true;
    for (int space = 0; space < 2; space++) {
        struct ek_slice key;
        struct ek_slice value;
        struct ek_store_cursor *cursor =
            ek_store_walk(engine->store, (enum ek_store_space)space, ek_copy_first(&range, (enum ek_store_space)space),
                          ek_copy_end(&range, (enum ek_store_space)space));
        if (ek_store_cursor_entry(cursor, &key, &value))
            *ret = false;
        enum ek_status status = ek_store_cursor_close(&cursor, error);
        if (status != EK_OK)
            return status;
    }
    return EK_OK;
}

/* Why the shard cannot be learned here, or NULL. */
static const char *why_not_fill(const struct ek_engine *engine, const struct ek_learn_step *step)
{
    const struct ek_judge_shard *shard = &engine->judge.shards[step->attempt.shard];
    if (shard->epoch && shard->state == EK_HOLDING_SERVING)
        return "this worker serves the shard already";
    if (shard->epoch && shard->state == EK_HOLDING_ASIDE)
        return "this worker keeps rows of the shard that were given up: a new directory drops them";
    if (step->epoch < shard->epoch)
        return "this worker knows a later epoch of the shard";
    return NULL;
}

bool ek_learn_is_empty(struct ek_engine *engine, uint16_t shard)
{
    bool empty;
    return is_empty(engine, shard, &empty, NULL) == EK_OK && empty;
}

static enum ek_status fill(struct ek_engine *engine, struct ek_learn_step *step, struct ek_error *error)
{
    uint16_t number = step->attempt.shard;
    const char *reason = why_not_fill(engine, step);
    struct ek_learner *learner = reason ? NULL : place_for(engine, number);
    if (!learner)
        return fail(engine, step, reason ? reason : "this worker takes as many copies as it can already");
    forget(learner);
    struct ek_holding role = {.shard = number, .state = EK_HOLDING_FILLING, .epoch = step->epoch};
    ek_engine_put_role(engine, &role);
    ek_learn_empty(engine, number);
    enum ek_status status = ek_store_commit(engine->store, error);
    if (status != EK_OK)
        return status;
    engine->judge.shards[number].epoch = role.epoch;
    engine->judge.shards[number].state = role.state;
    note_emptied(engine, number);
    bool empty;
    status = is_empty(engine, number, &empty, error);
    if (status != EK_OK)
        return status;
    if (!empty)
        return fail(engine, step, "rows are left in a range that was emptied");
    *learner = (struct ek_learner){.active = true, .attempt = step->attempt};
    tell(step, EK_MOVED_EMPTIED, 0, 0);
    return EK_OK;
}

static enum ek_status sweep(struct ek_engine *engine, struct ek_learn_step *step, struct ek_error *error)
{
    uint16_t number = step->attempt.shard;
    const struct ek_judge_shard *shard = &engine->judge.shards[number];
    if (shard->epoch != step->epoch || shard->state != EK_HOLDING_RELEASED)
        return EK_OK; /* it has a later role */
    bool empty;
    enum ek_status status = is_empty(engine, number, &empty, error);
    if (status == EK_OK && (!empty || shard->memory.table.count || shard->memory.thin.count)) {
        ek_learn_empty(engine, number);
        status = ek_store_commit(engine->store, error);
        if (status == EK_OK)
            note_emptied(engine, number);
        step->emptied = status == EK_OK && !empty;
    }
    step->written_bytes = MARK_BYTES;
    tell(step, EK_MOVED_CLEANED, 0, 0);
    return status;
}

/* ---- the copy ---- */

static enum ek_status give_copy(struct ek_engine *engine, struct ek_learn_step *step)
{
    const struct ek_judge_shard *shard = &engine->judge.shards[step->attempt.shard];
    if (shard->epoch == 0 || shard->state != EK_HOLDING_SERVING)
        return fail(engine, step, "this worker does not serve the shard");
    step->copy = ek_copy_open(engine, step->attempt);
    tell(step, EK_MOVED_COPYING, ek_copy_position(step->copy), 0);
    return EK_OK;
}

static bool belongs(const struct ek_engine *engine, const struct ek_copy_entry *entry, uint16_t shard)
{
    enum ek_book_kind kind;
    uint64_t number;
    if (entry->space == EK_STORE_BOOK)
        return ek_book_parse_key(entry->key, &kind, &number) == EK_OK && kind == EK_BOOK_DEAD && number == shard;
    return entry->key.size > 2 && entry->key.size <= EK_KEY_BYTES_MAX + 2 &&
           ek_shard_of(ek_get_u16(entry->key.data), engine->identity.shards) == shard;
}

/* Of a sound chunk. */
static void put_entries(struct ek_engine *engine, struct ek_learner *learner, struct ek_slice body)
{
    struct ek_copy_entry entry;
    while (ek_copy_read(&body, &entry) == EK_OK) {
        ek_store_put(engine->store, entry.space, entry.key, ek_slice_of(NULL, 0), entry.value);
        learner->hash = ek_copy_hash(learner->hash, &entry);
        learner->entries++;
    }
}

/* Every entry is looked at before the first one is put, so that a batch holds all or nothing of a chunk. */
static bool is_sound(const struct ek_engine *engine, const struct ek_copy_chunk *chunk)
{
    struct ek_slice body = chunk->body;
    struct ek_copy_entry entry;
    enum ek_status status;
    if (ek_hash(chunk->body) != chunk->checksum)
        return false;
    while ((status = ek_copy_read(&body, &entry)) == EK_OK)
        if (!belongs(engine, &entry, chunk->attempt.shard))
            return false;
    return status == EK_NOT_FOUND;
}

static enum ek_status take_chunk(struct ek_engine *engine, struct ek_learn_step *step, struct ek_error *error)
{
    const struct ek_copy_chunk *chunk = &step->chunk;
    struct ek_learner *learner = find(engine, step->attempt, EK_HOLDING_FILLING);
    if (!learner || learner->all_here || chunk->chunk < learner->next_chunk)
        return EK_OK; /* of an attempt that is over, or once more */
    if (chunk->chunk != learner->next_chunk || !is_sound(engine, chunk))
        return fail(engine, step, "a part of the copy is missing or damaged");
    learner->next_chunk++;
    learner->bytes += chunk->body.size;
    learner->position = step->position;
    if (chunk->body.size) {
        put_entries(engine, learner, chunk->body);
        enum ek_status status = ek_store_commit(engine->store, error);
        if (status != EK_OK)
            return status;
    }
    step->written_bytes = chunk->body.size;
    tell(step, EK_MOVED_FETCHED, 0, learner->bytes);
    if (!chunk->last)
        return EK_OK;
    if (chunk->entries != learner->entries || chunk->hash != learner->hash)
        return fail(engine, step, "the source has sent another copy than it says");
    learner->all_here = true;
    ek_buffer_append(&learner->memory, chunk->memory.data, chunk->memory.size);
    learner->range = ek_copy_range_of(learner->attempt.shard, engine->identity.shards);
    step->more = true;
    return EK_OK;
}

/* ---- the comparison ---- */

static void open_cursor(struct ek_engine *engine, struct ek_learner *learner)
{
    learner->cursor = ek_store_walk(engine->store, learner->space, ek_copy_first(&learner->range, learner->space),
                                    ek_copy_end(&learner->range, learner->space));
}

/* Goes on through what is stored, for a while. `ret_end`: all was seen. */
static enum ek_status look_on(struct ek_engine *engine, struct ek_learner *learner, bool *ret_end, struct ek_error *error)
{
    size_t bytes = 0;
    *ret_end = false;
    while (bytes < VERIFY_BYTES) {
        struct ek_copy_entry entry = {.space = learner->space};
        if (!learner->cursor)
            open_cursor(engine, learner);
        if (ek_store_cursor_entry(learner->cursor, &entry.key, &entry.value)) {
            learner->seen_hash = ek_copy_hash(learner->seen_hash, &entry);
            learner->seen_entries++;
            bytes += entry.key.size + entry.value.size;
            ek_store_cursor_step(learner->cursor);
            continue;
        }
        enum ek_status status = ek_store_cursor_close(&learner->cursor, error);
        *ret_end = learner->space == EK_STORE_BOOK;
        if (status != EK_OK || *ret_end)
            return status;
        learner->space = EK_STORE_BOOK;
    }
    return EK_OK;
}

static enum ek_status restore_letters(struct ek_engine *engine, const struct ek_learner *learner, struct ek_error *error)
{
    struct ek_slice key;
    struct ek_slice value;
    struct ek_store_cursor *cursor = ek_store_walk(engine->store, EK_STORE_BOOK, ek_copy_first(&learner->range, EK_STORE_BOOK),
                                                   ek_copy_end(&learner->range, EK_STORE_BOOK));
    for (; ek_store_cursor_entry(cursor, &key, &value); ek_store_cursor_step(cursor)) {
        struct ek_letter letter;
        if (ek_letter_read(value, &letter) == EK_OK)
            ek_dead_restore(&engine->judge, learner->attempt.shard, &letter);
    }
    return ek_store_cursor_close(&cursor, error);
}

static enum ek_status complete(struct ek_engine *engine, struct ek_learn_step *step, struct ek_learner *learner,
                               struct ek_error *error)
{
    uint16_t number = step->attempt.shard;
    struct ek_judge_shard *shard = &engine->judge.shards[number];
    struct ek_producers memory = {0};
    bool readable = ek_book_decode_snapshot(ek_buffer_slice(&learner->memory), &memory) == EK_OK;
    if (!readable || memory.position != learner->position || memory.position < shard->memory.position) {
        ek_producers_done(&memory);
        return fail(engine, step, "the copy's memory of producers is not that of its position");
    }
    ek_engine_put_role(engine, &(struct ek_holding){.shard = number, .state = EK_HOLDING_LEARNER, .epoch = shard->epoch});
    ek_engine_put_snapshot(engine, number, &memory);
    enum ek_status status = ek_store_commit(engine->store, error);
    if (status != EK_OK) {
        ek_producers_done(&memory);
        return status;
    }
    shard->state = EK_HOLDING_LEARNER;
    ek_producers_done(&shard->memory);
    shard->memory = memory;
    ek_live_settle(&engine->live, number);
    ek_stamps_raise(&engine->stamps, number, memory.stamp_unix_ms);
    ek_engine_set_horizon(engine, number);
    tell(step, EK_MOVED_COMPLETE, memory.position, learner->bytes);
    return restore_letters(engine, learner, error);
}

static enum ek_status verify(struct ek_engine *engine, struct ek_learn_step *step, struct ek_error *error)
{
    struct ek_learner *learner = find(engine, step->attempt, EK_HOLDING_FILLING);
    bool end;
    if (!learner || !learner->all_here)
        return EK_OK;
    enum ek_status status = look_on(engine, learner, &end, error);
    step->more = !end;
    if (status == EK_OK && !end)
        tell(step, EK_MOVED_FETCHED, 0, learner->bytes); /* a sign that it goes on */
    if (status != EK_OK || !end)
        return status;
    if (learner->seen_entries != learner->entries || learner->seen_hash != learner->hash)
        return fail(engine, step, "what was stored is not what the source has sent");
    return complete(engine, step, learner, error);
}

/* ---- what came behind the copy ---- */

static enum ek_status feed(struct ek_engine *engine, struct ek_learn_step *step, struct ek_error *error)
{
    const struct ek_judge_shard *shard = &engine->judge.shards[step->attempt.shard];
    if (!find(engine, step->attempt, EK_HOLDING_LEARNER))
        return EK_OK;
    ek_engine_begin(engine);
    for (uint32_t i = 0; i < step->fed_count; i++) {
        bool agrees = step->fed[i].job.shard == step->attempt.shard;
        enum ek_status status = agrees ? ek_judge_follow(&engine->judge, &step->fed[i], &agrees) : EK_OK;
        if (status != EK_OK) {
            *error = engine->read_error;
            return status;
        }
        if (!agrees)
            return fail(engine, step, "the learner does not come to the same as the shard's holder");
        step->written_bytes += step->fed[i].job.body.size;
    }
    enum ek_status status = ek_engine_commit(engine, error);
    tell(step, EK_MOVED_FED, shard->memory.position, 0);
    return status;
}

enum ek_status ek_learn_run(struct ek_engine *engine, struct ek_learn_step *step, struct ek_error *error)
{
    bool sweeps = step->kind == EK_LEARN_SWEEP; /* whatever link there is */
    if (step->attempt.shard >= engine->judge.shard_count || (!sweeps && !ek_judge_has_link(&engine->judge, step->link)))
        return EK_OK;
    switch (step->kind) {
    case EK_LEARN_FILL:
        return fill(engine, step, error);
    case EK_LEARN_COPY:
        return give_copy(engine, step);
    case EK_LEARN_CHUNK:
        return take_chunk(engine, step, error);
    case EK_LEARN_VERIFY:
        return verify(engine, step, error);
    case EK_LEARN_FEED:
        return feed(engine, step, error);
    case EK_LEARN_DROP:
        forget_attempt(engine, step->attempt);
        return EK_OK;
    case EK_LEARN_SWEEP:
        return sweep(engine, step, error);
    }
    return EK_OK;
}
