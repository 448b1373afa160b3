/*
 * Keeps the stamps of idle shards moving: expired rows leave the files of a worker only below the stamp of its shard's last write,
 * so a shard where rows expire, and nobody writes, gets an empty write now and then. It drops no row and reads no wall clock.
 */
#ifndef EK_BROKER_IDLE_H
#define EK_BROKER_IDLE_H

#include "broker/state.h"

#define EK_IDLE_US ((uint64_t)10000000)

/* Queues an empty write for every shard that serves, expects rows to expire, and was sent no write for EK_IDLE_US. */
void ek_idle_check(struct ek_broker *broker, uint64_t now_us);

#endif
