/*
 * A shard's copy on its way from its holder to a learner: what the source reads, as of one position, and how entries stand in a
 * chunk. It sends nothing and decides nothing. A copy is opened on the storage thread, between two groups, and read on one thread.
 *
 * Entries are the shard's rows in key order, without those that had expired at the copy's stamp, then its dead letters. In a
 * chunk: the space (1 byte), the key's size (2) and the value's (8), big-endian, the key, the value. The hash of a copy is a chain
 * over the XXH3-64 of all keys and values, in this order.
 */
#ifndef EK_WORKER_COPY_H
#define EK_WORKER_COPY_H

#include "worker/engine.h"

struct ek_copy;

struct ek_copy_entry {
    enum ek_store_space space;
    struct ek_slice key;
    struct ek_slice value;
};

/* Where the keys of a shard begin and end, in both spaces. */
struct ek_copy_range {
    uint8_t row_first[2];
    uint8_t row_end[2];
    bool row_last; /* the range goes on to the end of the space */
    uint8_t letter_first[3];
    uint8_t letter_end[3];
};
struct ek_copy_range ek_copy_range_of(uint16_t shard, uint32_t shards);
struct ek_slice ek_copy_first(const struct ek_copy_range *range, enum ek_store_space space);
/* Empty: to the end of the space. */
struct ek_slice ek_copy_end(const struct ek_copy_range *range, enum ek_store_space space);

uint64_t ek_copy_hash(uint64_t hash, const struct ek_copy_entry *entry);
/* The next entry of a chunk's body, which the reader leaves behind; EK_NOT_FOUND at its end, EK_MALFORMED. */
EK_MUST enum ek_status ek_copy_read(struct ek_slice *body, struct ek_copy_entry *ret);

/* The shard as of the last group: rows, dead letters, and the producers' memory. */
struct ek_copy *ek_copy_open(const struct ek_engine *engine, struct ek_attempt attempt);
void ek_copy_destroy(struct ek_copy **copy);
struct ek_attempt ek_copy_attempt(const struct ek_copy *copy);
uint64_t ek_copy_position(const struct ek_copy *copy);
/* Appends the message with this chunk; the next one, or once more the one before. It may be empty and not the last one: what one
 * call looks at is bounded. EK_NOT_FOUND: another one. EK_IO, EK_CORRUPT: the store failed. */
EK_MUST enum ek_status ek_copy_chunk(struct ek_copy *copy, uint64_t generation, uint64_t chunk, struct ek_buffer *out,
                                     struct ek_error *error);

#endif
