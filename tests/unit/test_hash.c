#include "common/hash.h"
#include "common/limits.h"
#include "tests/support/run_suite.h"

#include <string.h>

START_TEST(the_hash_is_xxh3)
{
    /* The published value of XXH3-64 of nothing, seed 0. */
    ck_assert_uint_eq(ek_hash(ek_slice_of("", 0)), 0x2d06800538d394c2ull);
    ck_assert_uint_eq(ek_hash_prefix(ek_slice_text("user:1")), 0x3b57);
}
END_TEST

static bool tag_is(const char *key, const char *tag)
{
    return ek_slice_equal(ek_hash_tag(ek_slice_text(key)), ek_slice_text(tag));
}

START_TEST(the_tag_is_the_first_whole_one)
{
    ck_assert(tag_is("{user:42}/order/1", "user:42"));
    ck_assert(tag_is("order/{user:42}", "user:42"));
    ck_assert(tag_is("{a}{b}", "a"));
    ck_assert(tag_is("{a{b}", "a{b"));
    ck_assert(tag_is("}{a}", "a"));
    ck_assert(tag_is("{a}}", "a"));
}
END_TEST

START_TEST(no_tag_is_no_tag)
{
    ck_assert(tag_is("", ""));
    ck_assert(tag_is("user:42", ""));
    ck_assert(tag_is("{", ""));
    ck_assert(tag_is("x{", ""));
    ck_assert(tag_is("{user", ""));
    ck_assert(tag_is("}user{", ""));
    ck_assert_uint_eq(ek_hash_tag(ek_slice_of(NULL, 0)).size, 0);
}
END_TEST

START_TEST(an_empty_first_tag_hashes_the_whole_key)
{
    ck_assert(tag_is("{}{a}", ""));
    ck_assert_uint_eq(ek_hash_prefix(ek_slice_text("{}{a}")), ek_hash(ek_slice_text("{}{a}")) >> 48);
}
END_TEST

START_TEST(tagged_keys_lie_with_their_tag)
{
    uint16_t prefix = ek_hash_prefix(ek_slice_text("user:42"));
    ck_assert_uint_eq(ek_hash_prefix(ek_slice_text("{user:42}/order/1")), prefix);
    ck_assert_uint_eq(ek_hash_prefix(ek_slice_text("x{user:42}")), prefix);
    ck_assert_uint_ne(ek_hash_prefix(ek_slice_text("{user:43}/order/1")), prefix);
}
END_TEST

START_TEST(a_tag_may_hold_any_byte)
{
    ck_assert(ek_slice_equal(ek_hash_tag(ek_slice_of("{a\0b}c", 6)), ek_slice_of("a\0b", 3)));
}
END_TEST

static const uint32_t shard_counts[] = {1, 2, 3, 7, 16, 100, 512, 1000, 4096, 8191, EK_SHARDS_MAX};

START_TEST(every_prefix_belongs_to_the_shard_whose_range_holds_it)
{
    for (size_t i = 0; i < sizeof shard_counts / sizeof *shard_counts; i++) {
        uint32_t shards = shard_counts[i];
        ck_assert_uint_eq(ek_shard_first(0, shards), 0);
        ck_assert_uint_eq(ek_shard_first(shards, shards), EK_PREFIXES);
        for (uint32_t prefix = 0; prefix < EK_PREFIXES; prefix++) {
            uint32_t shard = ek_shard_of((uint16_t)prefix, shards);
            if (shard >= shards || prefix < ek_shard_first(shard, shards) || prefix >= ek_shard_first(shard + 1, shards))
                ck_abort_msg("prefix %u of %u shards is in shard %u", prefix, shards, shard);
        }
    }
}
END_TEST

START_TEST(shards_are_equally_large)
{
    for (size_t i = 0; i < sizeof shard_counts / sizeof *shard_counts; i++) {
        uint32_t shards = shard_counts[i];
        for (uint32_t shard = 0; shard < shards; shard++) {
            uint32_t size = ek_shard_first(shard + 1, shards) - ek_shard_first(shard, shards);
            ck_assert_uint_ge(size, EK_PREFIXES / shards);
            ck_assert_uint_le(size, EK_PREFIXES / shards + 1);
        }
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("hash");
    TCase *tests = tcase_create("hash");
    tcase_add_test(tests, the_hash_is_xxh3);
    tcase_add_test(tests, the_tag_is_the_first_whole_one);
    tcase_add_test(tests, no_tag_is_no_tag);
    tcase_add_test(tests, an_empty_first_tag_hashes_the_whole_key);
    tcase_add_test(tests, tagged_keys_lie_with_their_tag);
    tcase_add_test(tests, a_tag_may_hold_any_byte);
    tcase_add_test(tests, every_prefix_belongs_to_the_shard_whose_range_holds_it);
    tcase_add_test(tests, shards_are_equally_large);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
