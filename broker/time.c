#include "broker/time.h"

void ek_time_start(struct ek_time *time, uint64_t now_us, uint64_t wall_unix_ms, uint64_t ceiling_unix_ms)
{
    *time = (struct ek_time){.base_us = now_us, .base_unix_ms = wall_unix_ms, .ceiling_unix_ms = ceiling_unix_ms};
    if (ceiling_unix_ms == 0)
        return;
    time->jump_refused = wall_unix_ms > ceiling_unix_ms + EK_TIME_JUMP_MS;
    if (wall_unix_ms <= ceiling_unix_ms || time->jump_refused)
        time->base_unix_ms = ceiling_unix_ms + 1;
    if (wall_unix_ms <= ceiling_unix_ms)
        time->ahead_ms = time->base_unix_ms - wall_unix_ms;
}

/* Without regard to the ceiling. */
static uint64_t running_unix_ms(const struct ek_time *time, uint64_t now_us)
{
    uint64_t elapsed_ms = (now_us - time->base_us) / 1000;
    uint64_t lag_ms = elapsed_ms / 2 < time->ahead_ms ? elapsed_ms - elapsed_ms / 2 : time->ahead_ms;
    return time->base_unix_ms + elapsed_ms - lag_ms;
}

uint64_t ek_time_unix_ms(const struct ek_time *time, uint64_t now_us)
{
    uint64_t running = running_unix_ms(time, now_us);
    bool bounded = time->ceiling_unix_ms > time->base_unix_ms;
    return bounded && running > time->ceiling_unix_ms ? time->ceiling_unix_ms : bounded ? running : time->base_unix_ms;
}

uint64_t ek_time_wanted_ceiling(const struct ek_time *time, uint64_t now_us)
{
    return ek_time_unix_ms(time, now_us) + time->jump_ms + EK_TIME_CEILING_AHEAD_MS;
}

/* What was asked for before the jump was accepted may be below it. */
static void jump_below_ceiling(struct ek_time *time)
{
    if (time->jump_ms == 0 || time->ceiling_unix_ms <= time->base_unix_ms + time->jump_ms)
        return;
    time->base_unix_ms += time->jump_ms;
    time->jump_ms = 0;
}

void ek_time_ceiling_durable(struct ek_time *time, uint64_t ceiling_unix_ms)
{
    if (ceiling_unix_ms > time->ceiling_unix_ms)
        time->ceiling_unix_ms = ceiling_unix_ms;
    jump_below_ceiling(time);
}

bool ek_time_is_off(struct ek_time *time, uint64_t now_us, uint64_t wall_unix_ms)
{
    uint64_t elapsed_ms = (now_us - time->base_us) / 1000;
    uint64_t expected = time->base_unix_ms - time->ahead_ms + elapsed_ms;
    uint64_t behind_ms = expected > wall_unix_ms ? expected - wall_unix_ms : 0;
    time->wall_ahead_ms = wall_unix_ms > expected ? wall_unix_ms - expected : 0;
    bool off = time->wall_ahead_ms > EK_TIME_STEP_MS || behind_ms > EK_TIME_STEP_MS;
    time->jump_refused = time->jump_refused && off;
    return off;
}

uint64_t ek_time_accept(struct ek_time *time)
{
    if (time->wall_ahead_ms <= EK_TIME_STEP_MS)
        return 0;
    time->jump_ms = time->wall_ahead_ms;
    return time->jump_ms;
}
