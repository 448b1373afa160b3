/*
 * Judges jobs: whether each is due (link, epoch, position, number), and what it comes to. Gives the reply at once and collects what
 * the group writes: rows in apply.writes, changed dead letters, and one verdict a job for the book-keeping. Replies may leave only
 * after the group was written and synced. It stores nothing, reads no clock and knows no socket. Pure but for the row reader; one
 * thread at a time.
 */
#ifndef EK_WORKER_JUDGE_H
#define EK_WORKER_JUDGE_H

#include "common/messages.h"
#include "common/status.h"
#include "worker/apply.h"
#include "worker/producers.h"

#define EK_JUDGE_NONE UINT32_MAX

/* Reads a kept dead letter: EK_OK, EK_NOT_FOUND, or a failure of the store, which ends the group. It is valid until the next read,
 * or with `keep` until the group is written. */
struct ek_letter_reader {
    enum ek_status (*read)(void *context, uint16_t shard, uint64_t position, bool keep, struct ek_letter *ret);
    void *context;
};

/* A dead letter that the group adds or removes. */
struct ek_letter_change {
    uint16_t shard;
    uint64_t position;
    bool removed;
    struct ek_letter letter; /* without its id; borrows from the job, or from the reader when that keeps it */
    uint32_t before;         /* the group's change of this shard before, or EK_JUDGE_NONE */
};

struct ek_judge_shard {
    uint64_t epoch;              /* 0: no role so far */
    enum ek_holding_state state; /* meaningful with an epoch */
    struct ek_producers memory;
    uint32_t group_first; /* its entries in the present group, in order; EK_JUDGE_NONE = none */
    uint32_t group_last;
    uint32_t group_jobs;
    uint32_t group_operations;
    uint64_t group_bytes;           /* of their bodies */
    uint32_t group_letter;          /* the last change of its dead letters in the present group; EK_JUDGE_NONE = none */
    uint32_t letters;               /* dead ones, with the group's changes */
    uint64_t letter_bytes;          /* of theirs, as limits.h counts them */
    uint64_t group_expires_unix_ms; /* memory.expires_unix_ms when the group raised it, else 0 */
};

/* One judged job of the group. */
struct ek_judge_entry {
    struct ek_verdict verdict; /* its body lies in `bodies`, at body_at */
    size_t body_at;
    uint32_t next; /* of the same shard */
};

struct ek_judge {
    uint32_t shard_count; /* 0 until a broker was adopted: every job is stale */
    struct ek_link link;  /* the current one */
    struct ek_judge_shard *shards;
    struct ek_apply apply;
    struct ek_judge_entry *entries;
    size_t entry_count;
    size_t entry_capacity;
    struct ek_buffer bodies;
    uint16_t touched[EK_SHARDS_MAX]; /* shards with entries, in the order of their first one */
    size_t touched_count;
    struct ek_letter_reader letter_reader;
    struct ek_letter_change *letters; /* in the order of the jobs */
    size_t letter_count;
    size_t letter_capacity;
    uint64_t replayed_bytes;
    struct ek_buffer reply_body;
};

void ek_judge_init(struct ek_judge *judge, struct ek_row_reader reader, struct ek_letter_reader letter_reader);
void ek_judge_done(struct ek_judge *judge);

/* Begins a group: forgets the writes and verdicts of the one before. */
void ek_judge_begin(struct ek_judge *judge);
/* Judges a write or a cancellation that came over `link`. The reply's body is valid until the next call, the job's must stay until
 * the group is written. Fails only when the row reader does; the process must end then. */
EK_MUST enum ek_status ek_judge_write(struct ek_judge *judge, struct ek_link link, const struct ek_worker_job *job,
                                      struct ek_worker_reply *ret);
/* This write is judged soon. Begins to bring what that needs from memory, a step further with each call, for left =
 * EK_JUDGE_STEPS, ..., 1; changes nothing. With thousands of shards each job finds its own in no cache. */
enum { EK_JUDGE_STEPS = EK_PRODUCERS_STEPS + 1 };
void ek_judge_expect(const struct ek_judge *judge, const struct ek_worker_job *job, unsigned left);
/* As a learner: judges a write that the shard's holder has answered, at the awaited position, and tells whether it comes to the
 * same. Whoever does not agree is no copy: the group must not be written then. */
EK_MUST enum ek_status ek_judge_follow(struct ek_judge *judge, const struct ek_fed *fed, bool *ret_agrees);
/* A read that names a producer's number: true when it may be served once the group is synced, else `ret` is its answer. */
bool ek_judge_read(const struct ek_judge *judge, struct ek_link link, const struct ek_worker_job *job, struct ek_worker_reply *ret);
bool ek_judge_has_link(const struct ek_judge *judge, struct ek_link link);
/* Is this job of the current link, and the shard served here at its epoch? */
bool ek_judge_is_current(const struct ek_judge *judge, struct ek_link link, const struct ek_worker_job *job);

/* The body of an entry's verdict: entries keep it apart while the group grows. */
struct ek_verdict ek_judge_verdict(const struct ek_judge *judge, const struct ek_judge_entry *entry);

#endif
