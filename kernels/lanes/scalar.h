/*
 * Lane words in plain C: the specification of every word. A lane word works on 32 lanes at once;
 * kernels/body/ is written in nothing else. The other vocabularies define the same names.
 *
 *   F  32 floats (this file)
 *   I  32 integers, M 32 booleans: of 16 bits in scalar_i16.h, of 32 bits in scalar_i32.h
 *
 * A unit includes one of the two, and so chooses the width its bodies work in: the collectives
 * work in 16 bits, the quantizer, whose codes are larger, in 32.
 *
 * A uint32_t that stands for lanes has lane i in bit i.
 */
#ifndef HLQ_LANES_SCALAR_H
#define HLQ_LANES_SCALAR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define HLQ_WORD static inline
#define HLQ_BODY static inline

#include "halves.h"

typedef struct {
    float v[32];
} F;

#define EACH for (int i = 0; i < 32; i++)
#define MAP(type, expression)                                                                      \
    type r;                                                                                        \
    EACH r.v[i] = expression;                                                                      \
    return r
#define MAP_M(expression)                                                                          \
    uint32_t r = 0;                                                                                \
    EACH r |= (uint32_t)((expression) != 0) << i;                                                  \
    return r

HLQ_WORD F f_set(float x) { MAP(F, x); }
/* Loads and stores take any alignment. */
HLQ_WORD F f_load(const float *p)
{
    F r;
    memcpy(r.v, p, sizeof r.v);
    return r;
}
HLQ_WORD void f_store(float *p, F x) { memcpy(p, x.v, sizeof x.v); }

/* Numbers of 16 bits, as halves.h reads and writes them. */
HLQ_WORD F f_load_bf16(const uint16_t *p)
{
    uint16_t half[32];
    memcpy(half, p, sizeof half);
    MAP(F, float_of_bf16(half[i]));
}

HLQ_WORD void f_store_bf16(uint16_t *p, F x)
{
    uint16_t half[32];
    EACH half[i] = bf16_of_float(x.v[i]);
    memcpy(p, half, sizeof half);
}

HLQ_WORD F f_load_f16(const uint16_t *p)
{
    uint16_t half[32];
    memcpy(half, p, sizeof half);
    MAP(F, float_of_f16(half[i]));
}

HLQ_WORD void f_store_f16(uint16_t *p, F x)
{
    uint16_t half[32];
    EACH half[i] = f16_of_float(x.v[i]);
    memcpy(p, half, sizeof half);
}

/* Doubles times a power of two, rounded to nearest even; and the way back, exact. */
HLQ_WORD F f_load_f64(const double *p, double factor)
{
    double x[32];
    memcpy(x, p, sizeof x);
    MAP(F, (float)(x[i] * factor));
}

HLQ_WORD void f_store_f64(double *p, F x, double factor)
{
    double y[32];
    EACH y[i] = (double)x.v[i] * factor;
    memcpy(p, y, sizeof y);
}

HLQ_WORD F f_add(F a, F b) { MAP(F, a.v[i] + b.v[i]); }
HLQ_WORD F f_sub(F a, F b) { MAP(F, a.v[i] - b.v[i]); }
HLQ_WORD F f_mul(F a, F b) { MAP(F, a.v[i] * b.v[i]); }
/* Largest of two absolute values; the caller has excluded NaN. */
HLQ_WORD F f_max_abs(F a, F b)
{
    MAP(F, fabsf(a.v[i]) > fabsf(b.v[i]) ? fabsf(a.v[i]) : fabsf(b.v[i]));
}
/* Negates the lanes in `lanes`. */
HLQ_WORD F f_flip(F x, uint32_t lanes) { MAP(F, lanes >> i & 1 ? -x.v[i] : x.v[i]); }
HLQ_WORD F f_select(uint32_t lanes, F yes, F no) { MAP(F, lanes >> i & 1 ? yes.v[i] : no.v[i]); }
/* Lanes where |x| is not below the limit; NaN is not below anything. */
HLQ_WORD uint32_t f_abs_not_below(F x, float limit) { MAP_M(!(fabsf(x.v[i]) < limit)); }

/*
 * Swaps the upper lanes of a (those with bit `distance` set in their index) with the lower lanes of
 * b: what lay in lanes `distance` apart now lies in the two words at the same lane.
 */
HLQ_WORD void f_exchange(F *a, F *b, int distance)
{
    EACH
        if (i & distance) {
            float t = a->v[i];
            a->v[i] = b->v[i - distance];
            b->v[i - distance] = t;
        }
}

/* Over the lanes, in a fixed tree: 16 apart, then 8, 4, 2, 1. */
HLQ_WORD float f_sum_lanes(F x)
{
    for (int d = 16; d; d /= 2) {
        for (int i = 0; i < d; i++) x.v[i] = x.v[i] + x.v[i + d];
    }
    return x.v[0];
}

HLQ_WORD float f_max_lanes(F x)
{
    for (int d = 16; d; d /= 2) {
        for (int i = 0; i < d; i++) x.v[i] = x.v[i] > x.v[i + d] ? x.v[i] : x.v[i + d];
    }
    return x.v[0];
}

#endif
