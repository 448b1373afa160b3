/*
 * Whether jobs, or replies to them, come one at a time. Whoever takes messages from a socket asks until there are no more, and then
 * acts on all of them at once. That question is some system calls of ZeroMQ's, and a job that comes alone waits for it in each
 * process: there it is acted upon first. Where more come, what is to be sent is gathered from all of them. It takes and sends
 * nothing itself. Pure; one thread at a time.
 */
#ifndef EK_COMMON_BURST_H
#define EK_COMMON_BURST_H

#include <stdbool.h>
#include <stddef.h>

/* All zero: nothing came yet. */
struct ek_burst {
    size_t jobs; /* of the present pass */
    bool lone;   /* the last pass in which any came had one */
};

void ek_burst_begin(struct ek_burst *burst);
/* A message with so many jobs was taken. True: act on it before the next one is asked for. */
bool ek_burst_took(struct ek_burst *burst, size_t jobs);
void ek_burst_end(struct ek_burst *burst);

#endif
