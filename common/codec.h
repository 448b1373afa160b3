/*
 * Messages to bytes and back: the one place that knows the order of fields. Decoding checks every bound of common/limits.h and
 * trusts nothing; encoding writes the shortest form, so that equal messages have equal bytes. No I/O. Any thread.
 *
 * A decoder returns EK_OK, EK_MALFORMED, or EK_TOO_LARGE for a limit that is exceeded. `ret_` outputs are valid only after EK_OK.
 */
#ifndef EK_COMMON_CODEC_H
#define EK_COMMON_CODEC_H

#include "common/envelope.h"
#include "common/messages.h"
#include "common/reader.h"
#include "common/status.h"

/* Reads the version and the type and leaves `ret_fields` behind them. EK_NEWER for another protocol version. */
EK_MUST enum ek_status ek_decode_type(struct ek_slice message, enum ek_message_type *ret_type, struct ek_reader *ret_fields);

EK_MUST enum ek_status ek_decode_hello(struct ek_reader *fields, struct ek_hello *ret);
EK_MUST enum ek_status ek_decode_welcome(struct ek_reader *fields, struct ek_welcome *ret);
EK_MUST enum ek_status ek_decode_query(struct ek_reader *fields, struct ek_query *ret);
EK_MUST enum ek_status ek_decode_admin(struct ek_reader *fields, struct ek_admin *ret);
EK_MUST enum ek_status ek_decode_answer(struct ek_reader *fields, struct ek_answer *ret);
EK_MUST enum ek_status ek_decode_refusal(struct ek_reader *fields, struct ek_refusal *ret);
EK_MUST enum ek_status ek_decode_worker_hello(struct ek_reader *fields, struct ek_worker_hello *ret);
EK_MUST enum ek_status ek_decode_worker_welcome(struct ek_reader *fields, struct ek_worker_welcome *ret);
EK_MUST enum ek_status ek_decode_bye(struct ek_reader *fields, struct ek_bye *ret);
/* PULSE, and the first fields of the messages below. */
EK_MUST enum ek_status ek_decode_link(struct ek_reader *fields, struct ek_link *ret);

/* Envelopes: the count first (after the link, between worker and broker), then that many items, then ek_decode_end. */
EK_MUST enum ek_status ek_decode_count(struct ek_reader *fields, uint32_t max, uint32_t *ret_count);
EK_MUST enum ek_status ek_decode_job(struct ek_reader *fields, struct ek_job *ret);
EK_MUST enum ek_status ek_decode_reply(struct ek_reader *fields, struct ek_reply *ret);
EK_MUST enum ek_status ek_decode_holding(struct ek_reader *fields, struct ek_holding *ret);
EK_MUST enum ek_status ek_decode_closed(struct ek_reader *fields, struct ek_closed *ret);
EK_MUST enum ek_status ek_decode_loss(struct ek_reader *fields, struct ek_loss *ret);
EK_MUST enum ek_status ek_decode_worker_job(struct ek_reader *fields, struct ek_worker_job *ret);
EK_MUST enum ek_status ek_decode_worker_reply(struct ek_reader *fields, struct ek_worker_reply *ret);
EK_MUST enum ek_status ek_decode_heartbeat(struct ek_reader *fields, struct ek_heartbeat *ret);
EK_MUST enum ek_status ek_decode_shard_load(struct ek_reader *fields, struct ek_shard_load *ret);
EK_MUST enum ek_status ek_decode_fed(struct ek_reader *fields, struct ek_fed *ret);
EK_MUST enum ek_status ek_decode_move_order(struct ek_reader *fields, struct ek_move_order *ret);
EK_MUST enum ek_status ek_decode_move_report(struct ek_reader *fields, struct ek_move_report *ret);
EK_MUST enum ek_status ek_decode_check_order(struct ek_reader *fields, struct ek_check_order *ret);
/* Then `count` of ek_decode_checked, and ek_decode_end. */
EK_MUST enum ek_status ek_decode_check_report(struct ek_reader *fields, struct ek_check_report *ret);
EK_MUST enum ek_status ek_decode_checked(struct ek_reader *fields, struct ek_checked *ret);
EK_MUST enum ek_status ek_decode_copy_ask(struct ek_reader *fields, struct ek_copy_ask *ret);
EK_MUST enum ek_status ek_decode_copy_chunk(struct ek_reader *fields, struct ek_copy_chunk *ret);
/* Nothing may follow. */
EK_MUST enum ek_status ek_decode_end(const struct ek_reader *fields);

void ek_encode_hello(struct ek_buffer *out, const struct ek_hello *message);
void ek_encode_welcome(struct ek_buffer *out, const struct ek_welcome *message);
void ek_encode_query(struct ek_buffer *out, const struct ek_query *message);
void ek_encode_admin(struct ek_buffer *out, const struct ek_admin *message);
void ek_encode_answer(struct ek_buffer *out, const struct ek_answer *message);
void ek_encode_close(struct ek_buffer *out, const struct ek_closed *closed, size_t count);
/* `type` is EK_MESSAGE_ERROR or EK_MESSAGE_WORKER_REFUSED. */
void ek_encode_refusal(struct ek_buffer *out, enum ek_message_type type, const struct ek_refusal *message);
void ek_encode_worker_hello(struct ek_buffer *out, const struct ek_worker_hello *message);
void ek_encode_worker_welcome(struct ek_buffer *out, const struct ek_worker_welcome *message);
void ek_encode_pulse(struct ek_buffer *out, struct ek_link link);
void ek_encode_bye(struct ek_buffer *out, const struct ek_bye *message);
/* `type` is REPORT, ASSIGN or ASSIGNED. */
void ek_encode_holdings(struct ek_buffer *out, enum ek_message_type type, struct ek_link link, const struct ek_holding *holdings,
                        size_t count);
void ek_encode_losses(struct ek_buffer *out, struct ek_link link, const struct ek_loss *losses, size_t count);
void ek_encode_heartbeat(struct ek_buffer *out, const struct ek_heartbeat *message, const struct ek_shard_load *loads);

void ek_encode_move_order(struct ek_buffer *out, const struct ek_move_order *message);
void ek_encode_move_report(struct ek_buffer *out, const struct ek_move_report *message);
void ek_encode_check_order(struct ek_buffer *out, const struct ek_check_order *message);
void ek_encode_check_report(struct ek_buffer *out, const struct ek_check_report *message);
void ek_encode_copy_ask(struct ek_buffer *out, const struct ek_copy_ask *message);
void ek_encode_copy_chunk(struct ek_buffer *out, const struct ek_copy_chunk *message);
/* The first fields of a message: their count, the version and the type. */
void ek_encode_head(struct ek_buffer *out, enum ek_message_type type);

/* Items, appended to an open envelope. */
void ek_encode_job(struct ek_envelope *envelope, const struct ek_job *job);
void ek_encode_reply(struct ek_envelope *envelope, const struct ek_reply *reply);
void ek_encode_worker_job(struct ek_envelope *envelope, const struct ek_worker_job *job);
void ek_encode_worker_reply(struct ek_envelope *envelope, const struct ek_worker_reply *reply);
void ek_encode_fed(struct ek_envelope *envelope, const struct ek_fed *fed);

#endif
