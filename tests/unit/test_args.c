#include "common/args.h"
#include "tests/support/run_suite.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct parsed {
    const char *text;
    uint64_t value;
};

START_TEST(sizes_have_units_of_1024)
{
    static const struct parsed sizes[] = {{"0", 0},           {"64", 64},     {"64K", 65536},        {"256M", 268435456},
                                          {"1G", 1073741824}, {"1.5K", 1536}, {"2T", 2199023255552}, {"007", 7}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t bytes = 1;
        ck_assert_int_eq(ek_parse_size(sizes[i].text, &bytes), EK_OK);
        ck_assert_uint_eq(bytes, sizes[i].value);
    }
}
END_TEST

START_TEST(what_is_no_size_is_refused)
{
    static const char *const wrong[] = {"",      "-1",   "+1",  " 1",  "1 ",  "K",        "1k",  "1KB",
                                        "1.2.3", "0x10", "1e3", "nan", "inf", "9999999T", "1M1", "."};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint64_t bytes = 77;
        ck_assert_msg(ek_parse_size(wrong[i], &bytes) == EK_MALFORMED, "'%s'", wrong[i]);
        ck_assert_uint_eq(bytes, 77);
    }
}
END_TEST

START_TEST(durations_have_units)
{
    static const struct parsed durations[] = {{"250ms", 250}, {"2s", 2000},  {"5m", 300000}, {"1h", 3600000}, {"2d", 172800000},
                                              {"2", 2000},    {"0.25", 250}, {"1.5s", 1500}, {"0", 0}};
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        uint64_t ms = 1;
        ck_assert_int_eq(ek_parse_duration(durations[i].text, &ms), EK_OK);
        ck_assert_uint_eq(ms, durations[i].value);
    }
}
END_TEST

START_TEST(what_is_no_duration_is_refused)
{
    static const char *const wrong[] = {"", "-1s", "s", "1 s", "1S", "1us", "1min", "1e2", "0x1s", "nan"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint64_t ms = 77;
        ck_assert_msg(ek_parse_duration(wrong[i], &ms) == EK_MALFORMED, "'%s'", wrong[i]);
        ck_assert_uint_eq(ms, 77);
    }
}
END_TEST

START_TEST(numbers_keep_to_their_range)
{
    uint64_t number = 77;
    ck_assert_int_eq(ek_parse_number("1", 1, 8192, &number), EK_OK);
    ck_assert_uint_eq(number, 1);
    ck_assert_int_eq(ek_parse_number("8192", 1, 8192, &number), EK_OK);
    ck_assert_uint_eq(number, 8192);
    ck_assert_int_eq(ek_parse_number("18446744073709551615", 0, UINT64_MAX, &number), EK_OK);
    ck_assert_uint_eq(number, UINT64_MAX);
    static const char *const wrong[] = {"", "0", "8193", "-1", "+1", " 1", "1 ", "1.0", "0x1", "one", "18446744073709551617"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(ek_parse_number(wrong[i], 1, 8192, &number) == EK_MALFORMED, "'%s'", wrong[i]);
}
END_TEST

/* ---- a configuration file ---- */

static char config_path[64];

static void open_config(void)
{
    (void)strcpy(config_path, "/tmp/test_args.XXXXXX");
    int file = mkstemp(config_path);
    ck_assert_int_ge(file, 0);
    (void)close(file);
}

static void close_config(void)
{
    (void)unlink(config_path);
}

static void write_config(const char *text)
{
    FILE *file = fopen(config_path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static enum ek_status with_config(char **argv, int *ret_argc, char ***ret_argv)
{
    int argc = 0;
    while (argv[argc])
        argc++;
    struct ek_error error = {{0}};
    static const struct argp_option options[] = {
        {"config", 'C', "FILE", 0, NULL, 0}, {"data", 'd', "DIR", 0, NULL, 0}, {"max-queue", 'q', "SIZE", 0, NULL, 0}, {0}};
    enum ek_status status = ek_args_with_config(options, 'C', argc, argv, ret_argc, ret_argv, &error);
    ck_assert_int_eq(status != EK_OK, error.text[0] != 0);
    return status;
}

START_TEST(without_a_file_arguments_stay)
{
    char *argv[] = {(char[]){"program"}, (char[]){"--data"}, (char[]){"d"}, NULL};
    int argc;
    char **all;
    ck_assert_int_eq(with_config(argv, &argc, &all), EK_OK);
    ck_assert_int_eq(argc, 3);
    ck_assert_ptr_eq(all, argv);
}
END_TEST

START_TEST(a_files_entries_come_before_the_flags)
{
    write_config("# a comment\ndata = /somewhere\nmax-queue = 64M\n");
    char *argv[] = {(char[]){"program"}, (char[]){"--config"}, config_path, (char[]){"--max-queue=128M"}, NULL};
    int argc;
    char **all;
    ck_assert_int_eq(with_config(argv, &argc, &all), EK_OK);
    ck_assert_int_eq(argc, 6);
    ck_assert_str_eq(all[0], "program");
    ck_assert_str_eq(all[1], "--data=/somewhere");
    ck_assert_str_eq(all[2], "--max-queue=64M");
    ck_assert_str_eq(all[3], "--config");
    ck_assert_str_eq(all[5], "--max-queue=128M");
    ck_assert_ptr_null(all[6]);
    free(all[1]);
    free(all[2]);
    free(all);
}
END_TEST

START_TEST(the_files_name_may_follow_an_equals_sign)
{
    write_config("data = x\n");
    char flag[96];
    (void)snprintf(flag, sizeof flag, "--config=%s", config_path);
    char *argv[] = {(char[]){"program"}, flag, NULL};
    int argc;
    char **all;
    ck_assert_int_eq(with_config(argv, &argc, &all), EK_OK);
    ck_assert_int_eq(argc, 3);
    ck_assert_str_eq(all[1], "--data=x");
    free(all[1]);
    free(all);
}
END_TEST

static void assert_found_by(char *flag, char *value)
{
    char *argv[] = {(char[]){"program"}, flag, value, NULL};
    int argc;
    char **all;
    ck_assert_int_eq(with_config(argv, &argc, &all), EK_OK);
    ck_assert_str_eq(all[1], "--data=x");
    free(all[1]);
    free(all);
}

START_TEST(the_flag_may_be_shortened)
{
    char together[96];
    write_config("data = x\n");
    (void)snprintf(together, sizeof together, "-C%s", config_path);
    assert_found_by((char[]){"-C"}, config_path);
    assert_found_by((char[]){"--conf"}, config_path);
    assert_found_by(together, NULL);
}
END_TEST

START_TEST(the_value_of_another_flag_names_no_file)
{
    char *argv[] = {(char[]){"program"}, (char[]){"--data"}, (char[]){"--config"}, (char[]){"/nowhere/at/all"}, NULL};
    int argc;
    char **all;
    ck_assert_int_eq(with_config(argv, &argc, &all), EK_OK);
    ck_assert_ptr_eq(all, argv);
}
END_TEST

START_TEST(a_directory_is_no_file)
{
    char *argv[] = {(char[]){"program"}, (char[]){"--config"}, (char[]){"/"}, NULL};
    int argc;
    char **all;
    ck_assert_int_eq(with_config(argv, &argc, &all), EK_NOT_FOUND);
}
END_TEST

START_TEST(a_missing_file_is_an_error)
{
    char *argv[] = {(char[]){"program"}, (char[]){"--config"}, (char[]){"/nowhere/at/all"}, NULL};
    int argc;
    char **all;
    ck_assert_int_eq(with_config(argv, &argc, &all), EK_NOT_FOUND);
}
END_TEST

START_TEST(a_file_that_is_no_configuration_is_an_error)
{
    write_config("data /somewhere\n  = \n\x01\x02");
    char *argv[] = {(char[]){"program"}, (char[]){"--config"}, config_path, NULL};
    int argc;
    char **all;
    ck_assert_int_eq(with_config(argv, &argc, &all), EK_MALFORMED);
}
END_TEST

START_TEST(the_limit_of_open_files_is_raised)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 64;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ek_raise_file_limit();
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(limit.rlim_cur, limit.rlim_max);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("args");
    TCase *tests = tcase_create("args");
    tcase_add_test(tests, sizes_have_units_of_1024);
    tcase_add_test(tests, what_is_no_size_is_refused);
    tcase_add_test(tests, durations_have_units);
    tcase_add_test(tests, what_is_no_duration_is_refused);
    tcase_add_test(tests, numbers_keep_to_their_range);
    suite_add_tcase(suite, tests);
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, open_config, close_config);
    tcase_add_test(files, without_a_file_arguments_stay);
    tcase_add_test(files, a_files_entries_come_before_the_flags);
    tcase_add_test(files, the_files_name_may_follow_an_equals_sign);
    tcase_add_test(files, the_flag_may_be_shortened);
    tcase_add_test(files, the_value_of_another_flag_names_no_file);
    tcase_add_test(files, a_directory_is_no_file);
    tcase_add_test(files, a_missing_file_is_an_error);
    tcase_add_test(files, a_file_that_is_no_configuration_is_an_error);
    tcase_add_test(files, the_limit_of_open_files_is_raised);
    suite_add_tcase(suite, files);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
