#include "broker/outbox.h"

#include "common/table.h"

#include <stdlib.h>

enum {
    SPARES_MAX = 4 /* boxes whose memory waits for the next peers */
};
#define SPARE_BYTES_MAX ((size_t)1024 * 1024) /* of an envelope that is kept */

/* A peer with something to send, or large messages that ZeroMQ still holds; it ends as soon as it has neither. */
struct box {
    struct ek_table_link by_peer;
    struct box *next;
    ek_peer peer;
    struct ek_envelope envelope;
    enum ek_message_type type; /* of the envelope; all but replies are for a worker, over */
    struct ek_link link;
    uint64_t attempt; /* of the writes that a learner is fed: one in an envelope */
    struct ek_owned *backlog;
    size_t backlog_first;
    size_t backlog_count;
    size_t backlog_capacity;
    size_t backlog_bytes;
    struct ek_unsent *unsent; /* of large messages; NULL when there was none */
};

struct ek_outbox {
    struct ek_socket *socket;
    size_t peer_bytes_max;
    size_t bytes_max;
    size_t bytes;
    struct ek_table boxes;
    struct box *first;
    struct box *latest; /* the one used last, since the last flush; most often the next one, too */
    struct box *spare;  /* by `next` */
    size_t spare_count;
    ek_peer *lost;
    size_t lost_count;
    size_t lost_capacity;
};

struct ek_outbox *ek_outbox_new(struct ek_socket *socket, size_t peer_bytes_max, size_t bytes_max)
{
    struct ek_outbox *outbox = ek_alloc_zero(1, sizeof *outbox);
    outbox->socket = socket;
    outbox->peer_bytes_max = peer_bytes_max;
    outbox->bytes_max = bytes_max;
    return outbox;
}

static void drop_backlog(struct ek_outbox *outbox, struct box *box)
{
    for (size_t i = box->backlog_first; i < box->backlog_count; i++)
        free(box->backlog[i].memory);
    outbox->bytes -= box->backlog_bytes;
    box->backlog_first = box->backlog_count = box->backlog_bytes = 0;
}

static void free_box(struct box *box)
{
    ek_envelope_done(&box->envelope);
    free(box->backlog);
    free(box);
}

/* What an envelope grew to is what the next one needs: growing again would copy it twice, and take pages from the system each time.
 */
static void end_box(struct ek_outbox *outbox, struct box *box)
{
    drop_backlog(outbox, box);
    ek_unsent_destroy(&box->unsent);
    ek_table_remove(&outbox->boxes, &box->by_peer);
    if (outbox->spare_count == SPARES_MAX || box->envelope.bytes.capacity > SPARE_BYTES_MAX) {
        free_box(box);
        return;
    }
    free(box->backlog);
    *box = (struct box){.next = outbox->spare, .envelope = box->envelope};
    outbox->spare = box;
    outbox->spare_count++;
}

static struct box *take_box(struct ek_outbox *outbox)
{
    struct box *box = outbox->spare;
    if (!box)
        return ek_alloc_zero(1, sizeof *box);
    outbox->spare = box->next;
    outbox->spare_count--;
    return box;
}

static void free_boxes(struct box *first)
{
    for (struct box *box = first, *next; box; box = next) {
        next = box->next;
        free_box(box);
    }
}

void ek_outbox_destroy(struct ek_outbox **outbox)
{
    if (!*outbox)
        return;
    while ((*outbox)->first) {
        struct box *box = (*outbox)->first;
        (*outbox)->first = box->next;
        end_box(*outbox, box);
    }
    free_boxes((*outbox)->spare);
    ek_table_done(&(*outbox)->boxes);
    free((*outbox)->lost);
    free(*outbox);
    *outbox = NULL;
}

static bool same_peer(const struct ek_table_link *item, const void *wanted)
{
    return EK_ITEM(item, struct box, by_peer)->peer == *(const ek_peer *)wanted;
}

static struct box *find_box(const struct ek_outbox *outbox, ek_peer peer)
{
    struct ek_table_link *found = ek_table_find(&outbox->boxes, ek_mix(peer), same_peer, &peer);
    return found ? EK_ITEM(found, struct box, by_peer) : NULL;
}

static struct box *new_box(struct ek_outbox *outbox, ek_peer peer)
{
    struct box *box = take_box(outbox);
    box->peer = peer;
    ek_table_add(&outbox->boxes, &box->by_peer, ek_mix(peer));
    box->next = outbox->first;
    outbox->first = box;
    return box;
}

static struct box *box_of(struct ek_outbox *outbox, ek_peer peer)
{
    if (outbox->latest && outbox->latest->peer == peer)
        return outbox->latest;
    struct box *box = find_box(outbox, peer);
    outbox->latest = box ? box : new_box(outbox, peer);
    return outbox->latest;
}

static size_t unsent_bytes(const struct box *box)
{
    return box->unsent ? ek_unsent_bytes(box->unsent) : 0;
}

bool ek_outbox_is_slow(const struct ek_outbox *outbox, ek_peer peer)
{
    const struct box *box = find_box(outbox, peer);
    return box && box->backlog_bytes + unsent_bytes(box) > outbox->peer_bytes_max;
}

static enum ek_status send(struct ek_outbox *outbox, struct box *box, struct ek_owned message)
{
    if (message.message.size <= EK_OUTBOX_LARGE_BYTES)
        return ek_socket_send(outbox->socket, box->peer, message);
    if (!box->unsent)
        box->unsent = ek_unsent_new();
    return ek_socket_send_counted(outbox->socket, box->peer, message, box->unsent);
}

static bool has_backlog(const struct box *box)
{
    return box->backlog_first < box->backlog_count;
}

static void report_lost(struct ek_outbox *outbox, ek_peer peer)
{
    outbox->lost = ek_grow(outbox->lost, &outbox->lost_capacity, outbox->lost_count + 1, sizeof *outbox->lost);
    outbox->lost[outbox->lost_count++] = peer;
}

bool ek_outbox_next_lost(struct ek_outbox *outbox, ek_peer *ret_peer)
{
    if (outbox->lost_count == 0)
        return false;
    *ret_peer = outbox->lost[--outbox->lost_count];
    return true;
}

static void keep(struct ek_outbox *outbox, struct box *box, struct ek_owned message)
{
    size_t size = message.message.size;
    if (box->backlog_bytes + size > outbox->peer_bytes_max || outbox->bytes + size > outbox->bytes_max) {
        free(message.memory);
        drop_backlog(outbox, box);
        report_lost(outbox, box->peer);
        return;
    }
    if (box->backlog_first == box->backlog_count)
        box->backlog_first = box->backlog_count = 0;
    box->backlog = ek_grow(box->backlog, &box->backlog_capacity, box->backlog_count + 1, sizeof *box->backlog);
    box->backlog[box->backlog_count++] = message;
    box->backlog_bytes += size;
    outbox->bytes += size;
}

/* Sends the backlog as far as the pipe takes it. */
static void send_backlog(struct ek_outbox *outbox, struct box *box)
{
    while (has_backlog(box)) {
        struct ek_owned message = box->backlog[box->backlog_first];
        enum ek_status status = send(outbox, box, message);
        if (status == EK_AGAIN)
            return;
        box->backlog_first++;
        box->backlog_bytes -= message.message.size;
        outbox->bytes -= message.message.size;
        if (status == EK_UNREACHABLE) {
            drop_backlog(outbox, box);
            report_lost(outbox, box->peer);
        }
    }
}

static void send_or_keep(struct ek_outbox *outbox, struct box *box, struct ek_owned message)
{
    if (has_backlog(box)) {
        keep(outbox, box, message);
        return;
    }
    enum ek_status status = send(outbox, box, message);
    if (status == EK_AGAIN)
        keep(outbox, box, message);
    else if (status == EK_UNREACHABLE)
        report_lost(outbox, box->peer);
}

static void seal(struct ek_outbox *outbox, struct box *box)
{
    if (box->envelope.count == 0)
        return;
    const struct ek_link *link = box->type == EK_MESSAGE_REPLIES ? NULL : &box->link;
    bool large = ek_envelope_bytes(&box->envelope) > EK_OUTBOX_LARGE_BYTES; /* it would cost more to copy than to grow again */
    send_or_keep(outbox, box, (large ? ek_envelope_seal : ek_envelope_seal_copy)(&box->envelope, box->type, link));
}

/* What is open and of another kind goes first. */
static void open_envelope(struct ek_outbox *outbox, struct box *box, enum ek_message_type type, struct ek_link link,
                          uint64_t attempt)
{
    if (box->type != type || box->link.link != link.link || box->attempt != attempt)
        seal(outbox, box);
    box->type = type;
    box->link = link;
    box->attempt = attempt;
}

void ek_outbox_reply(struct ek_outbox *outbox, ek_peer peer, const struct ek_reply *reply)
{
    struct box *box = box_of(outbox, peer);
    open_envelope(outbox, box, EK_MESSAGE_REPLIES, (struct ek_link){0}, 0);
    ek_encode_reply(&box->envelope, reply);
    if (ek_envelope_full(&box->envelope))
        seal(outbox, box);
}

void ek_outbox_job(struct ek_outbox *outbox, ek_peer peer, struct ek_link link, const struct ek_worker_job *job)
{
    struct box *box = box_of(outbox, peer);
    open_envelope(outbox, box, EK_MESSAGE_WORKER_JOBS, link, 0);
    ek_encode_worker_job(&box->envelope, job);
    if (ek_envelope_full(&box->envelope))
        seal(outbox, box);
}

void ek_outbox_fed(struct ek_outbox *outbox, ek_peer peer, struct ek_link link, const struct ek_fed *fed)
{
    struct box *box = box_of(outbox, peer);
    open_envelope(outbox, box, EK_MESSAGE_WORKER_FEED, link, fed->job.token);
    ek_encode_fed(&box->envelope, fed);
    if (ek_envelope_full(&box->envelope))
        seal(outbox, box);
}

void ek_outbox_message(struct ek_outbox *outbox, ek_peer peer, struct ek_owned message)
{
    struct box *box = box_of(outbox, peer);
    seal(outbox, box);
    send_or_keep(outbox, box, message);
}

void ek_outbox_offer(struct ek_outbox *outbox, ek_peer peer, struct ek_owned message)
{
    struct box *box = box_of(outbox, peer);
    seal(outbox, box);
    if (has_backlog(box) || send(outbox, box, message) == EK_AGAIN)
        free(message.memory);
}

void ek_outbox_flush(struct ek_outbox *outbox)
{
    outbox->latest = NULL;
    for (struct box **at = &outbox->first; *at;) {
        struct box *box = *at;
        send_backlog(outbox, box);
        seal(outbox, box);
        if (has_backlog(box) || unsent_bytes(box)) {
            at = &box->next;
            continue;
        }
        *at = box->next;
        end_box(outbox, box);
    }
}

bool ek_outbox_waits(const struct ek_outbox *outbox)
{
    for (const struct box *box = outbox->first; box; box = box->next)
        if (has_backlog(box) || box->envelope.count)
            return true;
    return false;
}
