#include "worker/pace.h"

#include "common/limits.h"

enum {
    UNDER_WAY_US = 150000, /* the work that may be under way at once */
    SHORT_GROUP_US = 10000,
    FIRST_PART = 64, /* of the whole credit: enough for a fast storage to get going, and soon done by one that is slow */
    LEAST_PART = 1024
};

void ek_pace_add(struct ek_pace *pace, uint64_t jobs, uint64_t bytes, uint64_t took_us)
{
    pace->jobs += jobs;
    pace->bytes += bytes;
    pace->busy_us += took_us;
    pace->groups++;
}

void ek_pace_fade(struct ek_pace *pace)
{
    if (pace->groups == pace->groups_faded)
        return;
    pace->jobs /= 2;
    pace->bytes /= 2;
    pace->busy_us /= 2;
    pace->groups = (pace->groups + 1) / 2;
    pace->groups_faded = pace->groups;
}

static uint64_t part_of(uint64_t done, uint64_t busy_us, uint64_t most, uint32_t full)
{
    uint64_t under_way = done * UNDER_WAY_US / busy_us;
    return (under_way < most ? under_way : most) * full / most;
}

uint32_t ek_pace_share(const struct ek_pace *pace, uint32_t full)
{
    uint32_t first = full / FIRST_PART;
    if (pace->busy_us == 0)
        return first;
    uint64_t by_jobs = part_of(pace->jobs, pace->busy_us, EK_CREDIT_JOBS_MAX, full);
    uint64_t by_bytes = part_of(pace->bytes, pace->busy_us, EK_CREDIT_BYTES_MAX, full);
    uint64_t share = by_jobs > by_bytes ? by_jobs : by_bytes;
    /* A short group is mostly its sync, which a longer one would need only once as well. */
    uint64_t least = pace->busy_us / pace->groups <= SHORT_GROUP_US ? first : full / LEAST_PART;
    share = share > least ? share : least;
    return share ? (uint32_t)share : 1;
}
