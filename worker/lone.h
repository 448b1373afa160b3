/*
 * Whether the loop commits a write by itself instead of handing it to the storage thread. That saves two changes of threads, up to
 * a tenth of what a single write under way takes; but whatever comes during its sync then waits. So it is done only where nothing
 * has come beside a commit for a while: one client that waits for each of its writes. It commits nothing itself. Pure; one thread
 * at a time.
 */
#ifndef EK_WORKER_LONE_H
#define EK_WORKER_LONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef EK_LONE_STREAK
#define EK_LONE_STREAK 32u /* writes that came by themselves before the loop commits one */
#endif
#define EK_LONE_OPERATIONS_MAX 16u    /* of a write that it commits */
#define EK_LONE_BYTES_MAX      16384u /* of its envelope */
#define EK_LONE_COMMIT_US_MAX  5000u  /* what took longer says that the disk, or RocksDB, is busy with something else */

/* All zero is the begin. */
struct ek_lone {
    uint32_t streak; /* writes in succession beside which nothing came */
};

/* A write came by itself: true when the loop may commit it. */
bool ek_lone_came(struct ek_lone *lone, uint32_t operations, size_t bytes);
/* Something came together with another thing, or while a commit was under way. */
void ek_lone_crowded(struct ek_lone *lone);
/* A commit took this long, wherever it was. */
void ek_lone_committed(struct ek_lone *lone, uint64_t took_us);

#endif
