/*
 * Lane words for AVX2. What each word means: scalar.h.
 * 32 floats are four registers of 8 lanes, in lane order.
 */
#ifndef HLQ_LANES_AVX2_H
#define HLQ_LANES_AVX2_H

#include <immintrin.h>
#include <stdint.h>

#define HLQ_WORD static inline __attribute__((always_inline))
#define HLQ_BODY static inline __attribute__((always_inline))

typedef struct {
    __m256 v[4];
} F;

#define EACH_F for (int i = 0; i < 4; i++)
#define MAP_F(expression)                                                                          \
    F r;                                                                                           \
    EACH_F r.v[i] = expression;                                                                    \
    return r

HLQ_WORD F f_set(float x) { MAP_F(_mm256_set1_ps(x)); }
HLQ_WORD F f_load(const float *p) { MAP_F(_mm256_loadu_ps(p + 8 * i)); }
HLQ_WORD void f_store(float *p, F x)
{
    EACH_F _mm256_storeu_ps(p + 8 * i, x.v[i]);
}

HLQ_WORD F f_load_bf16(const uint16_t *p)
{
    MAP_F(_mm256_castsi256_ps(_mm256_slli_epi32(
        _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(p + 8 * i))), 16)));
}

HLQ_WORD __m256i bf16_round(__m256 x)
{
    __m256i u = _mm256_castps_si256(x);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    u = _mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7fff)), odd);
    u = _mm256_srli_epi32(u, 16);
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(u, _mm256_set1_epi32(0x7fc0), nan);
}

HLQ_WORD void f_store_bf16(uint16_t *p, F x)
{
    for (int i = 0; i < 2; i++) {
        __m256i u = _mm256_packus_epi32(bf16_round(x.v[2 * i]), bf16_round(x.v[2 * i + 1]));
        _mm256_storeu_si256((__m256i *)(p + 16 * i), _mm256_permute4x64_epi64(u, 0xd8));
    }
}

HLQ_WORD F f_load_f16(const uint16_t *p)
{
    MAP_F(_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 8 * i))));
}

HLQ_WORD void f_store_f16(uint16_t *p, F x)
{
    EACH_F {
        __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x.v[i], x.v[i], _CMP_UNORD_Q));
        __m128i lanes =
            _mm_packs_epi32(_mm256_castsi256_si128(nan), _mm256_extracti128_si256(nan, 1));
        __m128i half = _mm256_cvtps_ph(x.v[i], _MM_FROUND_TO_NEAREST_INT);
        half = _mm_blendv_epi8(half, _mm_set1_epi16(0x7e00), lanes);
        _mm_storeu_si128((__m128i *)(p + 8 * i), half);
    }
}

HLQ_WORD __m128 f64_narrow(const double *p, double factor)
{
    return _mm256_cvtpd_ps(_mm256_mul_pd(_mm256_loadu_pd(p), _mm256_set1_pd(factor)));
}

HLQ_WORD F f_load_f64(const double *p, double factor)
{
    MAP_F(_mm256_set_m128(f64_narrow(p + 8 * i + 4, factor), f64_narrow(p + 8 * i, factor)));
}

HLQ_WORD void f_store_f64(double *p, F x, double factor)
{
    __m256d by = _mm256_set1_pd(factor);
    EACH_F {
        __m256d lo = _mm256_cvtps_pd(_mm256_castps256_ps128(x.v[i]));
        __m256d hi = _mm256_cvtps_pd(_mm256_extractf128_ps(x.v[i], 1));
        _mm256_storeu_pd(p + 8 * i, _mm256_mul_pd(lo, by));
        _mm256_storeu_pd(p + 8 * i + 4, _mm256_mul_pd(hi, by));
    }
}

HLQ_WORD __m256 absolute(__m256 x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x); }

/* Lane k of quarter i has bit 8i + k of `lanes` as its sign bit; the other bits are whatever. */
HLQ_WORD __m256 sign_bits(uint32_t lanes, int i)
{
    __m256i shift = _mm256_sub_epi32(_mm256_set_epi32(24, 25, 26, 27, 28, 29, 30, 31),
                                     _mm256_set1_epi32(8 * i));
    return _mm256_castsi256_ps(_mm256_sllv_epi32(_mm256_set1_epi32((int)lanes), shift));
}

HLQ_WORD F f_add(F a, F b) { MAP_F(_mm256_add_ps(a.v[i], b.v[i])); }
HLQ_WORD F f_sub(F a, F b) { MAP_F(_mm256_sub_ps(a.v[i], b.v[i])); }
HLQ_WORD F f_mul(F a, F b) { MAP_F(_mm256_mul_ps(a.v[i], b.v[i])); }
HLQ_WORD F f_max_abs(F a, F b) { MAP_F(_mm256_max_ps(absolute(a.v[i]), absolute(b.v[i]))); }
HLQ_WORD F f_flip(F x, uint32_t lanes)
{
    __m256 sign = _mm256_set1_ps(-0.0f);
    MAP_F(_mm256_xor_ps(x.v[i], _mm256_and_ps(sign_bits(lanes, i), sign)));
}
HLQ_WORD F f_select(uint32_t lanes, F yes, F no)
{
    MAP_F(_mm256_blendv_ps(no.v[i], yes.v[i], sign_bits(lanes, i)));
}
HLQ_WORD uint32_t f_abs_not_below(F x, float limit)
{
    __m256 l = _mm256_set1_ps(limit);
    uint32_t r = 0;
    EACH_F
        r |= (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(absolute(x.v[i]), l, _CMP_NLT_UQ)) << 8 * i;
    return r;
}

HLQ_WORD void exchange(__m256 *a, __m256 *b, int distance)
{
    __m256 x = *a, y = *b;
    if (distance == 1) {
        *a = _mm256_blend_ps(x, _mm256_moveldup_ps(y), 0xaa);
        *b = _mm256_blend_ps(y, _mm256_movehdup_ps(x), 0x55);
    } else if (distance == 2) {
        *a = _mm256_shuffle_ps(x, y, 0x44);
        *b = _mm256_shuffle_ps(x, y, 0xee);
    } else {
        *a = _mm256_permute2f128_ps(x, y, 0x20);
        *b = _mm256_permute2f128_ps(x, y, 0x31);
    }
}

HLQ_WORD void f_exchange(F *a, F *b, int distance)
{
    if (distance >= 8) {
        int step = distance / 8;
        EACH_F
            if (i & step) {
                __m256 t = a->v[i];
                a->v[i] = b->v[i - step];
                b->v[i - step] = t;
            }
    } else {
        EACH_F exchange(&a->v[i], &b->v[i], distance);
    }
}

HLQ_WORD float f_sum_lanes(F x)
{
    __m256 o = _mm256_add_ps(_mm256_add_ps(x.v[0], x.v[2]), _mm256_add_ps(x.v[1], x.v[3]));
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(o), _mm256_extractf128_ps(o, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_shuffle_ps(q, q, 1)));
}
HLQ_WORD float f_max_lanes(F x)
{
    __m256 o = _mm256_max_ps(_mm256_max_ps(x.v[0], x.v[2]), _mm256_max_ps(x.v[1], x.v[3]));
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(o), _mm256_extractf128_ps(o, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_shuffle_ps(q, q, 1)));
}

#endif
