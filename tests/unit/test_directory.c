/* Directories that are made and made again. That they outlast a power cut is the chaos run's to show. */
#include "common/directory.h"
#include "tests/support/run_suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char place[] = "/tmp/evenkeel-directory-XXXXXX";
static char path[64];
static struct ek_error error;

static void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(place));
    (void)snprintf(path, sizeof path, "%s/data", place);
}

static void tear_down(void)
{
    (void)rmdir(path);
    (void)unlink(path);
    ck_assert_int_eq(rmdir(place), 0);
    memcpy(place + sizeof place - 7, "XXXXXX", 6);
}

START_TEST(is_made_once)
{
    struct stat status;
    ck_assert_int_eq(ek_directory_make(path, 0700, &error), EK_OK);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert(S_ISDIR(status.st_mode));
    ck_assert_int_eq(status.st_mode & 0777, 0700);
    ck_assert_int_eq(ek_directory_make(path, 0700, &error), EK_OK);
}
END_TEST

START_TEST(is_found_where_one_stands)
{
    ck_assert_int_eq(chdir(place), 0);
    ck_assert_int_eq(ek_directory_make("data", 0700, &error), EK_OK);
    ck_assert_int_eq(access(path, F_OK), 0);
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

START_TEST(is_not_made_without_the_one_above)
{
    char below[80];
    (void)snprintf(below, sizeof below, "%s/deeper", path);
    ck_assert_int_eq(ek_directory_make(below, 0700, &error), EK_IO);
    ck_assert_ptr_nonnull(strstr(error.text, below));
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("directory");
    TCase *tests = tcase_create("directory");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, is_made_once);
    tcase_add_test(tests, is_found_where_one_stands);
    tcase_add_test(tests, is_not_made_without_the_one_above);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
