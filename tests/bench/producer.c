#include "tests/bench/producer.h"

#include <stdio.h>
#include <stdlib.h>

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
