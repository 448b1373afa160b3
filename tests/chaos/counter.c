/*
 * One producer of the counter test: increments a key COUNT times, many under way at once, and writes what was submitted and what
 * was acknowledged to standard output. A line is written before what it calls submitted leaves, and after what it calls
 * acknowledged came back, so that the lines bound the truth even when the producer is killed.
 *
 *     counter ENDPOINT KEY COUNT
 *
 * Standard input: how many it may submit in all so far, a number a line. Standard output: `SUBMITTED ACKNOWLEDGED OTHERWISE` a
 * line; OTHERWISE are increments that ended in any other way. Ends with 0 when all have ended.
 */
#include "client/evenkeel.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { POLL_MS = 2, LINE_BYTES = 64 };

struct counter {
    struct ek_client *client;
    const char *key;
    unsigned long long count, allowed, submitted, acknowledged, otherwise;
    unsigned long long said_submitted, said_ended;
};

static void complete(void *context, const struct ek_completion *completions, size_t count)
{
    struct counter *counter = context;
    (void)count;
    if (completions[0].outcome == EK_OUTCOME_OK) {
        counter->acknowledged++;
        return;
    }
    counter->otherwise++;
    (void)fprintf(stderr, "an increment ended %s: %s\n", ek_outcome_name(completions[0].outcome), completions[0].text);
}

/* A line at most as long as a pipe takes whole. */
static void say(struct counter *counter)
{
    char line[LINE_BYTES];
    unsigned long long ended = counter->acknowledged + counter->otherwise;
    if (counter->said_submitted == counter->submitted && counter->said_ended == ended)
        return;
    int size = snprintf(line, sizeof line, "%llu %llu %llu\n", counter->submitted, counter->acknowledged, counter->otherwise);
    if (write(STDOUT_FILENO, line, (size_t)size) != size)
        exit(EXIT_FAILURE);
    counter->said_submitted = counter->submitted;
    counter->said_ended = ended;
}

/* Takes the limits that have come; waits for one when nothing is under way. False at the end of the input. */
static bool take_limits(struct counter *counter)
{
    static char input[LINE_BYTES * 64];
    struct pollfd item = {.fd = STDIN_FILENO, .events = POLLIN};
    bool idle = ek_client_pending(counter->client) == 0 && counter->submitted == counter->allowed;
    int ready = poll(&item, 1, idle ? -1 : 0);
    if (ready == 0 || (ready < 0 && errno == EINTR))
        return true;
    ssize_t size = read(STDIN_FILENO, input, sizeof input - 1);
    if (size <= 0)
        return false;
    input[size] = 0;
    for (char *line = strtok(input, "\n"); line; line = strtok(NULL, "\n")) {
        unsigned long long allowed = strtoull(line, NULL, 10);
        if (allowed > counter->allowed)
            counter->allowed = allowed < counter->count ? allowed : counter->count;
    }
    return true;
}

static void submit_all(struct counter *counter)
{
    struct ek_request request = {.kind = EK_INCREMENT, .key = counter->key, .key_size = strlen(counter->key), .by = 1};
    while (counter->submitted < counter->allowed &&
           ek_submit(counter->client, &request, UINT32_MAX, complete, counter) == EK_OUTCOME_OK)
        counter->submitted++;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    struct counter counter = {.key = argv[2], .count = strtoull(argv[3], NULL, 10)};
    if (ek_client_open(&(struct ek_client_options){.endpoint = argv[1], .name = "counter"}, &counter.client) != EK_OUTCOME_OK)
        return EXIT_FAILURE;
    while (counter.acknowledged + counter.otherwise < counter.count) {
        if (!take_limits(&counter))
            return EXIT_FAILURE;
        submit_all(&counter);
        say(&counter);
        (void)ek_client_poll(counter.client, POLL_MS);
        say(&counter);
    }
    ek_client_close(&counter.client);
    return EXIT_SUCCESS;
}
