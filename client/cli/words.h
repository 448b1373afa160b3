/*
 * One line as a shell would split it: spaces part words, '…' keeps everything, "…" keeps everything but \" and \\, a backslash
 * outside quotes keeps the next byte. No variables, no patterns, no comments behind words. Pure; any thread.
 */
#ifndef EK_CLI_WORDS_H
#define EK_CLI_WORDS_H

#include "common/status.h"

#include <stddef.h>

/* Words of one line at most. */
#define EK_WORDS_MAX 4096u

/* All zero is empty. */
struct ek_words {
    char **words; /* each terminated, inside the line that was split */
    size_t count;
    size_t capacity;
};

void ek_words_done(struct ek_words *words);

/*
 * Splits `size` bytes of `line` in place; line[size] must be writable and gets a terminator. The words live as long as the line.
 * EK_MALFORMED: a quote that is not closed, a backslash at the end, a zero byte. EK_TOO_LARGE: more than EK_WORDS_MAX words.
 */
EK_MUST enum ek_status ek_words_split(struct ek_words *words, char *line, size_t size, struct ek_error *error);

#endif
