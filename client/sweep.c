#include "client/sweep.h"

#include "common/bytes.h"

#include <stdlib.h>

enum { WORD_BITS = 64 };

void ek_sweep_init(struct ek_sweep *sweep, uint32_t limit)
{
    size_t words = ((size_t)limit + WORD_BITS - 1) / WORD_BITS;
    *sweep = (struct ek_sweep){.words = ek_alloc_zero(words, sizeof *sweep->words), .word_count = words};
}

void ek_sweep_done(struct ek_sweep *sweep)
{
    free(sweep->words);
    *sweep = (struct ek_sweep){0};
}

static uint64_t bit_of(uint32_t number)
{
    return UINT64_C(1) << number % WORD_BITS;
}

void ek_sweep_add(struct ek_sweep *sweep, uint32_t number)
{
    uint64_t *word = &sweep->words[number / WORD_BITS];
    sweep->count += !(*word & bit_of(number));
    *word |= bit_of(number);
}

void ek_sweep_remove(struct ek_sweep *sweep, uint32_t number)
{
    uint64_t *word = &sweep->words[number / WORD_BITS];
    sweep->count -= (*word & bit_of(number)) != 0;
    *word &= ~bit_of(number);
    if (number == sweep->at) /* added once more, it waits for the others */
        sweep->at = number + 1 < sweep->word_count * WORD_BITS ? number + 1 : 0;
}

bool ek_sweep_next(struct ek_sweep *sweep, uint32_t *ret)
{
    if (sweep->count == 0)
        return false;
    size_t index = sweep->at / WORD_BITS;
    uint64_t word = sweep->words[index] & ~(bit_of(sweep->at) - 1);
    while (word == 0) {
        index = index + 1 < sweep->word_count ? index + 1 : 0;
        word = sweep->words[index];
    }
    sweep->at = (uint32_t)(index * WORD_BITS) + (uint32_t)__builtin_ctzll(word);
    *ret = sweep->at;
    return true;
}
