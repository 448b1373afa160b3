/*
 * What the parts of the public handles share: connection.c moves the bytes, client.c opens, closes and submits, calls.c makes one
 * operation at a time of it. Included by these only. One thread at a time for a connection and all of its clients.
 */
#ifndef EK_CLIENT_HANDLE_H
#define EK_CLIENT_HANDLE_H

#include "client/session.h"
#include "common/burst.h"
#include "common/transport.h"

/* A socket to the broker and the sessions on it, by slot. */
struct ek_connection {
    struct ek_context *context;
    bool owns_context;
    struct ek_socket *socket;
    struct ek_session_set set;
    struct ek_slot *slots;
    size_t capacity;      /* of all arrays */
    uint32_t taken_below; /* every slot below is taken */
    uint32_t clients;     /* open ones */
    uint32_t clients_max;
    struct ek_burst burst;  /* of answers */
    bool heard;             /* something came in the last pass */
    bool lingers;           /* one of the clients does */
    bool inside;            /* a callback runs */
    bool idle;              /* ek_client_wait found nothing to do; that holds for one poll, and until the next submission */
    uint64_t due_us;        /* when there is something to do even if nothing comes; 0: there may be */
    struct ek_owned unsent; /* refused by a full pipe; memory = NULL: none */
};

/* What a connection knows of a slot beside its session. */
struct ek_slot {
    uint64_t due_us;   /* of its session; UINT64_MAX: the slot is free */
    uint64_t first_id; /* of the next session that gets it */
};

struct ek_client {
    struct ek_connection *connection;
    bool owns_connection;
    struct ek_session *session;
    struct ek_session_ids ids;
    uint32_t timeout_ms;
    char error[EK_TEXT_BYTES_MAX];
    struct ek_buffer kept; /* what the last synchronous call returned */
};

/* As ek_connection_open, for so many clients; `shared` may be NULL. */
enum ek_outcome ek_connection_start(const char *endpoint, struct ek_context *shared, uint32_t clients_max,
                                    struct ek_connection **ret);
void ek_connection_free(struct ek_connection *connection);
/* A slot and ids for one more client; false: there are `clients_max`. ek_connection_put follows. */
bool ek_connection_take_slot(struct ek_connection *connection, struct ek_session_ids *ret);
/* Its session, which is borrowed. */
void ek_connection_put(struct ek_connection *connection, uint32_t slot, struct ek_session *session);
/* Its session has ended; the ids of the next one begin behind `first_id`. */
void ek_connection_free_slot(struct ek_connection *connection, uint32_t slot, uint64_t first_id);
/* The session of this slot has something to do. */
void ek_connection_has_work(struct ek_connection *connection, uint32_t slot);
/* Sends what the session of this slot has to send. */
void ek_connection_send(struct ek_connection *connection, uint32_t slot, uint64_t now_us);
/* Sends, receives and runs callbacks once; when nothing came and none ran it waits for work, until `until_us` at most. Returns how
 * many callbacks ran. */
size_t ek_connection_step(struct ek_connection *connection, uint64_t until_us);

void ek_client_set_error(struct ek_client *client, const char *text);

#endif
