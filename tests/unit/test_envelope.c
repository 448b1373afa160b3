#include "common/codec.h"
#include "tests/support/run_suite.h"

#include <stdlib.h>

static const struct ek_link link_of_test = {.link = UINT64_MAX, .generation = UINT64_MAX};

static void add_reply(struct ek_envelope *envelope, uint64_t id)
{
    ek_encode_reply(envelope, &(struct ek_reply){.id = id, .position = id * 10});
}

/* Opens a sealed envelope and checks that it holds the replies `first`, `first` + 1, ... */
static void check_replies(struct ek_owned sealed, uint64_t first, uint32_t count)
{
    enum ek_message_type type;
    struct ek_reader fields;
    ck_assert_int_eq(ek_decode_type(sealed.message, &type, &fields), EK_OK);
    ck_assert_int_eq(type, EK_MESSAGE_REPLIES);
    uint32_t found;
    ck_assert_int_eq(ek_decode_count(&fields, EK_ENVELOPE_JOBS_MAX, &found), EK_OK);
    ck_assert_uint_eq(found, count);
    for (uint32_t i = 0; i < count; i++) {
        struct ek_reply reply;
        ck_assert_int_eq(ek_decode_reply(&fields, &reply), EK_OK);
        ck_assert_uint_eq(reply.id, first + i);
    }
    ck_assert_int_eq(ek_decode_end(&fields), EK_OK);
    free(sealed.memory);
}

START_TEST(an_empty_envelope_seals)
{
    struct ek_envelope envelope = {0};
    ck_assert_uint_eq(ek_envelope_bytes(&envelope), 0);
    ck_assert(!ek_envelope_full(&envelope));
    check_replies(ek_envelope_seal(&envelope, EK_MESSAGE_REPLIES, NULL), 0, 0);
    ek_envelope_done(&envelope);
}
END_TEST

START_TEST(items_come_out_as_they_went_in)
{
    static const uint32_t counts[] = {1, 15, 16, 1000, EK_ENVELOPE_JOBS_MAX};
    struct ek_envelope envelope = {0};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (uint32_t id = 0; id < counts[i]; id++)
            add_reply(&envelope, id);
        ck_assert_uint_eq(envelope.count, counts[i]);
        check_replies(ek_envelope_seal(&envelope, EK_MESSAGE_REPLIES, NULL), 0, counts[i]);
    }
    ek_envelope_done(&envelope);
}
END_TEST

START_TEST(a_sealed_envelope_starts_anew)
{
    struct ek_envelope envelope = {0};
    add_reply(&envelope, 1);
    struct ek_owned first = ek_envelope_seal(&envelope, EK_MESSAGE_REPLIES, NULL);
    ck_assert_uint_eq(ek_envelope_bytes(&envelope), 0);
    add_reply(&envelope, 2);
    struct ek_owned second = ek_envelope_seal(&envelope, EK_MESSAGE_REPLIES, NULL);
    check_replies(first, 1, 1);
    check_replies(second, 2, 1);
    ek_envelope_done(&envelope);
}
END_TEST

START_TEST(a_copy_leaves_the_memory_to_the_envelope)
{
    struct ek_envelope envelope = {0};
    struct ek_envelope other = {0};
    for (uint64_t id = 5; id < 105; id++) {
        add_reply(&envelope, id);
        add_reply(&other, id);
    }
    const uint8_t *memory = envelope.bytes.data;
    struct ek_owned copy = ek_envelope_seal_copy(&envelope, EK_MESSAGE_REPLIES, NULL);
    struct ek_owned sealed = ek_envelope_seal(&other, EK_MESSAGE_REPLIES, NULL);
    ck_assert(ek_slice_equal(copy.message, sealed.message));
    ck_assert_uint_eq(ek_envelope_bytes(&envelope), 0);
    add_reply(&envelope, 7);
    ck_assert_ptr_eq(envelope.bytes.data, memory);
    check_replies(copy, 5, 100);
    check_replies(ek_envelope_seal_copy(&envelope, EK_MESSAGE_REPLIES, NULL), 7, 1);
    free(sealed.memory);
    ek_envelope_done(&envelope);
}
END_TEST

START_TEST(the_longest_head_finds_room)
{
    struct ek_envelope envelope = {0};
    for (uint64_t i = 0; i < EK_ENVELOPE_JOBS_MAX; i++)
        ek_encode_worker_reply(&envelope, &(struct ek_worker_reply){.token = i});
    struct ek_owned sealed = ek_envelope_seal(&envelope, EK_MESSAGE_WORKER_REPLIES, &link_of_test);
    enum ek_message_type type;
    struct ek_reader fields;
    struct ek_link link;
    uint32_t count;
    ck_assert_int_eq(ek_decode_type(sealed.message, &type, &fields), EK_OK);
    ck_assert_int_eq(ek_decode_link(&fields, &link), EK_OK);
    ck_assert_uint_eq(link.link, UINT64_MAX);
    ck_assert_uint_eq(link.generation, UINT64_MAX);
    ck_assert_int_eq(ek_decode_count(&fields, EK_ENVELOPE_JOBS_MAX, &count), EK_OK);
    ck_assert_uint_eq(count, EK_ENVELOPE_JOBS_MAX);
    free(sealed.memory);
}
END_TEST

START_TEST(it_is_full_at_its_goal_in_bytes)
{
    struct ek_envelope envelope = {0};
    uint8_t *body = ek_alloc_zero(1, EK_ENVELOPE_BYTES_GOAL);
    ek_encode_reply(&envelope, &(struct ek_reply){.body = ek_slice_of(body, EK_ENVELOPE_BYTES_GOAL - 200)});
    ck_assert(!ek_envelope_full(&envelope));
    ek_encode_reply(&envelope, &(struct ek_reply){.body = ek_slice_of(body, 200)});
    ck_assert(ek_envelope_full(&envelope));
    ek_envelope_done(&envelope);
    ck_assert(!ek_envelope_full(&envelope));
    free(body);
}
END_TEST

START_TEST(it_is_full_at_its_count)
{
    struct ek_envelope envelope = {0};
    for (uint64_t i = 1; i < EK_ENVELOPE_JOBS_MAX; i++)
        add_reply(&envelope, i);
    ck_assert(!ek_envelope_full(&envelope));
    add_reply(&envelope, EK_ENVELOPE_JOBS_MAX);
    ck_assert(ek_envelope_full(&envelope));
    ek_envelope_done(&envelope);
}
END_TEST

START_TEST(a_buffer_becomes_an_owned_message)
{
    struct ek_buffer buffer = {0};
    ek_buffer_append(&buffer, "abc", 3);
    struct ek_owned owned = ek_owned_of(&buffer);
    ck_assert(ek_slice_equal(owned.message, ek_slice_text("abc")));
    ck_assert_ptr_eq(owned.memory, owned.message.data);
    ck_assert_ptr_null(buffer.data);
    free(owned.memory);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("envelope");
    TCase *tests = tcase_create("envelope");
    tcase_add_test(tests, an_empty_envelope_seals);
    tcase_add_test(tests, items_come_out_as_they_went_in);
    tcase_add_test(tests, a_sealed_envelope_starts_anew);
    tcase_add_test(tests, a_copy_leaves_the_memory_to_the_envelope);
    tcase_add_test(tests, the_longest_head_finds_room);
    tcase_add_test(tests, it_is_full_at_its_goal_in_bytes);
    tcase_add_test(tests, it_is_full_at_its_count);
    tcase_add_test(tests, a_buffer_becomes_an_owned_message);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
