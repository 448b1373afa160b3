#include "worker/reads.h"

#include "common/hash.h"
#include "common/operations.h"
#include "common/writer.h"
#include "worker/letters.h"
#include "worker/scan.h"

#include <stdlib.h>
#include <string.h>

enum {
    PACE_FIRST = 8,
    PACE_MAX = EK_STORE_GETS_MAX,
    RESULT_BYTES = 32,                   /* of a get beside its value */
    SMALL_CHUNK_BYTES = 1024 * 1024,     /* rows read at once that held less: more are asked for next time */
    LARGE_CHUNK_BYTES = 8 * 1024 * 1024, /* that held more: fewer */
    PAUSE_BYTES = 4 * 1024 * 1024,
    PAUSE_ROWS = 100000 /* some 100 ms of scans */
};

/* A job of the present round. */
struct ek_reads_job {
    const struct ek_read *read;
    uint32_t first; /* its operations */
    uint32_t count;
    const char *wrong; /* why it is FAILED, or NULL */
    uint32_t wrong_index;
    uint32_t rows_looked; /* by its scans */
    size_t held_bytes;    /* of the rows that its reply will hold */
    uint64_t now_unix_ms; /* for the rows read last */
};

void ek_reads_done(struct ek_reads *reads)
{
    free(reads->operations);
    free(reads->lookups);
    free(reads->order);
    free(reads->jobs);
    ek_buffer_done(&reads->keys);
    ek_buffer_done(&reads->body);
    ek_buffer_done(&reads->entries);
    *reads = (struct ek_reads){0};
}

/* ---- what is asked ---- */

/* Scans and lists walk through the store by themselves; everything else is looked up by key. */
static bool walks(const struct ek_operation *operation)
{
    return operation->code == EK_OPERATION_SCAN || operation->code == EK_OPERATION_DEAD_LIST;
}

static const char *check(const struct ek_worker_job *job, const struct ek_operation *operation, uint32_t shards)
{
    if (!ek_operation_fits(EK_JOB_READ, operation->code))
        return "this operation does not belong into a read";
    if (ek_shard_of(ek_operation_prefix(operation), shards) != job->shard)
        return "the key belongs to another shard";
    return NULL;
}

static void decode(struct ek_reads *reads, struct ek_reads_job *job, uint32_t shards)
{
    struct ek_reader body = ek_reader_of(job->read->job->body);
    uint32_t count;
    if (ek_decode_operation_count(&body, &count) != EK_OK || count != job->count) {
        job->wrong = "the list of operations cannot be read";
        return;
    }
    for (uint32_t i = 0; i < count && !job->wrong; i++) {
        struct ek_operation *operation = &reads->operations[job->first + i];
        enum ek_status status = ek_decode_operation(&body, operation);
        job->wrong_index = i;
        job->wrong = status == EK_TOO_LARGE ? "beyond a limit"
                     : status != EK_OK      ? "cannot be read"
                                            : check(job->read->job, operation, shards);
    }
    if (!job->wrong && !ek_reader_ended(&body))
        job->wrong = "something follows the operations";
}

/* Takes as many jobs as make a round, at least one. Returns how many. */
static size_t gather(struct ek_reads *reads, uint32_t shards, const struct ek_read *jobs, size_t count)
{
    size_t taken = 0;
    size_t operations = 0;
    while (taken < count && (taken == 0 || operations + jobs[taken].job->count <= reads->pace)) {
        size_t first = operations;
        operations += jobs[taken].job->count;
        reads->operations = ek_grow(reads->operations, &reads->operation_capacity, operations, sizeof *reads->operations);
        reads->lookups = ek_grow(reads->lookups, &reads->lookup_capacity, operations, sizeof *reads->lookups);
        memset(reads->lookups + first, 0, (operations - first) * sizeof *reads->lookups);
        reads->jobs = ek_grow(reads->jobs, &reads->job_capacity, taken + 1, sizeof *reads->jobs);
        reads->jobs[taken] = (struct ek_reads_job){.read = &jobs[taken], .first = (uint32_t)first, .count = jobs[taken].job->count};
        decode(reads, &reads->jobs[taken], shards);
        taken++;
    }
    return taken;
}

static int compare_keys(const void *left, const void *right)
{
    return ek_slice_compare(((const struct ek_lookup_order *)left)->key, ((const struct ek_lookup_order *)right)->key);
}

static size_t key_room(const struct ek_reads *reads, const struct ek_reads_job *job)
{
    size_t room = 0;
    for (uint32_t i = 0; i < job->count && !job->wrong; i++)
        room += EK_ROW_PREFIX_BYTES + reads->operations[job->first + i].key.size;
    return room;
}

/* The rows to look up, by physical key. Returns how many. */
static size_t sort_lookups(struct ek_reads *reads, size_t jobs)
{
    size_t room = 0;
    for (size_t j = 0; j < jobs; j++)
        room += key_room(reads, &reads->jobs[j]);
    ek_buffer_clear(&reads->keys);
    uint8_t *at = ek_buffer_reserve(&reads->keys, room);
    size_t count = 0;
    for (size_t j = 0; j < jobs; j++) {
        const struct ek_reads_job *job = &reads->jobs[j];
        for (uint32_t i = 0; i < job->count && !job->wrong; i++) {
            const struct ek_operation *operation = &reads->operations[job->first + i];
            if (walks(operation))
                continue;
            size_t bytes = ek_row_key(at, ek_hash_prefix(operation->key), operation->key);
            reads->order = ek_grow(reads->order, &reads->order_capacity, count + 1, sizeof *reads->order);
            reads->order[count++] =
                (struct ek_lookup_order){.key = ek_slice_of(at, bytes), .job = (uint32_t)j, .lookup = job->first + i};
            at += bytes;
        }
    }
    if (count > 1)
        qsort(reads->order, count, sizeof *reads->order, compare_keys);
    return count;
}

/* ---- looking up ---- */

/* Keeps the row when the reply has room for it. */
static enum ek_status settle(struct ek_reads *reads, const struct ek_lookup_order *order, struct ek_pinned *pinned)
{
    struct ek_lookup *lookup = &reads->lookups[order->lookup];
    struct ek_reads_job *job = &reads->jobs[order->job];
    lookup->status = EK_WIRE_NOT_FOUND;
    enum ek_status status = pinned->holder ? ek_row_decode(pinned->bytes, &lookup->row) : EK_OK;
    bool present = pinned->holder && status == EK_OK && !ek_row_expired(lookup->row.expiry_unix_ms, job->now_unix_ms);
    if (present) {
        lookup->status = EK_WIRE_OK;
        lookup->ttl_ms = lookup->row.expiry_unix_ms - job->now_unix_ms;
    }
    bool wanted = present && reads->operations[order->lookup].code == EK_OPERATION_GET;
    size_t bytes = lookup->row.value.size + RESULT_BYTES;
    if (wanted && job->count > 1 && job->held_bytes + bytes > EK_READ_REPLY_BYTES_GOAL) {
        lookup->status = EK_WIRE_ALONE;
        wanted = false;
    }
    if (wanted) {
        job->held_bytes += bytes;
        lookup->pinned = *pinned;
    } else
        ek_pinned_done(pinned);
    return status;
}

/* A job whose reply is full needs no more rows read: gets say ALONE unseen. */
static bool is_full(const struct ek_reads *reads, const struct ek_lookup_order *order)
{
    const struct ek_reads_job *job = &reads->jobs[order->job];
    return job->count > 1 && job->held_bytes + RESULT_BYTES > EK_READ_REPLY_BYTES_GOAL &&
           reads->operations[order->lookup].code == EK_OPERATION_GET;
}

/* Takes the next up to `limit` rows that have to be read. Returns how many entries of the order are done with. */
static size_t choose(struct ek_reads *reads, size_t from, size_t total, size_t limit, size_t *ret_chosen, size_t *ret_count)
{
    size_t at = from;
    *ret_count = 0;
    for (; at < total && *ret_count < limit; at++) {
        if (is_full(reads, &reads->order[at]))
            reads->lookups[reads->order[at].lookup].status = EK_WIRE_ALONE;
        else
            ret_chosen[(*ret_count)++] = at;
    }
    return at - from;
}

/* What is read at once is held in memory until it is encoded: at most about EK_VALUE_BYTES_MAX times the pace. */
static void set_pace(struct ek_reads *reads, size_t chunk_bytes)
{
    if (chunk_bytes > LARGE_CHUNK_BYTES && reads->pace > 1)
        reads->pace /= 2;
    else if (chunk_bytes < SMALL_CHUNK_BYTES && reads->pace < PACE_MAX)
        reads->pace *= 2;
}

/* One time for all that a job reads at once. */
static void set_now(struct ek_reads *reads, const struct ek_stamps *stamps, const size_t *chosen, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct ek_reads_job *job = &reads->jobs[reads->order[chosen[i]].job];
        job->now_unix_ms = ek_stamps_now(stamps, job->read->job->shard, job->read->job->stamp_unix_ms);
    }
}

static enum ek_status look_up(struct ek_reads *reads, struct ek_reads_source source, size_t total, struct ek_error *error)
{
    for (size_t at = 0; at < total;) {
        size_t chosen[EK_STORE_GETS_MAX];
        struct ek_slice keys[EK_STORE_GETS_MAX];
        struct ek_pinned rows[EK_STORE_GETS_MAX];
        size_t count;
        at += choose(reads, at, total, reads->pace, chosen, &count);
        for (size_t i = 0; i < count; i++)
            keys[i] = reads->order[chosen[i]].key;
        enum ek_status status = count ? ek_store_get_many(source.store, keys, count, rows, error) : EK_OK;
        if (status != EK_OK)
            return status;
        set_now(reads, source.stamps, chosen, count);
        size_t bytes = 0;
        enum ek_status worst = EK_OK;
        for (size_t i = 0; i < count; i++) {
            bytes += rows[i].bytes.size;
            status = settle(reads, &reads->order[chosen[i]], &rows[i]);
            worst = status == EK_OK ? worst : status;
        }
        if (worst != EK_OK)
            return ek_error_set(error, worst, "a stored row cannot be read: %s",
                                worst == EK_NEWER ? "it is of a newer format" : "it is damaged");
        set_pace(reads, bytes);
    }
    return EK_OK;
}

/* ---- answering ---- */

static void encode_lookup(struct ek_buffer *out, const struct ek_operation *operation, struct ek_lookup *lookup)
{
    if (operation->code != EK_OPERATION_GET || lookup->status != EK_WIRE_OK) {
        ek_encode_status(out, lookup->status, NULL);
        return;
    }
    struct ek_entry entry = {.version = lookup->row.version,
                             .value = lookup->row.value,
                             .has_ttl = lookup->row.expiry_unix_ms != 0,
                             .ttl_ms = lookup->ttl_ms};
    ek_encode_get(out, &entry);
    ek_pinned_done(&lookup->pinned);
}

static enum ek_status encode_job(struct ek_reads *reads, struct ek_reads_source source, struct ek_reads_job *job,
                                 struct ek_worker_reply *reply, struct ek_error *error)
{
    const struct ek_worker_job *asked = job->read->job;
    ek_buffer_clear(&reads->body);
    *reply = (struct ek_worker_reply){.token = asked->token, .status = job->wrong ? EK_WIRE_FAILED : EK_WIRE_OK};
    bool plain = true; /* every result is 0 */
    if (job->wrong) {
        ek_encode_refused(&reads->body, job->wrong_index, EK_WIRE_FAILED, job->wrong);
        plain = false;
    } else
        ek_write_array(&reads->body, job->count);
    for (uint32_t i = 0; i < job->count && !job->wrong; i++) {
        const struct ek_operation *operation = &reads->operations[job->first + i];
        struct ek_lookup *lookup = &reads->lookups[job->first + i];
        if (!walks(operation)) {
            plain = plain && operation->code == EK_OPERATION_EXISTS && lookup->status == EK_WIRE_OK;
            encode_lookup(&reads->body, operation, lookup);
            continue;
        }
        plain = false;
        struct ek_scan scan = {.shard = asked->shard,
                               .shards = source.shards,
                               .stamps = source.stamps,
                               .now_unix_ms = asked->stamp_unix_ms,
                               .alone = job->count == 1,
                               .rows_left = EK_SCAN_ROWS_MAX - job->rows_looked,
                               .room_bytes = EK_READ_REPLY_BYTES_GOAL > job->held_bytes + reads->body.size
                                                 ? EK_READ_REPLY_BYTES_GOAL - job->held_bytes - reads->body.size
                                                 : 0};
        enum ek_status status = operation->code == EK_OPERATION_SCAN
                                    ? ek_scan_run(&scan, source.store, operation, &reads->entries, &reads->body, error)
                                    : ek_letters_list(&scan, source.store, operation, &reads->entries, &reads->body, error);
        job->rows_looked = EK_SCAN_ROWS_MAX - scan.rows_left;
        if (status != EK_OK)
            return status;
    }
    reply->body = plain ? ek_slice_of(NULL, 0) : ek_buffer_slice(&reads->body);
    return EK_OK;
}

enum ek_status ek_reads_run(struct ek_reads *reads, struct ek_reads_source source, const struct ek_read *jobs, size_t count,
                            struct ek_answers *answers, uint32_t *ret_bytes, size_t *ret_done, struct ek_error *error)
{
    uint32_t rows = 0;
    size_t bytes = 0;
    size_t done = 0;
    if (reads->pace == 0 || reads->pace > PACE_FIRST)
        reads->pace = PACE_FIRST; /* nothing tells beforehand how large these rows are */
    while (done < count && rows < PAUSE_ROWS && bytes < PAUSE_BYTES) {
        size_t taken = gather(reads, source.shards, jobs + done, count - done);
        enum ek_status status = look_up(reads, source, sort_lookups(reads, taken), error);
        for (size_t j = 0; j < taken && status == EK_OK; j++) {
            struct ek_worker_reply reply;
            status = encode_job(reads, source, &reads->jobs[j], &reply, error);
            if (status != EK_OK)
                break;
            ek_answers_add(answers, reads->jobs[j].read->link, &reply);
            ret_bytes[done + j] = (uint32_t)reply.body.size;
            rows += reads->jobs[j].rows_looked;
            bytes += reply.body.size;
        }
        if (status != EK_OK)
            return status; /* what is still held goes with the process */
        done += taken;
    }
    *ret_done = done;
    return EK_OK;
}
