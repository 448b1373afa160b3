/* dead: jobs that were set aside because workers died of them. */
#include "client/cli/cli.h"
#include "client/cli/connect.h"
#include "common/json.h"
#include "client/cli/output.h"
#include "common/hash.h"
#include "common/letters.h"
#include "common/operations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ID_TEXT_BYTES = 32, TIME_TEXT_BYTES = 32, CURSOR_BYTES_MAX = EK_DEAD_ID_BYTES };

/* One `dead ...` under way. */
struct dead {
    const struct ek_cli *cli;
    struct ek_client *client;
    bool shows;        /* one letter with its job */
    uint64_t position; /* of that one */
    bool answered;
    enum ek_outcome outcome;
    char text[256];
    int64_t number; /* replay */
    uint64_t count; /* of letters in `out` */
    struct ek_buffer out;
    uint8_t cursor[CURSOR_BYTES_MAX];
    size_t cursor_size;
};

static void append(struct ek_buffer *out, const char *text)
{
    ek_buffer_append(out, text, strlen(text));
}

/* ---- ids ---- */

static void id_text(char out[ID_TEXT_BYTES], uint32_t shard, uint64_t position)
{
    (void)snprintf(out, ID_TEXT_BYTES, "%u-%llu", shard, (unsigned long long)position);
}

static bool digits(const char *text, char stop, uint64_t *ret, const char **ret_end)
{
    char *end;
    if (*text < '0' || *text > '9' || strspn(text, "0123456789") > 19)
        return false;
    *ret = strtoull(text, &end, 10);
    *ret_end = end + 1;
    return *end == stop;
}

static bool parse_id(const char *text, uint64_t *ret_shard, uint64_t *ret_position)
{
    const char *rest;
    return digits(text, '-', ret_shard, &rest) && digits(rest, '\0', ret_position, &rest) &&
           *ret_shard<EK_SHARDS_MAX && * ret_position> 0;
}

/* ---- how a letter looks ---- */

static const char *verb_of(enum ek_operation_code code)
{
    switch (code) {
    case EK_OPERATION_PUT:
        return "put";
    case EK_OPERATION_DELETE:
        return "del";
    case EK_OPERATION_EXISTS:
        return "exists";
    case EK_OPERATION_INCREMENT:
        return "incr";
    default:
        return "?";
    }
}

static void operation_json(struct ek_buffer *out, const struct ek_operation *operation)
{
    ek_json_open(out, NULL, '{');
    ek_json_text(out, "op", verb_of(operation->code));
    ek_json_bytes(out, "key", operation->key);
    if (operation->code == EK_OPERATION_PUT)
        ek_json_bytes(out, "value", operation->value);
    if (operation->code == EK_OPERATION_PUT && operation->ttl_ms)
        ek_json_uint(out, "ttl_ms", operation->ttl_ms);
    if (operation->condition != EK_CONDITION_NONE)
        ek_json_uint(out, "if_version", operation->version);
    if (operation->code == EK_OPERATION_INCREMENT)
        ek_json_int(out, "by", operation->by);
    ek_json_close(out, '{');
}

static void operation_text(struct ek_buffer *out, const struct ek_operation *operation)
{
    append(out, "  ");
    append(out, verb_of(operation->code));
    append(out, " ");
    ek_text_bytes(out, operation->key);
    if (operation->code == EK_OPERATION_PUT) {
        append(out, " ");
        ek_text_bytes(out, operation->value);
    }
    append(out, "\n");
}

static void operations(struct ek_buffer *out, const struct ek_dead_letter *letter,
                       void (*show)(struct ek_buffer *out, const struct ek_operation *operation))
{
    struct ek_reader body = ek_reader_of(ek_slice_of(letter->job, letter->job_size));
    struct ek_operation operation;
    uint32_t count;
    if (!letter->job || ek_decode_operation_count(&body, &count) != EK_OK)
        return;
    for (uint32_t i = 0; i < count && ek_decode_operation(&body, &operation) == EK_OK; i++)
        show(out, &operation);
}

static void cause_text(char out[EK_TEXT_BYTES_MAX], const struct ek_dead_letter *letter)
{
    (void)snprintf(out, EK_TEXT_BYTES_MAX, "%.*s", (int)letter->cause_size, letter->cause);
}

static void letter_json(struct dead *dead, const struct ek_dead_letter *letter)
{
    struct ek_buffer *out = &dead->out;
    char id[ID_TEXT_BYTES];
    char cause[EK_TEXT_BYTES_MAX];
    id_text(id, letter->shard, letter->position);
    cause_text(cause, letter);
    ek_json_open(out, NULL, '{');
    ek_json_text(out, "id", id);
    ek_json_uint(out, "shard", letter->shard);
    ek_json_uint(out, "position", letter->position);
    ek_json_uint(out, "producer", letter->producer);
    ek_json_text(out, "cause", cause);
    ek_json_uint(out, "time_unix_ms", letter->time_unix_ms);
    ek_json_uint(out, "operations", letter->operations);
    append(out, letter->transaction ? ",\"transaction\":true" : ",\"transaction\":false");
    if (dead->shows) {
        ek_json_open(out, "contents", '[');
        operations(out, letter, operation_json);
        ek_json_close(out, '[');
    }
    ek_json_close(out, '{');
}

static void letter_text(struct dead *dead, const struct ek_dead_letter *letter)
{
    char id[ID_TEXT_BYTES];
    char when[TIME_TEXT_BYTES];
    char cause[EK_TEXT_BYTES_MAX];
    char line[EK_TEXT_BYTES_MAX + 128];
    struct tm calendar;
    time_t seconds = (time_t)(letter->time_unix_ms / 1000);
    id_text(id, letter->shard, letter->position);
    cause_text(cause, letter);
    if (!localtime_r(&seconds, &calendar) || strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &calendar) == 0)
        (void)snprintf(when, sizeof when, "-");
    (void)snprintf(line, sizeof line, "%-20s  %-19s  %4u %s%s  %s\n", id, when, letter->operations,
                   letter->operations == 1 ? "operation " : "operations", letter->transaction ? " (txn)" : "", cause);
    append(&dead->out, line);
    if (dead->shows)
        operations(&dead->out, letter, operation_text);
}

/* ---- asking ---- */

static void complete(void *context, const struct ek_completion *completions, size_t count)
{
    struct dead *dead = context;
    (void)count;
    dead->answered = true;
    dead->outcome = completions->outcome;
    dead->number = completions->number;
    (void)snprintf(dead->text, sizeof dead->text, "%s", completions->text);
    dead->cursor_size = completions->cursor_size <= sizeof dead->cursor ? completions->cursor_size : 0;
    if (dead->cursor_size)
        memcpy(dead->cursor, completions->cursor, dead->cursor_size);
    for (size_t i = 0; i < completions->dead_count; i++) {
        const struct ek_dead_letter *letter = &completions->dead[i];
        if (dead->shows && letter->position != dead->position)
            continue;
        dead->count++;
        if (dead->cli->json)
            letter_json(dead, letter);
        else
            letter_text(dead, letter);
    }
}

static enum ek_outcome ask(struct dead *dead, const struct ek_request *request)
{
    dead->answered = false;
    dead->outcome = ek_submit(dead->client, request, dead->cli->timeout_ms, complete, dead);
    while (!dead->outcome && !dead->answered)
        (void)ek_client_poll(dead->client, -1);
    return dead->outcome;
}

static int end_json(struct dead *dead)
{
    ek_json_text(&dead->out, "status", ek_outcome_name(dead->outcome));
    ek_json_close(&dead->out, '{');
    append(&dead->out, "\n");
    ek_output_write(ek_buffer_slice(&dead->out));
    return ek_output_end(ek_exit_code(dead->outcome));
}

static int end_letters(struct dead *dead)
{
    if (dead->cli->json) {
        ek_json_close(&dead->out, '[');
        return end_json(dead);
    }
    if (dead->outcome)
        return ek_fail(dead->cli, dead->outcome, "there is no such dead letter");
    ek_output_write(ek_buffer_slice(&dead->out));
    return ek_output_end(0);
}

static void begin_letters(struct dead *dead)
{
    if (!dead->cli->json)
        return;
    ek_json_open(&dead->out, NULL, '{');
    ek_json_open(&dead->out, "dead", '[');
}

static int list(struct dead *dead)
{
    struct ek_request request = {.kind = EK_DEAD_LIST};
    begin_letters(dead);
    do {
        request.cursor = dead->cursor;
        request.cursor_size = dead->cursor_size;
        if (ask(dead, &request))
            return ek_fail_outcome(dead->cli, dead->outcome, dead->text);
    } while (dead->cursor_size);
    return end_letters(dead);
}

static int show(struct dead *dead, uint8_t id[EK_DEAD_ID_BYTES])
{
    uint64_t position = ek_letter_position(ek_slice_of(id, EK_DEAD_ID_BYTES));
    struct ek_request request = {.kind = EK_DEAD_LIST, .cursor = id, .cursor_size = EK_DEAD_ID_BYTES, .limit = 1, .values = true};
    ek_letter_id(id, ek_get_u16(id), position - 1); /* the first one behind it */
    dead->shows = true;
    dead->position = position;
    begin_letters(dead);
    if (ask(dead, &request))
        return ek_fail_outcome(dead->cli, dead->outcome, dead->text);
    dead->outcome = dead->count ? EK_OUTCOME_OK : EK_OUTCOME_NOT_FOUND;
    return end_letters(dead);
}

static int change(struct dead *dead, enum ek_operation_kind kind, const char *name, const uint8_t id[EK_DEAD_ID_BYTES])
{
    struct ek_request request = {.kind = kind, .key = id, .key_size = EK_DEAD_ID_BYTES};
    enum ek_outcome outcome = ask(dead, &request);
    const char *text = outcome == EK_OUTCOME_NOT_FOUND          ? "there is no such dead letter"
                       : outcome == EK_OUTCOME_CONDITION_FAILED ? "its condition does not hold; the dead letter stays"
                                                                : dead->text;
    if (outcome && (outcome != EK_OUTCOME_NOT_FOUND || !dead->cli->json))
        return ek_fail_outcome(dead->cli, outcome, text);
    if (!dead->cli->json) {
        (void)printf(kind == EK_DEAD_DROP ? "%s dropped\n" : "%s applied\n", name);
        if (dead->number)
            (void)printf("%lld of its operations changed nothing\n", (long long)dead->number);
        return ek_output_end(0);
    }
    ek_json_open(&dead->out, NULL, '{');
    ek_json_text(&dead->out, "id", name);
    if (kind == EK_DEAD_REPLAY)
        ek_json_int(&dead->out, "operations_refused", dead->number);
    return end_json(dead);
}

/* ---- the command ---- */

static const char *const actions[] = {"list", "show", "replay", "drop"};
enum { LIST, SHOW, REPLAY, DROP, ACTIONS };

static int carry_out(struct dead *dead, int action, const char *name, uint64_t shard, uint64_t position)
{
    struct ek_broker_view view;
    uint8_t id[EK_DEAD_ID_BYTES];
    enum ek_outcome outcome = ek_client_ping(dead->client, &view);
    if (outcome)
        return ek_fail_outcome(dead->cli, outcome, ek_client_error(dead->client));
    if (action == LIST)
        return list(dead);
    if (shard >= view.shards)
        return ek_fail(dead->cli, EK_OUTCOME_NOT_FOUND, "there is no such dead letter: the store has %u shards", view.shards);
    ek_letter_id(id, (uint16_t)ek_shard_first((uint32_t)shard, view.shards), position);
    return action == SHOW ? show(dead, id) : change(dead, action == DROP ? EK_DEAD_DROP : EK_DEAD_REPLAY, name, id);
}

static int run_dead(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    struct dead dead = {.cli = cli};
    uint64_t shard = 0;
    uint64_t position = 0;
    int action = 0;
    (void)options;
    while (action < ACTIONS && strcmp(words[0], actions[action]) != 0)
        action++;
    if (action == ACTIONS || count != (action == LIST ? 1 : 2))
        return ek_fail(cli, EK_OUTCOME_USAGE, "write: evenkeel dead list, or show, replay or drop with an id");
    if (action != LIST && !parse_id(words[1], &shard, &position))
        return ek_fail(cli, EK_OUTCOME_USAGE, "`%.40s` is no id: `evenkeel dead list` shows them, such as 12-3456", words[1]);
    enum ek_outcome outcome = ek_connect(cli, NULL, &dead.client);
    if (outcome)
        return ek_exit_code(outcome);
    int code = carry_out(&dead, action, count > 1 ? words[1] : "", shard, position);
    ek_client_close(&dead.client);
    ek_buffer_done(&dead.out);
    return code;
}

const struct ek_command ek_command_dead = {
    .name = "dead",
    .synopsis = "list|show ID|replay ID|drop ID",
    .summary = "jobs that were set aside because workers died of them",
    .details =
        "A job that a worker died of three times, each time as the only one in flight, is kept as a dead letter. `show` prints\n"
        "its operations, `replay` applies it and removes it (one that kills again stays where it is), `drop` removes it.",
    .words_min = 1,
    .words_max = 2,
    .run = run_dead,
};
