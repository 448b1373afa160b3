/*
 * How the result of one operation looks, as JSON members and as text. It sends nothing and prints nothing. Pure; any thread.
 */
#ifndef EK_CLI_ANSWER_H
#define EK_CLI_ANSWER_H

#include "client/evenkeel.h"
#include "common/bytes.h"

/* OK, and the two other results that are no failures. */
bool ek_outcome_is_result(enum ek_outcome outcome);

/* Members of an open object: key and what the operation found; status and error are the caller's. Not for scans. */
void ek_answer_json(struct ek_buffer *out, enum ek_operation_kind kind, struct ek_slice key,
                    const struct ek_completion *completion);
/* The same for people: what stands behind the status in a line of `run`. */
void ek_answer_line(struct ek_buffer *out, enum ek_operation_kind kind, struct ek_slice key,
                    const struct ek_completion *completion);
/* The same as the answer of a single command; `raw` gives the bytes of a value as they are, without a newline. */
void ek_answer_plain(struct ek_buffer *out, enum ek_operation_kind kind, const struct ek_completion *completion, bool raw);

/* A page of a scan: elements of an open array, or aligned rows. */
void ek_answer_entries_json(struct ek_buffer *out, const struct ek_found *found, size_t count, bool values);
void ek_answer_entries_text(struct ek_buffer *out, const struct ek_found *found, size_t count, bool values);

#endif
