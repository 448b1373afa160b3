#include "client/cli/child.h"

#include "common/clock.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_NOT_STARTED = 127 };

void ek_child_init(struct ek_child *child, const char *name, const char *program)
{
    *child = (struct ek_child){.output = -1};
    (void)snprintf(child->name, sizeof child->name, "%s", name);
    ek_child_add(child, program, NULL);
}

void ek_child_add(struct ek_child *child, const char *flag, const char *value)
{
    assert(child->argument_count + 2 <= EK_CHILD_ARGUMENTS_MAX);
    child->arguments[child->argument_count++] = ek_copy_text(flag);
    if (value)
        child->arguments[child->argument_count++] = ek_copy_text(value);
}

void ek_child_clear(struct ek_child *child)
{
    while (child->argument_count > 1) {
        free(child->arguments[--child->argument_count]);
        child->arguments[child->argument_count] = NULL;
    }
}

/* Between fork and exec: nothing that takes a lock. */
static _Noreturn void become(char *const *arguments, int output, pid_t parent)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setpgid(0, 0); /* an interrupt from the keyboard is this program's to pass on, in order */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
        _exit(EXIT_NOT_STARTED);
    int input = open("/dev/null", O_RDONLY);
    if (input >= 0)
        (void)dup2(input, STDIN_FILENO);
    (void)dup2(output, STDOUT_FILENO);
    (void)dup2(output, STDERR_FILENO);
    (void)execvp(arguments[0], arguments);
    static const char text[] = "cannot be started: is it installed beside evenkeel or in PATH?\n";
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(EXIT_NOT_STARTED);
}

enum ek_status ek_child_start(struct ek_child *child, struct ek_error *error)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return ek_error_set(error, EK_IO, "cannot start %s: %s", child->name, strerror(errno));
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        become(child->arguments, ends[1], parent);
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
        return ek_error_set(error, EK_IO, "cannot start %s: %s", child->name, strerror(errno));
    }
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    if (child->output >= 0)
        (void)close(child->output);
    child->output = ends[0];
    child->pid = pid;
    child->started_us = ek_clock_monotonic_us();
    child->restart_us = 0;
    child->ready = false;
    ek_buffer_clear(&child->line);
    return EK_OK;
}

static void take_bytes(struct ek_child *child, const char *bytes, size_t size,
                       void (*take)(void *context, struct ek_child *child, const char *line), void *context)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != '\n') {
            if (bytes[i] && child->line.size < EK_CHILD_LINE_BYTES_MAX)
                ek_buffer_append(&child->line, &bytes[i], 1);
            continue;
        }
        ek_buffer_append(&child->line, "", 1);
        const char *line = (const char *)child->line.data;
        (void)snprintf(child->last_line, sizeof child->last_line, "%.255s", line);
        take(context, child, line);
        ek_buffer_clear(&child->line);
    }
}

void ek_child_read(struct ek_child *child, void (*take)(void *context, struct ek_child *child, const char *line), void *context)
{
    char bytes[4096];
    while (child->output >= 0) {
        ssize_t got = read(child->output, bytes, sizeof bytes);
        if (got < 0)
            return;
        if (got == 0) {
            (void)close(child->output);
            child->output = -1;
            return;
        }
        take_bytes(child, bytes, (size_t)got, take, context);
    }
}

bool ek_child_reap(struct ek_child *child, char ret_how[64])
{
    int status;
    if (child->pid == 0 || waitpid(child->pid, &status, WNOHANG) != child->pid)
        return false;
    child->pid = 0;
    if (WIFSIGNALED(status))
        (void)snprintf(ret_how, 64, "signal %d", WTERMSIG(status));
    else
        (void)snprintf(ret_how, 64, "exit code %d", WEXITSTATUS(status));
    return true;
}

void ek_child_signal(const struct ek_child *child, int signal)
{
    if (child->pid)
        (void)kill(child->pid, signal);
}

void ek_child_done(struct ek_child *child)
{
    ek_child_clear(child);
    free(child->arguments[0]);
    child->arguments[0] = NULL;
    child->argument_count = 0;
    if (child->output >= 0)
        (void)close(child->output);
    child->output = -1;
    ek_buffer_done(&child->line);
}
