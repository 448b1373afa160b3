/*
 * A library to be preloaded into a worker that is sent one put at a time: when each got how far there. TIMELINE names the file to
 * which it writes them when the process ends, a line each: nanoseconds of the monotonic clock at the moments below, parted by
 * blanks.
 */
#include <dlfcn.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum moment {
    WOKE,    /* the loop, by a message */
    BEGUN,   /* the storage thread has the put */
    LOGGING, /* begins to write the log */
    SYNCING,
    SYNCED,
    BACK, /* the loop woke again, the put is done */
    SENT, /* its answer was given to ZeroMQ's thread */
    MOMENTS
};

enum { PUTS_MAX = 1 << 16, NAME_BYTES = 16 };

static uint64_t puts_ns[PUTS_MAX][MOMENTS];
static size_t puts_count;
static atomic_int last = SENT; /* the last moment; a put goes through them in their order, from thread to thread */

static void find_real(const char *name, void *ret_function)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    memcpy(ret_function, &found, sizeof found);
}

/* Threads are known by their names; the first one has the program's. */
static bool is_named(const char *name)
{
    static _Thread_local char own[NAME_BYTES];
    if (own[0] == 0)
        (void)pthread_getname_np(pthread_self(), own, sizeof own);
    return strncmp(own, name, strlen(name)) == 0;
}

/* What comes out of its order is of something else. A wait may end several times before there is a put. */
static void note(enum moment moment)
{
    enum moment before = (enum moment)atomic_load(&last);
    struct timespec now;
    if (puts_count == PUTS_MAX || (before != (moment + MOMENTS - 1) % MOMENTS && !(moment == WOKE && before == WOKE)))
        return;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    puts_ns[puts_count][moment] = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    puts_count += moment == SENT;
    atomic_store(&last, moment);
}

static void __attribute__((destructor)) tell(void)
{
    const char *path = getenv("TIMELINE");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file)
        abort();
    for (size_t i = 0; i < puts_count; i++) {
        for (enum moment moment = WOKE; moment < MOMENTS; moment++)
            (void)fprintf(file, "%" PRIu64 "%c", puts_ns[i][moment], moment + 1 < MOMENTS ? ' ' : '\n');
    }
    if (fclose(file) != 0)
        abort();
}

int poll(struct pollfd *descriptors, nfds_t count, int timeout_ms)
{
    static int (*real)(struct pollfd *, nfds_t, int);
    if (!real)
        find_real("poll", &real);
    int ready = real(descriptors, count, timeout_ms);
    if (ready > 0 && timeout_ms != 0 && is_named("evenkeel")) {
        note(BACK);
        note(WOKE);
    }
    return ready;
}

int pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    static int (*real)(pthread_cond_t *, pthread_mutex_t *);
    if (!real)
        find_real("pthread_cond_wait", &real);
    int result = real(condition, mutex);
    if (is_named("storage"))
        note(BEGUN);
    return result;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    static ssize_t (*real)(int, const void *, size_t);
    if (!real)
        find_real("write", &real);
    if (is_named("storage"))
        note(LOGGING);
    ssize_t written = real(fd, bytes, size);
    if (is_named("evenkeel"))
        note(SENT);
    return written;
}

int fdatasync(int fd)
{
    static int (*real)(int);
    if (!real)
        find_real("fdatasync", &real);
    if (is_named("storage"))
        note(SYNCING);
    int result = real(fd);
    if (is_named("storage"))
        note(SYNCED);
    return result;
}
