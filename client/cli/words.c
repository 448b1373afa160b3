#include "client/cli/words.h"

#include "common/bytes.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct cursor {
    const char *from; /* next byte to read */
    const char *end;
    char *to; /* where the next byte of the word goes; never ahead of `from` */
};

void ek_words_done(struct ek_words *words)
{
    free(words->words);
    *words = (struct ek_words){0};
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n' || byte == '\v' || byte == '\f';
}

static enum ek_status take_quoted(struct cursor *at, char quote, struct ek_error *error)
{
    while (at->from < at->end && *at->from != quote) {
        bool escaped = quote == '"' && *at->from == '\\' && at->from + 1 < at->end && (at->from[1] == '"' || at->from[1] == '\\');
        at->from += escaped;
        *at->to++ = *at->from++;
    }
    if (at->from == at->end)
        return ek_error_set(error, EK_MALFORMED, "a quote %c is not closed", quote);
    at->from++;
    return EK_OK;
}

static enum ek_status take_word(struct cursor *at, struct ek_error *error)
{
    while (at->from < at->end && !is_space(*at->from)) {
        char byte = *at->from++;
        if (byte == '\'' || byte == '"') {
            enum ek_status status = take_quoted(at, byte, error);
            if (status)
                return status;
            continue;
        }
        if (byte == '\\') {
            if (at->from == at->end)
                return ek_error_set(error, EK_MALFORMED, "the line ends behind a backslash");
            byte = *at->from++;
        }
        *at->to++ = byte;
    }
    return EK_OK;
}

enum ek_status ek_words_split(struct ek_words *words, char *line, size_t size, struct ek_error *error)
{
    words->count = 0;
    if (memchr(line, '\0', size))
        return ek_error_set(error, EK_MALFORMED, "the line holds a zero byte");
    struct cursor at = {.from = line, .end = line + size};
    for (;;) {
        while (at.from < at.end && is_space(*at.from))
            at.from++;
        if (at.from == at.end)
            return EK_OK;
        if (words->count == EK_WORDS_MAX)
            return ek_error_set(error, EK_TOO_LARGE, "the line has more than %u words", EK_WORDS_MAX);
        words->words = ek_grow(words->words, &words->capacity, words->count + 1, sizeof *words->words);
        at.to = line + (at.from - line);
        words->words[words->count++] = at.to;
        enum ek_status status = take_word(&at, error);
        if (status)
            return status;
        /* The byte behind the word was read already, or is the one behind the line. */
        if (at.from < at.end)
            at.from++;
        *at.to = '\0';
    }
}
