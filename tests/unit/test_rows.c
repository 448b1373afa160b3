#include "worker/rows.h"
#include "tests/support/run_suite.h"

#include <string.h>

START_TEST(a_row_comes_back_with_and_without_expiry)
{
    static const uint64_t expiries[] = {0, 1, UINT64_MAX};
    for (size_t i = 0; i < 3; i++) {
        uint8_t bytes[EK_ROW_HEAD_BYTES_MAX + 3];
        size_t head = ek_row_head(bytes, 0x1122334455667788u, expiries[i]);
        memcpy(bytes + head, "abc", 3);
        struct ek_row row;
        ck_assert_int_eq(ek_row_decode(ek_slice_of(bytes, head + 3), &row), EK_OK);
        ck_assert_uint_eq(row.version, 0x1122334455667788u);
        ck_assert_uint_eq(row.expiry_unix_ms, expiries[i]);
        ck_assert(ek_slice_equal(row.value, ek_slice_text("abc")));
        for (size_t cut = 0; cut < head; cut++)
            ck_assert_int_eq(ek_row_decode(ek_slice_of(bytes, cut), &row), EK_CORRUPT);
    }
}
END_TEST

START_TEST(other_formats_are_told_apart_from_damage)
{
    uint8_t bytes[EK_ROW_HEAD_BYTES_MAX];
    struct ek_row row;
    size_t size = ek_row_head(bytes, 1, 0);
    bytes[0] = EK_ROW_FORMAT + 1;
    ck_assert_int_eq(ek_row_decode(ek_slice_of(bytes, size), &row), EK_NEWER);
    bytes[0] = 0;
    ck_assert_int_eq(ek_row_decode(ek_slice_of(bytes, size), &row), EK_CORRUPT);
    bytes[0] = EK_ROW_FORMAT;
    bytes[9] = 2; /* a flag that format 1 does not have */
    ck_assert_int_eq(ek_row_decode(ek_slice_of(bytes, size), &row), EK_CORRUPT);
}
END_TEST

START_TEST(physical_keys_sort_by_prefix_then_key)
{
    uint8_t a[EK_ROW_KEY_BYTES_MAX];
    uint8_t b[EK_ROW_KEY_BYTES_MAX];
    size_t a_bytes = ek_row_key(a, 0x01ff, ek_slice_text("zzz"));
    size_t b_bytes = ek_row_key(b, 0x0200, ek_slice_text("a"));
    ck_assert_uint_eq(a_bytes, 5);
    ck_assert_int_lt(ek_slice_compare(ek_slice_of(a, a_bytes), ek_slice_of(b, b_bytes)), 0);
}
END_TEST

START_TEST(expiry_is_reached_at_its_own_time)
{
    ck_assert(!ek_row_expired(0, UINT64_MAX));
    ck_assert(!ek_row_expired(1000, 999));
    ck_assert(ek_row_expired(1000, 1000));
}
END_TEST

START_TEST(numbers_are_plain_decimal_text)
{
    static const struct {
        const char *text;
        int64_t number;
    } good[] = {{"0", 0}, {"42", 42}, {"-1", -1}, {"9223372036854775807", INT64_MAX}, {"-9223372036854775808", INT64_MIN}};
    static const char *const bad[] = {
        "", "-", "-0", "01", "+1", " 1", "1 ", "1a", "9223372036854775808", "-9223372036854775809", "99999999999999999999"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char text[EK_ROW_NUMBER_BYTES_MAX];
        int64_t number;
        ck_assert_int_eq(ek_row_parse_number(ek_slice_text(good[i].text), &number), EK_OK);
        ck_assert_int_eq(number, good[i].number);
        ck_assert_uint_eq(ek_row_format_number(text, number), strlen(good[i].text));
        ck_assert_str_eq(text, good[i].text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t number = 7;
        ck_assert_msg(ek_row_parse_number(ek_slice_text(bad[i]), &number) == EK_MALFORMED, "%s", bad[i]);
        ck_assert_int_eq(number, 7);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("rows");
    TCase *tests = tcase_create("rows");
    tcase_add_test(tests, a_row_comes_back_with_and_without_expiry);
    tcase_add_test(tests, other_formats_are_told_apart_from_damage);
    tcase_add_test(tests, physical_keys_sort_by_prefix_then_key);
    tcase_add_test(tests, expiry_is_reached_at_its_own_time);
    tcase_add_test(tests, numbers_are_plain_decimal_text);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
