/*
 * The dump format, which `export` writes and `import --format dump` reads: lines of JSON. The first is
 * {"evenkeel_dump":1,"exported_unix_ms":N}; then one a row, {"key"|"key64","value"|"value64","expires_unix_ms"?}; the last is
 * {"rows":N}, so that a dump that was cut off is noticed. A name with 64 holds base64 of bytes that are not UTF-8.
 */
#ifndef EK_CLI_DUMP_H
#define EK_CLI_DUMP_H

#define EK_DUMP_MARK    "evenkeel_dump"
#define EK_DUMP_VERSION 1
#define EK_DUMP_ROWS    "rows"

#endif
