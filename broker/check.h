/*
 * A check of all workers' rows against the assignment: each worker that is up is asked what it has stored (WORKER_CHECK), and
 * what all of them say is compared with who ought to hold what. It only looks: nothing is mended, and no shard's state changes.
 *
 * Each worker answers as of a moment of its own, behind the jobs that were sent to it before. A shard whose holder, epoch or state
 * is another one at the end than at the beginning is not judged, and counted as changed. One check at a time; whoever asks
 * meanwhile gets its answer too. It ends without a result when a worker's link ends, or when one does not go on for EK_CHECK_US.
 */
#ifndef EK_BROKER_CHECK_H
#define EK_BROKER_CHECK_H

#include "broker/state.h"

enum { EK_CHECK_ASKERS_MAX = 16, EK_CHECK_DETAILS_MAX = 20 };
#define EK_CHECK_US UINT64_C(10000000)

/* Begins a check, or joins the one that is under way; it is answered once all workers have. NULL, or why it cannot be. */
const char *ek_check_ask(struct ek_broker *broker, ek_broker_peer peer, uint64_t id);
void ek_check_reported(struct ek_broker *broker, const struct ek_worker *worker, const struct ek_check_report *report);
/* At each tick. */
void ek_check_run(struct ek_broker *broker);
void ek_check_done(struct ek_broker *broker);

/* ---- what the rest of the core tells ---- */

void ek_check_link_ended(struct ek_broker *broker, int worker);
void ek_check_stop(struct ek_broker *broker);
/* Worker `from` of the table is now `to`, or gone (EK_NOBODY). */
void ek_check_renumber(struct ek_broker *broker, int from, int to);

#endif
