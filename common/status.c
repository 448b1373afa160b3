#include "common/status.h"

#include <stdarg.h>
#include <stdio.h>

enum ek_status ek_error_set(struct ek_error *error, enum ek_status status, const char *format, ...)
{
    if (error) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(error->text, sizeof error->text, format, args);
        va_end(args);
    }
    return status;
}
