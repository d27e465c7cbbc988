/*
 * One all-reduce under way, and what an algorithm must offer.
 */
#ifndef HLQ_COLLECTIVE_ALL_REDUCE_H
#define HLQ_COLLECTIVE_ALL_REDUCE_H

#include "comm.h"
#include "partition.h"

typedef struct hlq_reduction {
    hlq_comm *comm;
    const void *send;
    void *recv;
    size_t count;
    hlq_dtype dtype;
    hlq_op op;
    hlq_algorithm algorithm; /* never AUTO */
    double bits;
    float *residual;
} hlq_reduction;

typedef struct hlq_algorithm_entry {
    /* Payload bytes this rank sends; bytes of workspace it takes from the arena. */
    uint64_t (*wire_bytes)(const hlq_reduction *reduction);
    size_t (*workspace_bytes)(const hlq_reduction *reduction);
    /* Runs with the arena reserved and empty, arguments agreed, at least 2 ranks and 1 element. */
    hlq_status (*run)(const hlq_reduction *reduction);
} hlq_algorithm_entry;

extern const hlq_algorithm_entry hlq_twoshot, hlq_oneshot, hlq_modq, hlq_native;

/* Factor from the sum to the result. */
static inline float hlq_output_factor(const hlq_reduction *r)
{
    return r->op == HLQ_AVG ? 1.0f / (float)r->comm->size : 1.0f;
}

/*
 * The budget of every part's message, in bytes: the same for parts with a block more or less, so
 * that no rank sends more than 2 (n-1)/n × count × bits / 8.
 */
static inline double hlq_part_budget(const hlq_reduction *r)
{
    return r->bits * (double)r->count / 8 / r->comm->size;
}

/*
 * Tensors too small for headers to vanish in the budget go beyond it rather than to zero: below
 * this many elements every block has at least the bits asked for.
 */
enum { HLQ_BUDGET_ELEMS = 16384 };

static inline int hlq_least_bits(const hlq_reduction *r)
{
    int bits = (int)r->bits + (r->bits > (int)r->bits);
    if (r->count >= HLQ_BUDGET_ELEMS) return 0;
    return bits < 2 ? 2 : bits;
}

static inline hlq_source hlq_source_of(const hlq_reduction *r)
{
    return (hlq_source){
        .data = r->send, .dtype = r->dtype, .elems = r->count, .residual = r->residual};
}

#endif
