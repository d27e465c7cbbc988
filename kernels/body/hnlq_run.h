/*
 * The quantizer's table of functions: many vectors, block by block. Included once by every
 * kernels/cpu/<variant>_hnlq.c after its lane words and HLQ_VARIANT_NAME.
 *
 * The last block is padded with zeros, and only its real vectors are written.
 */
#ifndef HLQ_BODY_HNLQ_RUN_H
#define HLQ_BODY_HNLQ_RUN_H

#include "../kernels.h"
#include "../hnlq.h"
#include "../cpu/fp_env.h"

#include <math.h>
#include <string.h>

#include "nearest.h"
#include "codes.h"
#include "hnlq_layout.h"
#include "hnlq.h"
#include "hnlq_block.h"

static int has_vector(int dim, const vector_mask *mask, int v)
{
    return mask->group[group_of(dim, v)] >> lane_of(dim, v) & 1;
}

/* The vectors that exist in a block of which only `here` do. */
static vector_mask real_vectors(int dim, size_t here)
{
    vector_mask real = {{0}};
    for (int v = 0; v < (int)here; v++) {
        real.group[group_of(dim, v)] |= UINT32_C(1) << lane_of(dim, v);
    }
    return real;
}

static uint64_t count_vectors(const vector_mask *mask)
{
    uint64_t count = 0;
    for (int g = 0; g < HLQ_ROWS; g++) count += (uint64_t)__builtin_popcount(mask->group[g]);
    return count;
}

static void store_mask(int dim, const vector_mask *mask, size_t here, uint8_t *out)
{
    for (int v = 0; v < (int)here; v++) out[v] = (uint8_t)has_vector(dim, mask, v);
}

/* How many of `vectors` the block from `first` on covers. */
static size_t block_vectors(int dim, size_t vectors, size_t first)
{
    size_t left = vectors - first, whole = (size_t)(HLQ_BLOCK_ELEMS / dim);
    return left < whole ? left : whole;
}

static hlq_encoded encode_vectors(const hlq_hnlq *code, const float *x, size_t vectors,
                                  hlq_dither_at dither, void *digits, uint8_t *retries,
                                  uint8_t *overload)
{
    const int dim = code->dim;
    const size_t whole = (size_t)(HLQ_BLOCK_ELEMS / dim);
    hlq_encoded result = {0, 0};
    block_input in = {.real = real_vectors(dim, whole)};
    block_code out = {.over = {{0}}};
    if (!dither.stride) load_shift(code, dim, dither, 0, 0, in.shift);
    for (size_t v = 0; v < vectors; v += whole) {
        size_t here = block_vectors(dim, vectors, v);
        if (here < whole) in.real = real_vectors(dim, here);
        load_some_vectors(dim, x + v * (size_t)dim, here, in.x);
        if (dither.stride) load_shift(code, dim, dither, v, here, in.shift);
        encode_block(code, &in, &out);
        store_digits(code, &out.layers, here, (char *)digits + v * vector_bytes(code));
        for (int i = 0; retries && code->tries > 1 && i < (int)here; i++) {
            retries[v + (size_t)i] = out.step[group_of(dim, i)].lane[lane_of(dim, i)];
        }
        if (overload) store_mask(dim, &out.over, here, overload + v);
        uint64_t overloads = count_vectors(&out.over);
        result.overloads += overloads;
        for (int r = 0; overloads && r < HLQ_ROWS; r++) { /* NaN and Inf overload at any scale */
            result.nonfinite += (uint64_t)__builtin_popcount(f_abs_not_below(in.x[r], INFINITY));
        }
    }
    return result;
}

/* β_T of the vectors of a block, by group. */
static void load_scales(const hlq_hnlq *code, const uint8_t *retries, size_t here, F by[HLQ_ROWS])
{
    float scale[HLQ_ROWS][HLQ_LANES] = {{0}};
    for (int v = 0; retries && v < (int)here; v++) {
        scale[group_of(code->dim, v)][lane_of(code->dim, v)] = code->scale[retries[v]];
    }
    for (int g = 0; g < HLQ_ROWS; g++) {
        by[g] = retries ? f_load(scale[g]) : f_set(code->scale[0]);
    }
}

static uint64_t decode_vectors(const hlq_hnlq *code, const void *digits, const uint8_t *retries,
                               size_t vectors, hlq_dither_at dither, int layers_used, float *x)
{
    const int dim = code->dim;
    const size_t whole = (size_t)(HLQ_BLOCK_ELEMS / dim);
    uint64_t bad = 0;
    hlq_layers layers;
    F rows[HLQ_ROWS], shift[HLQ_ROWS], by[HLQ_ROWS];
    if (!dither.stride) load_shift(code, dim, dither, 0, 0, shift);
    load_scales(code, NULL, 0, by);
    for (size_t v = 0; v < vectors; v += whole) {
        size_t here = block_vectors(dim, vectors, v);
        I p[HLQ_ROWS];
        load_digits(code, (const char *)digits + v * vector_bytes(code), here, &layers);
        bad += block_points(code, layers_used, &layers, p);
        if (dither.stride) load_shift(code, dim, dither, v, here, shift);
        if (retries) load_scales(code, retries + v, here, by);
        for (int r = 0; r < HLQ_ROWS; r++) {
            rows[r] = descale(p[r], shift[r], by[r / dim]);
        }
        store_some_vectors(dim, rows, here, x + v * (size_t)dim);
    }
    return bad;
}

static uint64_t add_digits(const hlq_hnlq *code, const void *a, const void *b, size_t vectors,
                           void *out, uint8_t *overload, uint64_t *overloads)
{
    const size_t whole = (size_t)(HLQ_BLOCK_ELEMS / code->dim), bytes = vector_bytes(code);
    uint64_t bad = 0;
    hlq_layers layers;
    *overloads = 0;
    for (size_t v = 0; v < vectors; v += whole) {
        size_t here = block_vectors(code->dim, vectors, v);
        I p[HLQ_ROWS], more[HLQ_ROWS];
        load_digits(code, (const char *)a + v * bytes, here, &layers);
        bad += block_points(code, code->depth, &layers, p);
        load_digits(code, (const char *)b + v * bytes, here, &layers);
        bad += block_points(code, code->depth, &layers, more);
        for (int r = 0; r < HLQ_ROWS; r++) p[r] = i_add(p[r], more[r]);
        vector_mask over = block_digits(code, p, &layers);
        store_digits(code, &layers, here, (char *)out + v * bytes);
        if (overload) store_mask(code->dim, &over, here, overload + v);
        *overloads += count_vectors(&over);
    }
    return bad;
}

static uint64_t flatten(const hlq_hnlq *code, const void *digits, size_t vectors, uint32_t *flat)
{
    const size_t dim = (size_t)code->dim, whole = HLQ_BLOCK_ELEMS / dim;
    const hlq_base all = base_of_all(code, code->q_log2 >= 0);
    uint64_t bad = 0;
    hlq_layers layers;
    for (size_t v = 0; v < vectors; v += whole) {
        size_t here = block_vectors(code->dim, vectors, v);
        uint32_t copy[HLQ_BLOCK_ELEMS];
        I p[HLQ_ROWS], z[HLQ_ROWS];
        load_digits(code, (const char *)digits + v * vector_bytes(code), here, &layers);
        bad += block_points(code, code->depth, &layers, p);
        block_flatten(code, p, z);
        for (int r = 0; r < HLQ_ROWS; r++) z[r] = digit_of(z[r], all);
        i_rows_exchange(code->dim, z);
        for (int r = 0; r < HLQ_ROWS; r++) i_store_u32(copy + HLQ_LANES * r, z[r]);
        memcpy(flat + v * dim, copy, here * dim * sizeof *flat);
    }
    return bad;
}

/* All arithmetic is modulo q^depth L, so nothing can overload. */
static void unflatten(const hlq_hnlq *code, const uint32_t *flat, size_t vectors, void *digits)
{
    const size_t dim = (size_t)code->dim, whole = HLQ_BLOCK_ELEMS / dim;
    hlq_layers layers;
    for (size_t v = 0; v < vectors; v += whole) {
        size_t here = block_vectors(code->dim, vectors, v);
        uint32_t copy[HLQ_BLOCK_ELEMS] = {0};
        I z[HLQ_ROWS], p[HLQ_ROWS];
        memcpy(copy, flat + v * dim, here * dim * sizeof *flat);
        for (int r = 0; r < HLQ_ROWS; r++) z[r] = i_load_u32(copy + HLQ_LANES * r);
        i_rows_exchange(code->dim, z);
        block_unflatten(code, z, p);
        block_digits(code, p, &layers);
        store_digits(code, &layers, here, (char *)digits + v * vector_bytes(code));
    }
}

static uint64_t nearest_vectors(const hlq_hnlq *code, const float *x, size_t vectors, float *point)
{
    const size_t dim = (size_t)code->dim, whole = HLQ_BLOCK_ELEMS / dim;
    uint64_t beyond = 0;
    for (size_t v = 0; v < vectors; v += whole) {
        size_t here = block_vectors(code->dim, vectors, v);
        F rows[HLQ_ROWS];
        I p[HLQ_ROWS];
        load_some_vectors(code->dim, x + v * dim, here, rows);
        beyond += block_nearest(code, rows, p);
        for (int r = 0; r < HLQ_ROWS; r++) rows[r] = f_mul(f_from_i(p[r]), f_set(0.5f));
        store_some_vectors(code->dim, rows, here, point + v * dim);
    }
    return beyond;
}

/* Entry points: as above, in the floating-point environment that the contract asks for. */

static hlq_encoded hnlq_encode(const hlq_hnlq *code, const float *x, size_t vectors,
                               hlq_dither_at dither, void *digits, uint8_t *retries,
                               uint8_t *overload)
{
    fp_env saved = fp_env_enter();
    hlq_encoded result = encode_vectors(code, x, vectors, dither, digits, retries, overload);
    fp_env_leave(saved);
    return result;
}

static uint64_t hnlq_decode(const hlq_hnlq *code, const void *digits, const uint8_t *retries,
                            size_t vectors, hlq_dither_at dither, int layers, float *x)
{
    fp_env saved = fp_env_enter();
    uint64_t bad = decode_vectors(code, digits, retries, vectors, dither, layers, x);
    fp_env_leave(saved);
    return bad;
}

static uint64_t hnlq_nearest(const hlq_hnlq *code, const float *x, size_t vectors, float *point)
{
    fp_env saved = fp_env_enter();
    uint64_t beyond = nearest_vectors(code, x, vectors, point);
    fp_env_leave(saved);
    return beyond;
}

#define JOIN(a, b) JOIN_(a, b)
#define JOIN_(a, b) a##b

const hlq_hnlq_kernels JOIN(hlq_hnlq_kernels_, HLQ_VARIANT_NAME) = {
    .encode = hnlq_encode,
    .decode = hnlq_decode,
    .add = add_digits, /* integers throughout, but for exact quotients */
    .flatten = flatten,
    .unflatten = unflatten,
    .nearest = hnlq_nearest,
};

#endif
