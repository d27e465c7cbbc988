/*
 * The loops of elements.h: numbers are widened some at a time, then combined as what they are.
 */
#include "elements.h"

#include <kernels/lanes/halves.h>

#include <stdint.h>
#include <string.h>

enum { CHUNK_ELEMS = 256, WIDEST_BYTES = 8 };

/* Widening ------------------------------------------------------------------------------------ */

static int is_half(hlq_dtype dtype) { return dtype == HLQ_BFLOAT16 || dtype == HLQ_FLOAT16; }

size_t hlq_elements_wide_bytes(hlq_dtype dtype)
{
    return is_half(dtype) ? sizeof(float) : hlq_dtype_bytes(dtype);
}

void hlq_elements_load(void *acc, const void *data, hlq_dtype dtype, size_t elems)
{
    const char *p = data;
    float *to = acc;
    if (!is_half(dtype)) {
        memcpy(acc, data, elems * hlq_dtype_bytes(dtype));
        return;
    }
    for (size_t i = 0; i < elems; i++) {
        uint16_t h;
        memcpy(&h, p + i * sizeof h, sizeof h);
        to[i] = dtype == HLQ_BFLOAT16 ? float_of_bf16(h) : float_of_f16(h);
    }
}

/* Combining ----------------------------------------------------------------------------------- */

#define ADD_REAL(type, a, b) ((a) + (b))
#define MULTIPLY_REAL(type, a, b) ((a) * (b))
#define ADD_INTEGER(type, a, b) ((type)((uint64_t)(a) + (uint64_t)(b)))
#define MULTIPLY_INTEGER(type, a, b) ((type)((uint64_t)(a) * (uint64_t)(b)))
/* The left one if it is NaN; the right one if that is. */
#define LEFT_IF(a, order, b) ((a)order(b) || (a) != (a) ? (a) : (b))

#define COMBINE(name, type, add, multiply)                                                         \
    static void name(hlq_op op, void *acc, const void *more, size_t elems)                         \
    {                                                                                              \
        type *a = acc;                                                                             \
        const type *b = more;                                                                      \
        switch (op) {                                                                              \
        case HLQ_SUM:                                                                              \
        case HLQ_AVG:                                                                              \
            for (size_t i = 0; i < elems; i++) a[i] = add(type, a[i], b[i]);                       \
            break;                                                                                 \
        case HLQ_MIN:                                                                              \
            for (size_t i = 0; i < elems; i++) a[i] = LEFT_IF(a[i], <, b[i]);                      \
            break;                                                                                 \
        case HLQ_MAX:                                                                              \
            for (size_t i = 0; i < elems; i++) a[i] = LEFT_IF(a[i], >, b[i]);                      \
            break;                                                                                 \
        case HLQ_PRODUCT:                                                                          \
            for (size_t i = 0; i < elems; i++) a[i] = multiply(type, a[i], b[i]);                  \
            break;                                                                                 \
        }                                                                                          \
    }

COMBINE(combine_float, float, ADD_REAL, MULTIPLY_REAL)
COMBINE(combine_double, double, ADD_REAL, MULTIPLY_REAL)
COMBINE(combine_int8, int8_t, ADD_INTEGER, MULTIPLY_INTEGER)
COMBINE(combine_int16, int16_t, ADD_INTEGER, MULTIPLY_INTEGER)
COMBINE(combine_int32, int32_t, ADD_INTEGER, MULTIPLY_INTEGER)
COMBINE(combine_int64, int64_t, ADD_INTEGER, MULTIPLY_INTEGER)
COMBINE(combine_uint8, uint8_t, ADD_INTEGER, MULTIPLY_INTEGER)

static void combine_wide(hlq_op op, void *acc, const void *more, hlq_dtype dtype, size_t elems)
{
    switch (dtype) {
    case HLQ_FLOAT32:
    case HLQ_BFLOAT16:
    case HLQ_FLOAT16: combine_float(op, acc, more, elems); break;
    case HLQ_FLOAT64: combine_double(op, acc, more, elems); break;
    case HLQ_INT8: combine_int8(op, acc, more, elems); break;
    case HLQ_INT16: combine_int16(op, acc, more, elems); break;
    case HLQ_INT32: combine_int32(op, acc, more, elems); break;
    case HLQ_INT64: combine_int64(op, acc, more, elems); break;
    case HLQ_UINT8: combine_uint8(op, acc, more, elems); break;
    }
}

void hlq_elements_combine(hlq_op op, void *acc, const void *data, hlq_dtype dtype, size_t elems)
{
    _Alignas(16) char chunk[CHUNK_ELEMS * WIDEST_BYTES];
    size_t width = hlq_dtype_bytes(dtype), wide = hlq_elements_wide_bytes(dtype);
    for (size_t at = 0; at < elems; at += CHUNK_ELEMS) {
        size_t here = elems - at < CHUNK_ELEMS ? elems - at : CHUNK_ELEMS;
        hlq_elements_load(chunk, (const char *)data + at * width, dtype, here);
        combine_wide(op, (char *)acc + at * wide, chunk, dtype, here);
    }
}

/* Storing ------------------------------------------------------------------------------------- */

static void store_floats(void *data, const float *acc, hlq_dtype dtype, size_t elems, float factor)
{
    char *p = data;
    for (size_t i = 0; i < elems; i++) {
        float f = acc[i] * factor;
        uint16_t h = dtype == HLQ_BFLOAT16 ? bf16_of_float(f) : f16_of_float(f);
        if (is_half(dtype)) memcpy(p + i * sizeof h, &h, sizeof h);
        else memcpy(p + i * sizeof f, &f, sizeof f);
    }
}

static void store_doubles(void *data, const double *acc, size_t elems, double factor)
{
    char *p = data;
    for (size_t i = 0; i < elems; i++) {
        double f = acc[i] * factor;
        memcpy(p + i * sizeof f, &f, sizeof f);
    }
}

void hlq_elements_store(void *data, const void *acc, hlq_dtype dtype, size_t elems, double factor)
{
    if (dtype == HLQ_FLOAT64) store_doubles(data, acc, elems, factor);
    else if (hlq_dtype_is_float(dtype)) store_floats(data, acc, dtype, elems, (float)factor);
    else memcpy(data, acc, elems * hlq_dtype_bytes(dtype));
}
