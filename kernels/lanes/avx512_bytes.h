/*
 * Words of table look-ups that are the same with and without VBMI: bytes and sums. What each word
 * means: scalar_look_up.h. The table and b_look_up() are in the files that include this one.
 */
#ifndef HLQ_LANES_AVX512_BYTES_H
#define HLQ_LANES_AVX512_BYTES_H

#include "avx512.h"

typedef __m512i B;
typedef __m512i S;

HLQ_WORD B b_load(const uint8_t *p) { return _mm512_loadu_si512(p); }

HLQ_WORD S s_zero(void) { return _mm512_setzero_si512(); }
HLQ_WORD S s_add_weighted(S sum, B entries, int even, int odd)
{
    __m512i weights = _mm512_set1_epi16((short)(even | odd << 8));
    return _mm512_add_epi16(sum, _mm512_maddubs_epi16(weights, entries));
}
HLQ_WORD void s_add_to(int32_t *to, S sum)
{
    __m512i front = _mm512_cvtepi16_epi32(_mm512_castsi512_si256(sum));
    __m512i back = _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(sum, 1));
    _mm512_storeu_si512(to, _mm512_add_epi32(_mm512_loadu_si512(to), front));
    _mm512_storeu_si512(to + 16, _mm512_add_epi32(_mm512_loadu_si512(to + 16), back));
}

HLQ_WORD void f_store_planes(int8_t *table, int planes, F x)
{
    const __m512i half = _mm512_set1_epi32(128);
    __m512i front = _mm512_cvtps_epi32(x.lo), back = _mm512_cvtps_epi32(x.hi);
    for (int p = 0; p < planes; p++) {
        __m128i *at = (__m128i *)(table + 256 * p);
        _mm_storeu_si128(at, _mm512_cvtepi32_epi8(front));
        _mm_storeu_si128(at + 1, _mm512_cvtepi32_epi8(back));
        front = _mm512_srai_epi32(_mm512_add_epi32(front, half), 8);
        back = _mm512_srai_epi32(_mm512_add_epi32(back, half), 8);
    }
}

#undef BOTH
#undef LO
#undef HI
#endif
