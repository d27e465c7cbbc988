/*
 * Integer lane words of 32 bits for NEON. What each word means: scalar_i32.h.
 * 32 integers are eight registers of 4 lanes, in lane order, as the floats are.
 */
#ifndef HLQ_LANES_INTEGERS_H
#define HLQ_LANES_INTEGERS_H

#include "neon.h"

typedef struct {
    int32x4_t v[8];
} I;
typedef struct {
    uint32x4_t v[8]; /* all bits of a lane, or none */
} M;

#define MAP_AS(type, expression)                                                                   \
    type r;                                                                                        \
    EACH_F r.v[i] = expression;                                                                    \
    return r
#define MAP_I(expression) MAP_AS(I, expression)
#define MAP_M(expression) MAP_AS(M, expression)

HLQ_WORD I i_set(int x) { MAP_I(vdupq_n_s32(x)); }
HLQ_WORD I i_load_u32(const uint32_t *p) { MAP_I(vreinterpretq_s32_u8(load_bytes(p + 4 * i))); }
HLQ_WORD void i_store_u32(uint32_t *p, I x)
{
    EACH_F store_bytes(p + 4 * i, vreinterpretq_u8_s32(x.v[i]));
}

HLQ_WORD I i_add(I a, I b) { MAP_I(vaddq_s32(a.v[i], b.v[i])); }
HLQ_WORD I i_sub(I a, I b) { MAP_I(vsubq_s32(a.v[i], b.v[i])); }
HLQ_WORD I i_mul(I a, I b) { MAP_I(vmulq_s32(a.v[i], b.v[i])); }
HLQ_WORD I i_and(I a, I b) { MAP_I(vandq_s32(a.v[i], b.v[i])); }
HLQ_WORD I i_or(I a, I b) { MAP_I(vorrq_s32(a.v[i], b.v[i])); }
HLQ_WORD I i_xor(I a, I b) { MAP_I(veorq_s32(a.v[i], b.v[i])); }
HLQ_WORD I i_abs(I a) { MAP_I(vabsq_s32(a.v[i])); }
HLQ_WORD I i_min(I a, I b) { MAP_I(vminq_s32(a.v[i], b.v[i])); }
HLQ_WORD I i_max(I a, I b) { MAP_I(vmaxq_s32(a.v[i], b.v[i])); }
HLQ_WORD I i_shl(I a, int n) { MAP_I(vshlq_s32(a.v[i], vdupq_n_s32(n))); }
HLQ_WORD I i_sra(I a, int n) { MAP_I(vshlq_s32(a.v[i], vdupq_n_s32(-n))); }
HLQ_WORD I i_add_signed(I a, I s, I sign)
{
    /* x ^ m - m negates where m is all ones */
    int32x4_t m;
    MAP_I((m = vshrq_n_s32(sign.v[i], 31), vaddq_s32(a.v[i], vsubq_s32(veorq_s32(s.v[i], m), m))));
}

/* vcvtn rounds ties to even, whatever the mode is. */
HLQ_WORD I i_round(F x) { MAP_I(vcvtnq_s32_f32(x.v[i])); }
HLQ_WORD F f_from_i(I x) { MAP_F(vcvtq_f32_s32(x.v[i])); }

HLQ_WORD I i_bits(F x) { MAP_I(vreinterpretq_s32_f32(x.v[i])); }

HLQ_WORD M i_eq(I a, I b) { MAP_M(vceqq_s32(a.v[i], b.v[i])); }
HLQ_WORD M i_gt(I a, I b) { MAP_M(vcgtq_s32(a.v[i], b.v[i])); }
HLQ_WORD M i_odd(I a) { MAP_M(vtstq_s32(a.v[i], vdupq_n_s32(1))); }
HLQ_WORD M i_negative(I a) { MAP_M(vcltzq_s32(a.v[i])); }
HLQ_WORD I i_select(M m, I yes, I no) { MAP_I(vbslq_s32(m.v[i], yes.v[i], no.v[i])); }

HLQ_WORD void i_exchange(I *a, I *b, int distance)
{
    F x, y;
    EACH_F x.v[i] = vreinterpretq_f32_s32(a->v[i]);
    EACH_F y.v[i] = vreinterpretq_f32_s32(b->v[i]);
    f_exchange(&x, &y, distance);
    EACH_F a->v[i] = vreinterpretq_s32_f32(x.v[i]);
    EACH_F b->v[i] = vreinterpretq_s32_f32(y.v[i]);
}

HLQ_WORD M m_and(M a, M b) { MAP_M(vandq_u32(a.v[i], b.v[i])); }
HLQ_WORD M m_or(M a, M b) { MAP_M(vorrq_u32(a.v[i], b.v[i])); }
HLQ_WORD M m_xor(M a, M b) { MAP_M(veorq_u32(a.v[i], b.v[i])); }
HLQ_WORD M m_andnot(M a, M b) { MAP_M(vbicq_u32(a.v[i], b.v[i])); }
HLQ_WORD M m_select(M m, M yes, M no) { MAP_M(vbslq_u32(m.v[i], yes.v[i], no.v[i])); }
HLQ_WORD uint32_t m_word(M a) { return word_of(a.v); }

#undef EACH_F
#undef MAP_AS
#undef MAP_F
#undef MAP_I
#undef MAP_M
#endif
