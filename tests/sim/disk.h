/*
 * The disks of a simulation: what a worker's store (worker/store.h) and the broker's durable state (broker/meta.h) keep across the
 * end of a program. A write is on disk when its sync has come back. What a program had written without a sync when it ended may
 * still be read by the next one, and be lost by a later power cut, unless a sync came in between. The directory's name, a decimal
 * number, is the disk's.
 */
#ifndef EK_TESTS_SIM_DISK_H
#define EK_TESTS_SIM_DISK_H

#include "broker/records.h"
#include "worker/store.h"

enum { SIM_DISKS_MAX = 16, SIM_RECORDS_MAX = 256 };

struct sim_row {
    uint8_t *key;
    size_t key_size;
    uint8_t *value;
    size_t value_size;
};

struct sim_rows {
    struct sim_row *rows; /* by key */
    size_t count;
    size_t capacity;
};

struct sim_undo;

/* A worker's. */
struct sim_disk {
    uint64_t sync_us;       /* usual */
    uint64_t slow_until_us; /* syncs take `slow_us` until then */
    uint64_t slow_us;
    unsigned doomed_in; /* so many syncs from now `doom` runs at a moment of the sync, or just behind it; 0 = never */
    void (*doom)(void *process, uint64_t argument);
    bool full; /* as far as it says: writes get no credit */
    bool used; /* a program has it open */
    struct sim_rows spaces[2];
    struct ek_store *store; /* of that program */
    struct sim_undo *undos; /* what a power cut takes back, last change last */
    size_t undo_count;
    size_t undo_capacity;
    uint64_t commits;
};

/* A broker's: what can be read, and as of which write it is sure to stay. */
struct sim_records {
    bool made;
    struct ek_cluster_id cluster;
    uint64_t generation;
    uint32_t shards;
    uint64_t ceiling_unix_ms;
    struct ek_record records[SIM_RECORDS_MAX];
    size_t record_count;
    uint64_t writes;
};

struct sim_directory {
    uint64_t sync_us;       /* usual */
    uint64_t slow_until_us; /* syncs take `slow_us` until then */
    uint64_t slow_us;
    struct sim_records present;
    struct sim_records durable;
};

struct sim_disk *sim_disk_of(unsigned number);
/* Sees every record of the book-keeping when it can be read, and those that a power cut took away. */
typedef void (*sim_disk_tap)(const struct sim_disk *disk, struct ek_slice record);
void sim_disk_watch(sim_disk_tap recorded, sim_disk_tap lost);
/* The role that the disk has in a shard, at epoch 0 when it has none. */
struct ek_holding sim_disk_role(const struct sim_disk *disk, uint16_t shard);
struct sim_directory *sim_directory(void);
/* The program that had it open is gone: what it was writing can be read, or not. */
void sim_disk_crash(struct sim_disk *disk);
/* What was not synced is lost, by chance; nobody has it open. */
void sim_disk_cut_power(struct sim_disk *disk);
void sim_directory_cut_power(void);
/* Makes `to`, whose rows are freed, the same as `from`. */
void sim_rows_copy(const struct sim_rows *from, struct sim_rows *to);
/* Puts these rows, synced, in the place of the disk's; nobody has it open. */
void sim_disk_replace(struct sim_disk *disk, const struct sim_rows spaces[2]);
/* What the compaction filter may drop goes. */
void sim_disk_compact(struct sim_disk *disk);

#endif
