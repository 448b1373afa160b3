/* What a store leaves for its next start to do. */
#include "tests/support/run_suite.h"
#include "worker/store.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];

static void set_up(void)
{
    (void)snprintf(directory, sizeof directory, "/tmp/evenkeel-store-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

/* Bytes of the directory's files that end so; with `remove` the files go. */
static uint64_t walk(const char *ending, bool remove)
{
    uint64_t bytes = 0;
    DIR *files = opendir(directory);
    ck_assert_ptr_nonnull(files);
    for (struct dirent *entry; (entry = readdir(files));) {
        char path[512];
        struct stat file;
        size_t length = strlen(entry->d_name);
        bool matches = length >= strlen(ending) && strcmp(entry->d_name + length - strlen(ending), ending) == 0;
        (void)snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (!matches || stat(path, &file) != 0 || !S_ISREG(file.st_mode))
            continue;
        bytes += (uint64_t)file.st_size;
        if (remove)
            (void)unlink(path);
    }
    (void)closedir(files);
    return bytes;
}

static void tear_down(void)
{
    (void)walk("", true);
    (void)rmdir(directory);
}

START_TEST(a_start_has_little_log_to_replay_whatever_was_written)
{
    enum { ROWS = 200, ROW_BYTES = 512 * 1024 };
    static uint8_t value[ROW_BYTES];
    struct ek_error error = {0};
    struct ek_store *store;
    struct ek_store_options options = {.directory = directory, .cache_bytes = 1 << 20, .write_buffer_bytes = 256 << 20};
    ck_assert_msg(ek_store_open(&options, &store, &error) == EK_OK, "%s", error.text);
    for (uint64_t row = 0; row < ROWS; row++) {
        uint8_t key[8];
        ek_put_u64(key, row);
        ek_store_put(store, EK_STORE_ROWS, ek_slice_of(key, sizeof key), ek_slice_of(NULL, 0), ek_slice_of(value, sizeof value));
        ek_store_put(store, EK_STORE_BOOK, ek_slice_of(key, sizeof key), ek_slice_of(NULL, 0), ek_slice_of("x", 1));
        ck_assert_int_eq(ek_store_commit(store, NULL), EK_OK);
    }
    ek_store_close(&store);
    uint64_t log_bytes = walk(".log", false);
    ck_assert_uint_gt(log_bytes, 0);
    ck_assert_uint_le(log_bytes, 64 << 20); /* the bound, and as much again while a flush is under way */
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("store");
    TCase *tests = tcase_create("store");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_start_has_little_log_to_replay_whatever_was_written);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
