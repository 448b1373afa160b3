/*
 * The bytes of the book-keeping: who the worker is, what it holds, what each group of jobs added to the producers' memory, and
 * snapshots of that memory. It encodes and decodes; it decides nothing and stores nothing. Pure; any thread.
 *
 * Everything lies in a key space of its own. Keys, in the order in which a start reads them:
 *   1                identity
 *   2 shard (u16)    role: epoch and state
 *   3 shard (u16)    snapshot of a shard's memory, exact at its position
 *   4 sequence (u64) record of one group: the number of the batch that wrote it (ek_store_put_record)
 *   5 shard (u16) position (u64) dead letter (worker/letters.h)
 * Numbers are varints (7 bits a byte, low first) unless told otherwise; each value begins with its format. A record sorts its jobs
 * by shard, where positions follow on each other, and writes them as differences: some 16 bytes for a job whose reply has no body.
 *
 * Decoders return EK_OK, EK_NEWER or EK_CORRUPT.
 */
#ifndef EK_WORKER_BOOK_H
#define EK_WORKER_BOOK_H

#include "common/messages.h"
#include "common/status.h"
#include "worker/producers.h"

enum { EK_BOOK_FORMAT = 2, EK_BOOK_KEY_BYTES_MAX = 11, EK_BOOK_DEAD_KEY_BYTES = 11 };

enum ek_book_kind { EK_BOOK_IDENTITY = 1, EK_BOOK_ROLE = 2, EK_BOOK_SNAPSHOT = 3, EK_BOOK_RECORD = 4, EK_BOOK_DEAD = 5 };

struct ek_book_key {
    uint8_t bytes[EK_BOOK_KEY_BYTES_MAX];
    size_t size;
};

struct ek_identity {
    struct ek_worker_id worker;
    uint64_t incarnation; /* raised at each start */
    uint64_t generation;  /* the highest broker generation that was adopted; 0 = none */
    bool has_cluster;
    struct ek_cluster_id cluster;
    uint32_t shards; /* 0 until a broker told it */
};

/* `number` is the shard or the sequence; ignored for the identity. Dead letters have a function of their own. */
struct ek_book_key ek_book_key_of(enum ek_book_kind kind, uint64_t number);
struct ek_book_key ek_book_dead_key(uint16_t shard, uint64_t position);
/* Of a dead letter's key. */
uint64_t ek_book_dead_position(struct ek_slice key);
EK_MUST enum ek_status ek_book_parse_key(struct ek_slice key, enum ek_book_kind *ret_kind, uint64_t *ret_number);

void ek_book_encode_identity(struct ek_buffer *out, const struct ek_identity *identity);
EK_MUST enum ek_status ek_book_decode_identity(struct ek_slice bytes, struct ek_identity *ret);

/* A holding without its position. */
void ek_book_encode_role(struct ek_buffer *out, const struct ek_holding *role);
EK_MUST enum ek_status ek_book_decode_role(struct ek_slice bytes, struct ek_holding *ret);

/* `ret` must be all zero; after a failure it holds a part, for ek_producers_done. */
void ek_book_encode_snapshot(struct ek_buffer *out, const struct ek_producers *producers);
EK_MUST enum ek_status ek_book_decode_snapshot(struct ek_slice bytes, struct ek_producers *ret);

/* A record under construction, and one that is read: what the next entry is a difference to. */
struct ek_book_record {
    uint64_t shard_next; /* the lowest shard that may follow */
    uint16_t shard;
    uint64_t jobs_left;       /* of this shard; reading */
    uint64_t position;        /* of the next job */
    uint64_t expires_unix_ms; /* of this shard: the highest expiry when the group raised it, else 0; reading */
    uint64_t stamp_unix_ms;
    uint64_t producer;
    uint64_t number;
    const uint8_t *at; /* reading */
    const uint8_t *end;
};

void ek_book_record_begin(struct ek_buffer *out, struct ek_book_record *record);
/* `jobs` verdicts of `shard` follow, the first one at `position`; shards rise. `expires_unix_ms`: the highest expiry of the shard's
 * rows when this group raised it, else 0. */
void ek_book_record_shard(struct ek_buffer *out, struct ek_book_record *record, uint16_t shard, uint64_t position,
                          uint64_t expires_unix_ms, uint32_t jobs);
void ek_book_record_verdict(struct ek_buffer *out, struct ek_book_record *record, const struct ek_verdict *verdict);

/* Reading: open, then next until it yields EK_NOT_FOUND at the end. Bodies borrow from the bytes. */
EK_MUST enum ek_status ek_book_record_open(struct ek_slice bytes, struct ek_book_record *ret);
EK_MUST enum ek_status ek_book_record_next(struct ek_book_record *record, uint16_t *ret_shard, struct ek_verdict *ret);

#endif
