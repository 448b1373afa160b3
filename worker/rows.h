/*
 * A row as RocksDB stores it: the physical key (two bytes hash prefix, then the key) and the value behind its header. It reads and
 * writes no store and knows no operation. Pure; any thread.
 *
 * Header, format 1: the format (1 byte), the version (8), the flags (1), the expiry when flag 1 is set (8); then the value.
 */
#ifndef EK_WORKER_ROWS_H
#define EK_WORKER_ROWS_H

#include "common/bytes.h"
#include "common/limits.h"
#include "common/status.h"

enum {
    EK_ROW_FORMAT = 1,
    EK_ROW_PREFIX_BYTES = 2,
    EK_ROW_HEAD_BYTES_MAX = 18,
    EK_ROW_KEY_BYTES_MAX = EK_ROW_PREFIX_BYTES + (int)EK_KEY_BYTES_MAX,
    EK_ROW_NUMBER_BYTES_MAX = 24
};

struct ek_row {
    uint64_t version;
    uint64_t expiry_unix_ms; /* 0: does not expire */
    struct ek_slice value;   /* borrows from the stored bytes */
};

/* Writes the physical key of `key` (at most EK_KEY_BYTES_MAX) to `out`, which has EK_ROW_KEY_BYTES_MAX bytes; returns its size. */
size_t ek_row_key(uint8_t *out, uint16_t prefix, struct ek_slice key);
/* Writes what stands before a value and returns its size. */
size_t ek_row_head(uint8_t out[EK_ROW_HEAD_BYTES_MAX], uint64_t version, uint64_t expiry_unix_ms);
/* EK_NEWER for a format that this program does not know, EK_CORRUPT for bytes that are no row. */
EK_MUST enum ek_status ek_row_decode(struct ek_slice stored, struct ek_row *ret);
/* True when the row counts as absent at `stamp_unix_ms`, the broker's time. */
bool ek_row_expired(uint64_t expiry_unix_ms, uint64_t stamp_unix_ms);

/* The decimal text of a 64-bit number, as an increment writes it: no sign but `-`, no leading zeros. EK_MALFORMED otherwise. */
EK_MUST enum ek_status ek_row_parse_number(struct ek_slice value, int64_t *ret);
/* Returns the size. */
size_t ek_row_format_number(char out[EK_ROW_NUMBER_BYTES_MAX], int64_t number);

#endif
