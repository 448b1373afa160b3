/*
 * What lies on which disk, compared row by row: a learner that says that it is complete has exactly what its source had when the
 * copy was made; one that follows is never ahead of its source, and has the same where it is at the same position; a new owner has
 * what the former one has; and in the end the holder's rows are what was read, which the history is judged by.
 *
 * A row whose time is over may lie on one disk and not on the other, since each drops it when it likes.
 */
#ifndef EK_TESTS_SIM_HOLDERS_H
#define EK_TESTS_SIM_HOLDERS_H

#include "broker/records.h"
#include "common/messages.h"
#include "tests/sim/checker.h"

struct sim_disk;

/* A batch has come to the disk; `roles` and `positions` have a bit for each shard that got another role or position by it. */
void sim_holders_written(const struct sim_disk *disk, uint32_t roles, uint32_t positions);
/* The broker's disk takes an assignment in the place of another one. */
void sim_holders_assigned(const struct ek_record *before, const struct ek_record *after);
/* The key's row on its holder's disk is what was just read. False also when somebody has written it since. */
bool sim_holders_agree(const char *key, const struct check_step *got);

/* The last position that the disk knows of. */
uint64_t sim_holders_position(const struct sim_disk *disk, uint16_t shard);
bool sim_holders_has_rows(const struct sim_disk *disk, uint16_t shard);
/* Dead letters, or producers in the last snapshot. */
bool sim_holders_remembers(const struct sim_disk *disk, uint16_t shard);

#endif
