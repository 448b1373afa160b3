#include "client/handle.h"

#include "common/clock.h"

#include <stdio.h>

enum { WAIT_STEP_MS = 100 };

/* One synchronous operation; the completion's bytes are kept in the client. */
struct call {
    struct ek_client *client;
    struct ek_completion completion;
    bool done;
};

static void finish(void *context, const struct ek_completion *completions, size_t count)
{
    struct call *call = context;
    struct ek_buffer *kept = &call->client->kept;
    (void)count;
    call->done = true;
    call->completion = *completions;
    ek_client_set_error(call->client, completions->text);
    /* Never NULL, even for an empty value. */
    (void)ek_buffer_reserve(kept, completions->reading.value_size + 1);
    ek_buffer_append(kept, completions->reading.value, completions->reading.value_size);
    call->completion.reading.value = kept->data;
}

static uint64_t until_us_of(const struct ek_client *client)
{
    return client->timeout_ms == UINT32_MAX ? UINT64_MAX : ek_clock_monotonic_us() + (uint64_t)client->timeout_ms * 1000;
}

static void begin(struct ek_client *client)
{
    ek_buffer_clear(&client->kept);
    ek_client_set_error(client, "");
}

static enum ek_outcome refuse(struct ek_client *client, enum ek_outcome outcome, const char *text)
{
    ek_client_set_error(client, text);
    return outcome;
}

static const char *why_refused(enum ek_outcome outcome)
{
    switch (outcome) {
    case EK_OUTCOME_BUSY:
        return "too much is under way in this client";
    case EK_OUTCOME_TOO_LARGE:
        return "keys have at most 4 KiB, values 16 MiB, a time to live 100 years";
    case EK_OUTCOME_FAILED:
        return "the broker at this endpoint is now another cluster's";
    default:
        return "a key has 1 byte to 4 KiB, and if_absent and if_version exclude each other";
    }
}

static enum ek_outcome carry_out(struct ek_client *client, const struct ek_request *request, struct ek_completion *ret)
{
    begin(client);
    if (client->connection->inside)
        return refuse(client, EK_OUTCOME_USAGE, "a callback may submit, but not wait");
    struct call call = {.client = client};
    uint64_t until_us = until_us_of(client);
    enum ek_outcome outcome;
    while ((outcome = ek_submit(client, request, 0, finish, &call)) == EK_OUTCOME_BUSY && ek_clock_monotonic_us() < until_us)
        (void)ek_client_poll(client, WAIT_STEP_MS);
    if (outcome != EK_OUTCOME_OK)
        return refuse(client, outcome, why_refused(outcome));
    while (!call.done)
        (void)ek_client_poll(client, -1);
    *ret = call.completion;
    return call.completion.outcome;
}

enum ek_outcome ek_put(struct ek_client *client, const void *key, size_t key_size, const void *value, size_t value_size,
                       const struct ek_put_options *options, uint64_t *ret_version)
{
    struct ek_request request = {.kind = EK_PUT, .key = key, .key_size = key_size, .value = value, .value_size = value_size};
    struct ek_completion completion;
    if (options)
        request.put = *options;
    enum ek_outcome outcome = carry_out(client, &request, &completion);
    if (ret_version && (outcome == EK_OUTCOME_OK || outcome == EK_OUTCOME_CONDITION_FAILED))
        *ret_version = completion.version;
    return outcome;
}

enum ek_outcome ek_get(struct ek_client *client, const void *key, size_t key_size, struct ek_reading *ret)
{
    struct ek_completion completion;
    enum ek_outcome outcome =
        carry_out(client, &(struct ek_request){.kind = EK_GET, .key = key, .key_size = key_size}, &completion);
    if (outcome == EK_OUTCOME_OK)
        *ret = completion.reading;
    return outcome;
}

enum ek_outcome ek_delete(struct ek_client *client, const void *key, size_t key_size)
{
    struct ek_completion completion;
    return carry_out(client, &(struct ek_request){.kind = EK_DELETE, .key = key, .key_size = key_size}, &completion);
}

enum ek_outcome ek_exists(struct ek_client *client, const void *key, size_t key_size)
{
    struct ek_completion completion;
    return carry_out(client, &(struct ek_request){.kind = EK_EXISTS, .key = key, .key_size = key_size}, &completion);
}

enum ek_outcome ek_increment(struct ek_client *client, const void *key, size_t key_size, int64_t by, int64_t *ret_value,
                             uint64_t *ret_version)
{
    struct ek_completion completion;
    struct ek_request request = {.kind = EK_INCREMENT, .key = key, .key_size = key_size, .by = by};
    enum ek_outcome outcome = carry_out(client, &request, &completion);
    if (outcome != EK_OUTCOME_OK)
        return outcome;
    if (ret_value)
        *ret_value = completion.number;
    if (ret_version)
        *ret_version = completion.version;
    return outcome;
}

/* ---- what operators ask ---- */

static bool is_welcomed(const struct ek_client *client, uint64_t hello)
{
    const struct ek_welcome *welcome = ek_session_welcome(client->session);
    return welcome && welcome->id >= hello;
}

static bool is_answered(const struct ek_client *client, uint64_t unused)
{
    enum ek_outcome outcome;
    struct ek_slice text;
    (void)unused;
    return ek_session_answer(client->session, &outcome, &text);
}

/* The session was asked for something: moves bytes until it `is_there`, or the client's timeout. */
static bool wait_for(struct ek_client *client, bool (*is_there)(const struct ek_client *, uint64_t), uint64_t id)
{
    uint64_t until_us = until_us_of(client);
    ek_connection_has_work(client->connection, client->ids.slot);
    while (!is_there(client, id)) {
        if (ek_clock_monotonic_us() >= until_us) {
            const char *refusal = ek_session_refusal(client->session);
            ek_client_set_error(client, *refusal ? refusal : "no broker answered in time");
            return false;
        }
        (void)ek_connection_step(client->connection, until_us);
    }
    return true;
}

static enum ek_outcome await_answer(struct ek_client *client, const char **ret_json)
{
    if (!wait_for(client, is_answered, 0))
        return EK_OUTCOME_UNAVAILABLE;
    enum ek_outcome outcome;
    struct ek_slice text;
    (void)ek_session_answer(client->session, &outcome, &text);
    ek_buffer_append(&client->kept, text.data, text.size);
    ek_buffer_append(&client->kept, "", 1);
    if (outcome == EK_OUTCOME_OK)
        *ret_json = (const char *)client->kept.data;
    else
        ek_client_set_error(client, (const char *)client->kept.data);
    return outcome;
}

enum ek_outcome ek_client_query(struct ek_client *client, const char *what, const char **ret_json)
{
    begin(client);
    if (client->connection->inside)
        return refuse(client, EK_OUTCOME_USAGE, "a callback may submit, but not wait");
    ek_session_query(client->session, what);
    return await_answer(client, ret_json);
}

enum ek_outcome ek_client_command(struct ek_client *client, const char *const *words, size_t count, const char **ret_json)
{
    begin(client);
    if (client->connection->inside)
        return refuse(client, EK_OUTCOME_USAGE, "a callback may submit, but not wait");
    enum ek_outcome outcome = ek_session_command(client->session, words, count);
    if (outcome != EK_OUTCOME_OK)
        return refuse(client, outcome, "a command has 1 to 8 words of at most 255 bytes");
    outcome = await_answer(client, ret_json);
    return is_answered(client, 0) ? outcome : EK_OUTCOME_UNKNOWN;
}

enum ek_outcome ek_client_ping(struct ek_client *client, struct ek_broker_view *ret)
{
    begin(client);
    if (client->connection->inside)
        return refuse(client, EK_OUTCOME_USAGE, "a callback may submit, but not wait");
    uint64_t start_us = ek_clock_monotonic_us();
    if (!wait_for(client, is_welcomed, ek_session_ask(client->session)))
        return EK_OUTCOME_UNAVAILABLE;
    const struct ek_welcome *welcome = ek_session_welcome(client->session);
    *ret = (struct ek_broker_view){
        .generation = welcome->generation, .shards = welcome->shards, .round_trip_us = ek_clock_monotonic_us() - start_us};
    (void)snprintf(ret->stats_endpoint, sizeof ret->stats_endpoint, "%s", welcome->stats_endpoint);
    return EK_OUTCOME_OK;
}
