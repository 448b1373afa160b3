/*
 * Small puts in envelopes of a fixed number of jobs, each job numbered as the client library does it: a load whose shape on the
 * wire is known, which the library's own, which merges what it can, is not.
 *
 *     envelopes --broker ENDPOINT [--jobs N] [--window N] [--seconds N] [--value-size B]
 *
 * Keeps `window` envelopes under way. The line of figures counts jobs and tells the mean size of an envelope and of the replies
 * that belong to it.
 */
#include "client/cli/generator.h"
#include "common/clock.h"
#include "common/codec.h"
#include "common/hash.h"
#include "common/operations.h"
#include "common/transport.h"
#include "tests/bench/tool.h"

#include <stdio.h>
#include <stdlib.h>

enum { HELLO_MS = 10000, ANSWER_MS = 10000 };

/* One put that belongs to the shard, and where its numbers stand. */
struct lane {
    struct ek_buffer body;
    uint64_t sent, answered;
};

struct load {
    uint64_t jobs, window, seconds, value_bytes;
    struct ek_socket *socket;
    struct lane *lanes;
    uint32_t shards;
    uint64_t producer;
    uint64_t sent, answered; /* jobs */
    uint64_t sent_bytes, answered_bytes;
    uint64_t next_shard;
    struct ek_owned unsent; /* memory = NULL: none */
};

static void must(enum ek_status status, const char *what)
{
    if (status != EK_OK)
        ek_tool_fail("cannot %s (status %d)", what, (int)status);
}

static void await(struct load *load, int64_t timeout_ms, struct ek_frame *ret)
{
    struct ek_poll_item item = {.socket = load->socket};
    must(ek_poll(&item, 1, timeout_ms), "get an answer");
    must(ek_socket_receive(load->socket, ret, NULL), "receive");
}

static void greet(struct load *load)
{
    struct ek_buffer out = {0};
    struct ek_frame frame;
    struct ek_reader fields;
    struct ek_welcome welcome;
    enum ek_message_type type;
    ek_encode_hello(&out, &(struct ek_hello){.id = 1, .name = "envelopes", .wants_producer = true});
    must(ek_socket_send(load->socket, 0, ek_owned_of(&out)), "send HELLO");
    await(load, HELLO_MS, &frame);
    must(ek_decode_type(ek_frame_bytes(&frame), &type, &fields), "read the answer");
    if (type != EK_MESSAGE_WELCOME)
        ek_tool_fail("HELLO is answered with a message of type %d", (int)type);
    must(ek_decode_welcome(&fields, &welcome), "read WELCOME");
    ek_frame_done(&frame);
    load->shards = welcome.shards;
    load->producer = welcome.producer;
}

/* Goes through keys until each shard has one. */
static void find_keys(struct load *load)
{
    uint8_t *value = ek_alloc_zero((size_t)load->value_bytes + 1, 1);
    uint32_t found = 0;
    load->lanes = ek_alloc_zero(load->shards, sizeof *load->lanes);
    for (uint64_t index = 0; found < load->shards; index++) {
        char key[EK_BENCH_KEY_BYTES];
        ek_bench_key(key, "user", index);
        struct ek_operation put = {.code = EK_OPERATION_PUT, .key = ek_slice_of(key, sizeof key)};
        put.value = ek_slice_of(value, (size_t)load->value_bytes);
        struct lane *lane = &load->lanes[ek_shard_of(ek_hash_prefix(put.key), load->shards)];
        if (lane->body.size)
            continue;
        ek_buffer_append(&lane->body, "\x91", 1); /* an array of one */
        ek_encode_operation(&lane->body, &put);
        found++;
    }
    free(value);
}

static struct ek_owned next_envelope(struct load *load)
{
    struct ek_envelope envelope = {0};
    for (uint64_t i = 0; i < load->jobs; i++) {
        uint64_t shard = load->next_shard++ % load->shards;
        struct lane *lane = &load->lanes[shard];
        struct ek_job job = {.id = shard, .kind = EK_JOB_WRITE, .body = ek_buffer_slice(&lane->body), .count = 1};
        job.route = (struct ek_route){.present = true,
                                      .shard = (uint16_t)shard,
                                      .producer = load->producer,
                                      .number = ++lane->sent,
                                      .lowest = lane->answered + 1};
        ek_encode_job(&envelope, &job);
    }
    load->sent += load->jobs;
    load->sent_bytes += ek_envelope_bytes(&envelope);
    return ek_envelope_seal(&envelope, EK_MESSAGE_JOBS, NULL);
}

/* Until the window is full, or the pipe to the broker. */
static void send_envelopes(struct load *load)
{
    while (load->unsent.memory || load->sent + load->jobs <= load->answered + load->window * load->jobs) {
        if (!load->unsent.memory)
            load->unsent = next_envelope(load);
        if (ek_socket_send(load->socket, 0, load->unsent) == EK_AGAIN)
            return;
        load->unsent = (struct ek_owned){0};
    }
}

static void take_replies(struct load *load, struct ek_slice message)
{
    enum ek_message_type type;
    struct ek_reader fields;
    uint32_t count;
    must(ek_decode_type(message, &type, &fields), "read a message");
    if (type != EK_MESSAGE_REPLIES)
        return;
    must(ek_decode_count(&fields, EK_ENVELOPE_JOBS_MAX, &count), "read replies");
    for (uint32_t i = 0; i < count; i++) {
        struct ek_reply reply;
        must(ek_decode_reply(&fields, &reply), "read a reply");
        if (reply.status != EK_WIRE_OK || reply.id >= load->shards)
            ek_tool_fail("a job ended with %s", ek_wire_status_name(reply.status));
        load->lanes[reply.id].answered++; /* one shard's replies come in order */
    }
    load->answered += count;
    load->answered_bytes += message.size;
}

static void run(struct load *load)
{
    uint64_t began_us = ek_tool_begin();
    uint64_t now_us = began_us;
    while (now_us - began_us < load->seconds * 1000000) {
        send_envelopes(load);
        struct ek_frame frame;
        await(load, ANSWER_MS, &frame);
        do {
            take_replies(load, ek_frame_bytes(&frame));
            ek_frame_done(&frame);
        } while (ek_socket_receive(load->socket, &frame, NULL) == EK_OK);
        now_us = ek_clock_monotonic_us();
    }
    char extra[128];
    (void)snprintf(extra, sizeof extra, ",\"envelope_bytes\":%llu,\"answer_bytes\":%llu",
                   (unsigned long long)(load->sent_bytes * load->jobs / load->sent),
                   (unsigned long long)(load->answered_bytes * load->jobs / load->answered));
    ek_tool_report(
        &(struct ek_tool_figures){
            .operations = load->answered, .bytes = load->sent_bytes, .took_us = now_us - began_us, .extra = extra},
        NULL);
}

int main(int argc, char **argv)
{
    struct load load = {.jobs = 1, .window = 1, .seconds = 1, .value_bytes = 100};
    const char *broker = NULL;
    struct ek_error error;
    ek_tool_flags(argc, argv,
                  (const struct ek_tool_flag[]){{"broker", NULL, &broker},
                                                {"jobs", &load.jobs, NULL},
                                                {"window", &load.window, NULL},
                                                {"seconds", &load.seconds, NULL},
                                                {"value-size", &load.value_bytes, NULL},
                                                {0}});
    if (!broker || !load.jobs || load.jobs > EK_ENVELOPE_JOBS_MAX || !load.window || !load.seconds)
        ek_tool_fail("--broker is missing, or --jobs, --window or --seconds cannot be");
    struct ek_context *context = ek_context_new(1, 8);
    must(ek_socket_open(context, EK_SOCKET_DEALER, &load.socket), "open a socket");
    must(ek_socket_connect(load.socket, broker, &error), "connect");
    greet(&load);
    if (load.jobs * load.window > (uint64_t)EK_UNSETTLED_MAX * load.shards)
        ek_tool_fail("more than %u jobs of one producer under way on a shard", EK_UNSETTLED_MAX);
    find_keys(&load);
    run(&load);
    free(load.unsent.memory);
    for (uint32_t shard = 0; shard < load.shards; shard++)
        ek_buffer_done(&load.lanes[shard].body);
    free(load.lanes);
    ek_socket_close(&load.socket);
    ek_context_destroy(&context);
    return EXIT_SUCCESS;
}
