/*
 * The network of a simulation: common/transport.h without ZeroMQ. Connections between a DEALER and a ROUTER keep order inside one
 * connection, as TCP does; when one is replaced, messages at its ends are lost, stay for the next one, or come late, as with
 * ZeroMQ. It knows messages as bytes only.
 */
#ifndef EK_TESTS_SIM_NET_H
#define EK_TESTS_SIM_NET_H

#include "common/transport.h"
#include "tests/sim/world.h"

struct sim_net_options {
    uint64_t delay_us;       /* usual, one way */
    unsigned messages_max;   /* of one direction of a connection: the high-water mark */
    unsigned repeat_percent; /* of replaced connections carry some messages that the one before has carried already */
};

/* Sees every message when it is sent; `to` is NULL while there is no connection. */
typedef void (*sim_net_tap)(const struct sim_process *from, const struct sim_process *to, struct ek_slice message);

void sim_net_open(const struct sim_net_options *options, sim_net_tap tap);
/* Calls once `messages` more have been sent from or to `process`, while the last of them is on its way. */
void sim_net_count_down(struct sim_process *process, unsigned messages, void (*run)(void *context, uint64_t argument),
                        uint64_t argument);
/* Replaces the connections of `process`' DEALERs, without either side knowing at first. */
void sim_net_break(struct sim_process *process);
/* Holds what goes from, or to, `process` until `until_us`. */
void sim_net_hold(struct sim_process *process, bool from, bool to, uint64_t until_us);
/* Holds what goes between these two, until `until_us`; in one direction only where the other one is not asked for. */
void sim_net_cut(struct sim_process *a, struct sim_process *b, bool from_a, bool from_b, uint64_t until_us);
/* Puts a message on the present connection of the process' DEALER, as if the DEALER (`up`) or its ROUTER had sent it. False when
 * there is none. */
bool sim_net_forge(const struct sim_process *process, bool up, struct ek_slice message);
/* Takes the first such message out of what is on its way to the process' DEALER. */
void sim_net_lose(const struct sim_process *process, bool (*wanted)(struct ek_slice message));
/* Ends all holds; from now on nothing is lost, unless a process ends. */
void sim_net_heal(void);
/* A program is gone: its sockets are closed. */
void sim_net_forget(struct sim_process *process);

/* Descriptors that ek_poll takes beside sockets; they belong to the process that asks. */
int sim_fd_new(void);
void sim_fd_raise(int fd);
/* Takes it back; true when it was raised. */
bool sim_fd_take(int fd);

#endif
