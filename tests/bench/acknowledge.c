/*
 * A worker that stores nothing: it takes every role that the broker gives it and acknowledges every job at once, so that what is
 * left to measure is the broker. It keeps to the protocol's form, and to nothing that a worker promises.
 *
 *     acknowledge --broker ENDPOINT [--name NAME]            prints `ready` when it has been assigned its shards
 *
 * Ends with SIGTERM.
 */
#include "common/clock.h"
#include "common/codec.h"
#include "common/transport.h"
#include "tests/bench/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BEATS_PER_LIVENESS = 4, DISK_GIB = 100, FULL_PIPE_WAIT_NS = 100000 };

struct fake {
    struct ek_socket *socket;
    struct ek_link link;
    uint64_t beat_us; /* between heartbeats; 0: no link yet */
    uint64_t next_us;
    bool said_ready;
    struct ek_envelope replies; /* to all jobs that were at hand together, as a group commit has them */
    struct ek_owned unsent;     /* refused by a full pipe; memory = NULL: none */
};

static void must(enum ek_status status, const char *what)
{
    if (status != EK_OK)
        ek_tool_fail("cannot %s (status %d)", what, (int)status);
}

static void send_buffer(struct fake *fake, struct ek_buffer *message)
{
    must(ek_socket_send(fake->socket, 0, ek_owned_of(message)), "send");
}

static void greet(struct fake *fake, const char *name)
{
    struct ek_buffer out = {0};
    struct ek_worker_hello hello = {.incarnation = 1, .capacity_milli = 1000};
    uint64_t id[2] = {ek_clock_unix_ms(), (uint64_t)getpid()};
    memcpy(hello.worker.bytes, id, sizeof hello.worker.bytes);
    (void)snprintf(hello.name, sizeof hello.name, "%s", name);
    ek_encode_worker_hello(&out, &hello);
    send_buffer(fake, &out);
}

static void beat(struct fake *fake)
{
    struct ek_buffer out = {0};
    struct ek_heartbeat heartbeat = {.link = fake->link,
                                     .credit_jobs = EK_CREDIT_JOBS_MAX,
                                     .credit_bytes = EK_CREDIT_BYTES_MAX,
                                     .credit_reads = EK_CREDIT_READS_MAX,
                                     .disk_free_bytes = (uint64_t)DISK_GIB << 30,
                                     .disk_total_bytes = (uint64_t)DISK_GIB << 30,
                                     .commit_p50_us = 1,
                                     .commit_p99_us = 1};
    ek_encode_heartbeat(&out, &heartbeat, NULL);
    send_buffer(fake, &out);
    fake->next_us = ek_clock_monotonic_us() + fake->beat_us;
}

static void welcomed(struct fake *fake, struct ek_reader *fields)
{
    struct ek_worker_welcome welcome;
    struct ek_buffer out = {0};
    must(ek_decode_worker_welcome(fields, &welcome), "read WELCOME");
    fake->link = welcome.link;
    fake->beat_us = welcome.liveness_ms * 1000 / BEATS_PER_LIVENESS;
    ek_encode_holdings(&out, EK_MESSAGE_WORKER_REPORT, fake->link, NULL, 0);
    send_buffer(fake, &out);
    beat(fake);
}

static void assigned(struct fake *fake, struct ek_reader *fields)
{
    static struct ek_holding holdings[EK_SHARDS_MAX];
    struct ek_link link;
    struct ek_buffer out = {0};
    uint32_t count;
    must(ek_decode_link(fields, &link), "read ASSIGN");
    must(ek_decode_count(fields, EK_SHARDS_MAX, &count), "read ASSIGN");
    for (uint32_t i = 0; i < count; i++)
        must(ek_decode_holding(fields, &holdings[i]), "read ASSIGN");
    ek_encode_holdings(&out, EK_MESSAGE_WORKER_ASSIGNED, fake->link, holdings, count);
    send_buffer(fake, &out);
    if (count && !fake->said_ready) {
        fake->said_ready = true;
        (void)printf("ready shards=%u\n", (unsigned)count);
        (void)fflush(stdout);
    }
}

static void send_replies(struct fake *fake)
{
    if (!fake->unsent.memory && fake->replies.count)
        fake->unsent = ek_envelope_seal(&fake->replies, EK_MESSAGE_WORKER_REPLIES, &fake->link);
    if (!fake->unsent.memory)
        return;
    if (ek_socket_send(fake->socket, 0, fake->unsent) == EK_AGAIN)
        (void)nanosleep(&(struct timespec){.tv_nsec = FULL_PIPE_WAIT_NS}, NULL);
    else
        fake->unsent = (struct ek_owned){0};
}

static void acknowledge(struct fake *fake, struct ek_reader *fields)
{
    struct ek_link link;
    uint32_t count;
    must(ek_decode_link(fields, &link), "read JOBS");
    must(ek_decode_count(fields, EK_ENVELOPE_JOBS_MAX, &count), "read JOBS");
    while (fake->replies.count && fake->replies.count + count > EK_ENVELOPE_JOBS_MAX)
        send_replies(fake);
    for (uint32_t i = 0; i < count; i++) {
        struct ek_worker_job job;
        must(ek_decode_worker_job(fields, &job), "read a job");
        ek_encode_worker_reply(&fake->replies, &(struct ek_worker_reply){.token = job.token, .position = job.position});
    }
}

static void receive(struct fake *fake, struct ek_slice message)
{
    enum ek_message_type type;
    struct ek_reader fields;
    struct ek_refusal refusal;
    must(ek_decode_type(message, &type, &fields), "read a message");
    switch (type) {
    case EK_MESSAGE_WORKER_WELCOME:
        welcomed(fake, &fields);
        break;
    case EK_MESSAGE_WORKER_ASSIGN:
        assigned(fake, &fields);
        break;
    case EK_MESSAGE_WORKER_JOBS:
        acknowledge(fake, &fields);
        break;
    case EK_MESSAGE_WORKER_REFUSED:
        must(ek_decode_refusal(&fields, &refusal), "read a refusal");
        ek_tool_fail("the broker refuses: %s", refusal.text);
    default:
        break;
    }
}

static int64_t wait_ms(const struct fake *fake)
{
    uint64_t now_us = ek_clock_monotonic_us();
    if (fake->beat_us == 0)
        return -1;
    if (fake->unsent.memory || fake->replies.count)
        return 0;
    return fake->next_us > now_us ? (int64_t)((fake->next_us - now_us + 999) / 1000) : 0;
}

int main(int argc, char **argv)
{
    const char *broker = NULL;
    const char *name = "acknowledge";
    struct fake fake = {0};
    struct ek_error error;
    ek_tool_flags(argc, argv, (const struct ek_tool_flag[]){{"broker", NULL, &broker}, {"name", NULL, &name}, {0}});
    struct ek_context *context = ek_context_new(1, 8);
    if (!broker || !context)
        ek_tool_fail("--broker is missing");
    must(ek_socket_open(context, EK_SOCKET_DEALER, &fake.socket), "open a socket");
    must(ek_socket_connect(fake.socket, broker, &error), "connect");
    greet(&fake, name);
    for (;;) {
        struct ek_poll_item item = {.socket = fake.socket};
        struct ek_frame frame;
        (void)!ek_poll(&item, 1, wait_ms(&fake));
        while (!ek_envelope_full(&fake.replies) && ek_socket_receive(fake.socket, &frame, NULL) == EK_OK) {
            receive(&fake, ek_frame_bytes(&frame));
            ek_frame_done(&frame);
        }
        send_replies(&fake);
        if (fake.beat_us && ek_clock_monotonic_us() >= fake.next_us)
            beat(&fake);
    }
}
