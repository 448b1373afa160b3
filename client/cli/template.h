/*
 * Key templates such as `product:{Package}`: text with the names of fields in braces; `{{` and `}}` write braces. It reads no file
 * and knows no format: the caller looks fields up. Pure; any thread.
 */
#ifndef EK_CLI_TEMPLATE_H
#define EK_CLI_TEMPLATE_H

#include "common/bytes.h"
#include "common/status.h"

struct ek_template_part {
    bool field;
    char *text; /* a field's name, or what is written as it is */
    size_t size;
};

/* All zero is empty. */
struct ek_template {
    struct ek_template_part *parts;
    size_t count;
    size_t capacity;
};

/* EK_MALFORMED: a brace without its other, an empty name, or no field at all. `ret` is all zero after a failure. */
EK_MUST enum ek_status ek_template_parse(const char *text, struct ek_template *ret, struct ek_error *error);
/* The template that is one field: --key FIELD. */
void ek_template_of_field(const char *field, struct ek_template *ret);
void ek_template_done(struct ek_template *template);

/* Appends the value of `field` to `out`; a failure names the field. */
typedef enum ek_status (*ek_template_lookup)(void *record, const char *field, struct ek_buffer *out, struct ek_error *error);
/* Appends the key of one record, and checks that it is one. */
EK_MUST enum ek_status ek_template_fill(const struct ek_template *template, ek_template_lookup lookup, void *record,
                                        struct ek_buffer *out, struct ek_error *error);

#endif
