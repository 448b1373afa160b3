/*
 * What RocksDB is told of a worker's two key spaces. docs/SPEED.md has what each choice bought. The caller destroys the options.
 */
#ifndef EK_WORKER_STORE_ROCKSDB_OPTIONS_H
#define EK_WORKER_STORE_ROCKSDB_OPTIONS_H

#include "common/rocks.h"
#include "worker/store.h"

/* Without `total_order_seek` an iterator over rows sees those of one hash prefix: the one that it was told to seek. */
rocksdb_options_t *ek_rocksdb_options_rows(const struct ek_store_options *store, rocksdb_cache_t *cache);
rocksdb_options_t *ek_rocksdb_options_book(const struct ek_store_options *store, rocksdb_cache_t *cache);

#endif
