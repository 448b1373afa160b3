/*
 * A command's way to the broker: opening the client library with the program's options, and the endpoints that a broker names. One
 * thread.
 */
#ifndef EK_CLI_CONNECT_H
#define EK_CLI_CONNECT_H

#include "client/cli/cli.h"
#include "common/limits.h"

/* Opens a client, on `connection` unless that is NULL; says why when it cannot and returns the outcome. */
enum ek_outcome ek_connect(const struct ek_cli *cli, struct ek_connection *connection, struct ek_client **ret);
/* Likewise a connection for several clients. `share_io` may be NULL. */
enum ek_outcome ek_connect_for_several(const struct ek_cli *cli, struct ek_connection *share_io, struct ek_connection **ret);
/*
 * For commands without a limit of time: waits until a broker answers and says on standard error when that takes long. With a
 * --timeout given it waits no longer than that and returns UNAVAILABLE.
 */
enum ek_outcome ek_connect_await(const struct ek_cli *cli, struct ek_client *client);

/*
 * `endpoint` as it is reached from here: a host that stands for "every address" (`0.0.0.0`, `*`, `[::]`) is replaced by the host of
 * `broker`, or by 127.0.0.1 when that is NULL or none.
 */
void ek_endpoint_reach(char out[EK_TEXT_BYTES_MAX], const char *endpoint, const char *broker);

#endif
