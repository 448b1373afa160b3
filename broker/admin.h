/*
 * Operators' commands: from words to the part of the core that carries them out, and its answer. Holds no rule of its own.
 */
#ifndef EK_BROKER_ADMIN_H
#define EK_BROKER_ADMIN_H

#include "broker/state.h"

/* Answers with JSON and OK, or with the reason and USAGE or DENIED; a check that was begun, when it is over. */
void ek_admin_run(struct ek_broker *broker, ek_broker_peer peer, const struct ek_admin *admin, uint64_t now_us);
/* A worker by its name or by the beginning of its id as `workers` shows it. EK_NOBODY, with the reason, when it is none or several.
 */
int ek_admin_find_worker(const struct ek_broker *broker, const char *word, const char **ret_reason);

#endif
