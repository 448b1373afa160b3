#include "client/cli/wait.h"

#include "client/cli/connect.h"
#include "client/cli/output.h"
#include "common/clock.h"

#include <unistd.h>

/* One asking: short, so that a broker that comes back is found soon and a limit is kept. */
enum { ASK_MS = 2000, PAUSE_MS = 100, SECOND_US = 1000000 };

enum ek_outcome ek_wait_open(struct ek_wait *wait, const struct ek_cli *cli, bool patient)
{
    *wait = (struct ek_wait){.cli = *cli, .end_us = UINT64_MAX};
    if (patient && cli->timeout_given)
        wait->end_us = ek_clock_monotonic_us() + cli->timeout_ms * UINT64_C(1000);
    else if (!patient)
        wait->end_us = 0;
    if (patient && wait->cli.timeout_ms > ASK_MS)
        wait->cli.timeout_ms = ASK_MS;
    return ek_connect(&wait->cli, NULL, &wait->client);
}

void ek_wait_close(struct ek_wait *wait)
{
    ek_client_close(&wait->client);
}

/* Nobody answered, or a broker that is about to go. */
static bool may_change(enum ek_outcome outcome)
{
    return outcome == EK_OUTCOME_UNAVAILABLE || outcome == EK_OUTCOME_UNKNOWN || outcome == EK_OUTCOME_BUSY;
}

/* Whether to ask once more. */
static bool goes_on(struct ek_wait *wait, enum ek_outcome outcome)
{
    if (!may_change(outcome) || ek_clock_monotonic_us() >= wait->end_us)
        return false;
    if (!wait->said)
        ek_note("no broker answers at %s, still waiting", wait->cli.endpoint);
    wait->said = true;
    (void)usleep(PAUSE_MS * 1000);
    return true;
}

enum ek_outcome ek_wait_query(struct ek_wait *wait, const char *what, const char **ret_json)
{
    enum ek_outcome outcome;
    do
        outcome = ek_client_query(wait->client, what, ret_json);
    while (goes_on(wait, outcome));
    return outcome;
}

enum ek_outcome ek_wait_command(struct ek_wait *wait, const char *const *words, size_t count, const char **ret_json)
{
    enum ek_outcome outcome;
    do
        outcome = ek_client_command(wait->client, words, count, ret_json);
    while (goes_on(wait, outcome));
    return outcome;
}

bool ek_wait_second(struct ek_wait *wait)
{
    uint64_t now_us = ek_clock_monotonic_us();
    uint64_t left_us = wait->end_us > now_us ? wait->end_us - now_us : 0;
    wait->said = false;
    (void)usleep(left_us < SECOND_US ? (useconds_t)left_us : SECOND_US);
    return left_us >= SECOND_US;
}
