/*
 * Evenkeel's client library: publish store requests to a broker and read them back. The only public header.
 *
 * A client is an opaque handle with its own connection, its own producers' numbers and its own bounded memory; there is no global
 * state. Use a handle from one thread at a time, and as many handles as you like. Nothing happens behind your back: bytes move
 * during a synchronous call or ek_client_poll, and callbacks run in there too.
 *
 * Durability: a write is answered EK_OUTCOME_OK only after a worker has synced it. Exactly once: writes are numbered, and the
 * library repeats them after a silence without ever applying one twice. Order: one handle's writes on a hash tag take effect in the
 * order of their calls, and a read sees all writes that were submitted before it; it may see later ones.
 *
 * Keys are 1 byte to 4 KiB, values 0 to 16 MiB, both binary. Keys with the same part in their first `{…}` (the hash tag) lie
 * together: they can be scanned in order and changed in one transaction.
 */
#ifndef EVENKEEL_H
#define EVENKEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EK_PUBLIC __attribute__((visibility("default")))

/* How an operation ended. The numbers are those of the wire and of result codes in other languages; they never change. */
enum ek_outcome {
    EK_OUTCOME_OK = 0,
    EK_OUTCOME_NOT_FOUND = 1,
    EK_OUTCOME_CONDITION_FAILED = 2, /* if_absent or if_version did not hold; nothing was written */
    EK_OUTCOME_USAGE = 3,            /* a call that makes no sense; nothing was sent */
    EK_OUTCOME_UNKNOWN = 4,          /* no verdict in time: it may or may not be applied, once */
    EK_OUTCOME_EXPIRED = 5,          /* the deadline passed; it was not applied and never will be */
    EK_OUTCOME_UNAVAILABLE = 6,      /* nothing was sent: no broker answered in time */
    EK_OUTCOME_FORGOTTEN = 7,
    EK_OUTCOME_BUSY = 8, /* queues were full until the deadline; it was not applied */
    EK_OUTCOME_DENIED = 9,
    EK_OUTCOME_TOO_LARGE = 10, /* key, value or transaction beyond its limit; nothing was sent */
    EK_OUTCOME_FAILED = 11,    /* cannot be applied, see the text: an increment of what is no number, an overflow */
    EK_OUTCOME_DEAD = 12
};

/* The word that the command line uses, such as "not_found". Static. */
EK_PUBLIC const char *ek_outcome_name(enum ek_outcome outcome);

struct ek_client;
struct ek_connection;

/* All zero means the defaults. Texts are copied. */
struct ek_client_options {
    const char *endpoint;       /* default tcp://127.0.0.1:5600 */
    const char *name;           /* shown to operators; default: empty */
    uint32_t timeout_ms;        /* deadline of an operation; default 5000, UINT32_MAX = none */
    uint32_t linger_us;         /* wait this long for more operations before an envelope leaves; default 0 */
    size_t pending_bytes_max;   /* memory for what is under way; default 256 MiB. Beyond it submissions are refused with BUSY */
    struct ek_client *share_io; /* use this client's I/O thread; it must be closed last */
    struct ek_connection *connection; /* be one of the clients on this connection; `endpoint` and `share_io` do not matter then */
};

/* Does not wait for the broker: a broker that comes later is fine. EK_OUTCOME_USAGE for an endpoint that cannot be, UNAVAILABLE
 * when the system gives no socket. `ret_client` is untouched on failure. */
EK_PUBLIC enum ek_outcome ek_client_open(const struct ek_client_options *options, struct ek_client **ret_client);
/* Frees the client; what is still under way is given up with EK_OUTCOME_UNKNOWN or UNAVAILABLE, callbacks included. NULL is fine.
 */
EK_PUBLIC void ek_client_close(struct ek_client **client);

/* ---- many clients on one connection ---- */

/*
 * A process with many producers needs no socket for each: up to 65,536 clients can have one connection, which then costs as much as
 * a single client's. Each keeps its own producer's numbers, order and bounds. What they send and get travels together, and the
 * broker bounds them together as one client: half of its queue. The connection and its clients belong to one thread. To poll one of
 * them, or to wait in a synchronous call, runs the callbacks of all.
 *
 * Outcomes as of ek_client_open; `endpoint` may be NULL, and so may `share_io`, whose I/O thread is used: it must be closed last. A
 * client beyond the limit is refused with BUSY.
 */
EK_PUBLIC enum ek_outcome ek_connection_open(const char *endpoint, struct ek_connection *share_io,
                                             struct ek_connection **ret_connection);
/* Behind all of its clients: does nothing while one of them is open. NULL is fine. */
EK_PUBLIC void ek_connection_close(struct ek_connection **connection);
/* As ek_client_poll, for all of its clients. */
EK_PUBLIC size_t ek_connection_poll(struct ek_connection *connection, int timeout_ms);
/* As ek_client_wait, for several connections in one thread. */
EK_PUBLIC void ek_connection_wait(struct ek_connection *const *connections, size_t count, int timeout_ms);

/* ---- one operation at a time ---- */

struct ek_put_options {
    uint64_t ttl_ms;     /* time to live; 0 = for ever, and clears an earlier one */
    bool if_absent;      /* only when the key does not exist */
    uint64_t if_version; /* only when the key has this version; 0 = no matter */
};

struct ek_reading {
    const void *value;
    size_t value_size;
    uint64_t version; /* rises with every write of the shard */
    bool has_ttl;
    uint64_t ttl_ms; /* left */
};

/* `options` and `ret_version` may be NULL. OK, CONDITION_FAILED, ... */
EK_PUBLIC enum ek_outcome ek_put(struct ek_client *client, const void *key, size_t key_size, const void *value, size_t value_size,
                                 const struct ek_put_options *options, uint64_t *ret_version);
/* OK or NOT_FOUND, ...; `ret` borrows from the client until the next call on it. */
EK_PUBLIC enum ek_outcome ek_get(struct ek_client *client, const void *key, size_t key_size, struct ek_reading *ret);
/* OK when it was there, NOT_FOUND when it was not. */
EK_PUBLIC enum ek_outcome ek_delete(struct ek_client *client, const void *key, size_t key_size);
EK_PUBLIC enum ek_outcome ek_exists(struct ek_client *client, const void *key, size_t key_size);
/* Adds `by` to a decimal 64-bit number, absent = 0. FAILED: not a number, or it would overflow. `ret_value` and `ret_version` may
 * be NULL. */
EK_PUBLIC enum ek_outcome ek_increment(struct ek_client *client, const void *key, size_t key_size, int64_t by, int64_t *ret_value,
                                       uint64_t *ret_version);
/* The text behind the last synchronous call that failed; may be empty. Valid until the next call. */
EK_PUBLIC const char *ek_client_error(const struct ek_client *client);

/* ---- many at once ---- */

enum ek_operation_kind {
    EK_PUT = 1,
    EK_GET = 2,
    EK_DELETE = 3,
    EK_EXISTS = 4,
    EK_INCREMENT = 5,
    EK_SCAN = 6,
    /* dead letters: jobs that were set aside because workers died of them */
    EK_DEAD_LIST = 7,  /* goes through the shards as a scan does, with cursor, limit and values (the jobs) */
    EK_DEAD_DROP = 8,  /* key = a letter's id; NOT_FOUND when there is none */
    EK_DEAD_REPLAY = 9 /* likewise: applies its job and removes it, both or neither */
};

/* An operation to submit; everything is copied during the call. */
struct ek_request {
    enum ek_operation_kind kind;
    const void *key; /* scan: the prefix; drop, replay: the letter's id */
    size_t key_size;
    const void *value; /* put */
    size_t value_size;
    struct ek_put_options put;
    int64_t by;         /* increment */
    const void *cursor; /* scan, list: where the last one said to go on; NULL = from the start */
    size_t cursor_size;
    uint32_t limit; /* scan, list: entries, at most 1000; 0 = 1000 */
    bool values;    /* scan: with values; list: with the jobs */
};

struct ek_found {
    const void *key;
    size_t key_size;
    uint64_t version;
    const void *value; /* NULL unless values were asked for */
    size_t value_size;
    bool has_ttl;
    uint64_t ttl_ms;
};

struct ek_dead_letter {
    const void *id; /* EK_DEAD_ID_SIZE bytes: the key of a drop or replay */
    uint32_t shard;
    uint64_t position;
    uint64_t producer;     /* 0: a thin client's */
    uint64_t time_unix_ms; /* when it was set aside */
    const char *cause;     /* not terminated */
    size_t cause_size;
    uint32_t operations;
    bool transaction;
    const void *job; /* its operations as the protocol writes them; NULL unless asked for */
    size_t job_size;
};
#define EK_DEAD_ID_SIZE 10

/* The result of one operation; pointers live until the callback returns. */
struct ek_completion {
    enum ek_outcome outcome;
    const char *text;             /* why, where there is more to say; else "" */
    uint64_t version;             /* put, increment, get; CONDITION_FAILED: the current one, 0 = absent */
    int64_t number;               /* increment: the new value; replay: how many of the job's operations changed nothing */
    struct ek_reading reading;    /* get */
    const struct ek_found *found; /* scan, in key order when the prefix has a whole hash tag */
    size_t found_count;
    const struct ek_dead_letter *dead; /* list of dead letters */
    size_t dead_count;
    const void *cursor; /* scan, list: where to go on; NULL at the end of the store. It stays valid while shards move. */
    size_t cursor_size;
    uint32_t failed_index; /* transaction: the operation that stopped it */
};

/* Called once for each submitted operation (once for a transaction: `completions` has one entry for each of its operations). It may
 * submit more; synchronous calls are refused in it with USAGE, and polling or closing does nothing. */
typedef void (*ek_callback)(void *context, const struct ek_completion *completions, size_t count);

/*
 * Takes one operation; it is sent by the next ek_client_poll. OK: the callback will come. BUSY: more than pending_bytes_max is
 * under way, poll and try again. USAGE, TOO_LARGE: refused at once, no callback. FAILED: likewise, from when the broker at the
 * endpoint turned out to be another cluster's; close the client. `timeout_ms` 0 = the client's default, UINT32_MAX = none.
 */
EK_PUBLIC enum ek_outcome ek_submit(struct ek_client *client, const struct ek_request *request, uint32_t timeout_ms,
                                    ek_callback callback, void *context);
/*
 * Puts, deletes, exists and increments on one hash tag, applied whole or not at all; 1 to 85 conditional ones or increments, up to
 * 4000 plain puts. One callback with `count` completions, or, when it was not applied, with one whose failed_index tells which one
 * stopped it.
 */
EK_PUBLIC enum ek_outcome ek_submit_transaction(struct ek_client *client, const struct ek_request *requests, size_t count,
                                                uint32_t timeout_ms, ek_callback callback, void *context);
/* Sends what was submitted, which the next poll would do as well: for a thread with many clients, while what it sends is still in
 * the processor's cache. Not in a callback. */
EK_PUBLIC void ek_client_flush(struct ek_client *client);
/* Sends, receives, repeats; waits up to `timeout_ms` (0 = not at all, -1 = as long as it takes) for the first completion. Returns
 * how many callbacks ran. */
EK_PUBLIC size_t ek_client_poll(struct ek_client *client, int timeout_ms);
/* For several handles in one thread, up to 1024, each with its own connection: waits up to `timeout_ms` (-1 = as long as it takes)
 * until one of them has something for ek_client_poll to do; may return sooner. */
EK_PUBLIC void ek_client_wait(struct ek_client *const *clients, size_t count, int timeout_ms);
/* Operations without their callback yet. */
EK_PUBLIC size_t ek_client_pending(const struct ek_client *client);
/* Jobs that were answered BUSY and sent again so far. */
EK_PUBLIC uint64_t ek_client_busy_retries(const struct ek_client *client);

/* ---- what operators ask ---- */

/* Asks the broker "stats", "full", "workers", "shards", "moves" or "plan". `ret_json` borrows from the client until the next call
 * on it, and is terminated. */
EK_PUBLIC enum ek_outcome ek_client_query(struct ek_client *client, const char *what, const char **ret_json);

/* Has the broker carry out a command, such as "accept-loss", "3": what it came to as JSON, as above, or why not in the client's
 * error text. It is sent once: without an answer (UNKNOWN) look at what holds before it is given again. */
EK_PUBLIC enum ek_outcome ek_client_command(struct ek_client *client, const char *const *words, size_t count,
                                            const char **ret_json);

struct ek_broker_view {
    uint64_t generation;
    uint32_t shards;
    uint64_t round_trip_us;
    char stats_endpoint[256];
};
/* One HELLO and its answer. */
EK_PUBLIC enum ek_outcome ek_client_ping(struct ek_client *client, struct ek_broker_view *ret);

#ifdef __cplusplus
}
#endif

#endif
