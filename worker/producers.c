#include "worker/producers.h"

#include <stdlib.h>

/* What a producer and a reply count for; near what they take. */
enum { PRODUCER_BYTES = 128, REPLY_BYTES = 40, FIRST_REPLIES = 4 };

/* ---- replies in order ---- */

static uint32_t room(const struct ek_replies *replies)
{
    return replies->ring ? replies->capacity : 1;
}

static uint32_t slot_of(const struct ek_replies *replies, size_t index)
{
    return (uint32_t)(replies->first + index) & (room(replies) - 1);
}

const struct ek_stored_reply *ek_replies_at(const struct ek_replies *replies, size_t index)
{
    const struct ek_stored_reply *slots = replies->ring ? replies->ring : &replies->single;
    return &slots[slot_of(replies, index)];
}

static size_t bytes_of(const struct ek_stored_reply *reply)
{
    return REPLY_BYTES + reply->body_bytes;
}

static void enlarge(struct ek_replies *replies)
{
    uint32_t capacity = replies->ring ? replies->capacity * 2 : FIRST_REPLIES;
    struct ek_stored_reply *ring = ek_alloc(capacity * sizeof *ring);
    for (size_t i = 0; i < replies->count; i++)
        ring[i] = *ek_replies_at(replies, i);
    free(replies->ring);
    *replies = (struct ek_replies){.ring = ring, .capacity = capacity, .count = replies->count};
}

static size_t push(struct ek_replies *replies, uint64_t number, uint64_t position, enum ek_wire_status status, struct ek_slice body)
{
    if (replies->count == room(replies))
        enlarge(replies);
    struct ek_stored_reply *slots = replies->ring ? replies->ring : &replies->single;
    struct ek_stored_reply *reply = &slots[slot_of(replies, replies->count++)];
    *reply = (struct ek_stored_reply){
        .number = number, .position = position, .status = status, .body_bytes = (uint32_t)body.size, .body = ek_slice_copy(body)};
    return bytes_of(reply);
}

static size_t drop_first(struct ek_replies *replies)
{
    const struct ek_stored_reply *reply = ek_replies_at(replies, 0);
    size_t bytes = bytes_of(reply);
    free(reply->body);
    replies->first = slot_of(replies, 1);
    replies->count--;
    return bytes;
}

/* Drops what stands before `number`; returns the bytes that went. */
static size_t drop_below(struct ek_replies *replies, uint64_t number)
{
    size_t bytes = 0;
    while (replies->count && ek_replies_at(replies, 0)->number < number)
        bytes += drop_first(replies);
    return bytes;
}

static size_t drop_all(struct ek_replies *replies)
{
    size_t bytes = drop_below(replies, UINT64_MAX);
    if (replies->count)
        bytes += drop_first(replies);
    free(replies->ring);
    *replies = (struct ek_replies){0};
    return bytes;
}

static const struct ek_stored_reply *search(const struct ek_replies *replies, uint64_t number)
{
    size_t low = 0;
    size_t high = replies->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ek_replies_at(replies, middle)->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == replies->count || ek_replies_at(replies, low)->number != number)
        return NULL;
    return ek_replies_at(replies, low);
}

/* ---- producers, from the one silent longest to the newest ---- */

static bool same_id(const struct ek_table_link *item, const void *key)
{
    return EK_ITEM(item, const struct ek_producer, link)->id == *(const uint64_t *)key;
}

static struct ek_producer *find(const struct ek_producers *producers, uint64_t id)
{
    struct ek_table_link *link = ek_table_find(&producers->table, ek_mix(id), same_id, &id);
    return link ? EK_ITEM(link, struct ek_producer, link) : NULL;
}

static void unchain(struct ek_producers *producers, struct ek_producer *producer)
{
    if (producers->last_closed == producer)
        producers->last_closed = producer->older;
    *(producer->older ? &producer->older->newer : &producers->oldest) = producer->newer;
    *(producer->newer ? &producer->newer->older : &producers->newest) = producer->older;
}

static void chain_newest(struct ek_producers *producers, struct ek_producer *producer)
{
    producer->older = producers->newest;
    producer->newer = NULL;
    *(producers->newest ? &producers->newest->newer : &producers->oldest) = producer;
    producers->newest = producer;
}

/* Behind the closed ones, before all others. */
static void chain_closed(struct ek_producers *producers, struct ek_producer *producer)
{
    producer->older = producers->last_closed;
    producer->newer = producer->older ? producer->older->newer : producers->oldest;
    *(producer->older ? &producer->older->newer : &producers->oldest) = producer;
    *(producer->newer ? &producer->newer->older : &producers->newest) = producer;
    producers->last_closed = producer;
    producer->closed = true;
}

static void destroy(struct ek_producers *producers, struct ek_producer *producer)
{
    producers->numbered_bytes -= PRODUCER_BYTES + drop_all(&producer->replies);
    ek_table_remove(&producers->table, &producer->link);
    unchain(producers, producer);
    free(producer);
}

/* No id that was issued is above it: none of whoever has sent a job here, whose stamp is later than its producer. */
static uint64_t highest_issued(const struct ek_producers *producers)
{
    return (producers->stamp_unix_ms << EK_PRODUCER_COUNTER_BITS) + ((UINT64_C(1) << EK_PRODUCER_COUNTER_BITS) - 1);
}

/* A client can make an id up. One from the future would raise the floor above all that are yet to be issued, for ever. */
static void forget_oldest(struct ek_producers *producers)
{
    struct ek_producer *oldest = producers->oldest;
    uint64_t issued = highest_issued(producers);
    uint64_t floor = oldest->id < issued ? oldest->id : issued;
    if (floor > producers->floor)
        producers->floor = floor;
    destroy(producers, oldest);
}

void ek_producers_done(struct ek_producers *producers)
{
    while (producers->oldest)
        destroy(producers, producers->oldest);
    ek_table_done(&producers->table);
    (void)drop_all(&producers->thin);
    *producers = (struct ek_producers){0};
}

void ek_producers_give_up(struct ek_producers *producers, uint64_t position, uint64_t floor)
{
    struct ek_producers fresh = {.position = position,
                                 .stamp_unix_ms = producers->stamp_unix_ms,
                                 .expires_unix_ms = producers->expires_unix_ms,
                                 .floor = floor};
    ek_producers_done(producers);
    *producers = fresh;
}

enum ek_numbering ek_producers_look(const struct ek_producers *producers, uint64_t producer, uint64_t number, uint64_t *ret_awaited)
{
    const struct ek_producer *known = find(producers, producer);
    *ret_awaited = known ? known->last_number + 1 : 1;
    if (!known && producer <= producers->floor)
        return EK_NUMBER_FORGOTTEN;
    if (number == *ret_awaited)
        return EK_NUMBER_NEW;
    return known && number < *ret_awaited ? EK_NUMBER_SEEN : EK_NUMBER_GAP;
}

const struct ek_stored_reply *ek_producers_reply(const struct ek_producers *producers, uint64_t producer, uint64_t number)
{
    if (producer == 0)
        return search(&producers->thin, number);
    const struct ek_producer *known = find(producers, producer);
    return known ? search(&known->replies, number) : NULL;
}

void ek_producers_expect(const struct ek_producers *producers, uint64_t producer, unsigned step)
{
    uint64_t hash = ek_mix(producer);
    if (step == 0) {
        ek_table_expect(&producers->table, hash);
        return;
    }
    const struct ek_table_link *link = ek_table_expect_item(&producers->table, hash);
    if (!link)
        return;
    const struct ek_producer *first = EK_ITEM(link, const struct ek_producer, link);
    if (step == 1) {
        __builtin_prefetch(&first->replies, 1);
        __builtin_prefetch(&first->replies.count, 1); /* in the next line, or the one behind that */
        __builtin_prefetch(producers->newest, 1);
        return;
    }
    /* It becomes the newest, so its neighbours are joined. */
    __builtin_prefetch(first->older, 1);
    __builtin_prefetch(first->newer, 1);
    if (first->replies.ring)
        __builtin_prefetch(ek_replies_at(&first->replies, 0), 1);
}

size_t ek_producers_closed(const struct ek_producers *producers)
{
    size_t count = 0;
    for (const struct ek_producer *producer = producers->last_closed; producer; producer = producer->older)
        count++;
    return count;
}

void ek_producers_restore_closed(struct ek_producers *producers, size_t count)
{
    struct ek_producer *producer = producers->oldest;
    for (size_t i = 0; i < count && producer; i++, producer = producer->newer) {
        producer->closed = true;
        producers->last_closed = producer;
    }
}

struct ek_producer *ek_producers_restore(struct ek_producers *producers, uint64_t id, uint64_t last_number, uint64_t stamp_unix_ms)
{
    struct ek_producer *producer = ek_alloc_zero(1, sizeof *producer);
    producer->id = id;
    producer->last_number = last_number;
    producer->stamp_unix_ms = stamp_unix_ms;
    ek_table_add(&producers->table, &producer->link, ek_mix(id));
    chain_newest(producers, producer);
    producers->numbered_bytes += PRODUCER_BYTES;
    return producer;
}

void ek_producers_restore_reply(struct ek_producers *producers, struct ek_producer *producer, const struct ek_stored_reply *reply,
                                struct ek_slice body)
{
    size_t *bytes = producer ? &producers->numbered_bytes : &producers->thin_bytes;
    struct ek_replies *replies = producer ? &producer->replies : &producers->thin;
    *bytes += push(replies, reply->number, reply->position, reply->status, body);
}

static void record_thin(struct ek_producers *producers, const struct ek_verdict *verdict)
{
    producers->thin_bytes += push(&producers->thin, verdict->position, verdict->position, verdict->status, verdict->body);
    while (producers->thin_bytes > EK_PRODUCERS_BYTES_MAX)
        producers->thin_bytes -= drop_first(&producers->thin);
}

static void record_numbered(struct ek_producers *producers, const struct ek_verdict *verdict)
{
    struct ek_producer *producer = find(producers, verdict->producer);
    if (!producer && !verdict->used)
        return;
    if (producer) {
        unchain(producers, producer);
        chain_newest(producers, producer);
        producer->closed = false;
    } else {
        if (producers->table.count >= EK_PRODUCERS_PER_SHARD_MAX)
            forget_oldest(producers);
        producer = ek_producers_restore(producers, verdict->producer, 0, 0);
    }
    producer->stamp_unix_ms = verdict->stamp_unix_ms;
    producers->numbered_bytes -= drop_below(&producer->replies, verdict->lowest);
    if (verdict->used) {
        if (verdict->number >= verdict->lowest)
            producers->numbered_bytes +=
                push(&producer->replies, verdict->number, verdict->position, verdict->status, verdict->body);
        producer->last_number = verdict->number;
    }
    while (producer->replies.count > EK_UNSETTLED_MAX)
        producers->numbered_bytes -= drop_first(&producer->replies);
    while (producers->numbered_bytes > EK_PRODUCERS_BYTES_MAX && producers->oldest != producer)
        forget_oldest(producers);
}

static void record_closed(struct ek_producers *producers, uint64_t id)
{
    struct ek_producer *producer = find(producers, id);
    if (!producer || producer->closed)
        return;
    unchain(producers, producer);
    chain_closed(producers, producer);
}

void ek_producers_record(struct ek_producers *producers, const struct ek_verdict *verdict)
{
    producers->position = verdict->position + verdict->count - 1;
    if (verdict->stamp_unix_ms > producers->stamp_unix_ms)
        producers->stamp_unix_ms = verdict->stamp_unix_ms;
    /* A thin reply is named by its job's first position; the broker confirms whole jobs. */
    if (verdict->confirmed)
        producers->thin_bytes -= drop_below(&producers->thin, verdict->confirmed + 1);
    if (verdict->closed)
        record_closed(producers, verdict->closed);
    if (verdict->producer)
        record_numbered(producers, verdict);
    else if (verdict->used)
        record_thin(producers, verdict);
}
