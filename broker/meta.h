/*
 * The broker's durable state behind one interface: who it is, which generation, who holds which shard. It judges nothing; the core
 * says what to write. broker/meta_rocksdb.c keeps it in a small local RocksDB.
 *
 * Every write is synced when the call returns EK_OK; after any other result the broker has to end. Two threads may write at once.
 */
#ifndef EK_BROKER_META_H
#define EK_BROKER_META_H

#include "broker/records.h"
#include "common/status.h"

struct ek_meta;

struct ek_meta_state {
    struct ek_cluster_id cluster;
    uint64_t generation; /* of the broker that last took office */
    uint32_t shards;
    uint64_t ceiling_unix_ms; /* 0 = none yet */
    struct ek_record *records;
    size_t record_count;
};

/*
 * Opens `directory`, or makes it with `shards` (0 = EK_SHARDS_DEFAULT) and a new cluster id, and reads everything into `ret_state`,
 * which the caller frees with ek_meta_state_done. EK_IN_USE, EK_DENIED, EK_NEWER, EK_CORRUPT, EK_IO, EK_MISMATCH when `shards` is
 * neither 0 nor what the directory says.
 */
EK_MUST enum ek_status ek_meta_open(const char *directory, uint32_t shards, struct ek_meta **ret_meta,
                                    struct ek_meta_state *ret_state, struct ek_error *error);
void ek_meta_close(struct ek_meta **meta);
void ek_meta_state_done(struct ek_meta_state *state);

EK_MUST enum ek_status ek_meta_write_office(struct ek_meta *meta, uint64_t generation, uint64_t ceiling_unix_ms,
                                            struct ek_error *error);
/* Of all types but floors. */
EK_MUST enum ek_status ek_meta_write_records(struct ek_meta *meta, const struct ek_record *records, size_t count,
                                             struct ek_error *error);
/* Floors, which ek_meta_open reads as records, and the time ceiling in one. */
EK_MUST enum ek_status ek_meta_write_floors(struct ek_meta *meta, const struct ek_floor *floors, size_t count,
                                            uint64_t ceiling_unix_ms, struct ek_error *error);

#endif
