/*
 * Integer lane words of 32 bits in plain C: the specification.
 *
 *   I  32 integers modulo 2^32, signed where order matters     M  32 booleans
 */
#ifndef HLQ_LANES_INTEGERS_H
#define HLQ_LANES_INTEGERS_H

#include "scalar.h"

typedef struct {
    int32_t v[32];
} I;
typedef uint32_t M;

HLQ_WORD I i_set(int x) { MAP(I, x); }
HLQ_WORD I i_load_u32(const uint32_t *p) { MAP(I, (int32_t)p[i]); }
HLQ_WORD void i_store_u32(uint32_t *p, I x)
{
    EACH p[i] = (uint32_t)x.v[i];
}

HLQ_WORD I i_add(I a, I b) { MAP(I, (int32_t)((uint32_t)a.v[i] + (uint32_t)b.v[i])); }
HLQ_WORD I i_sub(I a, I b) { MAP(I, (int32_t)((uint32_t)a.v[i] - (uint32_t)b.v[i])); }
HLQ_WORD I i_mul(I a, I b) { MAP(I, (int32_t)((uint32_t)a.v[i] * (uint32_t)b.v[i])); }
HLQ_WORD I i_and(I a, I b) { MAP(I, a.v[i] & b.v[i]); }
HLQ_WORD I i_or(I a, I b) { MAP(I, a.v[i] | b.v[i]); }
HLQ_WORD I i_xor(I a, I b) { MAP(I, a.v[i] ^ b.v[i]); }
HLQ_WORD I i_abs(I a) { MAP(I, a.v[i] < 0 ? -a.v[i] : a.v[i]); }
HLQ_WORD I i_min(I a, I b) { MAP(I, a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }
HLQ_WORD I i_max(I a, I b) { MAP(I, a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
HLQ_WORD I i_shl(I a, int n) { MAP(I, (int32_t)((uint32_t)a.v[i] << n)); }
HLQ_WORD I i_sra(I a, int n) { MAP(I, a.v[i] >> n); }
/* a + s where sign is not negative, a - s where it is. */
HLQ_WORD I i_add_signed(I a, I s, I sign)
{
    MAP(I, sign.v[i] < 0 ? a.v[i] - s.v[i] : a.v[i] + s.v[i]);
}

/* Nearest integer, ties to even; the value must fit. */
HLQ_WORD I i_round(F x) { MAP(I, (int32_t)lrintf(x.v[i])); }
/* Exact for |x| ≤ 2^24. */
HLQ_WORD F f_from_i(I x) { MAP(F, (float)x.v[i]); }

/* The bits of a float. */
HLQ_WORD I i_bits(F x)
{
    I r;
    memcpy(r.v, x.v, sizeof r.v);
    return r;
}

HLQ_WORD M i_eq(I a, I b) { MAP_M(a.v[i] == b.v[i]); }
HLQ_WORD M i_gt(I a, I b) { MAP_M(a.v[i] > b.v[i]); }
HLQ_WORD M i_odd(I a) { MAP_M(a.v[i] & 1); }
HLQ_WORD M i_negative(I a) { MAP_M(a.v[i] < 0); }
HLQ_WORD I i_select(M m, I yes, I no) { MAP(I, m >> i & 1 ? yes.v[i] : no.v[i]); }

/* As f_exchange(). */
HLQ_WORD void i_exchange(I *a, I *b, int distance)
{
    EACH
        if (i & distance) {
            int32_t t = a->v[i];
            a->v[i] = b->v[i - distance];
            b->v[i - distance] = t;
        }
}

HLQ_WORD M m_and(M a, M b) { return a & b; }
HLQ_WORD M m_or(M a, M b) { return a | b; }
HLQ_WORD M m_xor(M a, M b) { return a ^ b; }
HLQ_WORD M m_andnot(M a, M b) { return a & ~b; }
HLQ_WORD M m_select(M m, M yes, M no) { return (m & yes) | (no & ~m); }
HLQ_WORD uint32_t m_word(M a) { return a; }

#undef EACH
#undef MAP
#undef MAP_M
#endif
