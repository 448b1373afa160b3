#include "common/nearness.h"

enum { BACK_OFF = 4 };

void ek_nearness_init(struct ek_nearness *nearness)
{
    *nearness = (struct ek_nearness){.wanted = EK_NEARNESS_RUN_MIN};
}

/* They met in vain: the more often, the later they do again. */
static enum ek_nearness_step others_came(struct ek_nearness *nearness)
{
    nearness->run = 0;
    if (!nearness->met)
        return EK_NEARNESS_STAY;
    nearness->met = false;
    if (nearness->wanted < EK_NEARNESS_RUN_MAX)
        nearness->wanted *= BACK_OFF;
    return EK_NEARNESS_PART;
}

static enum ek_nearness_step change(struct ek_nearness *nearness)
{
    nearness->run = 0;
    nearness->met = !nearness->met;
    return nearness->met ? EK_NEARNESS_MEET : EK_NEARNESS_PART;
}

/* Signs of life, copies and the like. */
static enum ek_nearness_step came_without_jobs(struct ek_nearness *nearness)
{
    if (!nearness->met || ++nearness->idle < EK_NEARNESS_IDLE_MAX)
        return EK_NEARNESS_STAY;
    nearness->idle = 0;
    return change(nearness);
}

enum ek_nearness_step ek_nearness_pass(struct ek_nearness *nearness, size_t jobs, size_t bytes)
{
    if (jobs == 0)
        return came_without_jobs(nearness);
    nearness->idle = 0;
    if (jobs > 1 || bytes > EK_NEARNESS_BYTES_MAX)
        return others_came(nearness);
    nearness->run++;
    if (nearness->run < (nearness->met ? EK_NEARNESS_TURN : nearness->wanted))
        return EK_NEARNESS_STAY;
    if (nearness->met)
        nearness->wanted = EK_NEARNESS_RUN_MIN; /* it was worth it */
    return change(nearness);
}
