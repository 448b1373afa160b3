/*
 * An envelope under construction: items are appended at once in their final place, the head is written in front of them when
 * it is sealed, so that nothing is copied twice. One thread at a time.
 */
#ifndef EK_COMMON_ENVELOPE_H
#define EK_COMMON_ENVELOPE_H

#include "common/messages.h"

/* All zero is an empty envelope. */
struct ek_envelope {
    struct ek_buffer bytes; /* room for the head, then the items */
    uint32_t count;
};

/* Bytes that a sealed envelope owns, for a socket to send and free. */
struct ek_owned {
    uint8_t *memory; /* what to free */
    struct ek_slice message;
};

void ek_envelope_done(struct ek_envelope *envelope);
/* Counts one more item and returns the buffer to append it to. */
struct ek_buffer *ek_envelope_item(struct ek_envelope *envelope);
size_t ek_envelope_bytes(const struct ek_envelope *envelope);
/* True when it ought to be sent: EK_ENVELOPE_BYTES_GOAL or EK_ENVELOPE_JOBS_MAX is reached. */
bool ek_envelope_full(const struct ek_envelope *envelope);
/* Writes the head (`link` only between worker and broker, else NULL), hands over the bytes and leaves the envelope empty. */
struct ek_owned ek_envelope_seal(struct ek_envelope *envelope, enum ek_message_type type, const struct ek_link *link);
/* Likewise, but hands over a copy that is as large as the message: the envelope keeps its memory for the next one. */
struct ek_owned ek_envelope_seal_copy(struct ek_envelope *envelope, enum ek_message_type type, const struct ek_link *link);
/* Hands over a message that stands in a buffer, and leaves that empty. */
struct ek_owned ek_owned_of(struct ek_buffer *message);

#endif
