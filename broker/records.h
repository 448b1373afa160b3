/*
 * The broker's durable state as plain records: what the core asks for and the store keeps. No encoding (broker/meta_rocksdb.c).
 */
#ifndef EK_BROKER_RECORDS_H
#define EK_BROKER_RECORDS_H

#include "common/messages.h"

enum ek_record_type {
    EK_RECORD_ASSIGNMENT,  /* who holds a shard, since which epoch */
    EK_RECORD_WORKER,      /* the highest incarnation seen, and its name */
    EK_RECORD_FLOOR,       /* the highest acknowledged position of a shard */
    EK_RECORD_WORKER_GONE, /* takes the worker's record away */
    EK_RECORD_DRAIN,       /* the worker is to give everything away */
    EK_RECORD_DRAIN_OVER,  /* takes that back */
    EK_RECORD_SETTING      /* what an operator set; 0 = as it is without one */
};

enum ek_setting {
    EK_SETTING_BALANCE_OFF,
    EK_SETTING_MOVES_PAUSED,
    EK_SETTING_COPY_BYTES_PER_SECOND, /* of one copy, at most */
    EK_SETTINGS
};

struct ek_record {
    enum ek_record_type type;
    uint16_t shard;
    uint64_t number; /* assignment: epoch; worker: incarnation; floor: position; setting: its value */
    enum ek_setting setting;
    struct ek_worker_id worker;
    char name[EK_TEXT_BYTES_MAX]; /* worker */
    bool quarantined;             /* assignment: the holder's disk knows less than was acknowledged */
    struct ek_loss loss;          /* assignment: the last loss that was accepted; epoch 0 = none ever was */
};

/* What a record of the same name says, by itself: each second there are as many as shards had answers. */
struct ek_floor {
    uint64_t position;
    uint16_t shard;
};

#endif
