/*
 * What a group of jobs is going to write: a list in the order of the operations, a view of it by key for operations that read a row
 * (built only when one comes), undo for transactions, and the order in which it goes to the store. It judges nothing and stores
 * nothing. Pure; one thread at a time.
 *
 * Keys and values borrow from the jobs, which must stay until the group is written. Memory is kept from group to group.
 */
#ifndef EK_WORKER_WRITES_H
#define EK_WORKER_WRITES_H

#include "common/bytes.h"

enum ek_write_kind { EK_WRITE_PUT, EK_WRITE_NUMBER, EK_WRITE_DELETE };

struct ek_write {
    enum ek_write_kind kind;
    uint16_t prefix;
    struct ek_slice key;
    struct ek_slice value; /* EK_WRITE_PUT */
    int64_t number;        /* EK_WRITE_NUMBER: its decimal text is the value */
    uint64_t version;
    uint64_t expiry_unix_ms;
    uint32_t previous; /* the write of this key before, or EK_WRITES_NONE; kept by this module */
    uint32_t slot;
};

#define EK_WRITES_NONE UINT32_MAX

struct ek_writes_slot {
    struct ek_slice key;
    uint64_t hash;
    uint32_t latest; /* its last write, or EK_WRITES_NONE after an undo */
    uint32_t next;   /* in the bucket */
};

struct ek_writes_order {
    uint64_t head; /* the first eight bytes of the physical key */
    uint32_t index;
};

/* All zero is empty. */
struct ek_writes {
    struct ek_write *items;
    size_t count;
    size_t capacity;
    bool viewed; /* slots are kept up to date */
    struct ek_writes_slot *slots;
    size_t slot_count;
    size_t slot_capacity;
    uint32_t *buckets;
    size_t bucket_count; /* a power of two, or 0 */
    struct ek_writes_order *order;
    struct ek_writes_order *spare;
    size_t order_capacity;
    size_t spare_capacity;
};

void ek_writes_done(struct ek_writes *writes);
void ek_writes_clear(struct ek_writes *writes);

/* Appends a copy of `write`. */
void ek_writes_add(struct ek_writes *writes, const struct ek_write *write);
/* The last write of a key in this group, or NULL. Valid until the next add. */
const struct ek_write *ek_writes_find(struct ek_writes *writes, struct ek_slice key);
/* Takes back everything from the `count`-th write on. */
void ek_writes_undo(struct ek_writes *writes, size_t count);

/* The last write of each key, by physical key: `ret_count` entries whose index leads into `items`. Valid until the next change. */
const struct ek_writes_order *ek_writes_sorted(struct ek_writes *writes, size_t *ret_count);

#endif
