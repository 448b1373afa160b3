#include "client/cli/watch.h"

#include "client/cli/connect.h"
#include "client/cli/output.h"
#include "client/cli/view.h"
#include "common/clock.h"
#include "common/transport.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SOCKETS_MAX = 8, SILENT_MS = 5000 };

struct watch {
    const struct ek_cli *cli;
    char endpoint[EK_TEXT_BYTES_MAX];
    struct ek_context *context;
    struct ek_socket *socket;
    bool full;
    uint64_t seen;
};

static bool show(struct watch *watch, struct ek_slice json)
{
    struct ek_buffer out = {0};
    bool screen = ek_is_terminal(STDOUT_FILENO);
    if (watch->cli->json) {
        /* One line a snapshot, whatever was sent. */
        for (size_t i = 0; i < json.size; i++)
            ek_buffer_append(&out, json.data[i] == '\n' ? (const uint8_t *)" " : json.data + i, 1);
        ek_buffer_append(&out, "\n", 1);
    } else if (screen) {
        static const char clear[] = "\033[H\033[2J";
        ek_buffer_append(&out, clear, sizeof clear - 1);
        (void)(watch->full ? ek_view_full(&out, json) : ek_view_stats(&out, json));
    } else {
        (void)(watch->full ? ek_view_full(&out, json) : ek_view_stats_line(&out, json));
    }
    ek_output_write(ek_buffer_slice(&out));
    ek_buffer_done(&out);
    watch->seen++;
    return ek_output_flush();
}

/* Takes what is there. False: standard output is gone. */
static bool take(struct watch *watch)
{
    struct ek_frame frame;
    for (;;) {
        enum ek_status status = ek_socket_receive(watch->socket, &frame, NULL);
        if (status == EK_MALFORMED)
            continue;
        if (status)
            return true;
        bool shown = show(watch, ek_frame_bytes(&frame));
        ek_frame_done(&frame);
        if (!shown)
            return false;
    }
}

static int watch_until(struct watch *watch, uint64_t end_us)
{
    uint64_t quiet_us = ek_clock_monotonic_us() + SILENT_MS * 1000u;
    for (;;) {
        uint64_t now_us = ek_clock_monotonic_us();
        if (now_us >= end_us)
            break;
        if (now_us >= quiet_us)
            ek_note("nothing heard from %s for %d s, still waiting", watch->endpoint, SILENT_MS / 1000);
        if (now_us >= quiet_us)
            quiet_us = UINT64_MAX;
        struct ek_poll_item item = {.socket = watch->socket};
        uint64_t next_us = end_us < quiet_us ? end_us : quiet_us;
        int64_t wait_ms = next_us == UINT64_MAX ? -1 : (int64_t)((next_us - now_us + 999) / 1000);
        if (ek_poll(&item, 1, wait_ms))
            continue;
        if (!take(watch))
            return ek_exit_code(EK_OUTCOME_FAILED);
        quiet_us = ek_clock_monotonic_us() + SILENT_MS * 1000u;
    }
    if (watch->seen == 0)
        return ek_fail(watch->cli, EK_OUTCOME_UNAVAILABLE, "nothing was heard from %s in time", watch->endpoint);
    return ek_output_end(0);
}

static enum ek_outcome find_endpoint(const struct ek_cli *cli, char out[EK_TEXT_BYTES_MAX])
{
    struct ek_client *client;
    struct ek_broker_view view;
    enum ek_outcome outcome = ek_connect(cli, NULL, &client);
    if (outcome)
        return outcome;
    outcome = ek_connect_await(cli, client);
    if (!outcome)
        outcome = ek_client_ping(client, &view);
    if (outcome)
        (void)ek_fail_outcome(cli, outcome, ek_client_error(client));
    else
        ek_endpoint_reach(out, view.stats_endpoint, cli->endpoint);
    ek_client_close(&client);
    return outcome;
}

int ek_watch(const struct ek_cli *cli, bool full)
{
    struct watch watch = {.cli = cli, .full = full};
    struct ek_error error = {.text = "the system gives no socket"};
    uint64_t end_us = cli->timeout_given ? ek_clock_monotonic_us() + cli->timeout_ms * 1000ull : UINT64_MAX;
    enum ek_outcome outcome = find_endpoint(cli, watch.endpoint);
    if (outcome)
        return ek_exit_code(outcome);
    watch.context = ek_context_new(1, SOCKETS_MAX);
    enum ek_status status = watch.context ? ek_socket_open(watch.context, EK_SOCKET_SUB, &watch.socket) : EK_IO;
    if (!status)
        status = ek_socket_connect(watch.socket, watch.endpoint, &error);
    if (!status)
        status = ek_socket_subscribe(watch.socket, "stats");
    int code = status ? ek_fail(cli, EK_OUTCOME_FAILED, "%s", error.text) : watch_until(&watch, end_us);
    ek_socket_close(&watch.socket);
    ek_context_destroy(&watch.context);
    return code;
}
