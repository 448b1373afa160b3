/* What a worker says of everything that it has stored, on real stores: roles, rows, hashes, and what cannot be right. */
#include "common/codec.h"
#include "common/hash.h"
#include "tests/support/engine_rig.h"
#include "tests/support/learn_rig.h"
#include "tests/support/run_suite.h"
#include "worker/learn.h"
#include "worker/rows.h"
#include "worker/survey.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

enum { CHECK = 5, LATER = 100000 };

/* All reports of a survey: what is said by shard, and how many parts it took. */
static struct ek_checked found[EK_RIG_SHARDS];
static bool told[EK_RIG_SHARDS];
static size_t parts;

static void take_report(struct ek_engine_rig *rig, struct ek_slice message, bool last)
{
    enum ek_message_type type;
    struct ek_reader fields;
    struct ek_check_report report;
    ck_assert_int_eq(ek_decode_type(message, &type, &fields), EK_OK);
    ck_assert_int_eq(type, EK_MESSAGE_WORKER_CHECKED);
    ck_assert_int_eq(ek_decode_check_report(&fields, &report), EK_OK);
    ck_assert_uint_eq(report.link.link, rig->link.link);
    ck_assert_uint_eq(report.check, CHECK);
    ck_assert_int_eq(report.last, last);
    for (uint32_t i = 0; i < report.count; i++) {
        struct ek_checked shard;
        ck_assert_int_eq(ek_decode_checked(&fields, &shard), EK_OK);
        for (uint16_t above = shard.shard; above < EK_RIG_SHARDS; above++)
            ck_assert(!told[above]);
        told[shard.shard] = true;
        found[shard.shard] = shard;
    }
    ck_assert_int_eq(ek_decode_end(&fields), EK_OK);
    parts++;
}

static void finish(struct ek_engine_rig *rig, struct ek_survey *survey)
{
    struct ek_buffer out = {0};
    struct ek_error error = {0};
    memset(found, 0, sizeof found);
    memset(told, 0, sizeof told);
    parts = 0;
    for (bool last = false; !last;) {
        ek_buffer_clear(&out);
        ck_assert_msg(ek_survey_run(survey, &out, &last, &error) == EK_OK, "%s", error.text);
        take_report(rig, ek_buffer_slice(&out), last);
    }
    ek_buffer_done(&out);
    ek_survey_destroy(&survey);
}

static void survey(struct ek_engine_rig *rig)
{
    finish(rig, ek_survey_open(rig->engine, rig->link, CHECK));
}

static const struct ek_checked *mine(void)
{
    return &found[learn.attempt.shard];
}

static void put(const char *key, const char *value)
{
    (void)learn_write(EK_JOB_WRITE, ek_rig_put(key, value), 0, 0);
}

static void put_expiring(const char *key, uint64_t ttl_ms)
{
    struct ek_operation operation = ek_rig_put(key, "soon");
    operation.ttl_ms = ttl_ms;
    (void)learn_write(EK_JOB_WRITE, operation, 0, 0);
}

/* A write with a later stamp: what had expired by then is gone for everybody. */
static void let_expire(void)
{
    struct ek_operation operation = ek_rig_put(LEARN_KEY("late"), "v");
    struct ek_worker_job job = ek_rig_job(&learn.source, EK_JOB_WRITE, &operation, 1);
    job.stamp_unix_ms = LATER;
    ck_assert_int_eq(ek_rig_run(&learn.source, &job).status, EK_WIRE_OK);
}

static void commit(struct ek_engine_rig *rig)
{
    struct ek_error error = {0};
    ck_assert_msg(ek_store_commit(rig->store, &error) == EK_OK, "%s", error.text);
}

/* Behind the judge's back. */
static void plant(struct ek_engine_rig *rig, uint16_t prefix, const char *key, uint64_t version)
{
    uint8_t physical[EK_ROW_KEY_BYTES_MAX];
    uint8_t head[EK_ROW_HEAD_BYTES_MAX];
    size_t size = ek_row_key(physical, prefix, ek_slice_text(key));
    size_t head_bytes = ek_row_head(head, version, 0);
    ek_store_put(rig->store, EK_STORE_ROWS, ek_slice_of(physical, size), ek_slice_of(head, head_bytes), ek_slice_text("planted"));
    commit(rig);
}

static uint16_t prefix_of(const char *key)
{
    return ek_hash_prefix(ek_slice_text(key));
}

/* ---- tests ---- */

START_TEST(roles_and_rows_are_those_of_one_moment)
{
    put(LEARN_KEY("1"), "a");
    put(LEARN_KEY("2"), "b");
    uint64_t position = learn_shard(&learn.source)->memory.position;
    struct ek_survey *before = ek_survey_open(learn.source.engine, learn.source.link, CHECK);
    ck_assert_uint_eq(ek_survey_link(before).link, learn.source.link.link);
    put(LEARN_KEY("3"), "c");
    ek_engine_rig_assign(&learn.source, learn.attempt.shard, EK_HOLDING_RELEASED, EK_RIG_EPOCH + 1);
    finish(&learn.source, before);
    ck_assert_uint_eq(mine()->state, EK_HOLDING_SERVING);
    ck_assert_uint_eq(mine()->epoch, EK_RIG_EPOCH);
    ck_assert_uint_eq(mine()->position, position);
    ck_assert_uint_eq(mine()->rows, 2);
    survey(&learn.source);
    ck_assert_uint_eq(mine()->state, EK_HOLDING_RELEASED);
    ck_assert_uint_eq(mine()->epoch, EK_RIG_EPOCH + 1);
    ck_assert_uint_eq(mine()->rows, 3);
    for (size_t i = 0; i < EK_RIG_SHARDS; i++) {
        ck_assert(told[i]); /* roles without rows, too */
        ck_assert_uint_eq(found[i].bad_rows + found[i].bad_entries, 0);
    }
}
END_TEST

START_TEST(a_learner_at_the_same_position_has_the_same_hash)
{
    put(LEARN_KEY("1"), "a");
    put_expiring(LEARN_KEY("2"), 60000);
    put_expiring(LEARN_KEY("3"), LATER * 2);
    let_expire();
    (void)learn_complete();
    survey(&learn.source);
    struct ek_checked source = *mine();
    ck_assert_uint_eq(source.rows, 4);
    ck_assert_uint_eq(source.expired_rows, 1);
    survey(&learn.target);
    ck_assert_uint_eq(mine()->state, EK_HOLDING_LEARNER);
    ck_assert_uint_eq(mine()->position, source.position);
    ck_assert_uint_eq(mine()->rows, 3); /* what had expired is no part of a copy */
    ck_assert_uint_eq(mine()->hash, source.hash);
    plant(&learn.target, prefix_of(LEARN_KEY("1")), LEARN_KEY("1"), 1);
    survey(&learn.target);
    ck_assert_uint_eq(mine()->rows, 3);
    ck_assert_uint_eq(mine()->bad_rows, 0);
    ck_assert_uint_ne(mine()->hash, source.hash);
}
END_TEST

START_TEST(rows_that_cannot_be_right_are_counted)
{
    uint16_t prefix = prefix_of(LEARN_KEY("1"));
    put(LEARN_KEY("1"), "a");
    uint64_t position = learn_shard(&learn.source)->memory.position;
    plant(&learn.source, prefix, LEARN_KEY("2"), position);
    survey(&learn.source);
    ck_assert_uint_eq(mine()->bad_rows, 0);
    plant(&learn.source, prefix, LEARN_KEY("2"), position + 1);
    plant(&learn.source, prefix, LEARN_KEY("3"), 0);
    plant(&learn.source, prefix, "{n}of another tag", 1);
    plant(&learn.source, prefix_of(""), "", 1);
    uint8_t head[EK_ROW_HEAD_BYTES_MAX];
    struct ek_slice sound = ek_slice_of(head, ek_row_head(head, 1, 0));
    ek_store_put(learn.source.store, EK_STORE_ROWS, ek_slice_of("\x01", 1), sound, ek_slice_text(""));
    ek_store_put(learn.source.store, EK_STORE_ROWS, ek_slice_of("\xff\xffkey", 5), ek_slice_text("\x7f"),
                 ek_slice_text("no header"));
    commit(&learn.source);
    survey(&learn.source);
    uint64_t rows = 0, bad = 0;
    for (size_t i = 0; i < EK_RIG_SHARDS; i++) {
        rows += found[i].rows;
        bad += found[i].bad_rows;
    }
    ck_assert_uint_eq(rows, 7);
    ck_assert_uint_eq(bad, 6);
    ck_assert_uint_ge(mine()->bad_rows, 3);
    ck_assert_uint_ge(found[0].bad_rows, 1);
    ck_assert_uint_ge(found[EK_RIG_SHARDS - 1].bad_rows, 1);
}
END_TEST

START_TEST(rows_without_a_role_are_told)
{
    ek_engine_rig_done(&learn.target);
    ek_engine_rig_open(&learn.target, EK_BOOK_LIVE_BYTES_MAX);
    uint16_t shard = learn.attempt.shard;
    learn.target.engine->judge.shards[shard].epoch = 0; /* as if it had never been told */
    survey(&learn.target);
    ck_assert(!told[shard]);
    plant(&learn.target, prefix_of(LEARN_KEY("1")), LEARN_KEY("1"), 1);
    survey(&learn.target);
    ck_assert(told[shard]);
    ck_assert_uint_eq(mine()->state, 0);
    ck_assert_uint_eq(mine()->rows, 1);
}
END_TEST

START_TEST(book_keeping_is_held_against_what_the_worker_goes_by)
{
    uint16_t shard = learn.attempt.shard;
    (void)learn_set_aside(ek_rig_put(LEARN_KEY("dead"), "1"));
    uint64_t position = learn_shard(&learn.source)->memory.position;
    survey(&learn.source);
    ck_assert_uint_eq(mine()->bad_entries, 0);
    struct ek_book_key letter = ek_book_dead_key(shard, position);
    ek_store_delete(learn.source.store, EK_STORE_BOOK, ek_slice_of(letter.bytes, letter.size));
    commit(&learn.source);
    survey(&learn.source);
    ck_assert_uint_eq(mine()->bad_entries, 1); /* a letter too few */
    ek_store_put(learn.source.store, EK_STORE_BOOK, ek_slice_of(letter.bytes, letter.size), ek_slice_text("?"), ek_slice_text(""));
    ek_engine_put_role(learn.source.engine, &(struct ek_holding){.shard = shard, .state = EK_HOLDING_SERVING, .epoch = 99});
    commit(&learn.source);
    survey(&learn.source);
    ck_assert_uint_eq(mine()->bad_entries, 2); /* one that cannot be read, and another role */
    struct ek_book_key role = ek_book_key_of(EK_BOOK_ROLE, shard);
    ek_store_delete(learn.source.store, EK_STORE_BOOK, ek_slice_of(role.bytes, role.size));
    ek_store_delete(learn.source.store, EK_STORE_BOOK, ek_slice_of(letter.bytes, letter.size));
    commit(&learn.source);
    survey(&learn.source);
    ck_assert_uint_eq(mine()->bad_entries, 2); /* neither is there */
    ek_engine_rig_assign(&learn.source, shard, EK_HOLDING_RELEASED, EK_RIG_EPOCH + 1);
    survey(&learn.source);
    ck_assert_uint_eq(mine()->bad_entries, 0); /* what is not served any more is not counted */
}
END_TEST

START_TEST(it_goes_in_parts)
{
    enum { ROWS_A_JOB = 500, JOBS = 10, LARGE_BYTES = 300 * 1024, LISTS_PARTS = 16384 / 64 };
    static char keys[ROWS_A_JOB][32];
    static char large[LARGE_BYTES + 1];
    struct ek_operation operations[ROWS_A_JOB];
    survey(&learn.source);
    ck_assert_uint_eq(parts, LISTS_PARTS); /* of at most 64 lists, which are empty */
    for (int job = 0; job < JOBS; job++) {
        for (int i = 0; i < ROWS_A_JOB; i++) {
            (void)snprintf(keys[i], sizeof keys[i], LEARN_KEY("%d-%d"), job, i);
            operations[i] = ek_rig_put(keys[i], "v");
        }
        struct ek_worker_job whole = ek_rig_job(&learn.source, EK_JOB_WRITE, operations, ROWS_A_JOB);
        ck_assert_int_eq(ek_rig_run(&learn.source, &whole).status, EK_WIRE_OK);
    }
    survey(&learn.source);
    ck_assert_uint_eq(parts, LISTS_PARTS + 2); /* of at most 2,048 entries; 16 are roles */
    ck_assert_uint_eq(mine()->rows, ROWS_A_JOB * JOBS);
    char key[32];
    memset(large, 'x', LARGE_BYTES);
    for (int i = 0; i < 8; i++) {
        (void)snprintf(key, sizeof key, LEARN_KEY("%d"), i);
        put(key, large);
    }
    survey(&learn.source);
    ck_assert_uint_eq(parts, LISTS_PARTS + 4); /* four end with every second large one */
}
END_TEST

START_TEST(a_survey_is_for_the_present_link)
{
    struct ek_link old = learn.source.link;
    ek_engine_rig_adopt(&learn.source);
    ck_assert_ptr_null(ek_survey_open(learn.source.engine, old, CHECK));
    struct ek_survey *survey = ek_survey_open(learn.source.engine, learn.source.link, CHECK);
    ck_assert_ptr_nonnull(survey);
    ek_survey_destroy(&survey); /* before its end */
    ek_survey_destroy(&survey);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("survey");
    TCase *tests = tcase_create("survey");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, learn_setup, learn_teardown);
    tcase_add_test(tests, roles_and_rows_are_those_of_one_moment);
    tcase_add_test(tests, a_learner_at_the_same_position_has_the_same_hash);
    tcase_add_test(tests, rows_that_cannot_be_right_are_counted);
    tcase_add_test(tests, rows_without_a_role_are_told);
    tcase_add_test(tests, book_keeping_is_held_against_what_the_worker_goes_by);
    tcase_add_test(tests, it_goes_in_parts);
    tcase_add_test(tests, a_survey_is_for_the_present_link);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
