#include "client/cli/words.h"
#include "common/bytes.h"
#include "tests/support/run_suite.h"

#include <string.h>

static struct ek_words words;
static char line[64 * 1024];

static void teardown(void)
{
    ek_words_done(&words);
}

static enum ek_status split(const char *text)
{
    struct ek_error error;
    (void)strcpy(line, text);
    return ek_words_split(&words, line, strlen(line), &error);
}

static void expect(const char *text, const char *const *wanted)
{
    ck_assert_int_eq(split(text), EK_OK);
    size_t count = 0;
    for (; wanted[count]; count++) {
        ck_assert_uint_lt(count, words.count);
        ck_assert_str_eq(words.words[count], wanted[count]);
    }
    ck_assert_uint_eq(words.count, count);
}

START_TEST(spaces_part_words)
{
    expect("put a b", (const char *const[]){"put", "a", "b", NULL});
    expect("  put\t a  \r", (const char *const[]){"put", "a", NULL});
    expect("", (const char *const[]){NULL});
    expect("   ", (const char *const[]){NULL});
}
END_TEST

START_TEST(quotes_keep_spaces_and_join)
{
    expect("put 'a b' \"c  d\"", (const char *const[]){"put", "a b", "c  d", NULL});
    expect("a'b c'\"d e\"f g", (const char *const[]){"ab cd ef", "g", NULL});
    expect("a '' \"\" b", (const char *const[]){"a", "", "", "b", NULL});
    expect("'{\"name\":\"Ann\"}'", (const char *const[]){"{\"name\":\"Ann\"}", NULL});
}
END_TEST

START_TEST(backslashes_keep_the_next_byte)
{
    expect("a\\ b c\\\\d \\'x \\\"y", (const char *const[]){"a b", "c\\d", "'x", "\"y", NULL});
    /* Inside '…' nothing is special; inside "…" only \" and \\ are. */
    expect("'a\\' \"b\\\"c\\\\d\\e\"", (const char *const[]){"a\\", "b\"c\\d\\e", NULL});
    expect("'b\\\"c\\\\d'", (const char *const[]){"b\\\"c\\\\d", NULL});
}
END_TEST

START_TEST(what_cannot_be_split_is_refused)
{
    struct ek_error error;
    ck_assert_int_eq(split("a 'b"), EK_MALFORMED);
    ck_assert_int_eq(split("a \"b"), EK_MALFORMED);
    ck_assert_int_eq(split("a \"b\\"), EK_MALFORMED);
    ck_assert_int_eq(split("a \\"), EK_MALFORMED);
    char zero[] = "a\0b";
    ck_assert_int_eq(ek_words_split(&words, zero, 3, &error), EK_MALFORMED);
}
END_TEST

START_TEST(words_are_bounded)
{
    struct ek_error error;
    for (size_t i = 0; i < EK_WORDS_MAX; i++)
        memcpy(line + 2 * i, "a ", 2);
    ck_assert_int_eq(ek_words_split(&words, line, 2 * EK_WORDS_MAX, &error), EK_OK);
    ck_assert_uint_eq(words.count, EK_WORDS_MAX);
    for (size_t i = 0; i <= EK_WORDS_MAX; i++)
        memcpy(line + 2 * i, "a ", 2);
    ck_assert_int_eq(ek_words_split(&words, line, 2 * EK_WORDS_MAX + 2, &error), EK_TOO_LARGE);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("cli words");
    TCase *cases = tcase_create("words");
    tcase_add_checked_fixture(cases, NULL, teardown);
    tcase_add_test(cases, spaces_part_words);
    tcase_add_test(cases, quotes_keep_spaces_and_join);
    tcase_add_test(cases, backslashes_keep_the_next_byte);
    tcase_add_test(cases, what_cannot_be_split_is_refused);
    tcase_add_test(cases, words_are_bounded);
    suite_add_tcase(s, cases);
    return s;
}

int main(void)
{
    return ek_run_suite(suite());
}
