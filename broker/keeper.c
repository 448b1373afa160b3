#include "broker/keeper.h"

#include "broker/beside.h"
#include "common/bytes.h"
#include "common/log.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ek_keeper {
    struct ek_meta *meta;
    struct ek_beside *beside;
    bool busy;
};

struct task {
    uint64_t ceiling_unix_ms;
    size_t count;
    struct ek_floor floors[];
};

static void write_task(void *context, void *errand)
{
    struct ek_keeper *keeper = context;
    const struct task *task = errand;
    struct ek_error error;
    if (ek_meta_write_floors(keeper->meta, task->floors, task->count, task->ceiling_unix_ms, &error) != EK_OK) {
        ek_log(EK_LOG_ERROR, "%s; stopping, because what was acknowledged can no longer be recorded", error.text);
        _exit(EXIT_FAILURE);
    }
}

struct ek_keeper *ek_keeper_new(struct ek_meta *meta)
{
    struct ek_keeper *keeper = ek_alloc_zero(1, sizeof *keeper);
    keeper->meta = meta;
    keeper->beside = ek_beside_new(write_task, keeper);
    if (!keeper->beside)
        ek_keeper_destroy(&keeper);
    return keeper;
}

/* Waits for the write that is under way, so that its task can be freed. */
static void await_task(struct ek_keeper *keeper)
{
    struct pollfd done = {.fd = ek_beside_fd(keeper->beside), .events = POLLIN};
    uint64_t ignored;
    while (keeper->busy && !ek_keeper_take_done(keeper, &ignored))
        (void)poll(&done, 1, -1);
}

void ek_keeper_destroy(struct ek_keeper **keeper)
{
    if (!*keeper)
        return;
    if ((*keeper)->beside)
        await_task(*keeper);
    ek_beside_destroy(&(*keeper)->beside);
    free(*keeper);
    *keeper = NULL;
}

void ek_keeper_write(struct ek_keeper *keeper, const struct ek_floor *floors, size_t count, uint64_t ceiling_unix_ms)
{
    struct task *task = ek_alloc(sizeof *task + count * sizeof *floors);
    task->ceiling_unix_ms = ceiling_unix_ms;
    task->count = count;
    if (count)
        memcpy(task->floors, floors, count * sizeof *floors);
    keeper->busy = true;
    ek_beside_give(keeper->beside, task);
}

bool ek_keeper_is_busy(const struct ek_keeper *keeper)
{
    return keeper->busy;
}

int ek_keeper_fd(const struct ek_keeper *keeper)
{
    return ek_beside_fd(keeper->beside);
}

bool ek_keeper_take_done(struct ek_keeper *keeper, uint64_t *ret_ceiling_unix_ms)
{
    struct task *task = ek_beside_take(keeper->beside);
    if (!task)
        return false;
    *ret_ceiling_unix_ms = task->ceiling_unix_ms;
    free(task);
    keeper->busy = false;
    return true;
}
