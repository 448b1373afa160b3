/*
 * Operations and results: what stands inside the body of a job or a reply. The broker passes bodies on unread; only the first
 * operation of a thin client's job is looked at, to find its shard. No I/O. Any thread.
 *
 * Decoders return EK_OK, EK_MALFORMED or EK_TOO_LARGE.
 */
#ifndef EK_COMMON_OPERATIONS_H
#define EK_COMMON_OPERATIONS_H

#include "common/messages.h"
#include "common/reader.h"
#include "common/status.h"

/* A body is an array: its count, then that many operations or results. */
EK_MUST enum ek_status ek_decode_operation_count(struct ek_reader *body, uint32_t *ret_count);
EK_MUST enum ek_status ek_decode_operation(struct ek_reader *body, struct ek_operation *ret);
void ek_encode_operation(struct ek_buffer *out, const struct ek_operation *operation);

/* The hash prefix at which an operation works: of its key; of a scan, that of its cursor, or of the whole hash tag that its prefix
 * begins with, or 0; of what concerns dead letters, that of the cursor or id. */
uint16_t ek_operation_prefix(const struct ek_operation *operation);
/* True when a scan's prefix holds a whole hash tag, so that all its keys lie in one shard. */
bool ek_prefix_has_tag(struct ek_slice prefix);
/* Drops or replays a dead letter: its key is an id. */
bool ek_operation_names_letter(enum ek_operation_code code);
/* May this operation stand in a job of this kind? */
bool ek_operation_fits(enum ek_job_kind kind, enum ek_operation_code code);
/* The most bytes that the result of a write can take in a reply. */
size_t ek_result_bytes_max(const struct ek_operation *operation);

/* `code` tells which fields a result has. A scan's entries, then its cursor, follow the call: see below. */
EK_MUST enum ek_status ek_decode_result(struct ek_reader *body, enum ek_operation_code code, struct ek_result *ret);
EK_MUST enum ek_status ek_decode_entry(struct ek_reader *body, struct ek_entry *ret);
/* The cursor behind a scan's entries: data = NULL when the scan has ended. */
EK_MUST enum ek_status ek_decode_cursor(struct ek_reader *body, struct ek_slice *ret);

/* A result that is its status alone, or its status with a text. */
void ek_encode_status(struct ek_buffer *out, enum ek_wire_status status, const char *text);
void ek_encode_condition_failed(struct ek_buffer *out, uint64_t current_version);
void ek_encode_get(struct ek_buffer *out, const struct ek_entry *row);
void ek_encode_number(struct ek_buffer *out, int64_t value);
void ek_encode_scan_head(struct ek_buffer *out, uint32_t entries);
void ek_encode_entry(struct ek_buffer *out, const struct ek_entry *entry);
void ek_encode_cursor(struct ek_buffer *out, struct ek_slice cursor);

/* The body of a reply that is not OK: which operation, and its result. */
void ek_encode_refused(struct ek_buffer *out, uint32_t index, enum ek_wire_status status, const char *text);
/* Leaves `body` at the result. */
EK_MUST enum ek_status ek_decode_refused(struct ek_reader *body, uint32_t *ret_index);
/* A cancellation's body. Its cause is a status that is final: another one is EK_MALFORMED. */
void ek_encode_cause(struct ek_buffer *out, enum ek_wire_status cause);
EK_MUST enum ek_status ek_decode_cause(struct ek_slice body, enum ek_wire_status *ret);

#endif
