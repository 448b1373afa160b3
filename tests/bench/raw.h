/*
 * RocksDB by itself, opened by the worker's own code with the worker's flags and holding rows as a worker writes them. Groups are
 * drawn at random, sorted, and written with one sync each, or read 64 keys at a time. One thread. A failure ends the process.
 *
 * With `shards` each group that is written also has the record that a worker writes of it, as if one producer had sent what it puts
 * into a shard as one job. Snapshots, which a worker writes when there are EK_BOOK_LIVE_BYTES_MAX of records, are left out.
 */
#ifndef EK_BENCH_RAW_H
#define EK_BENCH_RAW_H

#include "client/cli/generator.h"
#include "worker/rows.h"
#include "worker/store.h"

enum { EK_RAW_KEY_BYTES = EK_ROW_PREFIX_BYTES + EK_BENCH_KEY_BYTES };

struct ek_raw {
    const char *data;  /* the directory */
    const char *cache; /* a size, as the worker's flag */
    uint64_t keys;     /* of which groups are drawn */
    uint64_t value_bytes;
    uint64_t group;  /* rows at most */
    uint64_t shards; /* of the book-keeping; 0: there is none */
    uint64_t random;

    /* its own */
    uint64_t loaded; /* keys that were drawn in turn */
    uint64_t bytes;  /* of keys and values written, or of rows read, since it was set to 0 */
    struct ek_store *store;
    uint8_t *values;
    uint8_t (*rows)[EK_RAW_KEY_BYTES]; /* keys of a group */
    uint64_t version;
    struct {
        uint64_t position; /* the last one used up */
        uint64_t jobs;
    } shard[EK_SHARDS_MAX];
    struct ek_buffer scratch;
};

/* All of the figures above have to be set, most of them by flags; what makes no sense ends the process. */
void ek_raw_open(struct ek_raw *raw);
void ek_raw_close(struct ek_raw *raw);

/* The keys of the next group, `count` at most: at random. Returns how many. */
size_t ek_raw_draw(struct ek_raw *raw, size_t count);
/* Likewise each key once; none when all have had their turn. */
size_t ek_raw_draw_next(struct ek_raw *raw, size_t count);
/* Writes the group that was drawn, or reads it. */
void ek_raw_put(struct ek_raw *raw, size_t count);
void ek_raw_get(struct ek_raw *raw, size_t count);

#endif
