/*
 * RocksDB by itself (raw.h): what a worker could do if it did nothing else. One process, one thread.
 *
 *     storage --phases load,put,get --data DIR [--seconds N] [--keys N] [--value-size B] [--group N] [--shards N] [--seed N]
 *             [--cache SIZE]
 *
 * load writes each key once, put draws them at random for some seconds: `group` rows at a time, one synced write each. get draws as
 * many present keys. Each phase that is named begins when it is told to, and ends with a line of figures; its latencies are those
 * of groups, without drawing and sorting them.
 */
#include "common/clock.h"
#include "tests/bench/raw.h"
#include "tests/bench/tool.h"

#include <stdlib.h>
#include <string.h>

static void measure(struct ek_raw *raw, const char *phase, uint64_t seconds)
{
    static struct ek_histogram latency;
    bool load = strcmp(phase, "load") == 0;
    bool reads = strcmp(phase, "get") == 0;
    if (!load && !reads && strcmp(phase, "put") != 0)
        ek_tool_fail("'%s' is no phase: give load, put or get", phase);
    latency = (struct ek_histogram){0};
    raw->bytes = 0;
    uint64_t began_us = ek_tool_begin();
    uint64_t operations = 0;
    uint64_t took_us = 0;
    while (load ? raw->loaded < raw->keys : took_us < seconds * 1000000) {
        size_t count = load ? ek_raw_draw_next(raw, (size_t)raw->group) : ek_raw_draw(raw, (size_t)raw->group);
        uint64_t drawn_us = ek_clock_monotonic_us();
        if (reads)
            ek_raw_get(raw, count);
        else
            ek_raw_put(raw, count);
        operations += count;
        uint64_t now_us = ek_clock_monotonic_us();
        ek_histogram_add(&latency, now_us - drawn_us);
        took_us = now_us - began_us;
    }
    ek_tool_report(&(struct ek_tool_figures){.operations = operations, .bytes = raw->bytes, .took_us = took_us}, &latency);
}

int main(int argc, char **argv)
{
    static struct ek_raw raw = {.cache = "256M", .keys = 1000000, .value_bytes = 100, .group = 10000, .random = 1};
    const char *wanted = "put";
    uint64_t seconds = 1;
    ek_tool_flags(argc, argv,
                  (const struct ek_tool_flag[]){{"phases", NULL, &wanted},
                                                {"data", NULL, &raw.data},
                                                {"cache", NULL, &raw.cache},
                                                {"seconds", &seconds, NULL},
                                                {"keys", &raw.keys, NULL},
                                                {"value-size", &raw.value_bytes, NULL},
                                                {"group", &raw.group, NULL},
                                                {"shards", &raw.shards, NULL},
                                                {"seed", &raw.random, NULL},
                                                {0}});
    ek_raw_open(&raw);
    char *phases = ek_copy_text(wanted);
    for (char *left = phases, *phase; (phase = strsep(&left, ",")) != NULL;)
        measure(&raw, phase, seconds);
    ek_raw_close(&raw);
    free(phases);
    return EXIT_SUCCESS;
}
