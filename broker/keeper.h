/*
 * Writes acknowledged floors and the time ceiling beside the loop, in a thread of its own, so that no job waits for that disk. A
 * write that fails ends the process. Uses the same store as the loop's own writes.
 */
#ifndef EK_BROKER_KEEPER_H
#define EK_BROKER_KEEPER_H

#include "broker/meta.h"

#include <stdbool.h>

struct ek_keeper;

/* NULL when the system refuses a thread. `meta` must outlive it. */
struct ek_keeper *ek_keeper_new(struct ek_meta *meta);
/* Waits for the write that is under way. */
void ek_keeper_destroy(struct ek_keeper **keeper);
/* Only while nothing is under way. The floors are copied. */
void ek_keeper_write(struct ek_keeper *keeper, const struct ek_floor *floors, size_t count, uint64_t ceiling_unix_ms);
bool ek_keeper_is_busy(const struct ek_keeper *keeper);
/* Readable when a write is done. */
int ek_keeper_fd(const struct ek_keeper *keeper);
/* The ceiling that became durable; false when none did since the last call. */
bool ek_keeper_take_done(struct ek_keeper *keeper, uint64_t *ret_ceiling_unix_ms);

#endif
