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

HLQ_BODY F no_number(void) { return float_of_bits(UINT32_C(0x7fc00000)); }

/* What the caller hears of one group, whose first vectors' places are `first`. */
HLQ_BODY void report_group(const hlq_cuda_vectors *v, int dim, int g, size_t first, size_t here,
                           const block_code *out)
{
    size_t own = vector_of_lane(dim, g);
    if (own >= here) return;
    if (v->retries && v->code.tries > 1) v->retries[first + own] = out->step[g].own;
    if (v->overload) v->overload[first + own] = is_lane_in(out->over.group[g]);
}

/* Numbers that are NaN or Inf in the lanes of one group, and the lanes that have any. */
HLQ_BODY uint32_t nonfinite_lanes(int dim, const F *x, uint64_t *numbers)
{
    uint32_t lanes = 0;
    for (int r = 0; r < dim; r++) {
        uint32_t here = f_abs_not_below(x[r], __builtin_inff());
        *numbers += (uint64_t)__builtin_popcount(here);
        lanes |= here;
    }
    return lanes;
}

/* The rows of a group become what was decoded; NaN in `lost`, and where the dither is no number. */
HLQ_BODY void quantize_group(const hlq_cuda_vectors *v, int dim, int g, const block_code *out,
                             const I decoded[HLQ_ROWS], uint32_t lost, block_input *in)
{
    uint64_t of_dither = 0;
    F *x = in->x + g * dim, *shift = in->shift + g * dim;
    F by = v->code.scale[out->step[g].own];
    if (out->over.group[g]) lost |= nonfinite_lanes(dim, shift, &of_dither);
    for (int r = 0; r < dim; r++) {
        x[r] = f_select(lost, no_number(), descale(decoded[r], shift[r], by));
    }
}

/* Encodes, into digits or, where `quantized` is not NULL, without them into what they decode to. */
HLQ_BODY void encode_vectors(hlq_lattice lattice, int dim, int power, hlq_share share,
                             const hlq_cuda_vectors *v, const float *x, float *quantized)
{
    const size_t whole = (size_t)(HLQ_BLOCK_ELEMS / dim);
    uint64_t overloads = 0, nonfinite = 0;
    for (size_t b = share.first; b * whole < v->vectors; b += share.step) {
        size_t first = b * whole, here = vectors_of_block(dim, v->vectors, b);
        block_input in;
        block_code out;
        load_some_vectors(dim, x + first * (size_t)dim, here, in.x);
        load_shift(&v->code, dim, v->dither, first, here, in.shift);
        out.layers.digits = quantized ? NULL : (char *)v->digits + first * vector_bytes(&v->code);
        out.layers.here = quantized ? 0 : here;
        HLQ_UNROLL
        for (int g = 0; g < HLQ_ROWS / dim; g++) {
            I decoded[HLQ_ROWS];
            in.real.group[g] = __ballot_sync(WHOLE_WARP, vector_of_lane(dim, g) < here);
            encode_group(&v->code, lattice, dim, power, g, &in, &out, quantized ? decoded : NULL);
            report_group(v, dim, g, first, here, &out);
            uint32_t over = out.over.group[g], lost = 0;
            overloads += (uint64_t)__builtin_popcount(over);
            /* NaN and Inf overload at any scale */
            if (over) lost = nonfinite_lanes(dim, in.x + g * dim, &nonfinite);
            if (quantized) quantize_group(v, dim, g, &out, decoded, lost, &in);
        }
        if (quantized) store_some_vectors(dim, in.x, here, quantized + first * (size_t)dim);
    }
    add_count(v->overloads, overloads);
    add_count(v->bad, nonfinite);
}

/* T of a lane's vector in group g. */
HLQ_BODY int step_of_lane(const hlq_cuda_vectors *v, int dim, int g, size_t first, size_t here)
{
    size_t own = vector_of_lane(dim, g);
    return v->retries && own < here ? v->retries[first + own] : 0;
}

HLQ_BODY void decode_vectors(hlq_lattice lattice, int dim, int power, hlq_share share,
                             const hlq_cuda_vectors *v, int layers_used, float *x)
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
            int step = step_of_lane(v, dim, g, first, here);
            uint32_t bad = m_word(step >= v->code.tries);
            F by = v->code.scale[step < v->code.tries ? step : 0];
            bad |= points_of_digits(&v->code, lattice, dim, power, g, layers_used, &layers, p);
            count += (uint64_t)__builtin_popcount(bad);
            for (int r = 0; r < dim; r++) {
                F number = descale(p[r], shift[g * dim + r], by);
                rows[g * dim + r] = f_select(bad, no_number(), number);
            }
        }
        store_some_vectors(dim, rows, here, x + first * (size_t)dim);
    }
    add_count(v->bad, count);
}

HLQ_BODY void nearest_vectors(hlq_lattice lattice, int dim, hlq_share share,
                              const hlq_cuda_nearest_of *of)
{
    const size_t whole = (size_t)(HLQ_BLOCK_ELEMS / dim);
    uint64_t count = 0;
    for (size_t b = share.first; b * whole < of->vectors; b += share.step) {
        const size_t first = b * whole, here = vectors_of_block(dim, of->vectors, b);
        F rows[HLQ_ROWS];
        load_some_vectors(dim, of->x + first * (size_t)dim, here, rows);
        HLQ_UNROLL
        for (int g = 0; g < HLQ_ROWS / dim; g++) {
            I p[HLQ_ROWS];
            const uint32_t beyond = points(lattice, dim, rows + g * dim, p);
            count += (uint64_t)__builtin_popcount(beyond);
            for (int r = 0; r < dim; r++) {
                F number = f_mul(f_from_i(p[r]), f_set(0.5f));
                rows[g * dim + r] = f_select(beyond, no_number(), number);
            }
        }
        store_some_vectors(dim, rows, here, of->point + first * (size_t)dim);
    }
    add_count(of->bad, count);
}

#endif
