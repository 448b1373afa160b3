#include "common/burst.h"

void ek_burst_begin(struct ek_burst *burst)
{
    burst->count = 0;
}

bool ek_burst_took(struct ek_burst *burst)
{
    return ++burst->count == 1 && burst->lone;
}

void ek_burst_end(struct ek_burst *burst)
{
    if (burst->count)
        burst->lone = burst->count == 1;
}
