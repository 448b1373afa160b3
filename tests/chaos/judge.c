/*
 * Judges one cycle of a chaos run by the histories of its producers: each hash tag linearizable from where the last cycle left it,
 * versions rising, and a scan of the whole store in the end that shows every key once, those of earlier cycles included.
 *
 *     judge STATE SHARDS AHEAD_MS HISTORY...
 *
 * STATE is what the last cycle left, and is replaced when all is well; it need not be there. AHEAD_MS is how far the broker's time
 * may have been before the wall clock. The last history is that of the final reader. Prints one line with counts and `ok`, exit 0;
 * or what is wrong, exit 1.
 */
#include "common/hash.h"
#include "tests/chaos/record.h"
#include "tests/sim/versions.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    STATES_MAX = 400000,
    CALLS_MAX = 65536,
    TAGS_MAX = 4096,
    SHARDS_MAX = 1024,
    CLOSE_CALLS = 24,
    SYNTHETIC_TICKS = 100, /* of the clock of calls: what went before the cycle */
    BEHIND_MS = 200        /* how far the broker's time may be behind the wall clock that the producers saw */
};

struct call {
    struct chaos_record record;
    uint64_t called_unix_ms;
    uint64_t returned_unix_ms;
    bool reader;
};

struct event {
    uint64_t ns;
    bool end;
    struct call *call;
};

struct row {
    bool known; /* the last reader read it */
    bool present;
    bool is_number;
    int64_t value;
    uint64_t version;
    unsigned scanned; /* times */
};

static struct {
    struct call *calls;
    size_t call_count;
    struct event *events;
    size_t event_count;
    struct row before[TAGS_MAX][CHAOS_TAG_KEYS];
    struct row after[TAGS_MAX][CHAOS_TAG_KEYS];
    bool active[TAGS_MAX];
    uint64_t highest[SHARDS_MAX]; /* version that was known before */
    uint32_t shards;
    uint64_t ahead_ms;
    bool failed;
} run;

static void __attribute__((format(printf, 1, 2))) complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    run.failed = true;
    (void)fputs("VIOLATION ", stdout);
    (void)vprintf(format, arguments);
    (void)putchar('\n');
    va_end(arguments);
}

static void give_up(const char *text)
{
    (void)fprintf(stderr, "judge: %s\n", text);
    exit(EXIT_FAILURE);
}

static uint32_t shard_of(unsigned tag)
{
    char text[CHAOS_KEY_ROOM];
    return ek_shard_of(ek_hash_prefix(ek_slice_text(chaos_key(text, tag, 0))), run.shards);
}

static bool expires(unsigned tag, unsigned key)
{
    return key == 3 && tag >= CHAOS_LIVING_TAGS;
}

/* ---- what was there before, and what is left for the next cycle ---- */

static void read_state(const char *path)
{
    FILE *file = fopen(path, "r");
    unsigned tag, key;
    char kind;
    struct row row = {.present = true};
    if (!file)
        return;
    while (fscanf(file, " row %u %u %c %" SCNd64 " %" SCNu64, &tag, &key, &kind, &row.value, &row.version) == 5) {
        row.is_number = kind == 'n';
        run.before[tag][key] = row;
    }
    uint32_t shard;
    uint64_t version;
    while (fscanf(file, " shard %" SCNu32 " %" SCNu64, &shard, &version) == 2)
        run.highest[shard] = version;
    if (!feof(file))
        give_up("the state cannot be read");
    (void)fclose(file);
}

static void write_state(const char *path)
{
    char next[4096];
    (void)snprintf(next, sizeof next, "%s.next", path);
    FILE *file = fopen(next, "w");
    if (!file)
        give_up("the state cannot be written");
    for (unsigned tag = 0; tag < TAGS_MAX; tag++)
        for (unsigned key = 0; key < CHAOS_TAG_KEYS; key++) {
            const struct row *row = run.active[tag] ? &run.after[tag][key] : &run.before[tag][key];
            if (row->present && !expires(tag, key))
                (void)fprintf(file, "row %u %u %c %" PRId64 " %" PRIu64 "\n", tag, key, row->is_number ? 'n' : 'v', row->value,
                              row->version);
        }
    for (uint32_t shard = 0; shard < run.shards; shard++)
        (void)fprintf(file, "shard %" PRIu32 " %" PRIu64 "\n", shard, run.highest[shard]);
    if (fclose(file) != 0 || rename(next, path) != 0)
        give_up("the state cannot be written");
}

/* ---- histories ---- */

static void add_event(struct call *call, const struct chaos_record *record, bool end)
{
    run.events[run.event_count++] = (struct event){.ns = record->ns, .end = end, .call = call};
}

static void begin(const struct chaos_record *record, bool reader)
{
    if (run.call_count == CALLS_MAX || record->tag >= TAGS_MAX)
        give_up("more calls or tags than it has room for");
    struct call *call = &run.calls[run.call_count++];
    *call = (struct call){.record = *record, .called_unix_ms = record->unix_ms, .reader = reader};
    call->record.call.steps = call->record.steps;
    call->record.call.returned = CHECK_NEVER;
    run.active[record->tag] = true;
    add_event(call, record, false);
}

/* `first` is the session's first call. */
static void end(const struct chaos_record *record, size_t first)
{
    struct call *call = &run.calls[first + record->number - 1];
    if (record->number == 0 || call >= run.calls + run.call_count || call->record.event == CHAOS_ENDED) {
        complain("session %u: call %" PRIu64 " was answered, but not open", record->call.session, record->number);
        return;
    }
    uint64_t called = call->record.call.called;
    call->record = *record;
    call->record.call.steps = call->record.steps;
    call->record.call.called = called;
    call->record.call.returned = CHECK_NEVER;
    call->returned_unix_ms = record->unix_ms;
    if (!record->call.maybe)
        add_event(call, record, true);
}

static void read_row(const struct chaos_record *record)
{
    const struct check_step *step = record->steps;
    if (record->tag >= TAGS_MAX)
        give_up("more tags than it has room for");
    struct row *row = &(run.active[record->tag] ? run.after : run.before)[record->tag][step->key];
    row->scanned++;
    if (expires(record->tag, step->key))
        return;
    if (!row->present || row->is_number != step->is_number || row->value != step->value || row->version != step->version)
        complain("tag %u: the last scan shows k%u %" PRId64 " @%" PRIu64 ", known is%s %" PRId64 " @%" PRIu64, record->tag,
                 step->key, step->value, step->version, row->present ? "" : " none", row->value, row->version);
}

/* A read of the last reader says what there is. */
static void read_after(const struct chaos_record *record)
{
    const struct check_step *step = record->steps;
    if (record->call.writes || record->call.step_count != 1 || step->kind != CHECK_GET)
        return;
    run.after[record->tag][step->key] = (struct row){.known = !record->call.maybe,
                                                     .present = step->answer == CHECK_OK,
                                                     .is_number = step->is_number,
                                                     .value = step->value,
                                                     .version = step->version};
}

static void read_history(const char *path, bool reader)
{
    FILE *file = fopen(path, "rb");
    struct chaos_record record;
    size_t first = run.call_count;
    if (!file)
        give_up("a history cannot be read");
    while (fread(&record, sizeof record, 1, file) == 1) {
        if (record.event == CHAOS_BEGUN)
            begin(&record, reader);
        else if (record.event == CHAOS_ENDED)
            end(&record, first);
        else if (record.event == CHAOS_ROW)
            read_row(&record);
        else
            complain("session %u: %s", record.call.session, record.text);
        if (record.event == CHAOS_ENDED && reader)
            read_after(&record);
    }
    (void)fclose(file);
}

static int compare_events(const void *left, const void *right)
{
    const struct event *a = left;
    const struct event *b = right;
    if (a->ns != b->ns)
        return a->ns < b->ns ? -1 : 1;
    return a->end - b->end;
}

static int compare_calls(const void *left, const void *right)
{
    const struct call *a = left;
    const struct call *b = right;
    return a->record.call.called < b->record.call.called ? -1 : a->record.call.called > b->record.call.called;
}

/* From nanoseconds, which two events may share, to ticks, which they do not. Then the calls into their order. */
static void order_calls(void)
{
    qsort(run.events, run.event_count, sizeof *run.events, compare_events);
    for (size_t i = 0; i < run.event_count; i++) {
        struct check_call *call = &run.events[i].call->record.call;
        *(run.events[i].end ? &call->returned : &call->called) = SYNTHETIC_TICKS + i;
    }
    qsort(run.calls, run.call_count, sizeof *run.calls, compare_calls);
    for (size_t i = 0; i < run.call_count; i++)
        run.calls[i].record.call.steps = run.calls[i].record.steps;
}

/* ---- the judgement ---- */

static int compare_steps(const void *left, const void *right)
{
    const struct check_step *a = left;
    const struct check_step *b = right;
    return a->version < b->version ? -1 : a->version > b->version;
}

/* What was there before, as calls of session 0 that were carried out one after the other. */
static size_t list_before(unsigned tag, struct check_step *steps, struct check_call *history)
{
    size_t count = 0;
    for (unsigned key = 0; key < CHAOS_TAG_KEYS; key++) {
        const struct row *row = &run.before[tag][key];
        if (row->present)
            steps[count++] = (struct check_step){.kind = row->is_number ? CHECK_INCREMENT : CHECK_PUT,
                                                 .key = key,
                                                 .answer = CHECK_OK,
                                                 .value = row->value,
                                                 .result = row->value,
                                                 .version = row->version};
    }
    qsort(steps, count, sizeof *steps, compare_steps);
    for (size_t i = 0; i < count; i++)
        history[i] = (struct check_call){.called = 2 * i + 1,
                                         .returned = 2 * i + 2,
                                         .stamp_high = CHECK_NEVER,
                                         .writes = true,
                                         .steps = &steps[i],
                                         .step_count = 1};
    return count;
}

static void print_history(const struct check_call *history, size_t count, size_t stuck_at)
{
    for (size_t i = stuck_at > CLOSE_CALLS ? stuck_at - CLOSE_CALLS : 0; i < count && i < stuck_at + CLOSE_CALLS; i++) {
        (void)fputs(i == stuck_at ? "--> " : "    ", stdout);
        check_print(stdout, &history[i]);
    }
}

static void judge_tag(unsigned tag)
{
    static struct check_call history[CHECK_CALLS_MAX];
    struct check_step before[CHAOS_TAG_KEYS];
    size_t count = list_before(tag, before, history);
    for (size_t i = 0; i < run.call_count; i++) {
        const struct call *call = &run.calls[i];
        const struct check_call *check = &call->record.call;
        if (call->record.tag != tag || call->record.never || (!check->writes && check->maybe))
            continue;
        if (count == CHECK_CALLS_MAX)
            give_up("a tag has more calls than the checker takes");
        history[count] = *check;
        history[count].stamp_low = call->called_unix_ms - BEHIND_MS;
        history[count++].stamp_high = check->maybe ? CHECK_NEVER : call->returned_unix_ms + run.ahead_ms;
    }
    struct check_report report;
    enum check_verdict verdict = check_run(history, count, STATES_MAX, &report);
    if (verdict == CHECK_LINEARIZABLE)
        return;
    complain("tag %u: %s after %zu states, %zu calls", tag,
             verdict == CHECK_VIOLATION ? "the history is not linearizable" : "undecided", report.states, count);
    print_history(history, count, report.stuck_at);
}

static void judge_versions(void)
{
    struct shard_version *versions = calloc(run.call_count * CHAOS_STEPS_MAX + 1, sizeof *versions);
    char wrong[VERSIONS_TEXT_BYTES];
    size_t count = 0;
    if (!versions)
        abort();
    for (size_t i = 0; i < run.call_count; i++)
        count += versions_of(&run.calls[i].record.call, shard_of(run.calls[i].record.tag), &versions[count]);
    if (!versions_rise(versions, count, wrong))
        complain("%s", wrong);
    for (size_t i = 0; i < count; i++) /* they are sorted: the first of a shard is its lowest */
        if ((i == 0 || versions[i - 1].shard != versions[i].shard) && versions[i].version <= run.highest[versions[i].shard])
            complain("shard %u gave version %" PRIu64 " after %" PRIu64, versions[i].shard, versions[i].version,
                     run.highest[versions[i].shard]);
    for (size_t i = 0; i < count; i++)
        if (versions[i].version > run.highest[versions[i].shard])
            run.highest[versions[i].shard] = versions[i].version;
    free(versions);
}

static void judge_rows(void)
{
    for (unsigned tag = 0; tag < TAGS_MAX; tag++)
        for (unsigned key = 0; key < CHAOS_TAG_KEYS; key++) {
            const struct row *row = run.active[tag] ? &run.after[tag][key] : &run.before[tag][key];
            if (run.active[tag] && !row->known)
                complain("tag %u: the last reader did not read k%u", tag, key);
            if (!expires(tag, key) && row->scanned != row->present)
                complain("tag %u: the last scan shows k%u %u times, it is %s", tag, key, row->scanned,
                         row->present ? "there" : "not there");
        }
}

static void print_counts(void)
{
    size_t acknowledged = 0;
    size_t unknown = 0;
    size_t never = 0;
    for (size_t i = 0; i < run.call_count; i++) {
        acknowledged += run.calls[i].record.call.writes && !run.calls[i].record.call.maybe;
        unknown += run.calls[i].record.call.writes && run.calls[i].record.call.maybe && !run.calls[i].record.never;
        never += run.calls[i].record.call.writes && run.calls[i].record.never;
    }
    (void)printf("calls %zu acknowledged %zu unknown %zu %s\n", run.call_count, acknowledged, unknown,
                 run.failed ? "VIOLATED" : "ok");
}

int main(int argc, char **argv)
{
    enum { STATE = 1, SHARDS, AHEAD, HISTORIES };
    run.calls = calloc(CALLS_MAX, sizeof *run.calls);
    run.events = calloc(2 * CALLS_MAX, sizeof *run.events);
    if (argc <= HISTORIES || !run.calls || !run.events)
        give_up("usage: judge STATE SHARDS AHEAD_MS HISTORY...");
    run.shards = (uint32_t)strtoul(argv[SHARDS], NULL, 10);
    run.ahead_ms = strtoull(argv[AHEAD], NULL, 10);
    if (run.shards == 0 || run.shards > SHARDS_MAX)
        give_up("1 to 1024 shards");
    read_state(argv[STATE]);
    for (int i = HISTORIES; i < argc; i++)
        read_history(argv[i], i == argc - 1);
    order_calls();
    for (unsigned tag = 0; tag < TAGS_MAX; tag++)
        if (run.active[tag])
            judge_tag(tag);
    judge_versions();
    judge_rows();
    print_counts();
    if (run.failed)
        return EXIT_FAILURE;
    write_state(argv[STATE]);
    return EXIT_SUCCESS;
}
