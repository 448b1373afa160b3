/*
 * Preloaded into a broker or worker: keeps a record of what its disk surely holds, so that somebody who has killed it can take the
 * rest away, as a power cut does (powercut.py); and makes a chosen write, sync or rename fail.
 *
 *     POWERCUT_LOG    the record, appended to; it survives the process
 *     POWERCUT_ROOT   the files that count: what is below this directory
 *     POWERCUT_GRAVES a directory of the same file system, for what was deleted or replaced until that is durable
 *     FAIL_CALL       write, sync or rename, FAIL_AT which one of them, from 1 on, FAIL_ERRNO with which number it fails
 *
 * Files are taken to be written from their beginning to their end: what is durable of one is its size at the last sync that began
 * after it had that size. The names in a directory are durable once it is synced after the change. A line a record, fields parted
 * by tabs:
 *
 *     C path | M path     made a file | a directory        R from to grave     renamed (grave: what it replaced)
 *     U path grave        deleted                          S size path         synced
 *     D before path       synced a directory: what stands in the record before that byte is durable
 *     T path              emptied
 *     F call path         failed as it was told to         X what path         did what this library does not cover
 *
 * The programs' own logs and lock files do not count.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GRAVES_MAX = 256, PATH_ROOM = 512, LINE_ROOM = 4 * PATH_ROOM, FDS_MAX = 4096 };

/* What was deleted or replaced in this process, until its directory is synced. */
struct grave {
    char path[PATH_ROOM];
    char directory[PATH_ROOM];
    long long at; /* what was recorded before */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* a change and its line belong together */
static struct grave graves[GRAVES_MAX];
static size_t grave_count;
static unsigned grave_number;
static int log_fd = -1;
static atomic_uint fail_count;
static atomic_bool reopened[FDS_MAX]; /* files that may be written from their beginning, where there is something already */

static void find_real(const char *name, void *ret_function)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    memcpy(ret_function, &found, sizeof found);
}

/* ---- which files count ---- */

static bool counts(const char *path)
{
    const char *root = getenv("POWERCUT_ROOT");
    size_t size = root ? strlen(root) : 0;
    if (!root || strncmp(path, root, size) != 0 || (path[size] != '/' && path[size] != 0))
        return false;
    const char *name = strrchr(path, '/') + 1;
    return strncmp(name, "LOG", 3) != 0 && strcmp(name, "LOCK") != 0;
}

/* RocksDB names paths in full, and a path is what its file is known by. */
static void path_of(int fd, char path[PATH_ROOM])
{
    char link[64];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, PATH_ROOM - 1);
    path[size > 0 ? size : 0] = 0;
}

static bool exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

static void directory_of(const char *path, char directory[PATH_ROOM])
{
    const char *slash = strrchr(path, '/');
    (void)snprintf(directory, PATH_ROOM, "%.*s", slash ? (int)(slash - path) : 0, path);
}

/* ---- the record ---- */

static void __attribute__((format(printf, 1, 2))) record(const char *format, ...)
{
    static ssize_t (*real_write)(int, const void *, size_t);
    static int (*real_open)(const char *, int, ...);
    char line[LINE_ROOM];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (!real_write) {
        find_real("write", &real_write);
        find_real("open", &real_open);
    }
    const char *path = getenv("POWERCUT_LOG");
    if (log_fd < 0 && path)
        log_fd = real_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (size < 0 || size >= (int)sizeof line || real_write(log_fd, line, (size_t)size) != size)
        abort(); /* a record with a hole is worse than none */
}

static long long record_size(void)
{
    struct stat status;
    return log_fd >= 0 && fstat(log_fd, &status) == 0 ? (long long)status.st_size : 0;
}

/* Keeps what `path` names beyond its end. The mutex is held. */
static const char *bury(const char *path)
{
    const char *place = getenv("POWERCUT_GRAVES");
    if (!place || !exists(path))
        return "-";
    if (grave_count == GRAVES_MAX)
        grave_count = 0; /* the older ones stay until the next power cut */
    struct grave *grave = &graves[grave_count];
    (void)snprintf(grave->path, sizeof grave->path, "%s/%d-%u", place, (int)getpid(), ++grave_number);
    directory_of(path, grave->directory);
    grave->at = record_size();
    if (link(path, grave->path) != 0)
        abort();
    grave_count++;
    return grave->path;
}

/* Of what was recorded before `end`: what went while the directory was being synced may not be covered. */
static void close_graves(const char *directory, long long end)
{
    static int (*real)(const char *);
    if (!real)
        find_real("unlink", &real);
    size_t kept = 0;
    for (size_t i = 0; i < grave_count; i++) {
        if (strcmp(graves[i].directory, directory) == 0 && graves[i].at < end)
            (void)real(graves[i].path);
        else
            graves[kept++] = graves[i];
    }
    grave_count = kept;
}

/* ---- failures ---- */

static bool fails(const char *call, const char *path)
{
    const char *wanted = getenv("FAIL_CALL");
    const char *at = getenv("FAIL_AT");
    const char *number = getenv("FAIL_ERRNO");
    if (!wanted || !at || !number || strcmp(wanted, call) != 0 || !counts(path) ||
        atomic_fetch_add(&fail_count, 1) + 1 != strtoul(at, NULL, 10))
        return false;
    record("F\t%s\t%s\n", call, path);
    errno = atoi(number);
    return true;
}

/* ---- files ---- */

static int open_with(const char *name, const char *path, int flags, mode_t mode)
{
    int (*real)(const char *, int, ...);
    find_real(name, &real);
    if (!(flags & (O_WRONLY | O_RDWR)) || !counts(path))
        return real(path, flags, mode);
    (void)pthread_mutex_lock(&mutex);
    if (!exists(path))
        record("C\t%s\n", path);
    else if (flags & O_TRUNC)
        record("T\t%s\n", path);
    int fd = real(path, flags, mode);
    if (fd >= 0 && fd < FDS_MAX)
        atomic_store(&reopened[fd], !(flags & (O_TRUNC | O_APPEND)));
    (void)pthread_mutex_unlock(&mutex);
    return fd;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return open_with("open", path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return open_with("open64", path, flags, mode);
}

static bool is_at_end(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && lseek(fd, 0, SEEK_CUR) == status.st_size;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    static ssize_t (*real)(int, const void *, size_t);
    char path[PATH_ROOM];
    if (!real)
        find_real("write", &real);
    bool suspect = fd >= 0 && fd < FDS_MAX && atomic_load(&reopened[fd]);
    if (suspect || getenv("FAIL_CALL")) {
        path_of(fd, path);
        if (suspect && counts(path) && !is_at_end(fd))
            record("X\toverwrote\t%s\n", path);
        if (fails("write", path))
            return -1;
    }
    return real(fd, bytes, size);
}

static ssize_t write_at(const char *name, int fd, const void *bytes, size_t size, off_t offset)
{
    ssize_t (*real)(int, const void *, size_t, off_t);
    char path[PATH_ROOM];
    find_real(name, &real);
    path_of(fd, path);
    if (counts(path))
        record("X\twritten in the middle\t%s\n", path);
    return real(fd, bytes, size, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return write_at("pwrite", fd, bytes, size, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
    return write_at("pwrite64", fd, bytes, size, offset);
}

static int sync_with(const char *name, int fd)
{
    int (*real)(int);
    struct stat status;
    char path[PATH_ROOM];
    find_real(name, &real);
    path_of(fd, path);
    bool known = fstat(fd, &status) == 0 && counts(path);
    if (known && !S_ISDIR(status.st_mode) && fails("sync", path))
        return -1;
    (void)pthread_mutex_lock(&mutex);
    long long before = record_size();
    (void)pthread_mutex_unlock(&mutex);
    int result = real(fd);
    if (result != 0 || !known)
        return result;
    (void)pthread_mutex_lock(&mutex);
    if (S_ISDIR(status.st_mode)) {
        record("D\t%lld\t%s\n", before, path);
        close_graves(path, before);
    } else
        record("S\t%lld\t%s\n", (long long)status.st_size, path);
    (void)pthread_mutex_unlock(&mutex);
    return result;
}

int fsync(int fd)
{
    return sync_with("fsync", fd);
}

int fdatasync(int fd)
{
    return sync_with("fdatasync", fd);
}

/* ---- names ---- */

int mkdir(const char *path, mode_t mode)
{
    int (*real)(const char *, mode_t);
    find_real("mkdir", &real);
    (void)pthread_mutex_lock(&mutex);
    if (counts(path) && !exists(path))
        record("M\t%s\n", path);
    int result = real(path, mode);
    (void)pthread_mutex_unlock(&mutex);
    return result;
}

int rename(const char *from, const char *to)
{
    int (*real)(const char *, const char *);
    find_real("rename", &real);
    if (!counts(from) || !counts(to))
        return real(from, to);
    if (strstr(to, "/CURRENT") && fails("rename", from))
        return -1;
    (void)pthread_mutex_lock(&mutex);
    record("R\t%s\t%s\t%s\n", from, to, bury(to));
    int result = real(from, to);
    (void)pthread_mutex_unlock(&mutex);
    return result;
}

int unlink(const char *path)
{
    int (*real)(const char *);
    find_real("unlink", &real);
    if (!counts(path))
        return real(path);
    (void)pthread_mutex_lock(&mutex);
    record("U\t%s\t%s\n", path, bury(path));
    int result = real(path);
    (void)pthread_mutex_unlock(&mutex);
    return result;
}
