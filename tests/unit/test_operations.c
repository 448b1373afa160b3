#include "common/hash.h"
#include "common/operations.h"
#include "common/writer.h"
#include "tests/support/run_suite.h"

#include <stdlib.h>
#include <string.h>

static enum ek_status pass(const struct ek_operation *operation, struct ek_operation *ret)
{
    struct ek_buffer out = {0};
    ek_encode_operation(&out, operation);
    struct ek_reader body = ek_reader_of(ek_buffer_slice(&out));
    enum ek_status status = ek_decode_operation(&body, ret);
    ek_buffer_done(&out);
    return status;
}

START_TEST(keys_have_1_to_4096_bytes)
{
    static uint8_t key[EK_KEY_BYTES_MAX + 1];
    for (int code = EK_OPERATION_PUT; code <= EK_OPERATION_SCAN; code++) {
        struct ek_operation decoded;
        struct ek_operation operation = {.code = (enum ek_operation_code)code, .limit = 1};
        operation.key = ek_slice_of(key, EK_KEY_BYTES_MAX);
        ck_assert_int_eq(pass(&operation, &decoded), EK_OK);
        operation.key.size++;
        ck_assert_int_eq(pass(&operation, &decoded), EK_TOO_LARGE);
        operation.key.size = 1;
        ck_assert_int_eq(pass(&operation, &decoded), EK_OK);
        operation.key.size = 0;
        ck_assert_int_eq(pass(&operation, &decoded), code == EK_OPERATION_SCAN ? EK_OK : EK_MALFORMED);
    }
}
END_TEST

START_TEST(values_have_at_most_16_mib)
{
    uint8_t *value = ek_alloc_zero(1, EK_VALUE_BYTES_MAX + 1);
    struct ek_operation decoded;
    struct ek_operation put = {.code = EK_OPERATION_PUT, .key = ek_slice_text("k")};
    put.value = ek_slice_of(value, EK_VALUE_BYTES_MAX);
    ck_assert_int_eq(pass(&put, &decoded), EK_OK);
    ck_assert_uint_eq(decoded.value.size, EK_VALUE_BYTES_MAX);
    put.value.size++;
    ck_assert_int_eq(pass(&put, &decoded), EK_TOO_LARGE);
    free(value);
}
END_TEST

START_TEST(the_largest_put_fits_into_a_job)
{
    uint8_t *value = ek_alloc_zero(1, EK_VALUE_BYTES_MAX);
    struct ek_buffer body = {0};
    ek_write_array(&body, 1);
    ek_encode_operation(&body, &(struct ek_operation){.code = EK_OPERATION_PUT,
                                                      .key = ek_slice_of(value, EK_KEY_BYTES_MAX),
                                                      .value = ek_slice_of(value, EK_VALUE_BYTES_MAX),
                                                      .ttl_ms = EK_TTL_MS_MAX,
                                                      .condition = EK_CONDITION_VERSION,
                                                      .version = UINT64_MAX});
    ck_assert_uint_le(body.size, EK_JOB_BODY_BYTES_MAX);
    ck_assert_uint_lt(EK_JOB_BODY_BYTES_MAX, EK_ENVELOPE_BYTES_MAX - EK_KIB);
    ek_buffer_done(&body);
    free(value);
}
END_TEST

START_TEST(expiry_has_its_limit)
{
    struct ek_operation decoded;
    struct ek_operation put = {.code = EK_OPERATION_PUT, .key = ek_slice_text("k"), .ttl_ms = EK_TTL_MS_MAX};
    ck_assert_int_eq(pass(&put, &decoded), EK_OK);
    ck_assert_uint_eq(decoded.ttl_ms, EK_TTL_MS_MAX);
    put.ttl_ms++;
    ck_assert_int_eq(pass(&put, &decoded), EK_TOO_LARGE);
}
END_TEST

START_TEST(scans_have_1_to_1000_entries)
{
    struct ek_operation decoded;
    struct ek_operation scan = {.code = EK_OPERATION_SCAN, .limit = EK_SCAN_ENTRIES_MAX};
    ck_assert_int_eq(pass(&scan, &decoded), EK_OK);
    scan.limit++;
    ck_assert_int_eq(pass(&scan, &decoded), EK_MALFORMED);
    scan.limit = 0;
    ck_assert_int_eq(pass(&scan, &decoded), EK_MALFORMED);
}
END_TEST

START_TEST(an_operation_works_where_its_key_lies)
{
    struct ek_operation put = {.code = EK_OPERATION_PUT, .key = ek_slice_text("{user:1}/x")};
    ck_assert_uint_eq(ek_operation_prefix(&put), ek_hash_prefix(ek_slice_text("user:1")));
}
END_TEST

START_TEST(a_scan_works_where_its_cursor_or_its_tag_lies)
{
    struct ek_operation scan = {.code = EK_OPERATION_SCAN, .key = ek_slice_text("user:")};
    ck_assert_uint_eq(ek_operation_prefix(&scan), 0);
    scan.key = ek_slice_text("{user:1}/");
    ck_assert_uint_eq(ek_operation_prefix(&scan), ek_hash_prefix(ek_slice_text("user:1")));
    scan.cursor = ek_slice_of("\x12\x34k", 3);
    ck_assert_uint_eq(ek_operation_prefix(&scan), 0x1234);
}
END_TEST

START_TEST(a_prefix_has_a_tag_only_when_it_is_whole)
{
    ck_assert(ek_prefix_has_tag(ek_slice_text("{a}")));
    ck_assert(ek_prefix_has_tag(ek_slice_text("x{a}y")));
    ck_assert(!ek_prefix_has_tag(ek_slice_text("{a")));
    ck_assert(!ek_prefix_has_tag(ek_slice_text("{}")));
    ck_assert(!ek_prefix_has_tag(ek_slice_text("")));
}
END_TEST

START_TEST(kinds_take_their_operations_only)
{
    static const char *const fitting[] = {[EK_JOB_READ] = "-+-+-+",
                                          [EK_JOB_WRITE] = "+-+++-",
                                          [EK_JOB_TRANSACTION] = "+-+++-",
                                          [EK_JOB_CANCEL] = "------",
                                          [EK_JOB_DELETE] = "--+---"};
    for (int kind = EK_JOB_READ; kind <= EK_JOB_DELETE; kind++)
        for (int code = EK_OPERATION_PUT; code <= EK_OPERATION_SCAN; code++)
            ck_assert_msg(ek_operation_fits((enum ek_job_kind)kind, (enum ek_operation_code)code) ==
                              (fitting[kind][code - 1] == '+'),
                          "kind %d, operation %d", kind, code);
}
END_TEST

START_TEST(results_of_writes_never_exceed_their_bound)
{
    struct ek_buffer out = {0};
    ek_encode_condition_failed(&out, UINT64_MAX);
    struct ek_operation put = {.code = EK_OPERATION_PUT, .condition = EK_CONDITION_VERSION};
    ck_assert_uint_le(out.size, ek_result_bytes_max(&put));
    ek_buffer_clear(&out);
    ek_encode_number(&out, INT64_MIN);
    struct ek_operation increment = {.code = EK_OPERATION_INCREMENT};
    ck_assert_uint_le(out.size, ek_result_bytes_max(&increment));
    ek_buffer_clear(&out);
    ek_encode_status(&out, EK_WIRE_NOT_FOUND, NULL);
    struct ek_operation delete = {.code = EK_OPERATION_DELETE};
    ck_assert_uint_le(out.size, ek_result_bytes_max(&delete));
    ek_buffer_done(&out);
}
END_TEST

START_TEST(bodies_count_their_operations)
{
    static const uint32_t counts[] = {1, EK_JOB_OPERATIONS_MAX, EK_JOB_OPERATIONS_MAX + 1};
    static const enum ek_status wanted[] = {EK_OK, EK_OK, EK_TOO_LARGE};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct ek_buffer body = {0};
        ek_write_array(&body, counts[i]);
        for (uint32_t n = 0; n < counts[i]; n++)
            ek_write_nil(&body);
        struct ek_reader reader = ek_reader_of(ek_buffer_slice(&body));
        uint32_t count = 0;
        ck_assert_int_eq(ek_decode_operation_count(&reader, &count), wanted[i]);
        ek_buffer_done(&body);
    }
}
END_TEST

START_TEST(a_refusal_names_its_operation)
{
    struct ek_buffer out = {0};
    ek_encode_refused(&out, 4095, EK_WIRE_FAILED, "not a number");
    struct ek_reader body = ek_reader_of(ek_buffer_slice(&out));
    uint32_t index;
    struct ek_result result;
    ck_assert_int_eq(ek_decode_refused(&body, &index), EK_OK);
    ck_assert_uint_eq(index, 4095);
    ck_assert_int_eq(ek_decode_result(&body, EK_OPERATION_INCREMENT, &result), EK_OK);
    ck_assert_int_eq(result.status, EK_WIRE_FAILED);
    ck_assert_str_eq(result.text, "not a number");
    ck_assert(ek_reader_ended(&body));
    ek_buffer_done(&out);
}
END_TEST

START_TEST(a_cause_is_one_status)
{
    struct ek_buffer out = {0};
    enum ek_wire_status cause;
    ek_encode_cause(&out, EK_WIRE_EXPIRED);
    ck_assert_int_eq(ek_decode_cause(ek_buffer_slice(&out), &cause), EK_OK);
    ck_assert_int_eq(cause, EK_WIRE_EXPIRED);
    ck_assert_int_eq(ek_decode_cause(ek_slice_of("\x91\x11", 2), &cause), EK_MALFORMED);
    ck_assert_int_eq(ek_decode_cause(ek_slice_of("\x92\x05\x05", 3), &cause), EK_MALFORMED);
    ck_assert_int_eq(ek_decode_cause(ek_slice_of("\x91\x05\x05", 3), &cause), EK_MALFORMED);
    ck_assert_int_eq(ek_decode_cause(ek_slice_of("\x05", 1), &cause), EK_MALFORMED);
    ck_assert_int_eq(ek_decode_cause(ek_slice_of(NULL, 0), &cause), EK_MALFORMED);
    ek_buffer_done(&out);
}
END_TEST

START_TEST(results_of_another_shape_are_malformed)
{
    static const struct {
        enum ek_operation_code code;
        const char *bytes;
        size_t size;
    } wrong[] = {
        {EK_OPERATION_GET, "\x11", 1},                 /* no such status */
        {EK_OPERATION_GET, "\x93\x00\xc4\x00\x01", 5}, /* a field too few */
        {EK_OPERATION_PUT, "\x92\x00\x01", 3},         /* a put has no OK fields */
        {EK_OPERATION_INCREMENT, "\x92\x00\xc0", 3},
        {EK_OPERATION_SCAN, "\x92\x00\x90", 3},
        {EK_OPERATION_SCAN, "\x93\x00\xdd\xff\xff\xff\xff\xc0", 8},
        {EK_OPERATION_PUT, "\x93\x02\x01\x01", 4},
        {EK_OPERATION_PUT, "\x91\x0b", 2},
        {EK_OPERATION_PUT, "\x92\x0b\x05", 3},
        {EK_OPERATION_PUT, "\x90", 1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct ek_reader body = ek_reader_of(ek_slice_of(wrong[i].bytes, wrong[i].size));
        struct ek_result result;
        ck_assert_msg(ek_decode_result(&body, wrong[i].code, &result) == EK_MALFORMED, "result %zu", i);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("operations");
    TCase *tests = tcase_create("operations");
    tcase_add_test(tests, keys_have_1_to_4096_bytes);
    tcase_add_test(tests, values_have_at_most_16_mib);
    tcase_add_test(tests, the_largest_put_fits_into_a_job);
    tcase_add_test(tests, expiry_has_its_limit);
    tcase_add_test(tests, scans_have_1_to_1000_entries);
    tcase_add_test(tests, an_operation_works_where_its_key_lies);
    tcase_add_test(tests, a_scan_works_where_its_cursor_or_its_tag_lies);
    tcase_add_test(tests, a_prefix_has_a_tag_only_when_it_is_whole);
    tcase_add_test(tests, kinds_take_their_operations_only);
    tcase_add_test(tests, results_of_writes_never_exceed_their_bound);
    tcase_add_test(tests, bodies_count_their_operations);
    tcase_add_test(tests, a_refusal_names_its_operation);
    tcase_add_test(tests, a_cause_is_one_status);
    tcase_add_test(tests, results_of_another_shape_are_malformed);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
