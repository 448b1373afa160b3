/*
 * The door: a client's jobs are let into their shard's queue or refused, by the limits. Gives no positions and sends nothing to
 * workers.
 */
#ifndef EK_BROKER_DOOR_H
#define EK_BROKER_DOOR_H

#include "broker/state.h"

/* A producer id that no client has, above every one that was issued. */
uint64_t ek_door_next_producer(struct ek_broker *broker, uint64_t now_us);
void ek_door_hello(struct ek_broker *broker, ek_broker_peer peer, const struct ek_hello *hello, uint64_t now_us);
void ek_door_jobs(struct ek_broker *broker, ek_broker_peer peer, const struct ek_job *jobs, size_t count, uint64_t now_us);
/* Notes that these producers' sessions have ended. Nobody is answered, and nothing fails. */
void ek_door_close(struct ek_broker *broker, const struct ek_closed *closed, size_t count);

/* A routed and admitted job of `client` joins its shard's queue. */
void ek_door_enqueue(struct ek_broker *broker, struct ek_broker_client *client, struct ek_shard *shard,
                     const struct ek_job *message, uint64_t now_us);
/* A job enters or leaves a queue, or all queues: the sums of bytes follow. */
void ek_door_charge(struct ek_broker *broker, struct ek_shard *shard, struct ek_broker_job *job);
void ek_door_discharge(struct ek_broker *broker, struct ek_shard *shard, struct ek_broker_job *job);
/* Answers a job with a status of the broker's own and a text (or NULL). */
void ek_door_answer(struct ek_broker *broker, ek_broker_peer peer, uint64_t id, enum ek_wire_status status, uint32_t retry_ms,
                    const char *text);

#endif
