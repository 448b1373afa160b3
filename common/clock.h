/*
 * The two clocks of the machine, for edges only: pure code gets its time in events. Any thread.
 */
#ifndef EK_COMMON_CLOCK_H
#define EK_COMMON_CLOCK_H

#include <stdint.h>

uint64_t ek_clock_monotonic_us(void);
uint64_t ek_clock_unix_ms(void);

#endif
