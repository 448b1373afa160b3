/*
 * A program that runs below this one: started with its own process group, killed when this one dies, its standard output and error
 * read as lines. It does not decide when to start one again. One thread, which must be the one that lives longest: Linux kills the
 * children when the thread that started them ends.
 */
#ifndef EK_CLI_CHILD_H
#define EK_CLI_CHILD_H

#include "common/bytes.h"
#include "common/status.h"

#include <sys/types.h>

enum { EK_CHILD_ARGUMENTS_MAX = 24, EK_CHILD_LINE_BYTES_MAX = 4096 };

struct ek_child {
    char name[32];
    char *arguments[EK_CHILD_ARGUMENTS_MAX + 1]; /* owned; the first is the program, by path or to be found in PATH */
    size_t argument_count;
    pid_t pid;  /* 0 = not running */
    int output; /* -1 = none */
    struct ek_buffer line;
    uint64_t started_us;
    uint64_t restart_us; /* when to start it again; 0 = not at all. The caller's */
    unsigned deaths;     /* in a row. The caller's */
    bool ready;          /* has said so since it was started. The caller's */
    char last_line[256];
};

void ek_child_init(struct ek_child *child, const char *name, const char *program);
/* Both are copied; `value` may be NULL. At most EK_CHILD_ARGUMENTS_MAX in all. */
void ek_child_add(struct ek_child *child, const char *flag, const char *value);
/* Replaces all arguments but the program. */
void ek_child_clear(struct ek_child *child);
EK_MUST enum ek_status ek_child_start(struct ek_child *child, struct ek_error *error);
/* Reads what is there and calls `take` for each line, terminated; closes `output` at its end. Longer lines are cut. */
void ek_child_read(struct ek_child *child, void (*take)(void *context, struct ek_child *child, const char *line), void *context);
/* True when it has ended since it was looked at last; `ret_how` gets 64 bytes such as "exit code 3". */
bool ek_child_reap(struct ek_child *child, char ret_how[64]);
void ek_child_signal(const struct ek_child *child, int signal);
void ek_child_done(struct ek_child *child);

#endif
