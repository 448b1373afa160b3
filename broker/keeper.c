#include "broker/keeper.h"

#include "common/bytes.h"
#include "common/log.h"
#include "common/mailbox.h"

#include <czmq.h>
#include <stdlib.h>

struct ek_keeper {
    struct ek_meta *meta;
    zactor_t *actor;
    struct ek_mailbox *done;
    bool busy;
};

struct task {
    uint64_t ceiling_unix_ms;
    size_t count;
    struct ek_record records[];
};

static void write_task(struct ek_keeper *keeper, struct task *task)
{
    struct ek_error error;
    if (ek_meta_write_floors(keeper->meta, task->records, task->count, task->ceiling_unix_ms, &error) != EK_OK) {
        ek_log(EK_LOG_ERROR, "%s; stopping, because what was acknowledged can no longer be recorded", error.text);
        _exit(EXIT_FAILURE);
    }
    ek_mailbox_put(keeper->done, task);
}

/* The thread: takes tasks from its pipe until czmq says $TERM. */
static void keep(zsock_t *pipe, void *argument)
{
    (void)zsock_signal(pipe, 0);
    for (;;) {
        char *command = NULL;
        void *task = NULL;
        if (zsock_recv(pipe, "sp", &command, &task) != 0 || strcmp(command, "$TERM") == 0) {
            zstr_free(&command);
            return;
        }
        zstr_free(&command);
        write_task(argument, task);
    }
}

struct ek_keeper *ek_keeper_new(struct ek_meta *meta)
{
    struct ek_keeper *keeper = ek_alloc_zero(1, sizeof *keeper);
    keeper->meta = meta;
    keeper->done = ek_mailbox_new();
    keeper->actor = keeper->done ? zactor_new(keep, keeper) : NULL;
    if (!keeper->actor)
        ek_keeper_destroy(&keeper);
    return keeper;
}

void ek_keeper_destroy(struct ek_keeper **keeper)
{
    if (!*keeper)
        return;
    zactor_destroy(&(*keeper)->actor);
    uint64_t ignored;
    while ((*keeper)->done && ek_keeper_take_done(*keeper, &ignored))
        ;
    ek_mailbox_destroy(&(*keeper)->done);
    free(*keeper);
    *keeper = NULL;
}

void ek_keeper_write(struct ek_keeper *keeper, const struct ek_record *records, size_t count, uint64_t ceiling_unix_ms)
{
    struct task *task = ek_alloc(sizeof *task + count * sizeof *records);
    task->ceiling_unix_ms = ceiling_unix_ms;
    task->count = count;
    if (count)
        memcpy(task->records, records, count * sizeof *records);
    keeper->busy = zsock_send(keeper->actor, "sp", "WRITE", task) == 0;
    if (!keeper->busy)
        free(task);
}

bool ek_keeper_is_busy(const struct ek_keeper *keeper)
{
    return keeper->busy;
}

int ek_keeper_fd(const struct ek_keeper *keeper)
{
    return ek_mailbox_fd(keeper->done);
}

bool ek_keeper_take_done(struct ek_keeper *keeper, uint64_t *ret_ceiling_unix_ms)
{
    struct task *task = ek_mailbox_take(keeper->done);
    if (!task)
        return false;
    *ret_ceiling_unix_ms = task->ceiling_unix_ms;
    free(task);
    keeper->busy = false;
    return true;
}
