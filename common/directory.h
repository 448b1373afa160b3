/*
 * A directory that is there after a power cut. RocksDB syncs the names in its directory, but not the name of the directory itself,
 * with which everything in it would go. Any thread.
 */
#ifndef EK_COMMON_DIRECTORY_H
#define EK_COMMON_DIRECTORY_H

#include "common/status.h"

#include <sys/types.h>

/* Makes the directory when it is not there, but not those above it, and syncs its name in either case: an earlier start may have
 * been cut off in between. EK_DENIED or EK_IO, with a text. */
EK_MUST enum ek_status ek_directory_make(const char *path, mode_t mode, struct ek_error *error);

#endif
