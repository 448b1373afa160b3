#include "common/base64.h"
#include "client/cli/connect.h"
#include "common/json.h"
#include "client/cli/lines.h"
#include "client/cli/output.h"
#include "client/cli/template.h"
#include "tests/support/run_suite.h"

#include <jansson.h>
#include <string.h>
#include <unistd.h>

static struct ek_buffer out;

static void teardown(void)
{
    ek_buffer_done(&out);
}

static void expect(const char *wanted)
{
    ck_assert_uint_eq(out.size, strlen(wanted));
    ck_assert_mem_eq(out.data, wanted, out.size);
    ek_buffer_clear(&out);
}

/* ---- base64 and hex ---- */

START_TEST(base64_is_that_of_the_rfc)
{
    static const char *const plain[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
    static const char *const coded[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        ek_base64_encode(&out, ek_slice_text(plain[i]));
        if (*coded[i])
            expect(coded[i]);
        ck_assert_int_eq(ek_base64_decode(&out, ek_slice_text(coded[i])), EK_OK);
        if (*plain[i])
            expect(plain[i]);
    }
}
END_TEST

START_TEST(base64_keeps_all_bytes)
{
    uint8_t bytes[256];
    struct ek_buffer text = {0};
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + 5);
    for (size_t size = 0; size <= sizeof bytes; size++) {
        ek_buffer_clear(&text);
        ek_buffer_clear(&out);
        ek_base64_encode(&text, ek_slice_of(bytes, size));
        ck_assert_int_eq(ek_base64_decode(&out, ek_buffer_slice(&text)), EK_OK);
        ck_assert(ek_slice_equal(ek_buffer_slice(&out), ek_slice_of(bytes, size)));
    }
    ek_buffer_done(&text);
}
END_TEST

START_TEST(wrong_base64_is_refused)
{
    static const char *const wrong[] = {"Z", "Zg", "Zg=", "Zg===", "=Zg=", "Z===", "Zh==", "Zm9=", "Zm-_", "Zg==Zg=="};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(ek_base64_decode(&out, ek_slice_text(wrong[i])) == EK_MALFORMED, "%s", wrong[i]);
    ck_assert_int_eq(ek_hex_decode(&out, ek_slice_text("0")), EK_MALFORMED);
    ck_assert_int_eq(ek_hex_decode(&out, ek_slice_text("0g")), EK_MALFORMED);
}
END_TEST

/* ---- JSON ---- */

START_TEST(utf8_is_judged_as_the_rfc_has_it)
{
    static const char *const good[] = {"",
                                       "plain ascii text",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "eight by\xc3\xa4te"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xe2\x82",
                                      "eight bytes \xff",
                                      "\xc3("};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_assert_msg(ek_utf8_valid(ek_slice_text(good[i])), "good %zu", i);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!ek_utf8_valid(ek_slice_text(bad[i])), "bad %zu", i);
}
END_TEST

START_TEST(members_get_their_commas)
{
    ek_json_open(&out, NULL, '{');
    ek_json_text(&out, "a", "x");
    ek_json_open(&out, "b", '[');
    ek_json_open(&out, NULL, '{');
    ek_json_close(&out, '{');
    ek_json_open(&out, NULL, '{');
    ek_json_int(&out, "c", INT64_MIN);
    ek_json_uint(&out, "d", UINT64_MAX);
    ek_json_close(&out, '{');
    ek_json_close(&out, '[');
    ek_json_null(&out, "e");
    ek_json_real(&out, "f", 1.5);
    ek_json_real(&out, "g", 0.0 / 0.0);
    ek_json_close(&out, '{');
    expect("{\"a\":\"x\",\"b\":[{},{\"c\":-9223372036854775808,\"d\":18446744073709551615}],\"e\":null,\"f\":1.500,\"g\":null}");
}
END_TEST

START_TEST(every_text_can_be_read_back)
{
    char bytes[128];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)i;
    ek_json_open(&out, NULL, '{');
    ek_json_bytes(&out, "key", ek_slice_of(bytes, sizeof bytes));
    ek_json_bytes(&out, "value", ek_slice_of("\xff", 1));
    ek_json_text(&out, "mended",
                 "a\xff"
                 "b");
    ek_json_close(&out, '{');
    json_t *object = json_loadb((const char *)out.data, out.size, JSON_ALLOW_NUL, NULL);
    ck_assert_ptr_nonnull(object);
    const json_t *key = json_object_get(object, "key");
    ck_assert_uint_eq(json_string_length(key), sizeof bytes);
    ck_assert_mem_eq(json_string_value(key), bytes, sizeof bytes);
    ck_assert_ptr_null(json_object_get(object, "value"));
    ck_assert_str_eq(json_string_value(json_object_get(object, "value64")), "/w==");
    ck_assert_str_eq(json_string_value(json_object_get(object, "mended")), "a\xef\xbf\xbd"
                                                                           "b");
    json_decref(object);
}
END_TEST

/* ---- templates ---- */

static enum ek_status look_up(void *record, const char *field, struct ek_buffer *to, struct ek_error *error)
{
    if (strcmp(field, "id") != 0)
        return ek_error_set(error, EK_NOT_FOUND, "%s", field);
    ek_buffer_append(to, record, strlen(record));
    return EK_OK;
}

static void expect_key(const char *text, const char *wanted)
{
    struct ek_template template;
    struct ek_error error;
    char id[] = "42";
    ck_assert_int_eq(ek_template_parse(text, &template, &error), EK_OK);
    ck_assert_int_eq(ek_template_fill(&template, look_up, id, &out, &error), EK_OK);
    ek_template_done(&template);
    expect(wanted);
}

START_TEST(templates_are_filled)
{
    expect_key("{id}", "42");
    expect_key("product:{id}", "product:42");
    expect_key("{id}-{id}.", "42-42.");
    expect_key("user:{{{id}}}/name", "user:{42}/name");
    expect_key("{{}}{id}", "{}42");
}
END_TEST

START_TEST(wrong_templates_are_refused)
{
    static const char *const wrong[] = {"", "plain", "{", "}", "{}", "{id", "id}", "{a{b}", "{{id}}", "{id}}"};
    struct ek_template template;
    struct ek_error error;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_msg(ek_template_parse(wrong[i], &template, &error) == EK_MALFORMED, "%s", wrong[i]);
        ck_assert_uint_eq(template.count, 0);
    }
}
END_TEST

START_TEST(templates_make_only_keys)
{
    struct ek_template template;
    struct ek_error error;
    char nothing[] = "";
    static char large[EK_TEXT_BYTES_MAX * 17];
    ek_template_of_field("id", &template);
    ck_assert_int_eq(ek_template_fill(&template, look_up, nothing, &out, &error), EK_MALFORMED);
    memset(large, 'x', sizeof large - 1);
    ck_assert_int_eq(ek_template_fill(&template, look_up, large, &out, &error), EK_TOO_LARGE);
    ek_template_done(&template);
    ek_template_of_field("other", &template);
    ck_assert_int_eq(ek_template_fill(&template, look_up, nothing, &out, &error), EK_NOT_FOUND);
    ek_template_done(&template);
}
END_TEST

/* ---- lines ---- */

static struct ek_lines feed(const char *text, size_t size, size_t line_bytes_max)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(write(ends[1], text, size), (ssize_t)size);
    (void)close(ends[1]);
    return (struct ek_lines){.fd = ends[0], .line_bytes_max = line_bytes_max};
}

static void expect_line(struct ek_lines *lines, enum ek_status wanted, const char *text)
{
    struct ek_error error;
    char *line;
    size_t size;
    ck_assert_int_eq(ek_lines_take(lines, &line, &size, &error), wanted);
    if (text) {
        ck_assert_uint_eq(size, strlen(text));
        ck_assert_mem_eq(line, text, size);
        line[size] = '\0';
    }
}

START_TEST(lines_are_given_one_by_one)
{
    struct ek_lines lines = feed("one\n\nthree\nlast", 15, 100);
    expect_line(&lines, EK_OK, "one");
    expect_line(&lines, EK_OK, "");
    expect_line(&lines, EK_OK, "three");
    ck_assert_uint_eq(lines.number, 3);
    expect_line(&lines, EK_OK, "last");
    expect_line(&lines, EK_NOT_FOUND, NULL);
    ek_lines_done(&lines);
}
END_TEST

START_TEST(long_lines_are_passed_over)
{
    struct ek_lines lines = feed("123456\n12345\n1234567890", 23, 5);
    expect_line(&lines, EK_TOO_LARGE, NULL);
    expect_line(&lines, EK_OK, "12345");
    ck_assert_uint_eq(lines.number, 2);
    expect_line(&lines, EK_TOO_LARGE, NULL);
    ck_assert_uint_eq(lines.number, 3);
    expect_line(&lines, EK_NOT_FOUND, NULL);
    ek_lines_done(&lines);
}
END_TEST

/* ---- the rest ---- */

START_TEST(wildcard_hosts_are_replaced)
{
    char text[EK_TEXT_BYTES_MAX];
    ek_endpoint_reach(text, "tcp://0.0.0.0:5602", "tcp://store.example:5600");
    ck_assert_str_eq(text, "tcp://store.example:5602");
    ek_endpoint_reach(text, "tcp://*:5602", NULL);
    ck_assert_str_eq(text, "tcp://127.0.0.1:5602");
    ek_endpoint_reach(text, "tcp://[::]:5602", "tcp://0.0.0.0:5600");
    ck_assert_str_eq(text, "tcp://127.0.0.1:5602");
    ek_endpoint_reach(text, "tcp://10.0.0.7:5602", "tcp://store.example:5600");
    ck_assert_str_eq(text, "tcp://10.0.0.7:5602");
    ek_endpoint_reach(text, "ipc:///run/stats", "tcp://store.example:5600");
    ck_assert_str_eq(text, "ipc:///run/stats");
}
END_TEST

START_TEST(figures_are_readable)
{
    char text[EK_FIGURE_BYTES];
    ck_assert_str_eq(ek_figure_count(text, 0), "0");
    ck_assert_str_eq(ek_figure_count(text, 999), "999");
    ck_assert_str_eq(ek_figure_count(text, 1234567), "1,234,567");
    ck_assert_str_eq(ek_figure_bytes(text, 1023), "1023 B");
    ck_assert_str_eq(ek_figure_bytes(text, 1536), "1.5 KiB");
    ck_assert_str_eq(ek_figure_us(text, 999), "999 us");
    ck_assert_str_eq(ek_figure_us(text, 1500), "1.50 ms");
}
END_TEST

START_TEST(outcomes_have_their_exit_codes)
{
    static const int wanted[] = {0, 1, 1, 2, 3, 3, 3, 3, 4, 4, 4, 5, 5};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        ck_assert_int_eq(ek_exit_code((enum ek_outcome)i), wanted[i]);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("cli text");
    TCase *cases = tcase_create("text");
    tcase_add_checked_fixture(cases, NULL, teardown);
    tcase_add_test(cases, base64_is_that_of_the_rfc);
    tcase_add_test(cases, base64_keeps_all_bytes);
    tcase_add_test(cases, wrong_base64_is_refused);
    tcase_add_test(cases, utf8_is_judged_as_the_rfc_has_it);
    tcase_add_test(cases, members_get_their_commas);
    tcase_add_test(cases, every_text_can_be_read_back);
    tcase_add_test(cases, templates_are_filled);
    tcase_add_test(cases, wrong_templates_are_refused);
    tcase_add_test(cases, templates_make_only_keys);
    tcase_add_test(cases, lines_are_given_one_by_one);
    tcase_add_test(cases, long_lines_are_passed_over);
    tcase_add_test(cases, wildcard_hosts_are_replaced);
    tcase_add_test(cases, figures_are_readable);
    tcase_add_test(cases, outcomes_have_their_exit_codes);
    suite_add_tcase(s, cases);
    return s;
}

int main(void)
{
    return ek_run_suite(suite());
}
