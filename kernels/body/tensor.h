/*
 * Blocks of tensors of any type, to lane words and back. A float64 tensor is read and written in
 * units of 2^unit, which a block's exponent gives: what does not fit a float's range then fits. All
 * other types have unit 0.
 */
#ifndef HLQ_BODY_TENSOR_H
#define HLQ_BODY_TENSOR_H

#include <stdint.h>
#include <string.h>

#include "plain.h"

enum { WIDEST_BYTES = sizeof(double) };

/* 2^unit for |unit| ≤ HLQ_UNIT_LIMIT_FLOAT64. */
HLQ_BODY double pow2_double(int unit)
{
    uint64_t u = (uint64_t)(unit + 1023) << 52;
    double power;
    memcpy(&power, &u, sizeof power);
    return power;
}

/* The unit for numbers whose size is 2^(eighths/8). */
HLQ_BODY int unit_of(hlq_dtype dtype, int eighths)
{
    int octave = eighths >> 3;
    if (dtype != HLQ_FLOAT64) return 0;
    if (octave > HLQ_UNIT_LIMIT_FLOAT64) return HLQ_UNIT_LIMIT_FLOAT64;
    return octave < -HLQ_UNIT_LIMIT_FLOAT64 ? -HLQ_UNIT_LIMIT_FLOAT64 : octave;
}

HLQ_BODY size_t elem_bytes(hlq_dtype dtype)
{
    return dtype == HLQ_FLOAT32 ? 4 : dtype == HLQ_FLOAT64 ? 8 : 2;
}

/* 32 numbers from number `first` on. `factor` is for doubles. */
HLQ_BODY F load_row(const void *p, hlq_dtype dtype, double factor, int first)
{
    if (dtype == HLQ_FLOAT64) return f_load_f64((const double *)p + first, factor);
    return dtype == HLQ_FLOAT32    ? f_load((const float *)p + first)
           : dtype == HLQ_BFLOAT16 ? f_load_bf16((const uint16_t *)p + first)
                                   : f_load_f16((const uint16_t *)p + first);
}

HLQ_BODY void store_row(void *p, hlq_dtype dtype, double factor, int first, F x)
{
    if (dtype == HLQ_FLOAT64) f_store_f64((double *)p + first, x, factor);
    else if (dtype == HLQ_FLOAT32) f_store((float *)p + first, x);
    else if (dtype == HLQ_BFLOAT16) f_store_bf16((uint16_t *)p + first, x);
    else f_store_f16((uint16_t *)p + first, x);
}

/* The two loops apart, or compilers ask for the type in each round. */
HLQ_BODY void load_full(const void *p, hlq_dtype dtype, int unit, F x[HLQ_ROWS])
{
    if (dtype == HLQ_FLOAT64) {
        double factor = pow2_double(-unit);
        for (int r = 0; r < HLQ_ROWS; r++) x[r] = load_row(p, HLQ_FLOAT64, factor, HLQ_LANES * r);
        return;
    }
    for (int r = 0; r < HLQ_ROWS; r++) x[r] = load_row(p, dtype, 1, HLQ_LANES * r);
}

HLQ_BODY void store_full(void *p, hlq_dtype dtype, int unit, const F x[HLQ_ROWS])
{
    if (dtype == HLQ_FLOAT64) {
        double factor = pow2_double(unit);
        for (int r = 0; r < HLQ_ROWS; r++) store_row(p, HLQ_FLOAT64, factor, HLQ_LANES * r, x[r]);
        return;
    }
    for (int r = 0; r < HLQ_ROWS; r++) store_row(p, dtype, 1, HLQ_LANES * r, x[r]);
}

#ifdef HLQ_LANES_ARE_THREADS /* each with memory accesses of its own */
#include "../lanes/threads.h"
#else

/* elems < 256: the rest reads as zero and is not written. */
HLQ_APART void load_part(const void *p, hlq_dtype dtype, int unit, size_t elems, F x[HLQ_ROWS])
{
    char copy[HLQ_BLOCK_ELEMS * WIDEST_BYTES] = {0};
    memcpy(copy, p, elems * elem_bytes(dtype));
    load_full(copy, dtype, unit, x);
}

HLQ_APART void store_part(void *p, hlq_dtype dtype, int unit, size_t elems, const F x[HLQ_ROWS])
{
    char copy[HLQ_BLOCK_ELEMS * WIDEST_BYTES];
    store_full(copy, dtype, unit, x);
    memcpy(p, copy, elems * elem_bytes(dtype));
}

/* The largest exponent field of `count` doubles, of any alignment. */
HLQ_BODY int largest_field(const void *p, size_t count)
{
    uint64_t largest = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t u;
        memcpy(&u, (const char *)p + i * sizeof u, sizeof u);
        u = u >> 52 & 0x7ff;
        largest = u > largest ? u : largest;
    }
    return (int)largest;
}

#endif

/* Block `index` of a tensor: where it starts, and how many of its 256 elements exist. */
HLQ_BODY size_t block_elems(size_t elems, uint64_t index)
{
    size_t left = elems - (size_t)index * HLQ_BLOCK_ELEMS;
    return left < HLQ_BLOCK_ELEMS ? left : (size_t)HLQ_BLOCK_ELEMS;
}

HLQ_BODY size_t block_offset(hlq_dtype dtype, uint64_t index)
{
    return (size_t)index * HLQ_BLOCK_ELEMS * elem_bytes(dtype);
}

HLQ_BODY void load_block(const void *data, hlq_dtype dtype, int unit, size_t elems, uint64_t index,
                         F x[HLQ_ROWS])
{
    size_t here = block_elems(elems, index);
    const void *p = (const char *)data + block_offset(dtype, index);
    if (here == HLQ_BLOCK_ELEMS) load_full(p, dtype, unit, x);
    else load_part(p, dtype, unit, here, x);
}

HLQ_BODY void store_block(void *data, hlq_dtype dtype, int unit, size_t elems, uint64_t index,
                          const F x[HLQ_ROWS])
{
    size_t here = block_elems(elems, index);
    void *p = (char *)data + block_offset(dtype, index);
    if (here == HLQ_BLOCK_ELEMS) store_full(p, dtype, unit, x);
    else store_part(p, dtype, unit, here, x);
}

/*
 * The octave of a float64 block's largest number. HLQ_EXPONENT_ZERO: there are only zeros and
 * denormals; HLQ_EXPONENT_NONFINITE: there is NaN or Inf.
 */
HLQ_BODY int double_octave(const void *data, size_t elems, uint64_t index)
{
    const char *p = (const char *)data + block_offset(HLQ_FLOAT64, index);
    int largest = largest_field(p, block_elems(elems, index));
    if (largest == 0) return HLQ_EXPONENT_ZERO;
    return largest == 0x7ff ? HLQ_EXPONENT_NONFINITE : largest - 1023;
}

#endif
