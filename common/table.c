#include "common/table.h"

#include "common/bytes.h"

#include <stdlib.h>

enum { FIRST_CHAINS = 64 };

void ek_table_done(struct ek_table *table)
{
    free(table->chains);
    *table = (struct ek_table){0};
}

static struct ek_table_link **chain_of(const struct ek_table *table, uint64_t hash)
{
    return &table->chains[hash & (table->chain_count - 1)];
}

void ek_table_expect(const struct ek_table *table, uint64_t hash)
{
    if (table->chain_count)
        __builtin_prefetch(chain_of(table, hash), 1);
}

static void grow(struct ek_table *table)
{
    struct ek_table larger = {.chain_count = table->chain_count ? table->chain_count * 2 : FIRST_CHAINS};
    larger.chains = ek_alloc_zero(larger.chain_count, sizeof(struct ek_table_link *));
    for (size_t i = 0; i < table->chain_count; i++)
        for (struct ek_table_link *item = table->chains[i], *next; item; item = next) {
            next = item->next;
            struct ek_table_link **chain = chain_of(&larger, item->hash);
            item->next = *chain;
            *chain = item;
        }
    free(table->chains);
    table->chains = larger.chains;
    table->chain_count = larger.chain_count;
}

void ek_table_add(struct ek_table *table, struct ek_table_link *item, uint64_t hash)
{
    if (table->count >= table->chain_count)
        grow(table);
    struct ek_table_link **chain = chain_of(table, hash);
    item->hash = hash;
    item->next = *chain;
    *chain = item;
    table->count++;
}

void ek_table_remove(struct ek_table *table, struct ek_table_link *item)
{
    for (struct ek_table_link **at = chain_of(table, item->hash); *at; at = &(*at)->next)
        if (*at == item) {
            *at = item->next;
            item->next = NULL;
            table->count--;
            return;
        }
}

struct ek_table_link *ek_table_find(const struct ek_table *table, uint64_t hash,
                                    bool (*same)(const struct ek_table_link *item, const void *key), const void *key)
{
    if (table->count == 0)
        return NULL;
    for (struct ek_table_link *item = *chain_of(table, hash); item; item = item->next)
        if (item->hash == hash && same(item, key))
            return item;
    return NULL;
}

uint64_t ek_mix(uint64_t value)
{
    value ^= value >> 33;
    value *= 0xff51afd7ed558ccdull;
    value ^= value >> 33;
    value *= 0xc4ceb9fe1a85ec53ull;
    return value ^ (value >> 33);
}
