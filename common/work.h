/* The unit in which work on a store is counted, where workers and the broker must mean the same. Pure. */
#ifndef EK_COMMON_WORK_H
#define EK_COMMON_WORK_H

#include <stdint.h>

/* Units in so many operations that carry so many bytes: an operation and a KiB are one each. */
double ek_work_units(uint64_t operations, uint64_t bytes);

#endif
