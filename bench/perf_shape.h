/*
 * How many numbers a collective has where. As in nccl-tests, a tensor's size is that of the larger
 * of a rank's two buffers; count is the argument of the library's function.
 */
#ifndef HLQ_BENCH_PERF_SHAPE_H
#define HLQ_BENCH_PERF_SHAPE_H

#include <hlqcomm/hlqcomm.h>

typedef struct perf_shape {
    hlq_operation op;
    int ranks, rank;
    size_t count;
} perf_shape;

/* Of the larger buffer, of send, and of recv. */
static inline size_t perf_shape_elems(const perf_shape *s)
{
    return s->op == HLQ_ALL_REDUCE ? s->count : (size_t)s->ranks * s->count;
}

static inline size_t perf_shape_sent(const perf_shape *s)
{
    return s->op == HLQ_ALL_GATHER ? s->count : perf_shape_elems(s);
}

static inline size_t perf_shape_received(const perf_shape *s)
{
    return s->op == HLQ_REDUCE_SCATTER ? s->count : perf_shape_elems(s);
}

/* In place, in one buffer: where send and recv start in it. */
static inline size_t perf_shape_send_at(const perf_shape *s)
{
    return s->op == HLQ_ALL_GATHER ? (size_t)s->rank * s->count : 0;
}

static inline size_t perf_shape_recv_at(const perf_shape *s)
{
    return s->op == HLQ_REDUCE_SCATTER ? (size_t)s->rank * s->count : 0;
}

/* nccl-tests' name of the reduction. */
static inline const char *perf_redop_name(hlq_operation op)
{
    return op == HLQ_ALL_REDUCE || op == HLQ_REDUCE_SCATTER ? "sum" : "none";
}

/* Whether there is something to add up, and whether all ranks end with the same. */
static inline int perf_shape_sums(const perf_shape *s)
{
    return s->op == HLQ_ALL_REDUCE || s->op == HLQ_REDUCE_SCATTER;
}

static inline int perf_shape_same(const perf_shape *s)
{
    return s->op == HLQ_ALL_REDUCE || s->op == HLQ_ALL_GATHER;
}

/* Bytes that a rank sends without compression, per byte of the tensor: nccl-tests' busbw factor. */
static inline double perf_shape_factor(const perf_shape *s)
{
    double n = s->ranks;
    return (s->op == HLQ_ALL_REDUCE ? 2.0 : 1.0) * (n - 1.0) / n;
}

#endif
