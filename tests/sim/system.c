/*
 * The operating system as programs see it in a simulation: clocks, log, ids, descriptors, ends. Functions that begin with __wrap_
 * take the place of the system's by the linker's --wrap.
 */
#include "common/clock.h"
#include "common/log.h"
#include "tests/sim/net.h"
#include "tests/sim/world.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/types.h>
#include <unistd.h>
#include <uuid/uuid.h>

enum { FD_FIRST = 100000 };
#define WALL_START_UNIX_MS INT64_C(1700000000000)

ssize_t __real_read(int fd, void *buffer, size_t size);
int __real_close(int fd);
ssize_t __wrap_read(int fd, void *buffer, size_t size);
int __wrap_close(int fd);
int __wrap_signalfd(int fd, const sigset_t *mask, int flags);
void __wrap__exit(int code) __attribute__((noreturn));

uint64_t ek_clock_monotonic_us(void)
{
    const struct sim_process *self = sim_self();
    return sim_now_us() + (self ? self->clock_ahead_us : 0);
}

uint64_t ek_clock_unix_ms(void)
{
    const struct sim_process *self = sim_self();
    return (uint64_t)(WALL_START_UNIX_MS + (int64_t)((sim_now_us() - SIM_START_US) / 1000) + (self ? self->wall_ahead_ms : 0));
}

void ek_log_open(const char *program, enum ek_log_level level)
{
    (void)program, (void)level;
}

enum ek_status ek_log_level_of(const char *word, enum ek_log_level *ret)
{
    (void)word, (void)ret;
    return EK_MALFORMED;
}

void ek_log(enum ek_log_level level, const char *format, ...)
{
    char text[1024];
    va_list args;
    (void)level;
    if (!sim_is_verbose())
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    sim_tell("%s: %s", sim_self() ? sim_self()->name : "-", text);
}

void uuid_generate(uuid_t out)
{
    for (size_t i = 0; i < sizeof(uuid_t); i++)
        out[i] = (unsigned char)sim_random();
}

void uuid_unparse_lower(const uuid_t id, char *out)
{
    for (size_t i = 0; i < sizeof(uuid_t); i++)
        (void)snprintf(out + i * 2, 3, "%02x", id[i]);
}

/* A program's descriptor for signals is its own; what is read from it does not matter, that it can be read does. */
int __wrap_signalfd(int fd, const sigset_t *mask, int flags)
{
    (void)fd, (void)mask, (void)flags;
    sim_self()->stop_fd = sim_fd_new();
    return sim_self()->stop_fd;
}

ssize_t __wrap_read(int fd, void *buffer, size_t size)
{
    if (fd < FD_FIRST)
        return __real_read(fd, buffer, size);
    if (!sim_fd_take(fd))
        return -1;
    memset(buffer, 0, size);
    return (ssize_t)size;
}

int __wrap_close(int fd)
{
    return fd < FD_FIRST ? __real_close(fd) : 0;
}

void __wrap__exit(int code)
{
    sim_exit(code);
}
