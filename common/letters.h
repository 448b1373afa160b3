/*
 * Dead letters on the wire: their ids, the body of the job that sets one aside, and the entries of a list. It stores nothing and
 * decides nothing. No I/O. Any thread.
 *
 * Decoders return EK_OK, EK_MALFORMED or EK_TOO_LARGE; slices borrow from the bytes that were read.
 */
#ifndef EK_COMMON_LETTERS_H
#define EK_COMMON_LETTERS_H

#include "common/messages.h"
#include "common/reader.h"
#include "common/status.h"

/* `prefix` is the first hash prefix of the letter's shard. */
void ek_letter_id(uint8_t out[EK_DEAD_ID_BYTES], uint16_t prefix, uint64_t position);
/* Of an id of EK_DEAD_ID_BYTES bytes. */
uint64_t ek_letter_position(struct ek_slice id);

/* The body of an EK_JOB_DEAD: whole, save that the job's operations are looked at only as far as their count. */
EK_MUST enum ek_status ek_decode_dead(struct ek_slice body, struct ek_dead *ret);
void ek_encode_dead(struct ek_buffer *out, const struct ek_dead *dead);

/* An entry of a list's result, behind its head; ek_encode_scan_head, ek_encode_cursor and their decoders serve lists too. */
EK_MUST enum ek_status ek_decode_letter(struct ek_reader *body, struct ek_letter *ret);
void ek_encode_letter(struct ek_buffer *out, const struct ek_letter *letter);

#endif
