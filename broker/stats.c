#include "broker/stats.h"

#include "broker/beside.h"
#include "broker/stats_json.h"
#include "common/codec.h"

#include <poll.h>
#include <stdlib.h>

enum { TO_ASK, TO_PUBLISH, TO_ANSWER };

struct ek_stats {
    struct ek_socket *publisher; /* the thread's, while it runs */
    bool begun;                  /* likewise: the topic is sent, its snapshot is not */
    bool taken;                  /* likewise: somebody got the last one, and may be taken to want the next */
    struct ek_beside *beside;
    size_t waiting; /* errands that have not come back */
    bool wanted;
};

/* Goes to the thread and comes back. */
struct errand {
    int what;
    bool wanted; /* of TO_ASK: what came of it */
    struct ek_snapshot *snapshot;
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
        answer.text = ek_slice_text("{\"error\":\"ask for stats, full, workers, shards, moves or plan\"}");
    if (answer.text.size > EK_ANSWER_BYTES_MAX)
        answer = (struct ek_answer){.id = errand->query.id, .status = EK_WIRE_TOO_LARGE, .text = ek_slice_text("{}")};
    struct ek_buffer message = {0};
    ek_encode_answer(&message, &answer);
    errand->message = ek_owned_of(&message);
    free(text);
}

static void publish(struct ek_stats *stats, const struct ek_snapshot *snapshot)
{
    char *text = ek_stats_json(snapshot, "full");
    if (!text)
        return;
    stats->taken = stats->begun || ek_socket_begin(stats->publisher, "stats");
    stats->begun = false;
    if (stats->taken)
        ek_socket_publish(stats->publisher, ek_slice_text(text));
    free(text);
}

/* Begins a message only if it has to: one that waits for its end is lost memory when its last subscriber leaves meanwhile. */
static bool is_wanted(struct ek_stats *stats)
{
    if (!stats->taken && !stats->begun)
        stats->begun = ek_socket_begin(stats->publisher, "stats");
    return stats->taken || stats->begun;
}

static void run_errand(void *context, void *given)
{
    struct ek_stats *stats = context;
    struct errand *errand = given;
    if (errand->what == TO_ASK)
        errand->wanted = is_wanted(stats);
    else if (errand->what == TO_PUBLISH)
        publish(stats, errand->snapshot);
    else
        answer(errand);
    ek_snapshot_destroy(&errand->snapshot);
}

struct ek_stats *ek_stats_new(struct ek_socket *publisher)
{
    struct ek_stats *stats = ek_alloc_zero(1, sizeof *stats);
    stats->publisher = publisher;
    stats->beside = ek_beside_new(run_errand, stats);
    if (!stats->beside)
        ek_stats_destroy(&stats);
    return stats;
}

/* Waits for the errands that are under way, so that they can be freed. */
static void await_errands(struct ek_stats *stats)
{
    struct pollfd done = {.fd = ek_beside_fd(stats->beside), .events = POLLIN};
    while (stats->waiting) {
        struct ek_stats_answer unsent;
        while (ek_stats_take_answer(stats, &unsent))
            free(unsent.message.memory);
        if (stats->waiting)
            (void)poll(&done, 1, -1);
    }
}

void ek_stats_destroy(struct ek_stats **destroyed)
{
    struct ek_stats *stats = *destroyed;
    if (!stats)
        return;
    if (stats->beside)
        await_errands(stats);
    ek_beside_destroy(&stats->beside);
    ek_socket_close(&stats->publisher);
    free(stats);
    *destroyed = NULL;
}

static bool hand_over(struct ek_stats *stats, struct errand *errand)
{
    if (stats->waiting == EK_STATS_WAITING_MAX) {
        ek_snapshot_destroy(&errand->snapshot);
        free(errand);
        return false;
    }
    stats->waiting++;
    ek_beside_give(stats->beside, errand);
    return true;
}

void ek_stats_ask(struct ek_stats *stats)
{
    struct errand *errand = ek_alloc_zero(1, sizeof *errand);
    errand->what = TO_ASK;
    (void)hand_over(stats, errand);
}

bool ek_stats_take_wanted(struct ek_stats *stats)
{
    bool wanted = stats->wanted;
    stats->wanted = false;
    return wanted;
}

void ek_stats_publish(struct ek_stats *stats, struct ek_snapshot *snapshot)
{
    struct errand *errand = ek_alloc_zero(1, sizeof *errand);
    errand->what = TO_PUBLISH;
    errand->snapshot = snapshot;
    (void)hand_over(stats, errand);
}

bool ek_stats_query(struct ek_stats *stats, struct ek_snapshot *snapshot, ek_peer peer, const struct ek_query *query)
{
    struct errand *errand = ek_alloc_zero(1, sizeof *errand);
    errand->what = TO_ANSWER;
    errand->snapshot = snapshot;
    errand->peer = peer;
    errand->query = *query;
    return hand_over(stats, errand);
}

int ek_stats_fd(const struct ek_stats *stats)
{
    return ek_beside_fd(stats->beside);
}

bool ek_stats_take_answer(struct ek_stats *stats, struct ek_stats_answer *ret)
{
    for (struct errand *errand; (errand = ek_beside_take(stats->beside));) {
        bool answers = errand->what == TO_ANSWER;
        stats->wanted = stats->wanted || errand->wanted;
        *ret = (struct ek_stats_answer){.peer = errand->peer, .message = errand->message};
        free(errand);
        stats->waiting--;
        if (answers)
            return true;
    }
    return false;
}
