/*
 * Integer lane words of 16 bits for AVX2. What each word means: scalar_i16.h.
 * 32 integers are two registers of 16 lanes, in lane order.
 */
#ifndef HLQ_LANES_INTEGERS_H
#define HLQ_LANES_INTEGERS_H

#include "avx2.h"

typedef struct {
    __m256i v[2];
} I;
typedef I M; /* all bits of a lane, or none */
typedef I S;

#define EACH_I for (int i = 0; i < 2; i++)
#define MAP_I(expression)                                                                          \
    I r;                                                                                           \
    EACH_I r.v[i] = expression;                                                                    \
    return r

/* 32 32-bit integers that fit to 16 bits, in lane order. */
HLQ_WORD I narrow(const __m256i w[4])
{
    MAP_I(_mm256_permute4x64_epi64(_mm256_packs_epi32(w[2 * i], w[2 * i + 1]), 0xd8));
}

HLQ_WORD I i_set(int x) { MAP_I(_mm256_set1_epi16((int16_t)x)); }
HLQ_WORD I i_load(const int16_t *p) { MAP_I(_mm256_loadu_si256((const __m256i *)(p + 16 * i))); }
HLQ_WORD I i_add(I a, I b) { MAP_I(_mm256_add_epi16(a.v[i], b.v[i])); }
HLQ_WORD I i_sub(I a, I b) { MAP_I(_mm256_sub_epi16(a.v[i], b.v[i])); }
HLQ_WORD I i_xor(I a, I b) { MAP_I(_mm256_xor_si256(a.v[i], b.v[i])); }
HLQ_WORD I i_abs(I a) { MAP_I(_mm256_abs_epi16(a.v[i])); }
HLQ_WORD I i_min(I a, I b) { MAP_I(_mm256_min_epi16(a.v[i], b.v[i])); }
HLQ_WORD I i_max(I a, I b) { MAP_I(_mm256_max_epi16(a.v[i], b.v[i])); }
HLQ_WORD I i_shl(I a, int n) { MAP_I(_mm256_sll_epi16(a.v[i], _mm_cvtsi32_si128(n))); }
HLQ_WORD I i_sra(I a, int n) { MAP_I(_mm256_sra_epi16(a.v[i], _mm_cvtsi32_si128(n))); }
HLQ_WORD I i_add_signed(I a, I s, I sign)
{
    /* x ^ m - m negates where m is all ones */
    __m256i m;
    MAP_I((m = _mm256_srai_epi16(sign.v[i], 15),
           _mm256_add_epi16(a.v[i], _mm256_sub_epi16(_mm256_xor_si256(s.v[i], m), m))));
}

HLQ_WORD I i_round(F x)
{
    __m256i w[4];
    EACH_F w[i] = _mm256_cvtps_epi32(x.v[i]);
    return narrow(w);
}
HLQ_WORD F f_from_i(I x)
{
    MAP_F(_mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(i & 1 ? _mm256_extracti128_si256(x.v[i / 2], 1)
                                                         : _mm256_castsi256_si128(x.v[i / 2]))));
}
HLQ_WORD void i_split(F x, I *n, I *d)
{
    __m256i whole[4], rest[4];
    EACH_F {
        __m256i w = _mm256_add_epi32(_mm256_cvtps_epi32(x.v[i]), _mm256_set1_epi32(4096));
        whole[i] = _mm256_srai_epi32(w, 13);
        rest[i] = _mm256_and_si256(w, _mm256_set1_epi32(8191));
    }
    *n = narrow(whole);
    *d = i_sub(narrow(rest), i_set(4096));
}

HLQ_WORD M i_eq(I a, I b) { MAP_I(_mm256_cmpeq_epi16(a.v[i], b.v[i])); }
HLQ_WORD M i_gt(I a, I b) { MAP_I(_mm256_cmpgt_epi16(a.v[i], b.v[i])); }
HLQ_WORD M i_negative(I a) { MAP_I(_mm256_srai_epi16(a.v[i], 15)); }
HLQ_WORD M i_odd(I a) { return i_negative(i_shl(a, 15)); }
HLQ_WORD I i_select(M m, I yes, I no) { MAP_I(_mm256_blendv_epi8(no.v[i], yes.v[i], m.v[i])); }

HLQ_WORD M m_and(M a, M b) { MAP_I(_mm256_and_si256(a.v[i], b.v[i])); }
HLQ_WORD M m_or(M a, M b) { MAP_I(_mm256_or_si256(a.v[i], b.v[i])); }
HLQ_WORD M m_xor(M a, M b) { MAP_I(_mm256_xor_si256(a.v[i], b.v[i])); }
HLQ_WORD M m_andnot(M a, M b) { MAP_I(_mm256_andnot_si256(b.v[i], a.v[i])); }
HLQ_WORD M m_select(M m, M yes, M no) { return i_select(m, yes, no); }
HLQ_WORD uint32_t m_word(M a)
{
    __m256i bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(a.v[0], a.v[1]), 0xd8);
    return (uint32_t)_mm256_movemask_epi8(bytes);
}

HLQ_WORD uint32_t i_plane(I x, int j) { return m_word(i_shl(x, 15 - j)); }
HLQ_WORD I i_set_plane(I x, uint32_t word, int j)
{
    const __m256i lane = _mm256_set_epi16((int16_t)0x8000, 0x4000, 0x2000, 0x1000, 0x800, 0x400,
                                          0x200, 0x100, 0x80, 0x40, 0x20, 0x10, 8, 4, 2, 1);
    __m256i bit = _mm256_set1_epi16((int16_t)(1 << j));
    EACH_I {
        __m256i half = _mm256_set1_epi16((int16_t)(word >> 16 * i));
        __m256i set = _mm256_cmpeq_epi16(_mm256_and_si256(half, lane), lane);
        x.v[i] = _mm256_or_si256(x.v[i], _mm256_and_si256(set, bit));
    }
    return x;
}

HLQ_WORD S s_zero(void) { MAP_I(_mm256_setzero_si256()); }
HLQ_WORD S s_add_products(S s, I a, I b)
{
    MAP_I(_mm256_add_epi32(s.v[i], _mm256_madd_epi16(a.v[i], b.v[i])));
}
HLQ_WORD uint32_t s_total(S s)
{
    __m256i o = _mm256_add_epi32(s.v[0], s.v[1]);
    __m128i q = _mm_add_epi32(_mm256_castsi256_si128(o), _mm256_extracti128_si256(o, 1));
    q = _mm_add_epi32(q, _mm_shuffle_epi32(q, 0x4e));
    q = _mm_add_epi32(q, _mm_shuffle_epi32(q, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(q);
}

#undef EACH_F
#undef EACH_I
#undef MAP_F
#undef MAP_I
#endif
