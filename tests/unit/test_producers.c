#include "worker/producers.h"
#include "tests/support/run_suite.h"

#include <stdlib.h>

static struct ek_verdict numbered(const struct ek_producers *producers, uint64_t producer, uint64_t number)
{
    return (struct ek_verdict){.position = producers->position + 1,
                               .count = 1,
                               .stamp_unix_ms = producers->stamp_unix_ms + 1,
                               .producer = producer,
                               .number = number,
                               .lowest = 1,
                               .used = true};
}

static void record(struct ek_producers *producers, uint64_t producer, uint64_t number)
{
    struct ek_verdict verdict = numbered(producers, producer, number);
    ek_producers_record(producers, &verdict);
}

static enum ek_numbering look(const struct ek_producers *producers, uint64_t producer, uint64_t number)
{
    uint64_t awaited;
    return ek_producers_look(producers, producer, number, &awaited);
}

START_TEST(numbers_are_taken_in_order)
{
    struct ek_producers producers = {0};
    uint64_t awaited;
    ck_assert_int_eq(look(&producers, 7, 1), EK_NUMBER_NEW);
    ck_assert_int_eq(ek_producers_look(&producers, 7, 2, &awaited), EK_NUMBER_GAP);
    ck_assert_uint_eq(awaited, 1);
    record(&producers, 7, 1);
    ck_assert_int_eq(look(&producers, 7, 1), EK_NUMBER_SEEN);
    ck_assert_int_eq(look(&producers, 7, 2), EK_NUMBER_NEW);
    ck_assert_int_eq(ek_producers_look(&producers, 7, 3, &awaited), EK_NUMBER_GAP);
    ck_assert_uint_eq(awaited, 2);
    ck_assert_int_eq(look(&producers, 8, 1), EK_NUMBER_NEW);
    ck_assert_int_eq(look(&producers, 7, 0), EK_NUMBER_SEEN);
    ek_producers_done(&producers);
}
END_TEST

START_TEST(replies_stay_until_they_are_not_needed)
{
    struct ek_producers producers = {0};
    for (uint64_t number = 1; number <= 5; number++) {
        struct ek_verdict verdict = numbered(&producers, 7, number);
        verdict.body = ek_slice_text("reply");
        verdict.status = EK_WIRE_FAILED;
        ek_producers_record(&producers, &verdict);
    }
    const struct ek_stored_reply *reply = ek_producers_reply(&producers, 7, 3);
    ck_assert_ptr_nonnull(reply);
    ck_assert_uint_eq(reply->position, 3);
    ck_assert_int_eq(reply->status, EK_WIRE_FAILED);
    ck_assert(ek_slice_equal(ek_slice_of(reply->body, reply->body_bytes), ek_slice_text("reply")));
    struct ek_verdict verdict = numbered(&producers, 7, 6);
    verdict.lowest = 4;
    ek_producers_record(&producers, &verdict);
    ck_assert_ptr_null(ek_producers_reply(&producers, 7, 3));
    ck_assert_ptr_nonnull(ek_producers_reply(&producers, 7, 4));
    ck_assert_ptr_nonnull(ek_producers_reply(&producers, 7, 6));
    ck_assert_int_eq(look(&producers, 7, 3), EK_NUMBER_SEEN);
    ek_producers_done(&producers);
}
END_TEST

/* The usual way of a producer with one job under way, whose single reply has no memory of its own. */
START_TEST(a_reply_takes_the_place_of_one_that_is_not_needed)
{
    struct ek_producers producers = {0};
    for (uint64_t number = 1; number <= 5; number++) {
        struct ek_verdict verdict = numbered(&producers, 7, number);
        verdict.lowest = number;
        ek_producers_record(&producers, &verdict);
        ck_assert_ptr_null(ek_producers_reply(&producers, 7, number - 1));
        ck_assert_uint_eq(ek_producers_reply(&producers, 7, number)->position, number);
    }
    /* One that says itself that it is not needed is used up, and not kept. */
    struct ek_verdict verdict = numbered(&producers, 7, 6);
    verdict.lowest = 7;
    ek_producers_record(&producers, &verdict);
    ck_assert_ptr_null(ek_producers_reply(&producers, 7, 6));
    ck_assert_int_eq(look(&producers, 7, 7), EK_NUMBER_NEW);
    ek_producers_done(&producers);
}
END_TEST

START_TEST(a_producer_keeps_a_bounded_number_of_replies)
{
    struct ek_producers producers = {0};
    for (uint64_t number = 1; number <= EK_UNSETTLED_MAX + 10; number++)
        record(&producers, 7, number);
    ck_assert_ptr_null(ek_producers_reply(&producers, 7, 10));
    ck_assert_ptr_nonnull(ek_producers_reply(&producers, 7, 11));
    ek_producers_done(&producers);
}
END_TEST

START_TEST(a_verdict_without_a_number_moves_the_position_only)
{
    struct ek_producers producers = {0};
    struct ek_verdict verdict = numbered(&producers, 7, 5);
    verdict.used = false;
    verdict.count = 3;
    ek_producers_record(&producers, &verdict);
    ck_assert_uint_eq(producers.position, 3);
    ck_assert_uint_eq(producers.table.count, 0);
    ck_assert_int_eq(look(&producers, 7, 1), EK_NUMBER_NEW);
    ek_producers_done(&producers);
}
END_TEST

START_TEST(a_full_table_forgets_whoever_was_silent_longest)
{
    struct ek_producers producers = {0};
    for (uint64_t id = 1; id <= EK_PRODUCERS_PER_SHARD_MAX; id++)
        record(&producers, id, 1);
    record(&producers, 1, 2); /* so that 2 is the silent one */
    record(&producers, 100000, 1);
    ck_assert_uint_eq(producers.table.count, EK_PRODUCERS_PER_SHARD_MAX);
    ck_assert_uint_eq(producers.floor, 2);
    ck_assert_int_eq(look(&producers, 2, 2), EK_NUMBER_FORGOTTEN);
    ck_assert_int_eq(look(&producers, 2, 1), EK_NUMBER_FORGOTTEN);
    ck_assert_int_eq(look(&producers, 1, 3), EK_NUMBER_NEW);
    ck_assert_int_eq(look(&producers, 3, 2), EK_NUMBER_NEW);
    ck_assert_int_eq(look(&producers, 100001, 1), EK_NUMBER_NEW);
    ek_producers_done(&producers);
}
END_TEST

/* Whoever was silent longest need not be the oldest one. */
START_TEST(the_floor_and_the_stamp_never_fall)
{
    enum { LATE = 100000 };
    struct ek_producers producers = {0};
    record(&producers, LATE, 1);
    for (uint64_t id = 1; id <= EK_PRODUCERS_PER_SHARD_MAX; id++)
        record(&producers, id, 1);
    ck_assert_int_eq(look(&producers, LATE, 1), EK_NUMBER_FORGOTTEN);
    record(&producers, LATE + 1, 1);
    ck_assert_int_eq(look(&producers, 1, 2), EK_NUMBER_FORGOTTEN);
    ck_assert_int_eq(look(&producers, LATE, 1), EK_NUMBER_FORGOTTEN);
    ck_assert_uint_eq(producers.floor, LATE);
    uint64_t stamp_unix_ms = producers.stamp_unix_ms;
    struct ek_verdict earlier = numbered(&producers, LATE + 1, 2);
    earlier.stamp_unix_ms = 1; /* it was dispatched before, and went out again */
    ek_producers_record(&producers, &earlier);
    ck_assert_uint_eq(producers.stamp_unix_ms, stamp_unix_ms);
    ek_producers_done(&producers);
}
END_TEST

START_TEST(a_loss_leaves_the_stamp_and_the_last_expiry)
{
    struct ek_producers producers = {0};
    record(&producers, 7, 1);
    uint64_t stamp_unix_ms = producers.stamp_unix_ms;
    producers.expires_unix_ms = 60000;
    ek_producers_give_up(&producers, 1000, 8);
    ck_assert_uint_eq(producers.position, 1000);
    ck_assert_uint_eq(producers.stamp_unix_ms, stamp_unix_ms);
    ck_assert_uint_eq(producers.expires_unix_ms, 60000); /* rows are kept, and so is what makes them leave */
    ck_assert_int_eq(look(&producers, 7, 2), EK_NUMBER_FORGOTTEN);
    ck_assert_int_eq(look(&producers, 9, 1), EK_NUMBER_NEW);
    ek_producers_done(&producers);
}
END_TEST

static void close_beside(struct ek_producers *producers, uint64_t producer, uint64_t number, uint64_t closed)
{
    struct ek_verdict verdict = numbered(producers, producer, number);
    verdict.closed = closed;
    ek_producers_record(producers, &verdict);
}

START_TEST(a_full_table_forgets_closed_producers_before_older_ones)
{
    struct ek_producers producers = {0};
    for (uint64_t id = 1; id <= EK_PRODUCERS_PER_SHARD_MAX; id++)
        record(&producers, id, 1);
    close_beside(&producers, 1, 2, 30);
    close_beside(&producers, 1, 3, 20);
    close_beside(&producers, 1, 4, 20);     /* twice is once */
    close_beside(&producers, 1, 5, 999999); /* nobody knows it */
    ck_assert_uint_eq(producers.table.count, EK_PRODUCERS_PER_SHARD_MAX);
    ck_assert_uint_eq(ek_producers_closed(&producers), 2);
    ck_assert_int_eq(look(&producers, 30, 2), EK_NUMBER_NEW);
    record(&producers, 100000, 1);
    ck_assert_int_eq(look(&producers, 30, 2), EK_NUMBER_FORGOTTEN);
    ck_assert_int_eq(look(&producers, 20, 2), EK_NUMBER_NEW);
    record(&producers, 100001, 1);
    ck_assert_int_eq(look(&producers, 20, 2), EK_NUMBER_FORGOTTEN);
    ck_assert_int_eq(look(&producers, 2, 2), EK_NUMBER_NEW); /* the oldest of those that live */
    ck_assert_uint_eq(ek_producers_closed(&producers), 0);
    record(&producers, 100002, 1);
    ck_assert_int_eq(look(&producers, 2, 2), EK_NUMBER_FORGOTTEN);
    ck_assert_uint_eq(producers.table.count, EK_PRODUCERS_PER_SHARD_MAX);
    ek_producers_done(&producers);
}
END_TEST

START_TEST(a_closed_producer_is_known_until_room_is_needed)
{
    struct ek_producers producers = {0};
    for (uint64_t id = 1; id <= EK_PRODUCERS_PER_SHARD_MAX; id++)
        record(&producers, id, 1);
    close_beside(&producers, 1, 2, 30);
    ck_assert_int_eq(look(&producers, 30, 1), EK_NUMBER_SEEN);
    ck_assert_uint_eq(ek_producers_reply(&producers, 30, 1)->position, 30);
    struct ek_verdict repetition = numbered(&producers, 30, 1);
    repetition.used = false;
    ek_producers_record(&producers, &repetition);
    ck_assert_uint_eq(ek_producers_closed(&producers), 0);
    record(&producers, 100000, 1);
    ck_assert_int_eq(look(&producers, 30, 2), EK_NUMBER_NEW);
    ck_assert_ptr_nonnull(ek_producers_reply(&producers, 30, 1));
    ck_assert_int_eq(look(&producers, 2, 2), EK_NUMBER_FORGOTTEN);
    ek_producers_done(&producers);
}
END_TEST

START_TEST(a_mark_on_a_producers_own_write_is_older_than_the_write)
{
    struct ek_producers producers = {0};
    record(&producers, 1, 1);
    record(&producers, 2, 1);
    close_beside(&producers, 2, 2, 2);
    ck_assert_uint_eq(ek_producers_closed(&producers), 0);
    ck_assert_uint_eq(producers.oldest->id, 1);
    close_beside(&producers, 1, 2, 2);
    ck_assert_uint_eq(producers.oldest->id, 2);
    ck_assert_uint_eq(producers.newest->id, 1);
    close_beside(&producers, 3, 1, 1);
    ck_assert_uint_eq(producers.oldest->id, 2);
    ck_assert_uint_eq(producers.last_closed->id, 1);
    ek_producers_done(&producers);
}
END_TEST

/* Nothing keeps a client from making an id up. */
START_TEST(ids_that_were_never_issued_do_not_raise_the_floor_above_those_to_come)
{
    struct ek_producers producers = {.stamp_unix_ms = 1700000000000};
    for (uint64_t i = 0; i <= EK_PRODUCERS_PER_SHARD_MAX; i++)
        record(&producers, UINT64_MAX - EK_PRODUCERS_PER_SHARD_MAX + i, 1);
    uint64_t issued_now = producers.stamp_unix_ms << EK_PRODUCER_COUNTER_BITS;
    uint64_t issued_next = (producers.stamp_unix_ms + 1) << EK_PRODUCER_COUNTER_BITS;
    ck_assert_int_eq(look(&producers, issued_now, 1), EK_NUMBER_FORGOTTEN);
    ck_assert_int_eq(look(&producers, issued_next, 1), EK_NUMBER_NEW);
    ek_producers_done(&producers);
}
END_TEST

START_TEST(one_that_writes_again_leaves_the_others_closed)
{
    struct ek_producers producers = {0};
    for (uint64_t id = 1; id <= 3; id++)
        record(&producers, id, 1);
    close_beside(&producers, 3, 2, 1);
    close_beside(&producers, 3, 3, 2);
    ck_assert_uint_eq(ek_producers_closed(&producers), 2);
    record(&producers, 2, 2);
    ck_assert_uint_eq(ek_producers_closed(&producers), 1);
    ck_assert_uint_eq(producers.last_closed->id, 1);
    ck_assert_uint_eq(producers.newest->id, 2);
    ek_producers_done(&producers);
}
END_TEST

START_TEST(replies_of_a_shard_are_bounded_in_bytes)
{
    static const uint8_t body[EK_WRITE_REPLY_BYTES_MAX];
    struct ek_producers producers = {0};
    for (uint64_t id = 1; id <= 3000; id++) {
        struct ek_verdict verdict = numbered(&producers, id, 1);
        verdict.body = ek_slice_of(body, sizeof body);
        ek_producers_record(&producers, &verdict);
        ck_assert_uint_le(producers.numbered_bytes, EK_PRODUCERS_BYTES_MAX);
    }
    ck_assert_int_eq(look(&producers, 1, 2), EK_NUMBER_FORGOTTEN);
    ck_assert_int_eq(look(&producers, 3000, 2), EK_NUMBER_NEW);
    ck_assert_uint_gt(producers.table.count, 500);
    ek_producers_done(&producers);
}
END_TEST

START_TEST(thin_replies_stay_until_they_are_confirmed)
{
    struct ek_producers producers = {0};
    for (int i = 0; i < 4; i++) {
        struct ek_verdict verdict = {.position = producers.position + 1, .count = 2, .used = true, .stamp_unix_ms = 5};
        ek_producers_record(&producers, &verdict);
    }
    ck_assert_uint_eq(producers.position, 8);
    ck_assert_ptr_nonnull(ek_producers_reply(&producers, 0, 3));
    ck_assert_ptr_null(ek_producers_reply(&producers, 0, 4));
    struct ek_verdict verdict = {.position = 9, .count = 1, .used = true, .stamp_unix_ms = 5, .confirmed = 4};
    ek_producers_record(&producers, &verdict);
    ck_assert_ptr_null(ek_producers_reply(&producers, 0, 1));
    ck_assert_ptr_null(ek_producers_reply(&producers, 0, 3));
    ck_assert_ptr_nonnull(ek_producers_reply(&producers, 0, 5));
    ck_assert_ptr_nonnull(ek_producers_reply(&producers, 0, 9));
    ek_producers_done(&producers);
    ck_assert_uint_eq(producers.thin_bytes, 0);
}
END_TEST

START_TEST(thin_replies_that_nobody_confirms_are_bounded_in_bytes)
{
    static const uint8_t body[EK_WRITE_REPLY_BYTES_MAX];
    struct ek_producers producers = {0};
    for (uint64_t position = 1; position <= 3000; position++) {
        struct ek_verdict verdict = {
            .position = position, .count = 1, .used = true, .stamp_unix_ms = 5, .body = ek_slice_of(body, sizeof body)};
        ek_producers_record(&producers, &verdict);
        ck_assert_uint_le(producers.thin_bytes, EK_PRODUCERS_BYTES_MAX);
    }
    ck_assert_ptr_null(ek_producers_reply(&producers, 0, 1));
    ck_assert_ptr_nonnull(ek_producers_reply(&producers, 0, 3000 - 500));
    ck_assert_ptr_nonnull(ek_producers_reply(&producers, 0, 3000));
    ek_producers_done(&producers);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("producers");
    TCase *tests = tcase_create("producers");
    tcase_add_test(tests, numbers_are_taken_in_order);
    tcase_add_test(tests, replies_stay_until_they_are_not_needed);
    tcase_add_test(tests, a_reply_takes_the_place_of_one_that_is_not_needed);
    tcase_add_test(tests, a_producer_keeps_a_bounded_number_of_replies);
    tcase_add_test(tests, a_verdict_without_a_number_moves_the_position_only);
    tcase_add_test(tests, a_full_table_forgets_whoever_was_silent_longest);
    tcase_add_test(tests, the_floor_and_the_stamp_never_fall);
    tcase_add_test(tests, a_loss_leaves_the_stamp_and_the_last_expiry);
    tcase_add_test(tests, a_full_table_forgets_closed_producers_before_older_ones);
    tcase_add_test(tests, a_closed_producer_is_known_until_room_is_needed);
    tcase_add_test(tests, a_mark_on_a_producers_own_write_is_older_than_the_write);
    tcase_add_test(tests, ids_that_were_never_issued_do_not_raise_the_floor_above_those_to_come);
    tcase_add_test(tests, one_that_writes_again_leaves_the_others_closed);
    tcase_add_test(tests, replies_of_a_shard_are_bounded_in_bytes);
    tcase_add_test(tests, thin_replies_that_nobody_confirms_are_bounded_in_bytes);
    tcase_add_test(tests, thin_replies_stay_until_they_are_confirmed);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
