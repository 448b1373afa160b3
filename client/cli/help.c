#include "client/cli/help.h"

#include <stdio.h>
#include <string.h>

enum { WORD_BYTES_MAX = 24, OPTION_COLUMN = 30, NAME_COLUMN = 12 };

static void print_options(const struct ek_option *options)
{
    for (const struct ek_option *option = options; option && option->name; option++) {
        int width = printf("  --%s%s%s", option->name, option->argument ? " " : "", option->argument ? option->argument : "");
        if (width >= OPTION_COLUMN)
            width = 0 * printf("\n");
        (void)printf("%*s%s\n", OPTION_COLUMN - width, "", option->help);
    }
}

void ek_help_program(const struct ek_command *const *commands, const struct ek_option *options)
{
    (void)printf("evenkeel [OPTION...] COMMAND [ARGUMENT...]\n"
                 "Talks to a durable key-value store that is fed by a message broker.\n\nCommands:\n");
    for (; *commands; commands++)
        (void)printf("  %-*s%s\n", NAME_COLUMN, (*commands)->name, (*commands)->summary);
    (void)printf("\nOptions, before or behind the command:\n");
    print_options(options);
    (void)printf("\nExamples:\n"
                 "  evenkeel up --workers 2                     a broker and two workers on this machine\n"
                 "  evenkeel put user:42 '{\"name\":\"Ann\"}'       answers once it is on disk\n"
                 "  evenkeel get user:42\n"
                 "  evenkeel import shop.ndjson --key id        a file of JSON lines\n"
                 "  evenkeel bench --workload mixed --duration 10s\n"
                 "\n`evenkeel help COMMAND` tells more.\n");
}

void ek_help_command(const struct ek_command *command, const struct ek_option *options)
{
    (void)printf("evenkeel %s%s%s%s\n%s\n", command->name, *command->synopsis ? " " : "", command->synopsis,
                 command->options ? " [OPTION...]" : "", command->summary);
    if (command->details)
        (void)printf("\n%s\n", command->details);
    if (command->options) {
        (void)printf("\nOptions of %s:\n", command->name);
        print_options(command->options);
    }
    (void)printf("\nOptions of every command:\n");
    print_options(options);
}

/* How many letters have to be added, taken away or changed (Levenshtein). */
static size_t distance(const char *a, const char *b)
{
    size_t row[WORD_BYTES_MAX + 1];
    size_t b_size = strlen(b);
    for (size_t j = 0; j <= b_size; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t changed = corner + (a[i - 1] != b[j - 1]);
            size_t other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            corner = row[j];
            row[j] = changed < other ? changed : other;
        }
    }
    return row[b_size];
}

const char *ek_help_guess(const struct ek_command *const *commands, const char *word)
{
    const char *best = NULL;
    size_t nearest = 3;
    if (strlen(word) > WORD_BYTES_MAX)
        return NULL;
    for (; *commands; commands++) {
        const char *name = (*commands)->name;
        size_t off = distance(name, word);
        if (off < nearest && off < strlen(name)) {
            nearest = off;
            best = name;
        }
    }
    return best;
}
