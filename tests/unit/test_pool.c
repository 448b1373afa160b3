/* The memory of ended jobs: what comes back, what is kept and for how long. */
#include "broker/pool.h"
#include "tests/support/run_suite.h"

#include <check.h>
#include <string.h>

static struct ek_pool pool;

static void set_up(void)
{
    pool = (struct ek_pool){0};
}

static void tear_down(void)
{
    ek_pool_done(&pool);
}

/* Every size, to its last byte: a sanitizer looks on. */
START_TEST(what_is_taken_has_its_size)
{
    for (size_t size = 1; size <= EK_POOL_BLOCK_BYTES_MAX + 64; size++)
        for (int again = 0; again < 2; again++) {
            char *memory = ek_pool_take(&pool, size);
            memset(memory, 0x5a, size);
            ek_pool_give(&pool, memory, size);
        }
    ck_assert_uint_le(pool.bytes, EK_POOL_BYTES_MAX);
}
END_TEST

START_TEST(what_was_given_is_taken_again_for_its_own_size_only)
{
    void *memory = ek_pool_take(&pool, 300);
    ek_pool_give(&pool, memory, 300);
    size_t kept = pool.bytes;
    void *larger = ek_pool_take(&pool, 400);
    ck_assert_ptr_ne(larger, memory);
    ck_assert_uint_eq(pool.bytes, kept);
    void *same = ek_pool_take(&pool, 300);
    if (kept)
        ck_assert_ptr_eq(same, memory);
    ck_assert_uint_eq(pool.bytes, 0);
    ek_pool_give(&pool, same, 300);
    ek_pool_give(&pool, larger, 400);
}
END_TEST

START_TEST(it_keeps_no_more_than_its_bound)
{
    enum { BLOCK_BYTES = 1000, BLOCKS = 2 * EK_POOL_BYTES_MAX / BLOCK_BYTES + 100 }; /* the bound may be 0 */
    static void *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = ek_pool_take(&pool, BLOCK_BYTES);
    for (size_t i = 0; i < BLOCKS; i++)
        ek_pool_give(&pool, blocks[i], BLOCK_BYTES);
    ck_assert_uint_le(pool.bytes, EK_POOL_BYTES_MAX);
    ck_assert(pool.bytes + BLOCK_BYTES + 16 > EK_POOL_BYTES_MAX);
    void *large = ek_pool_take(&pool, EK_POOL_BLOCK_BYTES_MAX + 1);
    size_t kept = pool.bytes;
    ek_pool_give(&pool, large, EK_POOL_BLOCK_BYTES_MAX + 1);
    ck_assert_uint_eq(pool.bytes, kept);
}
END_TEST

START_TEST(it_gives_all_back_when_nothing_was_taken_for_a_while)
{
    ek_pool_give(&pool, ek_pool_take(&pool, 200), 200);
    size_t kept = pool.bytes;
    ek_pool_rest(&pool);
    ck_assert_uint_eq(pool.bytes, kept);
    ek_pool_rest(&pool);
    ck_assert_uint_eq(pool.bytes, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *suite = suite_create("pool");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_is_taken_has_its_size);
    tcase_add_test(tests, what_was_given_is_taken_again_for_its_own_size_only);
    tcase_add_test(tests, it_keeps_no_more_than_its_bound);
    tcase_add_test(tests, it_gives_all_back_when_nothing_was_taken_for_a_while);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return ek_run_suite(suite());
}
