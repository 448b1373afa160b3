#include "client/cli/output.h"

#include "common/base64.h"
#include "common/json.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { ROWS_DEFAULT = 24, COLUMNS_DEFAULT = 80 };

int ek_exit_code(enum ek_outcome outcome)
{
    switch (outcome) {
    case EK_OUTCOME_OK:
        return 0;
    case EK_OUTCOME_NOT_FOUND:
    case EK_OUTCOME_CONDITION_FAILED:
        return 1;
    case EK_OUTCOME_USAGE:
        return 2;
    case EK_OUTCOME_UNKNOWN:
    case EK_OUTCOME_EXPIRED:
    case EK_OUTCOME_UNAVAILABLE:
    case EK_OUTCOME_FORGOTTEN:
        return 3;
    case EK_OUTCOME_BUSY:
    case EK_OUTCOME_DENIED:
    case EK_OUTCOME_TOO_LARGE:
        return 4;
    default:
        return 5;
    }
}

enum ek_outcome ek_outcome_of(enum ek_status status)
{
    switch (status) {
    case EK_OK:
        return EK_OUTCOME_OK;
    case EK_MALFORMED:
    case EK_NOT_FOUND:
        return EK_OUTCOME_USAGE;
    case EK_TOO_LARGE:
        return EK_OUTCOME_TOO_LARGE;
    case EK_DENIED:
        return EK_OUTCOME_DENIED;
    default:
        return EK_OUTCOME_FAILED;
    }
}

void ek_output_write(struct ek_slice bytes)
{
    if (bytes.size)
        (void)fwrite(bytes.data, 1, bytes.size, stdout);
}

bool ek_output_flush(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    (void)fprintf(stderr, "evenkeel: cannot write to standard output: %s\n", strerror(errno));
    return false;
}

int ek_output_end(int code)
{
    return ek_output_flush() ? code : ek_exit_code(EK_OUTCOME_FAILED);
}

static const char *advice(enum ek_outcome outcome)
{
    switch (outcome) {
    case EK_OUTCOME_NOT_FOUND:
        return "there is no such key";
    case EK_OUTCOME_CONDITION_FAILED:
        return "the condition does not hold; nothing was written";
    case EK_OUTCOME_USAGE:
        return "the broker does not understand this request";
    case EK_OUTCOME_UNKNOWN:
        return "no verdict in time: it may or may not be applied, once; read the key to see";
    case EK_OUTCOME_EXPIRED:
        return "its deadline passed: it was not applied and never will be; is a worker away? see: evenkeel workers";
    case EK_OUTCOME_FORGOTTEN:
        return "the worker no longer knows this client; try again";
    case EK_OUTCOME_BUSY:
        return "queues were full until the deadline: it was not applied; try later, see: evenkeel stats";
    case EK_OUTCOME_DENIED:
        return "the broker denies it";
    case EK_OUTCOME_TOO_LARGE:
        return "beyond a limit: keys have 1 to 4096 bytes, values up to 16 MiB";
    case EK_OUTCOME_FAILED:
        return "it cannot be applied";
    case EK_OUTCOME_DEAD:
        return "it was set aside as a dead letter: workers died of it";
    default:
        return "";
    }
}

void ek_explain(const struct ek_cli *cli, enum ek_outcome outcome, const char *text, struct ek_error *out)
{
    if (outcome == EK_OUTCOME_UNAVAILABLE)
        (void)snprintf(out->text, sizeof out->text,
                       "no broker answered at %s within %g s: is evenkeel-broker running there? start one with: evenkeel up",
                       cli->endpoint, cli->timeout_ms / 1000.0);
    else
        (void)snprintf(out->text, sizeof out->text, "%s", text && *text ? text : advice(outcome));
}

int ek_fail(const struct ek_cli *cli, enum ek_outcome outcome, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!cli->json) {
        (void)fflush(stdout);
        (void)fprintf(stderr, "evenkeel: %s\n", text);
        return ek_output_end(ek_exit_code(outcome));
    }
    struct ek_buffer out = {0};
    ek_json_open(&out, NULL, '{');
    ek_json_text(&out, "status", ek_outcome_name(outcome));
    ek_json_text(&out, "error", text);
    ek_json_close(&out, '{');
    ek_buffer_append(&out, "\n", 1);
    ek_output_write(ek_buffer_slice(&out));
    ek_buffer_done(&out);
    return ek_output_end(ek_exit_code(outcome));
}

int ek_fail_outcome(const struct ek_cli *cli, enum ek_outcome outcome, const char *text)
{
    struct ek_error error;
    ek_explain(cli, outcome, text, &error);
    return ek_fail(cli, outcome, "%s", error.text);
}

void ek_note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("evenkeel: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
}

bool ek_is_terminal(int fd)
{
    const char *kind = getenv("TERM");
    return isatty(fd) && kind && strcmp(kind, "dumb") != 0;
}

void ek_terminal_size(int fd, size_t *ret_rows, size_t *ret_columns)
{
    struct winsize size;
    bool known = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col;
    *ret_rows = known ? size.ws_row : ROWS_DEFAULT;
    *ret_columns = known ? size.ws_col : COLUMNS_DEFAULT;
}

void ek_text_bytes(struct ek_buffer *out, struct ek_slice bytes)
{
    if (!ek_utf8_valid(bytes)) {
        ek_buffer_append(out, "base64:", 7);
        ek_base64_encode(out, bytes);
        return;
    }
    for (size_t at = 0; at < bytes.size; at++) {
        uint8_t byte = bytes.data[at];
        if (byte >= 0x20 && byte != 0x7f && byte != '\\') {
            ek_buffer_append(out, &byte, 1);
            continue;
        }
        char text[8];
        const char *shorts = byte == '\n' ? "\\n" : byte == '\t' ? "\\t" : byte == '\r' ? "\\r" : byte == '\\' ? "\\\\" : NULL;
        int size = shorts ? snprintf(text, sizeof text, "%s", shorts) : snprintf(text, sizeof text, "\\x%02x", byte);
        ek_buffer_append(out, text, (size_t)size);
    }
}

const char *ek_figure_bytes(char out[EK_FIGURE_BYTES], double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;
    for (; bytes >= 1024 && unit + 1 < sizeof units / sizeof *units; unit++)
        bytes /= 1024;
    (void)snprintf(out, EK_FIGURE_BYTES, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
    return out;
}

const char *ek_figure_us(char out[EK_FIGURE_BYTES], double us)
{
    if (us < 1e3)
        (void)snprintf(out, EK_FIGURE_BYTES, "%.0f us", us);
    else if (us < 1e6)
        (void)snprintf(out, EK_FIGURE_BYTES, "%.2f ms", us / 1e3);
    else if (us < 120e6)
        (void)snprintf(out, EK_FIGURE_BYTES, "%.2f s", us / 1e6);
    else
        (void)snprintf(out, EK_FIGURE_BYTES, "%.0f min", us / 60e6);
    return out;
}

const char *ek_figure_count(char out[EK_FIGURE_BYTES], double count)
{
    char digits[EK_FIGURE_BYTES];
    int size = snprintf(digits, sizeof digits, "%.0f", count);
    if (count < 0 || size > 20) {
        (void)snprintf(out, EK_FIGURE_BYTES, "%.6g", count);
        return out;
    }
    char *to = out;
    for (int at = 0; at < size; at++) {
        if (at && (size - at) % 3 == 0)
            *to++ = ',';
        *to++ = digits[at];
    }
    *to = '\0';
    return out;
}
