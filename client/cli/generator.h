/*
 * What a benchmark draws: numbers, keys and values, the same for the same seed. It sends nothing. Pure; one thread for a state.
 */
#ifndef EK_CLI_GENERATOR_H
#define EK_CLI_GENERATOR_H

#include "common/bytes.h"
#include "common/table.h"

#define EK_BENCH_KEY_BYTES 16u
#define EK_BENCH_KEYS_MAX  1000000000000ull /* twelve digits */

/* SplitMix: a counter through a finalizer (Steele, Lea, Flood 2014). */
static inline uint64_t ek_random_next(uint64_t *state)
{
    return ek_mix(*state += 0x9e3779b97f4a7c15u);
}

/* Uniform in [0, 1). */
static inline double ek_random_unit(uint64_t *state)
{
    return (double)(ek_random_next(state) >> 11) * 0x1p-53;
}

/* Uniform below `count` (Lemire's multiplication; its bias is below count / 2^64). */
static inline uint64_t ek_random_below(uint64_t *state, uint64_t count)
{
    __extension__ typedef unsigned __int128 wide;
    return (uint64_t)((wide)ek_random_next(state) * count >> 64);
}

/* Ranks with zipfian popularity, theta 0.99: J. Gray et al., "Quickly generating billion-record synthetic databases", 1994, as YCSB
 * uses it. */
struct ek_zipfian {
    uint64_t count;
    double zeta; /* the sum of 1 / rank^theta */
    double eta;
    double second; /* the share of the first two ranks, times zeta */
};
void ek_zipfian_init(struct ek_zipfian *zipfian, uint64_t count);
/* From a number in [0, 1) to a rank in [0, count); 0 is the most popular. */
uint64_t ek_zipfian_rank(const struct ek_zipfian *zipfian, double unit);
/*
 * A key in [0, keys), scrambled as YCSB's ScrambledZipfianGenerator does: ranks are drawn among EK_ZIPFIAN_ITEMS items, however
 * many keys there are, and hashed onto the keys. So popular keys lie anywhere, and the popularity of the first ones (3.8 %, 1.9 %,
 * ...) does not depend on the number of keys.
 */
#define EK_ZIPFIAN_ITEMS 10000000000ull
uint64_t ek_zipfian_key(const struct ek_zipfian *zipfian, uint64_t keys, double unit);

/* Key `index` of a benchmark: four letters and twelve digits, in an order that has nothing to do with the index; no two are the
 * same. */
void ek_bench_key(char out[EK_BENCH_KEY_BYTES], const char prefix[4], uint64_t index);
/* Fills `size` bytes that compress to about half, as db_bench does. */
void ek_bench_values(uint8_t *out, size_t size, uint64_t seed);

#endif
