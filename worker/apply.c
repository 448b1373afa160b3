#include "worker/apply.h"

#include "common/hash.h"
#include "common/operations.h"
#include "common/writer.h"

#include <stdlib.h>

/* A row as an operation finds it, in the group or in the store. */
struct present {
    bool there;
    uint64_t version; /* 0 when it is not there */
    uint64_t expiry_unix_ms;
    bool is_number;
    int64_t number;
    struct ek_slice value; /* unless is_number; valid until the next read */
};

void ek_apply_init(struct ek_apply *apply, struct ek_row_reader reader)
{
    *apply = (struct ek_apply){.reader = reader};
}

void ek_apply_done(struct ek_apply *apply)
{
    ek_writes_done(&apply->writes);
    ek_buffer_done(&apply->results);
    free(apply->steps);
    apply->steps = NULL;
}

struct ek_outcome_of_job ek_apply_refuse(struct ek_apply *apply, enum ek_wire_status status, uint32_t index, const char *text)
{
    ek_buffer_clear(&apply->results);
    ek_encode_refused(&apply->results, index, status, text);
    return (struct ek_outcome_of_job){.status = status, .body = ek_buffer_slice(&apply->results)};
}

/* ---- before anything is changed ---- */

static const char *check_step(const struct ek_worker_job *job, struct ek_apply_step *step, uint32_t shards)
{
    if (!ek_operation_fits(job->kind, step->operation.code))
        return "this operation does not belong into a job of this kind";
    if (ek_operation_names_letter(step->operation.code))
        return "a drop or replay of a dead letter stands alone in its job";
    step->prefix = ek_hash_prefix(step->operation.key);
    if (ek_shard_of(step->prefix, shards) != job->shard)
        return "the key belongs to another shard";
    return NULL;
}

/* Keys of one tag; or one and the same key, which then needs no tag. */
static const char *check_together(const struct ek_apply_step *first, const struct ek_apply_step *step)
{
    struct ek_slice a = first->operation.key;
    struct ek_slice b = step->operation.key;
    if (ek_slice_equal(a, b))
        return NULL;
    struct ek_slice tag = ek_hash_tag(a);
    return tag.size && ek_slice_equal(tag, ek_hash_tag(b)) ? NULL : "the keys of a transaction must share one hash tag";
}

/* Decodes all operations into apply->steps. NULL, or what is wrong with the operation `ret_index`. */
static const char *prepare(struct ek_apply *apply, const struct ek_worker_job *job, uint32_t shards, uint32_t *ret_index)
{
    struct ek_reader body = ek_reader_of(job->body);
    uint32_t count;
    *ret_index = 0;
    /* A job's count is that of its body; a dead letter's lies beside it on the disk. */
    if (ek_decode_operation_count(&body, &count) != EK_OK || count != job->count)
        return "the list of operations cannot be read";
    apply->steps = ek_grow(apply->steps, &apply->step_capacity, count, sizeof *apply->steps);
    size_t reply_bytes = 3;
    for (uint32_t i = 0; i < count; i++) {
        struct ek_apply_step *step = &apply->steps[i];
        *ret_index = i;
        enum ek_status status = ek_decode_operation(&body, &step->operation);
        if (status != EK_OK)
            return status == EK_TOO_LARGE ? "beyond a limit" : "cannot be read";
        const char *wrong = check_step(job, step, shards);
        if (!wrong && job->kind == EK_JOB_TRANSACTION)
            wrong = check_together(&apply->steps[0], step);
        if (wrong)
            return wrong;
        reply_bytes += ek_result_bytes_max(&step->operation);
        if (reply_bytes > EK_WRITE_REPLY_BYTES_MAX)
            return "the reply to this job could exceed 4 KiB: split it";
    }
    return ek_reader_ended(&body) ? NULL : "something follows the operations";
}

/* ---- one operation ---- */

static struct present of_write(const struct ek_write *write)
{
    return (struct present){.there = write->kind != EK_WRITE_DELETE,
                            .version = write->version,
                            .expiry_unix_ms = write->expiry_unix_ms,
                            .is_number = write->kind == EK_WRITE_NUMBER,
                            .number = write->number,
                            .value = write->value};
}

static enum ek_status look(struct ek_apply *apply, const struct ek_apply_step *step, uint64_t stamp_unix_ms, struct present *ret)
{
    const struct ek_write *pending = ek_writes_find(&apply->writes, step->operation.key);
    struct present found = {0};
    if (pending)
        found = of_write(pending);
    else {
        uint8_t key[EK_ROW_KEY_BYTES_MAX];
        struct ek_row row;
        size_t key_bytes = ek_row_key(key, step->prefix, step->operation.key);
        enum ek_status status = apply->reader.read(apply->reader.context, ek_slice_of(key, key_bytes), &row);
        if (status != EK_OK && status != EK_NOT_FOUND)
            return status;
        if (status == EK_OK)
            found =
                (struct present){.there = true, .version = row.version, .expiry_unix_ms = row.expiry_unix_ms, .value = row.value};
    }
    if (!found.there || ek_row_expired(found.expiry_unix_ms, stamp_unix_ms))
        found = (struct present){0};
    *ret = found;
    return EK_OK;
}

static struct ek_write write_of(const struct ek_apply_step *step, enum ek_write_kind kind, uint64_t version)
{
    return (struct ek_write){.kind = kind, .prefix = step->prefix, .key = step->operation.key, .version = version};
}

/* What an operation came to, besides its encoded result. */
struct step_result {
    enum ek_wire_status status;
    uint64_t version;
    int64_t number;
    const char *text;
};

static enum ek_status put(struct ek_apply *apply, const struct ek_apply_step *step, uint64_t version, uint64_t stamp_unix_ms,
                          struct step_result *ret)
{
    const struct ek_operation *operation = &step->operation;
    if (operation->condition != EK_CONDITION_NONE) {
        struct present found;
        enum ek_status status = look(apply, step, stamp_unix_ms, &found);
        if (status != EK_OK)
            return status;
        uint64_t wanted = operation->condition == EK_CONDITION_ABSENT ? 0 : operation->version;
        if (found.version != wanted) {
            *ret = (struct step_result){.status = EK_WIRE_CONDITION_FAILED, .version = found.version};
            return EK_OK;
        }
    }
    struct ek_write write = write_of(step, EK_WRITE_PUT, version);
    write.value = operation->value;
    write.expiry_unix_ms = operation->ttl_ms ? stamp_unix_ms + operation->ttl_ms : 0;
    ek_writes_add(&apply->writes, &write);
    return EK_OK;
}

static enum ek_status remove_row(struct ek_apply *apply, const struct ek_apply_step *step, uint64_t version, uint64_t stamp_unix_ms,
                                 struct step_result *ret)
{
    struct present found;
    enum ek_status status = look(apply, step, stamp_unix_ms, &found);
    if (status != EK_OK)
        return status;
    if (found.there) {
        struct ek_write write = write_of(step, EK_WRITE_DELETE, version);
        ek_writes_add(&apply->writes, &write);
    } else
        ret->status = EK_WIRE_NOT_FOUND;
    return EK_OK;
}

static enum ek_status exists(struct ek_apply *apply, const struct ek_apply_step *step, uint64_t stamp_unix_ms,
                             struct step_result *ret)
{
    struct present found;
    enum ek_status status = look(apply, step, stamp_unix_ms, &found);
    if (status == EK_OK && !found.there)
        ret->status = EK_WIRE_NOT_FOUND;
    return status;
}

static enum ek_status increment(struct ek_apply *apply, const struct ek_apply_step *step, uint64_t version, uint64_t stamp_unix_ms,
                                struct step_result *ret)
{
    struct present found;
    enum ek_status status = look(apply, step, stamp_unix_ms, &found);
    if (status != EK_OK)
        return status;
    int64_t number = found.number;
    if (found.there && !found.is_number && ek_row_parse_number(found.value, &number) != EK_OK) {
        *ret = (struct step_result){.status = EK_WIRE_FAILED, .text = "not a number"};
        return EK_OK;
    }
    if (__builtin_add_overflow(number, step->operation.by, &ret->number)) {
        *ret = (struct step_result){.status = EK_WIRE_FAILED, .text = "overflow"};
        return EK_OK;
    }
    struct ek_write write = write_of(step, EK_WRITE_NUMBER, version);
    write.number = ret->number;
    write.expiry_unix_ms = found.expiry_unix_ms;
    ek_writes_add(&apply->writes, &write);
    return EK_OK;
}

static enum ek_status run_step(struct ek_apply *apply, const struct ek_apply_step *step, uint64_t version, uint64_t stamp_unix_ms,
                               struct step_result *ret)
{
    *ret = (struct step_result){.status = EK_WIRE_OK};
    switch (step->operation.code) {
    case EK_OPERATION_PUT:
        return put(apply, step, version, stamp_unix_ms, ret);
    case EK_OPERATION_DELETE:
        return remove_row(apply, step, version, stamp_unix_ms, ret);
    case EK_OPERATION_EXISTS:
        return exists(apply, step, stamp_unix_ms, ret);
    case EK_OPERATION_INCREMENT:
        return increment(apply, step, version, stamp_unix_ms, ret);
    case EK_OPERATION_GET:
    case EK_OPERATION_SCAN:
    case EK_OPERATION_DEAD_LIST:
    case EK_OPERATION_DEAD_DROP:
    case EK_OPERATION_DEAD_REPLAY:
        break; /* check_step let none of them through */
    }
    return EK_OK;
}

static void encode(struct ek_buffer *out, const struct ek_operation *operation, const struct step_result *result)
{
    if (result->status == EK_WIRE_CONDITION_FAILED)
        ek_encode_condition_failed(out, result->version);
    else if (result->status == EK_WIRE_OK && operation->code == EK_OPERATION_INCREMENT)
        ek_encode_number(out, result->number);
    else
        ek_encode_status(out, result->status, result->text);
}

/* ---- a job ---- */

static bool stops_transaction(enum ek_wire_status status)
{
    return status != EK_WIRE_OK && status != EK_WIRE_NOT_FOUND;
}

static struct ek_outcome_of_job undo_transaction(struct ek_apply *apply, size_t mark, uint32_t index,
                                                 const struct ek_operation *operation, const struct step_result *result)
{
    ek_writes_undo(&apply->writes, mark);
    ek_buffer_clear(&apply->results);
    ek_write_array(&apply->results, 2);
    ek_write_uint(&apply->results, index);
    encode(&apply->results, operation, result);
    return (struct ek_outcome_of_job){.status = result->status, .body = ek_buffer_slice(&apply->results)};
}

enum ek_status ek_apply_job(struct ek_apply *apply, const struct ek_worker_job *job, uint32_t shards, enum ek_apply_way way,
                            struct ek_outcome_of_job *ret)
{
    uint32_t refused;
    const char *wrong = prepare(apply, job, shards, &refused);
    if (wrong) {
        *ret = ek_apply_refuse(apply, EK_WIRE_FAILED, refused, wrong);
        return EK_OK;
    }
    size_t mark = apply->writes.count;
    bool plain = true; /* every result is 0 */
    ek_buffer_clear(&apply->results);
    ek_write_array(&apply->results, job->count);
    for (uint32_t i = 0; i < job->count; i++) {
        const struct ek_apply_step *step = &apply->steps[i];
        struct step_result result;
        enum ek_status status =
            run_step(apply, step, job->position + (way == EK_APPLY_VERSIONS ? i : 0), job->stamp_unix_ms, &result);
        if (status != EK_OK)
            return status;
        if (job->kind == EK_JOB_TRANSACTION && stops_transaction(result.status)) {
            *ret = undo_transaction(apply, mark, i, &step->operation, &result);
            return EK_OK;
        }
        plain = plain && result.status == EK_WIRE_OK && step->operation.code != EK_OPERATION_INCREMENT;
        encode(&apply->results, &step->operation, &result);
    }
    *ret =
        (struct ek_outcome_of_job){.status = EK_WIRE_OK, .body = plain ? ek_slice_of(NULL, 0) : ek_buffer_slice(&apply->results)};
    return EK_OK;
}
