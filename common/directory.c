#include "common/directory.h"

#include "common/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_parent(const char *path)
{
    char *copy = ek_copy_text(path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    return fd;
}

/* Who may not read the directory above syncs the whole file system, from below. */
static int sync_name(const char *path)
{
    int fd = open_parent(path);
    int result = fd >= 0 ? fsync(fd) : -1;
    if (fd < 0 && errno == EACCES) {
        fd = open(path, O_RDONLY | O_CLOEXEC);
        result = fd >= 0 ? syncfs(fd) : -1;
    }
    int failure = errno;
    if (fd >= 0)
        (void)close(fd);
    errno = failure;
    return result;
}

enum ek_status ek_directory_make(const char *path, mode_t mode, struct ek_error *error)
{
    if (mkdir(path, mode) != 0 && errno != EEXIST) {
        enum ek_status status = errno == EACCES || errno == EROFS || errno == EPERM ? EK_DENIED : EK_IO;
        return ek_error_set(error, status, "cannot make the directory %s: %s", path, strerror(errno));
    }
    if (sync_name(path) != 0)
        return ek_error_set(error, EK_IO, "cannot make sure that the directory %s stays: %s", path, strerror(errno));
    return EK_OK;
}
