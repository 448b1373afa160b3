/* What a store leaves for its next start to do, and to find, when a sync fails on the way. */
#include "tests/support/run_suite.h"
#include "worker/book.h"
#include "worker/store.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <rocksdb/c.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
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

/* ---- a sync that fails ---- */

enum { SYNCS_MAX = 8, QUIET_MS = 300 };

static atomic_bool next_fails; /* for want of room */
static atomic_int syncs_left;  /* until the process ends in the middle of one; 0: it goes on */
static sem_t synced;

static int sync_file(long number, int file)
{
    if (atomic_exchange(&next_fails, false)) {
        errno = ENOSPC;
        return -1;
    }
    if (atomic_load(&syncs_left) && atomic_fetch_sub(&syncs_left, 1) == 1)
        _exit(EXIT_SUCCESS);
    int result = (int)syscall(number, file);
    (void)sem_post(&synced);
    return result;
}

/* In place of the C library's, for RocksDB too. */
__attribute__((visibility("default"))) int fdatasync(int file)
{
    return sync_file(SYS_fdatasync, file);
}

__attribute__((visibility("default"))) int fsync(int file)
{
    return sync_file(SYS_fsync, file);
}

static enum ek_status open_store(struct ek_store **ret, struct ek_error *error)
{
    struct ek_store_options options = {.directory = directory, .cache_bytes = 1 << 20, .write_buffer_bytes = 1 << 20};
    return ek_store_open(&options, ret, error);
}

static void put_value(struct ek_store *store, enum ek_store_space space, const char *value)
{
    ek_store_put(store, space, ek_slice_text("key"), ek_slice_of(NULL, 0), ek_slice_text(value));
}

static char value_in(struct ek_store *store, enum ek_store_space space)
{
    struct ek_pinned value;
    if (ek_store_get(store, space, ek_slice_text("key"), &value, NULL) != EK_OK)
        return '-';
    char first = (char)value.bytes.data[0];
    ek_pinned_done(&value);
    return first;
}

/* In a process of its own: the sync of the second write fails, and the process ends with the `syncs`-th sync of what RocksDB does
 * about it, or when it does no more. */
static void fail_and_end(int syncs, bool rows_before, bool book_before)
{
    struct ek_store *store;
    (void)sem_init(&synced, 0, 0);
    if (open_store(&store, NULL) != EK_OK)
        _exit(EXIT_FAILURE);
    if (rows_before)
        put_value(store, EK_STORE_ROWS, "1");
    if (book_before)
        put_value(store, EK_STORE_BOOK, "1");
    if (ek_store_commit(store, NULL) != EK_OK)
        _exit(EXIT_FAILURE);
    put_value(store, EK_STORE_ROWS, "2");
    put_value(store, EK_STORE_BOOK, "2");
    (void)ek_store_put_record(store, ek_slice_text("2"));
    while (sem_trywait(&synced) == 0)
        continue;
    atomic_store(&syncs_left, syncs);
    atomic_store(&next_fails, true);
    if (ek_store_commit(store, NULL) == EK_OK)
        _exit(EXIT_FAILURE);
    for (struct timespec until;;) {
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += QUIET_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        if (sem_timedwait(&synced, &until) != 0)
            _exit(EXIT_SUCCESS);
    }
}

/* Likewise: what the next start finds. */
static void check_whole(bool rows_before, bool book_before)
{
    struct ek_error error = {0};
    struct ek_store *store;
    if (open_store(&store, &error) != EK_OK) {
        (void)fprintf(stderr, "%s\n", error.text);
        _exit(EXIT_FAILURE);
    }
    char rows = value_in(store, EK_STORE_ROWS);
    char book = value_in(store, EK_STORE_BOOK);
    bool none = rows == (rows_before ? '1' : '-') && book == (book_before ? '1' : '-');
    if (!none && (rows != '2' || book != '2')) {
        (void)fprintf(stderr, "rows have %c, the book-keeping has %c\n", rows, book);
        _exit(EXIT_FAILURE);
    }
    ek_store_close(&store);
    _exit(EXIT_SUCCESS);
}

static void await(pid_t child)
{
    int ended = -1;
    ck_assert_int_eq(waitpid(child, &ended, 0), child);
    ck_assert_int_eq(ended, 0);
}

/* RocksDB flushes after such a failure, by itself and one space after the other. Each process needs threads of its own for that, so
 * this one never opens a store. */
START_TEST(a_write_whose_sync_fails_is_there_as_a_whole_or_not_at_all)
{
    for (int syncs = 0; syncs < SYNCS_MAX; syncs++) {
        for (int before = 1; before < 4; before++) {
            pid_t child = fork();
            if (child == 0)
                fail_and_end(syncs, before & 1, before & 2);
            await(child);
            child = fork();
            if (child == 0)
                check_whole(before & 1, before & 2);
            await(child);
            (void)walk("", true);
        }
    }
}
END_TEST

/* Behind the store's back: a number, or NULL for a key that shall go. */
static void put_into_book(const char *key, size_t key_bytes, const char *number)
{
    static const char *const names[] = {"default", "book"};
    char *text = NULL;
    rocksdb_options_t *options = rocksdb_options_create();
    const rocksdb_options_t *both[] = {options, options};
    rocksdb_column_family_handle_t *spaces[2];
    rocksdb_writeoptions_t *write = rocksdb_writeoptions_create();
    rocksdb_t *raw = rocksdb_open_column_families(options, directory, 2, names, both, spaces, &text);
    ck_assert_ptr_null(text);
    if (number)
        rocksdb_put_cf(raw, write, spaces[1], key, key_bytes, number, sizeof(uint64_t), &text);
    else
        rocksdb_delete_cf(raw, write, spaces[1], key, key_bytes, &text);
    ck_assert_ptr_null(text);
    for (int i = 0; i < 2; i++)
        rocksdb_column_family_handle_destroy(spaces[i]);
    rocksdb_close(raw);
    rocksdb_writeoptions_destroy(write);
    rocksdb_options_destroy(options);
}

START_TEST(spaces_that_do_not_belong_together_are_not_opened)
{
    struct ek_error error = {0};
    struct ek_store *store;
    ck_assert_int_eq(open_store(&store, NULL), EK_OK);
    put_value(store, EK_STORE_ROWS, "1");
    ck_assert_int_eq(ek_store_commit(store, NULL), EK_OK);
    struct ek_store_cursor *cursor = ek_store_walk(store, EK_STORE_BOOK, ek_slice_of("", 0), ek_slice_of("", 0));
    struct ek_slice key;
    struct ek_slice value;
    ck_assert(!ek_store_cursor_entry(cursor, &key, &value)); /* what keeps them together is not shown */
    ck_assert_int_eq(ek_store_cursor_close(&cursor, NULL), EK_OK);
    ek_store_close(&store);
    put_into_book("\0", 1, "\0\0\0\0\0\0\0\7");
    ck_assert_int_eq(open_store(&store, &error), EK_CORRUPT);
    ck_assert_ptr_nonnull(strstr(error.text, "book-keeping"));
}
END_TEST

static uint64_t commit_record(struct ek_store *store)
{
    uint64_t number = ek_store_put_record(store, ek_slice_text("record"));
    ck_assert_int_eq(ek_store_commit(store, NULL), EK_OK);
    return number;
}

START_TEST(a_record_has_the_number_of_its_batch)
{
    struct ek_store *store;
    ck_assert_int_eq(open_store(&store, NULL), EK_OK);
    ck_assert_uint_eq(commit_record(store), 1);
    put_value(store, EK_STORE_ROWS, "1");
    ck_assert_int_eq(ek_store_commit(store, NULL), EK_OK);
    ck_assert_uint_eq(commit_record(store), 3);
    ek_store_close(&store);
    ck_assert_int_eq(open_store(&store, NULL), EK_OK);
    ck_assert_uint_eq(commit_record(store), 4);
    put_value(store, EK_STORE_ROWS, "1"); /* without a record, what ends the book-keeping is another one's */
    ck_assert_int_eq(ek_store_commit(store, NULL), EK_OK);
    ek_store_close(&store);
    ck_assert_int_eq(open_store(&store, NULL), EK_OK);
    ck_assert_uint_eq(commit_record(store), 6);
    ek_store_close(&store);
}
END_TEST

START_TEST(a_store_without_its_last_record_is_not_opened)
{
    struct ek_error error = {0};
    struct ek_store *store;
    ck_assert_int_eq(open_store(&store, NULL), EK_OK);
    (void)commit_record(store);
    uint64_t last = commit_record(store);
    ek_store_close(&store);
    struct ek_book_key key = ek_book_key_of(EK_BOOK_RECORD, last);
    put_into_book((const char *)key.bytes, key.size, NULL);
    ck_assert_int_eq(open_store(&store, &error), EK_CORRUPT);
    ck_assert_ptr_nonnull(strstr(error.text, "write 2 and its book-keeping with write 1"));
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("store");
    TCase *tests = tcase_create("store");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_start_has_little_log_to_replay_whatever_was_written);
    tcase_add_test(tests, a_write_whose_sync_fails_is_there_as_a_whole_or_not_at_all);
    tcase_add_test(tests, spaces_that_do_not_belong_together_are_not_opened);
    tcase_add_test(tests, a_record_has_the_number_of_its_batch);
    tcase_add_test(tests, a_store_without_its_last_record_is_not_opened);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
