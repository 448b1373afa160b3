/*
 * The broker's logic without I/O: events in, actions out. Queues per shard, positions, links, dispatch by credit, limits,
 * deadlines. It has no socket, clock, thread, log or random source, and no header but common/'s: the loop (or a simulator) turns
 * messages into events, carries the actions out in their order, and owns the rest. It does not write durable state, it says what to
 * write.
 *
 * One thread. Events lend their memory for the call; actions, and what they point to, are valid until the next step.
 */
#ifndef EK_BROKER_CORE_H
#define EK_BROKER_CORE_H

#include "broker/records.h"
#include "common/messages.h"
#include "common/status.h"

/* The name of a connection; the loop's, opaque here. */
typedef uint64_t ek_broker_peer;

struct ek_broker_config {
    struct ek_cluster_id cluster;
    uint64_t generation; /* already durable */
    uint32_t shards;
    uint64_t queue_bytes_max; /* jobs queued and in flight, at least EK_QUEUE_BYTES_MIN */
    uint64_t liveness_us;
    uint64_t started_us;      /* monotonic */
    uint64_t started_unix_ms; /* the wall clock then */
    uint64_t ceiling_unix_ms; /* the durable time ceiling; 0 = first start */
    uint32_t random;          /* another number at each start: keeps ids of brokers apart that were given the same times */
    const char *stats_endpoint;
};

enum ek_event_type {
    EK_EVENT_CLIENT_HELLO,
    EK_EVENT_CLIENT_JOBS,
    EK_EVENT_CLIENT_ADMIN,
    EK_EVENT_CLIENT_CLOSE,
    EK_EVENT_CLIENT_LOST, /* replies to this client were dropped, or it is gone */
    EK_EVENT_WORKER_HELLO,
    EK_EVENT_WORKER_REPORT,
    EK_EVENT_WORKER_ASSIGNED,
    EK_EVENT_WORKER_REPLIES,
    EK_EVENT_WORKER_HEARTBEAT,
    EK_EVENT_WORKER_BYE,
    EK_EVENT_WORKER_MOVED,
    EK_EVENT_WORKER_CHECKED,
    EK_EVENT_WORKER_LOST,     /* cannot be reached any more */
    EK_EVENT_CEILING_DURABLE, /* the time ceiling that ek_broker_wanted_ceiling named is on disk */
    EK_EVENT_DISPATCH,        /* all messages at hand were handed in: send what can be sent */
    EK_EVENT_TICK,            /* at least ten times a second */
    EK_EVENT_STOP             /* refuse what is new, finish what is in flight */
};

struct ek_event {
    enum ek_event_type type;
    uint64_t now_us; /* monotonic, never falling */
    ek_broker_peer peer;
    struct ek_link link; /* of a worker's message */
    union {
        const struct ek_hello *hello;
        const struct ek_worker_hello *worker_hello;
        const struct ek_job *jobs;
        const struct ek_admin *admin;
        const struct ek_closed *closed;
        const struct ek_holding *holdings;
        const struct ek_worker_reply *replies;
        const struct ek_heartbeat *heartbeat;
        const struct ek_move_report *moved;
        const struct ek_check_report *checked;
        enum ek_bye_cause bye;
        uint64_t ceiling_unix_ms;
        uint64_t wall_unix_ms; /* TICK */
    };
    const struct ek_shard_load *loads; /* heartbeat->load_count of them */
    size_t count;                      /* jobs, closed, holdings or replies */
};

enum ek_action_type {
    EK_ACTION_REPLY,          /* to a client, into its open envelope */
    EK_ACTION_WELCOME,        /* to a client */
    EK_ACTION_ANSWER,         /* to a client */
    EK_ACTION_WORKER_WELCOME, /* to a worker */
    EK_ACTION_WORKER_REFUSED, /* to a worker, or to a connection that is none */
    EK_ACTION_WORKER_ASSIGN,  /* to a worker */
    EK_ACTION_WORKER_LOSS,    /* to a worker */
    EK_ACTION_WORKER_JOB,     /* to a worker, into its open envelope */
    EK_ACTION_WORKER_MOVE,    /* to a worker, behind the jobs before it */
    EK_ACTION_WORKER_FEED,    /* to a learner, into its open envelope */
    EK_ACTION_WORKER_CHECK,   /* to a worker, behind the jobs before it */
    EK_ACTION_WORKER_PULSE,   /* to a worker */
    EK_ACTION_PERSIST,        /* write and sync before the next action; when that fails the broker ends */
    EK_ACTION_NOTICE,         /* worth a line in the log */
    EK_ACTION_ALARM,          /* worth waking somebody */
    EK_ACTION_END             /* the broker must stop at once, for the reason in `text` */
};

struct ek_action {
    enum ek_action_type type;
    ek_broker_peer peer;
    struct ek_link link;
    union {
        struct ek_reply reply;
        const struct ek_welcome *welcome;
        struct ek_answer answer;
        struct ek_worker_welcome worker_welcome;
        struct ek_worker_job job;
        const struct ek_move_order *move;
        uint64_t check;           /* its number */
        const struct ek_fed *fed; /* until the learner has it */
        struct {
            const struct ek_holding *holdings;
            size_t count;
        } assign;
        struct {
            const struct ek_loss *losses;
            size_t count;
        } loss;
        struct {
            const struct ek_record *records;
            size_t count;
        } persist;
        const struct ek_refusal *refusal;
        const char *text;
    };
};

struct ek_broker;

/* `records` is the durable state as meta.h read it. EK_CORRUPT when it contradicts itself. */
EK_MUST enum ek_status ek_broker_new(const struct ek_broker_config *config, const struct ek_record *records, size_t record_count,
                                     struct ek_broker **ret);
void ek_broker_destroy(struct ek_broker **broker);

/* Takes one event; returns the actions and their number. */
const struct ek_action *ek_broker_step(struct ek_broker *broker, const struct ek_event *event, size_t *ret_count);

/* True when DISPATCH left jobs that could go out at once, because one step is bounded. */
bool ek_broker_has_more(const struct ek_broker *broker);
/* When a step is due at the latest, whatever comes; ticks aside. UINT64_MAX: none is. */
uint64_t ek_broker_due_us(const struct ek_broker *broker);
size_t ek_broker_in_flight(const struct ek_broker *broker);

/* Acknowledged floors that changed since the last call, at most `capacity` of them; written beside the loop. */
size_t ek_broker_take_floors(struct ek_broker *broker, struct ek_floor *out, size_t capacity);
/* The ceiling that ought to be durable by now. */
uint64_t ek_broker_wanted_ceiling(const struct ek_broker *broker, uint64_t now_us);

#endif
