/*
 * What programs begin with. What flags have in common: sizes, durations, whole numbers, and a configuration file whose entries
 * stand for flags. It knows no program's flags (each main has its argp table). Call before threads start.
 */
#ifndef EK_COMMON_ARGS_H
#define EK_COMMON_ARGS_H

#include "common/status.h"

#include <stdbool.h>
#include <stdint.h>

#define EK_VERSION "0.1.0"

/* "64", "64K", "64M", "64G" (powers of 1024) to bytes. */
EK_MUST enum ek_status ek_parse_size(const char *text, uint64_t *ret_bytes);
/* "250ms", "2s", "5m", "1h", "2d" to milliseconds; a number alone is seconds, with or without decimals. */
EK_MUST enum ek_status ek_parse_duration(const char *text, uint64_t *ret_ms);
/* A whole number from `min` to `max`. */
EK_MUST enum ek_status ek_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret);

struct argp_option;

/*
 * When the arguments name a file by the flag that has `key` in the program's table of `options`, puts the file's entries as
 * `--name=value` before the other arguments, so that flags win over the file; of several files the last one counts. The file has
 * `name = value` lines, ZPL as czmq's zconfig reads it. `ret_argv` lives as long as the process. EK_NOT_FOUND, EK_MALFORMED.
 */
EK_MUST enum ek_status ek_args_with_config(const struct argp_option *options, int key, int argc, char **argv, int *ret_argc,
                                           char ***ret_argv, struct ek_error *error);

/*
 * Opens what is closed of standard input, output and error, so that no file or socket of the program's own gets their numbers and
 * then what is printed or logged. Reading and writing there fail as they do with a closed one. First of all in main.
 */
void ek_occupy_standard_files(void);

/* Raises the soft limit of open files to the hard one: sockets and table files share it. */
void ek_raise_file_limit(void);

#endif
