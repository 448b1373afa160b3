/*
 * The storage thread: takes what the loop hands it in one FIFO, makes groups of it, and hands replies back once a group is synced.
 * It owns the engine while it runs. It knows no socket. After a failure of the store it hands that back (done->failed), and
 * ends the process a second later if the loop has not done so.
 *
 * The loop pushes and takes and never waits: credit bounds what can be queued. An item that is not jobs ends a group.
 */
#ifndef EK_WORKER_COMMIT_H
#define EK_WORKER_COMMIT_H

#include "worker/group.h"

struct ek_commit;

/* Starts the thread on an opened engine. NULL when the system refuses. Signals should be blocked before. */
struct ek_commit *ek_commit_start(struct ek_engine *engine, struct ek_load *load);
/* Hands over an item of ek_alloc'ed memory. */
void ek_commit_push(struct ek_commit *commit, struct ek_commit_item *item);
/* Becomes readable when something is done. */
int ek_commit_fd(const struct ek_commit *commit);
/* Takes the oldest thing that is done, which ek_commit_done_destroy frees. NULL: nothing is. Whoever waits for the descriptor has
 * to have seen NULL before. */
struct ek_commit_done *ek_commit_take(struct ek_commit *commit);

/* How long the present group has been under way; 0 when idle. */
uint64_t ek_commit_stalled_us(const struct ek_commit *commit, uint64_t now_us);
/* The thread's time in groups since the start. */
uint64_t ek_commit_busy_us(const struct ek_commit *commit);
/* True once STOP is done. */
bool ek_commit_ended(const struct ek_commit *commit);
/* Waits for the end of the thread after STOP; the engine is the caller's again. */
void ek_commit_destroy(struct ek_commit **commit);

#endif
