/*
 * Numbers that travel as they are, within a node: sums of several ranks', and back to their type.
 */
#ifndef HLQ_WIRE_CUDA_PLAIN_CUH
#define HLQ_WIRE_CUDA_PLAIN_CUH

#include <kernels/cuda/walk.cuh>
#include "../device.h"

HLQ_BODY const void *stretch_at(const hlq_device_plain *s, int i)
{
    size_t before = (size_t)i * s->elems * elem_bytes(s->dtype);
    return i == s->own_at ? s->own : (const char *)s->all + before;
}

HLQ_BODY void add_floats(const hlq_device_plain *s, size_t b, void *sums)
{
    F sum[HLQ_ROWS], x[HLQ_ROWS];
    load_block(stretch_at(s, 0), s->dtype, 0, s->elems, b, sum);
    for (int i = 1; i < s->count; i++) {
        load_block(stretch_at(s, i), s->dtype, 0, s->elems, b, x);
        for (int r = 0; r < HLQ_ROWS; r++) sum[r] = f_add(sum[r], x[r]);
    }
    store_block(sums, HLQ_FLOAT32, 0, s->elems, b, sum);
}

/* In units of a block, as load_block() has them, doubles would lose bits. */
HLQ_BODY void add_doubles(const hlq_device_plain *s, size_t b, double *sums)
{
    size_t first = b * HLQ_BLOCK_ELEMS, end = first + block_elems(s->elems, b);
    for (size_t e = first + (size_t)lane(); e < end; e += HLQ_LANES) {
        double sum = ((const double *)stretch_at(s, 0))[e];
        for (int i = 1; i < s->count; i++) sum += ((const double *)stretch_at(s, i))[e];
        sums[e] = sum;
    }
}

HLQ_BODY void add_plain_blocks(hlq_share share, const hlq_device_plain *s, void *sums)
{
    for (size_t b = share.first; b * HLQ_BLOCK_ELEMS < s->elems; b += share.step) {
        if (s->dtype == HLQ_FLOAT64) add_doubles(s, b, (double *)sums);
        else add_floats(s, b, sums);
    }
}

HLQ_BODY void round_plain_blocks(hlq_share share, const float *sums, hlq_dtype dtype, size_t elems,
                                 void *out)
{
    F x[HLQ_ROWS];
    for (size_t b = share.first; b * HLQ_BLOCK_ELEMS < elems; b += share.step) {
        load_block(sums, HLQ_FLOAT32, 0, elems, b, x);
        store_block(out, dtype, 0, elems, b, x);
    }
}

#endif
