/* The broker's durable state: what was written is what a restart reads. */
#include "broker/meta.h"
#include "tests/support/run_suite.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char directory[64];
static struct ek_meta *meta;
static struct ek_meta_state state;

static void reopen(void)
{
    struct ek_error error;
    ek_meta_state_done(&state);
    ek_meta_close(&meta);
    ck_assert_msg(ek_meta_open(directory, 16, &meta, &state, &error) == EK_OK, "%s", error.text);
}

static void setup(void)
{
    (void)snprintf(directory, sizeof directory, "/tmp/evenkeel-meta-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    reopen();
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status, (void)type, (void)place;
    return remove(path);
}

static void teardown(void)
{
    ek_meta_state_done(&state);
    ek_meta_close(&meta);
    ck_assert_int_eq(nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void write_record(struct ek_record record)
{
    struct ek_error error;
    ck_assert_int_eq(ek_meta_write_records(meta, &record, 1, &error), EK_OK);
}

/* The only record there is. */
static struct ek_record read_record(void)
{
    reopen();
    ck_assert_uint_eq(state.record_count, 1);
    return state.records[0];
}

static void check_same(const struct ek_record *a, const struct ek_record *b)
{
    ck_assert_int_eq(a->type, b->type);
    ck_assert_uint_eq(a->shard, b->shard);
    ck_assert_uint_eq(a->number, b->number);
    ck_assert_int_eq(a->setting, b->setting);
    ck_assert_mem_eq(a->worker.bytes, b->worker.bytes, sizeof a->worker.bytes);
    ck_assert_str_eq(a->name, b->name);
    ck_assert_int_eq(a->quarantined, b->quarantined);
    ck_assert_uint_eq(a->loss.shard, b->loss.shard);
    ck_assert_uint_eq(a->loss.epoch, b->loss.epoch);
    ck_assert_uint_eq(a->loss.position, b->loss.position);
    ck_assert_uint_eq(a->loss.floor, b->loss.floor);
}

START_TEST(an_assignment_keeps_its_quarantine_and_its_loss)
{
    struct ek_record record = {.type = EK_RECORD_ASSIGNMENT, .shard = 9, .number = 3, .worker = {{1, 2, 3}}};
    struct ek_record read;
    write_record(record);
    read = read_record();
    check_same(&read, &record);
    record.quarantined = true;
    record.loss.shard = 9;
    write_record(record);
    read = read_record();
    check_same(&read, &record);
    record.quarantined = false;
    record.number = 4;
    record.loss = (struct ek_loss){.shard = 9, .epoch = 4, .position = UINT64_MAX - 1, .floor = 77};
    write_record(record);
    read = read_record();
    check_same(&read, &record);
}
END_TEST

START_TEST(a_worker_that_is_gone_leaves_no_record)
{
    struct ek_record record = {.type = EK_RECORD_WORKER, .number = 12, .worker = {{4, 5}}, .name = "w4"};
    write_record(record);
    struct ek_record read = read_record();
    check_same(&read, &record);
    write_record((struct ek_record){.type = EK_RECORD_WORKER_GONE, .worker = {{4, 6}}});
    reopen();
    ck_assert_uint_eq(state.record_count, 1);
    write_record((struct ek_record){.type = EK_RECORD_WORKER_GONE, .worker = {{4, 5}}});
    reopen();
    ck_assert_uint_eq(state.record_count, 0);
}
END_TEST

START_TEST(a_floor_is_kept)
{
    const struct ek_record record = {.type = EK_RECORD_FLOOR, .shard = 15, .number = UINT64_MAX};
    const struct ek_floor floor = {.shard = 15, .position = UINT64_MAX};
    struct ek_error error;
    ck_assert_int_eq(ek_meta_write_floors(meta, &floor, 1, 5, &error), EK_OK);
    struct ek_record read = read_record();
    ck_assert_uint_eq(state.ceiling_unix_ms, 5);
    check_same(&read, &record);
}
END_TEST

START_TEST(a_drain_is_kept_beside_the_worker_until_it_is_over)
{
    const struct ek_record drain = {.type = EK_RECORD_DRAIN, .worker = {{4, 5}}};
    const struct ek_record worker = {.type = EK_RECORD_WORKER, .number = 12, .worker = {{4, 5}}, .name = "w4"};
    write_record(worker);
    write_record(drain);
    reopen();
    ck_assert_uint_eq(state.record_count, 2);
    check_same(&state.records[state.records[0].type == EK_RECORD_WORKER], &drain);
    write_record((struct ek_record){.type = EK_RECORD_DRAIN_OVER, .worker = {{4, 6}}});
    reopen();
    ck_assert_uint_eq(state.record_count, 2);
    write_record((struct ek_record){.type = EK_RECORD_DRAIN_OVER, .worker = {{4, 5}}});
    struct ek_record read = read_record();
    check_same(&read, &worker);
}
END_TEST

START_TEST(each_setting_has_its_own_value)
{
    for (int i = 0; i < EK_SETTINGS; i++)
        write_record((struct ek_record){.type = EK_RECORD_SETTING, .setting = (enum ek_setting)i, .number = 7});
    for (int i = 0; i < EK_SETTINGS; i++)
        write_record(
            (struct ek_record){.type = EK_RECORD_SETTING, .setting = (enum ek_setting)i, .number = UINT64_MAX - (uint64_t)i});
    reopen();
    ck_assert_uint_eq(state.record_count, EK_SETTINGS);
    for (int i = 0; i < EK_SETTINGS; i++) {
        const struct ek_record wanted = {
            .type = EK_RECORD_SETTING, .setting = (enum ek_setting)i, .number = UINT64_MAX - (uint64_t)i};
        check_same(&state.records[i], &wanted); /* in the order of their keys */
    }
}
END_TEST

START_TEST(a_setting_that_does_not_exist_is_damage)
{
    struct ek_error error;
    struct ek_meta_state again = {0};
    write_record((struct ek_record){.type = EK_RECORD_SETTING, .setting = EK_SETTINGS, .number = 1});
    ek_meta_state_done(&state);
    ek_meta_close(&meta);
    ck_assert_int_ne(ek_meta_open(directory, 16, &meta, &again, &error), EK_OK);
    ek_meta_state_done(&again);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("meta");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, an_assignment_keeps_its_quarantine_and_its_loss);
    tcase_add_test(tests, a_worker_that_is_gone_leaves_no_record);
    tcase_add_test(tests, a_floor_is_kept);
    tcase_add_test(tests, a_drain_is_kept_beside_the_worker_until_it_is_over);
    tcase_add_test(tests, each_setting_has_its_own_value);
    tcase_add_test(tests, a_setting_that_does_not_exist_is_damage);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
