#include "common/together.h"

#include "common/nearness.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 2 };

struct ek_together {
    const struct ek_context *context;
    struct ek_nearness nearness;
    pid_t threads[THREADS];     /* the second one's is looked for when it is needed: it gets its name late */
    cpu_set_t allowed[THREADS]; /* before they met */
    cpu_set_t meeting;          /* one processor */
};

struct ek_together *ek_together_new(const struct ek_context *context)
{
    struct ek_together *together = ek_alloc_zero(1, sizeof *together);
    ek_nearness_init(&together->nearness);
    together->context = context;
    together->threads[0] = gettid();
    return together;
}

/* What the system refuses costs time only. */
static void meet(struct ek_together *together)
{
    int processor = sched_getcpu();
    CPU_ZERO(&together->meeting);
    if (!together->threads[1])
        together->threads[1] = ek_context_io_thread(together->context);
    if (!together->threads[1] || processor < 0 || processor >= CPU_SETSIZE)
        return;
    CPU_SET((unsigned)processor, &together->meeting);
    for (int i = 0; i < THREADS; i++)
        if (sched_getaffinity(together->threads[i], sizeof together->allowed[i], &together->allowed[i]) != 0)
            return;
    for (int i = 0; i < THREADS; i++)
        (void)sched_setaffinity(together->threads[i], sizeof together->meeting, &together->meeting);
}

static void part(const struct ek_together *together)
{
    for (int i = 0; i < THREADS && together->threads[i]; i++) {
        cpu_set_t now;
        bool ours = sched_getaffinity(together->threads[i], sizeof now, &now) == 0 && CPU_EQUAL(&now, &together->meeting);
        if (ours)
            (void)sched_setaffinity(together->threads[i], sizeof together->allowed[i], &together->allowed[i]);
    }
}

void ek_together_pass(struct ek_together *together, size_t jobs, size_t bytes)
{
    enum ek_nearness_step step = ek_nearness_pass(&together->nearness, jobs, bytes);
    if (step == EK_NEARNESS_MEET)
        meet(together);
    else if (step == EK_NEARNESS_PART)
        part(together);
}

void ek_together_destroy(struct ek_together **together)
{
    free(*together);
    *together = NULL;
}
