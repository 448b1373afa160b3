#include "client/wheel.h"

#include <string.h>

_Static_assert(EK_WHEEL_SLOTS == 1 << EK_WHEEL_SLOT_BITS, "a slot is a digit of a step");
_Static_assert(EK_WHEEL_LEVELS *EK_WHEEL_SLOT_BITS >= 54, "every step has a level: a step is 64 bits of microseconds without ten");
_Static_assert(EK_WHEEL_SLOTS <= 16 && EK_WHEEL_LEVELS <= 16, "16 bits name all slots of a level, and all levels");

static uint64_t step_of(uint64_t time_us)
{
    return time_us / EK_WHEEL_STEP_US;
}

static unsigned digit_of(uint64_t step, unsigned level)
{
    return (unsigned)(step >> level * EK_WHEEL_SLOT_BITS) % EK_WHEEL_SLOTS;
}

void ek_wheel_init(struct ek_wheel *wheel, uint64_t now_us)
{
    memset(wheel, 0, sizeof *wheel);
    wheel->step = step_of(now_us);
}

static void insert(struct ek_timer **list, struct ek_timer *timer)
{
    timer->next = *list;
    timer->link = list;
    if (timer->next)
        timer->next->link = &timer->next;
    *list = timer;
}

static void unlink_timer(struct ek_timer *timer)
{
    *timer->link = timer->next;
    if (timer->next)
        timer->next->link = timer->link;
    timer->next = NULL;
    timer->link = NULL;
}

bool ek_timer_is_armed(const struct ek_timer *timer)
{
    return timer->link != NULL;
}

static void note_empty(struct ek_wheel *wheel, unsigned level, unsigned slot)
{
    wheel->occupied[level] = (uint16_t)(wheel->occupied[level] & ~(1u << slot));
    if (!wheel->occupied[level])
        wheel->levels = (uint16_t)(wheel->levels & ~(1u << level));
}

void ek_wheel_disarm(struct ek_wheel *wheel, struct ek_timer *timer)
{
    struct ek_timer **link = timer->link;
    if (!link)
        return;
    bool last = !timer->next;
    unlink_timer(timer);
    uintptr_t at = ((uintptr_t)link - (uintptr_t)wheel->slots) / sizeof *link; /* huge behind another timer */
    if (last && at < EK_WHEEL_LEVELS * EK_WHEEL_SLOTS)
        note_empty(wheel, (unsigned)at / EK_WHEEL_SLOTS, (unsigned)at % EK_WHEEL_SLOTS);
}

/* The level is that of the highest digit in which the timer's step differs from the wheel's. */
static void place(struct ek_wheel *wheel, struct ek_timer *timer)
{
    uint64_t step = step_of(timer->due_us);
    uint64_t differs = step ^ wheel->step;
    unsigned level = differs ? (63 - (unsigned)__builtin_clzll(differs)) / EK_WHEEL_SLOT_BITS : 0;
    unsigned slot = digit_of(step, level);
    insert(&wheel->slots[level][slot], timer);
    wheel->occupied[level] = (uint16_t)(wheel->occupied[level] | 1u << slot);
    wheel->levels = (uint16_t)(wheel->levels | 1u << level);
}

void ek_wheel_arm(struct ek_wheel *wheel, struct ek_timer *timer, uint64_t due_us)
{
    ek_wheel_disarm(wheel, timer);
    if (due_us == UINT64_MAX)
        return;
    /* What is due already goes where the next turn looks first. */
    uint64_t first_us = wheel->step * EK_WHEEL_STEP_US;
    timer->due_us = due_us < first_us ? first_us : due_us;
    place(wheel, timer);
}

/* The first step of a level's first slot that holds timers. None of them lies behind the wheel's step. */
static uint64_t first_step(const struct ek_wheel *wheel, unsigned level)
{
    unsigned shift = level * EK_WHEEL_SLOT_BITS;
    uint64_t slot = (uint64_t)__builtin_ctz(wheel->occupied[level]);
    return ((wheel->step >> shift) / EK_WHEEL_SLOTS * EK_WHEEL_SLOTS + slot) << shift;
}

/* The step at which the next slot is to be emptied, and its level; UINT64_MAX: no slot holds a timer. */
static uint64_t next_step(const struct ek_wheel *wheel, unsigned *ret_level)
{
    uint64_t next = UINT64_MAX;
    for (unsigned left = wheel->levels; left; left &= left - 1) {
        unsigned level = (unsigned)__builtin_ctz(left);
        uint64_t step = first_step(wheel, level);
        if (step < next) {
            next = step;
            *ret_level = level;
        }
    }
    return next;
}

/* The wheel has come to the slot: its timers expire, or, from a higher level, go to lower ones. */
static void empty_slot(struct ek_wheel *wheel, unsigned level, unsigned slot)
{
    for (struct ek_timer *timer; (timer = wheel->slots[level][slot]);) {
        unlink_timer(timer);
        if (level == 0)
            insert(&wheel->expired, timer);
        else
            place(wheel, timer);
    }
    note_empty(wheel, level, slot);
}

void ek_wheel_turn(struct ek_wheel *wheel, uint64_t now_us)
{
    uint64_t now_step = step_of(now_us);
    unsigned level = 0;
    for (uint64_t step; (step = next_step(wheel, &level)) < now_step;) {
        wheel->step = step;
        empty_slot(wheel, level, digit_of(step, level));
    }
    if (now_step > wheel->step)
        wheel->step = now_step;
}

struct ek_timer *ek_wheel_take(struct ek_wheel *wheel)
{
    struct ek_timer *timer = wheel->expired;
    if (timer)
        unlink_timer(timer);
    return timer;
}

uint64_t ek_wheel_due_us(const struct ek_wheel *wheel)
{
    if (wheel->expired)
        return 0;
    unsigned level;
    uint64_t step = next_step(wheel, &level);
    return step == UINT64_MAX ? UINT64_MAX : (step + 1) * EK_WHEEL_STEP_US;
}
