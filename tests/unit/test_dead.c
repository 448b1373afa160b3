/* Dead letters on the worker: kept, listed, dropped and replayed, on a real store and through restarts. */
#include "common/hash.h"
#include "common/letters.h"
#include "common/operations.h"
#include "common/writer.h"
#include "tests/support/engine_rig.h"
#include "tests/support/run_suite.h"
#include "worker/dead.h"
#include "worker/letters.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct ek_engine_rig rig;
static struct ek_buffer dead_body;
static uint8_t id[EK_DEAD_ID_BYTES];

static void set_up(void)
{
    ek_engine_rig_open(&rig, EK_BOOK_LIVE_BYTES_MAX);
}

static void tear_down(void)
{
    ek_engine_rig_done(&rig);
    ek_buffer_done(&dead_body);
}

/* The job that sets `job` aside, in its place. */
static struct ek_worker_job dead_of(struct ek_worker_job job, bool kept)
{
    struct ek_dead dead = {.cause = ek_slice_text("it died"),
                           .time_unix_ms = 123456,
                           .kind = job.kind,
                           .operations = job.count,
                           .job = kept ? job.body : ek_slice_of(NULL, 0)};
    ek_buffer_clear(&dead_body);
    ek_encode_dead(&dead_body, &dead);
    job.kind = EK_JOB_DEAD;
    job.body = ek_buffer_slice(&dead_body);
    return job;
}

/* Sets a job aside in a group of its own; returns its position. */
static uint64_t set_aside(enum ek_job_kind kind, const struct ek_operation *operations, size_t count)
{
    struct ek_worker_job job = dead_of(ek_rig_job(&rig, kind, operations, count), true);
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_DEAD);
    return job.position;
}

static uint64_t set_aside_one(struct ek_operation operation)
{
    return set_aside(EK_JOB_WRITE, &operation, 1);
}

static struct ek_operation on_letter(enum ek_operation_code code, const char *key, uint64_t position)
{
    ek_letter_id(id, (uint16_t)ek_shard_first(ek_rig_shard(key), EK_RIG_SHARDS), position);
    return (struct ek_operation){.code = code, .key = ek_slice_of(id, sizeof id)};
}

/* The result of a drop or replay in a group of its own. */
static struct ek_result act(enum ek_operation_code code, const char *key, uint64_t position)
{
    struct ek_worker_reply reply = ek_rig_run_one(&rig, EK_JOB_WRITE, on_letter(code, key, position));
    return ek_rig_result(&reply, code, 0);
}

static uint32_t letters(const char *key)
{
    return rig.engine->judge.shards[ek_rig_shard(key)].letters;
}

static uint64_t position_of(const char *key)
{
    return rig.engine->judge.shards[ek_rig_shard(key)].memory.position;
}

/* ---- keeping ---- */

START_TEST(it_is_kept_with_its_verdict_and_survives_a_restart)
{
    struct ek_operation operations[] = {ek_rig_put("{a}x", "1"), ek_rig_put("{a}y", "2")};
    struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_WRITE, operations, 2);
    job.producer = 77;
    job.number = job.lowest = 1;
    job = dead_of(job, true);
    struct ek_worker_reply reply = ek_rig_run(&rig, &job);
    ck_assert_int_eq(reply.status, EK_WIRE_DEAD);
    uint32_t index;
    struct ek_reader body = ek_reader_of(reply.body);
    struct ek_result result;
    ck_assert_int_eq(ek_decode_refused(&body, &index), EK_OK);
    ck_assert_int_eq(ek_decode_result(&body, EK_OPERATION_PUT, &result), EK_OK);
    ck_assert_str_eq(result.text, "it died");
    ck_assert_uint_eq(position_of("{a}x"), 2);
    ck_assert_ptr_null(ek_rig_value(&rig, "{a}x"));
    ck_assert_uint_eq(rig.engine->dead_kept, 1);
    struct ek_buffer before = {0};
    struct ek_buffer after = {0};
    ek_rig_state(&rig, &before);
    ek_engine_rig_restart(&rig);
    ek_rig_state(&rig, &after);
    ck_assert(ek_slice_equal(ek_buffer_slice(&before), ek_buffer_slice(&after)));
    ck_assert_uint_eq(letters("{a}x"), 1);
    ck_assert_uint_eq(rig.engine->dead_kept, 1);
    reply = ek_rig_run(&rig, &job); /* once more: its stored answer */
    ck_assert_int_eq(reply.status, EK_WIRE_DEAD);
    ck_assert(reply.repeated);
    ck_assert_uint_eq(letters("{a}x"), 1);
    ek_buffer_done(&before);
    ek_buffer_done(&after);
}
END_TEST

START_TEST(the_job_itself_may_have_been_applied_before_the_death)
{
    struct ek_operation put = ek_rig_put("k", "v");
    struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_WRITE, &put, 1);
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_OK);
    ek_engine_rig_restart(&rig);
    job = dead_of(job, true);
    struct ek_worker_reply reply = ek_rig_run(&rig, &job);
    ck_assert_int_eq(reply.status, EK_WIRE_OK);
    ck_assert(reply.repeated);
    ck_assert_uint_eq(letters("k"), 0);
}
END_TEST

START_TEST(without_its_job_nothing_is_kept)
{
    struct ek_operation operations[] = {ek_rig_put("{a}x", "1"), ek_rig_put("{a}y", "2")};
    struct ek_worker_job job = dead_of(ek_rig_job(&rig, EK_JOB_WRITE, operations, 2), false);
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_FAILED);
    ck_assert_uint_eq(position_of("{a}x"), 2);
    ck_assert_uint_eq(letters("{a}x"), 0);
}
END_TEST

START_TEST(a_shard_keeps_no_more_than_its_number_of_letters)
{
    struct ek_operation put = ek_rig_put("k", "v");
    for (uint32_t i = 0; i < EK_DEAD_LETTERS_MAX; i += 100) {
        ek_rig_begin(&rig);
        for (uint32_t j = 0; j < 100; j++) {
            struct ek_worker_job job = dead_of(ek_rig_job(&rig, EK_JOB_WRITE, &put, 1), true);
            ck_assert_int_eq(ek_rig_judge(&rig, &job).status, EK_WIRE_DEAD);
        }
        ek_rig_commit(&rig);
    }
    for (int round = 0; round < 2; round++) {
        ck_assert_uint_eq(letters("k"), EK_DEAD_LETTERS_MAX);
        struct ek_worker_job job = dead_of(ek_rig_job(&rig, EK_JOB_WRITE, &put, 1), true);
        ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_FAILED);
        ek_engine_rig_restart(&rig);
    }
    ck_assert_uint_eq(rig.engine->dead_kept, EK_DEAD_LETTERS_MAX);
    ck_assert_int_eq(act(EK_OPERATION_DEAD_DROP, "k", 17).status, EK_WIRE_OK);
    ck_assert_uint_gt(set_aside_one(put), 0);
}
END_TEST

START_TEST(a_shard_keeps_no_more_than_its_bytes)
{
    enum { LARGE = 9 * 1024 * 1024, FITTING = (int)EK_DEAD_BYTES_MAX / (LARGE + (int)EK_DEAD_HEAD_BYTES_MAX) };
    char *text = ek_alloc(LARGE);
    memset(text, 'x', LARGE);
    struct ek_operation put = {.code = EK_OPERATION_PUT, .key = ek_slice_text("k"), .value = ek_slice_of(text, LARGE - 64)};
    for (int i = 0; i < FITTING; i++)
        (void)set_aside_one(put);
    struct ek_worker_job job = dead_of(ek_rig_job(&rig, EK_JOB_WRITE, &put, 1), true);
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_FAILED);
    ek_engine_rig_restart(&rig);
    job = dead_of(ek_rig_job(&rig, EK_JOB_WRITE, &put, 1), true);
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_FAILED);
    ck_assert_int_eq(act(EK_OPERATION_DEAD_REPLAY, "k", 1).status, EK_WIRE_OK);
    (void)set_aside_one(put);
    free(text);
}
END_TEST

START_TEST(letters_of_shards_that_were_released_do_not_count)
{
    (void)set_aside_one(ek_rig_put("k", "v"));
    struct ek_holding holding = {.shard = ek_rig_shard("k"), .state = EK_HOLDING_RELEASED, .epoch = EK_RIG_EPOCH + 1};
    ck_assert_int_eq(ek_engine_assign(rig.engine, rig.link, &holding, 1, NULL), EK_OK);
    ck_assert_uint_eq(rig.engine->dead_kept, 0);
}
END_TEST

/* ---- drop and replay ---- */

START_TEST(a_dropped_letter_is_gone)
{
    uint64_t position = set_aside_one(ek_rig_put("k", "v"));
    ck_assert_int_eq(act(EK_OPERATION_DEAD_DROP, "k", position + 1).status, EK_WIRE_NOT_FOUND);
    ck_assert_int_eq(act(EK_OPERATION_DEAD_DROP, "k", position).status, EK_WIRE_OK);
    ck_assert_uint_eq(rig.engine->dead_kept, 0);
    ck_assert_int_eq(act(EK_OPERATION_DEAD_DROP, "k", position).status, EK_WIRE_NOT_FOUND);
    ck_assert_int_eq(act(EK_OPERATION_DEAD_DROP, "k", position + 1).status, EK_WIRE_NOT_FOUND);
    ek_engine_rig_restart(&rig);
    ck_assert_int_eq(act(EK_OPERATION_DEAD_REPLAY, "k", position).status, EK_WIRE_NOT_FOUND);
    ck_assert_ptr_null(ek_rig_value(&rig, "k"));
}
END_TEST

START_TEST(a_replay_applies_and_removes_under_one_version)
{
    struct ek_operation operations[] = {ek_rig_put("{a}x", "1"), ek_rig_increment("{a}n", 5), ek_rig_put("{a}x", "2"),
                                        ek_rig_key(EK_OPERATION_DELETE, "{a}gone")};
    uint64_t position = set_aside(EK_JOB_WRITE, operations, 4);
    (void)ek_rig_run_one(&rig, EK_JOB_WRITE, ek_rig_put("{a}z", "between"));
    ek_engine_rig_restart(&rig);
    uint64_t version = position_of("{a}x") + 1;
    struct ek_result result = act(EK_OPERATION_DEAD_REPLAY, "{a}x", position);
    ck_assert_int_eq(result.status, EK_WIRE_OK);
    ck_assert_int_eq(result.number, 0);
    ck_assert_uint_eq(position_of("{a}x"), version);
    ek_engine_rig_restart(&rig);
    ck_assert_str_eq(ek_rig_value(&rig, "{a}x"), "2");
    ck_assert_str_eq(ek_rig_value(&rig, "{a}n"), "5");
    ck_assert_uint_eq(letters("{a}x"), 0);
    struct ek_operation condition = ek_rig_put("{a}n", "7");
    condition.condition = EK_CONDITION_VERSION;
    condition.version = version;
    struct ek_worker_reply reply = ek_rig_run_one(&rig, EK_JOB_WRITE, condition);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_PUT, 0).status, EK_WIRE_OK);
}
END_TEST

START_TEST(a_replayed_batch_counts_what_changed_nothing)
{
    (void)ek_rig_run_one(&rig, EK_JOB_WRITE, ek_rig_put("{a}x", "no number"));
    struct ek_operation absent = ek_rig_put("{a}x", "again");
    absent.condition = EK_CONDITION_ABSENT;
    struct ek_operation operations[] = {absent, ek_rig_increment("{a}x", 1), ek_rig_key(EK_OPERATION_DELETE, "{a}gone"),
                                        ek_rig_put("{a}y", "1")};
    uint64_t position = set_aside(EK_JOB_WRITE, operations, 4);
    struct ek_result result = act(EK_OPERATION_DEAD_REPLAY, "{a}x", position);
    ck_assert_int_eq(result.status, EK_WIRE_OK);
    ck_assert_int_eq(result.number, 2);
    ck_assert_str_eq(ek_rig_value(&rig, "{a}y"), "1");
    ck_assert_uint_eq(letters("{a}x"), 0);
}
END_TEST

START_TEST(a_replayed_transaction_that_does_not_hold_stays)
{
    (void)ek_rig_run_one(&rig, EK_JOB_WRITE, ek_rig_put("{a}x", "old"));
    uint64_t version = position_of("{a}x");
    struct ek_operation absent = ek_rig_put("{a}x", "new");
    absent.condition = EK_CONDITION_ABSENT;
    struct ek_operation operations[] = {ek_rig_put("{a}y", "1"), absent};
    uint64_t position = set_aside(EK_JOB_TRANSACTION, operations, 2);
    struct ek_result result = act(EK_OPERATION_DEAD_REPLAY, "{a}x", position);
    ck_assert_int_eq(result.status, EK_WIRE_CONDITION_FAILED);
    ck_assert_uint_eq(result.version, version);
    ck_assert_ptr_null(ek_rig_value(&rig, "{a}y"));
    ck_assert_uint_eq(letters("{a}x"), 1);
    (void)ek_rig_run_one(&rig, EK_JOB_WRITE, ek_rig_key(EK_OPERATION_DELETE, "{a}x"));
    ck_assert_int_eq(act(EK_OPERATION_DEAD_REPLAY, "{a}x", position).status, EK_WIRE_OK);
    ck_assert_str_eq(ek_rig_value(&rig, "{a}x"), "new");
    ck_assert_uint_eq(letters("{a}x"), 0);
}
END_TEST

START_TEST(a_replayed_job_that_cannot_be_applied_stays_and_says_why)
{
    struct ek_operation operations[] = {ek_rig_put("{a}x", "1"), ek_rig_put("of another shard", "2")};
    uint64_t position = set_aside(EK_JOB_WRITE, operations, 2);
    struct ek_result result = act(EK_OPERATION_DEAD_REPLAY, "{a}x", position);
    ck_assert_int_eq(result.status, EK_WIRE_FAILED);
    ck_assert_str_eq(result.text, "the key belongs to another shard");
    ck_assert_uint_eq(letters("{a}x"), 1);
}
END_TEST

/* As if the disk had it so. */
static void store_letter(const char *key, uint64_t position, const struct ek_letter *letter)
{
    struct ek_buffer head = {0};
    struct ek_error error;
    struct ek_book_key at = ek_book_dead_key(ek_rig_shard(key), position);
    ek_letter_write_head(&head, letter);
    ek_store_put(rig.store, EK_STORE_BOOK, ek_slice_of(at.bytes, at.size), ek_buffer_slice(&head), letter->job);
    ck_assert_int_eq(ek_store_commit(rig.store, &error), EK_OK);
    ek_buffer_done(&head);
}

START_TEST(a_letter_that_says_more_operations_than_it_has_is_not_applied)
{
    struct ek_operation put = ek_rig_put("k", "v");
    uint64_t position = set_aside_one(put);
    struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_WRITE, &put, 1);
    store_letter("k", position, &(struct ek_letter){.kind = EK_JOB_WRITE, .operations = 4000, .job = job.body});
    ck_assert_int_eq(act(EK_OPERATION_DEAD_REPLAY, "k", position).status, EK_WIRE_FAILED);
    ck_assert_ptr_null(ek_rig_value(&rig, "k"));
    ck_assert_uint_eq(letters("k"), 1);
}
END_TEST

START_TEST(a_replay_that_kills_leaves_its_letter)
{
    uint64_t position = set_aside_one(ek_rig_put("k", "v"));
    struct ek_operation replay = on_letter(EK_OPERATION_DEAD_REPLAY, "k", position);
    struct ek_worker_job job = dead_of(ek_rig_job(&rig, EK_JOB_WRITE, &replay, 1), true);
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_FAILED);
    ck_assert_uint_eq(letters("k"), 1);
    ck_assert_uint_eq(position_of("k"), position + 1);
    ck_assert_int_eq(act(EK_OPERATION_DEAD_REPLAY, "k", position).status, EK_WIRE_OK);
}
END_TEST

START_TEST(changes_of_one_group_see_each_other)
{
    struct ek_operation put = ek_rig_put("k", "v");
    struct ek_worker_reply reply;
    ek_rig_begin(&rig);
    struct ek_worker_job aside = dead_of(ek_rig_job(&rig, EK_JOB_WRITE, &put, 1), true);
    ck_assert_int_eq(ek_rig_judge(&rig, &aside).status, EK_WIRE_DEAD);
    struct ek_operation replay = on_letter(EK_OPERATION_DEAD_REPLAY, "k", aside.position);
    struct ek_worker_job first = ek_rig_job(&rig, EK_JOB_WRITE, &replay, 1);
    reply = ek_rig_judge(&rig, &first);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_DEAD_REPLAY, 0).status, EK_WIRE_OK);
    struct ek_worker_job second = ek_rig_job(&rig, EK_JOB_WRITE, &replay, 1);
    reply = ek_rig_judge(&rig, &second);
    ck_assert_int_eq(ek_rig_result(&reply, EK_OPERATION_DEAD_REPLAY, 0).status, EK_WIRE_NOT_FOUND);
    ek_rig_commit(&rig);
    ck_assert_str_eq(ek_rig_value(&rig, "k"), "v");
    ck_assert_int_eq(act(EK_OPERATION_DEAD_DROP, "k", aside.position).status, EK_WIRE_NOT_FOUND);
    ck_assert_uint_eq(letters("k"), 0);
}
END_TEST

START_TEST(letters_replayed_in_one_group_keep_their_bytes)
{
    enum { LETTERS = 6 };
    static const char *const keys[LETTERS] = {"{a}1", "{a}2", "{a}3", "{a}4", "{a}5", "{a}6"};
    char text[3000];
    uint64_t positions[LETTERS];
    for (size_t i = 0; i < LETTERS; i++) {
        memset(text, 'a' + (int)i, sizeof text - 1);
        text[sizeof text - 1] = 0;
        positions[i] = set_aside_one(ek_rig_put(keys[i], text));
    }
    ek_rig_begin(&rig);
    for (size_t i = 0; i < LETTERS; i++) {
        struct ek_operation replay = on_letter(EK_OPERATION_DEAD_REPLAY, keys[i], positions[i]);
        struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_WRITE, &replay, 1);
        ck_assert_int_eq(ek_rig_judge(&rig, &job).status, EK_WIRE_OK);
    }
    ek_rig_commit(&rig);
    for (size_t i = 0; i < LETTERS; i++) {
        memset(text, 'a' + (int)i, sizeof text - 1);
        ck_assert_str_eq(ek_rig_value(&rig, keys[i]), text);
    }
    ck_assert_uint_eq(letters("{a}1"), 0);
}
END_TEST

START_TEST(drop_and_replay_stand_alone_in_a_write)
{
    uint64_t position = set_aside_one(ek_rig_put("k", "v"));
    struct ek_operation drop = on_letter(EK_OPERATION_DEAD_DROP, "k", position);
    struct ek_operation two[] = {drop, ek_rig_put("k", "w")};
    struct ek_worker_job job = ek_rig_job(&rig, EK_JOB_WRITE, two, 2);
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_FAILED);
    static const enum ek_job_kind kinds[] = {EK_JOB_TRANSACTION, EK_JOB_DELETE};
    for (size_t i = 0; i < 2; i++) {
        job = ek_rig_job(&rig, kinds[i], &drop, 1);
        ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_FAILED);
    }
    job = ek_rig_job(&rig, EK_JOB_WRITE, &drop, 1);
    job.shard = (uint16_t)((job.shard + 1) % EK_RIG_SHARDS);
    job.position = rig.engine->judge.shards[job.shard].memory.position + 1;
    ck_assert_int_eq(ek_rig_run(&rig, &job).status, EK_WIRE_FAILED);
    ck_assert_uint_eq(letters("k"), 1);
}
END_TEST

/* ---- lists ---- */

struct page {
    uint32_t count;
    uint64_t positions[64];
    size_t job_bytes;
    uint8_t cursor[EK_DEAD_ID_BYTES];
    size_t cursor_bytes;
};

/* One list operation, whose result must be OK. */
static struct page list(uint16_t shard, struct ek_slice cursor, uint32_t limit, bool jobs, size_t room_bytes, bool alone)
{
    struct ek_scan scan = {
        .shard = shard, .shards = EK_RIG_SHARDS, .alone = alone, .rows_left = EK_SCAN_ROWS_MAX, .room_bytes = room_bytes};
    struct ek_operation operation = {.code = EK_OPERATION_DEAD_LIST, .cursor = cursor, .limit = limit, .values = jobs};
    struct ek_buffer entries = {0};
    struct ek_buffer out = {0};
    struct page page = {0};
    struct ek_result result;
    ck_assert_int_eq(ek_letters_list(&scan, rig.store, &operation, &entries, &out, NULL), EK_OK);
    struct ek_reader body = ek_reader_of(ek_buffer_slice(&out));
    ck_assert_int_eq(ek_decode_result(&body, EK_OPERATION_DEAD_LIST, &result), EK_OK);
    page.count = result.status == EK_WIRE_ALONE ? UINT32_MAX : result.entries;
    for (uint32_t i = 0; i < result.entries; i++) {
        struct ek_letter letter;
        ck_assert_int_eq(ek_decode_letter(&body, &letter), EK_OK);
        ck_assert_int_eq(letter.job.data != NULL, jobs);
        ck_assert_uint_eq(letter.time_unix_ms, 123456);
        ck_assert(ek_slice_equal(letter.cause, ek_slice_text("it died")));
        ck_assert_uint_eq(ek_shard_of(ek_get_u16(letter.id.data), EK_RIG_SHARDS), shard);
        page.positions[i] = ek_letter_position(letter.id);
        page.job_bytes += letter.job.size;
    }
    struct ek_slice behind = {0};
    if (result.status == EK_WIRE_OK)
        ck_assert_int_eq(ek_decode_cursor(&body, &behind), EK_OK);
    page.cursor_bytes = behind.size;
    if (behind.size)
        memcpy(page.cursor, behind.data, behind.size);
    ek_buffer_done(&entries);
    ek_buffer_done(&out);
    return page;
}

static const struct ek_slice start = {0};

START_TEST(a_list_goes_on_where_it_stopped_and_through_the_shards)
{
    uint16_t shard = ek_rig_shard("k");
    for (int i = 0; i < 5; i++)
        (void)set_aside_one(ek_rig_put("k", "value"));
    struct page page = list(shard, start, 2, false, EK_MIB, true);
    ck_assert_uint_eq(page.count, 2);
    ck_assert_uint_eq(page.positions[1], 2);
    ck_assert_uint_eq(page.cursor_bytes, EK_DEAD_ID_BYTES);
    page = list(shard, ek_slice_of(page.cursor, page.cursor_bytes), 1000, true, EK_MIB, true);
    ck_assert_uint_eq(page.count, 3);
    ck_assert_uint_eq(page.positions[0], 3);
    ck_assert_uint_gt(page.job_bytes, 0);
    ck_assert_uint_eq(page.cursor_bytes, shard + 1u < EK_RIG_SHARDS ? 2 : 0);
    page = list(EK_RIG_SHARDS - 1, start, 1000, true, EK_MIB, true);
    ck_assert_uint_eq(page.cursor_bytes, 0);
    page = list((uint16_t)(shard ? shard - 1 : 1), start, 1000, true, EK_MIB, true);
    ck_assert_uint_eq(page.count, 0);
    uint8_t last[EK_DEAD_ID_BYTES];
    ek_letter_id(last, (uint16_t)ek_shard_first(shard, EK_RIG_SHARDS), UINT64_MAX);
    ck_assert_uint_eq(list(shard, ek_slice_of(last, sizeof last), 10, false, EK_MIB, true).count, 0);
}
END_TEST

START_TEST(a_list_keeps_within_its_room)
{
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    uint16_t shard = ek_rig_shard("k");
    for (int i = 0; i < 4; i++)
        (void)set_aside_one(ek_rig_put("k", text));
    ck_assert_uint_eq(list(shard, start, 1000, true, 5000, true).count, 2);
    ck_assert_uint_eq(list(shard, start, 1000, true, 100, true).count, 1);
    ck_assert_uint_eq(list(shard, start, 1000, true, 100, false).count, UINT32_MAX);
    ck_assert_uint_eq(list(shard, start, 1000, false, 5000, false).count, 4);
}
END_TEST

START_TEST(damaged_letters_are_told)
{
    struct ek_letter letter = {
        .time_unix_ms = 1, .kind = EK_JOB_WRITE, .operations = 1, .cause = ek_slice_text("why"), .job = ek_slice_text("job")};
    struct ek_letter read;
    struct ek_buffer bytes = {0};
    ek_letter_write_head(&bytes, &letter);
    size_t head = bytes.size;
    ek_buffer_append(&bytes, "job", 3);
    ck_assert_int_eq(ek_letter_read(ek_buffer_slice(&bytes), &read), EK_OK);
    ck_assert(ek_slice_equal(read.job, letter.job) && ek_slice_equal(read.cause, letter.cause));
    for (size_t size = 0; size < head; size++)
        ck_assert_int_eq(ek_letter_read(ek_slice_of(bytes.data, size), &read), EK_CORRUPT);
    bytes.data[0] = EK_LETTER_FORMAT + 1;
    ck_assert_int_eq(ek_letter_read(ek_buffer_slice(&bytes), &read), EK_NEWER);
    bytes.data[0] = 0;
    ck_assert_int_eq(ek_letter_read(ek_buffer_slice(&bytes), &read), EK_CORRUPT);
    ek_buffer_done(&bytes);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("dead");
    TCase *tests = tcase_create("dead");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, it_is_kept_with_its_verdict_and_survives_a_restart);
    tcase_add_test(tests, the_job_itself_may_have_been_applied_before_the_death);
    tcase_add_test(tests, without_its_job_nothing_is_kept);
    tcase_add_test(tests, a_shard_keeps_no_more_than_its_number_of_letters);
    tcase_add_test(tests, a_shard_keeps_no_more_than_its_bytes);
    tcase_add_test(tests, letters_of_shards_that_were_released_do_not_count);
    tcase_add_test(tests, a_dropped_letter_is_gone);
    tcase_add_test(tests, a_replay_applies_and_removes_under_one_version);
    tcase_add_test(tests, a_replayed_batch_counts_what_changed_nothing);
    tcase_add_test(tests, a_replayed_transaction_that_does_not_hold_stays);
    tcase_add_test(tests, a_replayed_job_that_cannot_be_applied_stays_and_says_why);
    tcase_add_test(tests, a_letter_that_says_more_operations_than_it_has_is_not_applied);
    tcase_add_test(tests, a_replay_that_kills_leaves_its_letter);
    tcase_add_test(tests, changes_of_one_group_see_each_other);
    tcase_add_test(tests, letters_replayed_in_one_group_keep_their_bytes);
    tcase_add_test(tests, drop_and_replay_stand_alone_in_a_write);
    tcase_add_test(tests, a_list_goes_on_where_it_stopped_and_through_the_shards);
    tcase_add_test(tests, a_list_keeps_within_its_room);
    tcase_add_test(tests, damaged_letters_are_told);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
