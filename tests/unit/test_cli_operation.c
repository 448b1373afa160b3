#include "client/cli/operation.h"
#include "client/cli/words.h"
#include "tests/support/run_suite.h"

#include <stdlib.h>
#include <string.h>

static struct ek_words words;
static struct ek_instruction instruction;
static struct ek_error error;
static char line[16 * 1024];

static void teardown(void)
{
    ek_words_done(&words);
}

static enum ek_status parse(const char *text)
{
    (void)strcpy(line, text);
    ck_assert_int_eq(ek_words_split(&words, line, strlen(line), &error), EK_OK);
    return ek_instruction_parse(words.words, words.count, &instruction, &error);
}

static void expect_bytes(const void *bytes, size_t size, const char *wanted)
{
    ck_assert_uint_eq(size, strlen(wanted));
    ck_assert_mem_eq(bytes, wanted, size);
}

START_TEST(put_takes_its_options_anywhere)
{
    const struct ek_request *request = &instruction.request;
    ck_assert_int_eq(parse("put k v"), EK_OK);
    ck_assert_int_eq(instruction.kind, EK_PUT);
    expect_bytes(request->key, request->key_size, "k");
    expect_bytes(request->value, request->value_size, "v");
    ck_assert(!request->put.if_absent && request->put.if_version == 0 && request->put.ttl_ms == 0);
    ck_assert_int_eq(parse("put --ttl 30s k --if-version=7 v"), EK_OK);
    ck_assert_uint_eq(request->put.ttl_ms, 30000);
    ck_assert_uint_eq(request->put.if_version, 7);
    expect_bytes(request->value, request->value_size, "v");
    ck_assert_int_eq(parse("put k --if-absent v"), EK_OK);
    ck_assert(request->put.if_absent);
}
END_TEST

START_TEST(version_zero_means_absent)
{
    ck_assert_int_eq(parse("put k v --if-version 0"), EK_OK);
    ck_assert(instruction.request.put.if_absent);
    ck_assert_uint_eq(instruction.request.put.if_version, 0);
    ck_assert_int_eq(parse("put k v --if-absent --if-version 0"), EK_MALFORMED);
}
END_TEST

START_TEST(words_that_look_like_options_are_words)
{
    ck_assert_int_eq(parse("put k -5"), EK_OK);
    expect_bytes(instruction.request.value, instruction.request.value_size, "-5");
    ck_assert_int_eq(parse("put -- --k --v"), EK_OK);
    expect_bytes(instruction.request.key, instruction.request.key_size, "--k");
    ck_assert_int_eq(parse("put k ''"), EK_OK);
    ck_assert_uint_eq(instruction.request.value_size, 0);
}
END_TEST

START_TEST(incr_adds_one_or_what_is_said)
{
    ck_assert_int_eq(parse("incr n"), EK_OK);
    ck_assert_int_eq(instruction.request.by, 1);
    ck_assert_int_eq(parse("incr n -5"), EK_OK);
    ck_assert_int_eq(instruction.request.by, -5);
    ck_assert_int_eq(parse("incr n -9223372036854775808"), EK_OK);
    ck_assert_int_eq(instruction.request.by, INT64_MIN);
    ck_assert_int_eq(parse("incr n 9223372036854775808"), EK_MALFORMED);
    ck_assert_int_eq(parse("incr n 1.5"), EK_MALFORMED);
    ck_assert_int_eq(parse("incr n ''"), EK_MALFORMED);
}
END_TEST

START_TEST(del_and_exists_take_many_keys)
{
    ck_assert_int_eq(parse("del a b c"), EK_OK);
    ck_assert_int_eq(instruction.kind, EK_DELETE);
    ck_assert_uint_eq(instruction.key_count, 3);
    ck_assert_str_eq(instruction.keys[2], "c");
    ck_assert_int_eq(parse("exists a"), EK_OK);
    ck_assert_uint_eq(instruction.key_count, 1);
    ck_assert_int_eq(parse("del"), EK_MALFORMED);
    ck_assert_int_eq(parse("del a ''"), EK_MALFORMED);
}
END_TEST

START_TEST(scan_has_limits_and_a_cursor)
{
    const struct ek_request *request = &instruction.request;
    ck_assert_int_eq(parse("scan"), EK_OK);
    ck_assert_uint_eq(instruction.limit, EK_SCAN_DEFAULT);
    ck_assert_uint_eq(request->key_size, 0);
    ck_assert_ptr_null(request->cursor);
    ck_assert_int_eq(parse("scan --prefix {u}/ --values --limit 5000 --cursor 00ffAb"), EK_OK);
    ck_assert_uint_eq(instruction.limit, 5000);
    ck_assert_uint_eq(request->limit, EK_SCAN_ENTRIES_MAX);
    ck_assert(request->values);
    ck_assert_uint_eq(request->cursor_size, 3);
    ck_assert_mem_eq(request->cursor, "\x00\xff\xab", 3);
    ck_assert_int_eq(parse("scan --limit 0"), EK_MALFORMED);
    ck_assert_int_eq(parse("scan --cursor xyz"), EK_MALFORMED);
    ck_assert_int_eq(parse("scan --cursor 00"), EK_MALFORMED);
    ck_assert_int_eq(parse("scan word"), EK_MALFORMED);
}
END_TEST

START_TEST(a_cursor_has_at_most_the_size_of_a_key)
{
    size_t digits = 2u * EK_CURSOR_BYTES_MAX;
    char text[2u * EK_CURSOR_BYTES_MAX + 64] = "scan --cursor ";
    size_t head = strlen(text);
    memset(text + head, 'a', digits);
    text[head + digits] = '\0';
    ck_assert_int_eq(parse(text), EK_OK);
    ck_assert_uint_eq(instruction.request.cursor_size, EK_CURSOR_BYTES_MAX);
    memcpy(text + head + digits, "aa", 3);
    ck_assert_int_eq(parse(text), EK_MALFORMED);
}
END_TEST

START_TEST(keys_have_limits)
{
    char text[EK_KEY_BYTES_MAX + 16] = "get ";
    memset(text + 4, 'k', EK_KEY_BYTES_MAX);
    ck_assert_int_eq(parse(text), EK_OK);
    text[4 + EK_KEY_BYTES_MAX] = 'k';
    ck_assert_int_eq(parse(text), EK_TOO_LARGE);
    ck_assert_int_eq(parse("get ''"), EK_MALFORMED);
    ck_assert_int_eq(ek_value_check(EK_VALUE_BYTES_MAX, &error), EK_OK);
    ck_assert_int_eq(ek_value_check(EK_VALUE_BYTES_MAX + 1u, &error), EK_TOO_LARGE);
}
END_TEST

START_TEST(what_makes_no_sense_is_named)
{
    ck_assert_int_eq(parse("bogus x"), EK_MALFORMED);
    ck_assert_ptr_nonnull(strstr(error.text, "bogus"));
    ck_assert_int_eq(parse("bogus --option"), EK_MALFORMED);
    ck_assert_ptr_nonnull(strstr(error.text, "bogus"));
    ck_assert_int_eq(parse("put k v --bogus"), EK_MALFORMED);
    ck_assert_ptr_nonnull(strstr(error.text, "--bogus"));
    ck_assert_int_eq(parse("put k v --ttl"), EK_MALFORMED);
    ck_assert_int_eq(parse("put k v --ttl soon"), EK_MALFORMED);
    ck_assert_int_eq(parse("put k v --ttl 0"), EK_MALFORMED);
    ck_assert_int_eq(parse("put k v --if-absent=yes"), EK_MALFORMED);
    ck_assert_int_eq(parse("put k"), EK_MALFORMED);
    ck_assert_int_eq(parse("put k v w"), EK_MALFORMED);
    ck_assert_int_eq(parse("get k --ttl 3s"), EK_MALFORMED);
}
END_TEST

/* ---- options by themselves ---- */

struct target {
    bool on;
    const char *text;
    uint64_t number, size, choice;
};

static const struct ek_option table[] = {
    {"on", EK_OPTION_SWITCH, offsetof(struct target, on), 0, 0, NULL, ""},
    {"text", EK_OPTION_TEXT, offsetof(struct target, text), 0, 0, "T", ""},
    {"number", EK_OPTION_NUMBER, offsetof(struct target, number), 2, 9, "N", ""},
    {"size", EK_OPTION_SIZE, offsetof(struct target, size), 1024, 1u << 20, "S", ""},
    {"choice", EK_OPTION_CHOICE, offsetof(struct target, choice), 0, 0, "one|two|three", ""},
    {.name = NULL},
};

static enum ek_status take(struct target *target, const char *text, bool stop_at_word)
{
    struct ek_option_set set = {.options = table, .target = target};
    (void)strcpy(line, text);
    ck_assert_int_eq(ek_words_split(&words, line, strlen(line), &error), EK_OK);
    return ek_options_take(&set, 1, words.words, &words.count, stop_at_word, &error);
}

START_TEST(options_leave_the_words_in_order)
{
    struct target target = {.number = 5};
    ck_assert_int_eq(take(&target, "a --on b --text=x=y --size 2K c --choice two", false), EK_OK);
    ck_assert_uint_eq(words.count, 3);
    ck_assert_str_eq(words.words[0], "a");
    ck_assert_str_eq(words.words[2], "c");
    ck_assert(target.on);
    ck_assert_str_eq(target.text, "x=y");
    ck_assert_uint_eq(target.size, 2048);
    ck_assert_uint_eq(target.choice, 1);
    ck_assert_uint_eq(target.number, 5);
}
END_TEST

START_TEST(options_stop_where_they_are_told)
{
    struct target target = {0};
    ck_assert_int_eq(take(&target, "--number 3 put --on", true), EK_OK);
    ck_assert_uint_eq(words.count, 2);
    ck_assert_str_eq(words.words[0], "put");
    ck_assert_str_eq(words.words[1], "--on");
    ck_assert_uint_eq(target.number, 3);
    ck_assert(!target.on);
    ck_assert_int_eq(take(&target, "-- --on --", false), EK_OK);
    ck_assert_uint_eq(words.count, 2);
    ck_assert(!target.on);
}
END_TEST

START_TEST(options_keep_to_their_ranges)
{
    struct target target = {0};
    ck_assert_int_eq(take(&target, "--number 1", false), EK_MALFORMED);
    ck_assert_int_eq(take(&target, "--number 10", false), EK_MALFORMED);
    ck_assert_int_eq(take(&target, "--number 9", false), EK_OK);
    ck_assert_int_eq(take(&target, "--size 1023", false), EK_MALFORMED);
    ck_assert_int_eq(take(&target, "--size 2M", false), EK_MALFORMED);
    ck_assert_int_eq(take(&target, "--choice four", false), EK_MALFORMED);
    ck_assert_int_eq(take(&target, "--choice tw", false), EK_MALFORMED);
    ck_assert_int_eq(take(&target, "--choice ''", false), EK_MALFORMED);
    ck_assert_int_eq(take(&target, "--num 3", false), EK_MALFORMED);
    ck_assert_uint_eq(target.number, 9);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("cli operation");
    TCase *cases = tcase_create("operation");
    tcase_add_checked_fixture(cases, NULL, teardown);
    tcase_add_test(cases, put_takes_its_options_anywhere);
    tcase_add_test(cases, version_zero_means_absent);
    tcase_add_test(cases, words_that_look_like_options_are_words);
    tcase_add_test(cases, incr_adds_one_or_what_is_said);
    tcase_add_test(cases, del_and_exists_take_many_keys);
    tcase_add_test(cases, scan_has_limits_and_a_cursor);
    tcase_add_test(cases, a_cursor_has_at_most_the_size_of_a_key);
    tcase_add_test(cases, keys_have_limits);
    tcase_add_test(cases, what_makes_no_sense_is_named);
    tcase_add_test(cases, options_leave_the_words_in_order);
    tcase_add_test(cases, options_stop_where_they_are_told);
    tcase_add_test(cases, options_keep_to_their_ranges);
    suite_add_tcase(s, cases);
    return s;
}

int main(void)
{
    return ek_run_suite(suite());
}
