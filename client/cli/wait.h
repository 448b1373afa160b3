/*
 * For commands with --wait or --watch: asks the broker again and again, through its restarts too, until --timeout has passed or for
 * ever. One thread.
 */
#ifndef EK_CLI_WAIT_H
#define EK_CLI_WAIT_H

#include "client/cli/cli.h"

struct ek_wait {
    struct ek_cli cli; /* with the time that one asking takes */
    struct ek_client *client;
    uint64_t end_us; /* UINT64_MAX: never */
    bool said;       /* that nobody answers */
};

/* With `patient` false every question is asked once, with the program's ordinary limit of time. Says why when it cannot. */
enum ek_outcome ek_wait_open(struct ek_wait *wait, const struct ek_cli *cli, bool patient);
void ek_wait_close(struct ek_wait *wait);
/* As ek_client_query and ek_client_command, until somebody answers or the time is over. A command may be carried out twice. */
enum ek_outcome ek_wait_query(struct ek_wait *wait, const char *what, const char **ret_json);
enum ek_outcome ek_wait_command(struct ek_wait *wait, const char *const *words, size_t count, const char **ret_json);
/* Lets a second pass. False: the time is over. */
bool ek_wait_second(struct ek_wait *wait);

#endif
