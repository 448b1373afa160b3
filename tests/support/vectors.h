/*
 * tests/vectors/messages.json as C tests use it: its groups, bytes from hex, and JSON values of the file's two special forms. It
 * decodes no message. A test runs in the repository's root, where the file is looked for. One thread.
 */
#ifndef EK_TESTS_SUPPORT_VECTORS_H
#define EK_TESTS_SUPPORT_VECTORS_H

#include "common/bytes.h"

#include <jansson.h>

/* The whole file; freed with json_decref. Ends the test when it is not there. */
json_t *ek_vectors_load(void);
/* The bytes of a text of hex digits, appended. */
void ek_vectors_hex(const char *text, struct ek_buffer *out);
/* The vector's bytes under `name`, appended to the emptied buffer. */
struct ek_slice ek_vector_bytes(const json_t *vector, const char *name, struct ek_buffer *buffer);
const char *ek_vector_text(const json_t *vector, const char *name);
/* A whole number, plain or {"int": "decimal"}; negative ones as two's complement. */
uint64_t ek_vector_number(const json_t *value);

#endif
