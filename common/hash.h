/*
 * From a key to its hash prefix and its shard (XXH3-64, Yann Collet's xxHash 0.8). Pure; any thread.
 */
#ifndef EK_COMMON_HASH_H
#define EK_COMMON_HASH_H

#include "common/bytes.h"

/* 64 bits of XXH3 over `bytes`, for tables. */
uint64_t ek_hash(struct ek_slice bytes);

/* What is between the first `{` and the next `}` of `key`, when that is not empty; else an empty slice. */
struct ek_slice ek_hash_tag(struct ek_slice key);

/* The top 16 bits of the hash of the key's tag, or of the whole key when it has none. */
uint16_t ek_hash_prefix(struct ek_slice key);

/* Shard `s` of `shards` (1 to EK_SHARDS_MAX) owns the prefixes from ek_shard_first(s) up to ek_shard_first(s + 1). */
uint16_t ek_shard_of(uint16_t prefix, uint32_t shards);
uint32_t ek_shard_first(uint32_t shard, uint32_t shards);

#endif
