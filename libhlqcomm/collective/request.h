/*
 * One collective under way, and what an algorithm must offer. Every collective is the same walk:
 *
 *   step 0 ──▶ exchange ──▶ step 1 ──▶ exchange ──▶ step 2
 *   encode                  sum, encode             decode         all-reduce
 *   encode                  sum                                    reduce-scatter: its first half
 *                           encode                  decode         all-gather: its second half
 *   encode                                          decode         all-to-all
 */
#ifndef HLQ_COLLECTIVE_REQUEST_H
#define HLQ_COLLECTIVE_REQUEST_H

#include "comm.h"
#include "partition.h"

typedef struct hlq_request {
    hlq_comm *comm;
    hlq_operation operation;
    const void *send;
    void *recv;
    size_t count;   /* as the public functions take it */
    int has_counts; /* hlq_all_to_all_v: one for each rank, in place of count */
    const size_t *send_counts, *recv_counts;
    hlq_dtype dtype;
    hlq_op op;
    hlq_algorithm algorithm; /* never AUTO */
    double bits;
    float *residual;

    hlq_status late;               /* a failure that others are to learn of first */
    hlq_code_stats sent, received; /* what this rank coded; what it decoded */
} hlq_request;

/*
 * An algorithm: up to three steps, with an exchange of the communicator's messages between each
 * two. They run with the arena reserved and empty, arguments agreed, and at least 2 ranks and
 * 1 element.
 */
typedef struct hlq_algorithm_entry {
    /* Payload bytes this rank sends; bytes of workspace it takes from the arena. */
    uint64_t (*wire_bytes)(const hlq_request *request);
    size_t (*workspace_bytes)(const hlq_request *request);
    hlq_status (*step[3])(hlq_request *request);
} hlq_algorithm_entry;

extern const hlq_algorithm_entry hlq_twoshot, hlq_oneshot, hlq_modq, hlq_native, hlq_native_carrier,
    hlq_coded_reduce_scatter, hlq_native_reduce_scatter, hlq_coded_all_gather,
    hlq_native_all_gather, hlq_coded_all_to_all, hlq_native_all_to_all;

/* Checks the request, compares it with the other ranks', chooses its algorithm and runs it. call
   and stream are the caller's. */
hlq_status hlq_request_run(hlq_request *request, const hlq_call *call, hlq_stream stream);

/* What of send goes to rank p, and what of recv comes from there. */
hlq_part hlq_part_to(const hlq_request *r, int p);
hlq_part hlq_part_from(const hlq_request *r, int p);

/* Elements of send and recv in all, and those that would be sent to others without compression. */
size_t hlq_send_elems(const hlq_request *r);
size_t hlq_recv_elems(const hlq_request *r);
double hlq_sent_elems(const hlq_request *r);

/*
 * What a part's code may take, in bytes, so that no rank sends more than hlq_sent_elems() × bits
 * / 8. In an all-reduce it is the same for parts with a block more or less.
 */
double hlq_part_budget(const hlq_request *r, const hlq_part *part);

/*
 * Tensors too small for headers to vanish in the budget go beyond it rather than to zero: below
 * this many elements, all ranks' parts together, every block has at least the bits asked for.
 */
enum { HLQ_BUDGET_ELEMS = 16384 };
int hlq_least_bits(const hlq_request *r, const hlq_part *part);

/* Factor from the sum to the result. */
static inline float hlq_output_factor(const hlq_request *r)
{
    return r->op == HLQ_AVG ? 1.0f / (float)r->comm->size : 1.0f;
}

/* A part of send, residual included, and where in recv a part begins. */
static inline hlq_source hlq_source_of(const hlq_request *r, const hlq_part *part)
{
    return (hlq_source){
        .data = (const char *)r->send + part->start * hlq_dtype_bytes(r->dtype),
        .dtype = r->dtype,
        .elems = part->elems,
        .residual = r->residual ? r->residual + part->start : NULL,
    };
}

static inline void *hlq_output_of(const hlq_request *r, const hlq_part *part)
{
    return (char *)r->recv + part->start * hlq_dtype_bytes(r->dtype);
}

#endif
