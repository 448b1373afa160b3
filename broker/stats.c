#include "broker/stats.h"

#include "broker/stats_json.h"
#include "common/codec.h"
#include "common/mailbox.h"

#include <czmq.h>
#include <stdlib.h>

struct ek_stats {
    struct ek_socket *publisher; /* the thread's, while it runs */
    zactor_t *actor;
    struct ek_mailbox *done;
    size_t waiting;
};

/* Goes to the thread and comes back. */
struct errand {
    struct ek_snapshot *snapshot;
    bool publish;
    ek_peer peer;
    struct ek_query query;
    struct ek_owned message;
};

static void answer(struct errand *errand)
{
    char *text = ek_stats_json(errand->snapshot, errand->query.what);
    struct ek_answer answer = {.id = errand->query.id, .status = text ? EK_WIRE_OK : EK_WIRE_USAGE};
    if (text)
        answer.text = ek_slice_text(text);
    else
        answer.text = ek_slice_text("{\"error\":\"ask for stats, full, workers or shards\"}");
    if (answer.text.size > EK_ANSWER_BYTES_MAX)
        answer = (struct ek_answer){.id = errand->query.id, .status = EK_WIRE_TOO_LARGE, .text = ek_slice_text("{}")};
    struct ek_buffer message = {0};
    ek_encode_answer(&message, &answer);
    errand->message = ek_owned_of(&message);
    free(text);
}

static void run_errand(struct ek_stats *stats, struct errand *errand)
{
    if (errand->publish) {
        char *text = ek_stats_json(errand->snapshot, "full");
        if (text)
            ek_socket_publish(stats->publisher, "stats", ek_slice_text(text));
        free(text);
    } else
        answer(errand);
    ek_snapshot_destroy(&errand->snapshot);
    ek_mailbox_put(stats->done, errand);
}

/* The thread: takes errands from its pipe until czmq says $TERM. */
static void serve(zsock_t *pipe, void *argument)
{
    (void)zsock_signal(pipe, 0);
    for (;;) {
        char *command = NULL;
        void *errand = NULL;
        if (zsock_recv(pipe, "sp", &command, &errand) != 0 || strcmp(command, "$TERM") == 0) {
            zstr_free(&command);
            return;
        }
        zstr_free(&command);
        run_errand(argument, errand);
    }
}

struct ek_stats *ek_stats_new(struct ek_socket *publisher)
{
    struct ek_stats *stats = ek_alloc_zero(1, sizeof *stats);
    stats->publisher = publisher;
    stats->done = ek_mailbox_new();
    stats->actor = stats->done ? zactor_new(serve, stats) : NULL;
    if (!stats->actor)
        ek_stats_destroy(&stats);
    return stats;
}

void ek_stats_destroy(struct ek_stats **destroyed)
{
    struct ek_stats *stats = *destroyed;
    if (!stats)
        return;
    zactor_destroy(&stats->actor);
    struct ek_stats_answer unsent;
    while (stats->done && ek_stats_take_answer(stats, &unsent))
        free(unsent.message.memory);
    ek_mailbox_destroy(&stats->done);
    ek_socket_close(&stats->publisher);
    free(stats);
    *destroyed = NULL;
}

static bool hand_over(struct ek_stats *stats, struct errand *errand)
{
    if (stats->waiting < EK_STATS_WAITING_MAX && zsock_send(stats->actor, "sp", "DO", errand) == 0) {
        stats->waiting++;
        return true;
    }
    ek_snapshot_destroy(&errand->snapshot);
    free(errand);
    return false;
}

void ek_stats_publish(struct ek_stats *stats, struct ek_snapshot *snapshot)
{
    struct errand *errand = ek_alloc_zero(1, sizeof *errand);
    errand->snapshot = snapshot;
    errand->publish = true;
    (void)hand_over(stats, errand);
}

bool ek_stats_query(struct ek_stats *stats, struct ek_snapshot *snapshot, ek_peer peer, const struct ek_query *query)
{
    struct errand *errand = ek_alloc_zero(1, sizeof *errand);
    errand->snapshot = snapshot;
    errand->peer = peer;
    errand->query = *query;
    return hand_over(stats, errand);
}

int ek_stats_fd(const struct ek_stats *stats)
{
    return ek_mailbox_fd(stats->done);
}

bool ek_stats_take_answer(struct ek_stats *stats, struct ek_stats_answer *ret)
{
    for (struct errand *errand; (errand = ek_mailbox_take(stats->done));) {
        bool answers = !errand->publish;
        *ret = (struct ek_stats_answer){.peer = errand->peer, .message = errand->message};
        free(errand);
        stats->waiting--;
        if (answers)
            return true;
    }
    return false;
}
