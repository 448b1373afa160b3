#include "tests/support/run_suite.h"
#include "worker/credit.h"
#include "worker/load.h"
#include "worker/pulse.h"

#define RESERVE_BYTES (1024ull * EK_MIB)

static struct ek_store_figures healthy(void)
{
    return (struct ek_store_figures){.disk_free_bytes = 100 * RESERVE_BYTES, .level0_files = 3};
}

/* A storage that does a hundred thousand jobs in a tenth of a second. */
static const struct ek_pace fast = {.jobs = 100000, .bytes = 16 * EK_MIB, .busy_us = 100000, .groups = 10};

static struct ek_worker_credit credit_of(struct ek_store_figures figures, uint64_t p99_us)
{
    const struct ek_worker_credit none = {0};
    return ek_worker_credit_of(&figures, RESERVE_BYTES, p99_us, &fast, &none);
}

START_TEST(a_healthy_store_gives_full_credit)
{
    struct ek_worker_credit credit = credit_of(healthy(), 2000);
    ck_assert_uint_eq(credit.jobs, EK_CREDIT_JOBS_MAX);
    ck_assert_uint_eq(credit.bytes, EK_CREDIT_BYTES_MAX);
    ck_assert_uint_eq(credit.reads, EK_CREDIT_READS_MAX);
    ck_assert_str_eq(credit.alarm, "");
}
END_TEST

START_TEST(credit_falls_before_the_store_stalls)
{
    uint32_t before = UINT32_MAX;
    for (uint64_t files = 0; files <= 40; files++) {
        struct ek_store_figures figures = healthy();
        figures.level0_files = files;
        struct ek_worker_credit credit = credit_of(figures, 0);
        ck_assert_uint_le(credit.bytes, before);
        ck_assert_uint_gt(credit.bytes, 0);
        ck_assert_uint_gt(credit.jobs, 0);
        before = credit.bytes;
    }
    ck_assert_uint_lt(before, EK_CREDIT_BYTES_MAX / 8);
    struct ek_store_figures debt = healthy();
    debt.pending_compaction_bytes = 40ull << 30;
    ck_assert_uint_lt(credit_of(debt, 0).bytes, EK_CREDIT_BYTES_MAX);
    struct ek_store_figures delayed = healthy();
    delayed.delayed_bytes_per_second = 1 << 20;
    ck_assert_uint_lt(credit_of(delayed, 0).jobs, EK_CREDIT_JOBS_MAX / 8);
    ck_assert_uint_lt(credit_of(healthy(), 1000000).bytes, EK_CREDIT_BYTES_MAX);
}
END_TEST

START_TEST(a_stopped_store_gets_no_writes)
{
    struct ek_store_figures figures = healthy();
    figures.writes_stopped = true;
    struct ek_worker_credit credit = credit_of(figures, 0);
    ck_assert_uint_eq(credit.bytes, 0);
    ck_assert_str_ne(credit.alarm, "");
}
END_TEST

/* The credits of a disk on which `free_bytes` change. */
static struct ek_worker_credit next_credit(struct ek_worker_credit *credit, uint64_t free_bytes)
{
    struct ek_store_figures figures = healthy();
    figures.disk_free_bytes = free_bytes;
    *credit = ek_worker_credit_of(&figures, RESERVE_BYTES, 0, &fast, credit);
    return *credit;
}

START_TEST(writes_and_deletes_return_when_there_is_clearly_room)
{
    struct ek_worker_credit credit = {0};
    ck_assert(!next_credit(&credit, RESERVE_BYTES).full);
    ck_assert(next_credit(&credit, RESERVE_BYTES - 1).full);
    ck_assert(next_credit(&credit, RESERVE_BYTES + RESERVE_BYTES / 8 - 1).full);
    ck_assert_uint_eq(credit.bytes, 0);
    ck_assert(!next_credit(&credit, RESERVE_BYTES + RESERVE_BYTES / 8).full);
    ck_assert_uint_eq(credit.bytes, EK_CREDIT_BYTES_MAX);
    ck_assert_str_eq(credit.alarm, "");
    ck_assert(!next_credit(&credit, RESERVE_BYTES).full);
    ck_assert_uint_eq(next_credit(&credit, RESERVE_BYTES / 2 - 1).jobs, 0);
    ck_assert_uint_eq(next_credit(&credit, RESERVE_BYTES / 2 + RESERVE_BYTES / 16 - 1).jobs, 0);
    ck_assert_uint_gt(next_credit(&credit, RESERVE_BYTES / 2 + RESERVE_BYTES / 16).jobs, 0);
    ck_assert_uint_eq(credit.bytes, 0);
}
END_TEST

START_TEST(near_the_reserve_less_is_let_on_its_way)
{
    struct ek_worker_credit credit = {0};
    uint64_t before = UINT64_MAX;
    for (uint64_t room = 128ull * EK_MIB; room >= EK_MIB; room /= 2) {
        (void)next_credit(&credit, RESERVE_BYTES + room);
        ck_assert_uint_le(credit.bytes, room / 4);
        ck_assert_uint_gt(credit.bytes, 0);
        ck_assert_uint_lt(credit.room_bytes, before);
        before = credit.room_bytes;
    }
    ck_assert_uint_eq(next_credit(&credit, RESERVE_BYTES).bytes, 1); /* one job at a time */
}
END_TEST

START_TEST(without_a_reserve_nothing_is_held_back)
{
    struct ek_store_figures figures = healthy();
    const struct ek_worker_credit none = {0};
    figures.disk_free_bytes = 0;
    ck_assert(!ek_worker_credit_of(&figures, 0, 0, &fast, &none).full);
}
END_TEST

START_TEST(a_short_disk_stops_writes_then_deletes)
{
    struct ek_store_figures figures = healthy();
    figures.disk_free_bytes = RESERVE_BYTES;
    ck_assert_uint_gt(credit_of(figures, 0).bytes, 0);
    figures.disk_free_bytes = RESERVE_BYTES - 1;
    struct ek_worker_credit credit = credit_of(figures, 0);
    ck_assert_uint_eq(credit.bytes, 0);
    ck_assert_uint_gt(credit.jobs, 0);
    ck_assert_uint_eq(credit.reads, EK_CREDIT_READS_MAX);
    ck_assert_str_ne(credit.alarm, "");
    figures.disk_free_bytes = RESERVE_BYTES / 2 - 1;
    ck_assert_uint_eq(credit_of(figures, 0).jobs, 0);
}
END_TEST

enum { FULL = 65536 };

static uint32_t share_after(uint64_t jobs, uint64_t job_bytes, uint64_t job_us, int groups)
{
    struct ek_pace pace = {0};
    for (int i = 0; i < groups; i++) {
        ek_pace_add(&pace, jobs, jobs * job_bytes, jobs * job_us);
        ek_pace_fade(&pace);
    }
    return ek_pace_share(&pace, FULL);
}

START_TEST(a_slow_storage_grants_what_it_does_in_a_moment)
{
    uint32_t jobs = (uint32_t)((uint64_t)EK_CREDIT_JOBS_MAX * share_after(1000, 100, 300, 5) / FULL);
    ck_assert_uint_ge(jobs, 400); /* 150 ms of 300 us each, or nearly */
    ck_assert_uint_le(jobs, 500);
    uint64_t bytes = (uint64_t)EK_CREDIT_BYTES_MAX * share_after(10, 100000, 10000, 5) / FULL;
    ck_assert_uint_ge(bytes, 1400000);
    ck_assert_uint_le(bytes, 1500000);
    ck_assert_uint_ge(share_after(1, 100, 60000000, 5), 1);
}
END_TEST

START_TEST(a_fast_storage_grants_everything)
{
    ck_assert_uint_eq(share_after(10000, 100, 2, 5), FULL);
    ck_assert_uint_eq(share_after(100, 60000, 50, 5), FULL);
}
END_TEST

START_TEST(what_is_not_known_is_tried_with_little)
{
    const struct ek_pace nothing = {0};
    uint32_t first = ek_pace_share(&nothing, FULL);
    ck_assert_uint_ge(first, FULL / 128);
    ck_assert_uint_le(first, FULL / 32);
    ck_assert_uint_eq(share_after(1, 100, 400, 5), first); /* groups of one job, that are mostly a sync */
    ck_assert_uint_eq(share_after(0, 0, 400, 5), first);
}
END_TEST

START_TEST(a_pace_is_forgotten_by_what_comes_after_it)
{
    struct ek_pace pace = {0};
    for (int i = 0; i < 10; i++) {
        ek_pace_add(&pace, 10000, 1000000, 20000);
        ek_pace_fade(&pace);
    }
    ck_assert_uint_eq(ek_pace_share(&pace, FULL), FULL);
    for (int i = 0; i < 100; i++)
        ek_pace_fade(&pace); /* idle */
    ck_assert_uint_eq(ek_pace_share(&pace, FULL), FULL);
    for (int i = 0; i < 8; i++) {
        ek_pace_add(&pace, 500, 50000, 150000);
        ek_pace_fade(&pace);
    }
    ck_assert_uint_le(ek_pace_share(&pace, FULL), FULL / 50);
}
END_TEST

START_TEST(only_changed_shards_are_told)
{
    struct ek_load *load = ek_load_new();
    static struct ek_shard_load told[16];
    ck_assert_uint_eq(ek_load_changed(load, 16, told), 0);
    ek_load_add(load, 3, 10, 1000, 0, 49200);
    ek_load_add(load, 3, 0, 0, 0, 800);
    ek_load_add(load, 9, 1, 0, 77, 1000);
    ck_assert_uint_eq(ek_load_changed(load, 16, told), 2);
    ck_assert_uint_eq(told[0].shard, 3);
    ck_assert_uint_eq(told[0].operations, 10);
    ck_assert_uint_eq(told[0].stored_bytes, 1000);
    ck_assert_uint_eq(told[0].busy_us, 50);
    ck_assert_uint_eq(told[1].shard, 9);
    ck_assert_uint_eq(told[1].bytes_out, 77);
    ck_assert_uint_eq(ek_load_changed(load, 16, told), 0);
    ek_load_add(load, 3, 5, 500, 0, 10000);
    ck_assert_uint_eq(ek_load_changed(load, 16, told), 1);
    ck_assert_uint_eq(told[0].operations, 15);
    ek_load_forget_told(load);
    ck_assert_uint_eq(ek_load_changed(load, 16, told), 2);
    ek_load_destroy(&load);
}
END_TEST

START_TEST(a_size_is_tables_and_what_is_not_flushed_yet)
{
    struct ek_load *load = ek_load_new();
    uint64_t tables[2] = {5000, 0};
    ek_load_add(load, 0, 1, 3000, 0, 0);
    ek_load_add(load, 1, 1, 1000, 0, 0);
    ek_load_measure(load, 2, tables, 4000);
    ck_assert_uint_eq(ek_load_stored_bytes(load, 0), 8000);
    ck_assert_uint_eq(ek_load_stored_bytes(load, 1), 1000);
    tables[0] = 8000;
    tables[1] = 1000;
    ek_load_measure(load, 2, tables, 0); /* a flush took everything */
    ck_assert_uint_eq(ek_load_stored_bytes(load, 0), 8000);
    ck_assert_uint_eq(ek_load_stored_bytes(load, 1), 1000);
    ek_load_destroy(&load);
}
END_TEST

START_TEST(a_copy_is_a_part_of_the_size_and_none_of_the_work)
{
    static struct ek_shard_load told[2];
    struct ek_load *load = ek_load_new();
    uint64_t tables[2] = {0, 0};
    ek_load_copied(load, 0, 3000);
    ck_assert_uint_eq(ek_load_stored_bytes(load, 0), 3000);
    ek_load_add(load, 0, 1, 1000, 0, 0);
    ck_assert_uint_eq(ek_load_changed(load, 2, told), 1);
    ck_assert_uint_eq(told[0].stored_bytes, 4000);
    ck_assert_uint_eq(told[0].bytes_in, 1000);
    tables[0] = 4000;
    ek_load_measure(load, 2, tables, 0); /* a flush took everything */
    ck_assert_uint_eq(ek_load_stored_bytes(load, 0), 4000);
    ck_assert_uint_eq(ek_load_changed(load, 2, told), 0);
    ek_load_forget_shard(load, 1);
    ck_assert_uint_eq(ek_load_changed(load, 2, told), 0);
    ek_load_forget_shard(load, 0); /* served from here from now on */
    ck_assert_uint_eq(ek_load_changed(load, 2, told), 1);
    ek_load_destroy(&load);
}
END_TEST

START_TEST(what_a_move_writes_is_looked_at_as_what_jobs_write)
{
    struct ek_pulse *pulse = ek_pulse_new(NULL, NULL, RESERVE_BYTES);
    pulse->credit.room_bytes = 1000;
    ek_pulse_wrote(pulse, 1000);
    ck_assert(!ek_pulse_is_overdue(pulse));
    ek_pulse_wrote(pulse, 1);
    ck_assert(ek_pulse_is_overdue(pulse));
    ck_assert_uint_eq(pulse->unreclaimed_bytes, 1001);
    ek_pulse_destroy(&pulse);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("worker_figures");
    TCase *tests = tcase_create("worker_figures");
    tcase_add_test(tests, a_healthy_store_gives_full_credit);
    tcase_add_test(tests, credit_falls_before_the_store_stalls);
    tcase_add_test(tests, a_stopped_store_gets_no_writes);
    tcase_add_test(tests, a_short_disk_stops_writes_then_deletes);
    tcase_add_test(tests, writes_and_deletes_return_when_there_is_clearly_room);
    tcase_add_test(tests, near_the_reserve_less_is_let_on_its_way);
    tcase_add_test(tests, without_a_reserve_nothing_is_held_back);
    tcase_add_test(tests, a_slow_storage_grants_what_it_does_in_a_moment);
    tcase_add_test(tests, a_fast_storage_grants_everything);
    tcase_add_test(tests, what_is_not_known_is_tried_with_little);
    tcase_add_test(tests, a_pace_is_forgotten_by_what_comes_after_it);
    tcase_add_test(tests, only_changed_shards_are_told);
    tcase_add_test(tests, a_size_is_tables_and_what_is_not_flushed_yet);
    tcase_add_test(tests, a_copy_is_a_part_of_the_size_and_none_of_the_work);
    tcase_add_test(tests, what_a_move_writes_is_looked_at_as_what_jobs_write);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
