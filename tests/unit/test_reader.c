/* The cursor over MessagePack, and the writer whose bytes it reads. */
#include "common/reader.h"
#include "common/writer.h"
#include "tests/support/run_suite.h"

#include <string.h>

static struct ek_reader reader_of(const char *bytes, size_t size)
{
    return ek_reader_of(ek_slice_of(bytes, size));
}

#define READER(literal) reader_of(literal, sizeof(literal) - 1)

struct form {
    uint64_t value;
    size_t size; /* of the shortest form */
};

START_TEST(whole_numbers_take_their_shortest_form)
{
    static const struct form forms[] = {{0, 1},          {127, 1},       {128, 2},        {255, 2},
                                        {256, 3},        {65535, 3},     {65536, 5},      {UINT32_MAX, 5},
                                        {1ull << 32, 9}, {INT64_MAX, 9}, {1ull << 63, 9}, {UINT64_MAX, 9}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct ek_buffer out = {0};
        ek_write_uint(&out, forms[i].value);
        ck_assert_uint_eq(out.size, forms[i].size);
        struct ek_reader reader = ek_reader_of(ek_buffer_slice(&out));
        ck_assert_uint_eq(ek_read_uint(&reader), forms[i].value);
        ck_assert(ek_reader_ended(&reader));
        ek_buffer_done(&out);
    }
}
END_TEST

enum { TOGETHER = 14 };

/* Reading together is told from reading one by one by nothing but its speed. */
static void read_both_ways(struct ek_slice bytes)
{
    struct ek_reader together = ek_reader_of(bytes);
    struct ek_reader single = ek_reader_of(bytes);
    uint64_t values[TOGETHER];
    ek_read_uints(&together, values, TOGETHER);
    for (size_t i = 0; i < TOGETHER; i++)
        ck_assert_uint_eq(values[i], ek_read_uint(&single));
    ck_assert_ptr_eq(together.at, single.at);
    ck_assert(ek_reader_ok(&together) == ek_reader_ok(&single));
}

static void write_together(struct ek_buffer *out)
{
    static const uint64_t values[TOGETHER] = {0,          127,        128,       255,        256,        65535,          65536,
                                              UINT32_MAX, 1ull << 32, INT64_MAX, 1ull << 63, UINT64_MAX, UINT64_MAX - 1, 1};
    ek_write_uints(out, values, TOGETHER);
}

START_TEST(numbers_are_read_together_as_one_by_one)
{
    enum { BEHIND = TOGETHER * 9 };
    struct ek_buffer out = {0};
    write_together(&out);
    size_t size = out.size;
    ck_assert_uint_eq(size, 68);
    for (size_t i = 0; i < BEHIND; i++)
        ek_buffer_append(&out, "\x2a", 1);
    for (size_t there = 0; there <= out.size; there++)
        read_both_ways(ek_slice_of(out.data, there));
    ek_buffer_done(&out);
}
END_TEST

START_TEST(what_is_no_number_fails_among_numbers)
{
    static const uint8_t others[] = {0x80, 0x90, 0xa0, 0xc0, 0xc1, 0xcb, 0xd0, 0xe0, 0xff};
    struct ek_buffer out = {0};
    for (size_t i = 0; i < sizeof others; i++)
        for (size_t before = 0; before < TOGETHER; before++) {
            ek_buffer_clear(&out);
            for (size_t j = 0; j < TOGETHER * 9; j++)
                ek_buffer_append(&out, "\x2a", 1);
            out.data[before] = others[i];
            struct ek_reader reader = ek_reader_of(ek_buffer_slice(&out));
            uint64_t values[TOGETHER];
            ek_read_uints(&reader, values, TOGETHER);
            ck_assert(!ek_reader_ok(&reader));
            for (size_t j = 0; j < TOGETHER; j++)
                ck_assert_uint_eq(values[j], j < before ? 0x2a : 0);
            read_both_ways(ek_buffer_slice(&out));
        }
    ek_buffer_done(&out);
}
END_TEST

START_TEST(signed_numbers_keep_their_sign)
{
    static const int64_t values[] = {
        0,         1,         -1,       -32,       -33,           127,       128,       -128,
        -129,      255,       -256,     INT16_MIN, INT16_MIN - 1, INT16_MAX, INT32_MIN, (int64_t)INT32_MIN - 1,
        INT32_MAX, INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct ek_buffer out = {0};
        ek_write_int(&out, values[i]);
        struct ek_reader reader = ek_reader_of(ek_buffer_slice(&out));
        ck_assert_int_eq(ek_read_int(&reader), values[i]);
        ck_assert(ek_reader_ended(&reader));
        ek_buffer_done(&out);
    }
}
END_TEST

START_TEST(signed_forms_of_every_width_are_read)
{
    struct ek_reader reader =
        READER("\xd0\x80\xd1\x80\x00\xd2\x80\x00\x00\x00\xd3\x80\x00\x00\x00\x00\x00\x00\x00\xd0\x7f\xe0\xff");
    ck_assert_int_eq(ek_read_int(&reader), INT8_MIN);
    ck_assert_int_eq(ek_read_int(&reader), INT16_MIN);
    ck_assert_int_eq(ek_read_int(&reader), INT32_MIN);
    ck_assert_int_eq(ek_read_int(&reader), INT64_MIN);
    ck_assert_int_eq(ek_read_int(&reader), 127);
    ck_assert_int_eq(ek_read_int(&reader), -32);
    ck_assert_int_eq(ek_read_int(&reader), -1);
    ck_assert(ek_reader_ended(&reader));
}
END_TEST

START_TEST(numbers_out_of_range_fail)
{
    struct ek_reader negative = READER("\xff");
    (void)ek_read_uint(&negative);
    ck_assert(!ek_reader_ok(&negative));
    struct ek_reader beyond = READER("\xcf\x80\x00\x00\x00\x00\x00\x00\x00");
    (void)ek_read_int(&beyond);
    ck_assert(!ek_reader_ok(&beyond));
    struct ek_reader above = READER("\x08");
    ck_assert_uint_eq(ek_read_uint_max(&above, 7), 0);
    ck_assert(!ek_reader_ok(&above));
    struct ek_reader at = READER("\x07");
    ck_assert_uint_eq(ek_read_uint_max(&at, 7), 7);
    ck_assert(ek_reader_ok(&at));
    struct ek_reader real = READER("\xca\x00\x00\x00\x00");
    (void)ek_read_uint(&real);
    ck_assert(!ek_reader_ok(&real));
}
END_TEST

START_TEST(bytes_of_every_length_form_are_read)
{
    struct ek_reader reader =
        READER("\xa2hi\xc4\x02hi\xc5\x00\x02hi\xc6\x00\x00\x00\x02hi\xd9\x02hi\xda\x00\x02hi\xdb\x00\x00\x00\x02hi");
    for (int i = 0; i < 7; i++)
        ck_assert(ek_slice_equal(ek_read_bytes(&reader), ek_slice_text("hi")));
    ck_assert(ek_reader_ended(&reader));
}
END_TEST

START_TEST(written_bytes_come_back)
{
    static const size_t sizes[] = {0, 1, 255, 256, 65535, 65536};
    static uint8_t data[65536];
    memset(data, 0xc1, sizeof data);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct ek_buffer out = {0};
        ek_write_bytes(&out, ek_slice_of(data, sizes[i]));
        struct ek_reader reader = ek_reader_of(ek_buffer_slice(&out));
        ck_assert(ek_slice_equal(ek_read_bytes(&reader), ek_slice_of(data, sizes[i])));
        ck_assert(ek_reader_ended(&reader));
        ek_buffer_done(&out);
    }
}
END_TEST

START_TEST(declared_lengths_beyond_the_end_fail)
{
    struct ek_reader readers[] = {READER("\xa3hi"),
                                  READER("\xc4\x03hi"),
                                  READER("\xc5\xff\xffhi"),
                                  READER("\xc6\xff\xff\xff\xffhi"),
                                  READER("\xdb\xff\xff\xff\xffhi"),
                                  READER("\xc6\x00\x00")};
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        ck_assert_ptr_null(ek_read_bytes(&readers[i]).data);
        ck_assert(!ek_reader_ok(&readers[i]));
    }
}
END_TEST

START_TEST(empty_bytes_are_not_nil)
{
    struct ek_reader reader = READER("\xc4\x00\xc0");
    struct ek_slice empty = ek_read_bytes(&reader);
    ck_assert_ptr_nonnull(empty.data);
    ck_assert_uint_eq(empty.size, 0);
    ck_assert(ek_read_nil(&reader));
    ck_assert(ek_reader_ended(&reader));
    struct ek_buffer out = {0};
    ek_write_bytes_or_nil(&out, ek_slice_of("", 0));
    ek_write_bytes_or_nil(&out, ek_slice_of(NULL, 0));
    ck_assert(ek_slice_equal(ek_buffer_slice(&out), ek_slice_of("\xc4\x00\xc0", 3)));
    ek_buffer_done(&out);
}
END_TEST

START_TEST(texts_fit_or_fail)
{
    char text[4];
    struct ek_reader fits = READER("\xa3"
                                   "abc");
    ek_read_text(&fits, text, sizeof text);
    ck_assert(ek_reader_ok(&fits));
    ck_assert_str_eq(text, "abc");
    struct ek_reader longer = READER("\xa4"
                                     "abcd");
    ek_read_text(&longer, text, sizeof text);
    ck_assert(!ek_reader_ok(&longer));
    ck_assert_str_eq(text, "");
    struct ek_reader with_zero = READER("\xa2x\0");
    ek_read_text(&with_zero, text, sizeof text);
    ck_assert(!ek_reader_ok(&with_zero));
}
END_TEST

START_TEST(fixed_bytes_have_exactly_their_size)
{
    uint8_t id[3] = {9, 9, 9};
    struct ek_reader exact = READER("\xc4\x03"
                                    "abc");
    ek_read_fixed(&exact, id, sizeof id);
    ck_assert(ek_reader_ok(&exact));
    ck_assert_mem_eq(id, "abc", 3);
    struct ek_reader shorter = READER("\xc4\x02"
                                      "ab");
    ek_read_fixed(&shorter, id, sizeof id);
    ck_assert(!ek_reader_ok(&shorter));
}
END_TEST

START_TEST(arrays_never_claim_more_than_is_there)
{
    struct ek_reader small = READER("\x92\x01\x02");
    ck_assert_uint_eq(ek_read_array(&small), 2);
    struct ek_reader wide = READER("\xdc\x00\x01\x05");
    ck_assert_uint_eq(ek_read_array(&wide), 1);
    struct ek_reader widest = READER("\xdd\x00\x00\x00\x01\x05");
    ck_assert_uint_eq(ek_read_array(&widest), 1);
    struct ek_reader readers[] = {READER("\x93\x01\x02"), READER("\xdc\xff\xff\x01"), READER("\xdd\xff\xff\xff\xff\x01"),
                                  READER("\xdd\xff"),     READER("\x81\x01\x01"),     READER("\xc0")};
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        ck_assert_uint_eq(ek_read_array(&readers[i]), 0);
        ck_assert(!ek_reader_ok(&readers[i]));
    }
    struct ek_reader other = READER("\x92\x01\x02");
    ek_read_array_of(&other, 3);
    ck_assert(!ek_reader_ok(&other));
}
END_TEST

START_TEST(peeking_consumes_nothing)
{
    struct ek_reader reader = READER("\x91\xc0");
    ck_assert(ek_read_at_array(&reader));
    ck_assert(!ek_read_nil(&reader));
    ck_assert_uint_eq(ek_read_array(&reader), 1);
    ck_assert(!ek_read_at_array(&reader));
    ck_assert(ek_read_nil(&reader));
    ck_assert(ek_reader_ended(&reader));
    ck_assert(!ek_read_nil(&reader));
    ck_assert(!ek_read_at_array(&reader));
    ck_assert(ek_reader_ok(&reader));
}
END_TEST

START_TEST(booleans_are_only_true_and_false)
{
    struct ek_reader reader = READER("\xc3\xc2\x01");
    ck_assert(ek_read_bool(&reader));
    ck_assert(!ek_read_bool(&reader));
    ck_assert(ek_reader_ok(&reader));
    ck_assert(!ek_read_bool(&reader));
    ck_assert(!ek_reader_ok(&reader));
}
END_TEST

START_TEST(the_first_failure_stays)
{
    struct ek_reader reader = READER("\xc1\x05\xa1x\x91\xc0");
    (void)ek_read_uint(&reader);
    ck_assert(!ek_reader_ok(&reader));
    char text[8] = "old";
    ck_assert_uint_eq(ek_read_uint(&reader), 0);
    ck_assert_int_eq(ek_read_int(&reader), 0);
    ck_assert(!ek_read_bool(&reader));
    ck_assert_ptr_null(ek_read_bytes(&reader).data);
    ek_read_text(&reader, text, sizeof text);
    ck_assert_str_eq(text, "");
    ck_assert_uint_eq(ek_read_array(&reader), 0);
    ck_assert(!ek_read_nil(&reader));
    ck_assert(!ek_read_at_array(&reader));
    ck_assert(!ek_reader_ended(&reader));
}
END_TEST

START_TEST(nothing_at_all_fails)
{
    struct ek_reader none = ek_reader_of(ek_slice_of(NULL, 0));
    ck_assert(!ek_reader_ok(&none));
    ck_assert_uint_eq(ek_read_uint(&none), 0);
    struct ek_reader empty = READER("");
    ck_assert(ek_reader_ok(&empty));
    ck_assert(ek_reader_ended(&empty));
    (void)ek_read_bool(&empty);
    ck_assert(!ek_reader_ok(&empty));
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("reader");
    TCase *tests = tcase_create("reader");
    tcase_add_test(tests, whole_numbers_take_their_shortest_form);
    tcase_add_test(tests, numbers_are_read_together_as_one_by_one);
    tcase_add_test(tests, what_is_no_number_fails_among_numbers);
    tcase_add_test(tests, signed_numbers_keep_their_sign);
    tcase_add_test(tests, signed_forms_of_every_width_are_read);
    tcase_add_test(tests, numbers_out_of_range_fail);
    tcase_add_test(tests, bytes_of_every_length_form_are_read);
    tcase_add_test(tests, written_bytes_come_back);
    tcase_add_test(tests, declared_lengths_beyond_the_end_fail);
    tcase_add_test(tests, empty_bytes_are_not_nil);
    tcase_add_test(tests, texts_fit_or_fail);
    tcase_add_test(tests, fixed_bytes_have_exactly_their_size);
    tcase_add_test(tests, arrays_never_claim_more_than_is_there);
    tcase_add_test(tests, peeking_consumes_nothing);
    tcase_add_test(tests, booleans_are_only_true_and_false);
    tcase_add_test(tests, the_first_failure_stays);
    tcase_add_test(tests, nothing_at_all_fails);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
