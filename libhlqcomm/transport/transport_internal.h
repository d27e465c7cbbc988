/*
 * The transports of the library's own, below the public table of hlqcomm/transport.h. Each function
 * fills *transport; its destroy() frees what was made.
 */
#ifndef HLQ_TRANSPORT_INTERNAL_H
#define HLQ_TRANSPORT_INTERNAL_H

#include <hlqcomm/transport.h>

#include <sched.h>
#include <time.h>

/* Rank `rank` of a group of threads. A group carries one transport per rank. */
hlq_status hlq_transport_threads(hlq_thread_group *group, int rank, hlq_transport *transport,
                                 char *error);

/* Returns status, having kept the sentence for hlq_create_error(). Not part of the public
   interface, but shared by the libraries hlqcomm and hlqcomm_mpi. */
HLQ_API hlq_status hlq_create_failed(hlq_status status, const char *sentence);

/* Seconds on a clock that only goes forward. */
static inline double hlq_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Tells machines apart by name, without waiting for other ranks: FNV-1a; 0 if there is none. */
static inline uint64_t hlq_node_of_name(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (const char *c = name; *c; c++) hash = (hash ^ (uint8_t)*c) * 0x100000001b3u;
    return *name ? hash : 0;
}

/* How long creation waits for other ranks. What is wrong with options is for all to hear, later. */
static inline double hlq_creation_timeout(const hlq_options *options)
{
    static const hlq_options defaults = HLQ_OPTIONS_INIT;
    int readable = options && options->struct_bytes == sizeof *options && options->timeout_s > 0;
    return readable ? options->timeout_s : defaults.timeout_s;
}

/* Until something may have happened, or for that long. There may be more ranks than processors. */
static inline void hlq_transport_rest(const hlq_transport *t, double seconds)
{
    if (t->rest) t->rest(t->self, seconds);
    else sched_yield();
}

/* One exchange from start to end, HLQ_E_TIMEOUT if that takes longer than timeout_s. A failure is
   told to the other ranks. */
hlq_status hlq_transport_run(const hlq_transport *t, hlq_exchange *exchange, double timeout_s,
                             char *error);

/* The same for who may not want to wait any more: what look() returns, asked a thousand times a
   second, the exchange fails with, and gets its sentence from there. in_use becomes 1 where the
   transport goes on using the exchange's buffers. */
typedef struct hlq_watch {
    hlq_status (*look)(void *self, char *error); /* may be NULL */
    void *self;
    int in_use;
} hlq_watch;
hlq_status hlq_transport_run_watched(const hlq_transport *t, hlq_exchange *exchange,
                                     double timeout_s, hlq_watch *watch, char *error);

#endif
