/*
 * Results of internal functions. It does not number anything on the wire: that list is enum ek_wire_status in
 * common/messages.h. Any thread may use it.
 */
#ifndef EK_COMMON_STATUS_H
#define EK_COMMON_STATUS_H

/* A result that has to be looked at. */
#define EK_MUST __attribute__((warn_unused_result))

enum ek_status {
    EK_OK = 0,
    EK_AGAIN,       /* nothing there now, or no room now; try later */
    EK_MALFORMED,   /* bytes of a peer, a file or a flag that break their format */
    EK_TOO_LARGE,   /* beyond a limit of common/limits.h */
    EK_NOT_FOUND,   /* no such row, record, peer or file */
    EK_UNREACHABLE, /* the peer is gone */
    EK_IN_USE,      /* another process holds the directory or the port */
    EK_DENIED,      /* the operating system refuses: rights, read-only medium */
    EK_NEWER,       /* written by a newer version of the format than this program knows */
    EK_MISMATCH,    /* belongs to another cluster, or was created with other settings */
    EK_CORRUPT,     /* a store says that its contents are damaged */
    EK_IO           /* any other failure of the operating system or of a store */
};

/* Detail for people, filled at the edges next to a status; always terminated. */
struct ek_error {
    char text[512];
};

/* Fills `error` (which may be NULL) as printf does and returns `status`. */
EK_MUST enum ek_status ek_error_set(struct ek_error *error, enum ek_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
