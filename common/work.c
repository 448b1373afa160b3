#include "common/work.h"

#define BYTES_A_UNIT 1024.0

double ek_work_units(uint64_t operations, uint64_t bytes)
{
    return (double)operations + (double)bytes / BYTES_A_UNIT;
}
