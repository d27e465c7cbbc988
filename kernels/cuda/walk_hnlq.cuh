/*
 * How warps share vectors: the quantizer's kernels, in the words of lanes/cuda_i32.h. A piece of a
 * share is a block of 256 numbers.
 */
#ifndef HLQ_KERNELS_CUDA_WALK_HNLQ_CUH
#define HLQ_KERNELS_CUDA_WALK_HNLQ_CUH

#include "cuda_hnlq.h"
#include "share.cuh"

#include "../body/nearest.h"
#include "../body/codes.h"
#include "../body/hnlq_layout.h"
#include "../body/hnlq.h"
#include "../body/hnlq_group.h"

/* How many vectors block `block` has. */
HLQ_BODY size_t vectors_of_block(int dim, size_t vectors, size_t block)
{
    size_t whole = (size_t)(HLQ_BLOCK_ELEMS / dim), left = vectors - block * whole;
    return left < whole ? left : whole;
}

/* What the caller hears of one group, whose first vectors' places are `first`. */
HLQ_BODY void report_group(const hlq_cuda_vectors *v, int dim, int g, size_t first, size_t here,
                           const block_code *out)
{
    size_t own = vector_of_lane(dim, g);
    if (own >= here) return;
    if (v->retries && v->code.tries > 1) v->retries[first + own] = out->step[g].own;
    if (v->overload) v->overload[first + own] = is_lane_in(out->over.group[g]);
}

HLQ_BODY void encode_vectors(hlq_lattice lattice, int dim, int power, hlq_share share,
                             const hlq_cuda_vectors *v, const float *x, hlq_encoded *result)
{
    const size_t whole = (size_t)(HLQ_BLOCK_ELEMS / dim);
    uint64_t overloads = 0, nonfinite = 0;
    for (size_t b = share.first; b * whole < v->vectors; b += share.step) {
        size_t first = b * whole, here = vectors_of_block(dim, v->vectors, b);
        block_input in;
        block_code out;
        uint32_t any = 0;
        load_some_vectors(dim, x + first * (size_t)dim, here, in.x);
        load_shift(&v->code, dim, v->dither, first, here, in.shift);
        out.layers.digits = (char *)v->digits + first * vector_bytes(&v->code);
        out.layers.here = here;
        HLQ_UNROLL
        for (int g = 0; g < HLQ_ROWS / dim; g++) {
            in.real.group[g] = __ballot_sync(WHOLE_WARP, vector_of_lane(dim, g) < here);
            encode_group(&v->code, lattice, dim, power, g, &in, &out);
            report_group(v, dim, g, first, here, &out);
            overloads += (uint64_t)__builtin_popcount(out.over.group[g]);
            any |= out.over.group[g];
        }
        for (int r = 0; any && r < HLQ_ROWS; r++) { /* NaN and Inf overload at any scale */
            nonfinite += (uint64_t)__builtin_popcount(f_abs_not_below(in.x[r], __builtin_inff()));
        }
    }
    add_count(&result->overloads, overloads);
    add_count(&result->nonfinite, nonfinite);
}

/* β_T of a lane's vector in group g. */
HLQ_BODY F scale_of_lane(const hlq_cuda_vectors *v, int dim, int g, size_t first, size_t here)
{
    size_t own = vector_of_lane(dim, g);
    if (!v->retries) return v->code.scale[0];
    return own < here ? v->code.scale[v->retries[first + own]] : 0.0f;
}

HLQ_BODY void decode_vectors(hlq_lattice lattice, int dim, int power, hlq_share share,
                             const hlq_cuda_vectors *v, int layers_used, float *x, uint64_t *bad)
{
    const size_t whole = (size_t)(HLQ_BLOCK_ELEMS / dim);
    uint64_t count = 0;
    for (size_t b = share.first; b * whole < v->vectors; b += share.step) {
        size_t first = b * whole, here = vectors_of_block(dim, v->vectors, b);
        hlq_layers layers;
        F rows[HLQ_ROWS], shift[HLQ_ROWS];
        layers.digits = (char *)v->digits + first * vector_bytes(&v->code);
        layers.here = here;
        load_shift(&v->code, dim, v->dither, first, here, shift);
        HLQ_UNROLL
        for (int g = 0; g < HLQ_ROWS / dim; g++) {
            I p[HLQ_ROWS];
            F by = scale_of_lane(v, dim, g, first, here);
            count += (uint64_t)__builtin_popcount(
                points_of_digits(&v->code, lattice, dim, power, g, layers_used, &layers, p));
            for (int r = 0; r < dim; r++) {
                rows[g * dim + r] = descale(p[r], shift[g * dim + r], by);
            }
        }
        store_some_vectors(dim, rows, here, x + first * (size_t)dim);
    }
    add_count(bad, count);
}

#endif
