/* Limits of messages at and one beyond; what the vectors hold is tested in test_vectors.c. */
#include "common/codec.h"
#include "common/writer.h"
#include "tests/support/run_suite.h"

#include <stdlib.h>
#include <string.h>

static const struct ek_slice small_body = {(const uint8_t *)"\x91\x92\x02\xc4\x01k", 6};

static struct ek_job job_with(struct ek_slice body)
{
    return (struct ek_job){.id = 1, .kind = EK_JOB_READ, .body = body};
}

/* Encodes one job, decodes it into `ret` and says how that went; `ret`'s body is not valid afterwards. */
static enum ek_status pass_job(const struct ek_job *job, struct ek_job *ret)
{
    struct ek_envelope envelope = {0};
    ek_encode_job(&envelope, job);
    struct ek_owned sealed = ek_envelope_seal(&envelope, EK_MESSAGE_JOBS, NULL);
    enum ek_message_type type;
    struct ek_reader fields;
    uint32_t count;
    ck_assert_int_eq(ek_decode_type(sealed.message, &type, &fields), EK_OK);
    ck_assert_int_eq(ek_decode_count(&fields, EK_ENVELOPE_JOBS_MAX, &count), EK_OK);
    enum ek_status status = ek_decode_job(&fields, ret);
    free(sealed.memory);
    return status;
}

/* A body of `count` smallest operations. */
static struct ek_buffer body_of(uint32_t count)
{
    struct ek_buffer body = {0};
    ek_write_array(&body, count);
    for (uint32_t i = 0; i < count; i++)
        ek_buffer_append(&body, small_body.data + 1, small_body.size - 1);
    return body;
}

START_TEST(a_job_has_1_to_4096_operations)
{
    static const uint32_t counts[] = {1, 15, 16, EK_JOB_OPERATIONS_MAX};
    struct ek_job decoded;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct ek_buffer body = body_of(counts[i]);
        struct ek_job job = job_with(ek_buffer_slice(&body));
        ck_assert_int_eq(pass_job(&job, &decoded), EK_OK);
        ck_assert_uint_eq(decoded.count, counts[i]);
        ek_buffer_done(&body);
    }
    struct ek_buffer none = body_of(0);
    struct ek_job empty = job_with(ek_buffer_slice(&none));
    ck_assert_int_eq(pass_job(&empty, &decoded), EK_MALFORMED);
    ek_buffer_done(&none);
    struct ek_buffer many = body_of(EK_JOB_OPERATIONS_MAX + 1);
    struct ek_job over = job_with(ek_buffer_slice(&many));
    ck_assert_int_eq(pass_job(&over, &decoded), EK_TOO_LARGE);
    ek_buffer_done(&many);
}
END_TEST

START_TEST(a_body_has_its_limit_in_bytes)
{
    struct ek_job decoded;
    uint8_t *bytes = ek_alloc_zero(1, EK_JOB_BODY_BYTES_MAX + 1);
    memcpy(bytes, small_body.data, small_body.size);
    struct ek_job at = job_with(ek_slice_of(bytes, EK_JOB_BODY_BYTES_MAX));
    ck_assert_int_eq(pass_job(&at, &decoded), EK_OK);
    ck_assert_uint_eq(decoded.body.size, EK_JOB_BODY_BYTES_MAX);
    struct ek_job over = job_with(ek_slice_of(bytes, EK_JOB_BODY_BYTES_MAX + 1));
    ck_assert_int_eq(pass_job(&over, &decoded), EK_TOO_LARGE);
    free(bytes);
}
END_TEST

START_TEST(a_deadline_has_its_limit)
{
    struct ek_job decoded;
    struct ek_job job = job_with(small_body);
    job.deadline_ms = EK_DEADLINE_MS_MAX;
    ck_assert_int_eq(pass_job(&job, &decoded), EK_OK);
    ck_assert_uint_eq(decoded.deadline_ms, EK_DEADLINE_MS_MAX);
    job.deadline_ms++;
    ck_assert_int_eq(pass_job(&job, &decoded), EK_MALFORMED);
}
END_TEST

START_TEST(a_producer_has_at_most_64_unsettled_numbers)
{
    struct ek_job decoded;
    struct ek_job job = {.kind = EK_JOB_WRITE, .body = small_body};
    job.route = (struct ek_route){.present = true, .producer = 7, .number = 1000, .lowest = 1001 - EK_UNSETTLED_MAX};
    ck_assert_int_eq(pass_job(&job, &decoded), EK_OK);
    ck_assert_uint_eq(decoded.route.lowest, job.route.lowest);
    job.route.lowest--;
    ck_assert_int_eq(pass_job(&job, &decoded), EK_MALFORMED);
}
END_TEST

struct routing {
    enum ek_job_kind kind;
    struct ek_route route;
    bool fits;
};

START_TEST(routes_fit_their_kind)
{
    static const struct routing routings[] = {
        {EK_JOB_READ, {.present = false}, true},
        {EK_JOB_READ, {.present = true}, true},
        {EK_JOB_READ, {.present = true, .producer = 1, .number = 1}, true},
        {EK_JOB_READ, {.present = true, .producer = 1}, false},
        {EK_JOB_READ, {.present = true, .number = 1}, false},
        {EK_JOB_WRITE, {.present = false}, true},
        {EK_JOB_WRITE, {.present = true}, true},
        {EK_JOB_WRITE, {.present = true, .number = 1, .lowest = 1}, false},
        {EK_JOB_WRITE, {.present = true, .producer = 1, .number = 1, .lowest = 1}, true},
        {EK_JOB_WRITE, {.present = true, .producer = 1, .number = 0, .lowest = 0}, false},
        {EK_JOB_WRITE, {.present = true, .producer = 1, .number = 2, .lowest = 3}, false},
        {EK_JOB_TRANSACTION, {.present = true, .producer = 1, .number = 2, .lowest = 2}, true},
        {EK_JOB_DELETE, {.present = true, .producer = 1, .number = 2, .lowest = 2}, true},
        {EK_JOB_CANCEL, {.present = false}, false},
        {EK_JOB_CANCEL, {.present = true}, false},
        {EK_JOB_CANCEL, {.present = true, .producer = 1, .number = 2, .lowest = 2}, true},
    };
    for (size_t i = 0; i < sizeof routings / sizeof *routings; i++) {
        struct ek_job decoded;
        struct ek_job job = {.kind = routings[i].kind, .route = routings[i].route, .body = small_body};
        enum ek_status status = pass_job(&job, &decoded);
        ck_assert_msg((status == EK_OK) == routings[i].fits, "routing %zu: status %d", i, (int)status);
    }
}
END_TEST

START_TEST(an_envelope_has_at_most_8192_jobs)
{
    static const uint32_t counts[] = {EK_ENVELOPE_JOBS_MAX, EK_ENVELOPE_JOBS_MAX + 1};
    for (size_t i = 0; i < 2; i++) {
        struct ek_buffer items = {0};
        ek_write_array(&items, counts[i]);
        for (uint32_t n = 0; n < counts[i]; n++)
            ek_write_nil(&items);
        struct ek_reader fields = ek_reader_of(ek_buffer_slice(&items));
        uint32_t count = 0;
        ck_assert_int_eq(ek_decode_count(&fields, EK_ENVELOPE_JOBS_MAX, &count), i ? EK_TOO_LARGE : EK_OK);
        ck_assert_uint_eq(count, i ? 0 : EK_ENVELOPE_JOBS_MAX);
        ek_buffer_done(&items);
    }
}
END_TEST

START_TEST(an_answer_has_its_limit_in_bytes)
{
    uint8_t *text = ek_alloc_zero(1, EK_ANSWER_BYTES_MAX + 1);
    for (size_t over = 0; over < 2; over++) {
        struct ek_buffer out = {0};
        ek_encode_answer(&out, &(struct ek_answer){.id = 1, .text = ek_slice_of(text, EK_ANSWER_BYTES_MAX + over)});
        enum ek_message_type type;
        struct ek_reader fields;
        struct ek_answer answer;
        ck_assert_int_eq(ek_decode_type(ek_buffer_slice(&out), &type, &fields), EK_OK);
        ck_assert_int_eq(ek_decode_answer(&fields, &answer), over ? EK_TOO_LARGE : EK_OK);
        ek_buffer_done(&out);
    }
    free(text);
}
END_TEST

START_TEST(a_text_has_at_most_255_bytes)
{
    struct ek_hello hello = {.id = 1};
    memset(hello.name, 'n', EK_TEXT_BYTES_MAX - 1);
    struct ek_buffer out = {0};
    ek_encode_hello(&out, &hello);
    enum ek_message_type type;
    struct ek_reader fields;
    struct ek_hello decoded;
    ck_assert_int_eq(ek_decode_type(ek_buffer_slice(&out), &type, &fields), EK_OK);
    ck_assert_int_eq(ek_decode_hello(&fields, &decoded), EK_OK);
    ck_assert_str_eq(decoded.name, hello.name);
    ek_buffer_done(&out);
}
END_TEST

START_TEST(every_status_has_a_name)
{
    for (int status = 0; status < EK_WIRE_STATUS_COUNT; status++)
        ck_assert_str_ne(ek_wire_status_name((enum ek_wire_status)status), "invalid");
    ck_assert_str_eq(ek_wire_status_name(EK_WIRE_OK), "ok");
    ck_assert_str_eq(ek_wire_status_name(EK_WIRE_CONDITION_FAILED), "condition_failed");
    ck_assert_str_eq(ek_wire_status_name(EK_WIRE_ALONE), "alone");
    ck_assert_str_eq(ek_wire_status_name(EK_WIRE_STATUS_COUNT), "invalid");
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("codec");
    TCase *tests = tcase_create("codec");
    tcase_add_test(tests, a_job_has_1_to_4096_operations);
    tcase_add_test(tests, a_body_has_its_limit_in_bytes);
    tcase_add_test(tests, a_deadline_has_its_limit);
    tcase_add_test(tests, a_producer_has_at_most_64_unsettled_numbers);
    tcase_add_test(tests, routes_fit_their_kind);
    tcase_add_test(tests, an_envelope_has_at_most_8192_jobs);
    tcase_add_test(tests, an_answer_has_its_limit_in_bytes);
    tcase_add_test(tests, a_text_has_at_most_255_bytes);
    tcase_add_test(tests, every_status_has_a_name);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
