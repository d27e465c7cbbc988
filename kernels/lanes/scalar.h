/*
 * Lane words in plain C: the specification of every word. A lane word works on 32 lanes at once;
 * kernels/body/ is written in nothing else. The other vocabularies define the same names.
 *
 *   F  32 floats     I  32 integers modulo 2^16, signed where order matters
 *   M  32 booleans   S  sums modulo 2^32, spread over lanes as the processor likes
 *
 * A uint32_t that stands for lanes has lane i in bit i.
 */
#ifndef HLQ_LANES_H
#define HLQ_LANES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define HLQ_WORD static inline
#define HLQ_BODY static inline

typedef struct {
    float v[32];
} F;
typedef struct {
    int16_t v[32];
} I;
typedef uint32_t M;
typedef uint32_t S;

#define EACH for (int i = 0; i < 32; i++)
#define MAP(type, expression)                                                                      \
    type r;                                                                                        \
    EACH r.v[i] = expression;                                                                      \
    return r
#define MAP_M(expression)                                                                          \
    M r = 0;                                                                                       \
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

/* bfloat16 is the upper half of a float; storing rounds to nearest even, NaN becomes 0x7fc0. */
HLQ_WORD F f_load_bf16(const uint16_t *p)
{
    uint16_t half[32];
    F r;
    memcpy(half, p, sizeof half);
    EACH {
        uint32_t u = (uint32_t)half[i] << 16;
        memcpy(&r.v[i], &u, 4);
    }
    return r;
}

HLQ_WORD void f_store_bf16(uint16_t *p, F x)
{
    uint16_t half[32];
    EACH {
        uint32_t u;
        memcpy(&u, &x.v[i], 4);
        half[i] = x.v[i] != x.v[i] ? 0x7fc0 : (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
    }
    memcpy(p, half, sizeof half);
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

HLQ_WORD I i_set(int x) { MAP(I, (int16_t)x); }
HLQ_WORD I i_load(const int16_t *p) { MAP(I, p[i]); }
HLQ_WORD I i_add(I a, I b) { MAP(I, (int16_t)(a.v[i] + b.v[i])); }
HLQ_WORD I i_sub(I a, I b) { MAP(I, (int16_t)(a.v[i] - b.v[i])); }
HLQ_WORD I i_xor(I a, I b) { MAP(I, (int16_t)(a.v[i] ^ b.v[i])); }
HLQ_WORD I i_abs(I a) { MAP(I, (int16_t)(a.v[i] < 0 ? -a.v[i] : a.v[i])); }
HLQ_WORD I i_min(I a, I b) { MAP(I, a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }
HLQ_WORD I i_max(I a, I b) { MAP(I, a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
HLQ_WORD I i_shl(I a, int n) { MAP(I, (int16_t)((uint16_t)a.v[i] << n)); }
HLQ_WORD I i_sra(I a, int n) { MAP(I, (int16_t)(a.v[i] >> n)); }
/* a + s where sign is not negative, a - s where it is. */
HLQ_WORD I i_add_signed(I a, I s, I sign)
{
    MAP(I, (int16_t)(sign.v[i] < 0 ? a.v[i] - s.v[i] : a.v[i] + s.v[i]));
}

/* Nearest integer, ties to even; the value must fit. */
HLQ_WORD I i_round(F x) { MAP(I, (int16_t)lrintf(x.v[i])); }
HLQ_WORD F f_from_i(I x) { MAP(F, (float)x.v[i]); }

/*
 * x is in units of 2^-13: w = x rounded to an integer (32 bits), n = nearest multiple of 2^13
 * (ties up), d = what is left, -4096 … 4095.
 */
HLQ_WORD void i_split(F x, I *n, I *d)
{
    EACH {
        int32_t w = (int32_t)lrintf(x.v[i]) + 4096;
        n->v[i] = (int16_t)(w >> 13);
        d->v[i] = (int16_t)((w & 8191) - 4096);
    }
}

HLQ_WORD M i_eq(I a, I b) { MAP_M(a.v[i] == b.v[i]); }
HLQ_WORD M i_gt(I a, I b) { MAP_M(a.v[i] > b.v[i]); }
HLQ_WORD M i_odd(I a) { MAP_M(a.v[i] & 1); }
HLQ_WORD M i_negative(I a) { MAP_M(a.v[i] < 0); }
HLQ_WORD I i_select(M m, I yes, I no) { MAP(I, m >> i & 1 ? yes.v[i] : no.v[i]); }

/* Bit j of every lane; and the way back: sets bit j of the lanes in word, where it was clear. */
HLQ_WORD uint32_t i_plane(I x, int j) { MAP_M(x.v[i] >> j & 1); }
HLQ_WORD I i_set_plane(I x, uint32_t word, int j)
{
    MAP(I, (int16_t)(x.v[i] | (int)(word >> i & 1) << j));
}

HLQ_WORD M m_and(M a, M b) { return a & b; }
HLQ_WORD M m_or(M a, M b) { return a | b; }
HLQ_WORD M m_xor(M a, M b) { return a ^ b; }
HLQ_WORD M m_andnot(M a, M b) { return a & ~b; }
HLQ_WORD M m_select(M m, M yes, M no) { return (m & yes) | (no & ~m); }
HLQ_WORD uint32_t m_word(M a) { return a; }

HLQ_WORD S s_zero(void) { return 0; }
HLQ_WORD S s_add_products(S s, I a, I b)
{
    EACH s += (uint32_t)((int32_t)a.v[i] * b.v[i]);
    return s;
}
HLQ_WORD uint32_t s_total(S s) { return s; }

#undef EACH
#undef MAP
#undef MAP_M
#endif
