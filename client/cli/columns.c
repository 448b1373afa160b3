#include "client/cli/columns.h"

#include "client/cli/output.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { GAP = 2, TEXT_BYTES_MAX = 512 };

void ek_append_text(struct ek_buffer *out, const char *format, ...)
{
    char text[TEXT_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ek_buffer_append(out, text, strlen(text));
}

void ek_append_word(struct ek_buffer *out, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+=";
    bool quoted = *word == '\0' || word[strspn(word, plain)] != '\0';
    ek_buffer_append(out, "'", quoted);
    for (; *word; word++) {
        if (*word == '\'')
            ek_append_text(out, "'\\''");
        else if ((unsigned char)*word >= 0x20 && *word != 0x7f)
            ek_buffer_append(out, word, 1);
    }
    ek_buffer_append(out, "'", quoted);
}

void ek_append_spaces(struct ek_buffer *out, size_t count)
{
    while (count--)
        ek_buffer_append(out, " ", 1);
}

static void plain_text(char out[EK_CELL_BYTES], const char *text)
{
    (void)snprintf(out, EK_CELL_BYTES, "%.150s", text);
    for (char *at = out; *at; at++)
        if ((unsigned char)*at < 0x20)
            *at = ' ';
}

void ek_cell(char out[EK_CELL_BYTES], const json_t *value, enum ek_unit unit)
{
    char figure[EK_FIGURE_BYTES];
    double number = json_number_value(value);
    const char *text = figure;
    const char *behind = "";
    if (json_is_string(value)) {
        plain_text(out, json_string_value(value));
        return;
    }
    if (!json_is_number(value)) {
        (void)snprintf(out, EK_CELL_BYTES, "%s", json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "-");
        return;
    }
    switch (unit) {
    case EK_AS_BYTE_RATE:
        behind = "/s";
        text = ek_figure_bytes(figure, number);
        break;
    case EK_AS_BYTES:
        text = ek_figure_bytes(figure, number);
        break;
    case EK_AS_MS:
        text = ek_figure_us(figure, number * 1e3);
        break;
    case EK_AS_US:
        text = ek_figure_us(figure, number);
        break;
    case EK_AS_RATIO:
        (void)snprintf(figure, sizeof figure, "%.2f", number);
        break;
    case EK_AS_RATE:
        behind = "/s";
        text = ek_figure_count(figure, number);
        break;
    case EK_AS_TEXT:
    case EK_AS_COUNT:
    case EK_AS_YES_NO:
        text = ek_figure_count(figure, number);
        break;
    }
    (void)snprintf(out, EK_CELL_BYTES, "%s%s", text, behind);
}

/* In characters, for UTF-8. */
static size_t width_of(const char *cell)
{
    size_t width = 0;
    for (; *cell; cell++)
        width += ((unsigned char)*cell & 0xc0) != 0x80;
    return width;
}

static void append_row(struct ek_buffer *out, const json_t *row, const struct ek_column *columns, size_t count,
                       const size_t *widths)
{
    char cell[EK_CELL_BYTES];
    for (size_t i = 0; i < count; i++) {
        if (row)
            ek_cell(cell, json_object_get(row, columns[i].member), columns[i].unit);
        else
            (void)snprintf(cell, sizeof cell, "%s", columns[i].title);
        size_t width = width_of(cell);
        size_t space = widths[i] > width ? widths[i] - width : 0;
        bool right = columns[i].unit != EK_AS_TEXT;
        ek_append_spaces(out, right ? space : 0);
        ek_append_text(out, "%s", cell);
        if (i + 1 < count)
            ek_append_spaces(out, (right ? 0 : space) + GAP);
    }
    ek_buffer_append(out, "\n", 1);
}

void ek_columns(struct ek_buffer *out, const json_t *rows, const struct ek_column *columns, size_t count)
{
    size_t widths[EK_COLUMNS_MAX] = {0};
    char cell[EK_CELL_BYTES];
    for (size_t i = 0; i < count; i++) {
        widths[i] = width_of(columns[i].title);
        for (size_t row = 0; row < json_array_size(rows); row++) {
            ek_cell(cell, json_object_get(json_array_get(rows, row), columns[i].member), columns[i].unit);
            size_t width = width_of(cell);
            widths[i] = width > widths[i] ? width : widths[i];
        }
    }
    append_row(out, NULL, columns, count, widths);
    for (size_t row = 0; row < json_array_size(rows); row++)
        append_row(out, json_array_get(rows, row), columns, count, widths);
}
