/*
 * ZeroMQ sockets with the settings that a server on a hostile network needs: no limit left at "unlimited", nothing that blocks,
 * nothing that drops in silence. The only place that includes zmq.h. It knows frames, not messages.
 *
 * A socket belongs to the thread that uses it; a context is shared. Sources: zmq_setsockopt(7), RFC 23/ZMTP, RFC 28/REQREP.
 */
#ifndef EK_COMMON_TRANSPORT_H
#define EK_COMMON_TRANSPORT_H

#include "common/envelope.h"
#include "common/status.h"

#include <stdalign.h>
#include <sys/types.h>

struct ek_context;
struct ek_socket;

enum ek_socket_kind { EK_SOCKET_ROUTER, EK_SOCKET_DEALER, EK_SOCKET_PUB, EK_SOCKET_SUB };

/* A ROUTER's name for one connection, never 0 for a real one; a peer that uses REQ has another one than the same peer with DEALER.
 */
typedef uint64_t ek_peer;

/* A received frame; its bytes are valid until ek_frame_done, and those of a small one lie inside it: whoever copies the struct to
 * keep it asks for them anew. */
struct ek_frame {
    alignas(8) unsigned char storage[64];
};

/* `sockets_max` bounds the sockets of the context. NULL when the system refuses. */
struct ek_context *ek_context_new(int io_threads, int sockets_max);
/* Ends all I/O; every socket of it must have been closed. Lets unsent messages go for at most half a second. */
void ek_context_destroy(struct ek_context **context);

/* The first thread that does I/O for this context, as gettid(2) names it; 0: there is none yet, or the system does not tell. */
pid_t ek_context_io_thread(const struct ek_context *context);

EK_MUST enum ek_status ek_socket_open(struct ek_context *context, enum ek_socket_kind kind, struct ek_socket **ret);
void ek_socket_close(struct ek_socket **socket);
/* `ret_actual` has EK_TEXT_BYTES_MAX bytes and gets the endpoint with the port that a `*` became. EK_IN_USE, EK_MALFORMED,
 * EK_DENIED. */
EK_MUST enum ek_status ek_socket_bind(struct ek_socket *socket, const char *endpoint, char *ret_actual, struct ek_error *error);
EK_MUST enum ek_status ek_socket_connect(struct ek_socket *socket, const char *endpoint, struct ek_error *error);
EK_MUST enum ek_status ek_socket_subscribe(struct ek_socket *socket, const char *topic);

/*
 * Takes one message, without waiting. Exactly one frame counts as a message (with an empty one before it from a REQ, and with
 * its topic before it on a SUB). EK_AGAIN: none there. EK_MALFORMED: other frames; the message is gone and ek_socket_answer
 * reaches its sender. EK_DENIED: the sender chose its own routing id, likewise. `ret_peer` may be NULL except on a ROUTER.
 */
EK_MUST enum ek_status ek_socket_receive(struct ek_socket *socket, struct ek_frame *ret_frame, ek_peer *ret_peer);
struct ek_slice ek_frame_bytes(struct ek_frame *frame);
void ek_frame_done(struct ek_frame *frame);

/*
 * Sends without waiting. `peer` matters on a ROUTER only. The memory passes to the socket with EK_OK and is freed with
 * EK_UNREACHABLE (the peer is gone); with EK_AGAIN (its pipe is full) it stays the caller's.
 */
EK_MUST enum ek_status ek_socket_send(struct ek_socket *socket, ek_peer peer, struct ek_owned message);
/* Of a DEALER: sends a message that may be lost, which is among the last before ek_socket_close. That they leave holds the context
 * up for some 20 ms at most. Takes the memory. */
void ek_socket_send_last(struct ek_socket *socket, struct ek_owned message);
/* Bytes of messages taken by ek_socket_send that have not left yet. ZeroMQ bounds a pipe by messages only: whoever sends large ones
 * looks here before the next. */
size_t ek_socket_unsent_bytes(const struct ek_socket *socket);
/* Likewise of those sent with one of these, which may be destroyed while messages are under way. */
struct ek_unsent;
struct ek_unsent *ek_unsent_new(void);
void ek_unsent_destroy(struct ek_unsent **unsent);
size_t ek_unsent_bytes(const struct ek_unsent *unsent);
/* As ek_socket_send, and counts the message there until it has left. */
EK_MUST enum ek_status ek_socket_send_counted(struct ek_socket *socket, ek_peer peer, struct ek_owned message,
                                              struct ek_unsent *unsent);
/* Sends to whoever sent the last message that ek_socket_receive took, whatever its frames were; drops it when that peer is gone or
 * full. */
void ek_socket_answer(struct ek_socket *socket, struct ek_slice message);
/* Begins a message on a PUB with its topic; the next call is ek_socket_publish. False when nobody subscribes to that topic who has
 * room: nothing is begun then, and no payload has to be made. Slow subscribers lose messages: that is what PUB is for.
 * libzmq loses some 50 bytes when a subscriber leaves between the two: let them follow each other at once. */
EK_MUST bool ek_socket_begin(struct ek_socket *socket, const char *topic);
/* The payload behind the topic. */
void ek_socket_publish(struct ek_socket *socket, struct ek_slice payload);

enum { EK_POLL_ITEMS_MAX = 1024 };

/* Waits until something can be read. Either `socket` or, when that is NULL, `fd`. */
struct ek_poll_item {
    struct ek_socket *socket;
    int fd;
    bool readable;
};
/* `timeout_ms` -1 waits for ever. EK_AGAIN: nothing within the time, or a signal came. EK_TOO_LARGE: more than EK_POLL_ITEMS_MAX.
 */
EK_MUST enum ek_status ek_poll(struct ek_poll_item *items, size_t count, int64_t timeout_ms);

/* The address part of `endpoint` is this machine only. */
bool ek_endpoint_is_loopback(const char *endpoint);
/* Syntax only: tcp://HOST:PORT, ipc://PATH or inproc://NAME. */
bool ek_endpoint_is_valid(const char *endpoint);

#endif
