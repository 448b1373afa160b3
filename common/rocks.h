/*
 * What broker and worker ask of RocksDB alike: the options that decide what counts as an error, and its errors, which its C API
 * gives as texts only, as statuses. That API's header comes with this one, for the two who open stores. It opens nothing.
 */
#ifndef EK_COMMON_ROCKS_H
#define EK_COMMON_ROCKS_H

#include "common/status.h"

#include <rocksdb/c.h>

/*
 * Options of a store that is made when it is missing, cuts a torn tail off its log, and refuses to open when the damage is in the
 * middle: the default mode would drop synced writes behind it without a word. Nor does it open when the file with its options could
 * not be written, which RocksDB would only log: a disk that cannot sync one file is not trusted with the others. The caller
 * destroys them.
 */
rocksdb_options_t *ek_rocks_options(void);

/* Frees `text` (NULL = no error: EK_OK) and fills `error` with what was tried, the directory and the text. */
EK_MUST enum ek_status ek_rocks_status(char *text, const char *tried, const char *directory, struct ek_error *error);

#endif
