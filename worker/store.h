/*
 * The ordered, durable map that a worker keeps its rows and its book-keeping in. Chosen when the program is linked: store_rocksdb.c
 * in the product, another one in a simulator. It knows neither jobs nor the meaning of rows, except that expired ones may vanish
 * (see ek_store_set_horizon), and that records of the book-keeping are named after their batch (see ek_store_put_record).
 *
 * Threads: one at a time opens, writes and closes; reads and figures may come from any thread at any time in between.
 * After a failure of ek_store_commit the process must end: what the disk holds is then unknown, and a retry would lie.
 */
#ifndef EK_WORKER_STORE_H
#define EK_WORKER_STORE_H

#include "common/bytes.h"
#include "common/status.h"

struct ek_store;
struct ek_store_cursor;

/* Two key spaces, written in one batch. */
enum ek_store_space { EK_STORE_ROWS, EK_STORE_BOOK };

struct ek_store_options {
    const char *directory; /* made when it is not there */
    uint64_t cache_bytes;
    uint64_t write_buffer_bytes;
    uint64_t reserve_bytes; /* free disk to count on when files are merged; 0 = as much as it takes */
};

/* EK_IN_USE: another process has the directory open. EK_DENIED, EK_CORRUPT, EK_IO. */
EK_MUST enum ek_status ek_store_open(const struct ek_store_options *options, struct ek_store **ret, struct ek_error *error);
void ek_store_close(struct ek_store **store);
/* Makes the calling thread's reads and writes cheaper; every thread that does many calls it once. */
void ek_store_enter_thread(void);

/* ---- writing ---- */

/* Adds to the batch under construction. Bytes are copied; the value is `head`, then `value`. */
void ek_store_put(struct ek_store *store, enum ek_store_space space, struct ek_slice key, struct ek_slice head,
                  struct ek_slice value);
/* Likewise, into the book-keeping: the record of this batch, which has one at most, under the batch's number (ek_book_key_of),
 * which it returns. Numbers rise, across restarts as well. The record with the highest one must stay: it tells how far the
 * book-keeping goes. */
uint64_t ek_store_put_record(struct ek_store *store, struct ek_slice value);
void ek_store_delete(struct ek_store *store, enum ek_store_space space, struct ek_slice key);
/* Likewise: deletes everything from `first` to below `end` (an empty slice: to the end of the space). */
void ek_store_delete_range(struct ek_store *store, enum ek_store_space space, struct ek_slice first, struct ek_slice end);
/* Writes the batch whole and syncs it; readers see it after that. */
EK_MUST enum ek_status ek_store_commit(struct ek_store *store, struct ek_error *error);

/* ---- reading ---- */

/* Stored bytes, held in place until ek_pinned_done. All zero is nothing. */
struct ek_pinned {
    struct ek_slice bytes;
    void *holder;
};
void ek_pinned_done(struct ek_pinned *pinned);

enum { EK_STORE_GETS_MAX = 64 };

/* EK_NOT_FOUND, or a failure of the store. */
EK_MUST enum ek_status ek_store_get(struct ek_store *store, enum ek_store_space space, struct ek_slice key, struct ek_pinned *ret,
                                    struct ek_error *error);
/* Up to EK_STORE_GETS_MAX rows at once, keys rising. What is absent has holder = NULL. On failure nothing is held. */
EK_MUST enum ek_status ek_store_get_many(struct ek_store *store, const struct ek_slice *keys, size_t count, struct ek_pinned *ret,
                                         struct ek_error *error);

/* From `first` on, up to but without `end` (an empty slice: to the end of the space). Both must stay until the cursor is closed. */
struct ek_store_cursor *ek_store_walk(struct ek_store *store, enum ek_store_space space, struct ek_slice first,
                                      struct ek_slice end);
/* Likewise for a walk through much that is read once: it leaves the cache to others. */
struct ek_store_cursor *ek_store_walk_once(struct ek_store *store, enum ek_store_space space, struct ek_slice first,
                                           struct ek_slice end);
/* Rows lie in lists of hash prefixes, of which many may be empty, or full of what was deleted. Looks for the next entry in up to
 * `*lists_left` further lists and counts them down: false when these are used up before it is found, or the end is. Whoever has
 * others waiting asks this first: to open, and to step, does not search. */
bool ek_store_cursor_find(struct ek_store_cursor *cursor, uint32_t *lists_left);
/* Where a search stopped that found nothing: writes two bytes, behind all keys that it passed and before those of whole prefixes
 * that are left. */
void ek_store_cursor_place(const struct ek_store_cursor *cursor, uint8_t out[2]);
/* The entry that the cursor stands at, found wherever it is, or false at the end; slices are valid until the next step. */
bool ek_store_cursor_entry(struct ek_store_cursor *cursor, struct ek_slice *ret_key, struct ek_slice *ret_value);
void ek_store_cursor_step(struct ek_store_cursor *cursor);
/* Tells whether the walk ended for another reason than the end. */
EK_MUST enum ek_status ek_store_cursor_close(struct ek_store_cursor **cursor, struct ek_error *error);

/* ---- figures ---- */

enum { EK_STORE_LEVEL0_FILES_SLOW = 32 }; /* from here on the store slows writes down */

struct ek_store_figures {
    uint64_t level0_files;
    uint64_t pending_compaction_bytes;
    uint64_t delayed_bytes_per_second; /* 0: writes are not slowed down */
    bool writes_stopped;
    uint64_t unflushed_bytes; /* in memory tables */
    uint64_t table_bytes;     /* in files */
    uint64_t keys;            /* an estimate */
    uint64_t disk_free_bytes;
    uint64_t disk_bytes;
};
void ek_store_figures(struct ek_store *store, struct ek_store_figures *ret);
/* Bytes in files of the row ranges bounds[i] to bounds[i + 1], for `count` ranges; boundaries are hash prefixes, the last may be
 * 65536. Left as they are when the store does not say. */
void ek_store_range_bytes(struct ek_store *store, const uint32_t *bounds, size_t count, uint64_t *ret_bytes);
/* These two give back the room of what was deleted: soon, in the background. They wait for nothing, and tell of no failure: one
 * that matters ends the next commit. First what is in memory has to be in files; then those with rows of the hash prefixes from
 * `first` to below `end` are written anew, without what is gone.
 *
 * The first one belongs to the thread that commits. It does nothing, and says false, while a flush is under way that RocksDB began
 * by itself: that one is of all spaces at once, and an assertion ends the process when another one of one of them comes between. */
bool ek_store_flush_beside(struct ek_store *store);
void ek_store_compact_beside(struct ek_store *store, uint32_t first, uint32_t end);
/* Rows of the hash prefixes from `first` to below `end` that had expired at `stamp_unix_ms` may vanish. */
void ek_store_set_horizon(struct ek_store *store, uint32_t first, uint32_t end, uint64_t stamp_unix_ms);

#endif
