/*
 * What a communicator tells its user while it works: hlqcomm/log.h says what, at which level. A
 * line that is not to be told is not formatted, nor are its arguments evaluated.
 */
#ifndef HLQ_COLLECTIVE_LOG_H
#define HLQ_COLLECTIVE_LOG_H

#include <hlqcomm/log.h>

typedef struct hlq_logger {
    int level; /* HLQ_LOG_NONE … HLQ_LOG_TRACE; 0, before it is known, is as quiet as NONE */
    void (*sink)(void *user, int level, const char *line); /* NULL: stderr */
    void *user;
} hlq_logger;

/*
 * The logger that options (NULL: the defaults) and the environment ask for. What is wrong with
 * either goes into fault (bytes long), which is empty if nothing is.
 */
hlq_logger hlq_logger_of(const hlq_options *options, char *fault, size_t bytes);

#define hlq_log_wants(comm, wanted) ((comm)->log.level >= (int)(wanted))

/* hlq_log(comm, level, format, ...): one line, which is told where it comes from. */
#define hlq_log(comm, wanted, ...)                                                                 \
    do {                                                                                           \
        if (hlq_log_wants(comm, wanted)) hlq_log_write(comm, wanted, __VA_ARGS__);                 \
    } while (0)

void hlq_log_write(const hlq_comm *comm, hlq_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A communicator that was made; one collective that ended, with comm->stats and the sentence that
   its caller will find if status is not HLQ_OK. */
void hlq_log_created(const hlq_comm *comm);
void hlq_log_ended(const hlq_comm *comm, hlq_status status, const char *sentence);

#endif
