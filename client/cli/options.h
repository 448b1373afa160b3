/*
 * Options from tables, in any place among the words of a command: the program's, a command's and those of one line of `run` alike.
 * Not argp: a failure has to be answered as JSON too, `-5` and `-` are words, and lines are read a few hundred thousand a second.
 * Pure; any thread.
 */
#ifndef EK_CLI_OPTIONS_H
#define EK_CLI_OPTIONS_H

#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ek_option_type {
    EK_OPTION_SWITCH,   /* bool */
    EK_OPTION_TEXT,     /* const char *, borrowed from the words */
    EK_OPTION_NUMBER,   /* uint64_t */
    EK_OPTION_SIZE,     /* uint64_t, bytes */
    EK_OPTION_DURATION, /* uint64_t, milliseconds */
    EK_OPTION_CHOICE    /* uint64_t: which of the words in `argument`, which are parted by `|` */
};

struct ek_option {
    const char *name; /* without the dashes; NULL ends a table */
    enum ek_option_type type;
    size_t at; /* offset of the value in the target */
    uint64_t min, max;
    const char *argument; /* what the help calls it */
    const char *help;
};

/* Options and where their values go. */
struct ek_option_set {
    const struct ek_option *options;
    void *target;
};

/*
 * Takes the options out of `words` and moves the others to the front, in order; `--` ends the options and is dropped. With
 * `stop_at_word` the first word that is no option ends it too. Values that are not given stay as they were. EK_MALFORMED with
 * a text for people: unknown, without its value, or out of its range.
 */
EK_MUST enum ek_status ek_options_take(const struct ek_option_set *sets, size_t set_count, char **words, size_t *count,
                                       bool stop_at_word, struct ek_error *error);

#endif
