#include "worker/dead.h"

#include "common/hash.h"
#include "common/letters.h"
#include "common/operations.h"
#include "common/writer.h"
#include "worker/letters.h"

#include <stdio.h>

/* ---- the shard's letters as the group has them so far ---- */

static size_t bytes_of(const struct ek_letter *letter)
{
    return EK_DEAD_HEAD_BYTES_MAX + letter->job.size;
}

static void count(struct ek_judge_shard *shard, const struct ek_letter *letter, bool removed)
{
    shard->letters += removed ? (uint32_t)-1 : 1;
    shard->letter_bytes += removed ? 0 - bytes_of(letter) : bytes_of(letter);
}

static void change(struct ek_judge *judge, uint16_t number, uint64_t position, const struct ek_letter *letter, bool removed)
{
    struct ek_judge_shard *shard = &judge->shards[number];
    uint32_t index = (uint32_t)judge->letter_count++;
    judge->letters = ek_grow(judge->letters, &judge->letter_capacity, judge->letter_count, sizeof *judge->letters);
    judge->letters[index] = (struct ek_letter_change){
        .shard = number, .position = position, .removed = removed, .letter = *letter, .before = shard->group_letter};
    shard->group_letter = index;
    count(shard, letter, removed);
}

/* EK_NOT_FOUND, or a failure of the reader. With `keep` the letter is valid until the group is written. */
static enum ek_status find(struct ek_judge *judge, uint16_t shard, uint64_t position, bool keep, struct ek_letter *ret)
{
    for (uint32_t at = judge->shards[shard].group_letter; at != EK_JUDGE_NONE; at = judge->letters[at].before)
        if (judge->letters[at].position == position) {
            *ret = judge->letters[at].letter;
            return judge->letters[at].removed ? EK_NOT_FOUND : EK_OK;
        }
    return judge->letter_reader.read(judge->letter_reader.context, shard, position, keep, ret);
}

/* ---- setting aside ---- */

/* The first operation of a job's body; false when it cannot be read. */
static bool first_operation(struct ek_slice body, struct ek_operation *ret)
{
    struct ek_reader reader = ek_reader_of(body);
    uint32_t count_of_them;
    return ek_decode_operation_count(&reader, &count_of_them) == EK_OK && ek_decode_operation(&reader, ret) == EK_OK;
}

static bool has_room(const struct ek_judge_shard *shard, const struct ek_letter *letter)
{
    return shard->letters < EK_DEAD_LETTERS_MAX && shard->letter_bytes + bytes_of(letter) <= EK_DEAD_BYTES_MAX;
}

struct ek_outcome_of_job ek_dead_set_aside(struct ek_judge *judge, const struct ek_worker_job *job)
{
    struct ek_dead dead;
    struct ek_operation first;
    char text[EK_TEXT_BYTES_MAX];
    if (ek_decode_dead(job->body, &dead) != EK_OK)
        return ek_apply_refuse(&judge->apply, EK_WIRE_FAILED, 0, "what is to be set aside cannot be read");
    int cause_bytes = (int)dead.cause.size;
    const char *cause = (const char *)dead.cause.data;
    (void)snprintf(text, sizeof text, "%.*s", cause_bytes, cause);
    /* A replay that kills leaves its letter where it is. */
    bool kept = dead.job.data && !(first_operation(dead.job, &first) && ek_operation_names_letter(first.code));
    if (!kept)
        return ek_apply_refuse(&judge->apply, EK_WIRE_FAILED, 0, text);
    struct ek_letter letter = {.time_unix_ms = dead.time_unix_ms,
                               .producer = job->producer,
                               .kind = dead.kind,
                               .operations = dead.operations,
                               .cause = dead.cause,
                               .job = dead.job};
    if (!has_room(&judge->shards[job->shard], &letter)) {
        (void)snprintf(text, sizeof text, "%.*s; the shard keeps no more dead letters", cause_bytes > 200 ? 200 : cause_bytes,
                       cause);
        return ek_apply_refuse(&judge->apply, EK_WIRE_FAILED, 0, text);
    }
    change(judge, job->shard, job->position, &letter, false);
    return ek_apply_refuse(&judge->apply, EK_WIRE_DEAD, 0, text);
}

/* ---- drop and replay ---- */

bool ek_dead_is_asked(const struct ek_worker_job *job)
{
    if (job->kind != EK_JOB_WRITE || job->count != 1)
        return false;
    struct ek_reader body = ek_reader_of(job->body);
    (void)ek_read_array(&body);
    (void)ek_read_array(&body);
    return ek_operation_names_letter((enum ek_operation_code)ek_read_uint_max(&body, EK_OPERATION_CODE_MAX));
}

/* The reply of a job of one operation. */
static struct ek_buffer *begin_result(struct ek_judge *judge)
{
    struct ek_buffer *results = &judge->apply.results;
    ek_buffer_clear(results);
    ek_write_array(results, 1);
    return results;
}

static struct ek_outcome_of_job end_result(struct ek_judge *judge)
{
    return (struct ek_outcome_of_job){.status = EK_WIRE_OK, .body = ek_buffer_slice(&judge->apply.results)};
}

static struct ek_outcome_of_job answer(struct ek_judge *judge, enum ek_wire_status status, const char *text)
{
    ek_encode_status(begin_result(judge), status, text);
    return end_result(judge);
}

/* How many operations of a job that was just applied came to neither OK nor NOT_FOUND. */
static uint32_t count_refused(const struct ek_judge *judge, const struct ek_outcome_of_job *applied, uint32_t operations)
{
    uint32_t refused = 0;
    struct ek_reader results = ek_reader_of(applied->body);
    struct ek_result result;
    if (!applied->body.data || ek_read_array(&results) != operations)
        return 0;
    for (uint32_t i = 0; i < operations; i++)
        if (ek_decode_result(&results, judge->apply.steps[i].operation.code, &result) == EK_OK)
            refused += result.status != EK_WIRE_OK && result.status != EK_WIRE_NOT_FOUND;
    return refused;
}

/* The letter's job was refused as a whole and changed nothing: its result becomes the replay's. */
static struct ek_outcome_of_job pass_on(struct ek_judge *judge, const struct ek_outcome_of_job *refused)
{
    struct ek_reader body = ek_reader_of(refused->body);
    struct ek_result result;
    uint32_t index;
    if (ek_decode_refused(&body, &index) != EK_OK || ek_decode_result(&body, EK_OPERATION_PUT, &result) != EK_OK)
        return answer(judge, EK_WIRE_FAILED, "its job is refused");
    if (result.status != EK_WIRE_CONDITION_FAILED)
        return answer(judge, EK_WIRE_FAILED, result.text);
    ek_encode_condition_failed(begin_result(judge), result.version);
    return end_result(judge);
}

static enum ek_status replay(struct ek_judge *judge, const struct ek_worker_job *job, uint64_t position,
                             const struct ek_letter *letter, struct ek_outcome_of_job *ret)
{
    struct ek_worker_job inner = *job;
    struct ek_outcome_of_job applied;
    inner.kind = letter->kind;
    inner.count = letter->operations;
    inner.body = letter->job;
    enum ek_status status = ek_apply_job(&judge->apply, &inner, judge->shard_count, EK_APPLY_ONE_VERSION, &applied);
    if (status != EK_OK)
        return status;
    judge->replayed_bytes += letter->job.size;
    if (applied.status != EK_WIRE_OK) {
        *ret = pass_on(judge, &applied);
        return EK_OK;
    }
    uint32_t refused = count_refused(judge, &applied, letter->operations);
    change(judge, job->shard, position, letter, true);
    ek_encode_number(begin_result(judge), refused);
    *ret = end_result(judge);
    return EK_OK;
}

enum ek_status ek_dead_run(struct ek_judge *judge, const struct ek_worker_job *job, struct ek_outcome_of_job *ret)
{
    struct ek_operation operation;
    struct ek_letter letter;
    if (!first_operation(job->body, &operation)) {
        *ret = ek_apply_refuse(&judge->apply, EK_WIRE_FAILED, 0, "cannot be read");
        return EK_OK;
    }
    if (ek_shard_of(ek_operation_prefix(&operation), judge->shard_count) != job->shard) {
        *ret = ek_apply_refuse(&judge->apply, EK_WIRE_FAILED, 0, "the dead letter belongs to another shard");
        return EK_OK;
    }
    bool replays = operation.code == EK_OPERATION_DEAD_REPLAY;
    if (replays && judge->replayed_bytes >= EK_DEAD_REPLAYED_BYTES) {
        *ret = answer(judge, EK_WIRE_FAILED, "too many are replayed at once: ask again");
        return EK_OK;
    }
    uint64_t position = ek_letter_position(operation.key);
    enum ek_status status = find(judge, job->shard, position, replays, &letter);
    if (status == EK_NOT_FOUND)
        *ret = answer(judge, EK_WIRE_NOT_FOUND, NULL);
    if (status != EK_OK)
        return status == EK_NOT_FOUND ? EK_OK : status;
    if (replays)
        return replay(judge, job, position, &letter, ret);
    change(judge, job->shard, position, &letter, true);
    *ret = (struct ek_outcome_of_job){.status = EK_WIRE_OK};
    return EK_OK;
}

/* ---- figures ---- */

void ek_dead_restore(struct ek_judge *judge, uint16_t shard, const struct ek_letter *letter)
{
    count(&judge->shards[shard], letter, false);
}

uint64_t ek_dead_kept(const struct ek_judge *judge)
{
    uint64_t kept = 0;
    for (uint32_t i = 0; i < judge->shard_count; i++)
        if (judge->shards[i].epoch && judge->shards[i].state == EK_HOLDING_SERVING)
            kept += judge->shards[i].letters;
    return kept;
}
