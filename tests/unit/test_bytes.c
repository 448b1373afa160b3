#include "common/bytes.h"
#include "tests/support/run_suite.h"

#include <stdlib.h>
#include <string.h>

START_TEST(slices_are_ordered_as_bytes)
{
    ck_assert_int_lt(ek_slice_compare(ek_slice_text("a"), ek_slice_text("b")), 0);
    ck_assert_int_gt(ek_slice_compare(ek_slice_text("b"), ek_slice_text("ab")), 0);
    ck_assert_int_lt(ek_slice_compare(ek_slice_text("a"), ek_slice_text("ab")), 0);
    ck_assert_int_gt(ek_slice_compare(ek_slice_of("\xff", 1), ek_slice_of("\x01\x01", 2)), 0);
    ck_assert_int_eq(ek_slice_compare(ek_slice_of(NULL, 0), ek_slice_text("")), 0);
    ck_assert_int_lt(ek_slice_compare(ek_slice_of(NULL, 0), ek_slice_of("\0", 1)), 0);
}
END_TEST

START_TEST(slices_compare_beyond_a_zero_byte)
{
    ck_assert(!ek_slice_equal(ek_slice_of("a\0b", 3), ek_slice_of("a\0c", 3)));
    ck_assert(ek_slice_equal(ek_slice_of("a\0b", 3), ek_slice_of("a\0b", 3)));
    ck_assert(!ek_slice_equal(ek_slice_of("a\0", 2), ek_slice_of("a", 1)));
}
END_TEST

START_TEST(a_prefix_is_recognised)
{
    ck_assert(ek_slice_starts_with(ek_slice_text("user:1"), ek_slice_text("user:")));
    ck_assert(ek_slice_starts_with(ek_slice_text("user:"), ek_slice_text("user:")));
    ck_assert(!ek_slice_starts_with(ek_slice_text("user"), ek_slice_text("user:")));
    ck_assert(ek_slice_starts_with(ek_slice_of(NULL, 0), ek_slice_of(NULL, 0)));
    ck_assert(ek_slice_starts_with(ek_slice_text("x"), ek_slice_of(NULL, 0)));
}
END_TEST

START_TEST(a_buffer_keeps_what_was_appended_while_it_grows)
{
    struct ek_buffer buffer = {0};
    for (unsigned i = 0; i < 10000; i++) {
        uint8_t byte = (uint8_t)(i * 7);
        ek_buffer_append(&buffer, &byte, 1);
    }
    ck_assert_uint_eq(buffer.size, 10000);
    for (unsigned i = 0; i < 10000; i++)
        ck_assert_uint_eq(buffer.data[i], (uint8_t)(i * 7));
    size_t capacity = buffer.capacity;
    ek_buffer_clear(&buffer);
    ck_assert_uint_eq(buffer.size, 0);
    ck_assert_uint_eq(buffer.capacity, capacity);
    ek_buffer_done(&buffer);
    ck_assert_ptr_null(buffer.data);
    ck_assert_uint_eq(buffer.capacity, 0);
}
END_TEST

START_TEST(appending_nothing_needs_no_memory)
{
    struct ek_buffer buffer = {0};
    ek_buffer_append(&buffer, NULL, 0);
    ck_assert_ptr_null(buffer.data);
    ck_assert_uint_eq(ek_buffer_slice(&buffer).size, 0);
}
END_TEST

START_TEST(reserved_room_counts_only_after_advance)
{
    struct ek_buffer buffer = {0};
    ek_buffer_append(&buffer, "ab", 2);
    uint8_t *room = ek_buffer_reserve(&buffer, 1000);
    memset(room, 'x', 1000);
    ck_assert_uint_eq(buffer.size, 2);
    ek_buffer_advance(&buffer, 3);
    ck_assert(ek_slice_equal(ek_buffer_slice(&buffer), ek_slice_text("abxxx")));
    ek_buffer_done(&buffer);
}
END_TEST

START_TEST(taken_bytes_leave_an_empty_buffer)
{
    struct ek_buffer buffer = {0};
    ek_buffer_append(&buffer, "abc", 3);
    uint8_t *taken = ek_buffer_take(&buffer);
    ck_assert_mem_eq(taken, "abc", 3);
    ck_assert_ptr_null(buffer.data);
    ck_assert_uint_eq(buffer.size, 0);
    free(taken);
}
END_TEST

START_TEST(arrays_double_and_keep_their_elements)
{
    size_t capacity = 0;
    uint32_t *numbers = NULL;
    for (uint32_t i = 0; i < 1000; i++) {
        numbers = ek_grow(numbers, &capacity, i + 1, sizeof *numbers);
        numbers[i] = i;
    }
    ck_assert_uint_eq(capacity, 1024);
    ck_assert_ptr_eq(ek_grow(numbers, &capacity, 1024, sizeof *numbers), numbers);
    for (uint32_t i = 0; i < 1000; i++)
        ck_assert_uint_eq(numbers[i], i);
    free(numbers);
}
END_TEST

START_TEST(copies_are_independent)
{
    char text[] = "abc";
    uint8_t *bytes = ek_slice_copy(ek_slice_text(text));
    char *copy = ek_copy_text(text);
    text[0] = 'x';
    ck_assert_mem_eq(bytes, "abc", 3);
    ck_assert_str_eq(copy, "abc");
    ck_assert_ptr_null(ek_slice_copy(ek_slice_of(NULL, 0)));
    free(bytes);
    free(copy);
}
END_TEST

START_TEST(numbers_are_big_endian)
{
    uint8_t bytes[8];
    ek_put_u16(bytes, 0x1234);
    ck_assert_mem_eq(bytes, "\x12\x34", 2);
    ck_assert_uint_eq(ek_get_u16(bytes), 0x1234);
    ek_put_u64(bytes, 0x0123456789abcdefull);
    ck_assert_mem_eq(bytes, "\x01\x23\x45\x67\x89\xab\xcd\xef", 8);
    ck_assert_uint_eq(ek_get_u64(bytes), 0x0123456789abcdefull);
    ek_put_u16(bytes, 0xffff);
    ck_assert_uint_eq(ek_get_u16(bytes), 0xffff);
    ek_put_u64(bytes, UINT64_MAX);
    ck_assert_uint_eq(ek_get_u64(bytes), UINT64_MAX);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("bytes");
    TCase *tests = tcase_create("bytes");
    tcase_add_test(tests, slices_are_ordered_as_bytes);
    tcase_add_test(tests, slices_compare_beyond_a_zero_byte);
    tcase_add_test(tests, a_prefix_is_recognised);
    tcase_add_test(tests, a_buffer_keeps_what_was_appended_while_it_grows);
    tcase_add_test(tests, appending_nothing_needs_no_memory);
    tcase_add_test(tests, reserved_room_counts_only_after_advance);
    tcase_add_test(tests, taken_bytes_leave_an_empty_buffer);
    tcase_add_test(tests, arrays_double_and_keep_their_elements);
    tcase_add_test(tests, copies_are_independent);
    tcase_add_test(tests, numbers_are_big_endian);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
