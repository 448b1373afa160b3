/*
 * The broker's time: the wall clock at its start, then the monotonic clock, always below a ceiling that is on disk, so that it
 * never goes back, not even across a restart with a clock that was set back. Pure.
 */
#ifndef EK_BROKER_TIME_H
#define EK_BROKER_TIME_H

#include <stdbool.h>
#include <stdint.h>

enum {
    EK_TIME_CEILING_AHEAD_MS = 2000,
    EK_TIME_STEP_MS = 1000,            /* a wall clock this far off is told of */
    EK_TIME_JUMP_MS = 24 * 3600 * 1000 /* a start further past the ceiling begins at the ceiling */
};

struct ek_time {
    uint64_t base_unix_ms;
    uint64_t base_us;
    uint64_t ahead_ms; /* how far base is before the wall clock; made good at half speed */
    uint64_t ceiling_unix_ms;
    bool jump_refused;
};

/* `ceiling_unix_ms` 0 = none was ever kept. */
void ek_time_start(struct ek_time *time, uint64_t now_us, uint64_t wall_unix_ms, uint64_t ceiling_unix_ms);
/* Never falls, never passes the durable ceiling (save before the first one is durable). */
uint64_t ek_time_unix_ms(const struct ek_time *time, uint64_t now_us);
/* A ceiling was synced; a lower one than before is ignored. */
void ek_time_ceiling_durable(struct ek_time *time, uint64_t ceiling_unix_ms);
/* The wall clock was set, or a refused jump still stands. */
bool ek_time_is_off(const struct ek_time *time, uint64_t now_us, uint64_t wall_unix_ms);

#endif
