/* The storage side of a move on real stores: what a learner takes, what it refuses, and what is left after a restart. */
#include "common/hash.h"
#include "common/operations.h"
#include "tests/support/engine_rig.h"
#include "tests/support/learn_rig.h"
#include "tests/support/run_suite.h"
#include "worker/group.h"
#include "worker/learn.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE_BYTES = 200 * 1024, STAMP = 1000, LATER = STAMP + 1000 };

/* ---- helpers ---- */

static void put(const char *key, const char *value)
{
    (void)learn_write(EK_JOB_WRITE, ek_rig_put(key, value), 0, 0);
}

/* Rows of every kind: plain, numbered, with an expiry, and a dead letter. */
static void write_some(void)
{
    char key[32];
    for (int i = 0; i < 50; i++) {
        (void)snprintf(key, sizeof key, LEARN_KEY("%d"), i);
        put(key, "value");
    }
    for (uint64_t number = 1; number <= 3; number++)
        (void)learn_write(EK_JOB_WRITE, ek_rig_increment(LEARN_KEY("n"), 5), 1000, number);
    struct ek_operation expires = ek_rig_put(LEARN_KEY("expires"), "later");
    expires.ttl_ms = 60000;
    (void)learn_write(EK_JOB_WRITE, expires, 0, 0);
    (void)learn_write(EK_JOB_WRITE, ek_rig_key(EK_OPERATION_DELETE, LEARN_KEY("7")), 0, 0);
}

static enum ek_holding_state state(void)
{
    return learn_shard(&learn.target)->state;
}

static uint64_t position(void)
{
    return learn_shard(&learn.target)->memory.position;
}

static void check_failed(struct ek_move_report report)
{
    ck_assert_int_eq(report.step, EK_MOVED_FAILED);
    ck_assert_uint_gt(strlen(report.text), 0);
}

/* ---- filling ---- */

START_TEST(a_range_is_emptied_before_it_is_filled_and_after_a_restart)
{
    ek_engine_rig_assign(&learn.target, learn.attempt.shard, EK_HOLDING_SERVING, EK_RIG_EPOCH);
    (void)ek_rig_run_one(&learn.target, EK_JOB_WRITE, ek_rig_put(LEARN_KEY("old"), "1"));
    ek_engine_rig_assign(&learn.target, ek_rig_shard("another shard"), EK_HOLDING_SERVING, EK_RIG_EPOCH);
    (void)ek_rig_run_one(&learn.target, EK_JOB_WRITE, ek_rig_put("another shard", "1"));
    ek_engine_rig_assign(&learn.target, learn.attempt.shard, EK_HOLDING_RELEASED, EK_RIG_EPOCH);
    ck_assert_uint_eq(learn_rows(&learn.target), 1);
    write_some();
    learn_fill();
    ck_assert_uint_eq(position(), 1); /* a released shard keeps its position */
    ck_assert_uint_eq(learn_shard(&learn.target)->memory.thin.count, 0);
    learn_open_copy();
    ck_assert_int_eq(learn_take_all().step, EK_MOVED_FETCHED);
    ck_assert_uint_gt(learn_rows(&learn.target), 0);
    learn_restart_target();
    ck_assert_int_eq(state(), EK_HOLDING_RELEASED);
    ck_assert_uint_eq(learn_rows(&learn.target), 0);
    ck_assert_uint_eq(position(), 1);
    ck_assert_str_eq(ek_rig_value(&learn.target, "another shard"), "1");
    ck_assert_int_eq(learn_verify().step, 0); /* of an attempt that is over */
    ck_assert_uint_eq(learn_complete(), ek_copy_position(learn.copy));
    learn_check_equal();
}
END_TEST

START_TEST(what_is_served_or_set_aside_or_newer_is_not_emptied)
{
    static const enum ek_holding_state states[] = {EK_HOLDING_SERVING, EK_HOLDING_ASIDE, EK_HOLDING_RELEASED};
    static const uint64_t epochs[] = {EK_RIG_EPOCH, EK_RIG_EPOCH, EK_RIG_EPOCH + 1};
    ek_engine_rig_assign(&learn.target, learn.attempt.shard, EK_HOLDING_SERVING, EK_RIG_EPOCH);
    (void)ek_rig_run_one(&learn.target, EK_JOB_WRITE, ek_rig_put(LEARN_KEY("old"), "1"));
    ek_engine_rig_assign(&learn.target, learn.attempt.shard, states[_i], epochs[_i]);
    check_failed(learn_do(&learn.target, EK_LEARN_FILL));
    ck_assert_int_eq(state(), states[_i]);
    ck_assert_uint_eq(learn_rows(&learn.target), 1);
}
END_TEST

START_TEST(a_fifth_copy_at_a_time_is_refused)
{
    for (uint16_t i = 0; i <= EK_COPIES_MAX; i++) {
        struct ek_learn_step step = {.kind = EK_LEARN_FILL, .attempt = {.shard = i, .number = 100u + i}, .epoch = EK_RIG_EPOCH};
        ck_assert_int_eq(learn_run(&learn.target, &step).step, i < EK_COPIES_MAX ? EK_MOVED_EMPTIED : EK_MOVED_FAILED);
    }
    ek_engine_rig_assign(&learn.target, 1, EK_HOLDING_RELEASED, EK_RIG_EPOCH);
    struct ek_learn_step step = {.kind = EK_LEARN_FILL, .attempt = {.shard = 9, .number = 200}, .epoch = EK_RIG_EPOCH};
    ck_assert_int_eq(learn_run(&learn.target, &step).step, EK_MOVED_EMPTIED);
}
END_TEST

START_TEST(steps_of_another_link_are_nobodys)
{
    struct ek_error error = {0};
    struct ek_learn_step step = {.kind = EK_LEARN_FILL, .attempt = learn.attempt, .epoch = EK_RIG_EPOCH, .link = {99, 1}};
    ck_assert_int_eq(ek_learn_run(learn.target.engine, &step, &error), EK_OK);
    ck_assert(!step.reports);
    ck_assert_int_eq(state(), EK_HOLDING_RELEASED);
    step.link = learn.target.link;
    step.attempt.shard = EK_RIG_SHARDS; /* which there is not */
    ck_assert_int_eq(learn_run(&learn.target, &step).step, 0);
}
END_TEST

/* ---- the copy ---- */

START_TEST(a_copy_is_equal_and_stays_so_after_a_restart)
{
    write_some();
    (void)learn_set_aside(ek_rig_increment(LEARN_KEY("n"), 100));
    uint64_t at = learn_complete();
    ck_assert_uint_eq(position(), at);
    learn_check_equal();
    for (int i = 0; i < 2; i++) {
        learn_restart_target();
        ck_assert_int_eq(state(), EK_HOLDING_LEARNER);
        ck_assert_uint_eq(position(), at);
        learn_check_equal();
    }
    struct ek_holding holdings[EK_SHARDS_MAX];
    size_t count = ek_engine_report(learn.target.engine, holdings);
    ck_assert_uint_gt(count, learn.attempt.shard);
    ck_assert_int_eq(holdings[learn.attempt.shard].state, EK_HOLDING_LEARNER);
    ck_assert_uint_eq(holdings[learn.attempt.shard].position, at);
}
END_TEST

START_TEST(a_shard_without_rows_is_copied)
{
    ck_assert_uint_eq(learn_complete(), 0);
    learn_check_equal();
}
END_TEST

START_TEST(a_copy_is_as_of_its_position_whatever_is_written_meanwhile)
{
    write_some();
    learn_fill();
    learn_open_copy();
    uint64_t at = ek_copy_position(learn.copy);
    put(LEARN_KEY("0"), "changed");
    put(LEARN_KEY("new"), "row");
    ck_assert_int_eq(learn_take_all().step, EK_MOVED_FETCHED);
    ck_assert_int_eq(learn_verify().step, EK_MOVED_COMPLETE);
    ck_assert_uint_eq(position(), at);
    ck_assert_str_eq(ek_rig_value(&learn.target, LEARN_KEY("0")), "value");
    ck_assert_ptr_null(ek_rig_value(&learn.target, LEARN_KEY("new")));
}
END_TEST

static char *text_of(size_t bytes)
{
    char *text = malloc(bytes + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, 'x', bytes);
    text[bytes] = 0;
    return text;
}

static void write_large(int count, uint64_t ttl_ms)
{
    char *value = text_of(LARGE_BYTES);
    for (int i = 0; i < count; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, LEARN_KEY("large%d"), i);
        struct ek_operation operation = ek_rig_put(key, value);
        operation.ttl_ms = ttl_ms;
        (void)learn_write(EK_JOB_WRITE, operation, 0, 0);
    }
    free(value);
}

/* The source's last write is one of this time. */
static void put_later(const char *key)
{
    struct ek_operation last = ek_rig_put(key, "v");
    struct ek_worker_job job = ek_rig_job(&learn.source, EK_JOB_WRITE, &last, 1);
    job.stamp_unix_ms = LATER;
    (void)ek_rig_run(&learn.source, &job);
}

START_TEST(a_large_copy_comes_in_chunks_each_of_which_may_come_again)
{
    struct ek_buffer first = {0};
    struct ek_error error = {0};
    write_large(5, 0);
    learn_fill();
    learn_open_copy();
    learn_get_chunk(0);
    ek_buffer_append(&first, learn.message.data, learn.message.size);
    ck_assert_int_eq(learn_take_chunk().step, EK_MOVED_FETCHED);
    learn_get_chunk(0);
    ck_assert(ek_slice_equal(ek_buffer_slice(&first), ek_buffer_slice(&learn.message)));
    ck_assert_int_eq(learn_take_chunk().step, 0);
    ck_assert_int_eq(ek_copy_chunk(learn.copy, 1, 2, &first, &error), EK_NOT_FOUND);
    uint64_t chunk = 1;
    for (; !learn.chunk.last; chunk++) {
        learn_get_chunk(chunk);
        ck_assert_uint_le(learn.chunk.body.size, EK_COPY_CHUNK_BYTES_GOAL + LARGE_BYTES + EK_KIB);
        ck_assert_int_eq(learn_take_chunk().step, EK_MOVED_FETCHED);
        ck_assert_int_eq(learn_verify().step, learn.chunk.last ? EK_MOVED_COMPLETE : 0);
    }
    ck_assert_uint_gt(chunk, 3);
    ck_assert_int_eq(ek_copy_chunk(learn.copy, 1, 0, &first, &error), EK_NOT_FOUND);
    learn_check_equal();
    ek_buffer_done(&first);
}
END_TEST

/* Together they are more than a message takes. */
START_TEST(a_row_of_the_largest_size_has_a_chunk_of_its_own)
{
    char *largest = text_of(EK_VALUE_BYTES_MAX);
    write_large(1, 0);
    put(LEARN_KEY("largest"), largest);
    put(LEARN_KEY("last"), "v");
    free(largest);
    learn_complete();
    learn_check_equal();
}
END_TEST

enum damage {
    CHECKSUM,
    A_BYTE,
    CUT,
    MISSING,
    FOREIGN_ROW,
    FOREIGN_SPACE,
    FOREIGN_LETTER,
    COUNT,
    HASH,
    MEMORY_OF_ANOTHER_POSITION,
    MEMORY_UNREADABLE,
    DAMAGES
};

/* Bytes of a row that another shard owns. */
static const uint8_t *foreign_row(struct ek_slice body)
{
    static uint8_t copy[EK_COPY_CHUNK_BYTES_GOAL];
    ck_assert_uint_le(body.size, sizeof copy);
    memcpy(copy, body.data, body.size);
    copy[11] ^= 0x80; /* the hash prefix of the first key */
    return copy;
}

/* The dead letter at the end becomes one of another shard. */
static void move_letter(struct ek_slice body)
{
    struct ek_copy_entry entry;
    struct ek_slice letter = {0};
    while (ek_copy_read(&body, &entry) == EK_OK)
        if (entry.space == EK_STORE_BOOK)
            letter = entry.key;
    ck_assert_uint_eq(letter.size, EK_BOOK_DEAD_KEY_BYTES);
    ((uint8_t *)(uintptr_t)letter.data)[2] ^= 1;
}

static void damage(enum damage damage)
{
    struct ek_copy_chunk *chunk = &learn.chunk;
    switch (damage) {
    case CHECKSUM:
        chunk->checksum++;
        break;
    case A_BYTE:
        learn.message.data[learn.message.size / 2] ^= 1;
        break;
    case CUT:
        chunk->body.size--;
        chunk->checksum = ek_hash(chunk->body);
        break;
    case MISSING:
        chunk->chunk++;
        break;
    case FOREIGN_ROW:
        chunk->body.data = foreign_row(chunk->body);
        chunk->checksum = ek_hash(chunk->body);
        break;
    case FOREIGN_SPACE:
        ((uint8_t *)(uintptr_t)chunk->body.data)[0] = EK_STORE_BOOK;
        chunk->checksum = ek_hash(chunk->body);
        break;
    case FOREIGN_LETTER:
        move_letter(chunk->body);
        chunk->checksum = ek_hash(chunk->body);
        break;
    case COUNT:
        chunk->entries++;
        break;
    case HASH:
        chunk->hash++;
        break;
    case MEMORY_UNREADABLE:
        chunk->memory.size--;
        break;
    default:
        break;
    }
}

static struct ek_move_report take_damaged(enum damage what)
{
    bool early = what < COUNT;
    struct ek_move_report report;
    learn_get_chunk(0);
    if (early)
        damage(what);
    report = learn_take_chunk();
    if (early)
        return report;
    ck_assert_int_eq(report.step, EK_MOVED_FETCHED);
    learn_get_chunk(1);
    ck_assert(learn.chunk.last);
    damage(what);
    struct ek_learn_step step = {
        .kind = EK_LEARN_CHUNK,
        .chunk = learn.chunk,
        .position = ek_copy_position(learn.copy) + (what == MEMORY_OF_ANOTHER_POSITION ? 1 : 0),
    };
    report = learn_run(&learn.target, &step);
    return report.step == EK_MOVED_FAILED ? report : learn_verify();
}

START_TEST(a_copy_that_is_not_whole_is_refused)
{
    write_some();
    (void)learn_set_aside(ek_rig_increment(LEARN_KEY("n"), 100));
    learn_fill();
    learn_open_copy();
    check_failed(take_damaged((enum damage)_i));
    ck_assert_int_eq(state(), EK_HOLDING_FILLING);
    ck_assert_uint_eq(learn_rows(&learn.target), _i < COUNT ? 0 : learn_rows(&learn.source));
    ck_assert_int_eq(learn_verify().step, 0);
    learn_restart_target();
    ck_assert_int_eq(state(), EK_HOLDING_RELEASED);
    ck_assert_uint_eq(learn_rows(&learn.target), 0);
    (void)learn_complete();
    learn_check_equal();
}
END_TEST

/* The first row of the learner's range. */
static void change_a_row(const struct ek_copy_range *range)
{
    struct ek_slice key;
    struct ek_slice value;
    struct ek_buffer first = {0};
    struct ek_store_cursor *cursor =
        ek_store_walk(learn.target.store, EK_STORE_ROWS, ek_copy_first(range, EK_STORE_ROWS), ek_copy_end(range, EK_STORE_ROWS));
    ck_assert(ek_store_cursor_entry(cursor, &key, &value));
    ek_buffer_append(&first, key.data, key.size);
    ck_assert_int_eq(ek_store_cursor_close(&cursor, NULL), EK_OK);
    ek_store_put(learn.target.store, EK_STORE_ROWS, ek_buffer_slice(&first), ek_slice_text("k"), ek_slice_text("v"));
    ek_buffer_done(&first);
}

/* Something in the learner's range that the source did not send, something less, or something else. */
START_TEST(what_is_stored_is_compared_with_what_was_sent)
{
    struct ek_error error = {0};
    struct ek_copy_range range = ek_copy_range_of(learn.attempt.shard, EK_RIG_SHARDS);
    write_some();
    learn_fill();
    learn_open_copy();
    ck_assert_int_eq(learn_take_all().step, EK_MOVED_FETCHED);
    if (_i == 2)
        change_a_row(&range);
    else if (_i == 1)
        ek_store_delete_range(learn.target.store, EK_STORE_ROWS, ek_copy_first(&range, EK_STORE_ROWS),
                              ek_copy_end(&range, EK_STORE_ROWS));
    else
        ek_store_put(learn.target.store, EK_STORE_ROWS, ek_copy_first(&range, EK_STORE_ROWS), ek_slice_text("k"),
                     ek_slice_text("v"));
    ck_assert_int_eq(ek_store_commit(learn.target.store, &error), EK_OK);
    check_failed(learn_verify());
    ck_assert_int_eq(state(), EK_HOLDING_FILLING);
}
END_TEST

START_TEST(a_copy_of_an_earlier_position_than_this_worker_knows_is_refused)
{
    ek_engine_rig_assign(&learn.target, learn.attempt.shard, EK_HOLDING_SERVING, EK_RIG_EPOCH);
    for (int i = 0; i < 2; i++)
        (void)ek_rig_run_one(&learn.target, EK_JOB_WRITE, ek_rig_put(LEARN_KEY("a"), "1"));
    ek_engine_rig_assign(&learn.target, learn.attempt.shard, EK_HOLDING_RELEASED, EK_RIG_EPOCH);
    put(LEARN_KEY("a"), "1");
    learn_fill();
    learn_open_copy();
    ck_assert_int_eq(learn_take_all().step, EK_MOVED_FETCHED);
    check_failed(learn_verify());
    ck_assert_uint_eq(position(), 2);
}
END_TEST

START_TEST(only_who_serves_a_shard_gives_a_copy_of_it)
{
    check_failed(learn_do(&learn.target, EK_LEARN_COPY));
    (void)learn_complete();
    check_failed(learn_do(&learn.target, EK_LEARN_COPY));
}
END_TEST

START_TEST(rows_that_had_expired_at_the_copys_stamp_stay_behind)
{
    struct ek_operation expires = ek_rig_put(LEARN_KEY("gone"), "v");
    expires.ttl_ms = 500;
    (void)learn_write(EK_JOB_WRITE, expires, 0, 0);
    expires = ek_rig_put(LEARN_KEY("here"), "v");
    expires.ttl_ms = 5000;
    (void)learn_write(EK_JOB_WRITE, expires, 0, 0);
    put_later(LEARN_KEY("last"));
    (void)learn_complete();
    ck_assert_uint_eq(learn_rows(&learn.source), 3);
    ck_assert_uint_eq(learn_rows(&learn.target), 2);
    ck_assert_ptr_null(ek_rig_value(&learn.target, LEARN_KEY("gone")));
    ck_assert_str_eq(ek_rig_value(&learn.target, LEARN_KEY("here")), "v");
    ck_assert_uint_eq(ek_engine_expiry(learn.target.engine, learn.attempt.shard),
                      ek_engine_expiry(learn.source.engine, learn.attempt.shard));
    ck_assert_uint_eq(learn_shard(&learn.target)->memory.stamp_unix_ms, LATER);
    ck_assert_uint_eq(ek_stamps_now(&learn.target.engine->stamps, learn.attempt.shard, 0), LATER);
}
END_TEST

/* Rows that expire at once, `count` of them. */
static void write_gone(int count)
{
    enum { AT_ONCE = 100 };
    static struct ek_operation operations[AT_ONCE];
    static char keys[AT_ONCE][32];
    for (int i = 0; i < count; i += AT_ONCE) {
        for (int k = 0; k < AT_ONCE; k++) {
            (void)snprintf(keys[k], sizeof keys[k], LEARN_KEY("%d"), i + k);
            operations[k] = ek_rig_put(keys[k], "v");
            operations[k].ttl_ms = 1;
        }
        struct ek_worker_job job = ek_rig_job(&learn.source, EK_JOB_WRITE, operations, AT_ONCE);
        (void)ek_rig_run(&learn.source, &job);
    }
}

START_TEST(what_one_chunk_passes_over_is_bounded)
{
    unsigned empty = 0;
    if (_i)
        write_large(20, 1);
    else
        write_gone(10000);
    put_later(LEARN_KEY("zz"));
    learn_fill();
    learn_open_copy();
    for (uint64_t chunk = 0; !chunk || !learn.chunk.last; chunk++) {
        learn_get_chunk(chunk);
        empty += learn.chunk.body.size == 0 && !learn.chunk.last;
        learn_get_chunk(chunk); /* the same again */
        ck_assert_int_eq(learn_take_chunk().step, EK_MOVED_FETCHED);
    }
    ck_assert_uint_ge(empty, 2);
    ck_assert_uint_le(empty, 5);
    ck_assert_int_eq(learn_verify().step, EK_MOVED_COMPLETE);
    ck_assert_uint_eq(learn_rows(&learn.target), 1);
}
END_TEST

/* ---- the comparison ---- */

START_TEST(a_long_comparison_says_that_it_goes_on)
{
    unsigned signs = 0;
    struct ek_learn_step step = {.kind = EK_LEARN_VERIFY};
    write_large(50, 0);
    learn_fill();
    learn_open_copy();
    uint64_t bytes = 0;
    for (uint64_t chunk = 0; !chunk || !learn.chunk.last; chunk++) {
        learn_get_chunk(chunk);
        bytes = learn_take_chunk().bytes;
    }
    while (learn_run(&learn.target, &step).step == EK_MOVED_FETCHED) {
        ck_assert(step.more);
        ck_assert_uint_eq(step.report.bytes, bytes);
        step = (struct ek_learn_step){.kind = EK_LEARN_VERIFY};
        signs++;
    }
    ck_assert_int_eq(step.report.step, EK_MOVED_COMPLETE);
    ck_assert(!step.more);
    ck_assert_uint_ge(signs, 2);
}
END_TEST

static size_t learners(void)
{
    size_t count = 0;
    for (size_t i = 0; i < EK_COPIES_MAX; i++)
        count += learn.target.engine->learners[i].active || learn.target.engine->learners[i].cursor;
    return count;
}

START_TEST(a_comparison_that_is_cut_short_holds_nothing)
{
    write_large(50, 0);
    learn_fill();
    learn_open_copy();
    ck_assert_int_eq(learn_take_all().step, EK_MOVED_FETCHED);
    ck_assert_int_eq(learn_do(&learn.target, EK_LEARN_VERIFY).step, EK_MOVED_FETCHED);
    ck_assert_uint_eq(learners(), 1);
    if (_i)
        ek_engine_rig_assign(&learn.target, learn.attempt.shard, EK_HOLDING_RELEASED, EK_RIG_EPOCH);
    else
        ck_assert_int_eq(learn_do(&learn.target, EK_LEARN_DROP).step, 0);
    ck_assert_uint_eq(learners(), 0);
    ck_assert_int_eq(learn_verify().step, 0);
}
END_TEST

/* ---- roles ---- */

START_TEST(part_of_a_copy_goes_with_its_role)
{
    write_some();
    (void)learn_set_aside(ek_rig_increment(LEARN_KEY("n"), 100));
    learn_fill();
    learn_open_copy();
    ck_assert_int_eq(learn_take_all().step, EK_MOVED_FETCHED);
    ck_assert_uint_gt(learn_rows(&learn.target), 0);
    ek_engine_rig_assign(&learn.target, learn.attempt.shard, EK_HOLDING_RELEASED, EK_RIG_EPOCH);
    ck_assert_uint_eq(learn_rows(&learn.target), 0);
    ck_assert_uint_eq(learn_shard(&learn.target)->letters, 0);
    ek_engine_rig_assign(&learn.target, learn.attempt.shard, EK_HOLDING_SERVING, LEARN_EPOCH);
    ck_assert_int_eq(state(), EK_HOLDING_SERVING);
    ck_assert_uint_eq(learn_rows(&learn.target), 0);
}
END_TEST

/* As no broker says it: the disk and the memory must agree all the same. */
START_TEST(a_part_of_a_copy_that_is_released_and_given_in_one_word_is_not_served)
{
    struct ek_error error = {0};
    struct ek_holding holdings[] = {{.shard = learn.attempt.shard, .state = EK_HOLDING_RELEASED, .epoch = EK_RIG_EPOCH},
                                    {.shard = learn.attempt.shard, .state = EK_HOLDING_SERVING, .epoch = LEARN_EPOCH}};
    write_some();
    learn_fill();
    learn_open_copy();
    ck_assert_int_eq(learn_take_all().step, EK_MOVED_FETCHED);
    ck_assert_int_eq(ek_engine_assign(learn.target.engine, learn.target.link, holdings, 2, &error), EK_OK);
    enum ek_holding_state said = state();
    ck_assert_int_eq(holdings[1].state, said);
    learn_restart_target();
    ck_assert_int_eq(state(), said);
    ck_assert_uint_eq(learn_rows(&learn.target), 0);
}
END_TEST

START_TEST(a_new_owner_knows_until_when_its_rows_expire)
{
    struct ek_load *load = ek_load_new();
    struct ek_error error = {0};
    struct ek_operation expires = ek_rig_put(LEARN_KEY("here"), "v");
    expires.ttl_ms = 5000;
    (void)learn_write(EK_JOB_WRITE, expires, 0, 0);
    (void)learn_complete();
    struct ek_holding holding = {.shard = learn.attempt.shard, .state = EK_HOLDING_SERVING, .epoch = LEARN_EPOCH};
    struct ek_commit_item item = {.kind = EK_COMMIT_ASSIGN, .link = learn.target.link, .holdings = &holding, .holding_count = 1};
    struct ek_commit_done done = {.items = &item};
    ck_assert_int_eq(ek_group_run(learn.target.engine, &done, &error), EK_OK);
    ek_group_note_expiry(learn.target.engine, &done, load);
    ck_assert_int_eq(state(), EK_HOLDING_SERVING);
    ck_assert_uint_eq(load->shards[learn.attempt.shard].expires_unix_ms, STAMP + 5000);
    item.link.link++; /* of a link that has ended: nothing is carried out, nothing is noted */
    ek_load_expires(load, learn.attempt.shard, 77);
    done = (struct ek_commit_done){.items = &item};
    ck_assert_int_eq(ek_group_run(learn.target.engine, &done, &error), EK_OK);
    ek_group_note_expiry(learn.target.engine, &done, load);
    ck_assert_uint_eq(load->shards[learn.attempt.shard].expires_unix_ms, 77);
    ek_load_destroy(&load);
}
END_TEST

START_TEST(what_is_left_of_an_earlier_role_counts_no_letters_after_a_loss)
{
    struct ek_error error = {0};
    struct ek_holding now;
    (void)learn_set_aside(ek_rig_increment(LEARN_KEY("n"), 100));
    ek_engine_rig_assign(&learn.source, learn.attempt.shard, EK_HOLDING_RELEASED, EK_RIG_EPOCH);
    ck_assert_uint_eq(learn_shard(&learn.source)->letters, 1);
    struct ek_loss loss = {.shard = learn.attempt.shard, .epoch = LEARN_EPOCH, .position = 1000, .floor = 5};
    ck_assert_int_eq(ek_engine_give_up(learn.source.engine, learn.source.link, &loss, 1, &now, &error), EK_OK);
    ck_assert_int_eq(now.state, EK_HOLDING_SERVING);
    ck_assert_uint_eq(learn_rows(&learn.source), 0);
    ck_assert_uint_eq(learn_shard(&learn.source)->letters, 0);
    ck_assert_uint_eq(learn_shard(&learn.source)->letter_bytes, 0);
    ck_assert_uint_eq(learn.source.engine->dead_kept, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("learning a shard");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, learn_setup, learn_teardown);
    tcase_add_test(tests, a_range_is_emptied_before_it_is_filled_and_after_a_restart);
    tcase_add_loop_test(tests, what_is_served_or_set_aside_or_newer_is_not_emptied, 0, 3);
    tcase_add_test(tests, a_fifth_copy_at_a_time_is_refused);
    tcase_add_test(tests, steps_of_another_link_are_nobodys);
    tcase_add_test(tests, a_copy_is_equal_and_stays_so_after_a_restart);
    tcase_add_test(tests, a_shard_without_rows_is_copied);
    tcase_add_test(tests, a_copy_is_as_of_its_position_whatever_is_written_meanwhile);
    tcase_add_test(tests, a_large_copy_comes_in_chunks_each_of_which_may_come_again);
    tcase_add_test(tests, a_row_of_the_largest_size_has_a_chunk_of_its_own);
    tcase_add_loop_test(tests, a_copy_that_is_not_whole_is_refused, 0, DAMAGES);
    tcase_add_loop_test(tests, what_is_stored_is_compared_with_what_was_sent, 0, 3);
    tcase_add_test(tests, a_copy_of_an_earlier_position_than_this_worker_knows_is_refused);
    tcase_add_test(tests, only_who_serves_a_shard_gives_a_copy_of_it);
    tcase_add_test(tests, rows_that_had_expired_at_the_copys_stamp_stay_behind);
    tcase_add_loop_test(tests, what_one_chunk_passes_over_is_bounded, 0, 2);
    tcase_add_test(tests, a_long_comparison_says_that_it_goes_on);
    tcase_add_loop_test(tests, a_comparison_that_is_cut_short_holds_nothing, 0, 2);
    tcase_add_test(tests, part_of_a_copy_goes_with_its_role);
    tcase_add_test(tests, a_part_of_a_copy_that_is_released_and_given_in_one_word_is_not_served);
    tcase_add_test(tests, a_new_owner_knows_until_when_its_rows_expire);
    tcase_add_test(tests, what_is_left_of_an_earlier_role_counts_no_letters_after_a_loss);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
