/*
 * Preloaded into a program under test: once the file that FAIL_SYNC names is there, every sync of a file fails as a broken disk
 * makes it fail. What was written before stays. FAIL_SYNC_OF, when it is given: only of files with that in their path.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_meant(int fd)
{
    const char *part = getenv("FAIL_SYNC_OF");
    char link[32], path[512];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = part ? readlink(link, path, sizeof path - 1) : 0;
    path[length > 0 ? length : 0] = 0;
    return !part || strstr(path, part);
}

static int sync_or_fail(const char *name, int fd)
{
    const char *sign = getenv("FAIL_SYNC");
    if (sign && access(sign, F_OK) == 0 && is_meant(fd)) {
        errno = EIO;
        return -1;
    }
    int (*real)(int fd);
    *(void **)&real = dlsym(RTLD_NEXT, name);
    return real(fd);
}

int fdatasync(int fd)
{
    return sync_or_fail("fdatasync", fd);
}

int fsync(int fd)
{
    return sync_or_fail("fsync", fd);
}
