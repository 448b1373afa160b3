/*
 * What the two halves of the public handle share: client.c moves the bytes, calls.c makes one operation at a time of it. Included
 * by these two only. One thread at a time.
 */
#ifndef EK_CLIENT_HANDLE_H
#define EK_CLIENT_HANDLE_H

#include "client/session.h"
#include "common/transport.h"

struct ek_client {
    struct ek_context *context;
    bool owns_context;
    struct ek_socket *socket;
    struct ek_session *session;
    uint32_t timeout_ms;
    bool lingers;
    bool inside;            /* a callback runs */
    bool idle;              /* ek_client_wait found nothing to do; that holds for one poll, and until the next submission */
    uint64_t due_us;        /* when there is something to do even if nothing comes; 0: there may be */
    struct ek_owned unsent; /* refused by a full pipe; memory = NULL: none */
    char error[EK_TEXT_BYTES_MAX];
    struct ek_buffer kept; /* what the last synchronous call returned */
};

void ek_client_set_error(struct ek_client *client, const char *text);
/* Sends, receives and runs callbacks once; when nothing came and none ran it waits for work, until `until_us` at most. Returns how
 * many callbacks ran. */
size_t ek_client_step(struct ek_client *client, uint64_t until_us);

#endif
