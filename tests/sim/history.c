#include "tests/sim/history.h"

#include "common/hash.h"
#include "tests/sim/cluster.h"
#include "tests/sim/ledger.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS_MAX = 16384, STATES_MAX = 400000, NUMBER_TEXT_MAX = 24, CLOSE_CALLS = 24 };

static struct sim_call *calls[CALLS_MAX];
static size_t call_count;
static size_t acknowledged;
static uint64_t clock_ticks; /* of calls and returns: no two share one */
static bool undecided;

const char *sim_key(unsigned tag, unsigned key)
{
    static char keys[SIM_TAGS][SIM_TAG_KEYS][24];
    (void)snprintf(keys[tag][key], sizeof keys[tag][key], "{t%u}/%c", tag, "abne"[key]);
    return keys[tag][key];
}

void sim_history_writes(struct sim_call *call, bool thin)
{
    call->call.writes = true;
    call->thin = thin;
    if (!thin)
        sim_ledger_submitted(ek_shard_of(ek_hash_prefix(ek_slice_text(sim_key(call->tag, 0))), sim_shard_count()), call);
}

struct sim_call *sim_history_begin(unsigned session, unsigned tag, size_t count)
{
    if (call_count == CALLS_MAX)
        abort();
    struct sim_call *call = sim_alloc(1, sizeof *call);
    calls[call_count++] = call;
    call->tag = tag;
    sim_tell("call %" PRIu64 " of session %u on tag %u", clock_ticks + 1, session, tag);
    call->called_us = sim_now_us();
    call->returned_us = SIM_NEVER;
    call->call = (struct check_call){.session = session,
                                     .called = ++clock_ticks,
                                     .returned = CHECK_NEVER,
                                     .maybe = true,
                                     .steps = call->steps,
                                     .step_count = count};
    return call;
}

void sim_history_refused(struct sim_call *call)
{
    call->ended = call->never = true;
}

/* ---- answers ---- */

uint64_t sim_text_number(struct ek_slice value)
{
    char text[NUMBER_TEXT_MAX] = {0};
    size_t size = value.size < sizeof text ? value.size : sizeof text - 1;
    memcpy(text, value.data, size);
    return text[0] == 'v' ? strtoull(text + 1, NULL, 10) : 0;
}

static void read_value(struct check_step *step, const struct ek_reading *reading)
{
    struct ek_slice value = ek_slice_of(reading->value, reading->value_size);
    char text[NUMBER_TEXT_MAX] = {0};
    step->value = (int64_t)sim_text_number(value);
    step->is_number = step->value == 0;
    if (!step->is_number)
        return;
    memcpy(text, value.data, value.size < sizeof text ? value.size : sizeof text - 1);
    step->value = strtoll(text, NULL, 10);
}

static void answer_step(struct check_step *step, const struct ek_completion *completion)
{
    switch (completion->outcome) {
    case EK_OUTCOME_OK:
        step->answer = CHECK_OK;
        step->version = step->kind == CHECK_DELETE || step->kind == CHECK_EXISTS ? 0 : completion->version;
        step->result = completion->number;
        if (step->kind == CHECK_GET) {
            read_value(step, &completion->reading);
            step->version = completion->reading.version;
        }
        break;
    case EK_OUTCOME_NOT_FOUND:
        step->answer = CHECK_NOT_FOUND;
        break;
    case EK_OUTCOME_CONDITION_FAILED:
        step->answer = CHECK_REFUSED;
        step->version = completion->version;
        break;
    case EK_OUTCOME_FAILED:
        step->answer = CHECK_FAILED;
        if (step->kind != CHECK_INCREMENT)
            sim_fail("a call that is in order FAILED: %s", completion->text);
        break;
    default:
        sim_fail("a step ended as %s", ek_outcome_name(completion->outcome));
    }
}

/* The scan's reply was full before it came to this key. */
static bool is_behind(const struct ek_completion *completion, const char *key)
{
    enum { PREFIX_BYTES = 2 };
    if (!completion->cursor)
        return false;
    struct ek_slice cursor =
        ek_slice_of((const uint8_t *)completion->cursor + PREFIX_BYTES, completion->cursor_size - PREFIX_BYTES);
    return ek_slice_compare(ek_slice_text(key), cursor) > 0;
}

/* A scan of a whole tag: a get of every key. */
static void answer_scan(struct sim_call *call, const struct ek_completion *completion)
{
    for (unsigned i = 0; i < SIM_TAG_KEYS; i++) {
        call->steps[i].answer = is_behind(completion, sim_key(call->tag, i)) ? CHECK_UNSEEN : CHECK_NOT_FOUND;
        for (size_t k = 0; k < completion->found_count; k++) {
            const struct ek_found *found = &completion->found[k];
            const char *key = sim_key(call->tag, i);
            if (found->key_size != strlen(key) || memcmp(found->key, key, found->key_size) != 0)
                continue;
            if (call->steps[i].answer == CHECK_OK)
                sim_fail("a scan shows %s twice", key);
            call->steps[i].answer = CHECK_OK;
            call->steps[i].version = found->version;
            read_value(&call->steps[i], &(struct ek_reading){.value = found->value, .value_size = found->value_size});
        }
    }
}

static void end_without_verdict(struct sim_call *call, enum ek_outcome outcome)
{
    call->never = !call->call.writes || outcome != EK_OUTCOME_UNKNOWN;
    if (outcome != EK_OUTCOME_UNKNOWN && outcome != EK_OUTCOME_EXPIRED && outcome != EK_OUTCOME_BUSY &&
        outcome != EK_OUTCOME_UNAVAILABLE)
        sim_fail("a call ended as %s", ek_outcome_name(outcome));
}

void sim_history_answered(struct sim_call *call, enum ek_outcome outcome)
{
    if (call->ended)
        sim_fail("a call was answered twice");
    call->ended = true;
    call->returned_us = sim_now_us();
    sim_note(20 + outcome, call->call.called);
    sim_tell("call %" PRIu64 " of session %u: %s", call->call.called, call->call.session, ek_outcome_name(outcome));
    bool verdict = outcome == EK_OUTCOME_OK || outcome == EK_OUTCOME_NOT_FOUND || outcome == EK_OUTCOME_CONDITION_FAILED ||
                   outcome == EK_OUTCOME_FAILED;
    if (!verdict) {
        end_without_verdict(call, outcome);
        return;
    }
    call->call.returned = ++clock_ticks;
    call->call.maybe = false;
    acknowledged += call->call.writes;
}

void sim_history_end(void *context, const struct ek_completion *completions, size_t count)
{
    struct sim_call *call = context;
    struct check_call *check = &call->call;
    enum ek_outcome outcome = completions->outcome;
    bool transaction = check->writes && check->step_count > 1;
    bool refused = outcome == EK_OUTCOME_CONDITION_FAILED || outcome == EK_OUTCOME_FAILED;
    if (transaction && count == 1) {
        check->refused = refused;
        check->refused_at = completions->failed_index;
        if (refused && check->refused_at >= check->step_count)
            sim_fail("a transaction was refused because of step %u of %zu", check->refused_at, check->step_count);
        else if (refused)
            answer_step(&check->steps[check->refused_at], completions);
        sim_history_answered(call, outcome);
        return;
    }
    bool verdict = outcome == EK_OUTCOME_OK || outcome == EK_OUTCOME_NOT_FOUND || refused || transaction;
    if (verdict && !check->writes && check->step_count > 1)
        answer_scan(call, completions);
    else if (verdict)
        for (size_t i = 0; i < count; i++)
            answer_step(&check->steps[i], &completions[i]);
    sim_history_answered(call, transaction ? EK_OUTCOME_OK : outcome);
}

size_t sim_history_calls(void)
{
    return call_count;
}

size_t sim_history_acknowledged(void)
{
    return acknowledged;
}

/* ---- the judgement ---- */

/* What the workers' records say of a write: its place, and whether it took effect, if that is open. A thin client's stays a doubt.
 */
static bool settle_doubt(const struct sim_call *call, struct check_call *check)
{
    if (!check->writes || call->thin)
        return true;
    bool known = sim_ledger_complete(call, check);
    bool doubtful = check->maybe;
    check->maybe = false;
    return known || !doubtful;
}

static void print_history(const struct check_call *history, size_t count, const struct check_report *report)
{
    size_t from = report->stuck_at > CLOSE_CALLS && !sim_is_verbose() ? report->stuck_at - CLOSE_CALLS : 0;
    size_t to = report->stuck_at + CLOSE_CALLS < count && !sim_is_verbose() ? report->stuck_at + CLOSE_CALLS : count;
    for (size_t i = from; i < to; i++) {
        (void)fputs(i == report->stuck_at ? "--> " : "    ", sim_report());
        check_print(sim_report(), &history[i]);
    }
}

/* Answers and records agree: what was done is recorded at its version, what certainly was not is not. */
static void judge_effects(void)
{
    for (size_t i = 0; i < call_count && !sim_failed(); i++) {
        const struct sim_call *call = calls[i];
        const struct check_call *check = &call->call;
        uint64_t position = 0;
        if (!check->writes || call->thin)
            continue;
        bool effect = sim_ledger_took_effect(call, &position);
        if (call->never && effect)
            sim_fail("call %" PRIu64 " of session %u was said not to be applied, but was, at %" PRIu64, check->called,
                     check->session, position);
        if (!call->never && !check->maybe && effect == check->refused)
            sim_fail("call %" PRIu64 " of session %u was %s, the records say otherwise", check->called, check->session,
                     check->refused ? "refused" : "done");
        if (effect && !check->maybe && check->steps[0].answer == CHECK_OK && check->steps[0].version &&
            check->steps[0].version != position)
            sim_fail("call %" PRIu64 " of session %u was answered at %" PRIu64 ", but done at %" PRIu64, check->called,
                     check->session, check->steps[0].version, position);
    }
}

static void judge_tag(unsigned tag)
{
    static struct check_call history[CHECK_CALLS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < call_count; i++) {
        struct sim_call *call = calls[i];
        if (call->tag != tag || call->never || (!call->call.writes && call->call.maybe))
            continue;
        if (count == CHECK_CALLS_MAX) {
            sim_fail("too long a history");
            return;
        }
        history[count] = call->call;
        history[count].stamp_low = sim_stamp_low(call->called_us);
        history[count].stamp_high = call->call.maybe ? CHECK_NEVER : sim_stamp_high(call->returned_us);
        count += settle_doubt(call, &history[count]);
    }
    struct check_report report;
    enum check_verdict verdict = check_run(history, count, STATES_MAX, &report);
    if (verdict == CHECK_LINEARIZABLE)
        return;
    if (verdict == CHECK_UNDECIDED) {
        (void)fprintf(sim_report(), "UNDECIDED tag %u after %zu states, %zu calls\n", tag, report.states, count);
        undecided = true;
        return;
    }
    bool failed_before = sim_failed();
    sim_fail("tag %u: the history is not linearizable after %zu states, %zu calls", tag, report.states, count);
    if (!failed_before)
        print_history(history, count, &report);
}

struct version {
    uint32_t shard;
    uint64_t version;
    const struct sim_call *call;
};

static int compare_versions(const void *left, const void *right)
{
    const struct version *a = left;
    const struct version *b = right;
    if (a->shard != b->shard)
        return a->shard < b->shard ? -1 : 1;
    return a->version < b->version ? -1 : a->version > b->version;
}

static size_t list_versions(struct version *versions, uint32_t shards)
{
    size_t count = 0;
    for (size_t i = 0; i < call_count; i++) {
        const struct check_call *call = &calls[i]->call;
        for (size_t k = 0; call->writes && !call->maybe && !call->refused && k < call->step_count; k++)
            if (call->steps[k].version && call->steps[k].answer == CHECK_OK)
                versions[count++] =
                    (struct version){.shard = ek_shard_of(ek_hash_prefix(ek_slice_text(sim_key(calls[i]->tag, 0))), shards),
                                     .version = call->steps[k].version,
                                     .call = calls[i]};
    }
    qsort(versions, count, sizeof *versions, compare_versions);
    return count;
}

/* Over whole shards: no version is given twice, and they rise with time and within a session. */
static void judge_versions(uint32_t shards)
{
    struct version *versions = sim_alloc(call_count * SIM_STEPS_MAX + 1, sizeof *versions);
    size_t count = list_versions(versions, shards);
    uint64_t first_return = CHECK_NEVER; /* of the higher versions of the shard */
    for (size_t i = count; i-- > 0;) {
        bool last = i + 1 == count || versions[i + 1].shard != versions[i].shard;
        const struct check_call *call = &versions[i].call->call;
        if (last)
            first_return = CHECK_NEVER;
        else if (versions[i + 1].version == versions[i].version)
            sim_fail("shard %u gave version %" PRIu64 " twice", versions[i].shard, versions[i].version);
        if (first_return < call->called)
            sim_fail("shard %u: version %" PRIu64 " was given after a higher one was known", versions[i].shard,
                     versions[i].version);
        if (call->returned < first_return)
            first_return = call->returned;
    }
    /* Quadratic, but a shard's versions are few. */
    for (size_t i = 0; i < count; i++)
        for (size_t k = i + 1; k < count && versions[k].shard == versions[i].shard; k++)
            if (versions[k].call->call.session == versions[i].call->call.session &&
                versions[k].call->call.called < versions[i].call->call.called)
                sim_fail("shard %u: one client's writes took effect in another order, versions %" PRIu64 " and %" PRIu64,
                         versions[i].shard, versions[i].version, versions[k].version);
}

void sim_history_judge(uint32_t shards)
{
    judge_effects();
    for (unsigned tag = 0; tag < SIM_TAGS && !sim_failed(); tag++)
        judge_tag(tag);
    judge_versions(shards);
}

bool sim_history_is_undecided(void)
{
    return undecided;
}
