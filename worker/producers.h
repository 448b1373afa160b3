/*
 * What one shard remembers of its producers: the last number of each, the replies that may be asked for again, and the shard's
 * position. This is the memory behind exactly-once. It judges nothing, stores nothing and reads no clock: the same calls in the
 * same order give the same state, so a restart rebuilds it from its records.
 *
 * Limits: EK_PRODUCERS_PER_SHARD_MAX producers, EK_UNSETTLED_MAX replies each, EK_PRODUCERS_BYTES_MAX in all (counted by a
 * formula, not by the allocator, so that every copy forgets alike). What is full forgets a producer: first those whose session has
 * ended, then the one that was silent longest. An id that was made up counts as issued no later than the shard's last job.
 * Pure; one thread at a time.
 */
#ifndef EK_WORKER_PRODUCERS_H
#define EK_WORKER_PRODUCERS_H

#include "common/messages.h"
#include "common/table.h"

#define EK_PRODUCERS_BYTES_MAX (4u * EK_MIB)

struct ek_stored_reply {
    uint64_t number;   /* a thin client's: the job's position */
    uint64_t position; /* of the job that was judged */
    enum ek_wire_status status;
    uint32_t body_bytes;
    uint8_t *body; /* owned; NULL when there is none */
};

/* Replies in the order of their numbers. All zero is empty. A producer seldom has more than one kept, which needs no memory of its
 * own. */
struct ek_replies {
    struct ek_stored_reply single; /* while there is no ring */
    struct ek_stored_reply *ring;
    uint32_t capacity; /* of the ring, a power of two */
    uint32_t first;
    size_t count;
};

struct ek_producer {
    struct ek_table_link link;
    struct ek_producer *older; /* silent for longer */
    struct ek_producer *newer;
    uint64_t id;
    uint64_t last_number;
    uint64_t stamp_unix_ms;
    bool closed; /* its session ended, and it has sent nothing since */
    struct ek_replies replies;
};

/* All zero is a shard that never had a write. */
struct ek_producers {
    uint64_t position;        /* the last one used up */
    uint64_t stamp_unix_ms;   /* the highest of its jobs */
    uint64_t expires_unix_ms; /* the highest expiry that a row ever got here; 0 = none did */
    uint64_t floor;           /* unknown producers at or below it may have been forgotten */
    struct ek_table table;
    struct ek_producer *oldest; /* the first to be forgotten: closed ones stand before all others */
    struct ek_producer *newest;
    struct ek_producer *last_closed; /* NULL: none is */
    struct ek_replies thin;          /* jobs without a producer, by position */
    size_t thin_bytes;
    size_t numbered_bytes;
};

/* What a judged job adds to its shard's memory: everything that ek_producers_record needs, so that replaying it gives the same. */
struct ek_verdict {
    uint64_t position; /* the first one */
    uint32_t count;
    uint64_t stamp_unix_ms;
    uint64_t producer; /* 0: thin */
    uint64_t number;
    uint64_t lowest;
    uint64_t confirmed;
    uint64_t closed; /* a producer whose session ended before this job; 0: none */
    bool used;       /* the number was used up and the reply below is kept */
    enum ek_wire_status status;
    struct ek_slice body;
};

enum ek_numbering {
    EK_NUMBER_NEW,      /* the next one */
    EK_NUMBER_SEEN,     /* used before */
    EK_NUMBER_GAP,      /* an earlier one is missing */
    EK_NUMBER_FORGOTTEN /* the producer is unknown and may have been forgotten */
};

void ek_producers_done(struct ek_producers *producers);

/* Where `number` of `producer` (not 0) stands. `ret_awaited` is the number after the last one. */
enum ek_numbering ek_producers_look(const struct ek_producers *producers, uint64_t producer, uint64_t number,
                                    uint64_t *ret_awaited);
/* A job of this producer is judged soon. Begins to bring what that needs from memory, a step further with each of
 * EK_PRODUCERS_STEPS calls; changes nothing. */
enum { EK_PRODUCERS_STEPS = 3 };
void ek_producers_expect(const struct ek_producers *producers, uint64_t producer, unsigned step);
/* The reply kept for a number, or, with producer 0, for the thin job at that position; NULL when it was dropped. Borrowed until the
 * next record. */
const struct ek_stored_reply *ek_producers_reply(const struct ek_producers *producers, uint64_t producer, uint64_t number);

/* Forgets every producer and thin reply, up to `floor`, and goes on at `position`; stamp and expiry stay. */
void ek_producers_give_up(struct ek_producers *producers, uint64_t position, uint64_t floor);
/* Enters a verdict at the next position. The body is copied. */
void ek_producers_record(struct ek_producers *producers, const struct ek_verdict *verdict);

/* For a snapshot that is read back: how many stand first because they are closed, and the same of a table that was just restored.
 */
size_t ek_producers_closed(const struct ek_producers *producers);
void ek_producers_restore_closed(struct ek_producers *producers, size_t count);
/* Likewise: appends a producer as the newest, and replies to it or, with NULL, to the thin ones. */
struct ek_producer *ek_producers_restore(struct ek_producers *producers, uint64_t id, uint64_t last_number, uint64_t stamp_unix_ms);
void ek_producers_restore_reply(struct ek_producers *producers, struct ek_producer *producer, const struct ek_stored_reply *reply,
                                struct ek_slice body);
/* The `index`-th kept reply, from the lowest number. */
const struct ek_stored_reply *ek_replies_at(const struct ek_replies *replies, size_t index);

#endif
