/*
 * The structs behind the core, shared by its parts (door, dispatch, settle, links) and by nobody else. Plain data; the rules
 * are in those parts.
 */
#ifndef EK_BROKER_STATE_H
#define EK_BROKER_STATE_H

#include "broker/closed.h"
#include "broker/core.h"
#include "broker/job.h"
#include "broker/time.h"
#include "common/histogram.h"
#include "common/table.h"

#include <stdio.h>
#include <string.h>

enum { EK_NOBODY = -1, EK_BUSY_NOTES = 32768, EK_DISPATCH_JOBS_MAX = 128, EK_FORGOTTEN_MAX = EK_WORKERS_MAX };

enum ek_shard_state {
    EK_SHARD_UNASSIGNED,
    EK_SHARD_AWAY,       /* its holder has no link */
    EK_SHARD_OPENING,    /* its holder was told, and has not confirmed yet */
    EK_SHARD_SERVING,    /* jobs go out */
    EK_SHARD_QUARANTINED /* the holder's disk knows less than was acknowledged; broker/loss.h */
};

/* Queued jobs that may go before writes without credit: ek_job_passes. */
struct ek_passing {
    uint32_t reads;
    uint32_t writes;
};

struct ek_move;
struct ek_check;
struct ek_feed_entry;
struct ek_move_told;
struct ek_balance;

struct ek_shard {
    uint16_t number;
    enum ek_shard_state state;
    int holder; /* index into workers, or EK_NOBODY */
    uint64_t epoch;
    uint64_t given; /* the last position given to a job, or reported by the holder */
    uint64_t floor; /* all positions up to it are answered */
    bool floor_changed;
    struct ek_loss loss; /* the last one that was accepted; epoch 0 = none */
    bool loss_due;       /* its holder has to be told */
    bool empty;          /* the holder said in this generation that its position is 0, and nothing was sent since */
    struct ek_job_list queue;
    struct ek_broker_job *last_positioned; /* in the queue: those that were taken back with their positions stand up to it, in front
                                            * of all that have none; NULL: there are none */
    struct ek_job_list writes;             /* in flight, by position */
    struct ek_job_list reads;              /* in flight */
    struct ek_passing passing;
    uint32_t suspects;            /* jobs that were in flight at a death and have no answer yet */
    uint64_t bytes;               /* of all three lists */
    uint64_t sweep_us;            /* no queued job expires before; 0 = none will */
    uint64_t served_us;           /* when it came to be served */
    uint64_t wrote_us;            /* when a write was last sent, or the broker started */
    struct ek_move *move;         /* asked for, and not past its switch; broker/moves.h */
    bool held;                    /* nothing goes out while its owner changes */
    bool ready;                   /* stands in its holder's ring */
    struct ek_closed_ring closed; /* for its next writes */
    struct ek_shard_load load;
    bool load_known;  /* it is of the present holder, on its present link */
    uint64_t arrived; /* operations, since the broker's start */
};

enum ek_worker_state { EK_WORKER_AWAY, EK_WORKER_JOINING, EK_WORKER_UP };

/* What is known of a worker's ends; broker/poison.h. */
struct ek_watch {
    bool probed;       /* on the present link */
    uint64_t link;     /* the last one that ended without an explanation so far; 0 = none */
    uint32_t jobs;     /* in flight then */
    bool counts;       /* its probe had been answered */
    uint32_t bound;    /* jobs in flight at most; 0 = none but the credit */
    uint32_t suspects; /* sum over its shards */
};

/* Numbers of the shards whose turn it will be, each once. In a row and not in a list, so that those behind the next one can be
 * fetched ahead. */
struct ek_ready {
    uint16_t shards[EK_SHARDS_MAX];
    uint32_t first; /* its index; the others follow, round and round */
    uint32_t count;
};

/* That it is to end empty; broker/drain.h. */
struct ek_drain {
    bool wanted;
    bool told_over; /* the log has it that it is empty */
    uint64_t began_us;
    uint64_t began_bytes; /* that it held then */
};

struct ek_worker {
    struct ek_worker_id id;
    char name[EK_TEXT_BYTES_MAX];
    char endpoint[EK_TEXT_BYTES_MAX];
    uint64_t incarnation;
    uint32_t capacity_milli;
    enum ek_worker_state state;
    bool welcomed;    /* since this broker took office */
    bool rolled_back; /* its last HELLO said a lower incarnation than is known */
    uint64_t said_incarnation;
    ek_broker_peer peer;
    uint64_t link;
    uint64_t heard_us;
    bool has_credit; /* a heartbeat came on this link */
    uint32_t in_flight_jobs;
    uint64_t in_flight_bytes;   /* of writes */
    uint32_t in_flight_cancels; /* are not among the jobs */
    uint32_t in_flight_reads;
    struct ek_ready ready;
    struct ek_passing passing; /* sum over its shards */
    uint32_t shards;
    uint64_t up_us; /* when it came, on the present link */
    struct ek_drain drain;
    uint32_t copies_out; /* of moves under way */
    uint32_t copies_in;
    uint64_t full_us; /* since when its heartbeats take no writes; 0 = they do */
    struct ek_watch watch;
    ek_broker_peer former_peer;       /* the connection before */
    uint32_t turns;                   /* how often two connections took turns to say HELLO */
    uint8_t aside[EK_SHARDS_MAX / 8]; /* a bit for each shard whose rows it keeps without a role */
    uint32_t aside_count;
    struct ek_heartbeat heartbeat; /* the last one */
    uint64_t reads;                /* answered, since the broker's start; the next two likewise */
    uint64_t writes;
    uint64_t write_bytes;
    uint64_t busy_before_us; /* heartbeat.busy_us and the others, a second ago */
    uint64_t reads_before;
    uint64_t writes_before;
    uint64_t write_bytes_before;
    double busy_ratio;
    double reads_per_second;
    double writes_per_second;
    double write_bytes_per_second;
};

struct ek_broker_client {
    struct ek_table_link by_peer;
    struct ek_broker_client *older; /* by last message */
    struct ek_broker_client *newer;
    ek_broker_peer peer;
    uint64_t connection;
    uint64_t heard_us;
    bool announced; /* it said HELLO on this connection */
    uint32_t jobs;
    uint32_t thin_writes_in_flight;
    uint64_t bytes;
    uint64_t away_bytes; /* of these, on shards that are not serving */
    char name[EK_TEXT_BYTES_MAX];
};

/* "This number was refused BUSY": later ones of that producer on that shard are refused too until it comes again. */
struct ek_busy_note {
    uint64_t producer;
    uint64_t number;
    uint16_t shard;
};

/* DESIGN's ledger, in jobs. */
struct ek_ledger {
    uint64_t accepted;
    uint64_t done;
    uint64_t failed;
    uint64_t expired;
    uint64_t dead;
    uint64_t given_back;
    uint64_t queued;
    uint64_t in_flight;
    uint64_t refused;   /* never accepted */
    uint64_t duplicate; /* stored replies, and repetitions of what is still here */
};

enum { EK_ALARMS_MAX = 64 };

struct ek_alarm {
    char code[32];
    int worker; /* index, or EK_NOBODY */
    int shard;  /* number, or EK_NOBODY */
    char text[EK_TEXT_BYTES_MAX];
};

struct ek_broker {
    struct ek_broker_config config;
    struct ek_time time;
    struct ek_shard *shards;
    struct ek_worker workers[EK_WORKERS_MAX];
    size_t worker_count;
    struct ek_worker_id forgotten[EK_FORGOTTEN_MAX]; /* welcomed in this generation, and forgotten; the last ones, as a ring */
    size_t forgotten_count;
    uint64_t last_link;
    struct ek_table clients;      /* by peer */
    struct ek_broker_client self; /* whose jobs the broker's own are; nobody is answered */
    struct ek_broker_client *oldest_client;
    struct ek_broker_client *newest_client;
    uint64_t last_connection;
    uint64_t last_producer;
    struct ek_jobs jobs;
    uint64_t bytes;
    uint64_t away_bytes;
    uint32_t cancel_jobs;
    struct ek_busy_note busy_notes[EK_BUSY_NOTES];
    size_t busy_note_count;
    struct ek_ledger ledger;
    struct ek_histogram queue_wait;
    struct ek_histogram end_to_end;
    uint64_t second_us; /* when the rates were last taken */
    uint64_t reads_before;
    uint64_t writes_before;
    double reads_per_second;
    double writes_per_second;
    uint64_t reads; /* operations answered */
    uint64_t writes;
    uint64_t now_us;                /* of the present step */
    struct ek_move *moves;          /* in the order in which they were asked for; the last ones that have ended, too */
    size_t moves_open;              /* not ended */
    size_t moves_ended;             /* and still in the list */
    size_t moves_active;            /* with an attempt under way */
    bool moves_may_begin;           /* one that was under way has ended in this step */
    uint64_t holds_due_us;          /* no hold passes its bound before; UINT64_MAX: there is none */
    uint64_t settings[EK_SETTINGS]; /* broker/settings.h */
    struct ek_balance *balance;
    uint64_t last_move;
    uint64_t last_attempt;
    uint64_t feed_bytes;             /* writes that wait for learners */
    struct ek_feed_entry *feed_over; /* not needed any more once this step's actions are carried out */
    struct ek_move_told *told;       /* orders of this step; broker/moves.c */
    struct ek_check *check;          /* the one under way, or NULL; broker/check.h */
    uint64_t last_check;
    bool stopping;
    bool more;
    struct ek_alarm alarms[EK_ALARMS_MAX];
    size_t alarm_count;
    /* what the actions of the present step point to */
    struct ek_action *actions;
    size_t action_count;
    size_t action_capacity;
    struct ek_buffer scratch; /* bodies of refusals */
    struct ek_welcome welcome;
    struct ek_refusal refusal;
    struct ek_holding *holdings;
    size_t holding_count;
    size_t holding_capacity;
    struct ek_loss *losses; /* room for every shard */
    size_t loss_count;
    struct ek_buffer answer; /* to an operator */
    struct ek_record *records;
    size_t record_count;
    size_t records_asked; /* of these, an action asks for the write */
    size_t record_capacity;
    struct ek_buffer texts; /* has its full size from the start, so that pointers into it hold */
};

/* Appends an action of this step; the caller sets the member that its type has, and the link where it has one. */
struct ek_action *ek_broker_act(struct ek_broker *broker, enum ek_action_type type, ek_broker_peer peer);
/* A line for the log, or the reason to end, as printf. What one step can say is bounded; beyond it lines are left out. */
void ek_broker_say(struct ek_broker *broker, enum ek_action_type type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Keeps an alarm until it is cleared; saying it again changes its text. */
void ek_broker_alarm(struct ek_broker *broker, const char *code, int worker, int shard, const char *text);
void ek_broker_clear_alarm(struct ek_broker *broker, const char *code, int worker, int shard);

/* The shard is looked at soon: the processor fetches it meanwhile. NULL does no harm. */
void ek_shard_expect(const struct ek_shard *shard);
/* Changes a shard's state and keeps the sums of bytes on shards that are not serving. */
void ek_shard_set_state(struct ek_broker *broker, struct ek_shard *shard, enum ek_shard_state state);

#endif
