#include "tests/sim/world.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define SIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_ASAN 1
#endif
#endif
#ifdef SIM_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

enum { STACK_BYTES = 512 * 1024 };

/*
 * Where a fiber or the scheduler goes on. A context begins on its own stack; afterwards a jump leads back to it, since swapcontext
 * asks the kernel for the signal mask, twice a switch. The sanitizer takes jumps for the end of a stack's frames: it gets contexts.
 */
struct place {
    ucontext_t context;
    jmp_buf jump;
    bool left; /* by a jump, which leads back */
};

struct sim_fiber {
    struct sim_fiber *next; /* of its process */
    struct sim_process *process;
    uint64_t life;
    struct place place;
    void *stack;
    void *fake_stack; /* the sanitizer's */
    void (*main)(void *context);
    void *argument;
    uint64_t ticket; /* of the resumption that counts */
    bool waits;      /* may be woken */
    bool held;       /* its resumption came while the process was paused */
    bool over;
};

struct event {
    uint64_t when_us;
    uint64_t serial;
    void (*run)(void *context, uint64_t argument);
    void *context;
    uint64_t argument;
};

static struct {
    uint64_t now_us;
    uint64_t random;
    uint64_t hash;
    uint64_t serial;
    struct event *events; /* a heap, the next one first */
    size_t event_count;
    size_t event_capacity;
    struct sim_fiber *running;
    struct place place; /* of the scheduler */
    void *fake_stack;
    const void *stack_bottom; /* of the scheduler, as the sanitizer says it */
    size_t stack_bytes;
    FILE *report;
    bool verbose;
    bool failed;
} world;

/* ---- a run ---- */

void sim_world_open(uint64_t seed, FILE *report, bool verbose)
{
    world.now_us = SIM_START_US;
    world.random = seed * 0x9e3779b97f4a7c15ull + 1;
    world.hash = seed;
    world.report = report;
    world.verbose = verbose;
}

uint64_t sim_now_us(void)
{
    return world.now_us;
}

FILE *sim_report(void)
{
    return world.report;
}

bool sim_is_verbose(void)
{
    return world.verbose;
}

bool sim_failed(void)
{
    return world.failed;
}

static void print_line(const char *format, va_list args)
{
    uint64_t since_us = world.now_us - SIM_START_US;
    (void)fprintf(world.report, "%6" PRIu64 ".%06" PRIu64 " ", since_us / 1000000, since_us % 1000000);
    (void)vfprintf(world.report, format, args);
    (void)fputc('\n', world.report);
}

void sim_fail(const char *format, ...)
{
    if (world.failed)
        return;
    world.failed = true;
    va_list args;
    va_start(args, format);
    (void)fputs("VIOLATION ", world.report);
    print_line(format, args);
    va_end(args);
}

void sim_tell(const char *format, ...)
{
    if (!world.verbose)
        return;
    va_list args;
    va_start(args, format);
    print_line(format, args);
    va_end(args);
}

/* The finalizer of MurmurHash3 (Austin Appleby). */
static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 33) * 0xff51afd7ed558ccdull;
    value = (value ^ value >> 33) * 0xc4ceb9fe1a85ec53ull;
    return value ^ value >> 33;
}

void sim_note(uint64_t what, uint64_t detail)
{
    world.hash = mix(world.hash ^ mix(world.now_us) ^ mix(what * 31 + 7) ^ detail);
}

void sim_note_bytes(uint64_t what, const void *bytes, size_t size)
{
    uint64_t sum = 0xcbf29ce484222325ull; /* FNV-1a */
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3ull;
    sim_note(what, sum);
}

uint64_t sim_hash(void)
{
    return world.hash;
}

/* ---- chance ---- */

/* SplitMix64 (Steele, Lea and Flood, 2014). */
uint64_t sim_random(void)
{
    world.random += 0x9e3779b97f4a7c15ull;
    uint64_t mixed = world.random;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9ull;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebull;
    return mixed ^ mixed >> 31;
}

uint64_t sim_draw(uint64_t below)
{
    return below ? sim_random() % below : 0;
}

uint64_t sim_between(uint64_t least, uint64_t most)
{
    return least + sim_draw(most - least + 1);
}

bool sim_chance(unsigned percent)
{
    return sim_draw(100) < percent;
}

uint64_t sim_delay_us(uint64_t usual_us)
{
    uint64_t delay_us = usual_us / 2 + sim_draw(usual_us + 1);
    return sim_draw(64) ? delay_us : delay_us * sim_between(2, 200);
}

/* ---- events ---- */

static bool before(const struct event *a, const struct event *b)
{
    return a->when_us != b->when_us ? a->when_us < b->when_us : a->serial < b->serial;
}

void sim_at(uint64_t when_us, void (*run)(void *context, uint64_t argument), void *context, uint64_t argument)
{
    if (world.event_count == world.event_capacity) {
        world.event_capacity = world.event_capacity ? world.event_capacity * 2 : 1024;
        world.events = realloc(world.events, world.event_capacity * sizeof *world.events);
        if (!world.events)
            abort();
    }
    struct event event = {.when_us = when_us > world.now_us ? when_us : world.now_us,
                          .serial = world.serial++,
                          .run = run,
                          .context = context,
                          .argument = argument};
    size_t at = world.event_count++;
    for (; at && before(&event, &world.events[(at - 1) / 2]); at = (at - 1) / 2)
        world.events[at] = world.events[(at - 1) / 2];
    world.events[at] = event;
}

static struct event take_event(void)
{
    struct event first = world.events[0];
    struct event last = world.events[--world.event_count];
    size_t at = 0;
    for (size_t child = 1; child < world.event_count; child = at * 2 + 1) {
        if (child + 1 < world.event_count && before(&world.events[child + 1], &world.events[child]))
            child++;
        if (!before(&world.events[child], &last))
            break;
        world.events[at] = world.events[child];
        at = child;
    }
    world.events[at] = last;
    return first;
}

bool sim_run_one(void)
{
    if (world.event_count == 0)
        return false;
    struct event event = take_event();
    world.now_us = event.when_us;
    event.run(event.context, event.argument);
    return true;
}

void sim_run(uint64_t until_us)
{
    while (!world.failed && world.event_count && world.events[0].when_us <= until_us)
        (void)sim_run_one();
    if (!world.failed && world.now_us < until_us)
        world.now_us = until_us;
}

/* ---- fibers ---- */

static void switch_place(struct place *from, struct place *to)
{
#ifdef SIM_ASAN
    (void)swapcontext(&from->context, &to->context);
#else
    from->left = true;
    if (_setjmp(from->jump) != 0)
        return;
    if (to->left)
        _longjmp(to->jump, 1);
    (void)setcontext(&to->context);
#endif
}

static void leave_scheduler(struct sim_fiber *fiber)
{
#ifdef SIM_ASAN
    __sanitizer_start_switch_fiber(&world.fake_stack, fiber->stack, STACK_BYTES);
#endif
    world.running = fiber;
    switch_place(&world.place, &fiber->place);
    world.running = NULL;
#ifdef SIM_ASAN
    __sanitizer_finish_switch_fiber(world.fake_stack, NULL, NULL);
#endif
}

static void leave_fiber(struct sim_fiber *fiber)
{
#ifdef SIM_ASAN
    __sanitizer_start_switch_fiber(fiber->over ? NULL : &fiber->fake_stack, world.stack_bottom, world.stack_bytes);
#endif
    switch_place(&fiber->place, &world.place);
#ifdef SIM_ASAN
    __sanitizer_finish_switch_fiber(fiber->fake_stack, &world.stack_bottom, &world.stack_bytes);
#endif
}

static void run_fiber(void)
{
    struct sim_fiber *fiber = world.running;
#ifdef SIM_ASAN
    __sanitizer_finish_switch_fiber(NULL, &world.stack_bottom, &world.stack_bytes);
#endif
    fiber->main(fiber->argument);
    fiber->over = true;
    leave_fiber(fiber);
}

static void resume(void *context, uint64_t ticket)
{
    struct sim_fiber *fiber = context;
    if (fiber->over || fiber->ticket != ticket)
        return;
    if (fiber->process->state == SIM_PAUSED) {
        fiber->held = true;
        return;
    }
    fiber->waits = false;
    sim_note(1, (uint64_t)fiber->process->number);
    leave_scheduler(fiber);
}

static struct sim_fiber *make_fiber(struct sim_process *process, void (*main)(void *context), void *context)
{
    struct sim_fiber *fiber = sim_alloc(1, sizeof *fiber);
    fiber->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (fiber->stack == MAP_FAILED || getcontext(&fiber->place.context) != 0)
        abort();
    fiber->place.context.uc_stack.ss_sp = fiber->stack;
    fiber->place.context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&fiber->place.context, run_fiber, 0);
    fiber->process = process;
    fiber->main = main;
    fiber->argument = context;
    fiber->next = process->fibers;
    process->fibers = fiber;
    sim_at(world.now_us, resume, fiber, ++fiber->ticket);
    return fiber;
}

struct sim_process *sim_self(void)
{
    return world.running ? world.running->process : NULL;
}

struct sim_fiber *sim_fiber_self(void)
{
    return world.running;
}

struct sim_fiber *sim_fork(void (*main)(void *context), void *context)
{
    return make_fiber(world.running->process, main, context);
}

void sim_wait(uint64_t until_us)
{
    struct sim_fiber *fiber = world.running;
    fiber->waits = true;
    fiber->ticket++;
    if (until_us != SIM_NEVER)
        sim_at(until_us, resume, fiber, fiber->ticket);
    leave_fiber(fiber);
}

void sim_sleep_us(uint64_t time_us)
{
    struct sim_fiber *fiber = world.running;
    fiber->waits = false;
    sim_at(world.now_us + time_us, resume, fiber, ++fiber->ticket);
    leave_fiber(fiber);
}

void sim_wake(struct sim_fiber *fiber)
{
    if (!fiber || fiber->over || !fiber->waits)
        return;
    fiber->waits = false;
    sim_at(world.now_us, resume, fiber, ++fiber->ticket);
}

/* ---- processes ---- */

/* What a program's main and its end look like from inside its first fiber. */
struct program {
    void (*main)(void *context);
    void *context;
};

static void run_program(void *context)
{
    struct program program = *(struct program *)context;
    program.main(program.context);
    sim_exit(0);
}

void sim_start(struct sim_process *process, void (*main)(void *context), void *context)
{
    struct program *program = sim_alloc(1, sizeof *program);
    *program = (struct program){.main = main, .context = context};
    process->state = SIM_RUNNING;
    process->expected = process->stopping = false;
    process->life++;
    process->fibers = NULL;
    sim_note(2, (uint64_t)process->number);
    (void)make_fiber(process, run_program, program);
}

static void end(struct sim_process *process, int code)
{
    for (struct sim_fiber *fiber = process->fibers; fiber; fiber = fiber->next) {
        fiber->over = true;
        if (fiber != world.running)
            (void)munmap(fiber->stack, STACK_BYTES);
    }
    process->fibers = NULL;
    process->poller = NULL;
    process->state = SIM_ENDED;
    process->exit_code = code;
    sim_note(3, (uint64_t)process->number);
    if (process->ended)
        process->ended(process);
}

void sim_kill(struct sim_process *process)
{
    if (process->state == SIM_ENDED)
        return;
    process->expected = true;
    end(process, -1);
}

void sim_exit(int code)
{
    struct sim_fiber *fiber = world.running;
    end(fiber->process, code);
    leave_fiber(fiber);
    abort();
}

void sim_pause(struct sim_process *process)
{
    if (process->state == SIM_RUNNING)
        process->state = SIM_PAUSED;
}

void sim_continue(struct sim_process *process)
{
    if (process->state != SIM_PAUSED)
        return;
    process->state = SIM_RUNNING;
    for (struct sim_fiber *fiber = process->fibers; fiber; fiber = fiber->next)
        if (fiber->held) {
            fiber->held = false;
            sim_at(world.now_us, resume, fiber, fiber->ticket);
        }
}

void *sim_alloc(size_t count, size_t width)
{
    void *memory = calloc(count, width);
    if (!memory)
        abort();
    return memory;
}
