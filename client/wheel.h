/*
 * Timers by the tens of thousands: hierarchical timing wheels (Varghese and Lauck, 1987, scheme 7) whose arming and disarming cost
 * the same however many there are. It knows no clock and calls nobody back; it owns no timer. Times are microseconds. One thread at
 * a time.
 *
 * A timer expires up to EK_WHEEL_STEP_US late and never early.
 */
#ifndef EK_CLIENT_WHEEL_H
#define EK_CLIENT_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Few slots, for a process may have a thousand wheels, of which its processor's cache shall hold what they use. */
enum { EK_WHEEL_STEP_US = 1024, EK_WHEEL_SLOT_BITS = 4, EK_WHEEL_SLOTS = 16, EK_WHEEL_LEVELS = 14 };

/* All zero is disarmed. */
struct ek_timer {
    struct ek_timer *next;
    struct ek_timer **link; /* what points here; NULL: disarmed */
    uint64_t due_us;
    unsigned kind; /* the owner's, to tell what holds the timer */
};

/* A step is EK_WHEEL_STEP_US. Each level has a slot for each value of one digit of a step, to base EK_WHEEL_SLOTS. */
struct ek_wheel {
    struct ek_timer *slots[EK_WHEEL_LEVELS][EK_WHEEL_SLOTS];
    uint16_t occupied[EK_WHEEL_LEVELS]; /* a bit for each slot that holds a timer */
    uint16_t levels;                    /* a bit for each level that does */
    uint64_t step;                      /* the first that has not been looked at */
    struct ek_timer *expired;
};

void ek_wheel_init(struct ek_wheel *wheel, uint64_t now_us);
/* Arms or re-arms. UINT64_MAX disarms. */
void ek_wheel_arm(struct ek_wheel *wheel, struct ek_timer *timer, uint64_t due_us);
void ek_wheel_disarm(struct ek_wheel *wheel, struct ek_timer *timer);
bool ek_timer_is_armed(const struct ek_timer *timer);
/* Finds what has expired by `now_us`; the timers are then taken one by one, disarmed, until NULL. */
void ek_wheel_turn(struct ek_wheel *wheel, uint64_t now_us);
struct ek_timer *ek_wheel_take(struct ek_wheel *wheel);
/* When it should be turned next: never late for a timer, and early at most once for each level. UINT64_MAX: nothing is armed. */
uint64_t ek_wheel_due_us(const struct ek_wheel *wheel);

#endif
