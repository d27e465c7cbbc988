/*
 * Integer lane words of 32 bits for AVX2. What each word means: scalar_i32.h.
 * 32 integers are four registers of 8 lanes, in lane order, as the floats are.
 */
#ifndef HLQ_LANES_INTEGERS_H
#define HLQ_LANES_INTEGERS_H

#include "avx2.h"

typedef struct {
    __m256i v[4];
} I;
typedef I M; /* all bits of a lane, or none */

#define MAP_I(expression)                                                                          \
    I r;                                                                                           \
    EACH_F r.v[i] = expression;                                                                    \
    return r

HLQ_WORD I i_set(int x) { MAP_I(_mm256_set1_epi32(x)); }
HLQ_WORD I i_load_u32(const uint32_t *p)
{
    MAP_I(_mm256_loadu_si256((const __m256i *)(p + 8 * i)));
}

HLQ_WORD void i_store_u32(uint32_t *p, I x)
{
    EACH_F _mm256_storeu_si256((__m256i *)(p + 8 * i), x.v[i]);
}

HLQ_WORD I i_add(I a, I b) { MAP_I(_mm256_add_epi32(a.v[i], b.v[i])); }
HLQ_WORD I i_sub(I a, I b) { MAP_I(_mm256_sub_epi32(a.v[i], b.v[i])); }
HLQ_WORD I i_mul(I a, I b) { MAP_I(_mm256_mullo_epi32(a.v[i], b.v[i])); }
HLQ_WORD I i_and(I a, I b) { MAP_I(_mm256_and_si256(a.v[i], b.v[i])); }
HLQ_WORD I i_or(I a, I b) { MAP_I(_mm256_or_si256(a.v[i], b.v[i])); }
HLQ_WORD I i_xor(I a, I b) { MAP_I(_mm256_xor_si256(a.v[i], b.v[i])); }
HLQ_WORD I i_abs(I a) { MAP_I(_mm256_abs_epi32(a.v[i])); }
HLQ_WORD I i_min(I a, I b) { MAP_I(_mm256_min_epi32(a.v[i], b.v[i])); }
HLQ_WORD I i_max(I a, I b) { MAP_I(_mm256_max_epi32(a.v[i], b.v[i])); }
HLQ_WORD I i_shl(I a, int n) { MAP_I(_mm256_sllv_epi32(a.v[i], _mm256_set1_epi32(n))); }
HLQ_WORD I i_sra(I a, int n) { MAP_I(_mm256_srav_epi32(a.v[i], _mm256_set1_epi32(n))); }
HLQ_WORD I i_add_signed(I a, I s, I sign)
{
    /* x ^ m - m negates where m is all ones */
    __m256i m;
    MAP_I((m = _mm256_srai_epi32(sign.v[i], 31),
           _mm256_add_epi32(a.v[i], _mm256_sub_epi32(_mm256_xor_si256(s.v[i], m), m))));
}

HLQ_WORD I i_round(F x) { MAP_I(_mm256_cvtps_epi32(x.v[i])); }
HLQ_WORD F f_from_i(I x) { MAP_F(_mm256_cvtepi32_ps(x.v[i])); }

HLQ_WORD I i_bits(F x) { MAP_I(_mm256_castps_si256(x.v[i])); }

HLQ_WORD M i_eq(I a, I b) { MAP_I(_mm256_cmpeq_epi32(a.v[i], b.v[i])); }
HLQ_WORD M i_gt(I a, I b) { MAP_I(_mm256_cmpgt_epi32(a.v[i], b.v[i])); }
HLQ_WORD M i_negative(I a) { MAP_I(_mm256_srai_epi32(a.v[i], 31)); }
HLQ_WORD M i_odd(I a) { return i_negative(i_shl(a, 31)); }
HLQ_WORD I i_select(M m, I yes, I no) { MAP_I(_mm256_blendv_epi8(no.v[i], yes.v[i], m.v[i])); }

HLQ_WORD void i_exchange(I *a, I *b, int distance)
{
    F x, y;
    EACH_F x.v[i] = _mm256_castsi256_ps(a->v[i]);
    EACH_F y.v[i] = _mm256_castsi256_ps(b->v[i]);
    f_exchange(&x, &y, distance);
    EACH_F a->v[i] = _mm256_castps_si256(x.v[i]);
    EACH_F b->v[i] = _mm256_castps_si256(y.v[i]);
}

HLQ_WORD M m_and(M a, M b) { MAP_I(_mm256_and_si256(a.v[i], b.v[i])); }
HLQ_WORD M m_or(M a, M b) { MAP_I(_mm256_or_si256(a.v[i], b.v[i])); }
HLQ_WORD M m_xor(M a, M b) { MAP_I(_mm256_xor_si256(a.v[i], b.v[i])); }
HLQ_WORD M m_andnot(M a, M b) { MAP_I(_mm256_andnot_si256(b.v[i], a.v[i])); }
HLQ_WORD M m_select(M m, M yes, M no) { return i_select(m, yes, no); }
HLQ_WORD uint32_t m_word(M a)
{
    uint32_t r = 0;
    EACH_F r |= (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(a.v[i])) << 8 * i;
    return r;
}

#undef EACH_F
#undef MAP_F
#undef MAP_I
#endif
