#include "client/cli/template.h"

#include "client/cli/operation.h"

#include <stdlib.h>
#include <string.h>

static void add(struct ek_template *template, bool field, const char *text, size_t size)
{
    template->parts = ek_grow(template->parts, &template->capacity, template->count + 1, sizeof *template->parts);
    struct ek_template_part *part = &template->parts[template->count++];
    *part = (struct ek_template_part){.field = field, .text = ek_alloc(size + 1), .size = size};
    memcpy(part->text, text, size);
    part->text[size] = '\0';
}

/* Returns what follows the field whose name begins at `text`, or NULL. */
static const char *take_field(struct ek_template *template, const char *text)
{
    size_t size = strcspn(text, "{}");
    if (size == 0 || text[size] != '}')
        return NULL;
    add(template, true, text, size);
    return text + size + 1;
}

enum ek_status ek_template_parse(const char *text, struct ek_template *ret, struct ek_error *error)
{
    size_t fields = 0;
    *ret = (struct ek_template){0};
    for (const char *at = text; *at;) {
        size_t plain = strcspn(at, "{}");
        if (plain == 0 && at[0] == at[1]) {
            add(ret, false, at, 1);
            at += 2;
        } else if (plain) {
            add(ret, false, at, plain);
            at += plain;
        } else {
            const char *next = *at == '{' ? take_field(ret, at + 1) : NULL;
            if (!next) {
                ek_template_done(ret);
                return ek_error_set(error, EK_MALFORMED,
                                    "the template `%.100s` has a brace without its other; write {{ or }} for a brace itself", text);
            }
            at = next;
            fields++;
        }
    }
    if (fields)
        return EK_OK;
    ek_template_done(ret);
    return ek_error_set(error, EK_MALFORMED, "the template `%.100s` names no field, such as {id}: all keys would be the same",
                        text);
}

void ek_template_of_field(const char *field, struct ek_template *ret)
{
    *ret = (struct ek_template){0};
    add(ret, true, field, strlen(field));
}

void ek_template_done(struct ek_template *template)
{
    for (size_t i = 0; i < template->count; i++)
        free(template->parts[i].text);
    free(template->parts);
    *template = (struct ek_template){0};
}

enum ek_status ek_template_fill(const struct ek_template *template, ek_template_lookup lookup, void *record, struct ek_buffer *out,
                                struct ek_error *error)
{
    size_t from = out->size;
    for (size_t i = 0; i < template->count; i++) {
        const struct ek_template_part *part = &template->parts[i];
        enum ek_status status = EK_OK;
        if (part->field)
            status = lookup(record, part->text, out, error);
        else
            ek_buffer_append(out, part->text, part->size);
        if (status)
            return status;
    }
    return ek_key_check(ek_slice_of(out->data + from, out->size - from), error);
}
