#include "client/cli/generator.h"
#include "tests/support/run_suite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 10000, DRAWS = 1000000 };

static double share_of(uint64_t rank, uint64_t keys)
{
    double sum = 0;
    for (uint64_t i = 1; i <= keys; i++)
        sum += pow((double)i, -0.99);
    return pow((double)rank + 1, -0.99) / sum;
}

START_TEST(popular_ranks_come_as_often_as_zipf_says)
{
    static unsigned counts[KEYS];
    struct ek_zipfian zipfian;
    uint64_t random = 7;
    ek_zipfian_init(&zipfian, KEYS);
    for (size_t i = 0; i < DRAWS; i++) {
        uint64_t rank = ek_zipfian_rank(&zipfian, ek_random_unit(&random));
        ck_assert_uint_lt(rank, KEYS);
        counts[rank]++;
    }
    for (uint64_t rank = 0; rank < 2; rank++) {
        double wanted = share_of(rank, KEYS) * DRAWS;
        ck_assert_msg(fabs(counts[rank] - wanted) < 0.05 * wanted, "rank %zu: %u, not %.0f", (size_t)rank, counts[rank], wanted);
    }
    /* Behind the first two ranks the method approximates: the first tenth of the ranks has its share, and every tenth less than the
     * one before. */
    double tenth = 0;
    unsigned drawn[10] = {0};
    for (uint64_t rank = 0; rank < KEYS; rank++)
        drawn[rank * 10 / KEYS] += counts[rank];
    for (uint64_t rank = 0; rank < KEYS / 10; rank++)
        tenth += share_of(rank, KEYS);
    ck_assert_double_eq_tol(drawn[0] / (double)DRAWS, tenth, 0.03);
    for (size_t i = 1; i < 10; i++)
        ck_assert_uint_lt(drawn[i], drawn[i - 1]);
}
END_TEST

START_TEST(large_key_counts_are_as_exact_as_small_ones)
{
    struct ek_zipfian zipfian;
    ek_zipfian_init(&zipfian, 3000000);
    double sum = 0;
    for (uint64_t i = 3000000; i >= 1; i--)
        sum += pow((double)i, -0.99);
    ck_assert_double_eq_tol(zipfian.zeta, sum, 1e-6);
    ek_zipfian_init(&zipfian, EK_BENCH_KEYS_MAX);
    ck_assert_uint_lt(ek_zipfian_rank(&zipfian, 0x1.fffffffffffffp-1), EK_BENCH_KEYS_MAX);
}
END_TEST

/* What YCSB writes down instead of computing it (ScrambledZipfianGenerator.ZETAN). */
START_TEST(zeta_is_the_constant_of_ycsb)
{
    struct ek_zipfian zipfian;
    ek_zipfian_init(&zipfian, EK_ZIPFIAN_ITEMS);
    ck_assert_double_eq_tol(zipfian.zeta, 26.46902820178302, 1e-8);
}
END_TEST

/* The first two keys that YCSB loads are user6284781860667377211 and user8517097267634966620: FNV of 0 and 1. */
START_TEST(ranks_are_hashed_as_ycsb_does)
{
    struct ek_zipfian zipfian;
    ek_zipfian_init(&zipfian, EK_ZIPFIAN_ITEMS);
    double first = 0.5 / zipfian.zeta;
    double second = 1.25 / zipfian.zeta;
    ck_assert_uint_eq(ek_zipfian_key(&zipfian, INT64_MAX, first), UINT64_C(6284781860667377211));
    ck_assert_uint_eq(ek_zipfian_key(&zipfian, INT64_MAX, second), UINT64_C(8517097267634966620));
    ck_assert_uint_eq(ek_zipfian_key(&zipfian, 1000, first), 211);
}
END_TEST

START_TEST(popular_keys_come_as_often_as_zipf_says_and_all_come)
{
    enum { FEW = 1000 };
    static unsigned counts[FEW];
    struct ek_zipfian zipfian;
    uint64_t random = 11;
    ek_zipfian_init(&zipfian, EK_ZIPFIAN_ITEMS);
    for (size_t i = 0; i < DRAWS; i++)
        counts[ek_zipfian_key(&zipfian, FEW, ek_random_unit(&random))]++;
    /* Ranks behind the first two fall on each key nearly alike: a thousandth of what is left. */
    double rest = (1 - (1 + pow(0.5, 0.99)) / zipfian.zeta) / FEW;
    ck_assert_double_eq_tol(counts[211] / (double)DRAWS, 1 / zipfian.zeta + rest, 0.002);
    ck_assert_double_eq_tol(counts[620] / (double)DRAWS, pow(0.5, 0.99) / zipfian.zeta + rest, 0.002);
    for (size_t key = 0; key < FEW; key++)
        ck_assert_uint_gt(counts[key], 0);
}
END_TEST

START_TEST(few_keys_are_all_there_is)
{
    for (uint64_t keys = 1; keys < 6; keys++) {
        struct ek_zipfian zipfian;
        ek_zipfian_init(&zipfian, keys);
        for (unsigned i = 0; i < 1000; i++)
            ck_assert_uint_lt(ek_zipfian_rank(&zipfian, i / 1000.0), keys);
        ck_assert_uint_lt(ek_zipfian_rank(&zipfian, 0x1.fffffffffffffp-1), keys);
    }
}
END_TEST

START_TEST(uniform_numbers_are_uniform)
{
    unsigned counts[10] = {0};
    uint64_t random = 1;
    for (size_t i = 0; i < DRAWS; i++)
        counts[ek_random_below(&random, 10)]++;
    for (size_t i = 0; i < 10; i++)
        ck_assert_double_eq_tol(counts[i] / (double)DRAWS, 0.1, 0.002);
}
END_TEST

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, EK_BENCH_KEY_BYTES);
}

START_TEST(keys_have_sixteen_bytes_and_differ)
{
    static char keys[DRAWS][EK_BENCH_KEY_BYTES];
    for (size_t i = 0; i < DRAWS; i++)
        ek_bench_key(keys[i], "user", i);
    ck_assert_mem_eq(keys[0], "user000000000000", EK_BENCH_KEY_BYTES);
    ck_assert_mem_eq(keys[1], "user000015485863", EK_BENCH_KEY_BYTES);
    qsort(keys, DRAWS, sizeof keys[0], compare);
    for (size_t i = 1; i < DRAWS; i++)
        ck_assert_int_lt(compare(keys[i - 1], keys[i]), 0);
    ek_bench_key(keys[0], "user", EK_BENCH_KEYS_MAX - 1);
    ck_assert_mem_eq(keys[0], "user999984514137", EK_BENCH_KEY_BYTES);
}
END_TEST

START_TEST(values_compress_to_about_half)
{
    uint8_t bytes[1000];
    uint8_t again[1000];
    ek_bench_values(bytes, sizeof bytes, 3);
    for (size_t at = 0; at < sizeof bytes; at += 100)
        ck_assert_mem_eq(bytes + at, bytes + at + 50, 50);
    ck_assert_mem_ne(bytes, bytes + 100, 50);
    ek_bench_values(again, sizeof again, 3);
    ck_assert_mem_eq(bytes, again, sizeof bytes);
    ek_bench_values(again, sizeof again, 4);
    ck_assert_mem_ne(bytes, again, sizeof bytes);
    ek_bench_values(again, 130, 3);
    ck_assert_mem_eq(bytes, again, 130);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("cli generator");
    TCase *cases = tcase_create("generator");
    tcase_set_timeout(cases, 30);
    tcase_add_test(cases, popular_ranks_come_as_often_as_zipf_says);
    tcase_add_test(cases, large_key_counts_are_as_exact_as_small_ones);
    tcase_add_test(cases, zeta_is_the_constant_of_ycsb);
    tcase_add_test(cases, ranks_are_hashed_as_ycsb_does);
    tcase_add_test(cases, popular_keys_come_as_often_as_zipf_says_and_all_come);
    tcase_add_test(cases, few_keys_are_all_there_is);
    tcase_add_test(cases, uniform_numbers_are_uniform);
    tcase_add_test(cases, keys_have_sixteen_bytes_and_differ);
    tcase_add_test(cases, values_compress_to_about_half);
    suite_add_tcase(s, cases);
    return s;
}

int main(void)
{
    return ek_run_suite(suite());
}
