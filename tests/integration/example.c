/* Stores a thousand orders, many at a time, and reads one back: example [ENDPOINT]. */
#include "client/evenkeel.h"

#include <stdio.h>
#include <string.h>

static void stored(void *context, const struct ek_completion *completion, size_t count)
{
    size_t *orders = context;
    if (completion->outcome == EK_OUTCOME_OK)
        *orders += count;
    else
        (void)fprintf(stderr, "not stored: %s %s\n", ek_outcome_name(completion->outcome), completion->text);
}

int main(int argc, char **argv)
{
    struct ek_client *client;
    if (ek_client_open(&(struct ek_client_options){.endpoint = argc > 1 ? argv[1] : NULL}, &client) != EK_OUTCOME_OK)
        return 2;
    size_t orders = 0;
    for (int i = 0; i < 1000; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "{user:%d}/order/%04d", i % 10, i);
        struct ek_request put = {.kind = EK_PUT, .key = key, .key_size = strlen(key), .value = "paid", .value_size = 4};
        while (ek_submit(client, &put, 0, stored, &orders) == EK_OUTCOME_BUSY)
            (void)ek_client_poll(client, -1);
    }
    while (ek_client_pending(client))
        (void)ek_client_poll(client, -1);

    struct ek_reading order;
    enum ek_outcome outcome = ek_get(client, "{user:7}/order/0017", 19, &order);
    if (outcome == EK_OUTCOME_OK)
        (void)printf("%zu orders are stored; number 17 is %.*s\n", orders, (int)order.value_size, (const char *)order.value);
    ek_client_close(&client);
    return outcome == EK_OUTCOME_OK && orders == 1000 ? 0 : 1;
}
