/*
 * Lane words for AVX-512 (F, BW, DQ, VL). What each word means: scalar.h.
 * 32 floats are two registers (lanes 0-15, 16-31), 32 16-bit integers are one.
 */
#ifndef HLQ_LANES_H
#define HLQ_LANES_H

#include <immintrin.h>
#include <stdint.h>

#define HLQ_WORD static inline __attribute__((always_inline))
#define HLQ_BODY static inline __attribute__((always_inline))

typedef struct {
    __m512 lo, hi;
} F;
typedef __m512i I;
typedef __mmask32 M;
typedef __m512i S;

#define BOTH(lo_, hi_)                                                                             \
    (F) { lo_, hi_ }
#define LO(lanes) ((__mmask16)(lanes))
#define HI(lanes) ((__mmask16)((lanes) >> 16))

HLQ_WORD F f_set(float x) { return BOTH(_mm512_set1_ps(x), _mm512_set1_ps(x)); }
HLQ_WORD F f_load(const float *p) { return BOTH(_mm512_loadu_ps(p), _mm512_loadu_ps(p + 16)); }
HLQ_WORD void f_store(float *p, F x)
{
    _mm512_storeu_ps(p, x.lo);
    _mm512_storeu_ps(p + 16, x.hi);
}

HLQ_WORD __m512 bf16_widen(const uint16_t *p)
{
    __m512i u = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(u, 16));
}

HLQ_WORD __m256i bf16_narrow(__m512 x)
{
    __m512i u = _mm512_castps_si512(x);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    u = _mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7fff)), odd);
    u = _mm512_srli_epi32(u, 16);
    __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(_mm512_mask_mov_epi32(u, nan, _mm512_set1_epi32(0x7fc0)));
}

HLQ_WORD F f_load_bf16(const uint16_t *p) { return BOTH(bf16_widen(p), bf16_widen(p + 16)); }
HLQ_WORD void f_store_bf16(uint16_t *p, F x)
{
    _mm256_storeu_si256((__m256i *)p, bf16_narrow(x.lo));
    _mm256_storeu_si256((__m256i *)(p + 16), bf16_narrow(x.hi));
}

HLQ_WORD F f_add(F a, F b) { return BOTH(_mm512_add_ps(a.lo, b.lo), _mm512_add_ps(a.hi, b.hi)); }
HLQ_WORD F f_sub(F a, F b) { return BOTH(_mm512_sub_ps(a.lo, b.lo), _mm512_sub_ps(a.hi, b.hi)); }
HLQ_WORD F f_mul(F a, F b) { return BOTH(_mm512_mul_ps(a.lo, b.lo), _mm512_mul_ps(a.hi, b.hi)); }
HLQ_WORD F f_max_abs(F a, F b)
{
    return BOTH(_mm512_max_ps(_mm512_abs_ps(a.lo), _mm512_abs_ps(b.lo)),
                _mm512_max_ps(_mm512_abs_ps(a.hi), _mm512_abs_ps(b.hi)));
}
HLQ_WORD F f_flip(F x, uint32_t lanes)
{
    __m512 sign = _mm512_set1_ps(-0.0f);
    return BOTH(_mm512_mask_xor_ps(x.lo, LO(lanes), x.lo, sign),
                _mm512_mask_xor_ps(x.hi, HI(lanes), x.hi, sign));
}
HLQ_WORD F f_select(uint32_t lanes, F yes, F no)
{
    return BOTH(_mm512_mask_mov_ps(no.lo, LO(lanes), yes.lo),
                _mm512_mask_mov_ps(no.hi, HI(lanes), yes.hi));
}
HLQ_WORD uint32_t f_abs_not_below(F x, float limit)
{
    __m512 l = _mm512_set1_ps(limit);
    return (uint32_t)_mm512_cmp_ps_mask(_mm512_abs_ps(x.lo), l, _CMP_NLT_UQ) |
           (uint32_t)_mm512_cmp_ps_mask(_mm512_abs_ps(x.hi), l, _CMP_NLT_UQ) << 16;
}

HLQ_WORD void exchange(__m512 *a, __m512 *b, int distance)
{
    __m512 x = *a, y = *b;
    if (distance == 1) {
        *a = _mm512_mask_moveldup_ps(x, 0xaaaa, y);
        *b = _mm512_mask_movehdup_ps(y, 0x5555, x);
    } else if (distance == 2) {
        *a = _mm512_shuffle_ps(x, y, 0x44);
        *b = _mm512_shuffle_ps(x, y, 0xee);
    } else if (distance == 4) {
        *a = _mm512_mask_shuffle_f32x4(x, 0xf0f0, y, y, 0xa0);
        *b = _mm512_mask_shuffle_f32x4(y, 0x0f0f, x, x, 0xf5);
    } else {
        *a = _mm512_shuffle_f32x4(x, y, 0x44);
        *b = _mm512_shuffle_f32x4(x, y, 0xee);
    }
}

HLQ_WORD void f_exchange(F *a, F *b, int distance)
{
    if (distance == 16) {
        __m512 t = a->hi;
        a->hi = b->lo;
        b->lo = t;
    } else {
        exchange(&a->lo, &b->lo, distance);
        exchange(&a->hi, &b->hi, distance);
    }
}

HLQ_WORD float f_sum_lanes(F x)
{
    __m512 s = _mm512_add_ps(x.lo, x.hi);
    __m256 o = _mm256_add_ps(_mm512_castps512_ps256(s), _mm512_extractf32x8_ps(s, 1));
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(o), _mm256_extractf128_ps(o, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_shuffle_ps(q, q, 1)));
}
HLQ_WORD float f_max_lanes(F x) { return _mm512_reduce_max_ps(_mm512_max_ps(x.lo, x.hi)); }

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
