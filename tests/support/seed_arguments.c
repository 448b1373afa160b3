#include "tests/support/seed_arguments.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { EXIT_USAGE = 2 };

static bool is_number(const char *text, uint64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0;
}

struct ek_seed_arguments ek_seed_arguments(int left, char **arguments, uint64_t seeds_default, uint64_t most)
{
    struct ek_seed_arguments wanted = {.seeds = seeds_default, .first = 1};
    bool valid = left <= 2 && (left < 1 || is_number(arguments[0], &wanted.seeds)) &&
                 (left < 2 || is_number(arguments[1], &wanted.first)) && wanted.seeds >= 1 && wanted.seeds <= most;
    if (valid)
        return wanted;
    (void)fprintf(stderr, "usage: [SEEDS [FIRST]], whole numbers; SEEDS from 1 to %" PRIu64 ", FIRST is the first seed\n", most);
    exit(EXIT_USAGE);
}
