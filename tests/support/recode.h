/*
 * Takes any message, operation or result apart with the product's decoders and puts it together again with its encoders, so that
 * one walk serves the vectors, the corruption tests and the fuzzer. It judges nothing: what comes out is the caller's to compare.
 *
 * One thread at a time. Nothing is kept: slices that a visitor sees borrow from the message.
 */
#ifndef EK_TESTS_SUPPORT_RECODE_H
#define EK_TESTS_SUPPORT_RECODE_H

#include "common/codec.h"
#include "common/operations.h"

/* What a walk shows of a message: the struct of its type, or, of an envelope, its link (worker and broker) and then each item. */
enum ek_part { EK_PART_MESSAGE, EK_PART_LINK, EK_PART_ITEM };

/* `decoded` is the struct of common/messages.h that belongs to `type` and `part`; `index` counts items. */
typedef void (*ek_visitor)(void *context, enum ek_message_type type, enum ek_part part, uint32_t index, const void *decoded);

/* Appends the message as the encoders write it. The decoder's status; `out` is then incomplete. `visit` may be NULL. */
EK_MUST enum ek_status ek_recode_message(struct ek_slice message, struct ek_buffer *out, ek_visitor visit, void *context);
/* One operation from `body`, which is left behind it. */
EK_MUST enum ek_status ek_recode_operation(struct ek_reader *body, struct ek_buffer *out);
/* One result of an operation of kind `code`, entries and cursor of a scan included. `ret_result` may be NULL. */
EK_MUST enum ek_status ek_recode_result(struct ek_reader *body, enum ek_operation_code code, struct ek_buffer *out,
                                        struct ek_result *ret_result);

#endif
