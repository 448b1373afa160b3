#include "worker/commit.h"

#include "common/clock.h"
#include "common/log.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { FAREWELL_MS = 1000 };

struct ek_commit {
    struct ek_engine *engine;
    struct ek_load *load;
    pthread_t thread;
    int event_fd;
    pthread_mutex_t mutex; /* guards the two lists */
    pthread_cond_t arrived;
    struct ek_commit_item *first;
    struct ek_commit_item *last;
    struct ek_commit_done *done_first;
    struct ek_commit_done *done_last;
    _Atomic uint64_t began_us; /* of the present call; 0 when idle */
    _Atomic uint64_t busy_us;
    atomic_bool ended;
};

/* ---- between the threads ---- */

void ek_commit_push(struct ek_commit *commit, struct ek_commit_item *item)
{
    item->next = NULL;
    (void)pthread_mutex_lock(&commit->mutex);
    *(commit->last ? &commit->last->next : &commit->first) = item;
    commit->last = item;
    (void)pthread_cond_signal(&commit->arrived);
    (void)pthread_mutex_unlock(&commit->mutex);
}

static struct ek_commit_item *take_group(struct ek_commit *commit)
{
    (void)pthread_mutex_lock(&commit->mutex);
    while (!commit->first)
        (void)pthread_cond_wait(&commit->arrived, &commit->mutex);
    struct ek_commit_item *first = commit->first;
    struct ek_commit_item *end = ek_group_end(first);
    commit->first = end->next;
    if (!commit->first)
        commit->last = NULL;
    end->next = NULL;
    (void)pthread_mutex_unlock(&commit->mutex);
    return first;
}

static void hand_back(struct ek_commit *commit, struct ek_commit_done *done)
{
    (void)pthread_mutex_lock(&commit->mutex);
    *(commit->done_last ? &commit->done_last->next : &commit->done_first) = done;
    commit->done_last = done;
    (void)pthread_mutex_unlock(&commit->mutex);
    (void)eventfd_write(commit->event_fd, 1);
}

static struct ek_commit_done *take_first(struct ek_commit *commit)
{
    (void)pthread_mutex_lock(&commit->mutex);
    struct ek_commit_done *done = commit->done_first;
    if (done)
        commit->done_first = done->next;
    if (!commit->done_first)
        commit->done_last = NULL;
    (void)pthread_mutex_unlock(&commit->mutex);
    return done;
}

/* The descriptor is read behind the last one, not before the first, whose answers somebody waits for. */
struct ek_commit_done *ek_commit_take(struct ek_commit *commit)
{
    struct ek_commit_done *done = take_first(commit);
    if (done)
        return done;
    eventfd_t count;
    (void)eventfd_read(commit->event_fd, &count);
    return take_first(commit); /* what came in between told nobody else */
}

/* ---- the thread ---- */

/* What the disk holds is in doubt: no destructor may write, nothing may be acknowledged. The loop gets the time to tell the broker
 * why, and ends the process; when it does not, this does. */
static void die(struct ek_commit *commit, struct ek_commit_done *done, const struct ek_error *error)
{
    ek_log(EK_LOG_ERROR, "%s; the worker ends, nothing more was acknowledged", error->text);
    ek_answers_done(&done->answers);
    done->failed = true;
    done->error = *error;
    hand_back(commit, done);
    (void)poll(NULL, 0, FAREWELL_MS);
    _exit(EXIT_FAILURE);
}

static void carry_out(struct ek_commit *commit, struct ek_commit_done *done)
{
    struct ek_error error;
    uint64_t began_us = ek_clock_monotonic_us();
    atomic_store_explicit(&commit->began_us, began_us, memory_order_relaxed);
    if (ek_group_run(commit->engine, done, &error) != EK_OK)
        die(commit, done, &error);
    done->took_us = ek_clock_monotonic_us() - began_us;
    ek_group_note_expiry(commit->engine, done, commit->load);
    atomic_fetch_add_explicit(&commit->busy_us, done->took_us, memory_order_relaxed);
    atomic_store_explicit(&commit->began_us, 0, memory_order_relaxed);
}

static void *run(void *context)
{
    (void)pthread_setname_np(pthread_self(), "storage"); /* as `top -H` shows it */
    struct ek_commit *commit = context;
    ek_store_enter_thread();
    for (bool stopping = false; !stopping;) {
        struct ek_commit_done *done = ek_alloc_zero(1, sizeof *done);
        done->items = take_group(commit);
        enum ek_commit_kind kind = done->items->kind;
        stopping = kind == EK_COMMIT_STOP;
        carry_out(commit, done);
        uint64_t took_us = done->took_us;
        if (stopping)
            atomic_store(&commit->ended, true);
        hand_back(commit, done);
        if (kind == EK_COMMIT_JOBS)
            ek_group_note_jobs(commit->engine, took_us, commit->load);
    }
    return NULL;
}

struct ek_commit *ek_commit_start(struct ek_engine *engine, struct ek_load *load)
{
    struct ek_commit *commit = ek_alloc_zero(1, sizeof *commit);
    commit->engine = engine;
    commit->load = load;
    commit->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    (void)pthread_mutex_init(&commit->mutex, NULL);
    (void)pthread_cond_init(&commit->arrived, NULL);
    if (commit->event_fd >= 0 && pthread_create(&commit->thread, NULL, run, commit) == 0)
        return commit;
    if (commit->event_fd >= 0)
        (void)close(commit->event_fd);
    free(commit);
    return NULL;
}

int ek_commit_fd(const struct ek_commit *commit)
{
    return commit->event_fd;
}

uint64_t ek_commit_stalled_us(const struct ek_commit *commit, uint64_t now_us)
{
    uint64_t began_us = atomic_load_explicit(&commit->began_us, memory_order_relaxed);
    return began_us && now_us > began_us ? now_us - began_us : 0;
}

uint64_t ek_commit_busy_us(const struct ek_commit *commit)
{
    return atomic_load_explicit(&commit->busy_us, memory_order_relaxed);
}

bool ek_commit_ended(const struct ek_commit *commit)
{
    return atomic_load(&commit->ended);
}

void ek_commit_destroy(struct ek_commit **reference)
{
    struct ek_commit *commit = *reference;
    if (!commit)
        return;
    (void)pthread_join(commit->thread, NULL);
    for (struct ek_commit_done *done; (done = ek_commit_take(commit));)
        ek_commit_done_destroy(done);
    (void)pthread_mutex_destroy(&commit->mutex);
    (void)pthread_cond_destroy(&commit->arrived);
    (void)close(commit->event_fd);
    free(commit);
    *reference = NULL;
}
