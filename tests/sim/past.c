#include "tests/sim/past.h"

#include "common/codec.h"
#include "common/operations.h"
#include "tests/sim/cluster.h"
#include "tests/sim/disk.h"
#include "tests/sim/links.h"
#include "tests/sim/net.h"
#include "tests/sim/tally.h"
#include "worker/book.h"

#include <inttypes.h>
#include <stdlib.h>

enum { KEPT_MAX = 16 };
/* Tokens that no broker gives: the use of a slot that it does not have. */
#define TOKEN_FIRST UINT64_C(0xffffffff00000000)

/* A message, whole. */
struct kept {
    uint8_t *bytes;
    size_t size;
    struct ek_link link;
};

static struct kept kept[SIM_PLACES_MAX][KEPT_MAX]; /* by the worker's number */
static unsigned kept_count[SIM_PLACES_MAX];
static uint64_t last_token;

void sim_past_keep(const struct sim_process *worker, struct ek_slice message, struct ek_reader replies)
{
    struct ek_link link;
    if (ek_decode_link(&replies, &link) != EK_OK)
        return;
    struct kept *place = &kept[worker->number][kept_count[worker->number]++ % KEPT_MAX];
    free(place->bytes);
    *place = (struct kept){.bytes = ek_slice_copy(message), .size = message.size, .link = link};
}

void sim_past_repeat_replies(const struct sim_process *worker)
{
    struct ek_link link = sim_links_of(worker);
    for (size_t i = 0; i < KEPT_MAX; i++) {
        const struct kept *found = &kept[worker->number][i];
        bool is_past = found->link.link != link.link || found->link.generation != link.generation;
        if (found->bytes && is_past && sim_net_forge(worker, true, ek_slice_of(found->bytes, found->size)))
            sim_count(SIM_COUNT_PAST_REPLIES);
    }
}

/* ---- jobs ---- */

/* A role that the worker has on disk; false: none was found this time. */
static bool some_role(const struct sim_disk *disk, struct ek_holding *ret)
{
    const struct sim_rows *rows = &disk->spaces[EK_STORE_BOOK];
    uint64_t wanted = sim_draw(EK_SHARDS_MAX);
    for (size_t i = 0; i < rows->count; i++) {
        enum ek_book_kind kind;
        uint64_t number;
        if (ek_book_parse_key(ek_slice_of(rows->rows[i].key, rows->rows[i].key_size), &kind, &number) == EK_OK &&
            kind == EK_BOOK_ROLE && number == wanted) {
            ret->shard = (uint16_t)number;
            return ek_book_decode_role(ek_slice_of(rows->rows[i].value, rows->rows[i].value_size), ret) == EK_OK;
        }
    }
    return false;
}

void sim_past_send_job(const struct sim_process *worker, const struct sim_disk *disk)
{
    struct ek_holding role = {0};
    struct ek_buffer cause = {0};
    struct ek_envelope envelope = {0};
    if (!some_role(disk, &role))
        return;
    struct ek_link link = sim_links_of(worker);
    struct ek_worker_job job = {.token = TOKEN_FIRST + last_token,
                                .shard = role.shard,
                                .epoch = role.state == EK_HOLDING_SERVING ? role.epoch - 1 : role.epoch,
                                .kind = EK_JOB_CANCEL,
                                .position = 1 + sim_draw(1000),
                                .count = 1};
    ek_encode_cause(&cause, EK_WIRE_OK);
    job.body = ek_buffer_slice(&cause);
    ek_encode_worker_job(&envelope, &job);
    struct ek_owned message = ek_envelope_seal(&envelope, EK_MESSAGE_WORKER_JOBS, &link);
    if (sim_net_forge(worker, false, message.message)) {
        sim_count(SIM_COUNT_PAST_JOB);
        last_token++;
    }
    free(message.memory);
    ek_buffer_done(&cause);
}

void sim_past_look(const struct sim_process *worker, uint64_t token, enum ek_wire_status status)
{
    if (token >= TOKEN_FIRST && status != EK_WIRE_STALE)
        sim_fail("%s answers %s to a job of an epoch that is over, or of a shard that it has released", worker->name,
                 ek_wire_status_name(status));
}
