/*
 * Integer lane words of 16 bits for AVX-512. What each word means: scalar_i16.h.
 * 32 integers are one register.
 */
#ifndef HLQ_LANES_INTEGERS_H
#define HLQ_LANES_INTEGERS_H

#include "avx512.h"

typedef __m512i I;
typedef __mmask32 M;
typedef __m512i S;

/* The low 16 bits of 32 32-bit integers. */
HLQ_WORD I narrow(__m512i lo, __m512i hi)
{
    const __m512i even =
        _mm512_set_epi16(62, 60, 58, 56, 54, 52, 50, 48, 46, 44, 42, 40, 38, 36, 34, 32, 30, 28, 26,
                         24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    return _mm512_permutex2var_epi16(lo, even, hi);
}

HLQ_WORD I i_set(int x) { return _mm512_set1_epi16((int16_t)x); }
HLQ_WORD I i_load(const int16_t *p) { return _mm512_loadu_si512(p); }
HLQ_WORD I i_add(I a, I b) { return _mm512_add_epi16(a, b); }
HLQ_WORD I i_sub(I a, I b) { return _mm512_sub_epi16(a, b); }
HLQ_WORD I i_xor(I a, I b) { return _mm512_xor_si512(a, b); }
HLQ_WORD I i_abs(I a) { return _mm512_abs_epi16(a); }
HLQ_WORD I i_min(I a, I b) { return _mm512_min_epi16(a, b); }
HLQ_WORD I i_max(I a, I b) { return _mm512_max_epi16(a, b); }
HLQ_WORD I i_shl(I a, int n) { return _mm512_sll_epi16(a, _mm_cvtsi32_si128(n)); }
HLQ_WORD I i_sra(I a, int n) { return _mm512_sra_epi16(a, _mm_cvtsi32_si128(n)); }
HLQ_WORD I i_add_signed(I a, I s, I sign)
{
    return _mm512_mask_sub_epi16(_mm512_add_epi16(a, s), _mm512_movepi16_mask(sign), a, s);
}

HLQ_WORD I i_round(F x) { return narrow(_mm512_cvtps_epi32(x.lo), _mm512_cvtps_epi32(x.hi)); }
HLQ_WORD F f_from_i(I x)
{
    __m512i lo = _mm512_cvtepi16_epi32(_mm512_castsi512_si256(x));
    __m512i hi = _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(x, 1));
    return BOTH(_mm512_cvtepi32_ps(lo), _mm512_cvtepi32_ps(hi));
}
HLQ_WORD void i_split(F x, I *n, I *d)
{
    const __m512i half = _mm512_set1_epi32(4096);
    __m512i lo = _mm512_add_epi32(_mm512_cvtps_epi32(x.lo), half);
    __m512i hi = _mm512_add_epi32(_mm512_cvtps_epi32(x.hi), half);
    *n = narrow(_mm512_srai_epi32(lo, 13), _mm512_srai_epi32(hi, 13));
    *d = i_sub(_mm512_and_si512(narrow(lo, hi), i_set(8191)), i_set(4096));
}

HLQ_WORD M i_eq(I a, I b) { return _mm512_cmpeq_epi16_mask(a, b); }
HLQ_WORD M i_gt(I a, I b) { return _mm512_cmpgt_epi16_mask(a, b); }
HLQ_WORD M i_odd(I a) { return _mm512_test_epi16_mask(a, i_set(1)); }
HLQ_WORD M i_negative(I a) { return _mm512_movepi16_mask(a); }
HLQ_WORD I i_select(M m, I yes, I no) { return _mm512_mask_mov_epi16(no, m, yes); }
HLQ_WORD uint32_t i_plane(I x, int j) { return _mm512_test_epi16_mask(x, i_set(1 << j)); }
HLQ_WORD I i_set_plane(I x, uint32_t word, int j)
{
    return _mm512_mask_add_epi16(x, (__mmask32)word, x, i_set(1 << j));
}

HLQ_WORD M m_and(M a, M b) { return a & b; }
HLQ_WORD M m_or(M a, M b) { return a | b; }
HLQ_WORD M m_xor(M a, M b) { return a ^ b; }
HLQ_WORD M m_andnot(M a, M b) { return a & ~b; }
HLQ_WORD M m_select(M m, M yes, M no) { return (m & yes) | (no & ~m); }
HLQ_WORD uint32_t m_word(M a) { return a; }

HLQ_WORD S s_zero(void) { return _mm512_setzero_si512(); }
HLQ_WORD S s_add_products(S s, I a, I b) { return _mm512_add_epi32(s, _mm512_madd_epi16(a, b)); }
HLQ_WORD uint32_t s_total(S s)
{
    __m256i o = _mm256_add_epi32(_mm512_castsi512_si256(s), _mm512_extracti64x4_epi64(s, 1));
    __m128i q = _mm_add_epi32(_mm256_castsi256_si128(o), _mm256_extracti128_si256(o, 1));
    q = _mm_add_epi32(q, _mm_shuffle_epi32(q, 0x4e));
    q = _mm_add_epi32(q, _mm_shuffle_epi32(q, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(q);
}

#undef BOTH
#undef LO
#undef HI
#endif
