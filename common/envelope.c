#include "common/envelope.h"

#include "common/writer.h"

#include <string.h>

enum { HEAD_ROOM = 48 };

void ek_envelope_done(struct ek_envelope *envelope)
{
    ek_buffer_done(&envelope->bytes);
    envelope->count = 0;
}

struct ek_buffer *ek_envelope_item(struct ek_envelope *envelope)
{
    if (envelope->count++ == 0) {
        (void)ek_buffer_reserve(&envelope->bytes, HEAD_ROOM);
        envelope->bytes.size = HEAD_ROOM;
    }
    return &envelope->bytes;
}

size_t ek_envelope_bytes(const struct ek_envelope *envelope)
{
    return envelope->count ? envelope->bytes.size : 0;
}

bool ek_envelope_full(const struct ek_envelope *envelope)
{
    return envelope->bytes.size >= EK_ENVELOPE_BYTES_GOAL || envelope->count >= EK_ENVELOPE_JOBS_MAX;
}

/* The head goes in front of the items. */
static struct ek_slice finish(struct ek_envelope *envelope, enum ek_message_type type, const struct ek_link *link)
{
    struct ek_buffer head = {0};
    ek_write_array(&head, link ? 5 : 3);
    ek_write_uint(&head, EK_PROTOCOL_VERSION);
    ek_write_uint(&head, type);
    if (link) {
        ek_write_uint(&head, link->link);
        ek_write_uint(&head, link->generation);
    }
    ek_write_array(&head, envelope->count);
    if (envelope->count == 0)
        (void)ek_buffer_reserve(&envelope->bytes, HEAD_ROOM), envelope->bytes.size = HEAD_ROOM;
    uint8_t *start = envelope->bytes.data + HEAD_ROOM - head.size;
    memcpy(start, head.data, head.size);
    struct ek_slice message = ek_slice_of(start, envelope->bytes.size - HEAD_ROOM + head.size);
    ek_buffer_done(&head);
    envelope->count = 0;
    return message;
}

struct ek_owned ek_envelope_seal(struct ek_envelope *envelope, enum ek_message_type type, const struct ek_link *link)
{
    struct ek_slice message = finish(envelope, type, link);
    return (struct ek_owned){.memory = ek_buffer_take(&envelope->bytes), .message = message};
}

struct ek_owned ek_envelope_seal_copy(struct ek_envelope *envelope, enum ek_message_type type, const struct ek_link *link)
{
    struct ek_slice message = finish(envelope, type, link);
    uint8_t *copy = ek_slice_copy(message);
    ek_buffer_clear(&envelope->bytes);
    return (struct ek_owned){.memory = copy, .message = ek_slice_of(copy, message.size)};
}

struct ek_owned ek_owned_of(struct ek_buffer *message)
{
    struct ek_slice bytes = ek_buffer_slice(message);
    return (struct ek_owned){.memory = ek_buffer_take(message), .message = bytes};
}
