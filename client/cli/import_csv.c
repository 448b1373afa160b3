/* import of CSV (RFC 4180): the first row names the columns, each other row becomes a JSON object. libcsv reads it. */
#include "client/cli/import.h"

#include "common/json.h"
#include "client/cli/operation.h"

#include <csv.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 4096 };

struct csv {
    struct ek_import *import;
    struct csv_parser parser;
    struct ek_buffer header; /* the first row's cells, one behind the other */
    size_t header_ends[COLUMNS_MAX];
    size_t columns; /* 0 = the header has not been read */
    struct ek_buffer row;
    size_t row_ends[COLUMNS_MAX];
    size_t cells;      /* of the row so far; may be beyond COLUMNS_MAX, and then the row is refused */
    uint64_t row_line; /* where the row began */
    bool row_finished; /* by the line that was read last */
    size_t row_bytes;  /* of the lines that it spans */
    struct ek_buffer key, value;
    enum ek_status status; /* the header is of no use */
    struct ek_error error;
};

static struct ek_slice cell_of(const struct ek_buffer *cells, const size_t *ends, size_t index)
{
    size_t from = index ? ends[index - 1] : 0;
    return ek_slice_of(cells->data + from, ends[index] - from);
}

static void take_cell(void *bytes, size_t size, void *context)
{
    struct csv *csv = context;
    if (csv->cells < COLUMNS_MAX) {
        ek_buffer_append(&csv->row, bytes, size);
        csv->row_ends[csv->cells] = csv->row.size;
    }
    csv->cells++;
}

static size_t find_column(const struct csv *csv, const char *name)
{
    for (size_t i = 0; i < csv->columns; i++)
        if (ek_slice_equal(cell_of(&csv->header, csv->header_ends, i), ek_slice_text(name)))
            return i;
    return csv->columns;
}

static enum ek_status look_up(void *context, const char *field, struct ek_buffer *out, struct ek_error *error)
{
    const struct csv *csv = context;
    size_t column = find_column(csv, field);
    if (column == csv->columns)
        return ek_error_set(error, EK_NOT_FOUND, "there is no column `%.100s`", field);
    struct ek_slice cell = cell_of(&csv->row, csv->row_ends, column);
    ek_buffer_append(out, cell.data, cell.size);
    return EK_OK;
}

static enum ek_status take_header(struct csv *csv, struct ek_error *error)
{
    const struct ek_template *key = &csv->import->key;
    if (csv->cells > COLUMNS_MAX)
        return ek_error_set(error, EK_TOO_LARGE, "the header has %zu columns: at most %d", csv->cells, COLUMNS_MAX);
    ek_buffer_append(&csv->header, csv->row.data, csv->row.size);
    memcpy(csv->header_ends, csv->row_ends, csv->cells * sizeof *csv->row_ends);
    csv->columns = csv->cells;
    for (size_t i = 0; i < csv->columns; i++) {
        struct ek_slice name = cell_of(&csv->header, csv->header_ends, i);
        if (!ek_utf8_valid(name))
            return ek_error_set(error, EK_MALFORMED, "the name of column %zu is not UTF-8", i + 1);
        for (size_t j = 0; j < i; j++)
            if (ek_slice_equal(name, cell_of(&csv->header, csv->header_ends, j)))
                return ek_error_set(error, EK_MALFORMED, "columns %zu and %zu have the same name", j + 1, i + 1);
    }
    for (size_t i = 0; i < key->count; i++)
        if (key->parts[i].field && find_column(csv, key->parts[i].text) == csv->columns)
            return ek_error_set(error, EK_MALFORMED, "the header has no column `%.100s`; is the separator `%c` right?",
                                key->parts[i].text, csv->import->separator);
    return EK_OK;
}

static enum ek_status make_value(struct csv *csv, struct ek_error *error)
{
    ek_buffer_clear(&csv->value);
    ek_json_open(&csv->value, NULL, '{');
    for (size_t i = 0; i < csv->columns; i++) {
        struct ek_slice cell = cell_of(&csv->row, csv->row_ends, i);
        struct ek_slice name = cell_of(&csv->header, csv->header_ends, i);
        if (!ek_utf8_valid(cell))
            return ek_error_set(error, EK_MALFORMED, "column `%.*s` is not UTF-8", (int)(name.size < 100 ? name.size : 100),
                                (const char *)name.data);
        ek_json_pair(&csv->value, name, cell);
    }
    ek_json_close(&csv->value, '{');
    return ek_value_check(csv->value.size, error);
}

static enum ek_status make_record(struct csv *csv, struct ek_error *error)
{
    if (csv->cells != csv->columns)
        return ek_error_set(error, EK_MALFORMED, "the row has %zu columns, the header has %zu", csv->cells, csv->columns);
    ek_buffer_clear(&csv->key);
    enum ek_status status = ek_template_fill(&csv->import->key, look_up, csv, &csv->key, error);
    return status ? status : make_value(csv, error);
}

static void take_row(int ending, void *context)
{
    struct csv *csv = context;
    struct ek_error error;
    (void)ending;
    csv->row_finished = true;
    if (csv->columns == 0) {
        csv->status = take_header(csv, &csv->error);
    } else if (!csv->import->stopped) {
        if (make_record(csv, &error))
            (void)ek_import_reject(csv->import, csv->row_line, EK_OUTCOME_FAILED, error.text);
        else
            (void)ek_import_record(csv->import, csv->row_line, ek_buffer_slice(&csv->key), ek_buffer_slice(&csv->value), 0);
    }
    ek_buffer_clear(&csv->row);
    csv->cells = 0;
}

/* Blanks belong to the cells, as RFC 4180 has it. */
static int is_space(unsigned char byte)
{
    (void)byte;
    return 0;
}

static enum ek_status begin(struct csv *csv)
{
    if (csv_init(&csv->parser, CSV_STRICT | CSV_STRICT_FINI))
        return ek_error_set(&csv->error, EK_IO, "the CSV reader does not start");
    csv_set_delim(&csv->parser, (unsigned char)csv->import->separator);
    csv_set_space_func(&csv->parser, is_space);
    csv->row_finished = true;
    csv->cells = 0;
    ek_buffer_clear(&csv->row);
    return EK_OK;
}

/* The row cannot be read: the next line begins another. */
static enum ek_status give_row_up(struct csv *csv, const char *text)
{
    csv_free(&csv->parser);
    if (csv->columns == 0)
        return ek_error_set(&csv->error, EK_MALFORMED, "the header cannot be read: %s", text);
    (void)ek_import_reject(csv->import, csv->row_line, EK_OUTCOME_FAILED, text);
    return begin(csv);
}

static enum ek_status take_line(struct csv *csv, char *line, size_t size)
{
    static const char mark[] = "\xef\xbb\xbf"; /* the byte order mark that some programs write */
    uint64_t number = csv->import->lines.number;
    if (number == 1 && size >= 3 && memcmp(line, mark, 3) == 0) {
        line += 3;
        size -= 3;
    }
    if (csv->row_finished) {
        csv->row_line = number;
        csv->row_bytes = 0;
    }
    csv->row_bytes += size + 1;
    if (csv->row_bytes > EK_VALUE_BYTES_MAX)
        return give_row_up(csv, "the row is longer than 16 MiB; is a quote not closed?");
    csv->row_finished = false;
    line[size] = '\n';
    if (csv_parse(&csv->parser, line, size + 1, take_cell, take_row, csv) != size + 1)
        return give_row_up(csv, "a quote stands in the wrong place");
    /* A blank line finishes nothing and is no row. */
    csv->row_finished = csv->row_finished || (csv->cells == 0 && csv->parser.quoted == 0);
    return csv->status;
}

static enum ek_status read_rows(struct csv *csv)
{
    struct ek_lines *lines = &csv->import->lines;
    enum ek_status status = begin(csv);
    while (!status && !csv->import->stopped) {
        char *line = NULL;
        size_t size = 0;
        status = ek_lines_take(lines, &line, &size, &csv->error);
        if (status == EK_TOO_LARGE)
            status = give_row_up(csv, "the line is longer than 16 MiB");
        else if (!status)
            status = take_line(csv, line, size);
    }
    if (status != EK_NOT_FOUND)
        return status;
    if (csv_fini(&csv->parser, take_cell, take_row, csv) == 0)
        return EK_OK;
    return give_row_up(csv, "the file ends inside quotes");
}

enum ek_status ek_import_csv(struct ek_import *import, struct ek_error *error)
{
    struct csv *csv = ek_alloc_zero(1, sizeof *csv);
    csv->import = import;
    enum ek_status status = read_rows(csv);
    *error = csv->error;
    csv_free(&csv->parser);
    ek_buffer_done(&csv->header);
    ek_buffer_done(&csv->row);
    ek_buffer_done(&csv->key);
    ek_buffer_done(&csv->value);
    free(csv);
    return status;
}
