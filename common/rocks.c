#include "common/rocks.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

rocksdb_options_t *ek_rocks_options(void)
{
    rocksdb_options_t *defaults = rocksdb_options_create();
    rocksdb_options_t *options = rocksdb_options_create();
    char *text = NULL;
    rocksdb_get_options_from_string(defaults, "fail_if_options_file_error=true", options,
                                    &text); /* the C API has no function for it */
    assert(!text);
    rocksdb_options_destroy(defaults);
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_wal_recovery_mode(options, rocksdb_tolerate_corrupted_tail_records_recovery);
    return options;
}

struct rule {
    const char *prefix;
    const char *contains;
    enum ek_status status;
    const char *advice;
};

static const struct rule rules[] = {
    {"IO error", "lock", EK_IN_USE, "another process uses it: stop that one, or choose another --data"},
    {"IO error", "Permission denied", EK_DENIED, "give this user the right to write there"},
    {"IO error", "Read-only", EK_DENIED, "the file system is mounted read-only"},
    {"IO error", "Not a directory", EK_DENIED, "a file is in the way: choose another --data"},
    {"IO error", "File exists", EK_DENIED, "a file is in the way: choose another --data"},
    {"IO error", "No space left", EK_IO, "the disk is full: make room and start again"},
    {"Corruption", "", EK_CORRUPT, "the files are damaged: restore them from a copy"},
    {"NotFound", "", EK_NOT_FOUND, "it is not there"},
    {"", "", EK_IO, "see the text"},
};

static const struct rule *rule_for(const char *text)
{
    const struct rule *rule = rules;
    while (strncmp(text, rule->prefix, strlen(rule->prefix)) != 0 || !strstr(text, rule->contains))
        rule++; /* the last rule fits everything */
    return rule;
}

enum ek_status ek_rocks_status(char *text, const char *tried, const char *directory, struct ek_error *error)
{
    if (!text)
        return EK_OK;
    const struct rule *rule = rule_for(text);
    enum ek_status status = ek_error_set(error, rule->status, "cannot %s %s: %s (%s)", tried, directory, rule->advice, text);
    free(text);
    return status;
}
