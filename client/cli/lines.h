/*
 * Lines from a file descriptor, one at a time, with a bound on their length; and whole small inputs. It knows nothing of what the
 * lines say. One thread.
 */
#ifndef EK_CLI_LINES_H
#define EK_CLI_LINES_H

#include "common/bytes.h"
#include "common/status.h"

struct ek_lines {
    int fd;
    char *bytes;
    size_t start, end, capacity; /* what is buffered: [start, end) */
    size_t looked;               /* no newline before this place */
    size_t line_bytes_max;
    uint64_t consumed; /* bytes read from the descriptor */
    uint64_t number;   /* of the line that was given last, from 1 */
    bool ended;        /* nothing more can be read */
    bool skipping;     /* inside a line that is too long */
};

/* Opens `path`, or standard input for "-". The text of a failure names the path. */
EK_MUST enum ek_status ek_lines_open(struct ek_lines *lines, const char *path, size_t line_bytes_max, struct ek_error *error);
void ek_lines_done(struct ek_lines *lines);

/*
 * The next line, without its newline and with a writable byte behind it; valid until the next ek_lines_fill. EK_AGAIN: fill first.
 * EK_NOT_FOUND: that was the last one. EK_TOO_LARGE: line `number` is too long; it is passed over.
 */
EK_MUST enum ek_status ek_lines_next(struct ek_lines *lines, char **ret_line, size_t *ret_size);
/* Reads once; waits when nothing is there. */
EK_MUST enum ek_status ek_lines_fill(struct ek_lines *lines, struct ek_error *error);
/* ek_lines_next that fills when it has to: never EK_AGAIN. EK_IO when it cannot read. */
EK_MUST enum ek_status ek_lines_take(struct ek_lines *lines, char **ret_line, size_t *ret_size, struct ek_error *error);

/* All that `fd` has, and a byte behind it. EK_TOO_LARGE beyond `bytes_max`. */
EK_MUST enum ek_status ek_read_all(int fd, size_t bytes_max, struct ek_buffer *out, struct ek_error *error);

#endif
