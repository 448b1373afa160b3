/*
 * A job while the broker has it, the lists it stands in, its token, and the search by number. Owns the jobs' memory; decides
 * nothing. One thread.
 */
#ifndef EK_BROKER_JOB_H
#define EK_BROKER_JOB_H

#include "broker/pool.h"
#include "common/messages.h"
#include "common/table.h"

struct ek_broker_client;

#define EK_NO_SHARD UINT32_MAX

struct ek_broker_job {
    struct ek_broker_job *next; /* in its list */
    struct ek_broker_job *prev;
    struct ek_table_link by_number;
    struct ek_broker_client *client;
    uint64_t client_job_id;
    uint64_t token;
    uint64_t producer; /* 0: a thin client's */
    uint64_t number;
    uint64_t lowest;
    uint64_t closed;   /* a producer whose session ended before this write came; 0: none */
    uint64_t position; /* writes: given at first dispatch; 0 before */
    uint64_t stamp_unix_ms;
    uint64_t arrived_us;
    uint64_t dispatched_us; /* of the last dispatch; 0 before the first */
    uint64_t deadline_us;   /* 0: none */
    uint64_t ended_link;    /* the last link that ended while it was in flight there; this and the next two: broker/poison.h */
    uint32_t count;         /* operations, and positions that it uses up */
    uint32_t body_bytes;
    uint32_t charged_bytes; /* what it counts against the limits, from first to last */
    uint32_t room_bytes;    /* for the body, which may have become smaller */
    uint16_t shard;
    enum ek_job_kind kind;
    uint8_t deaths; /* of a worker that had only this job in flight */
    bool suspect;
    bool unannounced; /* its connection had not said HELLO when it came; broker/settle.c */
    bool indexed;
    bool in_flight;
    uint8_t body[];
};

struct ek_job_list {
    struct ek_broker_job *first;
    struct ek_broker_job *last;
    size_t count;
};

/* What a token names: all of it in one place, because each job comes by three times. */
struct ek_job_slot {
    struct ek_broker_job *job; /* NULL: free */
    uint32_t uses;
    uint32_t next_free; /* as first_free */
};

/* All jobs: by token (slot and sequence, so that an old token finds nothing) and numbered ones by (producer, shard, number). */
struct ek_jobs {
    struct ek_job_slot *slots;
    uint32_t first_free; /* its number and one; 0: none */
    size_t slot_count;
    size_t slot_capacity;
    struct ek_table by_number;
    struct ek_pool pool;
};

/* A job with a copy of its body and a token. The caller fills the rest. */
struct ek_broker_job *ek_job_new(struct ek_jobs *jobs, const struct ek_job *message);
/* The job must be in no list. */
void ek_job_free(struct ek_jobs *jobs, struct ek_broker_job *job);
struct ek_broker_job *ek_job_by_token(const struct ek_jobs *jobs, uint64_t token);
/* The job will be asked for by its token, and then freed, soon: the processor fetches meanwhile, one after the other, the place
 * that the token names, the job, and its place in the table. Tokens that name nothing do no harm. The last one returns the job's
 * shard, or EK_NO_SHARD. */
void ek_job_expect_token(const struct ek_jobs *jobs, uint64_t token);
void ek_job_expect(const struct ek_jobs *jobs, uint64_t token);
uint32_t ek_job_expect_free(const struct ek_jobs *jobs, uint64_t token);
/* A job with this number will be made findable, or looked for, soon. */
void ek_job_expect_number(const struct ek_jobs *jobs, uint64_t producer, uint16_t shard, uint64_t number);
/* Likewise a job, or NULL, that will be sent. */
void ek_job_expect_sent(const struct ek_broker_job *job);
/* Makes a numbered write findable. */
void ek_job_index(struct ek_jobs *jobs, struct ek_broker_job *job);
struct ek_broker_job *ek_job_by_number(const struct ek_jobs *jobs, uint64_t producer, uint16_t shard, uint64_t number);
/* Frees the tables and what is kept for later jobs; all jobs must be gone. */
void ek_jobs_done(struct ek_jobs *jobs);

/* What a job with a body of this size counts against the limits. */
uint32_t ek_job_charge(size_t body_bytes);
/* The job as a worker gets it, all but token, epoch and `confirmed`. Borrows the body. */
struct ek_worker_job ek_job_message(const struct ek_broker_job *job);
bool ek_job_writes(const struct ek_broker_job *job);
/* May go before writes that have no credit. */
bool ek_job_passes(const struct ek_broker_job *job);
/* A job that was never sent becomes the cancellation of its own number; its body is given up. */
void ek_job_cancel(struct ek_broker_job *job, enum ek_wire_status cause);

/* Gives a job of `list` another body; place, token and charge stay. The job is then at the address returned. */
struct ek_broker_job *ek_job_rewrite(struct ek_jobs *jobs, struct ek_job_list *list, struct ek_broker_job *job,
                                     struct ek_slice body);

void ek_job_list_append(struct ek_job_list *list, struct ek_broker_job *job);
void ek_job_list_prepend(struct ek_job_list *list, struct ek_broker_job *job);
void ek_job_list_insert_after(struct ek_job_list *list, struct ek_broker_job *before, struct ek_broker_job *job);
void ek_job_list_remove(struct ek_job_list *list, struct ek_broker_job *job);

#endif
