#include "broker/beside.h"

#include "common/bytes.h"
#include "common/mailbox.h"

#include <czmq.h>
#include <stdlib.h>

struct ek_beside {
    void (*run)(void *context, void *errand);
    void *context;
    zactor_t *actor; /* its pipe says only that something was given, or $TERM */
    struct ek_mailbox *given;
    struct ek_mailbox *done;
};

static void serve(zsock_t *pipe, void *argument)
{
    struct ek_beside *beside = argument;
    (void)zsock_signal(pipe, 0);
    for (;;) {
        char *word = zstr_recv(pipe);
        bool ends = !word || strcmp(word, "$TERM") == 0;
        zstr_free(&word);
        if (ends)
            return;
        void *errand = ek_mailbox_take(beside->given);
        beside->run(beside->context, errand);
        ek_mailbox_put(beside->done, errand);
    }
}

struct ek_beside *ek_beside_new(void (*run)(void *context, void *errand), void *context)
{
    struct ek_beside *beside = ek_alloc_zero(1, sizeof *beside);
    beside->run = run;
    beside->context = context;
    beside->given = ek_mailbox_new();
    beside->done = ek_mailbox_new();
    beside->actor = beside->given && beside->done ? zactor_new(serve, beside) : NULL;
    if (!beside->actor)
        ek_beside_destroy(&beside);
    return beside;
}

void ek_beside_destroy(struct ek_beside **destroyed)
{
    struct ek_beside *beside = *destroyed;
    if (!beside)
        return;
    zactor_destroy(&beside->actor);
    ek_mailbox_destroy(&beside->given);
    ek_mailbox_destroy(&beside->done);
    free(beside);
    *destroyed = NULL;
}

void ek_beside_give(struct ek_beside *beside, void *errand)
{
    ek_mailbox_put(beside->given, errand);
    (void)zstr_send(beside->actor, "DO");
}

void *ek_beside_take(struct ek_beside *beside)
{
    return ek_mailbox_take(beside->done);
}

int ek_beside_fd(const struct ek_beside *beside)
{
    return ek_mailbox_fd(beside->done);
}
