/*
 * How much the broker may send, from what the storage says of itself: no more than it does in a moment, less as RocksDB nears a
 * stall, so that producers feel it before RocksDB stops, and no writes at all when the disk runs short. Pure; any thread.
 */
#ifndef EK_WORKER_CREDIT_H
#define EK_WORKER_CREDIT_H

#include "common/limits.h"
#include "worker/pace.h"
#include "worker/store.h"

struct ek_worker_credit {
    uint32_t jobs;  /* 0: deletes stay away too */
    uint32_t bytes; /* 0: writes stay away, deletes and reads pass */
    uint32_t reads;
    bool full;                     /* the disk is short: writes wait for room */
    bool deletes_wait;             /* it is so short that deletes do too */
    uint64_t room_bytes;           /* that may be written before the disk has to be looked at again */
    char alarm[EK_TEXT_BYTES_MAX]; /* empty when all is well */
};

/*
 * `reserve_bytes`: free disk below which writes stop; below half of it deletes stop too. They go on once there is an eighth more,
 * which `before`, the last credit given (all zero at first), tells. The nearer the reserve, the less is let on its way at once, so
 * that what is under way fits into the reserve.
 */
struct ek_worker_credit ek_worker_credit_of(const struct ek_store_figures *figures, uint64_t reserve_bytes, uint64_t commit_p99_us,
                                            const struct ek_pace *pace, const struct ek_worker_credit *before);

#endif
