/*
 * Integer lane words of 16 bits in plain C: the specification.
 *
 *   I  32 integers modulo 2^16, signed where order matters
 *   M  32 booleans   S  sums modulo 2^32, spread over lanes as the processor likes
 */
#ifndef HLQ_LANES_INTEGERS_H
#define HLQ_LANES_INTEGERS_H

#include "scalar.h"

typedef struct {
    int16_t v[32];
} I;
typedef uint32_t M;
typedef uint32_t S;

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
