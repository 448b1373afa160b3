#include "client/cli/generator.h"

#include <math.h>
#include <string.h>

enum { EXACT_TERMS = 1000000, PIECE_BYTES = 100 };

static const double theta = 0.99;

/* Fowler, Noll and Vo: FNV-1a with 64 bits. */
#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

/* The sum of 1 / i^theta for i up to `count`; behind the first million terms by Euler and Maclaurin, whose error is far below a
 * double's. */
static double zeta_of(uint64_t count)
{
    uint64_t exact = count < EXACT_TERMS ? count : EXACT_TERMS;
    double sum = 0;
    for (uint64_t i = exact; i >= 1; i--)
        sum += pow((double)i, -theta);
    if (count == exact)
        return sum;
    double from = (double)exact;
    double to = (double)count;
    double integral = (pow(to, 1 - theta) - pow(from, 1 - theta)) / (1 - theta);
    return sum + integral + (pow(to, -theta) - pow(from, -theta)) / 2;
}

void ek_zipfian_init(struct ek_zipfian *zipfian, uint64_t count)
{
    zipfian->count = count;
    zipfian->zeta = zeta_of(count);
    zipfian->second = 1 + pow(0.5, theta);
    zipfian->eta = count > 2 ? (1 - pow(2.0 / (double)count, 1 - theta)) / (1 - zipfian->second / zipfian->zeta) : 0;
}

uint64_t ek_zipfian_rank(const struct ek_zipfian *zipfian, double unit)
{
    double share = unit * zipfian->zeta;
    if (share < 1 || zipfian->count < 2)
        return 0;
    if (share < zipfian->second || zipfian->count < 3)
        return 1;
    double rank = (double)zipfian->count * pow(zipfian->eta * unit - zipfian->eta + 1, 1 / (1 - theta));
    return rank < (double)zipfian->count ? (uint64_t)rank : zipfian->count - 1;
}

uint64_t ek_zipfian_key(const struct ek_zipfian *zipfian, uint64_t keys, double unit)
{
    uint64_t rank = ek_zipfian_rank(zipfian, unit);
    uint64_t hash = FNV_BASIS;
    for (unsigned octet = 0; octet < sizeof rank; octet++, rank >>= 8)
        hash = (hash ^ (rank & UINT8_MAX)) * FNV_PRIME;
    uint64_t size = hash >> 63 ? ~hash + 1 : hash; /* YCSB's numbers have a sign */
    return size % keys;
}

/* Two at a time. */
static void put_digits(char *out, size_t count, uint32_t digits)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
                                "49505152535455565758596061626364656667686970717273747576777879808182838485868788899091929394959697"
                                "9899";
    for (; count; count -= 2, digits /= 100)
        memcpy(out + count - 2, pairs + digits % 100 * 2, 2);
}

void ek_bench_key(char out[EK_BENCH_KEY_BYTES], const char prefix[4], uint64_t index)
{
    /* A prime that shares no factor with the number of keys permutes them; the product stays below 2^64. */
    uint64_t digits = index % EK_BENCH_KEYS_MAX * 15485863u % EK_BENCH_KEYS_MAX;
    memcpy(out, prefix, 4);
    /* Halves that do not wait for each other. */
    put_digits(out + 4, 6, (uint32_t)(digits / 1000000));
    put_digits(out + 10, 6, (uint32_t)(digits % 1000000));
}

void ek_bench_values(uint8_t *out, size_t size, uint64_t seed)
{
    uint8_t piece[PIECE_BYTES];
    for (size_t at = 0; at < size; at += sizeof piece) {
        for (size_t i = 0; i < sizeof piece / 2; i++)
            piece[i] = (uint8_t)(' ' + ek_random_below(&seed, 95));
        memcpy(piece + sizeof piece / 2, piece, sizeof piece / 2);
        memcpy(out + at, piece, size - at < sizeof piece ? size - at : sizeof piece);
    }
}
