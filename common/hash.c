#include "common/hash.h"

#include "common/limits.h"

#include <string.h>
#include <xxhash.h>

uint64_t ek_hash(struct ek_slice bytes)
{
    return XXH3_64bits(bytes.data, bytes.size);
}

struct ek_slice ek_hash_tag(struct ek_slice key)
{
    const uint8_t *open = key.size ? memchr(key.data, '{', key.size) : NULL;
    if (!open)
        return ek_slice_of(NULL, 0);
    size_t left = key.size - (size_t)(open + 1 - key.data);
    const uint8_t *close = left ? memchr(open + 1, '}', left) : NULL;
    return close ? ek_slice_of(open + 1, (size_t)(close - open - 1)) : ek_slice_of(NULL, 0);
}

uint16_t ek_hash_prefix(struct ek_slice key)
{
    struct ek_slice tag = ek_hash_tag(key);
    return (uint16_t)(ek_hash(tag.size ? tag : key) >> 48);
}

uint16_t ek_shard_of(uint16_t prefix, uint32_t shards)
{
    return (uint16_t)(((uint32_t)prefix * shards) / EK_PREFIXES);
}

uint32_t ek_shard_first(uint32_t shard, uint32_t shards)
{
    return (shard * EK_PREFIXES + shards - 1) / shards;
}
