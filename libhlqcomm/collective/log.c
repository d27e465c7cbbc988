/*
 * The log of a communicator.
 */
#include "comm.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = HLQ_STATS_TEXT_BYTES + 128 };

const char *hlq_log_level_name(hlq_log_level level)
{
    switch (level) {
    case HLQ_LOG_DEFAULT: break;
    case HLQ_LOG_NONE: return "none";
    case HLQ_LOG_ERROR: return "error";
    case HLQ_LOG_WARN: return "warn";
    case HLQ_LOG_INFO: return "info";
    case HLQ_LOG_TRACE: return "trace";
    }
    return NULL;
}

/* What HLQ_LOG says; HLQ_LOG_DEFAULT if it says something else. */
static hlq_log_level level_of_environment(char *fault, size_t bytes)
{
    const char *word = getenv("HLQ_LOG");
    if (!word || !*word) return HLQ_LOG_NONE;
    for (int level = HLQ_LOG_NONE; level <= HLQ_LOG_TRACE; level++) {
        if (!strcmp(word, hlq_log_level_name((hlq_log_level)level))) return (hlq_log_level)level;
    }
    snprintf(fault, bytes, "HLQ_LOG is \"%.20s\"; it can be none, error, warn, info, trace", word);
    return HLQ_LOG_DEFAULT;
}

hlq_logger hlq_logger_of(const hlq_options *options, char *fault, size_t bytes)
{
    static const hlq_options defaults = HLQ_OPTIONS_INIT;
    *fault = '\0';
    const hlq_options *o =
        options && options->struct_bytes == sizeof *options ? options : &defaults;
    hlq_logger log = {o->log_level, o->log_sink, o->log_user};
    hlq_log_level environment = level_of_environment(fault, bytes);
    if (log.level == HLQ_LOG_DEFAULT) {
        log.level = environment;
    } else if (!hlq_log_level_name((hlq_log_level)log.level)) {
        snprintf(fault, bytes, "options.log_level does not exist");
        log.level = HLQ_LOG_NONE;
    }
    return log;
}

void hlq_log_write(const hlq_comm *comm, hlq_log_level level, const char *format, ...)
{
    char line[LINE_BYTES];
    int length = snprintf(line, sizeof line, "rank %d of %d: ", comm->rank, comm->size);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + length, sizeof line - (size_t)length, format, arguments);
    va_end(arguments);
    if (comm->log.sink) comm->log.sink(comm->log.user, (int)level, line);
    else fprintf(stderr, "hlqcomm %s: %s\n", hlq_log_level_name(level), line);
}

void hlq_log_created(const hlq_comm *comm)
{
    const hlq_options *o = &comm->options;
    hlq_log(comm, HLQ_LOG_INFO,
            "created over %s, kernels %s, algorithm %s, lattice %s, bits %g, seed %llu, "
            "min_bytes %zu, timeout %g s",
            comm->transport.name ? comm->transport.name : "a transport without a name",
            comm->team.kernels->name, hlq_algorithm_name(o->algorithm),
            hlq_lattice_name(o->lattice), o->bits, (unsigned long long)o->seed, o->min_bytes,
            o->timeout_s);
}

void hlq_log_ended(const hlq_comm *comm, hlq_status status, const char *sentence)
{
    const hlq_stats *s = &comm->stats;
    const char *operation = hlq_operation_name(s->operation);
    if (!hlq_log_wants(comm, HLQ_LOG_INFO)) return;
    if (status == HLQ_OK && s->retries) {
        hlq_log(comm, HLQ_LOG_INFO, "%s %llu: %llu blocks overloaded, sent again %llu times",
                operation, (unsigned long long)s->calls, (unsigned long long)s->overloads,
                (unsigned long long)s->retries);
    }
    if (status != HLQ_OK) {
        hlq_log(comm, HLQ_LOG_TRACE, "%s %llu: %s", operation, (unsigned long long)s->calls,
                sentence);
    } else if (hlq_log_wants(comm, HLQ_LOG_TRACE)) {
        char text[HLQ_STATS_TEXT_BYTES];
        hlq_stats_text(s, text, sizeof text);
        hlq_log_write(comm, HLQ_LOG_TRACE, "%s", text);
    }
}
