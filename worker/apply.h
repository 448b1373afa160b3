/*
 * Carries out the operations of one write job against a group's list of writes and the rows that stand in the store. Whether the
 * job is due at all (epoch, position, number) is the judge's business; writing is the committer's. Pure but for the row reader that
 * the caller supplies; one thread at a time.
 */
#ifndef EK_WORKER_APPLY_H
#define EK_WORKER_APPLY_H

#include "common/messages.h"
#include "common/status.h"
#include "worker/rows.h"
#include "worker/writes.h"

/* Reads a stored row by its physical key: EK_OK, EK_NOT_FOUND, or a failure of the store, which ends the group. The row is valid
 * until the next read. */
struct ek_row_reader {
    enum ek_status (*read)(void *context, struct ek_slice physical_key, struct ek_row *ret);
    void *context;
};

struct ek_apply_step {
    struct ek_operation operation;
    uint16_t prefix;
};

struct ek_apply {
    struct ek_row_reader reader;
    struct ek_writes writes;     /* of the group so far */
    struct ek_apply_step *steps; /* of the present job */
    size_t step_capacity;
    struct ek_buffer results;
};

/* Which version operation i of a job writes: its position + i, or, of a replayed job, which has one position in all, that one. */
enum ek_apply_way { EK_APPLY_VERSIONS, EK_APPLY_ONE_VERSION };

struct ek_outcome_of_job {
    enum ek_wire_status status;
    struct ek_slice body; /* as in a reply; data = NULL for nil; valid until the next job */
};

void ek_apply_init(struct ek_apply *apply, struct ek_row_reader reader);
void ek_apply_done(struct ek_apply *apply);

/* Applies a WRITE, DELETE or TRANSACTION, or refuses it as FAILED; adds to apply->writes what it changes. `shards` is the count of
 * all shards. Returns a failure only when the reader does. The job's body must live as long as the writes. */
EK_MUST enum ek_status ek_apply_job(struct ek_apply *apply, const struct ek_worker_job *job, uint32_t shards, enum ek_apply_way way,
                                    struct ek_outcome_of_job *ret);
/* A job that ends as `status` because of its operation `index`. */
struct ek_outcome_of_job ek_apply_refuse(struct ek_apply *apply, enum ek_wire_status status, uint32_t index, const char *text);

#endif
