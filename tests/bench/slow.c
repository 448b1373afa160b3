/*
 * A library to be preloaded into a worker: its storage takes SLOW_ROW_US microseconds longer for each row that a write holds, those
 * of the book-keeping included. It stands for a disk that is slower than what is asked of it, and costs no processor time, so that
 * everything around the workers has the machine to itself.
 */
#include <dlfcn.h>
#include <errno.h>
#include <rocksdb/c.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void wait_us(unsigned long long time_us)
{
    struct timespec left = {.tv_sec = (time_t)(time_us / 1000000), .tv_nsec = (long)(time_us % 1000000 * 1000)};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

void rocksdb_write(rocksdb_t *db, const rocksdb_writeoptions_t *options, rocksdb_writebatch_t *batch, char **error)
{
    static void (*real)(rocksdb_t *, const rocksdb_writeoptions_t *, rocksdb_writebatch_t *, char **);
    static unsigned long long row_us;
    if (!real) {
        void *found = dlsym(RTLD_NEXT, "rocksdb_write");
        const char *text = getenv("SLOW_ROW_US");
        if (!found || !text)
            abort();
        memcpy(&real, &found, sizeof found);
        row_us = strtoull(text, NULL, 10);
    }
    wait_us((unsigned long long)rocksdb_writebatch_count(batch) * row_us);
    real(db, options, batch, error);
}
