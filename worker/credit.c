#include "worker/credit.h"

#include <stdio.h>

/* Where credit begins to fall and where it is at its lowest. RocksDB slows writes down at 20 files of level 0 and at 64 GiB of
 * compaction debt. */
#define LEVEL0_FILES_FIRST 10u
#define LEVEL0_FILES_LAST  20u
#define DEBT_BYTES_FIRST   (16ull << 30)
#define DEBT_BYTES_LAST    (64ull << 30)
#define COMMIT_US_FIRST    500000u
#define COMMIT_US_LAST     2000000u

enum { SHARE_FULL = 1024, SHARE_LEAST = 64 };

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

struct ek_worker_credit ek_worker_credit_of(const struct ek_store_figures *figures, uint64_t reserve_bytes, uint64_t commit_p99_us)
{
    uint32_t share = share_of(figures->level0_files, LEVEL0_FILES_FIRST, LEVEL0_FILES_LAST);
    share = lower(share, share_of(figures->pending_compaction_bytes, DEBT_BYTES_FIRST, DEBT_BYTES_LAST));
    share = lower(share, share_of(commit_p99_us, COMMIT_US_FIRST, COMMIT_US_LAST));
    if (figures->delayed_bytes_per_second)
        share = SHARE_LEAST;
    struct ek_worker_credit credit = {.jobs = (uint32_t)((uint64_t)EK_CREDIT_JOBS_MAX * share / SHARE_FULL),
                                      .bytes = (uint32_t)((uint64_t)EK_CREDIT_BYTES_MAX * share / SHARE_FULL),
                                      .reads = EK_CREDIT_READS_MAX};
    if (figures->writes_stopped) {
        credit.bytes = 0;
        (void)snprintf(credit.alarm, sizeof credit.alarm, "RocksDB has stopped writes until compaction catches up");
    }
    if (figures->disk_free_bytes < reserve_bytes) {
        credit.bytes = 0;
        (void)snprintf(credit.alarm, sizeof credit.alarm,
                       "disk nearly full: %llu MiB free, %llu MiB are the reserve; writes wait, make room or add a worker",
                       (unsigned long long)(figures->disk_free_bytes / EK_MIB), (unsigned long long)(reserve_bytes / EK_MIB));
    }
    if (figures->disk_free_bytes < reserve_bytes / 2)
        credit.jobs = 0;
    return credit;
}
