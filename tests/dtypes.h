/*
 * Tensors of every type, from and to doubles, in the plainest way. Rounding is to nearest even.
 */
#ifndef HLQ_TEST_DTYPES_H
#define HLQ_TEST_DTYPES_H

#include "hlq_test.h"

#include <hlqcomm/hlqcomm.h>

enum { DTYPES = HLQ_UINT8 + 1 };

/* IEEE 754 binary16 -------------------------------------------------------------------------- */

static inline double hlq_double_of_float16(uint16_t h)
{
    int exponent = h >> 10 & 31, fraction = h & 1023;
    double size = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    if (exponent == 31) size = fraction ? NAN : INFINITY;
    return h >> 15 ? -size : size;
}

static inline uint16_t hlq_float16_of_double(double x)
{
    int exponent, sign = signbit(x) ? 0x8000 : 0;
    if (isnan(x)) return 0x7e00;
    if (fabs(x) >= 65520) return (uint16_t)(sign | 0x7c00);
    frexp(x, &exponent); /* |x| in [1/2, 1) × 2^exponent */
    if (exponent < -13 || x == 0) exponent = -13;
    /* In units of the last place: 1024 … 2047, less below 2^-14; 2048 goes one exponent up. */
    int units = (int)nearbyint(ldexp(fabs(x), 11 - exponent));
    return (uint16_t)(sign | (((exponent + 13) << 10) + units));
}

/* Tensors ------------------------------------------------------------------------------------ */

static inline void dtype_store_one(hlq_dtype dtype, double x, void *to)
{
    float f = (float)x;
    uint16_t half = dtype == HLQ_FLOAT16 ? hlq_float16_of_double(x) : hlq_bfloat16_of_float(f);
    switch (dtype) {
    case HLQ_FLOAT32: memcpy(to, &f, sizeof f); break;
    case HLQ_BFLOAT16:
    case HLQ_FLOAT16: memcpy(to, &half, sizeof half); break;
    case HLQ_FLOAT64: memcpy(to, &x, sizeof x); break;
    case HLQ_INT8: *(int8_t *)to = (int8_t)x; break;
    case HLQ_UINT8: *(uint8_t *)to = (uint8_t)x; break;
    case HLQ_INT16: memcpy(to, &(int16_t){(int16_t)x}, sizeof(int16_t)); break;
    case HLQ_INT32: memcpy(to, &(int32_t){(int32_t)x}, sizeof(int32_t)); break;
    case HLQ_INT64: memcpy(to, &(int64_t){(int64_t)x}, sizeof(int64_t)); break;
    }
}

static inline double dtype_load_one(hlq_dtype dtype, const void *from)
{
    float f;
    double d;
    uint16_t half;
    int16_t i16;
    int32_t i32;
    int64_t i64;
    switch (dtype) {
    case HLQ_FLOAT32: memcpy(&f, from, sizeof f); return f;
    case HLQ_BFLOAT16: memcpy(&half, from, sizeof half); return hlq_float_of_bfloat16(half);
    case HLQ_FLOAT16: memcpy(&half, from, sizeof half); return hlq_double_of_float16(half);
    case HLQ_FLOAT64: memcpy(&d, from, sizeof d); return d;
    case HLQ_INT8: return *(const int8_t *)from;
    case HLQ_UINT8: return *(const uint8_t *)from;
    case HLQ_INT16: memcpy(&i16, from, sizeof i16); return i16;
    case HLQ_INT32: memcpy(&i32, from, sizeof i32); return i32;
    case HLQ_INT64: memcpy(&i64, from, sizeof i64); return (double)i64;
    }
    return NAN;
}

static inline void dtype_store(hlq_dtype dtype, const double *x, size_t count, void *to)
{
    size_t width = hlq_dtype_bytes(dtype);
    for (size_t i = 0; i < count; i++) dtype_store_one(dtype, x[i], (char *)to + i * width);
}

static inline void dtype_load(hlq_dtype dtype, const void *from, size_t count, double *x)
{
    size_t width = hlq_dtype_bytes(dtype);
    for (size_t i = 0; i < count; i++) {
        x[i] = dtype_load_one(dtype, (const char *)from + i * width);
    }
}

/* The nearest number that the type can hold. */
static inline double dtype_round(hlq_dtype dtype, double x)
{
    char one[8];
    dtype_store_one(dtype, x, one);
    return dtype_load_one(dtype, one);
}

#endif
