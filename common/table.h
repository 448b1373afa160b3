/*
 * A hash table of items that carry their own link, so that adding one allocates nothing and removing one is never refused. It owns
 * no item. Keys are what the caller's `same` compares. Pure; one thread at a time.
 *
 * Chained, grows by doubling; the caller bounds the number of items.
 */
#ifndef EK_COMMON_TABLE_H
#define EK_COMMON_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ek_table_link {
    struct ek_table_link *next;
    uint64_t hash;
};

/* All zero is empty. */
struct ek_table {
    struct ek_table_link **chains;
    size_t chain_count; /* a power of two, or 0 */
    size_t count;
};

/* From a link back to the item that holds it. */
#define EK_ITEM(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

void ek_table_done(struct ek_table *table);
void ek_table_add(struct ek_table *table, struct ek_table_link *item, uint64_t hash);
void ek_table_remove(struct ek_table *table, struct ek_table_link *item);
/* Something with `hash` will be added, looked for or removed soon: the processor fetches its place meanwhile. */
void ek_table_expect(const struct ek_table *table, uint64_t hash);
/* The first item with `hash` for which same(item, key) holds, or NULL. */
struct ek_table_link *ek_table_find(const struct ek_table *table, uint64_t hash,
                                    bool (*same)(const struct ek_table_link *item, const void *key), const void *key);
/* Mixes a number (or two) into a hash whose low bits are good (the finalizer of MurmurHash3). */
uint64_t ek_mix(uint64_t value);

#endif
