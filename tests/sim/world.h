/*
 * One virtual clock, one seeded generator, and everything that runs on them: events, processes, and fibers as their threads. A
 * process is a program's real main loop; it gives way only where it would wait for the kernel, so that a run is one sequence of
 * events that the seed alone decides. It knows neither messages nor rows.
 *
 * A killed process stops where it waits and leaves its memory behind; each seed runs in a process of the operating system's own,
 * whose end frees that. Times are microseconds of the virtual clock, which starts at SIM_START_US.
 */
#ifndef EK_TESTS_SIM_WORLD_H
#define EK_TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SIM_START_US ((uint64_t)1000000000)
#define SIM_NEVER    UINT64_MAX

struct sim_fiber;

enum sim_state { SIM_RUNNING, SIM_PAUSED, SIM_ENDED };

/* A place where one program runs at a time: a broker, a worker or a client, with what survives the program. */
struct sim_process {
    const char *name;
    int number; /* of the place */
    enum sim_state state;
    bool expected;                              /* its end is no failure */
    bool stopping;                              /* it was asked to end in order */
    int exit_code;                              /* once ENDED by itself */
    uint64_t clock_ahead_us;                    /* its monotonic clock before the virtual one */
    int64_t wall_ahead_ms;                      /* its wall clock likewise */
    uint64_t life;                              /* counts its programs */
    struct sim_fiber *fibers;                   /* of the present program */
    struct sim_fiber *poller;                   /* the one of them that waits for messages */
    int stop_fd;                                /* what signalfd gives it */
    void (*ended)(struct sim_process *process); /* called after its program is gone, however it went */
};

/* ---- a run ---- */

void sim_world_open(uint64_t seed, FILE *report, bool verbose);
uint64_t sim_now_us(void);
/* Runs events until `until_us`, or until something has failed. */
void sim_run(uint64_t until_us);
/* Runs one event; false when there is none left. */
bool sim_run_one(void);

/* Notes a failure, once, with its text; the run then ends. As printf. */
void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool sim_failed(void);
/* A line of the story, printed with its time when the run is verbose. */
void sim_tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool sim_is_verbose(void);
FILE *sim_report(void);

/* Mixes what happened into the hash of the run. */
void sim_note(uint64_t what, uint64_t detail);
void sim_note_bytes(uint64_t what, const void *bytes, size_t size);
uint64_t sim_hash(void);

/* ---- chance ---- */

uint64_t sim_random(void);
/* 0 to below - 1. */
uint64_t sim_draw(uint64_t below);
uint64_t sim_between(uint64_t least, uint64_t most);
bool sim_chance(unsigned percent);
/* A delay: mostly near `usual_us`, now and then many times that. */
uint64_t sim_delay_us(uint64_t usual_us);

/* ---- events ---- */

void sim_at(uint64_t when_us, void (*run)(void *context, uint64_t argument), void *context, uint64_t argument);

/* ---- processes and fibers ---- */

/* Starts a program: `main` runs in a fiber of its own and may end by returning. */
void sim_start(struct sim_process *process, void (*main)(void *context), void *context);
/* As SIGKILL. Not by itself. */
void sim_kill(struct sim_process *process);
/* As SIGSTOP and SIGCONT. */
void sim_pause(struct sim_process *process);
void sim_continue(struct sim_process *process);

/* The running process, or NULL in an event. */
struct sim_process *sim_self(void);
/* A thread of the running process. */
struct sim_fiber *sim_fork(void (*main)(void *context), void *context);
struct sim_fiber *sim_fiber_self(void);
/* The fiber waits until `until_us`, or until it is woken. */
void sim_wait(uint64_t until_us);
/* It waits all of the time. */
void sim_sleep_us(uint64_t time_us);
void sim_wake(struct sim_fiber *fiber);
/* Ends the running program; it does not return. */
void sim_exit(int code) __attribute__((noreturn));

/* Memory that belongs to nobody's program, zeroed. The run's end frees it. */
void *sim_alloc(size_t count, size_t width);

#endif
