/*
 * Which group records a restart still needs, and which shard's snapshot would free the oldest of them. Pure arithmetic; it neither
 * encodes nor stores anything. One thread at a time.
 *
 * A shard is dirty from its first entry behind its last snapshot. Records older than the oldest dirty entry are needed by nobody,
 * but the newest one stays (ek_store_put_record).
 */
#ifndef EK_WORKER_LIVE_H
#define EK_WORKER_LIVE_H

#include "common/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EK_LIVE_NONE = EK_SHARDS_MAX };

struct ek_live_record {
    uint64_t sequence;
    size_t bytes;
};

struct ek_live_shard {
    uint64_t since; /* sequence of the first record with an entry that is in no snapshot; 0 = clean */
    uint16_t older;
    uint16_t newer;
};

struct ek_live {
    struct ek_live_record *records; /* a ring, oldest first */
    size_t capacity;
    size_t first;
    size_t count;
    size_t bytes;     /* of all live records */
    size_t bytes_max; /* beyond it snapshots are due */
    uint16_t oldest;  /* dirty shards in the order of `since`; EK_LIVE_NONE = none */
    uint16_t newest;
    uint32_t dirty;
    struct ek_live_shard shards[EK_SHARDS_MAX];
};

void ek_live_init(struct ek_live *live, size_t bytes_max);
void ek_live_done(struct ek_live *live);

/* A record was written, or found at the start; sequences rise. */
void ek_live_add(struct ek_live *live, uint64_t sequence, size_t bytes);
/* The record `sequence` has an entry of this shard. */
void ek_live_touch(struct ek_live *live, uint16_t shard, uint64_t sequence);
/* A snapshot of the shard holds all its entries. */
void ek_live_settle(struct ek_live *live, uint16_t shard);

/* How many snapshots a group that adds `record_bytes` has to write: so many that every shard had its turn before the records have
 * grown by half of the limit. 0 below the limit. */
uint32_t ek_live_snapshots_due(const struct ek_live *live, size_t record_bytes);
/* The dirty shard with the oldest entry, or EK_LIVE_NONE. */
uint16_t ek_live_oldest(const struct ek_live *live);
/* Takes the oldest record out when nobody needs it any more and it is not the newest: false when there is none. */
bool ek_live_drop(struct ek_live *live, uint64_t *ret_sequence);

#endif
