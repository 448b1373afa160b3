/*
 * One scan operation on one shard: the rows of a prefix behind a cursor, and where to go on. Reads only. Any thread, with buffers
 * of its own.
 */
#ifndef EK_WORKER_SCAN_H
#define EK_WORKER_SCAN_H

#include "common/messages.h"
#include "common/status.h"
#include "worker/stamps.h"
#include "worker/store.h"

struct ek_scan {
    uint16_t shard;
    uint32_t shards;
    const struct ek_stamps *stamps;
    uint64_t now_unix_ms; /* the job's stamp first, then the time at which rows that had expired are left out */
    bool alone;           /* the job's only operation: its first row is given however large it is */
    size_t room_bytes;    /* for entries */
    uint32_t rows_left;   /* that may be looked at, empty lists of rows likewise for what they take; counted down */
};

/* Appends the result to `out`; `entries` is memory to work in. A scan beside others that has no room says ALONE. When
 * rows, room or the limit are used up there is a cursor to go on with. Behind the shard's last row it leads to the next shard, and
 * is nil at the end of the last one, or at once when the prefix holds a whole hash tag. A failure is the store's. */
EK_MUST enum ek_status ek_scan_run(struct ek_scan *scan, struct ek_store *store, const struct ek_operation *operation,
                                   struct ek_buffer *entries, struct ek_buffer *out, struct ek_error *error);

#endif
