#include "client/wheel.h"

#include <string.h>

enum { WORD_BITS = 64, WORDS = EK_WHEEL_SLOTS / WORD_BITS };

_Static_assert((EK_WHEEL_SLOTS & (EK_WHEEL_SLOTS - 1)) == 0, "a slot is the low bits of a step");

static uint64_t step_of(uint64_t time_us)
{
    return time_us / EK_WHEEL_STEP_US;
}

static size_t slot_of(uint64_t step)
{
    return (size_t)(step % EK_WHEEL_SLOTS);
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

void ek_wheel_disarm(struct ek_wheel *wheel, struct ek_timer *timer)
{
    if (!timer->link)
        return;
    size_t slot = slot_of(step_of(timer->due_us));
    unlink_timer(timer);
    if (!wheel->slots[slot])
        wheel->occupied[slot / WORD_BITS] &= ~(UINT64_C(1) << slot % WORD_BITS);
}

void ek_wheel_arm(struct ek_wheel *wheel, struct ek_timer *timer, uint64_t due_us)
{
    ek_wheel_disarm(wheel, timer);
    if (due_us == UINT64_MAX)
        return;
    /* What is due already goes where the next turn looks first. */
    uint64_t first_us = wheel->step * EK_WHEEL_STEP_US;
    timer->due_us = due_us < first_us ? first_us : due_us;
    size_t slot = slot_of(step_of(timer->due_us));
    insert(&wheel->slots[slot], timer);
    wheel->occupied[slot / WORD_BITS] |= UINT64_C(1) << slot % WORD_BITS;
}

/* Moves the slot's timers of this round to the expired ones; those of later rounds stay. */
static void empty_slot(struct ek_wheel *wheel, size_t slot, uint64_t now_step)
{
    for (struct ek_timer *timer = wheel->slots[slot], *next; timer; timer = next) {
        next = timer->next;
        if (step_of(timer->due_us) >= now_step)
            continue;
        ek_wheel_disarm(wheel, timer);
        insert(&wheel->expired, timer);
    }
}

/* The first step from `wheel->step` on whose slot is occupied, within one round; UINT64_MAX: none is. */
static uint64_t occupied_step(const struct ek_wheel *wheel)
{
    size_t first = slot_of(wheel->step);
    for (size_t i = 0; i <= WORDS; i++) {
        size_t word = (first / WORD_BITS + i) % WORDS;
        uint64_t bits = wheel->occupied[word];
        if (i == 0)
            bits &= UINT64_MAX << first % WORD_BITS;
        if (bits) {
            size_t slot = word * WORD_BITS + (size_t)__builtin_ctzll(bits);
            return wheel->step + (slot + EK_WHEEL_SLOTS - first) % EK_WHEEL_SLOTS;
        }
    }
    return UINT64_MAX;
}

void ek_wheel_turn(struct ek_wheel *wheel, uint64_t now_us)
{
    uint64_t now_step = step_of(now_us);
    uint64_t end = now_step < wheel->step + EK_WHEEL_SLOTS ? now_step : wheel->step + EK_WHEEL_SLOTS;
    for (uint64_t step = occupied_step(wheel); step < end; step = occupied_step(wheel)) {
        empty_slot(wheel, slot_of(step), now_step);
        wheel->step = step + 1;
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
    uint64_t step = occupied_step(wheel);
    return step == UINT64_MAX ? UINT64_MAX : (step + 1) * EK_WHEEL_STEP_US;
}
