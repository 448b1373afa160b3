#include "common/burst.h"

void ek_burst_begin(struct ek_burst *burst)
{
    burst->jobs = 0;
}

bool ek_burst_took(struct ek_burst *burst, size_t jobs)
{
    burst->jobs += jobs;
    return burst->lone && jobs == 1 && burst->jobs == 1;
}

void ek_burst_end(struct ek_burst *burst)
{
    if (burst->jobs)
        burst->lone = burst->jobs == 1;
}
