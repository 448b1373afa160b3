/*
 * What the files of the session share: its structs and the functions by which one file hands over to another. Included by the
 * session's own files only. How they divide the work:
 *
 *   submit.c    requests are checked, encoded and grouped into jobs
 *   output.c    what leaves next, and under which number
 *   flight.c    what is in flight, and how much may be
 *   input.c     the broker's messages: WELCOME, REPLIES, ANSWER, ERROR
 *   verdicts.c  what a reply means for its job: settled, refused, a gap, forgotten
 *   deadlines.c operations whose caller stops waiting
 *   results.c   from a settled job to its callbacks
 *   jobs.c      the pools of calls and jobs, and bodies under construction
 *   session.c   birth, death, and what is asked from outside
 *
 * A job's way:
 *
 *   submit ──► lobby (before the WELCOME) ──► lane's queue ──► in flight ◄──► refused, waits for its lane
 *                                                                  │ verdict
 *                                                                  ▼
 *                                                              finished ──► callbacks ──► pool
 */
#ifndef EK_CLIENT_PARTS_H
#define EK_CLIENT_PARTS_H

#include "client/session.h"
#include "client/sweep.h"
#include "client/wheel.h"
#include "common/messages.h"
#include "common/table.h"

#include <stdalign.h>
#include <sys/queue.h>

enum {
    EK_BATCH_LARGE_OPERATIONS = 64,      /* a batch this large leaves although another one of its shard is under way */
    EK_BATCH_LARGE_BYTES = 16 * 1024,    /* likewise */
    EK_LANE_BYTES_MAX = 4 * 1024 * 1024, /* bodies of one shard under way, one job aside */
    EK_LANE_READS_MAX = 4,               /* read jobs of one shard under way */
    EK_WINDOW_FIRST = 4,                 /* writes of one shard under way before any was answered */
    EK_READ_OPERATIONS_MAX = 512,        /* of one read job, while replies have room */
    EK_FRESH_BYTES_GOAL = 64 * 1024,     /* with this much to send nothing lingers */
    EK_FLIGHT_OPERATIONS_MIN = 8192,     /* so many may always be in flight */
    EK_STAGED_MAX = 16,                  /* submissions that are placed together */
    EK_STAGED_BYTES_MAX = 1024,          /* of one of them */
    EK_BODY_HEAD_BYTES = 3,              /* room for an array's head in front of a body: EK_JOB_OPERATIONS_MAX needs three */
    EK_REPLY_HEAD_BYTES = 3              /* likewise in a reply's results */
};

#define EK_GRACE_US         UINT64_C(1000000) /* how long a caller waits behind its deadline for the verdict */
#define EK_HELLO_US         UINT64_C(500000)  /* between HELLOs without a WELCOME, at first */
#define EK_HELLO_MAX_US     UINT64_C(2000000) /* and at last, while the broker was never there */
#define EK_SILENCE_US       UINT64_C(1000000) /* unanswered for so long: ask whether the broker still knows us */
#define EK_SILENCE_MAX_US   UINT64_C(8000000)
#define EK_OVERTAKEN_US     100000u /* behind answers to jobs that were sent so much later a job does not keep others from leaving */
#define EK_FLIGHT_US        UINT64_C(250000) /* nor unanswered for so long */
#define EK_PROBE_US         5000000u         /* a shard's oldest unanswered write is sent again after this */
#define EK_PROBE_MAX_US     60000000u
#define EK_PROBE_STEP_US    UINT64_C(100000)  /* between looks for such writes at least */
#define EK_PROBE_LOOK_US    UINT64_C(1000000) /* and at most: an answer makes another write the oldest of its shard, however old */
#define EK_HOLD_MIN_US      UINT64_C(2000)
#define EK_HOLD_MAX_US      UINT64_C(1000000) /* by back-off alone; the broker's hint may be longer */
#define EK_HOLD_HINT_MAX_MS 10000u

enum { EK_TIMER_JOB, EK_TIMER_LANE };

enum { EK_CALL_WAITS, EK_CALL_GIVEN_UP, EK_CALL_DONE };

/* One submission: an operation, or a transaction. With tens of thousands under way each is fetched from far memory twice, so it is
 * kept within one line of the cache. */
struct ek_call {
    STAILQ_ENTRY(ek_call) in_job;
    STAILQ_ENTRY(ek_call) in_given_up;
    struct ek_pending_job *job; /* NULL: its job is gone, the callback is still to run */
    ek_callback callback;
    void *context;
    union {
        uint64_t deadline_us; /* while it waits; UINT64_MAX: none */
        const char *text;     /* static; why it was given up */
    };
    uint32_t body_bytes;
    uint16_t count;  /* operations */
    uint16_t prefix; /* hash prefix, by which the lobby finds the lane */
    uint8_t code;    /* enum ek_operation_code; of a transaction: of its first operation */
    uint8_t reply_bytes;
    uint8_t outcome; /* enum ek_outcome, once given up */
    uint8_t state;   /* EK_CALL_… */
    bool transaction;
};
_Static_assert(sizeof(struct ek_call) <= EK_LINE_BYTES, "a submission fits into a line");

STAILQ_HEAD(ek_calls, ek_call);

/* A job from its first operation to its verdict. */
struct ek_pending_job {
    struct ek_table_link by_id;              /* from its first send on */
    TAILQ_ENTRY(ek_pending_job) in_lane;     /* queue or unsettled; a read in flight is in neither */
    TAILQ_ENTRY(ek_pending_job) in_progress; /* in flight by time of sending, or finished */
    struct ek_timer timer;                   /* when something may happen to one of its calls: late for none of them */
    struct ek_lane *lane;                    /* NULL: the lobby */
    struct ek_calls calls;
    struct ek_buffer body; /* EK_BODY_HEAD_BYTES, then operations */
    enum ek_job_kind kind; /* EK_JOB_WRITE even if all are deletes; cancel comes on top */
    uint32_t operations;
    uint32_t deletes;
    uint32_t reply_bytes;
    uint32_t waiting; /* calls that still wait */
    bool closed;      /* takes no more operations */
    bool queued;      /* in a lane's queue */
    bool out;         /* sent and not known to be refused or lost: it is in flight */
    bool alone;       /* a read that did not fit beside others */
    bool cancel;      /* goes out as a cancellation from now on */
    enum ek_wire_status cause;
    uint64_t deadline_us; /* the latest of its operations */
    uint64_t id;
    uint64_t number;      /* writes: 0 until the first send */
    uint64_t serial;      /* writes: order in the lane; reads: serial of the last write that must leave first */
    uint64_t sent_serial; /* order of the last send in the session */
    uint64_t sent_us;
    uint64_t lowest_sent; /* the lowest unanswered number that the last send named */
    size_t counted_bytes; /* of the body, in the session's pending_bytes */
    size_t lane_bytes;    /* of the body, in the lane's unsettled_bytes */
    uint32_t tries;       /* sends */
    uint32_t sends;       /* of those as the job itself, not as its cancellation */
    uint32_t refusals;    /* of those answered BUSY: not queued, not applied */
    /* the verdict */
    enum ek_wire_status status;
    uint64_t position;
    struct ek_slice results; /* borrowed from the message */
};

TAILQ_HEAD(ek_jobs, ek_pending_job);

/* A shard as the session sees it. In two lines of the cache is what every job needs, for there are hundreds of lanes a session. */
struct ek_lane {
    alignas(EK_LINE_BYTES) struct ek_jobs writes; /* without a number yet, oldest first; the last one may grow */
    struct ek_jobs unsettled;                     /* writes with a number, ascending */
    uint16_t shard;
    uint16_t reads_in_flight;
    uint16_t writes_in_flight;
    uint16_t window;      /* writes that may be in flight: one after a BUSY, one more by each that is carried out */
    uint32_t resends;     /* unsettled and not in flight */
    bool busy;            /* the last refusal was BUSY */
    bool forgotten;       /* no new number until the old producer's are answered */
    uint64_t producer;    /* 0: takes the session's when it next needs a number */
    uint64_t last_number; /* given under `producer` */
    uint64_t last_serial;
    uint64_t hold_until_us; /* nothing leaves before */
    size_t unsettled_bytes;
    struct ek_jobs reads; /* not in flight, oldest first; the last one may grow */
    uint32_t probe_us;
    uint32_t refusals;        /* rounds of refusals without a settled job between */
    uint64_t producer_wanted; /* the session's must come from this HELLO or a later one */
    uint64_t refused_serial;  /* what was sent up to here belongs to the present round of refusals */
    struct ek_timer wake;     /* end of a hold */
};
_Static_assert(offsetof(struct ek_lane, wake) == 2 * EK_LINE_BYTES, "what every job needs lies in two lines");

struct ek_pool_chunk {
    alignas(EK_LINE_BYTES) struct ek_call calls[256];
    struct ek_pool_chunk *next;
};

struct ek_session {
    struct ek_session_options options;
    char name[EK_TEXT_BYTES_MAX];
    uint64_t random;
    struct ek_wheel wheel;

    /* the broker */
    struct ek_welcome welcome; /* id 0: none yet */
    struct ek_lane *lanes;     /* NULL until the first WELCOME */
    uint64_t producer;
    uint64_t producer_from;   /* the HELLO that brought it */
    uint64_t producer_wanted; /* one from this HELLO or a later one is wanted */
    uint64_t hello_id;        /* the last one sent */
    bool asked;               /* a HELLO is wanted at once */
    uint64_t hello_sent_us;
    uint64_t hello_wait_us; /* until it is repeated */
    uint64_t patience_us;   /* silence until the next HELLO */
    uint64_t received_us;   /* the last message */
    bool heard;             /* is among those that the message at hand has something for */
    bool foreign;           /* another cluster's broker; nothing goes on */
    bool closing;
    char refusal[EK_TEXT_BYTES_MAX];

    /* jobs */
    struct ek_pending_job *lobby; /* operations from before the first WELCOME */
    struct ek_sweep ready;        /* shards with something that may leave */
    struct ek_table by_id;
    struct ek_jobs in_flight;      /* by time of sending */
    struct ek_pending_job *recent; /* of those the first that counts as recent; NULL: none */
    uint64_t recent_operations;    /* of it and of all behind it */
    uint64_t landed_us;            /* when the latest sent of those was sent that have come back */
    uint64_t probe_from_us;        /* the next look for writes that were unanswered for long, if there are any by then */
    struct ek_jobs finished;       /* with a verdict, until drained */
    struct ek_calls given_up;      /* until drained */
    uint64_t last_id;
    uint64_t send_serial;
    uint64_t linger_until_us;
    size_t fresh_bytes; /* submitted since all lanes had their turn */
    uint32_t read_goal; /* operations of a read job, by how the last replies fitted */
    struct ek_envelope envelope;
    size_t envelope_bytes; /* of the last one: so much the next one takes at once, instead of growing to it */
    struct ek_buffer scratch;

    /* the last submissions, which are not in their jobs yet */
    size_t staged_count;
    struct ek_call *staged[EK_STAGED_MAX];
    struct ek_buffer staged_bytes; /* their operations, one behind the other */

    /* one query */
    uint64_t query_id;
    bool query_wanted;
    bool query_answered;
    struct ek_buffer question; /* the message */
    enum ek_outcome answer_outcome;
    struct ek_buffer answer;

    /* memory */
    size_t pending_bytes;
    size_t pending_calls;
    struct ek_calls free_calls;
    struct ek_jobs free_jobs; /* linked by in_lane */
    size_t free_body_bytes;
    struct ek_pool_chunk *chunks;
    struct ek_completion *completions; /* of a transaction */
    size_t completions_capacity;
    struct ek_found *found; /* of a scan */
    size_t found_capacity;
    struct ek_dead_letter *dead; /* of a list */
    size_t dead_capacity;

    struct ek_session_counters counters;
};

/* These bytes will be written soon: the processor fetches them meanwhile. */
static inline void ek_session_expect_bytes(const void *start, size_t size)
{
    for (size_t at = 0; at < size; at += EK_LINE_BYTES)
        __builtin_prefetch((const char *)start + at, 1);
}

/* ---- jobs.c ---- */

struct ek_call *ek_session_take_call(struct ek_session *session);
/* Back to the pool; it must be in no job's list any more. */
void ek_session_free_call(struct ek_session *session, struct ek_call *call);
struct ek_pending_job *ek_session_take_job(struct ek_session *session, struct ek_lane *lane, enum ek_job_kind kind);
/* Frees its calls and body; the job must be in no list and no table any more. */
void ek_session_free_job(struct ek_session *session, struct ek_pending_job *job);
/* Adds `call`, whose operations were just appended to the body. */
void ek_session_add_call(struct ek_session *session, struct ek_pending_job *job, struct ek_call *call);
/* The body with its head, valid until it next changes. */
struct ek_slice ek_session_body(struct ek_session *session, struct ek_pending_job *job);
/* Its body no longer counts as pending. */
void ek_session_discount(struct ek_session *session, struct ek_pending_job *job);
/* Gives back calls and body; calls whose callback is still to run stay alive without a job. */
void ek_session_strip_job(struct ek_session *session, struct ek_pending_job *job);
/* Takes the operations of calls that were given up out of a body that was not sent. */
void ek_session_drop_given_up(struct ek_session *session, struct ek_pending_job *job);
void ek_session_free_pools(struct ek_session *session);

/* ---- flight.c ---- */

/* Half of what is pending may be in flight, the other half is gathered meanwhile: with many shards a job has then half as many
 * operations again as if each left as soon as its shard could take one more. What is answered lets the next ones go. Jobs whose
 * worker is away count only until jobs that were sent EK_OVERTAKEN_US later are answered, or for EK_FLIGHT_US: they shall not hold
 * up the others. */

/* The job was put into an envelope. */
void ek_session_take_off(struct ek_session *session, struct ek_pending_job *job, uint64_t now_us);
/* It was answered, or is taken back. */
void ek_session_land(struct ek_session *session, struct ek_pending_job *job);
/* No more jobs may leave now. */
bool ek_session_flight_is_full(struct ek_session *session, uint64_t now_us);
/* When they may even if nothing is answered; 0: now. */
uint64_t ek_session_flight_due_us(const struct ek_session *session);

/* ---- submit.c ---- */

/* Moves what was submitted last to its lanes: at the latest before the next message is made or the next due time told. */
void ek_session_place_staged(struct ek_session *session);
/* Moves the lobby's operations to their lanes. */
void ek_session_empty_lobby(struct ek_session *session);
/* Sends one operation of a settled read job, which had `serial`, again by itself. */
void ek_session_read_alone(struct ek_session *session, struct ek_call *call, uint64_t serial, struct ek_slice operation);
void ek_session_make_ready(struct ek_session *session, struct ek_lane *lane);
/* Has the lane looked at then. */
void ek_session_wake_at(struct ek_session *session, struct ek_lane *lane, uint64_t due_us);

/* ---- output.c ---- */

/* What stands in a message for an id of the session's own. */
static inline uint64_t ek_session_wire_id(const struct ek_session *session, uint64_t id)
{
    return (uint64_t)session->options.ids.slot << EK_SLOT_SHIFT | (id + session->options.ids.first);
}

uint64_t ek_session_jitter(struct ek_session *session, uint64_t time_us);
/* When the next HELLO is due. */
uint64_t ek_session_hello_due_us(const struct ek_session *session);
/* A HELLO was sent, nothing came for long: new jobs would be sent into the void. */
bool ek_session_is_silent(const struct ek_session *session, uint64_t now_us);

/* ---- verdicts.c ---- */

/* What a reply says about a job that is known. */
void ek_session_judge(struct ek_session *session, struct ek_pending_job *job, const struct ek_reply *reply, uint64_t now_us);
/* The connection is another one: everything unanswered is to be sent again. */
void ek_session_resend_all(struct ek_session *session);
/* Takes a job out of flight, to be sent again. */
void ek_session_take_back(struct ek_session *session, struct ek_pending_job *job);
/* Takes a job out of all lists and the table. */
void ek_session_detach(struct ek_session *session, struct ek_pending_job *job);

/* ---- deadlines.c ---- */

/* The job's timer has expired. */
void ek_session_pass_deadline(struct ek_session *session, struct ek_pending_job *job, uint64_t now_us);
/* Sets the timer of a job whose calls were added before. */
void ek_session_arm_deadlines(struct ek_session *session, struct ek_pending_job *job, uint64_t now_us);
void ek_session_give_up(struct ek_session *session, struct ek_call *call, enum ek_outcome outcome, const char *text);
/* Gives up everything: UNKNOWN when it was sent, else `unsent`. */
void ek_session_give_up_all(struct ek_session *session, enum ek_outcome unsent, const char *text);

#endif
