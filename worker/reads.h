/*
 * Serves read jobs: gets and exists by multi-get, many jobs at once, scans, and lists of dead letters. Whether a job may be served
 * yet (link, epoch, position, number) is decided before; nothing is written. It reads no clock: expiry is judged by each job's
 * stamp, or a later one of its shard (stamps.h). One thread at a time; it may run beside a commit.
 *
 * A reply stays near EK_READ_REPLY_BYTES_GOAL: what would exceed it says ALONE, unless it is the job's only operation; a scan ends
 * early with a cursor.
 */
#ifndef EK_WORKER_READS_H
#define EK_WORKER_READS_H

#include "worker/answers.h"
#include "worker/rows.h"
#include "worker/stamps.h"
#include "worker/store.h"

/* Where is read from. */
struct ek_reads_source {
    struct ek_store *store;
    const struct ek_stamps *stamps;
    uint32_t shards;
};

struct ek_read {
    struct ek_link link;
    const struct ek_worker_job *job;
};

/* What a row looked up came to. */
struct ek_lookup {
    enum ek_wire_status status; /* OK, NOT_FOUND or ALONE */
    struct ek_row row;
    uint64_t ttl_ms; /* left, when it expires at all */
    struct ek_pinned pinned;
};

struct ek_lookup_order {
    struct ek_slice key; /* physical */
    uint32_t job;        /* of the round */
    uint32_t lookup;
};

struct ek_reads_job;

/* Memory that is kept from call to call. All zero is empty. */
struct ek_reads {
    struct ek_operation *operations;
    size_t operation_capacity;
    struct ek_lookup *lookups; /* one an operation; scans leave theirs empty */
    size_t lookup_capacity;
    struct ek_lookup_order *order;
    size_t order_capacity;
    struct ek_reads_job *jobs;
    size_t job_capacity;
    size_t pace; /* rows asked for at once: fewer while they are large; 0 = not known yet */
    struct ek_buffer keys;
    struct ek_buffer body;
    struct ek_buffer entries;
};

void ek_reads_done(struct ek_reads *reads);

/* Serves reads from the first on and adds a reply for each to `answers`; ret_bytes[i] is the size of the i-th one's body.
 * `ret_done` of them are served, at least one: it pauses when scans have looked at so many rows that the caller ought to see to
 * other things. A failure is the store's: the process must end. */
EK_MUST enum ek_status ek_reads_run(struct ek_reads *reads, struct ek_reads_source source, const struct ek_read *jobs, size_t count,
                                    struct ek_answers *answers, uint32_t *ret_bytes, size_t *ret_done, struct ek_error *error);

#endif
