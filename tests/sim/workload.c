#include "tests/sim/workload.h"

#include "client/handle.h"
#include "tests/sim/answers.h"
#include "tests/sim/cluster.h"
#include "tests/sim/course.h"
#include "tests/sim/history.h"
#include "tests/sim/holders.h"
#include "tests/sim/net.h"
#include "tests/sim/poison.h"
#include "tests/sim/thin.h"

#include <stdlib.h>
#include <string.h>

enum { PENDING_MAX = 24, BURST_MAX = 6, POLL_MS_MAX = 40, LARGE_BYTES = 8000, PAGE = 3, FIRST_NUMBER = 100, POISON_CALLS = 60 };
enum { EAGER_PERCENT = 40, SHARE_PERCENT = 50, SECOND_PERCENT = 2, SECONDS_MAX = 400 };
enum { SCANNED_KEYS = 3 }; /* the fourth expires */

enum phase { LOAD, CALM, FINISH, FINISHED };
enum kind { LIBRARY, THIN, POISONER };

struct place {
    struct sim_process process;
    char name[16];
    unsigned number;
    unsigned left;    /* calls */
    uint64_t next_us; /* of the next ones */
    bool idle;
    bool written; /* in the last phase */
    /* of the running program */
    struct ek_connection *connection; /* NULL: the client has its own */
    struct ek_client *client;
    struct ek_client *second; /* comes and goes on the same connection */
    unsigned seconds;         /* how many there were, in all lives */
    unsigned seconds_before;  /* in former lives */
    uint64_t first_ids[SECONDS_MAX];
};

/* The last scan, over the whole store, page by page. */
struct walk {
    uint8_t cursor[64];
    size_t cursor_size;
    bool ended;
    bool waits;
    unsigned found[SIM_TAGS][SIM_TAG_KEYS];
};

static struct {
    struct sim_workload_options options;
    enum phase phase;
    struct place places[SIM_CLIENTS_MAX];
    uint64_t values; /* each text is written once */
    struct walk walk;
} load;

/* ---- calls ---- */

static unsigned first_session(const struct place *place)
{
    return place->number * 1000 + (unsigned)place->process.life;
}

static unsigned second_session(const struct place *place, unsigned second)
{
    return place->number * 1000 + 500 + second;
}

static unsigned session_of(const struct place *place, const struct ek_client *client)
{
    return client == place->second ? second_session(place, place->seconds - 1) : first_session(place);
}

/* The first client of a connection has its slot 0; the others have slot 1 one after the other. */
unsigned sim_client_session(const struct sim_process *process, uint64_t job_id)
{
    const struct place *place = &load.places[process->number - FIRST_NUMBER];
    uint64_t slot = job_id >> EK_SLOT_SHIFT;
    if (slot == 0)
        return first_session(place);
    for (unsigned i = place->seconds; i-- > place->seconds_before;)
        if (job_id - (slot << EK_SLOT_SHIFT) > place->first_ids[i])
            return second_session(place, i);
    sim_fail("%s sends a job with an id of nobody's", place->name);
    return first_session(place);
}

/* A version that was seen of this key, or nearly. */
static uint64_t some_version(void)
{
    return 1 + sim_draw(sim_history_acknowledged() / 2 + 4);
}

static void make_write(struct check_step *step, unsigned key)
{
    *step = (struct check_step){.key = key};
    uint64_t choice = sim_draw(100);
    if (sim_chance(load.options.delete_percent) || choice >= (key == 2 ? 85 : 80)) {
        step->kind = CHECK_DELETE;
    } else if (key == 2) {
        step->kind = CHECK_INCREMENT;
        step->value = (int64_t)sim_between(1, 3);
    } else {
        step->kind = CHECK_PUT;
        step->value = (int64_t)++load.values;
        step->ttl_ms = key == 3 ? sim_between(50, sim_chance(50) ? 800 : 8000) : 0;
        step->condition = sim_chance(65) ? CHECK_ALWAYS : sim_chance(50) ? CHECK_IF_ABSENT : CHECK_IF_VERSION;
        step->if_version = step->condition == CHECK_IF_VERSION ? some_version() : 0;
    }
}

static void make_read(struct check_step *step, unsigned key)
{
    *step = (struct check_step){.key = key, .kind = sim_chance(80) ? CHECK_GET : CHECK_EXISTS};
}

static struct ek_request request_of(unsigned tag, const struct check_step *step, char *text)
{
    size_t padding = load.options.large && step->kind == CHECK_PUT && !sim_chance(50) ? LARGE_BYTES : 0;
    return answers_request(step, sim_key(tag, step->key), text, padding);
}

static uint32_t some_timeout_ms(void)
{
    static const uint32_t timeouts_ms[] = {300, 3000, 8000, UINT32_MAX};
    return load.phase == LOAD ? timeouts_ms[sim_draw(4)] : UINT32_MAX;
}

static struct sim_call *submit(struct ek_client *client, const struct place *place, unsigned tag, const struct check_step *step)
{
    char text[LARGE_BYTES + ANSWERS_NUMBER_ROOM];
    struct sim_call *call = sim_history_begin(session_of(place, client), tag, 1);
    call->steps[0] = *step;
    if (step->kind != CHECK_GET && step->kind != CHECK_EXISTS)
        sim_history_writes(call, false);
    struct ek_request request = request_of(tag, step, text);
    if (ek_submit(client, &request, some_timeout_ms(), sim_history_end, call) != EK_OUTCOME_OK)
        sim_history_refused(call);
    return call;
}

static void submit_scan(struct ek_client *client, const struct place *place, unsigned tag)
{
    char prefix[16];
    (void)snprintf(prefix, sizeof prefix, "{t%u}", tag);
    struct sim_call *call = sim_history_begin(session_of(place, client), tag, SIM_TAG_KEYS);
    for (unsigned i = 0; i < SIM_TAG_KEYS; i++)
        call->steps[i] = (struct check_step){.kind = CHECK_GET, .key = i};
    struct ek_request request = {.kind = EK_SCAN, .key = prefix, .key_size = strlen(prefix), .values = true};
    if (ek_submit(client, &request, some_timeout_ms(), sim_history_end, call) != EK_OUTCOME_OK)
        sim_history_refused(call);
}

static void submit_transaction(struct ek_client *client, const struct place *place, unsigned tag)
{
    char texts[SIM_STEPS_MAX][LARGE_BYTES + ANSWERS_NUMBER_ROOM];
    struct ek_request requests[SIM_STEPS_MAX];
    size_t count = sim_between(2, SIM_STEPS_MAX);
    struct sim_call *call = sim_history_begin(session_of(place, client), tag, count);
    for (size_t i = 0; i < count; i++) {
        make_write(&call->steps[i], (unsigned)sim_draw(SIM_TAG_KEYS));
        requests[i] = request_of(tag, &call->steps[i], texts[i]);
    }
    sim_history_writes(call, false);
    if (ek_submit_transaction(client, requests, count, some_timeout_ms(), sim_history_end, call) != EK_OUTCOME_OK)
        sim_history_refused(call);
}

static void submit_some(struct ek_client *client, struct place *place)
{
    struct check_step step;
    unsigned tag = (unsigned)sim_draw(SIM_TAGS);
    unsigned key = (unsigned)sim_draw(SIM_TAG_KEYS);
    uint64_t choice = sim_draw(100);
    if (choice < 12)
        submit_transaction(client, place, tag);
    else if (choice < 20)
        submit_scan(client, place, tag);
    else {
        if (choice < 65)
            make_write(&step, key);
        else
            make_read(&step, key);
        (void)submit(client, place, tag, &step);
    }
    place->left--;
}

static void submit_burst(struct place *place)
{
    uint64_t burst = sim_between(1, BURST_MAX);
    place->next_us = sim_now_us() + sim_draw(2 * burst * load.options.span_us / load.options.calls);
    for (; burst && place->left; burst--)
        submit_some(place->second && sim_chance(50) ? place->second : place->client, place);
}

/* ---- the last phase ---- */

static void write_each_tag(struct ek_client *client, const struct place *place)
{
    for (unsigned tag = 0; tag < SIM_TAGS; tag++)
        (void)submit(client, place, tag, &(struct check_step){.kind = CHECK_PUT, .key = 1, .value = (int64_t)++load.values});
}

static void take_page(void *context, const struct ek_completion *completion, size_t count)
{
    struct walk *walk = context;
    (void)count;
    walk->waits = false;
    if (completion->outcome != EK_OUTCOME_OK) {
        sim_fail("the last scan ended as %s: %s", ek_outcome_name(completion->outcome), completion->text);
        return;
    }
    for (size_t i = 0; i < completion->found_count; i++)
        for (unsigned tag = 0; tag < SIM_TAGS; tag++)
            for (unsigned key = 0; key < SIM_TAG_KEYS; key++)
                if (completion->found[i].key_size == strlen(sim_key(tag, key)) &&
                    memcmp(completion->found[i].key, sim_key(tag, key), completion->found[i].key_size) == 0)
                    walk->found[tag][key]++;
    walk->ended = completion->cursor == NULL;
    walk->cursor_size = completion->cursor_size;
    if (walk->cursor_size > sizeof walk->cursor)
        sim_fail("a cursor of %zu bytes", walk->cursor_size);
    else if (!walk->ended)
        memcpy(walk->cursor, completion->cursor, walk->cursor_size);
}

static void walk_on(struct ek_client *client)
{
    struct walk *walk = &load.walk;
    struct ek_request request = {.kind = EK_SCAN,
                                 .key = "",
                                 .limit = PAGE,
                                 .cursor = walk->cursor_size ? walk->cursor : NULL,
                                 .cursor_size = walk->cursor_size};
    walk->waits = ek_submit(client, &request, UINT32_MAX, take_page, walk) == EK_OUTCOME_OK;
}

static void wait_for_all(struct ek_client *client)
{
    while (ek_client_pending(client))
        (void)ek_client_poll(client, POLL_MS_MAX);
}

/* What each key was when it was read alone. */
struct reading {
    const struct sim_call *gets[SIM_TAGS][SIM_TAG_KEYS];
};

static void read_keys(struct ek_client *client, const struct place *place, struct reading *ret)
{
    for (unsigned tag = 0; tag < SIM_TAGS; tag++) {
        submit_scan(client, place, tag);
        for (unsigned key = 0; key < SIM_TAG_KEYS; key++)
            ret->gets[tag][key] = submit(client, place, tag, &(struct check_step){.kind = CHECK_GET, .key = key});
    }
    wait_for_all(client);
}

static void walk_all(struct ek_client *client)
{
    load.walk = (struct walk){0};
    while (!load.walk.ended && !sim_failed()) {
        walk_on(client);
        wait_for_all(client);
    }
}

/* A message of a client that is gone may come late, and change a key between its reading and its scanning. */
static bool is_unchanged(const struct reading *before, const struct reading *after)
{
    for (unsigned tag = 0; tag < SIM_TAGS; tag++)
        for (unsigned key = 0; key < SCANNED_KEYS; key++) {
            const struct check_step *a = &before->gets[tag][key]->steps[0];
            const struct check_step *b = &after->gets[tag][key]->steps[0];
            if (a->answer != b->answer || a->version != b->version)
                return false;
        }
    return true;
}

static void compare_scan(const struct reading *reading)
{
    for (unsigned tag = 0; tag < SIM_TAGS; tag++)
        for (unsigned key = 0; key < SCANNED_KEYS; key++) {
            bool there = reading->gets[tag][key]->steps[0].answer == CHECK_OK;
            if (load.walk.found[tag][key] != there)
                sim_fail("a scan of the whole store shows %s %u times, it is %s", sim_key(tag, key), load.walk.found[tag][key],
                         there ? "there" : "not there");
        }
}

/* A key that is not with its holder as it was read, or NULL. What expires may be gone meanwhile. */
static const char *odd_key(const struct reading *reading)
{
    for (unsigned tag = 0; tag < SIM_TAGS; tag++)
        for (unsigned key = 0; key < SCANNED_KEYS; key++)
            if (!sim_holders_agree(sim_key(tag, key), &reading->gets[tag][key]->steps[0]))
                return sim_key(tag, key);
    return NULL;
}

static void read_everything(struct ek_client *client, const struct place *place)
{
    enum { ODD_MAX = 5 }; /* nobody writes so late, and so often, just behind a reading */
    struct reading before;
    struct reading after;
    const char *odd = NULL;
    unsigned odd_count = 0;
    read_keys(client, place, &after);
    do {
        before = after;
        walk_all(client);
        read_keys(client, place, &after);
        odd = odd_key(&after);
        odd_count += odd != NULL;
    } while (!sim_failed() && (!is_unchanged(&before, &after) || (odd && odd_count < ODD_MAX)));
    if (odd)
        sim_fail("%s lies with its holder not as it is read", odd);
    compare_scan(&after);
}

/* The library's come first, then thin ones, then the one that publishes poison. */
static enum kind kind_of(unsigned number)
{
    if (number < load.options.clients)
        return LIBRARY;
    return number < load.options.clients + load.options.thin_clients ? THIN : POISONER;
}

static bool all_written(void)
{
    for (unsigned i = 0; i < sim_client_count(); i++)
        if (!load.places[i].written && kind_of(i) != THIN)
            return false;
    return true;
}

static void finish(struct ek_client *client, struct place *place)
{
    if (!place->written) {
        write_each_tag(client, place);
        wait_for_all(client);
        place->written = true;
    }
    if (place->number != 0 || !all_written() || load.phase == FINISHED)
        return;
    read_everything(client, place);
    load.phase = FINISHED;
}

/* ---- programs ---- */

/* The handle's own seed comes from an address, which is chance of another kind. */
static void replace_session(struct ek_client *client, const struct sim_process *process, uint32_t linger_us)
{
    struct ek_session_options options = {
        .name = process->name,
        .seed = sim_random(),
        .timeout_ms = 5000,
        .linger_us = linger_us,
        .pending_bytes_max = EK_MIB,
        .ids = client->ids,
    };
    ek_session_destroy(&client->session);
    client->session = ek_session_new(&options, sim_now_us() + process->clock_ahead_us);
    ek_connection_put(client->connection, client->ids.slot, client->session);
}

static struct ek_client *open_client(const struct sim_process *process, struct ek_connection *connection)
{
    struct ek_client_options options = {
        .endpoint = "clients", .name = process->name, .linger_us = sim_chance(30) ? 500 : 0, .connection = connection};
    struct ek_client *client;
    if (ek_client_open(&options, &client) != EK_OUTCOME_OK) {
        sim_fail("%s cannot open its handle", process->name);
        return NULL;
    }
    replace_session(client, process, options.linger_us);
    return client;
}

struct ek_client *sim_workload_open_client(const struct sim_process *process)
{
    return open_client(process, NULL);
}

static void open_handles(struct place *place)
{
    place->connection = NULL;
    place->second = NULL;
    place->seconds_before = place->seconds;
    if (sim_chance(SHARE_PERCENT) && ek_connection_open("clients", NULL, &place->connection) != EK_OUTCOME_OK)
        sim_fail("%s cannot open its connection", place->name);
    place->client = open_client(&place->process, place->connection);
}

/* Another client comes to the connection, or leaves it with whatever it has under way: the next one gets its place there. */
static void change_second(struct place *place)
{
    if (place->second)
        ek_client_close(&place->second);
    else if (place->connection && place->seconds < SECONDS_MAX) {
        place->second = open_client(&place->process, place->connection);
        place->first_ids[place->seconds++] = place->second->ids.first;
    }
}

static void close_handles(struct place *place)
{
    struct ek_client *client = place->client;
    place->client = NULL;
    ek_client_close(&place->second);
    ek_client_close(&client);
    ek_connection_close(&place->connection);
}

/* The session says of each call whether it was sent: what was not is UNAVAILABLE, and must not show up later. */
void sim_client_kill(unsigned number)
{
    struct place *place = &load.places[number];
    if (place->client)
        ek_session_destroy(&place->client->session);
    if (place->second)
        ek_session_destroy(&place->second->session);
    place->client = place->second = NULL;
    sim_kill(&place->process);
}

static size_t pending(const struct place *place)
{
    return ek_client_pending(place->client) + (place->second ? ek_client_pending(place->second) : 0);
}

static bool is_due(const struct place *place)
{
    return sim_now_us() >= place->next_us || (load.options.eager && sim_course_any() && sim_chance(EAGER_PERCENT));
}

static void run_client(void *context)
{
    struct place *place = context;
    open_handles(place);
    if (!place->client)
        return;
    for (;;) {
        place->idle = pending(place) == 0;
        if (load.phase == LOAD && sim_chance(SECOND_PERCENT))
            change_second(place);
        if (load.phase == LOAD && place->left && pending(place) < PENDING_MAX && is_due(place))
            submit_burst(place);
        if (load.phase >= FINISH)
            finish(place->client, place);
        if (load.phase == LOAD && sim_chance(load.options.close_percent))
            break;
        (void)ek_client_poll(place->client, (int)sim_draw(POLL_MS_MAX));
        if (sim_chance(10))
            sim_sleep_us(sim_draw(200 * 1000));
    }
    sim_tell("%s closes its session", place->name);
    close_handles(place);
}

static void run_poisoner(void *context)
{
    struct place *place = context;
    struct ek_client *client = place->client = sim_workload_open_client(&place->process);
    while (client) {
        place->idle = ek_client_pending(client) == 0;
        if (load.phase == LOAD && place->left && sim_now_us() >= place->next_us) {
            place->next_us = sim_now_us() + sim_draw(2 * load.options.span_us / POISON_CALLS);
            place->left--;
            sim_poison_submit(client, some_timeout_ms());
        }
        if (load.phase >= FINISH && !place->written) {
            sim_poison_finish(client);
            place->written = true;
        }
        (void)ek_client_poll(client, (int)sim_draw(POLL_MS_MAX));
    }
}

static void run_thin(void *context)
{
    struct place *place = context;
    struct sim_thin *thin = sim_thin_open("clients");
    for (;;) {
        place->idle = true;
        if (load.phase == LOAD && place->left) {
            struct check_step step;
            unsigned key = (unsigned)sim_draw(SIM_TAG_KEYS);
            if (sim_chance(60))
                make_write(&step, key);
            else
                make_read(&step, key);
            place->left--;
            place->idle = false;
            sim_thin_call(thin, place->number * 1000 + 500 + place->left, (unsigned)sim_draw(SIM_TAGS), &step);
        }
        sim_sleep_us(sim_draw(2 * load.options.span_us / load.options.calls));
    }
}

static void close_behind(struct sim_process *process)
{
    sim_net_forget(process);
}

void sim_workload_open(const struct sim_workload_options *options)
{
    load.options = *options;
    if (options->poison)
        sim_poison_begin();
    for (unsigned i = 0; i < sim_client_count(); i++) {
        struct place *place = &load.places[i];
        (void)snprintf(place->name, sizeof place->name, "%c%u", "ctp"[kind_of(i)], i + 1);
        place->number = i;
        place->left = kind_of(i) == POISONER ? POISON_CALLS : options->calls;
        place->process = (struct sim_process){.name = place->name,
                                              .number = FIRST_NUMBER + (int)i,
                                              .state = SIM_ENDED,
                                              .ended = close_behind,
                                              .clock_ahead_us = sim_draw(1u << 30)};
    }
}

unsigned sim_client_count(void)
{
    return load.options.clients + load.options.thin_clients + load.options.poison;
}

struct sim_process *sim_client(unsigned number)
{
    return &load.places[number].process;
}

void sim_client_start(unsigned number)
{
    struct place *place = &load.places[number];
    static void (*const mains[])(void *place) = {[LIBRARY] = run_client, [THIN] = run_thin, [POISONER] = run_poisoner};
    if (place->process.state == SIM_ENDED)
        sim_start(&place->process, mains[kind_of(number)], place);
}

bool sim_client_is_poisoner(const struct sim_process *process)
{
    return process->number >= FIRST_NUMBER && kind_of((unsigned)(process->number - FIRST_NUMBER)) == POISONER;
}

void sim_workload_calm(void)
{
    load.phase = CALM;
    for (unsigned i = 0; i < sim_client_count(); i++)
        load.places[i].idle = false;
}

bool sim_workload_is_idle(void)
{
    for (unsigned i = 0; i < sim_client_count(); i++)
        if (!load.places[i].idle)
            return false;
    return true;
}

void sim_workload_finish(void)
{
    load.phase = FINISH;
}

bool sim_workload_is_finished(void)
{
    return load.phase == FINISHED;
}
