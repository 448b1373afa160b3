/*
 * RocksDB's errors, which its C API gives as texts only, as statuses. It opens nothing and includes nothing of RocksDB.
 */
#ifndef EK_COMMON_ROCKS_H
#define EK_COMMON_ROCKS_H

#include "common/status.h"

/* Frees `text` (NULL = no error: EK_OK) and fills `error` with what was tried, the directory and the text. */
EK_MUST enum ek_status ek_rocks_status(char *text, const char *tried, const char *directory, struct ek_error *error);

#endif
