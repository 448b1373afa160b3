/*
 * How a shard moves to another worker while it is in use: queue, attempts, the writes that a learner is fed, the hold and the
 * switch. It chooses no shard and no worker (planner, operator); broker/PROTOCOL of it is common/PROTOCOL.md, "Moves".
 *
 *   queued ─► copying ─► catching_up ─► holding ─► releasing ─► cleaning ─► done
 *     ▲          │            │  ▲          │ beyond its bound: undone
 *     └──────────┴────────────┘  └──────────┘
 *     an attempt that fails begins anew, EK_MOVE_ATTEMPTS_MAX times; cancelled and failed leave nothing behind
 *
 * Until the switch the source owns the shard and its opinion counts alone. The switch is one durable record. A new link of either
 * side, or another broker, ends the attempt. Limits: EK_MOVES_QUEUED_MAX moves, EK_MOVES_ACTIVE_MAX under way, one copy out of and
 * two into a worker; writes that wait for learners are feed.h's.
 */
#ifndef EK_BROKER_MOVES_H
#define EK_BROKER_MOVES_H

#include "broker/state.h"

enum { EK_MOVES_QUEUED_MAX = 8192, EK_MOVES_ACTIVE_MAX = 64, EK_MOVES_KEPT = 100, EK_MOVE_ATTEMPTS_MAX = 4 };
#define EK_FEED_BYTES_MAX    (64u * EK_MIB)
#define EK_MOVE_HOLD_US      UINT64_C(250000)
#define EK_MOVE_RATE_DEFAULT (64ull * EK_MIB) /* bytes a second of a copy that an operator asks for */

enum ek_move_reason { EK_MOVE_BALANCE, EK_MOVE_DRAIN, EK_MOVE_OPERATOR, EK_MOVE_REPAIR };

enum ek_move_phase {
    EK_MOVE_QUEUED,
    EK_MOVE_COPYING,
    EK_MOVE_CATCHING_UP,
    EK_MOVE_HOLDING,
    EK_MOVE_RELEASING, /* the record is written; the new owner has not confirmed yet */
    EK_MOVE_CLEANING,  /* the former owner's rows are still there */
    EK_MOVE_DONE,
    EK_MOVE_CANCELLED,
    EK_MOVE_FAILED
};

/* A write that its holder has answered, until the learner has it synced too. */
struct ek_feed_entry {
    struct ek_feed_entry *next;
    struct ek_fed fed;
    size_t bytes;
    uint8_t bodies[];
};

struct ek_move {
    struct ek_move *next; /* in the order in which they were asked for */
    uint64_t number;
    uint16_t shard;
    int source; /* workers' indexes; EK_NOBODY once it is gone */
    int target;
    char source_name[EK_TEXT_BYTES_MAX];
    char target_name[EK_TEXT_BYTES_MAX];
    enum ek_move_reason reason;
    enum ek_move_phase phase;
    uint64_t attempt;  /* 0: none yet */
    uint32_t attempts; /* so far */
    bool emptied;      /* the learner is ready for the copy */
    bool placed;       /* the copy stands, at */
    uint64_t position;
    bool cleaned;                /* the former owner's rows went before the new one had confirmed */
    struct ek_feed_entry *first; /* not synced by the learner */
    struct ek_feed_entry *unsent;
    struct ek_feed_entry **end;
    size_t feed_bytes;
    size_t sent_bytes; /* of these */
    uint64_t fed;      /* the learner has everything up to it */
    uint64_t copied_bytes;
    uint64_t total_bytes;
    uint64_t bytes_per_second; /* that its copy may take */
    uint64_t queued_us;        /* since when it waits for an attempt */
    uint64_t copying_us;       /* when the present attempt began */
    uint64_t progress_us;      /* the last sign of either side */
    uint64_t held_us;          /* since when dispatch is held; 0 = it is not */
    uint64_t hold_again_us;
    uint32_t holds;
    uint64_t longest_hold_us;
    uint64_t started_unix_ms;
    uint64_t ended_unix_ms;
    char error[EK_TEXT_BYTES_MAX];
};

const char *ek_move_phase_name(enum ek_move_phase phase);
const char *ek_move_reason_name(enum ek_move_reason reason);

/* A move that somebody wants. */
struct ek_move_wish {
    uint16_t shard;
    int target;
    enum ek_move_reason reason;
    uint64_t bytes_per_second;
};
/* Asks for a move. NULL, or why it cannot be. */
const char *ek_moves_ask(struct ek_broker *broker, const struct ek_move_wish *wish, uint64_t *ret_number);
/* Ends one before its switch. NULL, or why not. */
const char *ek_moves_cancel(struct ek_broker *broker, uint64_t number);
/* The worker is to end empty: what is on its way to it goes no further. */
void ek_moves_target_leaves(struct ek_broker *broker, int worker);
/* It is not, after all: what the drain has asked for goes no further. */
void ek_moves_drain_cancelled(struct ek_broker *broker, int worker);
/* Whether a move in this phase, or one before it, comes from or goes to the worker. */
bool ek_moves_involve(const struct ek_broker *broker, int worker, enum ek_move_phase up_to);
/* Begins what may begin, and looks at bounds in time. At each tick. */
void ek_moves_run(struct ek_broker *broker);
/* The actions of the step before are carried out; this one has none yet. Holds that are beyond their bound end. */
void ek_moves_begin_step(struct ek_broker *broker);
/* When one of the moves under way has ended in this step, the next one begins. */
void ek_moves_end_step(struct ek_broker *broker);
void ek_moves_done(struct ek_broker *broker);

/* ---- what the rest of the core tells ---- */

void ek_moves_reported(struct ek_broker *broker, const struct ek_worker *worker, const struct ek_move_report *report);
/* The holder has answered a write; called before the job goes. */
void ek_moves_answered(struct ek_broker *broker, struct ek_shard *shard, const struct ek_broker_job *job,
                       const struct ek_worker_reply *reply);
/* That job is gone. */
void ek_moves_settled(struct ek_broker *broker, struct ek_shard *shard);
/* The worker's link has ended. */
void ek_moves_link_ended(struct ek_broker *broker, int worker);
/* The shard is not served any more, for another reason than its move. */
void ek_moves_shard_left(struct ek_broker *broker, struct ek_shard *shard);
/* The worker gets a role in the shard: that it was to be cleaned of an earlier one is void. */
void ek_moves_gained(struct ek_broker *broker, uint16_t shard, int worker);
/* The new owner serves. */
void ek_moves_opened(struct ek_broker *broker, struct ek_shard *shard);
/* Worker `from` of the table is now `to`, or gone (EK_NOBODY). */
void ek_moves_renumber(struct ek_broker *broker, int from, int to);

#endif
