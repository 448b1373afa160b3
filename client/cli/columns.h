/*
 * JSON objects as rows of a table for people, a member a column. Which columns there are is view.h's business. Pure; any thread.
 */
#ifndef EK_CLI_COLUMNS_H
#define EK_CLI_COLUMNS_H

#include "common/bytes.h"

#include <jansson.h>

enum { EK_CELL_BYTES = 160, EK_COLUMNS_MAX = 20 };

enum ek_unit { EK_AS_TEXT, EK_AS_COUNT, EK_AS_BYTES, EK_AS_RATE, EK_AS_BYTE_RATE, EK_AS_MS, EK_AS_US, EK_AS_RATIO, EK_AS_YES_NO };

struct ek_column {
    const char *title;
    const char *member;
    enum ek_unit unit;
};

#define EK_COLUMN_COUNT(columns) (sizeof(columns) / sizeof *(columns))

/* One value as text; unknown is a dash. */
void ek_cell(char out[EK_CELL_BYTES], const json_t *value, enum ek_unit unit);
/* A table with its titles; at most EK_COLUMNS_MAX columns. */
void ek_columns(struct ek_buffer *out, const json_t *rows, const struct ek_column *columns, size_t count);
/* As printf. */
void ek_append_text(struct ek_buffer *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A word as a shell takes it, quoted where it has to be; what a terminal would obey is left out. */
void ek_append_word(struct ek_buffer *out, const char *word);
void ek_append_spaces(struct ek_buffer *out, size_t count);

#endif
