/*
 * The versions that a shard gave to writes: none twice, and rising with time and within a session. The checker sees this for one
 * hash tag; this is for all tags of a shard together. Pure.
 */
#ifndef EK_TESTS_SIM_VERSIONS_H
#define EK_TESTS_SIM_VERSIONS_H

#include "tests/sim/checker.h"

struct shard_version {
    uint32_t shard;
    uint64_t version;
    const struct check_call *call;
};

enum { VERSIONS_TEXT_BYTES = 160 };

/* Lists the versions that the call's steps were given; `room` for as many as it has steps. How many. */
size_t versions_of(const struct check_call *call, uint32_t shard, struct shard_version *room);
/* Sorts them by shard and version. False: `ret_wrong` says what is wrong. */
bool versions_rise(struct shard_version *versions, size_t count, char ret_wrong[VERSIONS_TEXT_BYTES]);

#endif
