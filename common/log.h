/*
 * Lines on standard error for whoever runs a broker or a worker: time, program, level, what happened. Used by mains and loops only;
 * pure code and the client library never log. Any thread.
 */
#ifndef EK_COMMON_LOG_H
#define EK_COMMON_LOG_H

#include "common/status.h"

enum ek_log_level { EK_LOG_ERROR, EK_LOG_WARNING, EK_LOG_INFO, EK_LOG_DEBUG };

/* `program` is kept by reference. Call before the second thread starts. */
void ek_log_open(const char *program, enum ek_log_level level);
/* EK_MALFORMED unless `word` is error, warning, info or debug. */
EK_MUST enum ek_status ek_log_level_of(const char *word, enum ek_log_level *ret);
void ek_log(enum ek_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
