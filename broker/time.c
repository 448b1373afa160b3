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

void ek_time_ceiling_durable(struct ek_time *time, uint64_t ceiling_unix_ms)
{
    if (ceiling_unix_ms > time->ceiling_unix_ms)
        time->ceiling_unix_ms = ceiling_unix_ms;
}

bool ek_time_is_off(const struct ek_time *time, uint64_t now_us, uint64_t wall_unix_ms)
{
    uint64_t elapsed_ms = (now_us - time->base_us) / 1000;
    uint64_t expected = time->base_unix_ms - time->ahead_ms + elapsed_ms;
    uint64_t difference = expected > wall_unix_ms ? expected - wall_unix_ms : wall_unix_ms - expected;
    return time->jump_refused || difference > EK_TIME_STEP_MS;
}
