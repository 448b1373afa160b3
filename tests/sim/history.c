#include "tests/sim/history.h"

#include "common/hash.h"
#include "tests/sim/answers.h"
#include "tests/sim/cluster.h"
#include "tests/sim/eras.h"
#include "tests/sim/hazard.h"
#include "tests/sim/ledger.h"
#include "tests/sim/poison.h"
#include "tests/sim/versions.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS_MAX = 16384, STATES_MAX = 400000, CLOSE_CALLS = 24 };
enum { LEFT_TICKS = 2 * (SIM_ERA_STEPS_MAX + 1) }; /* of the clock of calls: what an accepted loss left */

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

static uint32_t shard_of(unsigned tag)
{
    return ek_shard_of(ek_hash_prefix(ek_slice_text(sim_key(tag, 0))), sim_shard_count());
}

void sim_history_writes(struct sim_call *call, bool thin)
{
    call->call.writes = true;
    call->thin = thin;
    if (!thin)
        sim_ledger_submitted(shard_of(call->tag), call);
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

static void end_without_verdict(struct sim_call *call, enum ek_outcome outcome)
{
    call->never = !call->call.writes || outcome != EK_OUTCOME_UNKNOWN;
    bool set_aside = outcome == EK_OUTCOME_DEAD && sim_poison_may_hit_others();
    if (!set_aside && outcome != EK_OUTCOME_UNKNOWN && outcome != EK_OUTCOME_EXPIRED && outcome != EK_OUTCOME_BUSY &&
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
    if (!answers_is_verdict(outcome)) {
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
    enum ek_outcome outcome;
    const char *wrong = answers_take(&call->call, call->tag, sim_key, completions, count, &outcome);
    if (wrong)
        sim_fail("session %u, tag %u: %s (%s)", call->call.session, call->tag, wrong, completions->text);
    sim_history_answered(call, outcome);
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

/* Of what it wrote first, as it was answered; 0: not told. */
static uint64_t version_of(const struct check_call *check)
{
    for (size_t i = 0; !check->refused && i < check->step_count; i++)
        if (check->steps[i].answer == CHECK_OK && check->steps[i].version)
            return check->steps[i].version;
    return 0;
}

/*
 * What the workers' records say of a write: its place, and whether it took effect, if that is open. A thin client's stays a doubt;
 * so does what was carried out, for all that is known, on a disk that was not the one to go on with.
 */
static bool settle_doubt(const struct sim_call *call, struct check_call *check)
{
    if (!check->writes || call->thin)
        return true;
    bool known = sim_ledger_complete(call, check);
    bool doubtful = check->maybe;
    check->maybe = doubtful && sim_hazard_has_struck();
    /* A clone's place and the original's differ, or may: the answer tells which of them counts, if it has a version. */
    if (known && !check->order)
        check->order = version_of(check);
    if (known && !check->order)
        check->maybe = true;
    return known || !doubtful;
}

/* Only what lies in one era as a whole says something about it. Where a write has no position, time tells, as with a read. */
static bool belongs(const struct check_call *check, const struct sim_call *call, uint32_t shard, size_t era)
{
    if (check->writes && check->order)
        return sim_eras_of_position(shard, check->order) == era;
    if (call->called_us >= sim_eras_end_us(shard, era))
        return false;
    return check->maybe || (call->called_us >= sim_eras_begin_us(shard, era) && call->returned_us <= sim_eras_end_us(shard, era));
}

/* What an accepted loss left of the tag, as calls of a session of its own that were carried out one after the other. */
static size_t list_left(uint32_t shard, size_t era, unsigned tag, struct check_step *steps, struct check_call *history)
{
    uint64_t expiry[SIM_ERA_STEPS_MAX];
    size_t count = sim_eras_rows(shard, era, tag, steps, expiry);
    for (size_t i = 0; i < count; i++)
        history[i] = (struct check_call){.called = 2 * i + 1,
                                         .returned = 2 * i + 2,
                                         .order = steps[i].version,
                                         .stamp_low = expiry[i] ? expiry[i] - steps[i].ttl_ms : 0,
                                         .stamp_high = expiry[i] ? expiry[i] - steps[i].ttl_ms : CHECK_NEVER,
                                         .writes = true,
                                         .steps = &steps[i],
                                         .step_count = 1};
    return count;
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
        if (sim_ledger_is_disputed(call))
            continue;
        if (call->never && effect)
            sim_fail("call %" PRIu64 " of session %u was said not to be applied, but was, at %" PRIu64, check->called,
                     check->session, position);
        if (!call->never && !check->maybe && effect == check->refused)
            sim_fail("call %" PRIu64 " of session %u was %s, the records say otherwise", check->called, check->session,
                     check->refused ? "refused" : "done");
        if (effect && position && !check->maybe && check->steps[0].answer == CHECK_OK && check->steps[0].version &&
            check->steps[0].version != position)
            sim_fail("call %" PRIu64 " of session %u was answered at %" PRIu64 ", but done at %" PRIu64, check->called,
                     check->session, check->steps[0].version, position);
    }
}

/* For sure. Of what one disk carried out and its clone did not, the one to go on with decides: it may have been the former. */
static bool left_nothing(const struct sim_call *call)
{
    return call->never && !sim_ledger_is_disputed(call);
}

static void judge_era(uint32_t shard, size_t era, unsigned tag)
{
    static struct check_call history[CHECK_CALLS_MAX];
    struct check_step left[SIM_ERA_STEPS_MAX];
    size_t count = list_left(shard, era, tag, left, history);
    for (size_t i = 0; i < call_count; i++) {
        struct sim_call *call = calls[i];
        if (call->tag != tag || left_nothing(call) || (!call->call.writes && call->call.maybe))
            continue;
        if (count == CHECK_CALLS_MAX) {
            sim_fail("too long a history");
            return;
        }
        struct check_call *check = &history[count];
        *check = call->call;
        check->called += LEFT_TICKS;
        check->returned += check->returned == CHECK_NEVER ? 0 : LEFT_TICKS;
        check->stamp_low = sim_stamp_low(call->called_us);
        check->stamp_high = call->call.maybe ? CHECK_NEVER : sim_stamp_high(call->returned_us);
        count += settle_doubt(call, check) && belongs(check, call, shard, era);
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

static void judge_tag(unsigned tag)
{
    uint32_t shard = shard_of(tag);
    for (size_t era = 0; era < sim_eras_count(shard) && !sim_failed(); era++)
        judge_era(shard, era, tag);
}

static void judge_versions(void)
{
    struct shard_version *versions = sim_alloc(call_count * SIM_STEPS_MAX + 1, sizeof *versions);
    char wrong[VERSIONS_TEXT_BYTES];
    size_t count = 0;
    for (size_t i = 0; i < call_count; i++) {
        count += versions_of(&calls[i]->call, shard_of(calls[i]->tag), &versions[count]);
    }
    if (!versions_rise(versions, count, wrong))
        sim_fail("%s", wrong);
}

void sim_history_judge(void)
{
    judge_effects();
    for (unsigned tag = 0; tag < SIM_TAGS && !sim_failed(); tag++)
        judge_tag(tag);
    judge_versions();
}

bool sim_history_is_undecided(void)
{
    return undecided;
}
