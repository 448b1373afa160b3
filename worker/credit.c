#include "worker/credit.h"

#include <stdio.h>

/* Where credit begins to fall and where it is at its lowest. RocksDB slows writes down at so many files of level 0, of which some
 * 16 are usual at the peak, and at 64 GiB of compaction debt. */
#define LEVEL0_FILES_FIRST 20u
#define LEVEL0_FILES_LAST  EK_STORE_LEVEL0_FILES_SLOW
#define DEBT_BYTES_FIRST   (16ull << 30)
#define DEBT_BYTES_LAST    (64ull << 30)
#define COMMIT_US_FIRST    500000u
#define COMMIT_US_LAST     2000000u

enum {
    SHARE_FULL = 65536,
    SHARE_LEAST = 4096,
    RETURN_SHARE = 8, /* of a reserve, that must be free beyond it before what it stopped goes on */
    /* A byte that is sent is written to the log, to a file, and again when files are merged. */
    WRITTEN_TIMES = 4
};

/* From SHARE_FULL at `first` down to SHARE_LEAST at `last`. */
static uint32_t share_of(uint64_t value, uint64_t first, uint64_t last)
{
    if (value <= first)
        return SHARE_FULL;
    if (value >= last)
        return SHARE_LEAST;
    return (uint32_t)(SHARE_FULL - (value - first) * (SHARE_FULL - SHARE_LEAST) / (last - first));
}

static uint32_t lower(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static bool is_short(uint64_t free_bytes, uint64_t reserve_bytes, bool was_short)
{
    return free_bytes < reserve_bytes + (was_short ? reserve_bytes / RETURN_SHARE : 0);
}

static void heed_disk(struct ek_worker_credit *credit, uint64_t free_bytes, uint64_t reserve_bytes,
                      const struct ek_worker_credit *before)
{
    credit->full = is_short(free_bytes, reserve_bytes, before->full);
    credit->deletes_wait = is_short(free_bytes, reserve_bytes / 2, before->deletes_wait);
    uint64_t edge_bytes = credit->full ? reserve_bytes / 2 : reserve_bytes;
    credit->room_bytes = free_bytes > edge_bytes ? (free_bytes - edge_bytes) / WRITTEN_TIMES : 0;
    if (credit->deletes_wait)
        credit->jobs = 0;
    if (!credit->full) {
        if (credit->room_bytes < credit->bytes)
            credit->bytes = credit->room_bytes ? (uint32_t)credit->room_bytes : 1;
        return;
    }
    credit->bytes = 0;
    (void)snprintf(credit->alarm, sizeof credit->alarm,
                   "disk nearly full: %llu MiB free, %llu MiB are the reserve; %s wait, make room or add a worker",
                   (unsigned long long)(free_bytes / EK_MIB), (unsigned long long)(reserve_bytes / EK_MIB),
                   credit->deletes_wait ? "writes and deletes" : "writes");
}

struct ek_worker_credit ek_worker_credit_of(const struct ek_store_figures *figures, uint64_t reserve_bytes, uint64_t commit_p99_us,
                                            const struct ek_pace *pace, const struct ek_worker_credit *before)
{
    uint32_t share = share_of(figures->level0_files, LEVEL0_FILES_FIRST, LEVEL0_FILES_LAST);
    share = lower(share, share_of(figures->pending_compaction_bytes, DEBT_BYTES_FIRST, DEBT_BYTES_LAST));
    share = lower(share, share_of(commit_p99_us, COMMIT_US_FIRST, COMMIT_US_LAST));
    if (figures->delayed_bytes_per_second)
        share = SHARE_LEAST;
    share = lower(share, ek_pace_share(pace, SHARE_FULL));
    struct ek_worker_credit credit = {.jobs = (uint32_t)((uint64_t)EK_CREDIT_JOBS_MAX * share / SHARE_FULL),
                                      .bytes = (uint32_t)((uint64_t)EK_CREDIT_BYTES_MAX * share / SHARE_FULL),
                                      .reads = EK_CREDIT_READS_MAX};
    if (figures->writes_stopped)
        (void)snprintf(credit.alarm, sizeof credit.alarm, "RocksDB has stopped writes until compaction catches up");
    heed_disk(&credit, figures->disk_free_bytes, reserve_bytes, before);
    if (figures->writes_stopped)
        credit.bytes = 0;
    return credit;
}
