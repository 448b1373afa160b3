/*
 * How long a disk takes to make a small write durable: appends as small as one put's log record, each followed by fdatasync, to a
 * file whose room was taken beforehand, as RocksDB does with its log.
 *
 *     syncs --file FILE [--seconds N] [--bytes N]
 */
#include "common/clock.h"
#include "tests/bench/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROOM_BYTES = 64 << 20, BYTES_MAX = 1 << 20 };

int main(int argc, char **argv)
{
    static uint8_t bytes[BYTES_MAX];
    static struct ek_histogram latency;
    const char *path = NULL;
    uint64_t seconds = 1;
    uint64_t size = 256;
    ek_tool_flags(argc, argv,
                  (const struct ek_tool_flag[]){{"file", NULL, &path}, {"seconds", &seconds, NULL}, {"bytes", &size, NULL}, {0}});
    if (!path || size > sizeof bytes)
        ek_tool_fail("--file is missing, or --bytes above 1 MiB");
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0)
        ek_tool_fail("cannot open %s: %s", path, strerror(errno));
    (void)!fallocate(file, FALLOC_FL_KEEP_SIZE, 0, ROOM_BYTES); /* not every file system can */
    uint64_t began_us = ek_tool_begin();
    uint64_t now_us = began_us;
    while (now_us - began_us < seconds * 1000000) {
        if (write(file, bytes, size) != (ssize_t)size || fdatasync(file) != 0)
            ek_tool_fail("cannot write %s: %s", path, strerror(errno));
        uint64_t ended_us = ek_clock_monotonic_us();
        ek_histogram_add(&latency, ended_us - now_us);
        now_us = ended_us;
    }
    ek_tool_report(
        &(struct ek_tool_figures){.operations = latency.count, .bytes = latency.count * size, .took_us = now_us - began_us},
        &latency);
    (void)close(file);
    return EXIT_SUCCESS;
}
