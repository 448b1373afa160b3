/*
 * Bytes as text: base64 (RFC 4648, section 4, padded) and hexadecimal. Pure; any thread.
 */
#ifndef EK_COMMON_BASE64_H
#define EK_COMMON_BASE64_H

#include "common/bytes.h"
#include "common/status.h"

void ek_base64_encode(struct ek_buffer *out, struct ek_slice bytes);
/* Appends the bytes. EK_MALFORMED: another alphabet, wrong padding, or bits that are not zero behind the end. */
EK_MUST enum ek_status ek_base64_decode(struct ek_buffer *out, struct ek_slice text);

void ek_hex_encode(struct ek_buffer *out, struct ek_slice bytes);
EK_MUST enum ek_status ek_hex_decode(struct ek_buffer *out, struct ek_slice text);

#endif
