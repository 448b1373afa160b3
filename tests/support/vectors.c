#include "tests/support/vectors.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>

json_t *ek_vectors_load(void)
{
    json_error_t error;
    json_t *file = json_load_file("tests/vectors/messages.json", 0, &error);
    ck_assert_msg(file != NULL, "tests/vectors/messages.json:%d: %s", error.line, error.text);
    return file;
}

static unsigned digit(char letter)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = strchr(digits, letter);
    ck_assert_msg(at && *at, "'%c' is no hex digit", letter);
    return (unsigned)(at - digits);
}

void ek_vectors_hex(const char *text, struct ek_buffer *out)
{
    for (; *text; text += 2) {
        ck_assert_msg(text[1] != 0, "an odd number of hex digits");
        uint8_t byte = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
        ek_buffer_append(out, &byte, 1);
    }
}

const char *ek_vector_text(const json_t *vector, const char *name)
{
    const char *text = json_string_value(json_object_get(vector, name));
    ck_assert_msg(text != NULL, "a vector has no %s", name);
    return text;
}

struct ek_slice ek_vector_bytes(const json_t *vector, const char *name, struct ek_buffer *buffer)
{
    ek_buffer_clear(buffer);
    (void)ek_buffer_reserve(buffer, 1);
    ek_vectors_hex(ek_vector_text(vector, name), buffer);
    return ek_buffer_slice(buffer);
}

uint64_t ek_vector_number(const json_t *value)
{
    const json_t *large = json_object_get(value, "int");
    if (!large) {
        ck_assert(json_is_integer(value));
        return (uint64_t)json_integer_value(value);
    }
    const char *text = json_string_value(large);
    return *text == '-' ? (uint64_t)strtoll(text, NULL, 10) : strtoull(text, NULL, 10);
}
