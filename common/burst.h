/*
 * Whether the messages of a socket come one at a time. Whoever takes messages asks until there are no more, and then acts on all of
 * them at once. That question is some system calls of ZeroMQ's, and a message that comes alone waits for it in each process: there
 * it is acted upon first. It takes and sends nothing itself. Pure; one thread at a time.
 */
#ifndef EK_COMMON_BURST_H
#define EK_COMMON_BURST_H

#include <stdbool.h>
#include <stdint.h>

/* All zero: nothing came yet. */
struct ek_burst {
    uint32_t count; /* of the present pass */
    bool lone;      /* the last pass in which any came had one */
};

void ek_burst_begin(struct ek_burst *burst);
/* A message was taken. True: act on it before the next one is asked for. */
bool ek_burst_took(struct ek_burst *burst);
void ek_burst_end(struct ek_burst *burst);

#endif
