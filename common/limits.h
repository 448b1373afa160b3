/*
 * Every limit that the protocol or a queue has, in one place. Sizes are bytes unless the name says otherwise. A simulation makes
 * some of them small, so that they are reached.
 */
#ifndef EK_COMMON_LIMITS_H
#define EK_COMMON_LIMITS_H

#define EK_KIB 1024u
#define EK_MIB (1024u * 1024u)

/* Rows */
#define EK_KEY_BYTES_MAX (4u * EK_KIB) /* at least 1 */
#ifndef EK_VALUE_BYTES_MAX
#define EK_VALUE_BYTES_MAX (16u * EK_MIB) /* at least 0 */
#endif
#define EK_TTL_MS_MAX (100ull * 366 * 24 * 3600 * 1000)

/* Shards */
#define EK_SHARDS_DEFAULT 512u
#ifndef EK_SHARDS_MAX
#define EK_SHARDS_MAX 8192u
#endif
#define EK_PREFIXES 65536u /* hash prefixes: 16 bits */

/* Jobs and envelopes */
#define EK_JOB_OPERATIONS_MAX 4096u
#define EK_JOB_BODY_BYTES_MAX (EK_VALUE_BYTES_MAX + 64u * EK_KIB)
#ifndef EK_BATCH_BYTES_MAX
#define EK_BATCH_BYTES_MAX (256u * EK_KIB) /* the library's batches grow up to this, unless one operation is larger */
#endif
_Static_assert(EK_BATCH_BYTES_MAX <= EK_JOB_BODY_BYTES_MAX, "the broker takes every batch that the library makes");
#define EK_ENVELOPE_JOBS_MAX     8192u
#define EK_ENVELOPE_BYTES_MAX    (20u * EK_MIB)  /* also the largest frame that a bound socket takes */
#define EK_ENVELOPE_BYTES_GOAL   (256u * EK_KIB) /* an envelope that has reached it is sent */
#define EK_WRITE_REPLY_BYTES_MAX (4u * EK_KIB)
#ifndef EK_READ_REPLY_BYTES_GOAL
#define EK_READ_REPLY_BYTES_GOAL (1u * EK_MIB) /* beyond it a read's later results say "alone" */
#endif
#define EK_DEADLINE_MS_MAX  (24u * 3600u * 1000u)
#define EK_TEXT_BYTES_MAX   256u /* names, endpoints, error texts */
#define EK_ADMIN_WORDS_MAX  8u
#define EK_ANSWER_BYTES_MAX (16u * EK_MIB)

/* Scans */
#define EK_SCAN_ENTRIES_MAX 1000u
#define EK_SCAN_ROWS_MAX    20000u /* rows looked at by the scans of one job; 32 for another list of hash prefixes */

/* Producers */
#define EK_UNSETTLED_MAX 64u /* numbers of one producer on one shard */
#ifndef EK_PRODUCERS_PER_SHARD_MAX
#define EK_PRODUCERS_PER_SHARD_MAX 4096u /* beyond it the one that was silent longest is forgotten */
#endif

#define EK_PRODUCER_COUNTER_BITS 20u /* of an id: above them stands the time at which it was issued, in milliseconds */

#define EK_CLOSED_MAX                                                                                                              \
    64u /* ended producers of one shard that wait for its next writes; beyond it the oldest ages like a silent one */

/* Poison and dead letters */
#define EK_POISON_DEATHS       3u    /* of a worker with one job in flight: then the job is set aside */
#define EK_DEAD_LETTERS_MAX    1000u /* of one shard; beyond it, or the next one, a job ends FAILED instead of being kept */
#define EK_DEAD_BYTES_MAX      (64u * EK_MIB)      /* of one shard */
#define EK_DEAD_HEAD_BYTES_MAX 512u                /* what a dead letter has beside its job's operations */
#define EK_DEAD_LIST_MAX       EK_SCAN_ENTRIES_MAX /* letters of one list operation */
#define EK_DEAD_REPLAYED_BYTES (64u * EK_MIB)      /* of replays in one group commit; beyond it they are refused */

/* Broker */
#define EK_QUEUE_BYTES_DEFAULT (256ull * EK_MIB)
#define EK_QUEUE_BYTES_MIN     (32ull * EK_MIB)
#define EK_CLIENTS_MAX         16384u
#define EK_WORKERS_MAX         256u
#define EK_OUTBOX_BYTES_MAX    (32u * EK_MIB) /* replies that wait for one client */
#define EK_CANCEL_JOBS_MAX     4096u          /* cancellations that are let in beyond the limits */
#ifndef EK_POOL_BYTES_MAX
#define EK_POOL_BYTES_MAX (8u * EK_MIB) /* memory of jobs that have ended; 0 where every use after the end is to be seen */
#endif

/* Worker */
#define EK_CREDIT_JOBS_MAX    65536u
#define EK_CREDIT_BYTES_MAX   (16u * EK_MIB)
#define EK_CREDIT_READS_MAX   4096u
#define EK_CREDIT_CANCELS_MAX 4096u /* beside the jobs of its credit, while it has any */
#ifndef EK_COPY_CHUNK_BYTES_GOAL
#define EK_COPY_CHUNK_BYTES_GOAL (256u * EK_KIB)
#endif
#define EK_COPY_CHUNK_BYTES_MAX  (EK_VALUE_BYTES_MAX + 128u * EK_KIB) /* one entry of any legal size */
#define EK_COPY_RATE_MIN         (64u * EK_KIB)                       /* bytes a second that a copy may always take */
#define EK_COPY_MEMORY_BYTES_MAX (16u * EK_MIB)                       /* a snapshot of the producers' memory */
#define EK_COPIES_MAX            4u                                   /* that a worker gives, or takes, at a time */
#define EK_BOOK_LIVE_BYTES_MAX   (32u * EK_MIB)
#define EK_DISK_RESERVE_DEFAULT  (1024ull * EK_MIB)

#endif
