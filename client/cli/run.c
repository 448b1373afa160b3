/* run: commands from a file or a terminal, many under way, answers in the order of the input. */
#include "client/cli/cli.h"
#include "client/cli/connect.h"
#include "client/cli/errand.h"
#include "client/cli/lines.h"
#include "client/cli/output.h"
#include "client/cli/prompt.h"
#include "client/cli/words.h"
#include "common/hash.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PIPELINE_DEFAULT = 1000,
    PIPELINE_MAX = 100000,
    GATES = 65536,      /* a power of two */
    INPUT_CHECK_MS = 1, /* how often new lines are looked for while answers are awaited */
    KEPT_BYTES = 64 * 1024,
    SMALL_BYTES = 4096
};
#define ANSWERS_BYTES_MAX (256u * EK_MIB)           /* of answers that wait for those before them */
#define LINE_BYTES_MAX    (EK_VALUE_BYTES_MAX * 2u) /* backslashes may double a value */

struct run_options {
    uint64_t pipeline;
};
static const struct run_options defaults = {.pipeline = PIPELINE_DEFAULT};

static const struct ek_option options_table[] = {
    {"pipeline", EK_OPTION_NUMBER, offsetof(struct run_options, pipeline), 1, PIPELINE_MAX, "N", "lines under way (default 1000)"},
    {.name = NULL},
};

struct run {
    struct ek_errands of;
    struct ek_lines lines;
    struct ek_words words;
    struct ek_instruction instruction;
    struct ek_errand *errands; /* a ring */
    size_t pipeline;
    unsigned *gates;       /* reads under way, by the hash of their key */
    unsigned wide_reads;   /* scans, and reads of many keys */
    uint64_t first, next;  /* errands [first, next) wait for their turn to answer */
    size_t largest_bytes;  /* of an answer so far: bounds how many may wait */
    bool failed;           /* some line was neither ok nor not_found nor condition_failed */
    struct ek_error error; /* why the input cannot be read any more */
};

static struct ek_errand *at(struct run *run, uint64_t index)
{
    return &run->errands[index % run->pipeline];
}

/* Answers of unknown size wait in memory: the largest so far tells how many of them fit. */
static bool has_room(const struct run *run)
{
    uint64_t fitting = ANSWERS_BYTES_MAX / (run->largest_bytes > SMALL_BYTES ? run->largest_bytes : SMALL_BYTES);
    uint64_t waiting = run->next - run->first;
    return waiting < run->pipeline && (waiting < fitting || waiting == 0);
}

/* Writes the answers that are next in order. */
static void answer(struct run *run)
{
    for (; run->first < run->next && at(run, run->first)->answered; run->first++) {
        struct ek_errand *errand = at(run, run->first);
        ek_output_write(ek_buffer_slice(&errand->out));
        run->failed = run->failed || ek_exit_code(errand->outcome) > 1;
        if (errand->out.size > run->largest_bytes)
            run->largest_bytes = errand->out.size;
        if (errand->out.capacity > KEPT_BYTES)
            ek_buffer_done(&errand->out);
    }
    /* A scan goes on when everything before it has been answered. */
    if (run->first < run->next)
        ek_errand_continue(at(run, run->first));
}

static unsigned *gate_at(struct run *run, const char *key, size_t size)
{
    return &run->gates[ek_hash(ek_slice_of(key, size)) & (GATES - 1)];
}

/* Where a read is counted while it is under way; NULL for a write. */
static unsigned *gate_of(struct run *run, const struct ek_instruction *instruction)
{
    if (instruction->kind == EK_SCAN || (instruction->kind == EK_EXISTS && instruction->key_count > 1))
        return &run->wide_reads;
    if (instruction->kind == EK_GET || instruction->kind == EK_EXISTS)
        return gate_at(run, instruction->request.key, instruction->request.key_size);
    return NULL;
}

static bool is_read_now(struct run *run, const struct ek_instruction *instruction)
{
    if (run->wide_reads)
        return true;
    for (size_t i = 0; i < instruction->key_count; i++)
        if (*gate_at(run, instruction->keys[i], strlen(instruction->keys[i])))
            return true;
    return false;
}

/* A read under way may see what is written after it: lines have to look as if they were carried out one after the other, so a write
 * waits for the reads of its keys. */
static void await_reads(struct run *run, const struct ek_instruction *instruction)
{
    while (!gate_of(run, instruction) && is_read_now(run, instruction)) {
        answer(run);
        if (!is_read_now(run, instruction))
            return;
        (void)ek_output_flush();
        (void)ek_client_poll(run->of.client, -1);
    }
}

/* False when the line asks for nothing. */
static bool start(struct run *run, char *line, size_t size, enum ek_status status)
{
    struct ek_error error = {.text = "the line is too long"};
    if (!status)
        status = ek_words_split(&run->words, line, size, &error);
    if (!status && (run->words.count == 0 || run->words.words[0][0] == '#'))
        return false;
    char *verb = status ? NULL : run->words.words[0];
    if (!status)
        status = ek_instruction_parse(run->words.words, run->words.count, &run->instruction, &error);
    if (!status)
        await_reads(run, &run->instruction);
    struct ek_errand *errand = at(run, run->next++);
    if (status)
        ek_errand_refuse(errand, &run->of, run->lines.number, verb ? ek_verb_of(verb) : NULL, EK_OUTCOME_USAGE, error.text);
    else
        ek_errand_start(errand, &run->of, run->lines.number, &run->instruction, gate_of(run, &run->instruction));
    return true;
}

static bool has_input(const struct run *run, int timeout_ms)
{
    struct pollfd item = {.fd = run->lines.fd, .events = POLLIN};
    int ready;
    do
        ready = poll(&item, 1, timeout_ms);
    while (ready < 0 && errno == EINTR);
    return ready != 0;
}

/* Lets answers or lines come. `wants_input`: there is room for a line and none is buffered. */
static enum ek_status wait_for_more(struct run *run, bool wants_input)
{
    if (run->first == run->next) {
        if (!ek_output_flush())
            return ek_error_set(&run->error, EK_IO, "standard output is gone");
        (void)has_input(run, -1);
        return ek_lines_fill(&run->lines, &run->error);
    }
    if (ek_client_poll(run->of.client, 0))
        return EK_OK;
    if (wants_input && has_input(run, 0))
        return ek_lines_fill(&run->lines, &run->error);
    if (!ek_output_flush())
        return ek_error_set(&run->error, EK_IO, "standard output is gone");
    (void)ek_client_poll(run->of.client, wants_input ? INPUT_CHECK_MS : -1);
    return EK_OK;
}

static enum ek_status run_lines(struct run *run)
{
    for (bool ended = false; !ended || run->first < run->next;) {
        enum ek_status status = EK_OK;
        bool wants_input = false;
        while (!ended && !wants_input && has_room(run)) {
            char *line = NULL;
            size_t size = 0;
            status = ek_lines_next(&run->lines, &line, &size);
            ended = status == EK_NOT_FOUND;
            wants_input = status == EK_AGAIN;
            if (!ended && !wants_input)
                (void)start(run, line, size, status);
        }
        answer(run);
        bool idle = run->first == run->next;
        if ((idle && ended) || (!wants_input && !ended && has_room(run)))
            continue;
        if (!idle && at(run, run->first)->answered)
            continue;
        status = wait_for_more(run, wants_input);
        if (status)
            return status;
        answer(run);
    }
    return EK_OK;
}

static int run_person(struct run *run)
{
    char *line;
    while ((line = ek_prompt_read("evenkeel> "))) {
        bool quits = strcmp(line, "quit") == 0 || strcmp(line, "exit") == 0;
        run->lines.number++;
        run->first = run->next = 0;
        if (!quits && start(run, line, strlen(line), EK_OK)) {
            struct ek_errand *errand = at(run, 0);
            ek_errand_await(errand, true);
            run->failed = ek_errand_finish(errand) > 1 || run->failed;
        }
        free(line);
        if (quits)
            break;
    }
    return run->failed ? ek_exit_code(EK_OUTCOME_FAILED) : 0;
}

static int run_input(const struct ek_cli *cli, struct run *run)
{
    /* What is not there in time is each line's own answer. */
    (void)ek_connect_await(cli, run->of.client);
    enum ek_status status = run_lines(run);
    if (status)
        return ek_fail(cli, EK_OUTCOME_FAILED, "%s", run->error.text);
    return ek_output_end(run->failed ? ek_exit_code(EK_OUTCOME_FAILED) : 0);
}

static int run_run(const struct ek_cli *cli, const void *options, char **words, size_t count)
{
    const struct run_options *given = options;
    const char *path = count ? words[0] : "-";
    bool person = strcmp(path, "-") == 0 && isatty(STDIN_FILENO);
    struct run run = {.pipeline = (size_t)given->pipeline};
    enum ek_status status = ek_lines_open(&run.lines, path, LINE_BYTES_MAX, &run.error);
    if (status)
        return ek_fail(cli, ek_outcome_of(status), "%s", run.error.text);
    run.of = (struct ek_errands){.cli = cli, .timeout_ms = person ? cli->timeout_ms : ek_cli_long_timeout(cli)};
    run.of.format = cli->json ? EK_ERRAND_JSON : person ? EK_ERRAND_PLAIN : EK_ERRAND_LINE;
    run.errands = ek_alloc_zero(run.pipeline, sizeof *run.errands);
    run.gates = ek_alloc_zero(GATES, sizeof *run.gates);
    enum ek_outcome outcome = ek_connect(cli, NULL, &run.of.client);
    int code = ek_exit_code(outcome);
    if (!outcome)
        code = person ? run_person(&run) : run_input(cli, &run);
    ek_client_close(&run.of.client);
    for (size_t i = 0; i < run.pipeline; i++)
        ek_errand_done(&run.errands[i]);
    free(run.errands);
    free(run.gates);
    ek_words_done(&run.words);
    ek_lines_done(&run.lines);
    return code;
}

const struct ek_command ek_command_run = {
    .name = "run",
    .synopsis = "[FILE]",
    .summary = "commands from a file, a pipe or the keyboard, many under way",
    .details = "One command a line: put, get, del, exists, incr or scan, quoted as in a shell; blank lines and # are passed over.\n"
               "Answers come in the order of the lines. A line that cannot be read is answered `usage`, and the run goes on.",
    .words_max = 1,
    .options = options_table,
    .defaults = &defaults,
    .options_size = sizeof defaults,
    .run = run_run,
};
