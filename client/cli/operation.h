/*
 * An operation in words, as it stands behind `evenkeel`, in a line of `run` or in a line of `txn`, to what the client library
 * takes. It sends nothing and reads no file. Pure; any thread.
 */
#ifndef EK_CLI_OPERATION_H
#define EK_CLI_OPERATION_H

#include "client/cli/options.h"
#include "client/evenkeel.h"
#include "common/bytes.h"
#include "common/limits.h"

/* A physical key: two bytes of hash prefix, then the key. */
#define EK_CURSOR_BYTES_MAX (2u + EK_KEY_BYTES_MAX)
#define EK_SCAN_DEFAULT     1000u
#define EK_VERSION_UNASKED  UINT64_MAX

/* The options of all operations. Begin with ek_operation_defaults. */
struct ek_operation_options {
    uint64_t ttl_ms;
    bool if_absent;
    uint64_t if_version; /* EK_VERSION_UNASKED = not asked for; 0 = absent */
    const char *prefix;
    bool values;
    uint64_t limit; /* entries in all */
    const char *cursor;
    bool raw; /* only of the command `get` */
};
extern const struct ek_operation_options ek_operation_defaults;
extern const struct ek_option ek_put_option_table[];
extern const struct ek_option ek_scan_option_table[];

/* Words made into requests; borrows from them. */
struct ek_instruction {
    enum ek_operation_kind kind;
    const char *verb;
    struct ek_request request; /* of the first key */
    char **keys;               /* delete, exists: all of them */
    size_t key_count;          /* 1 for the others, 0 for a scan */
    uint64_t limit;            /* scan: entries in all; request.limit is the first page's */
    uint8_t cursor[EK_CURSOR_BYTES_MAX];
};

/*
 * `words` are what follows the verb, without options. EK_MALFORMED or EK_TOO_LARGE, with a text for people. The address of `ret` is
 * kept inside it: do not copy it.
 */
EK_MUST enum ek_status ek_instruction_make(const char *verb, const struct ek_operation_options *options, char **words, size_t count,
                                           struct ek_instruction *ret, struct ek_error *error);
/* A whole line: the verb, words and options in any order. Reorders the words. */
EK_MUST enum ek_status ek_instruction_parse(char **words, size_t count, struct ek_instruction *ret, struct ek_error *error);

/* The verb as the line wrote it, when it is one; else NULL. */
const char *ek_verb_of(const char *word);
/* EK_MALFORMED: empty; EK_TOO_LARGE. */
EK_MUST enum ek_status ek_key_check(struct ek_slice key, struct ek_error *error);
EK_MUST enum ek_status ek_value_check(size_t value_size, struct ek_error *error);

#endif
