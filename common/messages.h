/*
 * Every message of the protocol as a C struct: numbers, fields and their meaning. common/PROTOCOL.md is the same list in prose; a
 * change touches this file, common/codec.c, PROTOCOL.md and tests/vectors/messages.json together. Encodes nothing (codec.h does).
 *
 * Slices borrow from the message that was decoded, and are read only during the call that a struct is handed to.
 */
#ifndef EK_COMMON_MESSAGES_H
#define EK_COMMON_MESSAGES_H

#include "common/bytes.h"
#include "common/limits.h"

#define EK_PROTOCOL_VERSION 1u

enum ek_message_type {
    /* client and broker */
    EK_MESSAGE_HELLO = 1,   /* to the broker: ek_hello */
    EK_MESSAGE_WELCOME = 2, /* to the client: ek_welcome */
    EK_MESSAGE_JOBS = 3,    /* to the broker: an envelope of ek_job */
    EK_MESSAGE_REPLIES = 4, /* to the client: an envelope of ek_reply */
    EK_MESSAGE_QUERY = 5,   /* to the broker: ek_query */
    EK_MESSAGE_ANSWER = 6,  /* to the client: ek_answer */
    EK_MESSAGE_ERROR = 7,   /* to the client: ek_refusal, for a message that could not be read */
    EK_MESSAGE_ADMIN = 8,   /* to the broker: ek_admin; answered with EK_MESSAGE_ANSWER */
    EK_MESSAGE_CLOSE = 9,   /* to the broker: an array of ek_closed; never answered */
    /* worker and broker */
    EK_MESSAGE_WORKER_HELLO = 32,     /* to the broker: ek_worker_hello */
    EK_MESSAGE_WORKER_WELCOME = 33,   /* to the worker: ek_worker_welcome */
    EK_MESSAGE_WORKER_REFUSED = 34,   /* to the worker: ek_refusal */
    EK_MESSAGE_WORKER_REPORT = 35,    /* to the broker: ek_link and an array of ek_holding */
    EK_MESSAGE_WORKER_ASSIGN = 36,    /* to the worker: ek_link and an array of ek_holding */
    EK_MESSAGE_WORKER_ASSIGNED = 37,  /* to the broker: ek_link and an array of ek_holding */
    EK_MESSAGE_WORKER_JOBS = 38,      /* to the worker: ek_link and an envelope of ek_worker_job */
    EK_MESSAGE_WORKER_REPLIES = 39,   /* to the broker: ek_link and an envelope of ek_worker_reply */
    EK_MESSAGE_WORKER_HEARTBEAT = 40, /* to the broker: ek_heartbeat */
    EK_MESSAGE_WORKER_PULSE = 41,     /* to the worker: ek_link; the broker lives and knows the link */
    EK_MESSAGE_WORKER_BYE = 42,       /* to the broker: ek_bye; nothing follows */
    EK_MESSAGE_WORKER_LOSS = 43,      /* to the worker: ek_link and an array of ek_loss */
    EK_MESSAGE_WORKER_MOVE = 44,      /* to the worker: ek_move_order */
    EK_MESSAGE_WORKER_FEED = 45,      /* to the worker: ek_link and an envelope of ek_fed */
    EK_MESSAGE_WORKER_MOVED = 46,     /* to the broker: ek_move_report */
    EK_MESSAGE_WORKER_CHECK = 47,     /* to the worker: ek_check_order */
    EK_MESSAGE_WORKER_CHECKED = 48,   /* to the broker: ek_check_report */
    /* worker and worker */
    EK_MESSAGE_COPY_ASK = 64,  /* to the source of a copy: ek_copy_ask */
    EK_MESSAGE_COPY_CHUNK = 65 /* to the learner: ek_copy_chunk */
};

enum { EK_MESSAGE_LAST = EK_MESSAGE_COPY_CHUNK };

/* Outcomes as numbers on the wire, of jobs and of single operations. */
enum ek_wire_status {
    EK_WIRE_OK = 0,
    EK_WIRE_NOT_FOUND = 1,
    EK_WIRE_CONDITION_FAILED = 2,
    EK_WIRE_USAGE = 3,       /* the request breaks the protocol; it was not queued */
    EK_WIRE_UNKNOWN = 4,     /* nobody can say any more whether it was applied */
    EK_WIRE_EXPIRED = 5,     /* its deadline passed; it was not applied and never will be */
    EK_WIRE_UNAVAILABLE = 6, /* no broker, or the shard cannot be served */
    EK_WIRE_FORGOTTEN = 7,   /* the worker no longer knows this producer; a library takes a new id */
    EK_WIRE_BUSY = 8,        /* a queue is full; come back after the hint; never final for a numbered job */
    EK_WIRE_DENIED = 9,
    EK_WIRE_TOO_LARGE = 10,
    EK_WIRE_FAILED = 11, /* cannot be applied; not applied */
    EK_WIRE_DEAD = 12,   /* set aside as a dead letter */
    /* answers that a library acts on and callers never see */
    EK_WIRE_GAP = 13,          /* an earlier number of this producer on this shard is missing; position = the awaited one */
    EK_WIRE_STALE = 14,        /* link, generation or epoch is not the current one; no position was used */
    EK_WIRE_OUT_OF_ORDER = 15, /* not the awaited position, which the reply names; no position was used */
    EK_WIRE_ALONE = 16,        /* this result did not fit beside the others: ask for it in a job of its own */
    EK_WIRE_STATUS_COUNT = 17
};

/* The word of CLI.md for a status, or "invalid". */
const char *ek_wire_status_name(enum ek_wire_status status);

struct ek_cluster_id {
    uint8_t bytes[16];
};

struct ek_worker_id {
    uint8_t bytes[16];
};

/* ---- client and broker ---- */

/* First message of a library's connection, and its question "are you still the one I know" later. Thin clients need none. */
struct ek_hello {
    uint64_t id; /* comes back in the welcome */
    char name[EK_TEXT_BYTES_MAX];
    bool wants_producer;
};

struct ek_welcome {
    uint64_t id;
    struct ek_cluster_id cluster;
    uint64_t generation;
    uint64_t connection; /* another one than before: replies may have been lost, send again what is unanswered */
    uint32_t shards;
    uint64_t producer; /* 0 unless one was wanted */
    uint64_t now_unix_ms;
    char stats_endpoint[EK_TEXT_BYTES_MAX];
};

enum ek_job_kind {
    EK_JOB_READ = 0,        /* get, exists, scan; each operation has its own result */
    EK_JOB_WRITE = 1,       /* put, delete, exists, increment; each operation has its own result */
    EK_JOB_TRANSACTION = 2, /* as EK_JOB_WRITE on one hash tag, all or nothing */
    EK_JOB_CANCEL = 3, /* uses up the number of a job that must not be applied any more; body = [cause]. From the broker without
                        * a producer and with cause OK: an empty write, which only moves position and stamp */
    EK_JOB_DELETE = 4, /* as EK_JOB_WRITE, deletes only: passes when disks are short */
    /* from the broker to a worker only */
    EK_JOB_PROBE = 5, /* one synced commit and its answer; no shard, no position, no body */
    EK_JOB_DEAD = 6   /* uses up the positions and the number of a job that killed its worker; body = ek_dead */
};

/* What only the client library says of a job. */
struct ek_route {
    bool present;  /* false: a thin client; the broker finds the shard */
    bool repeated; /* sent before, on this connection or another */
    uint16_t shard;
    uint64_t producer; /* 0: not numbered */
    uint64_t number;   /* writes: its own; reads: the client's last unanswered write there, or 0 */
    uint64_t lowest;   /* the producer's lowest unanswered number on this shard */
};

struct ek_job {
    uint64_t id; /* the client's; comes back in the reply */
    enum ek_job_kind kind;
    uint32_t deadline_ms; /* time left when it was sent; 0: none */
    struct ek_route route;
    struct ek_slice body; /* an array of operations, see ek_operation */
    uint32_t count;       /* operations, as the body's array header says; 1 to EK_JOB_OPERATIONS_MAX */
};

struct ek_reply {
    uint64_t id;
    enum ek_wire_status status;
    uint64_t position;    /* writes: the version of the first operation; GAP: the awaited number */
    uint32_t retry_ms;    /* BUSY: when to come back */
    struct ek_slice body; /* OK: the results, or nil when every one is 0; else nil or [index, result] of what was refused */
};

struct ek_query {
    uint64_t id;
    char what[EK_TEXT_BYTES_MAX]; /* "stats", "full", "workers", "shards", "moves" or "plan" */
};

struct ek_answer {
    uint64_t id;
    enum ek_wire_status status;
    struct ek_slice text; /* JSON */
};

/* A command of an operator, as words: "accept-loss", "3". */
struct ek_admin {
    uint64_t id;
    uint32_t count;
    char words[EK_ADMIN_WORDS_MAX][EK_TEXT_BYTES_MAX];
};

/* A session that ends will send nothing more under this producer. Only a hint: one that is lost does no harm. */
struct ek_closed {
    uint16_t shard;
    uint64_t producer;
};

struct ek_refusal {
    enum ek_wire_status status;
    char text[EK_TEXT_BYTES_MAX];
};

/* ---- operations and results, inside the body of a job or a reply ---- */

enum ek_operation_code {
    EK_OPERATION_PUT = 1,
    EK_OPERATION_GET = 2,
    EK_OPERATION_DELETE = 3,
    EK_OPERATION_EXISTS = 4,
    EK_OPERATION_INCREMENT = 5,
    EK_OPERATION_SCAN = 6,
    EK_OPERATION_DEAD_LIST = 7,
    EK_OPERATION_DEAD_DROP = 8,   /* stands alone in its job, as the next one */
    EK_OPERATION_DEAD_REPLAY = 9, /* applies a dead letter's job and removes the letter */
    EK_OPERATION_CODE_MAX = EK_OPERATION_DEAD_REPLAY
};

/* A dead letter's id: two bytes hash prefix (the first one of its shard), then the position of its job. */
#define EK_DEAD_ID_BYTES 10u

enum ek_condition { EK_CONDITION_NONE, EK_CONDITION_ABSENT, EK_CONDITION_VERSION };

struct ek_operation {
    enum ek_operation_code code;
    struct ek_slice key; /* scan: the prefix, which may be empty; drop and replay: the id */
    struct ek_slice value;
    uint64_t ttl_ms; /* put: 0 = does not expire */
    enum ek_condition condition;
    uint64_t version;       /* the one that EK_CONDITION_VERSION asks for */
    int64_t by;             /* increment */
    struct ek_slice cursor; /* scan: the physical key to go on behind; list: a hash prefix or an id; empty = from the start */
    uint32_t limit;         /* scan: entries, 1 to EK_SCAN_ENTRIES_MAX; list: letters, 1 to EK_DEAD_LIST_MAX */
    bool values;            /* scan: with values; list: with the jobs */
};

/* A result as it stands in a reply. Scan entries follow one by one, see ek_decode_entry. */
struct ek_result {
    enum ek_wire_status status;
    uint64_t version;             /* get; a failed condition: the current one, 0 = absent */
    struct ek_slice value;        /* get */
    bool has_ttl;                 /* get */
    uint64_t ttl_ms;              /* get: left */
    int64_t number;               /* increment: the new value; replay: operations that changed nothing and are no NOT_FOUND */
    uint32_t entries;             /* scan, list: how many follow */
    char text[EK_TEXT_BYTES_MAX]; /* why, for USAGE, FAILED and TOO_LARGE; may be empty */
};

struct ek_entry {
    struct ek_slice key;
    uint64_t version;
    struct ek_slice value; /* data = NULL when values were not asked for */
    bool has_ttl;
    uint64_t ttl_ms;
};

/* A dead letter as a list shows it. */
struct ek_letter {
    struct ek_slice id;
    uint64_t time_unix_ms; /* when it was set aside */
    uint64_t producer;     /* 0: a thin client's */
    enum ek_job_kind kind; /* of the job that it was */
    uint32_t operations;
    struct ek_slice cause; /* text */
    struct ek_slice job;   /* its body; data = NULL when it was not asked for */
};

/* The body of an EK_JOB_DEAD. */
struct ek_dead {
    struct ek_slice cause; /* text, less than EK_TEXT_BYTES_MAX bytes */
    uint64_t time_unix_ms;
    enum ek_job_kind kind; /* WRITE, TRANSACTION or DELETE */
    uint32_t operations;   /* and positions */
    struct ek_slice job;   /* the body; data = NULL: nothing is to be kept, the job ends FAILED */
};

/* ---- worker and broker ---- */

/* Begins every message between a worker and the broker after the HELLO. */
struct ek_link {
    uint64_t link;
    uint64_t generation;
};

struct ek_worker_hello {
    struct ek_worker_id worker;
    uint64_t incarnation;
    uint64_t generation; /* the highest it has made durable; 0 = none */
    bool has_cluster;
    struct ek_cluster_id cluster;
    uint32_t shards; /* the count its store was written with; 0 = none yet */
    uint32_t capacity_milli;
    char name[EK_TEXT_BYTES_MAX];
    char endpoint[EK_TEXT_BYTES_MAX]; /* where other workers reach it */
};

struct ek_worker_welcome {
    struct ek_link link;
    struct ek_cluster_id cluster;
    uint32_t shards;
    uint32_t liveness_ms;
};

/* Why a worker ends. Neither is a death that counts against a job. */
enum ek_bye_cause { EK_BYE_STOPPED = 0, EK_BYE_STORAGE = 1 };

struct ek_bye {
    struct ek_link link;
    enum ek_bye_cause cause;
};

enum ek_holding_state {
    EK_HOLDING_SERVING = 1,  /* the worker is the shard's owner at this epoch */
    EK_HOLDING_RELEASED = 2, /* it is not, since this epoch */
    EK_HOLDING_ASIDE = 3,    /* likewise, and its data was given up meanwhile: rows are kept, and it takes no role in the shard */
    EK_HOLDING_FILLING = 4,  /* a learner whose copy is not complete: its rows are worth nothing */
    EK_HOLDING_LEARNER = 5   /* a learner with everything up to its position */
};

struct ek_holding {
    uint16_t shard;
    enum ek_holding_state state;
    uint64_t epoch;
    uint64_t position; /* the last one used up; 0 = the shard never had a write */
};

/* An operator gave the data of a shard up that may be missing: it goes on from what this worker has, which may be nothing. */
struct ek_loss {
    uint16_t shard;
    uint64_t epoch;    /* since which the worker serves it */
    uint64_t position; /* beyond every one that was ever given */
    uint64_t floor;    /* producers up to this id are forgotten */
};

struct ek_worker_job {
    uint64_t token; /* the broker's; comes back in the reply */
    uint16_t shard;
    uint64_t epoch;
    enum ek_job_kind kind;
    uint64_t position; /* writes: of the first operation; reads: to wait for, 0 = none */
    uint64_t stamp_unix_ms;
    uint64_t producer; /* 0: a thin client's; its number is its position */
    uint64_t number;   /* reads with a producer: refused as a gap while this number is not applied; 0 = none */
    uint64_t lowest;
    uint64_t confirmed; /* the broker has the replies of the shard's positions up to this one */
    uint64_t closed;    /* writes: this producer's session ended before; it is the first to be forgotten from here on. 0: none */
    struct ek_slice body;
    uint32_t count;
};

struct ek_worker_reply {
    uint64_t token;
    enum ek_wire_status status;
    uint64_t position; /* as in ek_reply; OUT_OF_ORDER: the awaited one */
    bool repeated;     /* the stored reply of an earlier copy */
    struct ek_slice body;
};

struct ek_shard_load {
    uint16_t shard;
    uint64_t stored_bytes;
    uint64_t operations; /* this and the next three: since the worker's start, never falling */
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t busy_us;         /* what its operations added to the time of groups (worker/cost.h), and their part of that of reads */
    uint64_t expires_unix_ms; /* rows here expire until then, by the broker's time; 0 = none will after the shard's last stamp */
};

/* ---- moves ---- */

/* One attempt to move a shard. Its number is given once in a generation; whatever names another one is ignored. */
struct ek_attempt {
    uint16_t shard;
    uint64_t number;
};

enum ek_move_step {
    EK_MOVE_FILL = 1, /* become a learner: empty the shard's range; REPORT step EMPTIED */
    EK_MOVE_COPY = 2, /* source: take a copy as of the jobs before this message; COPYING */
    EK_MOVE_PULL = 3, /* learner: fetch it from `endpoint`; FETCHED now and then, in the end COMPLETE */
    EK_MOVE_DROP = 4  /* either: the attempt is over; no answer. A learner's rows go when it is told RELEASED */
};

struct ek_move_order {
    struct ek_link link;
    struct ek_attempt attempt;
    enum ek_move_step step;
    uint64_t epoch;                   /* FILL: the shard's */
    uint64_t position;                /* PULL: of the copy */
    uint64_t bytes_per_second;        /* PULL: at most */
    char endpoint[EK_TEXT_BYTES_MAX]; /* PULL: of the source */
};

enum ek_moved_step {
    EK_MOVED_EMPTIED = 1,
    EK_MOVED_COPYING = 2,  /* source: the copy stands at `position` */
    EK_MOVED_FETCHED = 3,  /* learner: `bytes` so far */
    EK_MOVED_COMPLETE = 4, /* learner: everything up to `position` is synced */
    EK_MOVED_FED = 5,      /* learner: likewise, behind the copy */
    EK_MOVED_FAILED = 6,   /* either: the attempt cannot go on, for the reason in `text` */
    EK_MOVED_CLEANED = 7   /* a former holder: its rows are gone */
};

struct ek_move_report {
    struct ek_link link;
    struct ek_attempt attempt;
    enum ek_moved_step step;
    uint64_t position;
    uint64_t bytes;
    char text[EK_TEXT_BYTES_MAX];
};

/* A write that the source has answered, with its verdict. The tokens are the attempt's number. */
struct ek_fed {
    struct ek_worker_job job;
    struct ek_worker_reply reply;
};

struct ek_copy_ask {
    uint64_t generation;
    struct ek_attempt attempt;
    uint64_t chunk; /* from 0 on; the one before may be asked for again */
};

struct ek_copy_chunk {
    uint64_t generation;
    struct ek_attempt attempt;
    uint64_t chunk;
    bool last;
    uint64_t entries;       /* of the whole copy, as is the hash; the last chunk's */
    uint64_t hash;          /* worker/copy.h */
    struct ek_slice memory; /* the producers' memory; the last chunk's, data = NULL in others */
    uint64_t checksum;      /* XXH3-64 of the body */
    struct ek_slice body;   /* entries, worker/copy.h */
};

/* ---- checks ---- */

/* Look at everything that is stored, as of the jobs before this message. A later one takes its place. */
struct ek_check_order {
    struct ek_link link;
    uint64_t check; /* the broker's number; comes back in each report */
};

/* What a worker has of one shard. A shard without a role and without rows is not told. */
struct ek_checked {
    uint16_t shard;
    uint32_t state; /* enum ek_holding_state, or 0: no role */
    uint64_t epoch;
    uint64_t position;
    uint64_t rows;         /* expired ones too */
    uint64_t expired_rows; /* of these, at the shard's last stamp; they may vanish at any time, and are not in the hash */
    uint64_t bad_rows;     /* unreadable, under a prefix that is not their key's, or newer than the position */
    uint64_t bad_entries;  /* of a served shard's book-keeping: not what the worker goes by */
    uint64_t hash;         /* worker/survey.h */
};

/* A part of what a check found; may be empty, as a sign that it goes on. Shards rise from part to part. */
struct ek_check_report {
    struct ek_link link;
    uint64_t check;
    bool last;
    uint32_t count;
    const struct ek_checked *shards; /* `count` of them; the decoder leaves it alone, they follow one by one */
};

struct ek_heartbeat {
    struct ek_link link;
    uint32_t stalled_ms; /* how long the storage thread has been at its present call; 0 = idle or moving on */
    uint32_t credit_jobs;
    uint32_t credit_bytes; /* 0: writes wait, deletes and reads pass */
    uint32_t credit_reads;
    uint64_t disk_free_bytes;
    uint64_t disk_total_bytes;
    uint64_t disk_reserve_bytes; /* with less than that free it takes no writes */
    uint64_t rate_bytes;         /* a second, that its storage was seen to take; 0 = not known yet */
    uint64_t stored_bytes;
    uint64_t stored_keys;
    uint32_t commit_p50_us;
    uint32_t commit_p99_us;
    uint64_t busy_us;   /* the storage thread's, since the worker's start */
    uint64_t dead_kept; /* dead letters of the shards that it serves */
    char alarm[EK_TEXT_BYTES_MAX];
    uint32_t load_count; /* entries of ek_shard_load that follow: shards whose figures changed */
};

#endif
