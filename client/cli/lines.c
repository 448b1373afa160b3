#include "client/cli/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK_BYTES = 256 * 1024 };

enum ek_status ek_lines_open(struct ek_lines *lines, const char *path, size_t line_bytes_max, struct ek_error *error)
{
    int fd = STDIN_FILENO;
    if (strcmp(path, "-") != 0)
        fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ek_error_set(error, errno == EACCES ? EK_DENIED : EK_NOT_FOUND, "cannot read %s: %s", path, strerror(errno));
    *lines = (struct ek_lines){.fd = fd, .line_bytes_max = line_bytes_max};
    return EK_OK;
}

void ek_lines_done(struct ek_lines *lines)
{
    if (lines->fd > STDIN_FILENO)
        (void)close(lines->fd);
    free(lines->bytes);
    *lines = (struct ek_lines){.fd = -1};
}

static enum ek_status give(struct ek_lines *lines, size_t stop, size_t next, char **ret_line, size_t *ret_size)
{
    *ret_line = lines->bytes + lines->start;
    *ret_size = stop - lines->start;
    lines->start = lines->looked = next;
    lines->number++;
    bool skipped = lines->skipping;
    lines->skipping = false;
    return skipped || *ret_size > lines->line_bytes_max ? EK_TOO_LARGE : EK_OK;
}

enum ek_status ek_lines_next(struct ek_lines *lines, char **ret_line, size_t *ret_size)
{
    size_t unseen = lines->end - lines->looked;
    char *newline = unseen ? memchr(lines->bytes + lines->looked, '\n', unseen) : NULL;
    if (newline) {
        size_t stop = (size_t)(newline - lines->bytes);
        return give(lines, stop, stop + 1, ret_line, ret_size);
    }
    lines->looked = lines->end;
    if (lines->ended) {
        if (lines->start == lines->end && !lines->skipping)
            return EK_NOT_FOUND;
        return give(lines, lines->end, lines->end, ret_line, ret_size);
    }
    if (lines->end - lines->start > lines->line_bytes_max) {
        lines->skipping = true;
        lines->start = lines->end;
    }
    return EK_AGAIN;
}

enum ek_status ek_lines_fill(struct ek_lines *lines, struct ek_error *error)
{
    size_t held = lines->end - lines->start;
    if (lines->start) {
        memmove(lines->bytes, lines->bytes + lines->start, held);
        lines->looked -= lines->start;
        lines->start = 0;
        lines->end = held;
    }
    /* One byte more than is read: the terminator of a last line without a newline. */
    lines->bytes = ek_grow(lines->bytes, &lines->capacity, held + CHUNK_BYTES + 1, 1);
    ssize_t got = read(lines->fd, lines->bytes + held, lines->capacity - held - 1);
    if (got < 0)
        return errno == EINTR ? EK_OK : ek_error_set(error, EK_IO, "cannot read the input: %s", strerror(errno));
    lines->ended = got == 0;
    lines->end += (size_t)got;
    lines->consumed += (uint64_t)got;
    return EK_OK;
}

enum ek_status ek_lines_take(struct ek_lines *lines, char **ret_line, size_t *ret_size, struct ek_error *error)
{
    for (;;) {
        enum ek_status status = ek_lines_next(lines, ret_line, ret_size);
        if (status != EK_AGAIN)
            return status;
        status = ek_lines_fill(lines, error);
        if (status)
            return status;
    }
}

enum ek_status ek_read_all(int fd, size_t bytes_max, struct ek_buffer *out, struct ek_error *error)
{
    for (;;) {
        uint8_t *to = ek_buffer_reserve(out, CHUNK_BYTES);
        ssize_t got = read(fd, to, CHUNK_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ek_error_set(error, EK_IO, "cannot read standard input: %s", strerror(errno));
        if (got == 0)
            return EK_OK;
        ek_buffer_advance(out, (size_t)got);
        if (out->size > bytes_max)
            return ek_error_set(error, EK_TOO_LARGE, "standard input has more than %zu bytes", bytes_max);
    }
}
