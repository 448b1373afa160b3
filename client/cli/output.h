/*
 * What a command says: answers on standard output, notes and failures on standard error, exit codes, and figures as people read
 * them. One thread.
 */
#ifndef EK_CLI_OUTPUT_H
#define EK_CLI_OUTPUT_H

#include "client/cli/cli.h"
#include "common/bytes.h"
#include "common/status.h"

/* The exit code of CLI.md for an outcome. */
int ek_exit_code(enum ek_outcome outcome);
/* The outcome that says the same as a status of a file, a flag or a line. */
enum ek_outcome ek_outcome_of(enum ek_status status);

/* Buffered standard output. */
void ek_output_write(struct ek_slice bytes);
/* Passes on what was written; when that cannot be done says so on standard error and returns false. */
bool ek_output_flush(void);
/* Flushes and returns `code`, or the exit code of a failure when standard output is gone. */
int ek_output_end(int code);

/* What happened and what to do about it; `text` is the library's or broker's own word, may be empty. `out` gets 512 bytes. */
void ek_explain(const struct ek_cli *cli, enum ek_outcome outcome, const char *text, struct ek_error *out);
/* A command that cannot go on: one JSON object or a line on standard error. Returns the exit code. */
int ek_fail(const struct ek_cli *cli, enum ek_outcome outcome, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Likewise, in the words of ek_explain. */
int ek_fail_outcome(const struct ek_cli *cli, enum ek_outcome outcome, const char *text);
/* A line on standard error that is no failure. */
void ek_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Standard error (or output) is a terminal. */
bool ek_is_terminal(int fd);
/* Its size in characters, or what one has at least. */
void ek_terminal_size(int fd, size_t *ret_rows, size_t *ret_columns);

/* Bytes on a terminal or in a table: as they are when they are printable UTF-8, else escaped, else (not UTF-8) base64: behind a
 * mark. */
void ek_text_bytes(struct ek_buffer *out, struct ek_slice bytes);
/* "12.3 MiB", "1.5 s", "1,234,567". `out` has EK_FIGURE_BYTES. */
#define EK_FIGURE_BYTES 32
const char *ek_figure_bytes(char out[EK_FIGURE_BYTES], double bytes);
const char *ek_figure_us(char out[EK_FIGURE_BYTES], double us);
const char *ek_figure_count(char out[EK_FIGURE_BYTES], double count);

#endif
