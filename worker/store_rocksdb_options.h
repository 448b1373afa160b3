/*
 * What RocksDB is told of a worker's two key spaces. docs/SPEED.md has what each choice bought. The caller destroys the options.
 */
#ifndef EK_WORKER_STORE_ROCKSDB_OPTIONS_H
#define EK_WORKER_STORE_ROCKSDB_OPTIONS_H

#include "common/limits.h"
#include "common/rocks.h"
#include "worker/store.h"

/* Hash prefixes next to each other share a list of a memtable: few rows each, and not too many lists to walk through. */
enum { EK_ROCKSDB_PREFIXES_A_LIST = 4, EK_ROCKSDB_LISTS = EK_PREFIXES / EK_ROCKSDB_PREFIXES_A_LIST };

/* The list of a row's key. One shorter than a prefix, as of a damaged directory, goes with what it sorts before. */
uint32_t ek_rocksdb_list_of(struct ek_slice key);

/* Without `total_order_seek` an iterator over rows sees those of one list: that of the key that it was told to seek. */
rocksdb_options_t *ek_rocksdb_options_rows(const struct ek_store_options *store, rocksdb_cache_t *cache);
rocksdb_options_t *ek_rocksdb_options_book(const struct ek_store_options *store, rocksdb_cache_t *cache);

#endif
