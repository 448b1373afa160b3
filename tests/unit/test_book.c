#include "worker/book.h"
#include "tests/support/run_suite.h"

#include <stdlib.h>
#include <string.h>

START_TEST(keys_sort_in_the_order_in_which_a_start_reads)
{
    struct ek_book_key keys[] = {ek_book_key_of(EK_BOOK_IDENTITY, 0),   ek_book_key_of(EK_BOOK_ROLE, 0),
                                 ek_book_key_of(EK_BOOK_ROLE, 8191),    ek_book_key_of(EK_BOOK_SNAPSHOT, 300),
                                 ek_book_key_of(EK_BOOK_RECORD, 1),     ek_book_key_of(EK_BOOK_RECORD, 255),
                                 ek_book_key_of(EK_BOOK_RECORD, 65536), ek_book_key_of(EK_BOOK_RECORD, UINT64_MAX)};
    for (size_t i = 0; i + 1 < sizeof keys / sizeof *keys; i++)
        ck_assert_int_lt(
            ek_slice_compare(ek_slice_of(keys[i].bytes, keys[i].size), ek_slice_of(keys[i + 1].bytes, keys[i + 1].size)), 0);
    enum ek_book_kind kind;
    uint64_t number;
    ck_assert_int_eq(ek_book_parse_key(ek_slice_of(keys[6].bytes, keys[6].size), &kind, &number), EK_OK);
    ck_assert_int_eq(kind, EK_BOOK_RECORD);
    ck_assert_uint_eq(number, 65536);
    ck_assert_int_eq(ek_book_parse_key(ek_slice_of("\2\0", 2), &kind, &number), EK_CORRUPT);
    ck_assert_int_eq(ek_book_parse_key(ek_slice_of("\2\377\377", 3), &kind, &number), EK_CORRUPT);
    ck_assert_int_eq(ek_book_parse_key(ek_slice_of("\5", 1), &kind, &number), EK_CORRUPT);
}
END_TEST

START_TEST(identity_and_role_come_back)
{
    struct ek_identity identity = {.worker = {"0123456789abcde"},
                                   .incarnation = 9,
                                   .generation = 1ull << 50,
                                   .has_cluster = true,
                                   .cluster = {"clusterclusterc"},
                                   .shards = 512};
    struct ek_identity read = {0};
    struct ek_buffer bytes = {0};
    ek_book_encode_identity(&bytes, &identity);
    ck_assert_int_eq(ek_book_decode_identity(ek_buffer_slice(&bytes), &read), EK_OK);
    ck_assert_mem_eq(read.worker.bytes, identity.worker.bytes, 16);
    ck_assert_mem_eq(read.cluster.bytes, identity.cluster.bytes, 16);
    ck_assert_uint_eq(read.incarnation, 9);
    ck_assert_uint_eq(read.generation, 1ull << 50);
    ck_assert_uint_eq(read.shards, 512);
    for (size_t cut = 0; cut < bytes.size; cut++)
        ck_assert_int_eq(ek_book_decode_identity(ek_slice_of(bytes.data, cut), &read), EK_CORRUPT);
    bytes.data[0] = EK_BOOK_FORMAT + 1;
    ck_assert_int_eq(ek_book_decode_identity(ek_buffer_slice(&bytes), &read), EK_NEWER);
    ek_buffer_clear(&bytes);
    struct ek_holding role = {.epoch = 77, .state = EK_HOLDING_RELEASED};
    struct ek_holding again = {0};
    ek_book_encode_role(&bytes, &role);
    ck_assert_int_eq(ek_book_decode_role(ek_buffer_slice(&bytes), &again), EK_OK);
    ck_assert_uint_eq(again.epoch, 77);
    ck_assert_int_eq(again.state, EK_HOLDING_RELEASED);
    ek_buffer_done(&bytes);
}
END_TEST

static uint64_t pick(unsigned *seed, uint64_t below)
{
    return (uint64_t)rand_r(seed) % below;
}

/* A random verdict that may stand at the next position. */
static struct ek_verdict any_verdict(unsigned *seed, const struct ek_producers *producers, const uint8_t *body)
{
    struct ek_verdict verdict = {.position = producers->position + 1,
                                 .count = 1 + (uint32_t)(pick(seed, 3) ? 0 : pick(seed, EK_JOB_OPERATIONS_MAX)),
                                 .stamp_unix_ms = 1700000000000u + pick(seed, 1000),
                                 .used = pick(seed, 10) != 0};
    if (pick(seed, 4)) {
        verdict.producer = (1700000000000ull << 20) + pick(seed, 40);
        uint64_t awaited;
        (void)ek_producers_look(producers, verdict.producer, 0, &awaited);
        verdict.number = awaited;
        verdict.lowest = awaited > 3 ? awaited - pick(seed, 3) : 1;
    }
    if (verdict.used && !pick(seed, 5))
        verdict.status = EK_WIRE_FAILED;
    if (verdict.used && !pick(seed, 3))
        verdict.body = ek_slice_of(body, pick(seed, 300));
    if (!pick(seed, 4))
        verdict.closed = (1700000000000ull << 20) + pick(seed, 40);
    if (producers->thin.count && pick(seed, 2))
        verdict.confirmed = pick(seed, producers->position + 1);
    return verdict;
}

static void snapshot_of(const struct ek_producers *producers, struct ek_buffer *out)
{
    ek_buffer_clear(out);
    ek_book_encode_snapshot(out, producers);
}

START_TEST(a_snapshot_comes_back_exactly)
{
    unsigned seed = 4;
    uint8_t body[300];
    memset(body, 'b', sizeof body);
    struct ek_producers producers = {.floor = 1ull << 33};
    for (int i = 0; i < 2000; i++) {
        struct ek_verdict verdict = any_verdict(&seed, &producers, body);
        ek_producers_record(&producers, &verdict);
    }
    struct ek_buffer first = {0};
    struct ek_buffer second = {0};
    struct ek_producers read = {0};
    snapshot_of(&producers, &first);
    ck_assert_int_eq(ek_book_decode_snapshot(ek_buffer_slice(&first), &read), EK_OK);
    snapshot_of(&read, &second);
    ck_assert(ek_slice_equal(ek_buffer_slice(&first), ek_buffer_slice(&second)));
    ck_assert_uint_eq(read.numbered_bytes, producers.numbered_bytes);
    ck_assert_uint_eq(read.thin_bytes, producers.thin_bytes);
    ck_assert_uint_gt(ek_producers_closed(&producers), 0);
    ck_assert_uint_eq(ek_producers_closed(&read), ek_producers_closed(&producers));
    ck_assert_uint_eq(read.floor, producers.floor);
    ck_assert_uint_eq(read.position, producers.position);
    for (size_t cut = 0; cut < first.size; cut += 1 + cut / 50) {
        struct ek_producers part = {0};
        ck_assert_int_eq(ek_book_decode_snapshot(ek_slice_of(first.data, cut), &part), EK_CORRUPT);
        ek_producers_done(&part);
    }
    ek_producers_done(&producers);
    ek_producers_done(&read);
    ek_buffer_done(&first);
    ek_buffer_done(&second);
}
END_TEST

START_TEST(a_snapshot_of_the_first_format_has_nobody_closed)
{
    struct ek_producers producers = {0};
    struct ek_producers read = {0};
    struct ek_buffer bytes = {0};
    struct ek_verdict verdict = {.position = 1, .count = 1, .producer = 7, .number = 1, .lowest = 1, .used = true};
    ek_producers_record(&producers, &verdict);
    snapshot_of(&producers, &bytes);
    ck_assert_uint_eq(bytes.data[bytes.size - 1], 0); /* how many are closed: new in the second format */
    bytes.data[0] = 1;
    ck_assert_int_eq(ek_book_decode_snapshot(ek_slice_of(bytes.data, bytes.size - 1), &read), EK_OK);
    ck_assert_uint_eq(read.table.count, 1);
    ck_assert_uint_eq(ek_producers_closed(&read), 0);
    ek_producers_done(&producers);
    ek_producers_done(&read);
    ek_buffer_done(&bytes);
}
END_TEST

enum { SHARDS = 5, JOBS = 40 };

/* Writes a record of JOBS verdicts for each shard and enters them into `memories`. */
static void write_record(unsigned *seed, struct ek_producers *memories, const uint8_t *body, struct ek_buffer *out)
{
    struct ek_book_record record;
    ek_buffer_clear(out);
    ek_book_record_begin(out, &record);
    for (uint16_t shard = 0; shard < SHARDS; shard++) {
        ek_book_record_shard(out, &record, (uint16_t)(shard * shard * 500u), memories[shard].position + 1, 0, JOBS);
        for (int i = 0; i < JOBS; i++) {
            struct ek_verdict verdict = any_verdict(seed, &memories[shard], body);
            ek_book_record_verdict(out, &record, &verdict);
            ek_producers_record(&memories[shard], &verdict);
        }
    }
}

static enum ek_status replay(struct ek_slice bytes, struct ek_producers *memories)
{
    struct ek_book_record record;
    uint16_t shard;
    struct ek_verdict verdict;
    enum ek_status status = ek_book_record_open(bytes, &record);
    while (status == EK_OK) {
        status = ek_book_record_next(&record, &shard, &verdict);
        for (uint16_t i = 0; status == EK_OK && memories && i < SHARDS; i++)
            if (shard == i * i * 500u)
                ek_producers_record(&memories[i], &verdict);
    }
    return status;
}

START_TEST(replayed_records_give_the_same_memory)
{
    unsigned seed = 11;
    uint8_t body[300];
    memset(body, 'x', sizeof body);
    struct ek_producers written[SHARDS] = {0};
    struct ek_producers read[SHARDS] = {0};
    struct ek_buffer bytes = {0};
    struct ek_buffer first = {0};
    struct ek_buffer second = {0};
    for (int group = 0; group < 60; group++) {
        write_record(&seed, written, body, &bytes);
        ck_assert_int_eq(replay(ek_buffer_slice(&bytes), read), EK_NOT_FOUND);
    }
    for (int i = 0; i < SHARDS; i++) {
        snapshot_of(&written[i], &first);
        snapshot_of(&read[i], &second);
        ck_assert(ek_slice_equal(ek_buffer_slice(&first), ek_buffer_slice(&second)));
        ek_producers_done(&written[i]);
        ek_producers_done(&read[i]);
    }
    ek_buffer_done(&bytes);
    ek_buffer_done(&first);
    ek_buffer_done(&second);
}
END_TEST

START_TEST(a_plain_job_takes_few_bytes)
{
    struct ek_buffer bytes = {0};
    struct ek_book_record record;
    ek_book_record_begin(&bytes, &record);
    for (uint16_t shard = 0; shard < 500; shard++) {
        ek_book_record_shard(&bytes, &record, shard, 1000000, 0, 2);
        for (unsigned i = 0; i < 2; i++) {
            struct ek_verdict verdict = {.position = 1000000 + 20 * i,
                                         .count = 20,
                                         .stamp_unix_ms = 1700000000000u + shard,
                                         .producer = (1700000000000ull << 20) + (shard * 7 + i) % 50,
                                         .number = 50000 + shard,
                                         .lowest = 49990u + shard,
                                         .used = true};
            ek_book_record_verdict(&bytes, &record, &verdict);
        }
    }
    ck_assert_uint_le(bytes.size, 1000 * 16);
    ek_buffer_done(&bytes);
}
END_TEST

START_TEST(damage_is_found_or_harmless)
{
    unsigned seed = 3;
    uint8_t body[300] = {0};
    struct ek_producers memories[SHARDS] = {0};
    struct ek_buffer bytes = {0};
    write_record(&seed, memories, body, &bytes);
    for (size_t cut = 1; cut < bytes.size; cut++) {
        enum ek_status status = replay(ek_slice_of(bytes.data, cut), NULL);
        ck_assert(status == EK_CORRUPT || status == EK_NOT_FOUND);
    }
    for (int i = 0; i < 20000; i++) {
        size_t at = pick(&seed, bytes.size);
        uint8_t before = bytes.data[at];
        bytes.data[at] = (uint8_t)pick(&seed, 256);
        (void)!replay(ek_buffer_slice(&bytes), NULL);
        if (i % 8)
            bytes.data[at] = before;
    }
    for (int i = 0; i < SHARDS; i++)
        ek_producers_done(&memories[i]);
    ek_buffer_done(&bytes);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("book");
    TCase *tests = tcase_create("book");
    tcase_add_test(tests, keys_sort_in_the_order_in_which_a_start_reads);
    tcase_add_test(tests, identity_and_role_come_back);
    tcase_add_test(tests, a_snapshot_comes_back_exactly);
    tcase_add_test(tests, a_snapshot_of_the_first_format_has_nobody_closed);
    tcase_add_test(tests, replayed_records_give_the_same_memory);
    tcase_add_test(tests, a_plain_job_takes_few_bytes);
    tcase_add_test(tests, damage_is_found_or_harmless);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
