/*
 * Dead letters as the book-keeping holds them: the bytes of one, and lists of a shard's. Who keeps, drops or replays one is
 * dead.h's business. Listing reads the store and may run beside a commit; any thread, with buffers of its own.
 */
#ifndef EK_WORKER_LETTERS_H
#define EK_WORKER_LETTERS_H

#include "common/messages.h"
#include "common/status.h"
#include "worker/scan.h"
#include "worker/store.h"

enum { EK_LETTER_FORMAT = 1 };

/* The stored value is the head, then the job's bytes. The id is in the key. */
void ek_letter_write_head(struct ek_buffer *out, const struct ek_letter *letter);
/* EK_NEWER or EK_CORRUPT. `ret` borrows from the bytes and lacks its id. */
EK_MUST enum ek_status ek_letter_read(struct ek_slice value, struct ek_letter *ret);

/* Appends a list's result to `out`, as ek_scan_run does for a scan: its first letter is given however large it is when the list is
 * the job's only operation, a list beside others that has no room says ALONE, and the cursor leads on to the next shard, or is nil
 * at the end of the last one. */
EK_MUST enum ek_status ek_letters_list(struct ek_scan *scan, struct ek_store *store, const struct ek_operation *operation,
                                       struct ek_buffer *entries, struct ek_buffer *out, struct ek_error *error);

#endif
