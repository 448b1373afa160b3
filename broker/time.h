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
    uint64_t wall_ahead_ms; /* how far the wall clock was ahead when it was last looked at */
    uint64_t jump_ms;       /* accepted, until a ceiling above it is durable */
    bool jump_refused;      /* at the start, and the wall clock is off since */
};

/* `ceiling_unix_ms` 0 = none was ever kept. */
void ek_time_start(struct ek_time *time, uint64_t now_us, uint64_t wall_unix_ms, uint64_t ceiling_unix_ms);
/* Never falls, never passes the durable ceiling (save before the first one is durable). */
uint64_t ek_time_unix_ms(const struct ek_time *time, uint64_t now_us);
/* The ceiling that ought to be durable by now. */
uint64_t ek_time_wanted_ceiling(const struct ek_time *time, uint64_t now_us);
/* A ceiling was synced; a lower one than before is ignored. */
void ek_time_ceiling_durable(struct ek_time *time, uint64_t ceiling_unix_ms);
/* Looks at the wall clock. True: it was set, or a jump was refused. */
bool ek_time_is_off(struct ek_time *time, uint64_t now_us, uint64_t wall_unix_ms);
/* Somebody who knows says that the wall clock is right: time goes on from there as soon as the ceiling allows. Returns by how many
 * milliseconds; 0: it is not ahead. */
uint64_t ek_time_accept(struct ek_time *time);

#endif
