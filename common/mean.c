#include "common/mean.h"

double ek_mean_weight(double weight, double least)
{
    double plain = weight > 0 ? weight / (weight + 1) : 1;
    return plain > least ? plain : least;
}
