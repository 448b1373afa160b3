#include "client/cli/connect.h"

#include "client/cli/output.h"

#include <stdio.h>
#include <string.h>

static enum ek_outcome explain(const struct ek_cli *cli, enum ek_outcome outcome)
{
    if (outcome == EK_OUTCOME_USAGE)
        (void)ek_fail(cli, outcome, "`%.200s` is no endpoint: write one like tcp://127.0.0.1:5600", cli->endpoint);
    else if (outcome)
        (void)ek_fail(cli, outcome, "the system gives no socket for %.200s: are too many files open? see: ulimit -n",
                      cli->endpoint);
    return outcome;
}

enum ek_outcome ek_connect(const struct ek_cli *cli, struct ek_connection *connection, struct ek_client **ret)
{
    struct ek_client_options options = {
        .endpoint = cli->endpoint, .name = "evenkeel", .timeout_ms = cli->timeout_ms, .connection = connection};
    return explain(cli, ek_client_open(&options, ret));
}

enum ek_outcome ek_connect_for_several(const struct ek_cli *cli, struct ek_connection *share_io, struct ek_connection **ret)
{
    return explain(cli, ek_connection_open(cli->endpoint, share_io, ret));
}

enum ek_outcome ek_connect_await(const struct ek_cli *cli, struct ek_client *client)
{
    struct ek_broker_view view;
    for (bool said = false;; said = true) {
        enum ek_outcome outcome = ek_client_ping(client, &view);
        if (outcome == EK_OUTCOME_OK || cli->timeout_given)
            return outcome;
        if (outcome != EK_OUTCOME_UNAVAILABLE && outcome != EK_OUTCOME_UNKNOWN && outcome != EK_OUTCOME_EXPIRED)
            return outcome;
        if (!said)
            ek_note("no broker answers at %s yet, still waiting; start one with: evenkeel up", cli->endpoint);
    }
}

static const char *host_of(const char *endpoint, size_t *ret_size)
{
    const char *scheme = strstr(endpoint, "://");
    const char *host = scheme ? scheme + 3 : endpoint;
    const char *port = strrchr(host, ':');
    *ret_size = port ? (size_t)(port - host) : strlen(host);
    return host;
}

static bool stands_for_all(const char *host, size_t size)
{
    static const char *const wildcards[] = {"0.0.0.0", "*", "[::]", "::"};
    for (size_t i = 0; i < sizeof wildcards / sizeof *wildcards; i++)
        if (strlen(wildcards[i]) == size && memcmp(wildcards[i], host, size) == 0)
            return true;
    return false;
}

void ek_endpoint_reach(char out[EK_TEXT_BYTES_MAX], const char *endpoint, const char *broker)
{
    size_t size;
    const char *host = host_of(endpoint, &size);
    const char *other = "127.0.0.1";
    size_t other_size = strlen(other);
    if (strncmp(endpoint, "tcp://", 6) != 0 || !stands_for_all(host, size)) {
        (void)snprintf(out, EK_TEXT_BYTES_MAX, "%s", endpoint);
        return;
    }
    if (broker && strncmp(broker, "tcp://", 6) == 0) {
        size_t broker_size;
        const char *broker_host = host_of(broker, &broker_size);
        if (!stands_for_all(broker_host, broker_size)) {
            other = broker_host;
            other_size = broker_size;
        }
    }
    (void)snprintf(out, EK_TEXT_BYTES_MAX, "tcp://%.*s%s", (int)(other_size < 200 ? other_size : 200), other, host + size);
}
