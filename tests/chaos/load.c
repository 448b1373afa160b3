/*
 * A producer for the chaos run: mixed calls on the keys of a few hash tags through the client library, many under way, until
 * SIGTERM; then it waits for its answers. With `read` it writes every tag once and reads everything: tag by tag, key by key, and
 * the whole store in one scan. What it does is in its history, call by call, whatever becomes of it.
 *
 *     load mixed|read ENDPOINT HISTORY SESSION SEED TAG...
 *
 * Exit 0; 1 when the history cannot be written; 2 for a usage that makes no sense.
 */
#include "client/evenkeel.h"
#include "tests/chaos/record.h"
#include "tests/sim/answers.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    CALLS_MAX = 900, /* with those of the others below what the checker takes of one tag */
    PENDING_MAX = 24,
    BURST_MAX = 6,
    POLL_MS_MAX = 25,
    PADDING_BYTES = 12000,
    TAGS_MAX = 16,
    PAGE = 100,
    TTL_MS_MIN = 50,
    TTL_MS_MAX = 20000
};

static struct {
    struct ek_client *client;
    int history_fd;
    unsigned session;
    uint64_t random;
    unsigned tags[TAGS_MAX];
    unsigned tag_count;
    uint64_t calls;
    uint64_t values;       /* each text is written once */
    uint64_t last_version; /* seen */
    char cursor[64];
    size_t cursor_size;
    bool scanned;
} load;

static volatile sig_atomic_t stopping;

static void stop(int number)
{
    (void)number;
    stopping = 1;
}

/* From 0 to below `end`. */
static unsigned draw(unsigned end)
{
    load.random += 0x9e3779b97f4a7c15ull;
    uint64_t value = (load.random ^ load.random >> 30) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ value >> 27) * 0x94d049bb133111ebull;
    return (unsigned)((value ^ value >> 31) % end);
}

/* ---- the history ---- */

static uint64_t read_clock(clockid_t which, uint64_t per_second)
{
    struct timespec now;
    (void)clock_gettime(which, &now);
    return (uint64_t)now.tv_sec * per_second + (uint64_t)now.tv_nsec / (1000000000u / per_second);
}

static void note(struct chaos_record *record, enum chaos_event event)
{
    record->event = event;
    record->ns = read_clock(CLOCK_MONOTONIC, 1000000000u);
    record->unix_ms = read_clock(CLOCK_REALTIME, 1000);
    if (write(load.history_fd, record, sizeof *record) != (ssize_t)sizeof *record)
        _exit(EXIT_FAILURE);
}

static void note_wrong(const char *text)
{
    struct chaos_record record = {.call = {.session = load.session}};
    (void)snprintf(record.text, sizeof record.text, "%s", text);
    note(&record, CHAOS_WRONG);
}

static const char *key_of(unsigned tag, unsigned key)
{
    static char texts[CHAOS_TAG_KEYS][CHAOS_KEY_ROOM];
    return chaos_key(texts[key], tag, key);
}

static void end(void *context, const struct ek_completion *completions, size_t count)
{
    struct chaos_record *record = context;
    enum ek_outcome outcome;
    const char *wrong = answers_take(&record->call, record->tag, key_of, completions, count, &outcome);
    if (wrong)
        note_wrong(wrong);
    record->call.maybe = !answers_is_verdict(outcome);
    record->never = record->call.maybe && (!record->call.writes || outcome != EK_OUTCOME_UNKNOWN);
    if (outcome == EK_OUTCOME_USAGE || outcome == EK_OUTCOME_DENIED || outcome == EK_OUTCOME_TOO_LARGE)
        note_wrong(ek_outcome_name(outcome));
    if (outcome == EK_OUTCOME_OK && record->steps[0].version > load.last_version)
        load.last_version = record->steps[0].version;
    (void)snprintf(record->text, sizeof record->text, "%s", ek_outcome_name(outcome));
    note(record, CHAOS_ENDED);
    free(record);
}

static struct chaos_record *new_call(unsigned tag, size_t steps, bool writes)
{
    struct chaos_record *record = calloc(1, sizeof *record);
    if (!record)
        _exit(EXIT_FAILURE);
    record->tag = tag;
    record->number = ++load.calls;
    record->call =
        (struct check_call){.session = load.session, .maybe = true, .writes = writes, .steps = record->steps, .step_count = steps};
    return record;
}

static void submitted(struct chaos_record *record, enum ek_outcome outcome)
{
    if (outcome != EK_OUTCOME_OK)
        end(record, &(struct ek_completion){.outcome = outcome, .text = ""}, 1);
}

/* ---- calls ---- */

static uint32_t some_timeout_ms(void)
{
    static const uint32_t timeouts_ms[] = {300, 1500, 4000, UINT32_MAX};
    return stopping ? UINT32_MAX : timeouts_ms[draw(4)];
}

static void make_write(struct check_step *step, unsigned tag, unsigned key)
{
    unsigned choice = draw(100);
    *step = (struct check_step){.key = key, .kind = CHECK_DELETE};
    if (key == 2 && choice < 85) {
        step->kind = CHECK_INCREMENT;
        step->value = 1 + (int64_t)draw(3);
    } else if (choice < 80) {
        step->kind = CHECK_PUT;
        step->value = (int64_t)(load.session * (uint64_t)1000000 + ++load.values);
        step->ttl_ms = key == 3 && tag >= CHAOS_LIVING_TAGS ? TTL_MS_MIN + draw(TTL_MS_MAX - TTL_MS_MIN) : 0;
        unsigned condition = draw(100);
        step->condition = condition < 65 ? CHECK_ALWAYS : condition < 82 ? CHECK_IF_ABSENT : CHECK_IF_VERSION;
        if (step->condition == CHECK_IF_VERSION)
            step->if_version = load.last_version > 8 ? load.last_version - draw(8) : 1 + draw(20);
    }
}

static void submit(unsigned tag, const struct check_step *step)
{
    char text[PADDING_BYTES + ANSWERS_NUMBER_ROOM];
    struct chaos_record *record = new_call(tag, 1, step->kind != CHECK_GET && step->kind != CHECK_EXISTS);
    record->steps[0] = *step;
    struct ek_request request = answers_request(step, key_of(tag, step->key), text, draw(4) ? 0 : PADDING_BYTES);
    note(record, CHAOS_BEGUN);
    submitted(record, ek_submit(load.client, &request, some_timeout_ms(), end, record));
}

static void submit_transaction(unsigned tag)
{
    char texts[CHAOS_STEPS_MAX][ANSWERS_NUMBER_ROOM];
    struct ek_request requests[CHAOS_STEPS_MAX];
    size_t count = 2 + draw(CHAOS_STEPS_MAX - 1);
    struct chaos_record *record = new_call(tag, count, true);
    for (size_t i = 0; i < count; i++) {
        make_write(&record->steps[i], tag, draw(CHAOS_TAG_KEYS));
        requests[i] = answers_request(&record->steps[i], key_of(tag, record->steps[i].key), texts[i], 0);
    }
    note(record, CHAOS_BEGUN);
    submitted(record, ek_submit_transaction(load.client, requests, count, some_timeout_ms(), end, record));
}

static void submit_scan(unsigned tag)
{
    char prefix[CHAOS_KEY_ROOM];
    (void)snprintf(prefix, sizeof prefix, "{t%u}", tag);
    struct chaos_record *record = new_call(tag, CHAOS_TAG_KEYS, false);
    for (unsigned i = 0; i < CHAOS_TAG_KEYS; i++)
        record->steps[i] = (struct check_step){.kind = CHECK_GET, .key = i};
    struct ek_request request = {.kind = EK_SCAN, .key = prefix, .key_size = strlen(prefix), .values = true};
    note(record, CHAOS_BEGUN);
    submitted(record, ek_submit(load.client, &request, some_timeout_ms(), end, record));
}

static void submit_some(void)
{
    struct check_step step;
    unsigned tag = load.tags[draw(load.tag_count)];
    unsigned key = draw(CHAOS_TAG_KEYS);
    unsigned choice = draw(100);
    if (choice < 12) {
        submit_transaction(tag);
    } else if (choice < 20) {
        submit_scan(tag);
    } else {
        if (choice < 65)
            make_write(&step, tag, key);
        else
            step = (struct check_step){.key = key, .kind = draw(5) ? CHECK_GET : CHECK_EXISTS};
        submit(tag, &step);
    }
}

static void wait_for_all(void)
{
    while (ek_client_pending(load.client))
        (void)ek_client_poll(load.client, -1);
}

static void run_mixed(void)
{
    while (!stopping) {
        unsigned burst = draw(2) ? 0 : 1 + draw(BURST_MAX);
        for (; burst && load.calls < CALLS_MAX && ek_client_pending(load.client) < PENDING_MAX; burst--)
            submit_some();
        (void)ek_client_poll(load.client, 1 + (int)draw(POLL_MS_MAX));
    }
    wait_for_all();
}

/* ---- the reading of everything ---- */

static void note_row(const struct ek_found *found)
{
    static const char letters[] = CHAOS_KEY_LETTERS;
    struct chaos_record record = {.call = {.session = load.session}, .steps[0] = {.answer = CHECK_OK, .version = found->version}};
    char text[CHAOS_KEY_ROOM] = {0};
    char letter = 0;
    memcpy(text, found->key, found->key_size < sizeof text ? found->key_size : sizeof text - 1);
    const char *known = sscanf(text, "{t%u}/%c", &record.tag, &letter) == 2 ? strchr(letters, letter) : NULL;
    if (!known)
        return; /* not a row of producers like this one */
    record.steps[0].key = (unsigned)(known - letters);
    answers_value(&record.steps[0], ek_slice_of(found->value, found->value_size));
    note(&record, CHAOS_ROW);
}

static void take_page(void *context, const struct ek_completion *completion, size_t count)
{
    (void)context, (void)count;
    if (completion->outcome != EK_OUTCOME_OK)
        note_wrong(ek_outcome_name(completion->outcome));
    for (size_t i = 0; i < completion->found_count; i++)
        note_row(&completion->found[i]);
    load.cursor_size = completion->cursor ? completion->cursor_size : 0;
    load.scanned = !completion->cursor || load.cursor_size > sizeof load.cursor;
    if (load.cursor_size > sizeof load.cursor)
        note_wrong("a cursor that is too long");
    else if (completion->cursor)
        memcpy(load.cursor, completion->cursor, load.cursor_size);
}

static void scan_all(void)
{
    while (!load.scanned) {
        struct ek_request request = {.kind = EK_SCAN,
                                     .key = "",
                                     .limit = PAGE,
                                     .values = true,
                                     .cursor = load.cursor_size ? load.cursor : NULL,
                                     .cursor_size = load.cursor_size};
        if (ek_submit(load.client, &request, UINT32_MAX, take_page, NULL) != EK_OUTCOME_OK)
            return;
        wait_for_all();
    }
}

static void run_read(void)
{
    stopping = 1; /* no call has a deadline */
    for (unsigned i = 0; i < load.tag_count; i++)
        submit(load.tags[i], &(struct check_step){.kind = CHECK_PUT,
                                                  .key = 1,
                                                  .value = (int64_t)(load.session * (uint64_t)1000000 + ++load.values)});
    wait_for_all();
    for (unsigned i = 0; i < load.tag_count; i++) {
        submit_scan(load.tags[i]);
        for (unsigned key = 0; key < CHAOS_TAG_KEYS; key++)
            submit(load.tags[i], &(struct check_step){.kind = CHECK_GET, .key = key});
    }
    wait_for_all();
    scan_all();
}

int main(int argc, char **argv)
{
    enum { MODE = 1, ENDPOINT, HISTORY, SESSION, SEED, TAGS };
    if (argc <= TAGS || argc - TAGS > TAGS_MAX)
        return 2;
    load.session = (unsigned)strtoul(argv[SESSION], NULL, 10);
    load.random = strtoull(argv[SEED], NULL, 10) * 1000003 + load.session;
    for (int i = TAGS; i < argc; i++)
        load.tags[load.tag_count++] = (unsigned)strtoul(argv[i], NULL, 10);
    load.history_fd = open(argv[HISTORY], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    struct ek_client_options options = {.endpoint = argv[ENDPOINT], .name = argv[SESSION], .linger_us = draw(3) ? 0 : 500};
    struct sigaction on_stop = {.sa_handler = stop};
    (void)sigaction(SIGTERM, &on_stop, NULL);
    if (load.history_fd < 0 || ek_client_open(&options, &load.client) != EK_OUTCOME_OK)
        return 1;
    if (strcmp(argv[MODE], "read") == 0)
        run_read();
    else
        run_mixed();
    ek_client_close(&load.client);
    return 0;
}
