/*
 * When two threads that hand each other messages should be on one processor. The system wakes a thread on an idle processor where
 * there is one. That is right under load, but an idle processor has to be woken itself, which takes longer than to change threads
 * on a busy one: where small jobs come one at a time, the threads are better off together. They part as soon as more come, and once
 * in a while by themselves, so that the system chooses a processor anew. This moves no thread (together.h does). Pure; one thread
 * at a time.
 */
#ifndef EK_COMMON_NEARNESS_H
#define EK_COMMON_NEARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    EK_NEARNESS_RUN_MIN = 64,         /* lone jobs until they meet */
    EK_NEARNESS_RUN_MAX = 64 * 1024,  /* likewise, for those that had to part again and again */
    EK_NEARNESS_TURN = 2048,          /* lone jobs until they part by themselves */
    EK_NEARNESS_IDLE_MAX = 8,         /* passes without a job until they part: whatever else they do is not one at a time */
    EK_NEARNESS_BYTES_MAX = 4 * 1024, /* of a job: a larger one gives both threads enough to do */
};

enum ek_nearness_step { EK_NEARNESS_STAY, EK_NEARNESS_MEET, EK_NEARNESS_PART };

struct ek_nearness {
    bool met;
    uint32_t run;    /* lone jobs since they met or parted, or since others came */
    uint32_t wanted; /* of these, until they meet */
    uint32_t idle;   /* passes without a job, one behind the other */
};

void ek_nearness_init(struct ek_nearness *nearness);
/* A pass in which so many jobs came, or replies to jobs, in so many bytes of messages: what to do now. */
enum ek_nearness_step ek_nearness_pass(struct ek_nearness *nearness, size_t jobs, size_t bytes);

#endif
