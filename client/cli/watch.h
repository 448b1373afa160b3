/*
 * The broker's figures as it publishes them, once a second. One thread.
 */
#ifndef EK_CLI_WATCH_H
#define EK_CLI_WATCH_H

#include "client/cli/cli.h"

/* Prints one snapshot after the other until --timeout has passed, or for ever. Returns the exit code. `full`: with workers and
 * shards (text only: the JSON is printed as it comes). */
int ek_watch(const struct ek_cli *cli, bool full);

#endif
