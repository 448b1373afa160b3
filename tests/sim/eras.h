/*
 * Accepted losses as cuts through a shard's history: what each of them left on the disk of the shard's holder is where the next
 * era begins. It keeps and tells; it judges nothing.
 */
#ifndef EK_TESTS_SIM_ERAS_H
#define EK_TESTS_SIM_ERAS_H

#include "broker/records.h"
#include "tests/sim/history.h"

struct sim_disk;

enum { SIM_ERA_STEPS_MAX = SIM_TAG_KEYS };

/* The broker's disk takes an assignment; one with a new loss begins an era. */
void sim_eras_assigned(const struct ek_record *before, const struct ek_record *after);
/* A worker's disk takes a role: what was on its way until then is part of what the holder goes on with. */
void sim_eras_adopted(const struct sim_disk *disk, const struct ek_holding *role);
/* Eras of a shard: at least one, from 0 on. */
size_t sim_eras_count(uint32_t shard);
/* Where a write of this position belongs. */
size_t sim_eras_of_position(uint32_t shard, uint64_t position);
/* When an era began, and when the next one did, or SIM_NEVER. */
uint64_t sim_eras_begin_us(uint32_t shard, size_t era);
uint64_t sim_eras_end_us(uint32_t shard, size_t era);
/* The tag's rows at the beginning of an era, as writes in the order of their versions; returns their number. `ret_expiry`: the
 * broker's time at which each is gone, or 0. */
size_t sim_eras_rows(uint32_t shard, size_t era, unsigned tag, struct check_step steps[SIM_ERA_STEPS_MAX],
                     uint64_t ret_expiry[SIM_ERA_STEPS_MAX]);

#endif
