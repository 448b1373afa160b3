#include "tests/bench/tool.h"

#include "common/clock.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

enum { FLAGS_MAX = 16 };

static uint64_t parse(const char *text)
{
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    if (*text == 0 || *end != 0 || errno != 0) {
        (void)fprintf(stderr, "'%s' is no whole number\n", text);
        exit(2);
    }
    return number;
}

void ek_tool_flags(int argc, char **argv, const struct ek_tool_flag *flags)
{
    struct option options[FLAGS_MAX + 1] = {0};
    int count = 0;
    for (; count < FLAGS_MAX && flags[count].name; count++)
        options[count] = (struct option){.name = flags[count].name, .has_arg = required_argument, .val = count};
    for (int found; (found = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (found < 0 || found >= count)
            exit(2);
        if (flags[found].number)
            *flags[found].number = parse(optarg);
        else
            *flags[found].text = optarg;
    }
    if (optind != argc)
        ek_tool_fail("'%s': only flags are understood", argv[optind]);
}

void ek_tool_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "%s: ", program_invocation_short_name);
    (void)vfprintf(stderr, format, arguments);
    (void)fprintf(stderr, "\n");
    va_end(arguments);
    exit(EXIT_FAILURE);
}

uint64_t ek_tool_begin(void)
{
    (void)printf("ready\n");
    (void)fflush(stdout);
    while (getchar() != '\n')
        if (feof(stdin) || ferror(stdin))
            exit(EXIT_FAILURE);
    return ek_clock_monotonic_us();
}

void ek_tool_report(const struct ek_tool_figures *figures, const struct ek_histogram *latency)
{
    double seconds = (double)(figures->took_us ? figures->took_us : 1) / 1e6;
    (void)printf("{\"operations\":%llu,\"seconds\":%.6f,\"ops_per_second\":%.3f,\"bytes_per_second\":%.3f",
                 (unsigned long long)figures->operations, seconds, (double)figures->operations / seconds,
                 (double)figures->bytes / seconds);
    if (latency)
        (void)printf(",\"latency_p50_us\":%llu,\"latency_p99_us\":%llu", (unsigned long long)ek_histogram_percentile(latency, 0.5),
                     (unsigned long long)ek_histogram_percentile(latency, 0.99));
    (void)printf("%s}\n", figures->extra ? figures->extra : "");
    (void)fflush(stdout);
}

void *ek_tool_socket(void *context, int kind)
{
    void *socket = context ? zmq_socket(context, kind) : NULL;
    const int none = 0;
    if (!socket || zmq_setsockopt(socket, ZMQ_SNDHWM, &none, sizeof none) ||
        zmq_setsockopt(socket, ZMQ_RCVHWM, &none, sizeof none) || zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none))
        ek_tool_fail("no socket: %s", zmq_strerror(zmq_errno()));
    return socket;
}

void ek_tool_connect(void *socket, const char *endpoint)
{
    if (!endpoint || zmq_connect(socket, endpoint))
        ek_tool_fail("cannot connect to '%s': %s", endpoint ? endpoint : "", zmq_strerror(zmq_errno()));
}

void ek_tool_must(int done)
{
    if (done < 0)
        ek_tool_fail("%s", zmq_strerror(zmq_errno()));
}
