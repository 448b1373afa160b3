#include "tests/sim/poison.h"

#include "common/operations.h"
#include "tests/sim/tally.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LETTERS_MAX = 512, KEYS = 2, POLL_MS = 20, ROUNDS_MAX = 8, DEATHS_ALONE = 3 };
enum { HARMLESS, DEADLY };

static const char *const keys[KEYS] = {"{d}/n", "{d}/deadly"};

/* What the producer was told of its increments of one counter. */
struct told {
    uint64_t done;
    uint64_t unknown;
    uint64_t dead;
};

struct letter {
    uint8_t id[EK_DEAD_ID_SIZE];
    uint64_t adds[KEYS];
    bool foreign;  /* it holds somebody else's operations */
    bool asked;    /* a replay or a drop is under way */
    bool replayed; /* known to be; likewise */
    bool dropped;
    bool doubtful; /* one of the two was answered UNKNOWN */
    bool listed;   /* by the present listing */
};

static struct {
    bool active;
    struct told told[KEYS];
    struct letter letters[LETTERS_MAX];
    size_t letter_count;
    uint8_t cursor[EK_DEAD_ID_SIZE];
    size_t cursor_size;
    bool more; /* the listing goes on behind the cursor */
    int64_t values[KEYS];
} poison;

/* ---- death ---- */

void sim_poison_begin(void)
{
    poison.active = true;
}

void sim_poison_cure(void)
{
    poison.active = false;
}

static void die(void *context, uint64_t life)
{
    struct sim_process *process = context;
    if (process->life == life)
        sim_kill(process);
}

void sim_poison_touch(struct ek_slice physical_key)
{
    if (!poison.active || !memmem(physical_key.data, physical_key.size, keys[DEADLY], strlen(keys[DEADLY])))
        return;
    struct sim_process *self = sim_self();
    sim_count(SIM_COUNT_POISON);
    sim_tell("%s dies of a job", self->name);
    sim_at(sim_now_us(), die, self, self->life);
    for (;;)
        sim_wait(SIM_NEVER);
}

/* A worker whose BYE is lost has died as far as the broker can tell. */
bool sim_poison_may_hit_others(void)
{
    uint64_t ends = sim_counted(SIM_COUNT_WORKER_DEATH) + sim_counted(SIM_COUNT_WORKER_STOPPED);
    return ends - sim_counted(SIM_COUNT_POISON) >= DEATHS_ALONE;
}

/* ---- increments ---- */

static void end_increment(void *context, const struct ek_completion *completion, size_t count)
{
    struct told *told = context;
    (void)count;
    switch (completion->outcome) {
    case EK_OUTCOME_OK:
        told->done++;
        break;
    case EK_OUTCOME_UNKNOWN:
        told->unknown++;
        break;
    case EK_OUTCOME_DEAD:
        told->dead++;
        break;
    case EK_OUTCOME_EXPIRED:
    case EK_OUTCOME_BUSY:
    case EK_OUTCOME_UNAVAILABLE:
        break;
    default:
        sim_fail("an increment ended as %s: %s", ek_outcome_name(completion->outcome), completion->text);
    }
}

static void submit_increment(struct ek_client *client, int key, uint32_t timeout_ms)
{
    struct ek_request request = {.kind = EK_INCREMENT, .key = keys[key], .key_size = strlen(keys[key]), .by = 1};
    (void)!ek_submit(client, &request, timeout_ms, end_increment, &poison.told[key]);
}

static void end_read(void *context, const struct ek_completion *completion, size_t count)
{
    (void)context, (void)count;
    enum ek_outcome outcome = completion->outcome;
    if (outcome != EK_OUTCOME_OK && outcome != EK_OUTCOME_NOT_FOUND && outcome != EK_OUTCOME_DEAD &&
        outcome != EK_OUTCOME_UNKNOWN && outcome != EK_OUTCOME_EXPIRED && outcome != EK_OUTCOME_BUSY &&
        outcome != EK_OUTCOME_UNAVAILABLE)
        sim_fail("a deadly read ended as %s: %s", ek_outcome_name(outcome), completion->text);
}

/* ---- letters ---- */

static int key_of(struct ek_slice key)
{
    for (int i = 0; i < KEYS; i++)
        if (ek_slice_equal(key, ek_slice_text(keys[i])))
            return i;
    return KEYS;
}

static void count_adds(struct letter *letter, const struct ek_dead_letter *found)
{
    struct ek_reader body = ek_reader_of(ek_slice_of(found->job, found->job_size));
    struct ek_operation operation;
    uint32_t count;
    if (ek_decode_operation_count(&body, &count) != EK_OK || count != found->operations) {
        sim_fail("the job of a dead letter cannot be read");
        return;
    }
    for (uint32_t i = 0; i < count && ek_decode_operation(&body, &operation) == EK_OK; i++) {
        int key = key_of(operation.key);
        if (key == KEYS)
            letter->foreign = true;
        else
            letter->adds[key]++;
    }
}

static struct letter *letter_of(const struct ek_dead_letter *found)
{
    for (size_t i = 0; i < poison.letter_count; i++)
        if (memcmp(poison.letters[i].id, found->id, EK_DEAD_ID_SIZE) == 0)
            return &poison.letters[i];
    if (poison.letter_count == LETTERS_MAX) {
        sim_fail("more than %d dead letters", LETTERS_MAX);
        return NULL;
    }
    struct letter *letter = &poison.letters[poison.letter_count++];
    memcpy(letter->id, found->id, EK_DEAD_ID_SIZE);
    count_adds(letter, found);
    if (!found->cause_size || !found->time_unix_ms)
        sim_fail("a dead letter without a cause or a time");
    sim_count(SIM_COUNT_LETTER);
    return letter;
}

static void take_letters(void *context, const struct ek_completion *completion, size_t count)
{
    (void)context, (void)count;
    poison.more = completion->outcome == EK_OUTCOME_OK && completion->cursor;
    poison.cursor_size = poison.more && completion->cursor_size <= sizeof poison.cursor ? completion->cursor_size : 0;
    if (poison.cursor_size)
        memcpy(poison.cursor, completion->cursor, poison.cursor_size);
    for (size_t i = 0; completion->outcome == EK_OUTCOME_OK && i < completion->dead_count; i++) {
        struct letter *letter = letter_of(&completion->dead[i]);
        if (letter)
            letter->listed = true;
    }
}

static void submit_list(struct ek_client *client, uint32_t timeout_ms)
{
    struct ek_request request = {.kind = EK_DEAD_LIST, .values = true};
    request.cursor = poison.cursor_size ? poison.cursor : NULL;
    request.cursor_size = poison.cursor_size;
    poison.more = false;
    (void)!ek_submit(client, &request, timeout_ms, take_letters, NULL);
}

/* True when there is more to say of the outcome. */
static bool end_asking(struct letter *letter, const struct ek_completion *completion)
{
    letter->asked = false;
    if (completion->outcome == EK_OUTCOME_UNKNOWN)
        letter->doubtful = true;
    if (completion->outcome == EK_OUTCOME_NOT_FOUND && !letter->replayed && !letter->dropped && !letter->doubtful)
        sim_fail("a dead letter is gone that nobody removed");
    if (completion->outcome == EK_OUTCOME_OK && (letter->replayed || letter->dropped))
        sim_fail("a dead letter was there again after it had been %s", letter->replayed ? "applied" : "dropped");
    return completion->outcome == EK_OUTCOME_OK;
}

static void end_replay(void *context, const struct ek_completion *completion, size_t count)
{
    struct letter *letter = context;
    (void)count;
    if (completion->outcome == EK_OUTCOME_DEAD ||
        (completion->outcome == EK_OUTCOME_FAILED && !letter->adds[DEADLY] && !sim_poison_may_hit_others()))
        sim_fail("a replay ended as %s: %s", ek_outcome_name(completion->outcome), completion->text);
    if (!end_asking(letter, completion))
        return;
    letter->replayed = true;
    sim_count(SIM_COUNT_REPLAYED);
    if (completion->number)
        sim_fail("%" PRId64 " increments of a replay changed nothing", completion->number);
}

static void end_drop(void *context, const struct ek_completion *completion, size_t count)
{
    (void)count;
    if (end_asking(context, completion))
        ((struct letter *)context)->dropped = true;
}

static void submit_change(struct ek_client *client, struct letter *letter, uint32_t timeout_ms)
{
    bool drops = letter->foreign || sim_chance(30);
    struct ek_request request = {.kind = drops ? EK_DEAD_DROP : EK_DEAD_REPLAY, .key = letter->id, .key_size = sizeof letter->id};
    letter->asked = ek_submit(client, &request, timeout_ms, drops ? end_drop : end_replay, letter) == EK_OUTCOME_OK;
}

/* ---- the load ---- */

void sim_poison_submit(struct ek_client *client, uint32_t timeout_ms)
{
    enum { INCREMENT_PERCENT = 70, DEADLY_PERCENT = 8, LIST_PERCENT = 85, READ_PERCENT = 88 };
    uint64_t choice = sim_draw(100);
    if (choice < DEADLY_PERCENT)
        submit_increment(client, DEADLY, timeout_ms);
    else if (choice < INCREMENT_PERCENT)
        submit_increment(client, HARMLESS, timeout_ms);
    else if (choice < LIST_PERCENT)
        submit_list(client, timeout_ms);
    else if (choice < READ_PERCENT) {
        struct ek_request request = {.kind = EK_GET, .key = keys[DEADLY], .key_size = strlen(keys[DEADLY])};
        (void)!ek_submit(client, &request, timeout_ms, end_read, NULL);
    } else if (poison.letter_count) {
        struct letter *letter = &poison.letters[sim_draw(poison.letter_count)];
        if (!letter->asked)
            submit_change(client, letter, timeout_ms);
    }
}

/* ---- the end ---- */

static void wait_for_all(struct ek_client *client)
{
    while (ek_client_pending(client) && !sim_failed())
        (void)ek_client_poll(client, POLL_MS);
}

/* How many there are. */
static size_t list_all(struct ek_client *client)
{
    size_t count = 0;
    for (size_t i = 0; i < poison.letter_count; i++)
        poison.letters[i].listed = false;
    poison.cursor_size = 0;
    do {
        submit_list(client, UINT32_MAX);
        wait_for_all(client);
    } while (poison.more && !sim_failed());
    for (size_t i = 0; i < poison.letter_count; i++) {
        const struct letter *letter = &poison.letters[i];
        count += letter->listed;
        if (letter->listed && (letter->replayed || letter->dropped))
            sim_fail("a dead letter is still there after it was %s", letter->replayed ? "applied" : "dropped");
    }
    return count;
}

static void empty(struct ek_client *client)
{
    for (int round = 0; list_all(client) && !sim_failed(); round++) {
        if (round == ROUNDS_MAX)
            sim_fail("dead letters are there again and again");
        for (size_t i = 0; i < poison.letter_count; i++)
            if (poison.letters[i].listed)
                submit_change(client, &poison.letters[i], UINT32_MAX);
        wait_for_all(client);
    }
}

static void take_value(void *context, const struct ek_completion *completion, size_t count)
{
    char text[24] = {0};
    (void)count;
    if (completion->outcome != EK_OUTCOME_OK && completion->outcome != EK_OUTCOME_NOT_FOUND)
        sim_fail("a counter cannot be read: %s", ek_outcome_name(completion->outcome));
    if (completion->outcome != EK_OUTCOME_OK || completion->reading.value_size >= sizeof text)
        return;
    memcpy(text, completion->reading.value, completion->reading.value_size);
    *(int64_t *)context = strtoll(text, NULL, 10);
}

static void compare(int key)
{
    const struct told *told = &poison.told[key];
    uint64_t least = told->done;
    uint64_t doubtful = told->unknown;
    uint64_t in_letters = 0;
    for (size_t i = 0; i < poison.letter_count; i++) {
        const struct letter *letter = &poison.letters[i];
        in_letters += letter->adds[key];
        if (letter->replayed)
            least += letter->adds[key];
        else if (!letter->dropped)
            doubtful += letter->adds[key];
    }
    uint64_t value = (uint64_t)poison.values[key];
    if (value < least || value > least + doubtful)
        sim_fail("%s is %" PRIu64 ", but %" PRIu64 " to %" PRIu64 " increments took effect", keys[key], value, least,
                 least + doubtful);
    if (told->dead > in_letters)
        sim_fail("%" PRIu64 " increments of %s were set aside, %" PRIu64 " lie in dead letters", told->dead, keys[key], in_letters);
}

void sim_poison_finish(struct ek_client *client)
{
    empty(client);
    for (int i = 0; i < KEYS; i++) {
        struct ek_request request = {.kind = EK_GET, .key = keys[i], .key_size = strlen(keys[i])};
        (void)!ek_submit(client, &request, UINT32_MAX, take_value, &poison.values[i]);
    }
    wait_for_all(client);
    for (int i = 0; i < KEYS && !sim_failed(); i++)
        compare(i);
}
