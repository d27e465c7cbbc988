/*
 * libhlqcomm: what a communicator tells while it works.
 *
 *     HLQ_LOG=info mpirun -n 4 ./program          what happens, to stderr
 */
#ifndef HLQCOMM_LOG_H
#define HLQCOMM_LOG_H

#include <hlqcomm/hlqcomm.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The log. A communicator tells what its level asks for, and what is more urgent:
 *
 *   HLQ_LOG_ERROR  the communicator broke, or was not made because ranks could not or did not
 *                  agree: the sentence of hlq_comm_last_error() or hlq_create_error()
 *   HLQ_LOG_WARN   a collective was refused, with its sentence
 *   HLQ_LOG_INFO   the communicator was made: rank, size, transport, kernels, options; sums
 *                  were sent again
 *   HLQ_LOG_TRACE  every collective that ended, with hlq_stats_text()
 *
 * The level is hlq_options.log_level; if that is HLQ_LOG_DEFAULT, what the environment variable
 * HLQ_LOG says (none, error, warn, info, trace) when the communicator is made; without one, none.
 * A word in HLQ_LOG that is none of these is an error of creation. Levels may differ from rank to
 * rank. What is not to be told costs one comparison.
 *
 * Lines go to hlq_options.log_sink, without a line feed: "rank 1 of 4: all_reduce refused: …". It
 * is called in the thread that called the library, may not call the library with that
 * communicator, and must outlive it. line is its for as long as it runs. NULL: they go to stderr,
 * as "hlqcomm info: rank 1 of 4: …", each in one write.
 */
typedef enum hlq_log_level {
    HLQ_LOG_DEFAULT = 0, /* what HLQ_LOG says */
    HLQ_LOG_NONE = 1,
    HLQ_LOG_ERROR = 2,
    HLQ_LOG_WARN = 3,
    HLQ_LOG_INFO = 4,
    HLQ_LOG_TRACE = 5,
} hlq_log_level;

/* "error", …; NULL for HLQ_LOG_DEFAULT and what does not exist. Static storage. */
HLQ_API const char *hlq_log_level_name(hlq_log_level level);

#ifdef __cplusplus
}
#endif
#endif
