#include "worker/lone.h"

bool ek_lone_came(struct ek_lone *lone, uint32_t operations, size_t bytes)
{
    if (lone->streak < EK_LONE_STREAK) {
        lone->streak++;
        return false;
    }
    return operations <= EK_LONE_OPERATIONS_MAX && bytes <= EK_LONE_BYTES_MAX;
}

void ek_lone_crowded(struct ek_lone *lone)
{
    lone->streak = 0;
}

void ek_lone_committed(struct ek_lone *lone, uint64_t took_us)
{
    if (took_us > EK_LONE_COMMIT_US_MAX)
        lone->streak = 0;
}
