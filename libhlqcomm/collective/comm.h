/*
 * A communicator, and one collective under way on it.
 */
#ifndef HLQ_COLLECTIVE_COMM_H
#define HLQ_COLLECTIVE_COMM_H

#include "workspace.h"

#include <kernels/kernels.h>
#include <wire/codec.h>

#include <hlqcomm/transport.h>

struct hlq_comm {
    hlq_transport transport;
    int rank, size;
    hlq_options options;
    const hlq_kernels *kernels;
    hlq_arena arena;         /* workspace of the call under way */
    hlq_message *out, *in;   /* size entries each: what the next exchange sends and receives */
    struct hlq_terms *terms; /* size entries: what each rank called with, see agree.h */
    struct hlq_terms *told;  /* size entries: what each rank is told of this one's */
    uint32_t call;           /* number of the collective under way */
    int broken;
    hlq_stats stats;
    char error[HLQ_ERROR_BYTES];
};

/* Returns status, having written the sentence for hlq_comm_last_error(). */
hlq_status hlq_fail(hlq_comm *comm, hlq_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * One exchange of comm->out and comm->in, in two halves; entries for the own rank are ignored.
 * Bytes and seconds go to the statistics. A failure breaks the communicator.
 */
hlq_status hlq_exchange_start(hlq_comm *comm);
hlq_status hlq_exchange_wait(hlq_comm *comm);
hlq_status hlq_exchange(hlq_comm *comm);

/* Sends the same bytes to all. in is set by the caller. */
void hlq_send_to_all(hlq_comm *comm, void *data, size_t bytes);

/* Sets the estimate of the error: error and energy are sums of squares. Where float64's squares go
   beyond double there is none, as where there is no energy. */
void hlq_stats_estimate(hlq_comm *comm, double error, double energy);

/* Bits per element as every algorithm and rival is counted, for sent_elems that plain numbers would
   need to send: an fp32 ring is 32. */
double hlq_bits_per_elem(uint64_t bytes_sent, double sent_elems);

#define HLQ_TRY(expression)                                                                        \
    do {                                                                                           \
        hlq_status try_status_ = (expression);                                                     \
        if (try_status_ != HLQ_OK) return try_status_;                                             \
    } while (0)

#endif
