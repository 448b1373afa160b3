#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const words[] = {"error", "warning", "info", "debug"};
static const char *opened_program = "evenkeel";
static enum ek_log_level opened_level = EK_LOG_INFO;

void ek_log_open(const char *program, enum ek_log_level level)
{
    opened_program = program;
    opened_level = level;
}

enum ek_status ek_log_level_of(const char *word, enum ek_log_level *ret)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i]) == 0) {
            *ret = (enum ek_log_level)i;
            return EK_OK;
        }
    return EK_MALFORMED;
}

void ek_log(enum ek_log_level level, const char *format, ...)
{
    if (level > opened_level)
        return;
    char text[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct timespec now;
    struct tm utc;
    char stamp[32];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    (void)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)fprintf(stderr, "%s.%03ldZ %s %s: %s\n", stamp, now.tv_nsec / 1000000, opened_program, words[level], text);
}
