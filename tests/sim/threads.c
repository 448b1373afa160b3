/* The threads beside the loops, as fibers: worker/commit.h, broker/keeper.h and broker/stats.h. Nothing chooses a processor. */
#include "broker/keeper.h"
#include "broker/stats.h"
#include "common/clock.h"
#include "common/together.h"
#include "tests/sim/cluster.h"
#include "tests/sim/net.h"
#include "worker/commit.h"

#include <stdlib.h>
#include <string.h>

/* ---- worker/commit.h ---- */

struct ek_commit {
    struct ek_engine *engine;
    struct ek_load *load;
    struct sim_fiber *fiber;
    int fd;
    struct ek_commit_item *first;
    struct ek_commit_item *last;
    struct ek_commit_done *done_first;
    struct ek_commit_done *done_last;
    uint64_t began_us;
    uint64_t busy_us;
    bool ended;
};

enum { SWITCH_US = 5 };

void ek_commit_push(struct ek_commit *commit, struct ek_commit_item *item)
{
    item->next = NULL;
    *(commit->last ? &commit->last->next : &commit->first) = item;
    commit->last = item;
    sim_wake(commit->fiber);
}

static struct ek_commit_item *take_group(struct ek_commit *commit)
{
    while (!commit->first)
        sim_wait(SIM_NEVER);
    sim_sleep_us(SWITCH_US + sim_draw(SWITCH_US));
    struct ek_commit_item *first = commit->first;
    struct ek_commit_item *end = ek_group_end(first);
    commit->first = end->next;
    if (!commit->first)
        commit->last = NULL;
    end->next = NULL;
    return first;
}

static void store_jobs(void *context)
{
    struct ek_commit *commit = context;
    while (!commit->ended) {
        struct ek_commit_done *done = ek_alloc_zero(1, sizeof *done);
        struct ek_error error;
        done->items = take_group(commit);
        bool stopping = done->items->kind == EK_COMMIT_STOP;
        commit->began_us = ek_clock_monotonic_us();
        if (ek_group_run(commit->engine, done, &error) != EK_OK) {
            sim_fail("%s: the store failed: %s", sim_self()->name, error.text);
            sim_exit(EXIT_FAILURE);
        }
        done->took_us = ek_clock_monotonic_us() - commit->began_us;
        ek_group_note_expiry(commit->engine, done, commit->load);
        if (done->items->kind == EK_COMMIT_JOBS)
            ek_group_note_jobs(commit->engine, done->took_us, commit->load);
        commit->busy_us += done->took_us;
        commit->began_us = 0;
        commit->ended = stopping;
        *(commit->done_last ? &commit->done_last->next : &commit->done_first) = done;
        commit->done_last = done;
        sim_fd_raise(commit->fd);
    }
}

struct ek_commit *ek_commit_start(struct ek_engine *engine, struct ek_load *load)
{
    struct ek_commit *commit = ek_alloc_zero(1, sizeof *commit);
    commit->engine = engine;
    commit->load = load;
    commit->fd = sim_fd_new();
    commit->fiber = sim_fork(store_jobs, commit);
    return commit;
}

struct ek_commit_done *ek_commit_take(struct ek_commit *commit)
{
    struct ek_commit_done *done = commit->done_first;
    if (done)
        commit->done_first = done->next;
    else
        (void)sim_fd_take(commit->fd);
    if (!commit->done_first)
        commit->done_last = NULL;
    return done;
}

int ek_commit_fd(const struct ek_commit *commit)
{
    return commit->fd;
}

uint64_t ek_commit_stalled_us(const struct ek_commit *commit, uint64_t now_us)
{
    return commit->began_us && now_us > commit->began_us ? now_us - commit->began_us : 0;
}

uint64_t ek_commit_busy_us(const struct ek_commit *commit)
{
    return commit->busy_us;
}

bool ek_commit_ended(const struct ek_commit *commit)
{
    return commit->ended;
}

void ek_commit_destroy(struct ek_commit **reference)
{
    struct ek_commit *commit = *reference;
    if (!commit)
        return;
    for (struct ek_commit_done *done; (done = ek_commit_take(commit));)
        ek_commit_done_destroy(done);
    free(commit);
    *reference = NULL;
}

/* ---- common/together.h ---- */

struct ek_together *ek_together_new(const struct ek_context *context)
{
    (void)context;
    return NULL;
}

void ek_together_pass(struct ek_together *together, size_t jobs, size_t bytes)
{
    (void)together, (void)jobs, (void)bytes;
}

void ek_together_destroy(struct ek_together **together)
{
    (void)together;
}

/* ---- broker/keeper.h ---- */

struct ek_keeper {
    struct ek_meta *meta;
    struct sim_fiber *fiber;
    int fd;
    struct ek_floor *floors;
    size_t count;
    uint64_t ceiling_unix_ms;
    bool asked;
    bool busy;
    bool done;
    bool closing;
};

static void keep(void *context)
{
    struct ek_keeper *keeper = context;
    while (!keeper->closing) {
        if (!keeper->asked) {
            sim_wait(SIM_NEVER);
            continue;
        }
        (void)!ek_meta_write_floors(keeper->meta, keeper->floors, keeper->count, keeper->ceiling_unix_ms, NULL);
        keeper->asked = false;
        keeper->done = true;
        sim_fd_raise(keeper->fd);
    }
}

struct ek_keeper *ek_keeper_new(struct ek_meta *meta)
{
    struct ek_keeper *keeper = ek_alloc_zero(1, sizeof *keeper);
    keeper->meta = meta;
    keeper->fd = sim_fd_new();
    keeper->fiber = sim_fork(keep, keeper);
    return keeper;
}

void ek_keeper_destroy(struct ek_keeper **keeper)
{
    while ((*keeper)->asked)
        sim_sleep_us(SWITCH_US);
    (*keeper)->closing = true; /* its fiber ends with the program */
    *keeper = NULL;
}

void ek_keeper_write(struct ek_keeper *keeper, const struct ek_floor *floors, size_t count, uint64_t ceiling_unix_ms)
{
    free(keeper->floors);
    keeper->floors = ek_alloc((count + 1) * sizeof *floors);
    memcpy(keeper->floors, floors, count * sizeof *floors);
    keeper->count = count;
    keeper->ceiling_unix_ms = ceiling_unix_ms;
    keeper->busy = keeper->asked = true;
    sim_wake(keeper->fiber);
}

bool ek_keeper_is_busy(const struct ek_keeper *keeper)
{
    return keeper->busy;
}

int ek_keeper_fd(const struct ek_keeper *keeper)
{
    return keeper->fd;
}

bool ek_keeper_take_done(struct ek_keeper *keeper, uint64_t *ret_ceiling_unix_ms)
{
    (void)sim_fd_take(keeper->fd);
    if (!keeper->done)
        return false;
    keeper->done = keeper->busy = false;
    *ret_ceiling_unix_ms = keeper->ceiling_unix_ms;
    return true;
}

/* ---- broker/stats.h ---- */

/* The checks subscribe, as it were: they want every snapshot. */
struct ek_stats {
    int fd;
    bool wanted;
};

struct ek_stats *ek_stats_new(struct ek_socket *publisher)
{
    struct ek_stats *stats = ek_alloc_zero(1, sizeof *stats);
    ek_socket_close(&publisher);
    stats->fd = sim_fd_new();
    return stats;
}

void ek_stats_destroy(struct ek_stats **stats)
{
    free(*stats);
    *stats = NULL;
}

void ek_stats_ask(struct ek_stats *stats)
{
    stats->wanted = true;
}

bool ek_stats_take_wanted(struct ek_stats *stats)
{
    bool wanted = stats->wanted;
    stats->wanted = false;
    return wanted;
}

void ek_stats_publish(struct ek_stats *stats, struct ek_snapshot *snapshot)
{
    (void)stats;
    sim_cluster_look(snapshot);
    ek_snapshot_destroy(&snapshot);
}

bool ek_stats_query(struct ek_stats *stats, struct ek_snapshot *snapshot, ek_peer peer, const struct ek_query *query)
{
    (void)stats, (void)peer, (void)query;
    ek_snapshot_destroy(&snapshot);
    return false;
}

int ek_stats_fd(const struct ek_stats *stats)
{
    return stats->fd;
}

bool ek_stats_take_answer(struct ek_stats *stats, struct ek_stats_answer *ret)
{
    (void)stats, (void)ret;
    return false;
}
