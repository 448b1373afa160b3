/*
 * What the formats of `import` share: records on their way to the store, with a bound on how many and how large, and errors that
 * name their line. A format reads the input and hands records over one by one. One thread.
 */
#ifndef EK_CLI_IMPORT_H
#define EK_CLI_IMPORT_H

#include "client/cli/cli.h"
#include "client/cli/lines.h"
#include "client/cli/progress.h"
#include "client/cli/template.h"

#define EK_IMPORT_RECORDS_MAX 20000u
#define EK_IMPORT_BYTES_MAX   (64u * EK_MIB)

struct ek_import_slot;

struct ek_import {
    const struct ek_cli *cli;
    struct ek_client *client;
    uint32_t timeout_ms;
    const char *path;
    char separator; /* csv */
    struct ek_template key;
    struct ek_lines lines;
    struct ek_progress progress;
    uint64_t errors_max;
    /* so far */
    uint64_t imported, errors, expired;
    struct ek_error first_error; /* with its line */
    enum ek_outcome first_outcome;
    bool stopped; /* more errors than are tolerated */
    /* under way */
    struct ek_import_slot *slots;
    struct ek_import_slot *unused;
    size_t under_way;
    size_t bytes_under_way;
};

/* Hands over a record, copied; waits while too much is under way. False: the import has stopped. */
bool ek_import_record(struct ek_import *import, uint64_t line, struct ek_slice key, struct ek_slice value, uint64_t ttl_ms);
/* A line that cannot be imported. False: the import has stopped. */
bool ek_import_reject(struct ek_import *import, uint64_t line, enum ek_outcome outcome, const char *text);

/* The formats: read all lines. A status, with its text, only when reading cannot go on. */
EK_MUST enum ek_status ek_import_ndjson(struct ek_import *import, struct ek_error *error);
EK_MUST enum ek_status ek_import_dump(struct ek_import *import, struct ek_error *error);
EK_MUST enum ek_status ek_import_csv(struct ek_import *import, struct ek_error *error);

#endif
