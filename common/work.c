#include "common/work.h"

#define BYTES_A_UNIT 1024.0

double ek_work_units(uint64_t operations, uint64_t bytes)
{
    return (double)operations + (double)bytes / BYTES_A_UNIT;
}

double ek_mean_weight(double weight, double least)
{
    double plain = weight > 0 ? weight / (weight + 1) : 1;
    return plain > least ? plain : least;
}
