/*
 * Lane words for AVX-512 (F, BW, DQ, VL). What each word means: scalar.h.
 * 32 floats are two registers: lanes 0-15, 16-31.
 */
#ifndef HLQ_LANES_AVX512_H
#define HLQ_LANES_AVX512_H

#include <immintrin.h>
#include <stdint.h>

#define HLQ_WORD static inline __attribute__((always_inline))
#define HLQ_BODY static inline __attribute__((always_inline))

typedef struct {
    __m512 lo, hi;
} F;

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

HLQ_WORD __m512 f16_widen(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

HLQ_WORD __m256i f16_narrow(__m512 x)
{
    __m256i half = _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT);
    __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    return _mm256_mask_mov_epi16(half, nan, _mm256_set1_epi16(0x7e00));
}

HLQ_WORD F f_load_f16(const uint16_t *p) { return BOTH(f16_widen(p), f16_widen(p + 16)); }
HLQ_WORD void f_store_f16(uint16_t *p, F x)
{
    _mm256_storeu_si256((__m256i *)p, f16_narrow(x.lo));
    _mm256_storeu_si256((__m256i *)(p + 16), f16_narrow(x.hi));
}

HLQ_WORD __m512 f64_narrow(const double *p, double factor)
{
    __m512d by = _mm512_set1_pd(factor);
    __m256 lo = _mm512_cvtpd_ps(_mm512_mul_pd(_mm512_loadu_pd(p), by));
    __m256 hi = _mm512_cvtpd_ps(_mm512_mul_pd(_mm512_loadu_pd(p + 8), by));
    return _mm512_insertf32x8(_mm512_castps256_ps512(lo), hi, 1);
}

HLQ_WORD void f64_widen(double *p, __m512 x, double factor)
{
    __m512d by = _mm512_set1_pd(factor);
    __m512d lo = _mm512_cvtps_pd(_mm512_castps512_ps256(x));
    __m512d hi = _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
    _mm512_storeu_pd(p, _mm512_mul_pd(lo, by));
    _mm512_storeu_pd(p + 8, _mm512_mul_pd(hi, by));
}

HLQ_WORD F f_load_f64(const double *p, double factor)
{
    return BOTH(f64_narrow(p, factor), f64_narrow(p + 16, factor));
}
HLQ_WORD void f_store_f64(double *p, F x, double factor)
{
    f64_widen(p, x.lo, factor);
    f64_widen(p + 16, x.hi, factor);
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

#endif
