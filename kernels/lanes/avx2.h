/*
 * Lane words for AVX2. What each word means: scalar.h.
 * 32 floats are four registers of 8 lanes, 32 16-bit integers two of 16, in lane order.
 */
#ifndef HLQ_LANES_H
#define HLQ_LANES_H

#include <immintrin.h>
#include <stdint.h>

#define HLQ_WORD static inline __attribute__((always_inline))
#define HLQ_BODY static inline __attribute__((always_inline))

typedef struct {
    __m256 v[4];
} F;
typedef struct {
    __m256i v[2];
} I;
typedef I M; /* all bits of a lane, or none */
typedef I S;

#define EACH_F for (int i = 0; i < 4; i++)
#define EACH_I for (int i = 0; i < 2; i++)
#define MAP_F(expression)                                                                          \
    F r;                                                                                           \
    EACH_F r.v[i] = expression;                                                                    \
    return r
#define MAP_I(expression)                                                                          \
    I r;                                                                                           \
    EACH_I r.v[i] = expression;                                                                    \
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
    EACH_I {
        __m256i u = _mm256_packus_epi32(bf16_round(x.v[2 * i]), bf16_round(x.v[2 * i + 1]));
        _mm256_storeu_si256((__m256i *)(p + 16 * i), _mm256_permute4x64_epi64(u, 0xd8));
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
