/*
 * What every step of a walk needs: how it fails, and how it says the same to all.
 */
#include "walk.h"

#include <stdarg.h>
#include <stdio.h>

hlq_status hlq_fail(const hlq_walk *w, hlq_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(w->error, HLQ_ERROR_BYTES, format, arguments);
    va_end(arguments);
    return status;
}

void hlq_send_to_all(const hlq_walk *w, void *data, size_t bytes)
{
    for (int p = 0; p < w->size; p++) w->out[p] = (hlq_message){data, bytes};
}
