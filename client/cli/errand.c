#include "client/cli/errand.h"

#include "client/cli/answer.h"
#include "common/base64.h"
#include "common/json.h"
#include "client/cli/output.h"

#include <string.h>

enum { BUSY_WAIT_MS = 100 };

static void append(struct ek_buffer *out, const char *text)
{
    ek_buffer_append(out, text, strlen(text));
}

static bool is_json(const struct ek_errand *errand)
{
    return errand->of->format == EK_ERRAND_JSON;
}

static void open_answer(struct ek_errand *errand)
{
    struct ek_buffer *out = &errand->out;
    if (is_json(errand)) {
        ek_json_open(out, NULL, '{');
        if (errand->line) {
            ek_json_uint(out, "line", errand->line);
            if (errand->verb)
                ek_json_text(out, "op", errand->verb);
            else
                ek_json_null(out, "op");
        }
    } else if (errand->of->format == EK_ERRAND_LINE) {
        ek_text_uint(out, errand->line);
        append(out, " ");
        append(out, errand->verb ? errand->verb : "-");
        append(out, " ");
        append(out, ek_outcome_name(errand->outcome));
    }
}

static void open_json_status(struct ek_errand *errand)
{
    ek_json_text(&errand->out, "status", ek_outcome_name(errand->outcome));
    if (!ek_outcome_is_result(errand->outcome))
        ek_json_text(&errand->out, "error", errand->error.text);
}

static void close_answer(struct ek_errand *errand)
{
    if (is_json(errand)) {
        append(&errand->out, "}\n");
    } else if (errand->of->format == EK_ERRAND_LINE) {
        if (!ek_outcome_is_result(errand->outcome)) {
            append(&errand->out, ": ");
            append(&errand->out, errand->error.text);
        }
        append(&errand->out, "\n");
    }
    errand->answered = true;
    if (errand->gate)
        --*errand->gate;
    errand->gate = NULL;
}

static void judge(struct ek_errand *errand, enum ek_outcome outcome, const char *text)
{
    errand->outcome = outcome;
    errand->error.text[0] = '\0';
    if (outcome)
        ek_explain(errand->of->cli, outcome, text, &errand->error);
}

/* put, get, incr */
static void answer_one(struct ek_errand *errand, const struct ek_completion *completion)
{
    struct ek_slice key = ek_buffer_slice(&errand->key);
    judge(errand, completion->outcome, completion->text);
    open_answer(errand);
    if (is_json(errand)) {
        open_json_status(errand);
        ek_answer_json(&errand->out, errand->kind, key, completion);
    } else if (errand->of->format == EK_ERRAND_LINE) {
        ek_answer_line(&errand->out, errand->kind, key, completion);
    } else if (completion->outcome == EK_OUTCOME_OK) {
        ek_answer_plain(&errand->out, errand->kind, completion, errand->of->format == EK_ERRAND_RAW);
    }
    close_answer(errand);
}

/* del, exists: once the last key has its verdict */
static void answer_count(struct ek_errand *errand)
{
    if (errand->outcome == EK_OUTCOME_OK && errand->count == 0)
        errand->outcome = EK_OUTCOME_NOT_FOUND;
    open_answer(errand);
    if (is_json(errand)) {
        open_json_status(errand);
        ek_json_uint(&errand->out, "count", errand->count);
    } else {
        append(&errand->out, errand->of->format == EK_ERRAND_LINE ? " " : "");
        ek_text_uint(&errand->out, errand->count);
        append(&errand->out, errand->kind == EK_DELETE ? " deleted" : errand->count == 1 ? " exists" : " exist");
        append(&errand->out, errand->of->format == EK_ERRAND_LINE ? "" : "\n");
    }
    close_answer(errand);
}

static void count_key(struct ek_errand *errand, enum ek_outcome outcome, const char *text)
{
    errand->count += outcome == EK_OUTCOME_OK;
    if (outcome != EK_OUTCOME_OK && outcome != EK_OUTCOME_NOT_FOUND && errand->outcome == EK_OUTCOME_OK)
        judge(errand, outcome, text);
    if (errand->submitted && errand->under_way == 0)
        answer_count(errand);
}

static void close_scan(struct ek_errand *errand)
{
    struct ek_buffer *out = &errand->out;
    struct ek_buffer hex = {0};
    ek_hex_encode(&hex, ek_buffer_slice(&errand->cursor));
    ek_buffer_append(&hex, "", 1);
    const char *cursor = (const char *)hex.data;
    if (is_json(errand)) {
        ek_json_close(out, '[');
        if (errand->cursor.size)
            ek_json_text(out, "cursor", cursor);
        else
            ek_json_null(out, "cursor");
        open_json_status(errand);
    } else if (errand->of->format == EK_ERRAND_LINE) {
        open_answer(errand);
        append(out, " ");
        ek_text_uint(out, errand->count);
        append(out, errand->count == 1 ? " entry" : " entries");
        append(out, errand->cursor.size ? ", more with --cursor " : "");
        append(out, cursor);
    }
    close_answer(errand);
    ek_buffer_done(&hex);
}

static void take_page(struct ek_errand *errand, const struct ek_completion *page)
{
    ek_buffer_clear(&errand->cursor);
    if (page->cursor)
        ek_buffer_append(&errand->cursor, page->cursor, page->cursor_size);
    if (is_json(errand))
        ek_answer_entries_json(&errand->out, page->found, page->found_count, errand->values);
    else
        ek_answer_entries_text(&errand->out, page->found, page->found_count, errand->values);
    errand->count += page->found_count;
    errand->left -= page->found_count < errand->left ? page->found_count : errand->left;
    errand->more = page->cursor && errand->left && errand->out.size < EK_ERRAND_BYTES_MAX;
    if (!errand->more)
        close_scan(errand);
}

static void complete(void *context, const struct ek_completion *completions, size_t count)
{
    struct ek_errand *errand = context;
    const struct ek_completion *completion = &completions[0];
    (void)count;
    errand->under_way--;
    if (errand->kind == EK_DELETE || errand->kind == EK_EXISTS) {
        count_key(errand, completion->outcome, completion->text);
    } else if (errand->kind != EK_SCAN) {
        answer_one(errand, completion);
    } else if (completion->outcome == EK_OUTCOME_OK) {
        take_page(errand, completion);
    } else {
        judge(errand, completion->outcome, completion->text);
        close_scan(errand);
    }
}

enum ek_outcome ek_submit_patiently(struct ek_client *client, const struct ek_request *request, uint32_t timeout_ms,
                                    ek_callback callback, void *context)
{
    for (;;) {
        enum ek_outcome outcome = ek_submit(client, request, timeout_ms, callback, context);
        if (outcome != EK_OUTCOME_BUSY)
            return outcome;
        (void)ek_client_poll(client, BUSY_WAIT_MS);
    }
}

const char *ek_why_not_taken(enum ek_outcome outcome)
{
    return outcome == EK_OUTCOME_FAILED ? "the broker at this endpoint is now another cluster's" : "";
}

static void submit(struct ek_errand *errand, const struct ek_request *request)
{
    errand->under_way++;
    enum ek_outcome outcome = ek_submit_patiently(errand->of->client, request, errand->of->timeout_ms, complete, errand);
    if (outcome)
        complete(errand, &(struct ek_completion){.outcome = outcome, .text = ek_why_not_taken(outcome)}, 1);
}

static void begin(struct ek_errand *errand, const struct ek_errands *of, uint64_t line)
{
    ek_buffer_clear(&errand->out);
    ek_buffer_clear(&errand->key);
    ek_buffer_clear(&errand->cursor);
    errand->of = of;
    errand->line = line;
    errand->gate = NULL;
    errand->under_way = 0;
    errand->submitted = errand->answered = errand->more = errand->values = false;
    errand->outcome = EK_OUTCOME_OK;
    errand->error.text[0] = '\0';
    errand->count = errand->left = 0;
}

void ek_errand_start(struct ek_errand *errand, const struct ek_errands *of, uint64_t line, const struct ek_instruction *instruction,
                     unsigned *gate)
{
    struct ek_request request = instruction->request;
    begin(errand, of, line);
    errand->gate = gate;
    if (gate)
        ++*gate;
    errand->kind = instruction->kind;
    errand->verb = instruction->verb;
    ek_buffer_append(&errand->key, request.key, request.key_size);
    if (errand->kind == EK_SCAN) {
        errand->left = instruction->limit;
        errand->values = request.values;
        if (is_json(errand)) {
            open_answer(errand);
            ek_json_open(&errand->out, "entries", '[');
        }
    }
    errand->submitted = instruction->key_count <= 1;
    submit(errand, &request);
    for (size_t i = 1; i < instruction->key_count; i++) {
        request.key = instruction->keys[i];
        request.key_size = strlen(instruction->keys[i]);
        errand->submitted = i + 1 == instruction->key_count;
        submit(errand, &request);
    }
}

void ek_errand_refuse(struct ek_errand *errand, const struct ek_errands *of, uint64_t line, const char *verb,
                      enum ek_outcome outcome, const char *text)
{
    begin(errand, of, line);
    errand->verb = verb;
    judge(errand, outcome, text);
    open_answer(errand);
    if (is_json(errand))
        open_json_status(errand);
    close_answer(errand);
}

void ek_errand_continue(struct ek_errand *errand)
{
    if (!errand->more)
        return;
    struct ek_request request = {.kind = EK_SCAN, .values = errand->values};
    request.key = errand->key.size ? (const char *)errand->key.data : "";
    request.key_size = errand->key.size;
    request.cursor = errand->cursor.data;
    request.cursor_size = errand->cursor.size;
    request.limit = errand->left < EK_SCAN_ENTRIES_MAX ? (uint32_t)errand->left : EK_SCAN_ENTRIES_MAX;
    errand->more = false;
    submit(errand, &request);
}

/* Writes out what stands so far, but for the last byte: it decides whether a comma follows. */
static void stream(struct ek_errand *errand)
{
    struct ek_slice out = ek_buffer_slice(&errand->out);
    if (out.size < 2)
        return;
    uint8_t last = out.data[out.size - 1];
    ek_output_write(ek_slice_of(out.data, out.size - 1));
    ek_buffer_clear(&errand->out);
    ek_buffer_append(&errand->out, &last, 1);
}

void ek_errand_await(struct ek_errand *errand, bool streaming)
{
    while (!errand->answered) {
        if (streaming && errand->more)
            stream(errand);
        ek_errand_continue(errand);
        if (!errand->answered)
            (void)ek_client_poll(errand->of->client, -1);
    }
}

/* Beside the rows, which are for other programs too. */
static void note_cursor(const struct ek_errand *errand)
{
    struct ek_buffer hex = {0};
    ek_hex_encode(&hex, ek_buffer_slice(&errand->cursor));
    ek_buffer_append(&hex, "", 1);
    (void)ek_output_flush();
    ek_note("there is more: --cursor %s", (const char *)hex.data);
    ek_buffer_done(&hex);
}

int ek_errand_finish(struct ek_errand *errand)
{
    bool to_stderr = errand->of->format == EK_ERRAND_PLAIN || errand->of->format == EK_ERRAND_RAW;
    ek_output_write(ek_buffer_slice(&errand->out));
    bool counted = errand->outcome == EK_OUTCOME_NOT_FOUND && (errand->kind == EK_DELETE || errand->kind == EK_EXISTS);
    if (errand->outcome && to_stderr && !counted)
        return ek_fail(errand->of->cli, errand->outcome, "%s", errand->error.text);
    if (to_stderr && errand->kind == EK_SCAN && errand->cursor.size)
        note_cursor(errand);
    return ek_output_end(ek_exit_code(errand->outcome));
}

void ek_errand_done(struct ek_errand *errand)
{
    ek_buffer_done(&errand->out);
    ek_buffer_done(&errand->key);
    ek_buffer_done(&errand->cursor);
}
