/*
 * Integer lane words of 32 bits for AVX-512. What each word means: scalar_i32.h.
 * 32 integers are two registers: lanes 0-15, 16-31, as the floats are.
 */
#ifndef HLQ_LANES_INTEGERS_H
#define HLQ_LANES_INTEGERS_H

#include "avx512.h"

typedef struct {
    __m512i lo, hi;
} I;
typedef struct {
    __mmask16 lo, hi;
} M;

#define I_BOTH(lo_, hi_)                                                                           \
    (I) { lo_, hi_ }
#define I_MAP(f, a, b) I_BOTH(f((a).lo, (b).lo), f((a).hi, (b).hi))
#define M_BOTH(lo_, hi_)                                                                           \
    (M) { lo_, hi_ }
#define M_MAP(f, a, b) M_BOTH(f((a).lo, (b).lo), f((a).hi, (b).hi))

HLQ_WORD I i_set(int x) { return I_BOTH(_mm512_set1_epi32(x), _mm512_set1_epi32(x)); }
HLQ_WORD I i_load_u32(const uint32_t *p)
{
    return I_BOTH(_mm512_loadu_si512(p), _mm512_loadu_si512(p + 16));
}
HLQ_WORD void i_store_u32(uint32_t *p, I x)
{
    _mm512_storeu_si512(p, x.lo);
    _mm512_storeu_si512(p + 16, x.hi);
}

HLQ_WORD I i_add(I a, I b) { return I_MAP(_mm512_add_epi32, a, b); }
HLQ_WORD I i_sub(I a, I b) { return I_MAP(_mm512_sub_epi32, a, b); }
HLQ_WORD I i_mul(I a, I b) { return I_MAP(_mm512_mullo_epi32, a, b); }
HLQ_WORD I i_and(I a, I b) { return I_MAP(_mm512_and_si512, a, b); }
HLQ_WORD I i_or(I a, I b) { return I_MAP(_mm512_or_si512, a, b); }
HLQ_WORD I i_xor(I a, I b) { return I_MAP(_mm512_xor_si512, a, b); }
HLQ_WORD I i_abs(I a) { return I_BOTH(_mm512_abs_epi32(a.lo), _mm512_abs_epi32(a.hi)); }
HLQ_WORD I i_min(I a, I b) { return I_MAP(_mm512_min_epi32, a, b); }
HLQ_WORD I i_max(I a, I b) { return I_MAP(_mm512_max_epi32, a, b); }
/* Shifts by a vector: a constant count costs nothing to make, and each shift is one operation. */
HLQ_WORD I i_shl(I a, int n) { return I_MAP(_mm512_sllv_epi32, a, i_set(n)); }
HLQ_WORD I i_sra(I a, int n) { return I_MAP(_mm512_srav_epi32, a, i_set(n)); }
HLQ_WORD __m512i add_signed(__m512i a, __m512i s, __m512i sign)
{
    return _mm512_mask_sub_epi32(_mm512_add_epi32(a, s), _mm512_movepi32_mask(sign), a, s);
}
HLQ_WORD I i_add_signed(I a, I s, I sign)
{
    return I_BOTH(add_signed(a.lo, s.lo, sign.lo), add_signed(a.hi, s.hi, sign.hi));
}

HLQ_WORD I i_round(F x) { return I_BOTH(_mm512_cvtps_epi32(x.lo), _mm512_cvtps_epi32(x.hi)); }
HLQ_WORD F f_from_i(I x) { return BOTH(_mm512_cvtepi32_ps(x.lo), _mm512_cvtepi32_ps(x.hi)); }

HLQ_WORD I i_bits(F x) { return I_BOTH(_mm512_castps_si512(x.lo), _mm512_castps_si512(x.hi)); }

HLQ_WORD M i_eq(I a, I b) { return M_MAP(_mm512_cmpeq_epi32_mask, a, b); }
HLQ_WORD M i_gt(I a, I b) { return M_MAP(_mm512_cmpgt_epi32_mask, a, b); }
HLQ_WORD M i_odd(I a) { return M_MAP(_mm512_test_epi32_mask, a, i_set(1)); }
HLQ_WORD M i_negative(I a)
{
    return M_BOTH(_mm512_movepi32_mask(a.lo), _mm512_movepi32_mask(a.hi));
}
HLQ_WORD I i_select(M m, I yes, I no)
{
    return I_BOTH(_mm512_mask_mov_epi32(no.lo, m.lo, yes.lo),
                  _mm512_mask_mov_epi32(no.hi, m.hi, yes.hi));
}

HLQ_WORD void i_exchange(I *a, I *b, int distance)
{
    F x = BOTH(_mm512_castsi512_ps(a->lo), _mm512_castsi512_ps(a->hi));
    F y = BOTH(_mm512_castsi512_ps(b->lo), _mm512_castsi512_ps(b->hi));
    f_exchange(&x, &y, distance);
    *a = I_BOTH(_mm512_castps_si512(x.lo), _mm512_castps_si512(x.hi));
    *b = I_BOTH(_mm512_castps_si512(y.lo), _mm512_castps_si512(y.hi));
}

HLQ_WORD M m_and(M a, M b) { return M_MAP(_kand_mask16, a, b); }
HLQ_WORD M m_or(M a, M b) { return M_MAP(_kor_mask16, a, b); }
HLQ_WORD M m_xor(M a, M b) { return M_MAP(_kxor_mask16, a, b); }
HLQ_WORD M m_andnot(M a, M b) { return M_MAP(_kandn_mask16, b, a); }
HLQ_WORD M m_select(M m, M yes, M no) { return m_or(m_and(m, yes), m_andnot(no, m)); }
HLQ_WORD uint32_t m_word(M a) { return (uint32_t)a.lo | (uint32_t)a.hi << 16; }

#undef BOTH
#undef I_BOTH
#undef I_MAP
#undef M_BOTH
#undef M_MAP
#undef LO
#undef HI
#endif
