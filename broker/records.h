/*
 * The broker's durable state as plain records: what the core asks for and the store keeps. No encoding (broker/meta_rocksdb.c).
 */
#ifndef EK_BROKER_RECORDS_H
#define EK_BROKER_RECORDS_H

#include "common/messages.h"

enum ek_record_type {
    EK_RECORD_ASSIGNMENT, /* who holds a shard, since which epoch */
    EK_RECORD_WORKER,     /* the highest incarnation seen, and its name */
    EK_RECORD_FLOOR,      /* the highest acknowledged position of a shard */
    EK_RECORD_WORKER_GONE /* takes the worker's record away */
};

struct ek_record {
    enum ek_record_type type;
    uint16_t shard;
    uint64_t number; /* assignment: epoch; worker: incarnation; floor: position */
    struct ek_worker_id worker;
    char name[EK_TEXT_BYTES_MAX]; /* worker */
    bool quarantined;             /* assignment: the holder's disk knows less than was acknowledged */
    struct ek_loss loss;          /* assignment: the last loss that was accepted; epoch 0 = none ever was */
};

#endif
