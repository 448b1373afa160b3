#include "tests/bench/producer.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { OPTIONS_MAX = 32 };

uint64_t producer_number(const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 10);
    if (*text == 0 || *end != 0) {
        (void)fprintf(stderr, "'%s' is no whole number\n", text);
        exit(2);
    }
    return number;
}

void producer_read_options(const struct producer_option *known, size_t count, int argc, char **argv)
{
    struct option options[OPTIONS_MAX + 1] = {0};
    for (size_t i = 0; i < count && i < OPTIONS_MAX; i++)
        options[i] = (struct option){.name = known[i].name, .has_arg = required_argument, .val = (int)i};
    for (int found; (found = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (found < 0 || (size_t)found >= count)
            exit(2);
        if (known[found].number)
            *known[found].number = producer_number(optarg);
        else
            *known[found].text = optarg;
    }
    if (optind != argc)
        exit(2);
}

void producer_open(const char *broker, const char *name, struct ek_client **ret_clients, uint64_t count)
{
    struct ek_broker_view view;
    for (uint64_t i = 0; i < count; i++) {
        struct ek_client_options options = {.endpoint = broker, .name = name, .share_io = i ? ret_clients[0] : NULL};
        if (ek_client_open(&options, &ret_clients[i]) != EK_OUTCOME_OK || ek_client_ping(ret_clients[i], &view) != EK_OUTCOME_OK) {
            (void)fprintf(stderr, "there is no broker at %s\n", broker);
            exit(EXIT_FAILURE);
        }
    }
}

void producer_close(struct ek_client **clients, uint64_t count)
{
    for (uint64_t i = count; i-- > 0;) /* the first one's thread serves the others */
        ek_client_close(&clients[i]);
}

void producer_print_outcomes(const uint64_t by_outcome[PRODUCER_OUTCOMES])
{
    for (int i = 0; i < PRODUCER_OUTCOMES; i++)
        (void)printf("%s\"%s\":%llu", i ? "," : "", ek_outcome_name((enum ek_outcome)i), (unsigned long long)by_outcome[i]);
}
