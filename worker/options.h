/*
 * The worker's flags, from the command line and the configuration file. Reads no other file and starts nothing. Call before threads
 * start.
 */
#ifndef EK_WORKER_OPTIONS_H
#define EK_WORKER_OPTIONS_H

#include "common/log.h"
#include "worker/loop.h"
#include "worker/store.h"

struct ek_worker_options {
    struct ek_worker_settings settings;
    struct ek_store_options store;
    enum ek_log_level log_level;
    char name[EK_TEXT_BYTES_MAX];
};

/* Texts borrow from `argv` and live as long as the process. Ends the process with 2 and a message when a flag makes no sense, with
 * 0 after --help and --version. */
void ek_worker_options_parse(int argc, char **argv, struct ek_worker_options *ret);

#endif
