/*
 * Lane words for CUDA: a warp is the 32 lanes, and a word is what one thread of it does. What each
 * word means: scalar.h.
 *
 * Whoever calls a body calls it with all 32 threads and with the same arguments, but for rows. All
 * branches in body/ depend on such uniform values, so every word that crosses lanes is reached by
 * the whole warp. What a body stores outside of rows, all threads store alike.
 *
 * Unlike elsewhere, tensors are aligned to their elements. Compiled with --fmad=false, and without
 * flags that flush denormals or approximate quotients.
 */
#ifndef HLQ_LANES_CUDA_H
#define HLQ_LANES_CUDA_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HLQ_WORD static __device__ __forceinline__
#define HLQ_BODY HLQ_WORD
#define HLQ_PLAIN HLQ_WORD
#define HLQ_APART HLQ_WORD
#define HLQ_TABLE static __device__ const
#define HLQ_LANES_ARE_THREADS 1

/* Before loops over groups of rows, which only stay in registers if their index is known. */
#ifdef __CUDACC__
#define HLQ_UNROLL _Pragma("unroll")
#else
#define HLQ_UNROLL
#endif

#include "halves.h"

#define WHOLE_WARP 0xffffffffu

typedef float F;

HLQ_WORD int lane(void) { return (int)(threadIdx.x % 32); }
HLQ_WORD bool is_lane_in(uint32_t lanes) { return lanes >> lane() & 1; }

HLQ_WORD F f_set(float x) { return x; }
HLQ_WORD F f_load(const float *p) { return p[lane()]; }
HLQ_WORD void f_store(float *p, F x) { p[lane()] = x; }
HLQ_WORD F f_load_bf16(const uint16_t *p) { return float_of_bf16(p[lane()]); }
HLQ_WORD void f_store_bf16(uint16_t *p, F x) { p[lane()] = bf16_of_float(x); }
HLQ_WORD F f_load_f16(const uint16_t *p) { return float_of_f16(p[lane()]); }
HLQ_WORD void f_store_f16(uint16_t *p, F x) { p[lane()] = f16_of_float(x); }
HLQ_WORD F f_load_f64(const double *p, double factor) { return (float)(p[lane()] * factor); }
HLQ_WORD void f_store_f64(double *p, F x, double factor) { p[lane()] = (double)x * factor; }

HLQ_WORD F f_add(F a, F b) { return a + b; }
HLQ_WORD F f_sub(F a, F b) { return a - b; }
HLQ_WORD F f_mul(F a, F b) { return a * b; }
HLQ_WORD F f_max_abs(F a, F b) { return fabsf(a) > fabsf(b) ? fabsf(a) : fabsf(b); }
HLQ_WORD F f_flip(F x, uint32_t lanes)
{
    return float_of_bits(bits_of_float(x) ^ lanes >> lane() << 31);
}
HLQ_WORD F f_select(uint32_t lanes, F yes, F no) { return is_lane_in(lanes) ? yes : no; }
HLQ_WORD uint32_t f_abs_not_below(F x, float limit)
{
    return __ballot_sync(WHOLE_WARP, !(fabsf(x) < limit));
}

/* One shuffle: upper lanes give their a for the b of lower ones. */
template <typename T> HLQ_WORD void lanes_exchange(T *a, T *b, int distance)
{
    bool upper = lane() & distance;
    T other = __shfl_xor_sync(WHOLE_WARP, upper ? *a : *b, distance);
    *a = upper ? other : *a; /* a choice of pointers would put rows into memory */
    *b = upper ? *b : other;
}
HLQ_WORD void f_exchange(F *a, F *b, int distance) { lanes_exchange(a, b, distance); }

/* Every lane has the sum: the two that trade places add the same numbers, in either order. */
HLQ_WORD float f_sum_lanes(F x)
{
    for (int d = 16; d; d /= 2) x = x + __shfl_xor_sync(WHOLE_WARP, x, d);
    return x;
}

HLQ_WORD float f_max_lanes(F x)
{
    for (int d = 16; d; d /= 2) {
        F other = __shfl_xor_sync(WHOLE_WARP, x, d);
        x = x > other ? x : other;
    }
    return x;
}

#endif
