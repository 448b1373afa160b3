/* txn: operations on one hash tag, a line each on standard input, applied whole or not at all. */
#include "client/cli/answer.h"
#include "client/cli/cli.h"
#include "client/cli/connect.h"
#include "client/cli/errand.h"
#include "common/json.h"
#include "client/cli/lines.h"
#include "client/cli/operation.h"
#include "client/cli/output.h"
#include "client/cli/words.h"
#include "common/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct step {
    const char *verb;
    uint64_t line;
};

/* A transaction and, in the end, its answer. */
struct transaction {
    struct ek_buffer input; /* the keys and values stand in here */
    struct ek_request *requests;
    size_t request_capacity;
    struct step *steps;
    size_t step_capacity;
    size_t count;
    bool json;
    bool answered;
    enum ek_outcome outcome;
    char text[256];
    uint64_t failed_line;
    struct ek_buffer out; /* the results */
};

/* What decides where a key lies: its hash tag, or all of it. */
static struct ek_slice place_of(const struct ek_request *request)
{
    struct ek_slice key = ek_slice_of(request->key, request->key_size);
    struct ek_slice tag = ek_hash_tag(key);
    return tag.size ? tag : key;
}

static enum ek_status add(struct transaction *txn, char **words, size_t count, uint64_t line, struct ek_error *error)
{
    struct ek_instruction instruction;
    enum ek_status status = ek_instruction_parse(words, count, &instruction, error);
    if (status)
        return status;
    if (instruction.kind == EK_GET || instruction.kind == EK_SCAN)
        return ek_error_set(error, EK_MALFORMED, "a transaction takes put, del, incr and exists, not %s", instruction.verb);
    for (size_t i = 0; i < instruction.key_count; i++) {
        if (txn->count == EK_JOB_OPERATIONS_MAX)
            return ek_error_set(error, EK_TOO_LARGE, "a transaction has at most %u operations", EK_JOB_OPERATIONS_MAX);
        txn->requests = ek_grow(txn->requests, &txn->request_capacity, txn->count + 1, sizeof *txn->requests);
        txn->steps = ek_grow(txn->steps, &txn->step_capacity, txn->count + 1, sizeof *txn->steps);
        struct ek_request *request = &txn->requests[txn->count];
        *request = instruction.request;
        request->key = instruction.keys[i];
        request->key_size = strlen(instruction.keys[i]);
        txn->steps[txn->count++] = (struct step){.verb = instruction.verb, .line = line};
        if (!ek_slice_equal(place_of(request), place_of(&txn->requests[0])))
            return ek_error_set(error, EK_MALFORMED, "all keys of a transaction have the same hash tag, such as {user:42}/name");
    }
    return EK_OK;
}

/* Splits the input in place; `failed_line` tells where it cannot be understood. */
static enum ek_status understand(struct transaction *txn, struct ek_error *error)
{
    struct ek_words words = {0};
    enum ek_status status = EK_OK;
    char *at = (char *)txn->input.data;
    char *end = at + txn->input.size - 1; /* the terminator */
    for (uint64_t line = 1; at < end && !status; line++) {
        char *newline = memchr(at, '\n', (size_t)(end - at));
        char *stop = newline ? newline : end;
        status = ek_words_split(&words, at, (size_t)(stop - at), error);
        if (!status && words.count && words.words[0][0] != '#')
            status = add(txn, words.words, words.count, line, error);
        if (status)
            txn->failed_line = line;
        at = stop + 1;
    }
    ek_words_done(&words);
    return status;
}

static void take_results(struct transaction *txn, const struct ek_completion *completions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct ek_slice key = ek_slice_of(txn->requests[i].key, txn->requests[i].key_size);
        if (txn->json) {
            ek_json_open(&txn->out, NULL, '{');
            ek_json_text(&txn->out, "op", txn->steps[i].verb);
            ek_json_text(&txn->out, "status", ek_outcome_name(completions[i].outcome));
            ek_answer_json(&txn->out, txn->requests[i].kind, key, &completions[i]);
            ek_json_close(&txn->out, '{');
            continue;
        }
        ek_text_uint(&txn->out, txn->steps[i].line);
        ek_buffer_append(&txn->out, " ", 1);
        ek_buffer_append(&txn->out, txn->steps[i].verb, strlen(txn->steps[i].verb));
        ek_buffer_append(&txn->out, " ", 1);
        const char *outcome = ek_outcome_name(completions[i].outcome);
        ek_buffer_append(&txn->out, outcome, strlen(outcome));
        ek_answer_line(&txn->out, txn->requests[i].kind, key, &completions[i]);
        ek_buffer_append(&txn->out, "\n", 1);
    }
}

static void complete(void *context, const struct ek_completion *completions, size_t count)
{
    struct transaction *txn = context;
    txn->answered = true;
    /* What was applied has a completion for each operation; an EXISTS that found nothing is no failure. */
    enum ek_outcome first = completions[0].outcome;
    bool applied = count == txn->count && (count > 1 || first == EK_OUTCOME_OK || first == EK_OUTCOME_NOT_FOUND);
    if (applied) {
        take_results(txn, completions, count);
        return;
    }
    txn->outcome = first;
    (void)snprintf(txn->text, sizeof txn->text, "%s", completions[0].text);
    bool has_culprit = first == EK_OUTCOME_CONDITION_FAILED || first == EK_OUTCOME_FAILED;
    if (has_culprit && completions[0].failed_index < txn->count)
        txn->failed_line = txn->steps[completions[0].failed_index].line;
}

static int answer_failure(const struct ek_cli *cli, struct transaction *txn, const char *text)
{
    if (!cli->json) {
        if (txn->failed_line)
            return ek_fail(cli, txn->outcome, "line %llu: %s; nothing was applied", (unsigned long long)txn->failed_line, text);
        return ek_fail(cli, txn->outcome, "%s", text);
    }
    struct ek_buffer out = {0};
    ek_json_open(&out, NULL, '{');
    ek_json_text(&out, "status", ek_outcome_name(txn->outcome));
    ek_json_text(&out, "error", text);
    if (txn->failed_line)
        ek_json_uint(&out, "failed_line", txn->failed_line);
    ek_json_close(&out, '{');
    ek_buffer_append(&out, "\n", 1);
    ek_output_write(ek_buffer_slice(&out));
    ek_buffer_done(&out);
    return ek_output_end(ek_exit_code(txn->outcome));
}

static int answer(const struct ek_cli *cli, struct transaction *txn)
{
    if (txn->outcome) {
        struct ek_error error;
        ek_explain(cli, txn->outcome, txn->text, &error);
        return answer_failure(cli, txn, error.text);
    }
    if (cli->json)
        ek_output_write(ek_slice_text("{\"status\":\"ok\",\"results\":["));
    ek_output_write(ek_buffer_slice(&txn->out));
    if (cli->json)
        ek_output_write(ek_slice_text("]}\n"));
    return ek_output_end(0);
}

static int send(const struct ek_cli *cli, struct transaction *txn)
{
    struct ek_client *client;
    enum ek_outcome outcome = ek_connect(cli, NULL, &client);
    if (outcome)
        return ek_exit_code(outcome);
    txn->outcome = ek_submit_transaction(client, txn->requests, txn->count, cli->timeout_ms, complete, txn);
    if (txn->outcome == EK_OUTCOME_TOO_LARGE)
        (void)snprintf(
            txn->text, sizeof txn->text,
            "beyond a limit: a transaction has 16 MiB, and at most 85 conditional operations or increments or 4000 others; "
            "keys have 1 to 4096 bytes, values up to 16 MiB; nothing was sent");
    else if (txn->outcome)
        (void)snprintf(txn->text, sizeof txn->text, "%s", ek_why_not_taken(txn->outcome));
    while (!txn->outcome && !txn->answered)
        (void)ek_client_poll(client, -1);
    int code = answer(cli, txn);
    ek_client_close(&client);
    return code;
}

static int read_and_send(const struct ek_cli *cli, struct transaction *txn)
{
    struct ek_error error;
    enum ek_status status = ek_read_all(STDIN_FILENO, EK_JOB_BODY_BYTES_MAX, &txn->input, &error);
    if (!status) {
        ek_buffer_append(&txn->input, "", 1);
        status = understand(txn, &error);
    }
    if (status) {
        txn->outcome = ek_outcome_of(status);
        return answer_failure(cli, txn, error.text);
    }
    if (txn->count == 0)
        return ek_fail(cli, EK_OUTCOME_USAGE, "a transaction needs at least one line, such as: incr '{user:42}/visits'");
    return send(cli, txn);
}

static int run_txn(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    struct transaction txn = {.json = cli->json};
    (void)options, (void)words, (void)count;
    int code = read_and_send(cli, &txn);
    ek_buffer_done(&txn.input);
    ek_buffer_done(&txn.out);
    free(txn.requests);
    free(txn.steps);
    return code;
}

const struct ek_command ek_command_txn = {
    .name = "txn",
    .synopsis = "",
    .summary = "operations from standard input, all or none of them",
    .details = "One operation a line, quoted as in a shell: put KEY VALUE [--ttl 30s] [--if-absent] [--if-version N], del KEY,\n"
               "incr KEY [BY], exists KEY. All keys have the same hash tag: the part between the first { and }.",
    .run = run_txn,
};
