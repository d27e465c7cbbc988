/*
 * Integer lane words of 16 bits for NEON. What each word means: scalar_i16.h.
 * 32 integers are four registers of 8 lanes, in lane order.
 */
#ifndef HLQ_LANES_INTEGERS_H
#define HLQ_LANES_INTEGERS_H

#include "neon.h"

typedef struct {
    int16x8_t v[4];
} I;
typedef struct {
    uint16x8_t v[4]; /* all bits of a lane, or none */
} M;
typedef struct {
    int32x4_t v[4];
} S;

#define EACH_I for (int i = 0; i < 4; i++)
#define MAP_AS(type, expression)                                                                   \
    type r;                                                                                        \
    EACH_I r.v[i] = expression;                                                                    \
    return r
#define MAP_I(expression) MAP_AS(I, expression)
#define MAP_M(expression) MAP_AS(M, expression)

HLQ_WORD I i_set(int x) { MAP_I(vdupq_n_s16((int16_t)x)); }
HLQ_WORD I i_load(const int16_t *p) { MAP_I(vreinterpretq_s16_u8(load_bytes(p + 8 * i))); }
HLQ_WORD I i_add(I a, I b) { MAP_I(vaddq_s16(a.v[i], b.v[i])); }
HLQ_WORD I i_sub(I a, I b) { MAP_I(vsubq_s16(a.v[i], b.v[i])); }
HLQ_WORD I i_xor(I a, I b) { MAP_I(veorq_s16(a.v[i], b.v[i])); }
HLQ_WORD I i_abs(I a) { MAP_I(vabsq_s16(a.v[i])); }
HLQ_WORD I i_min(I a, I b) { MAP_I(vminq_s16(a.v[i], b.v[i])); }
HLQ_WORD I i_max(I a, I b) { MAP_I(vmaxq_s16(a.v[i], b.v[i])); }
HLQ_WORD I i_shl(I a, int n) { MAP_I(vshlq_s16(a.v[i], vdupq_n_s16((int16_t)n))); }
HLQ_WORD I i_sra(I a, int n) { MAP_I(vshlq_s16(a.v[i], vdupq_n_s16((int16_t)-n))); }
HLQ_WORD I i_add_signed(I a, I s, I sign)
{
    /* x ^ m - m negates where m is all ones */
    int16x8_t m;
    MAP_I((m = vshrq_n_s16(sign.v[i], 15), vaddq_s16(a.v[i], vsubq_s16(veorq_s16(s.v[i], m), m))));
}

/* 32-bit integers that fit to 16 bits, in lane order. */
HLQ_WORD int16x8_t narrow(int32x4_t low, int32x4_t high)
{
    return vmovn_high_s32(vmovn_s32(low), high);
}

/* vcvtn rounds ties to even, whatever the mode is. */
HLQ_WORD I i_round(F x)
{
    MAP_I(narrow(vcvtnq_s32_f32(x.v[2 * i]), vcvtnq_s32_f32(x.v[2 * i + 1])));
}
HLQ_WORD F f_from_i(I x)
{
    MAP_F(vcvtq_f32_s32(i & 1 ? vmovl_high_s16(x.v[i / 2]) : vmovl_s16(vget_low_s16(x.v[i / 2]))));
}
HLQ_WORD void i_split(F x, I *n, I *d)
{
    EACH_I {
        int32x4_t half = vdupq_n_s32(4096), below = vdupq_n_s32(8191);
        int32x4_t low = vaddq_s32(vcvtnq_s32_f32(x.v[2 * i]), half);
        int32x4_t high = vaddq_s32(vcvtnq_s32_f32(x.v[2 * i + 1]), half);
        n->v[i] = vshrn_high_n_s32(vshrn_n_s32(low, 13), high, 13);
        int16x8_t rest = narrow(vandq_s32(low, below), vandq_s32(high, below));
        d->v[i] = vsubq_s16(rest, vdupq_n_s16(4096));
    }
}

HLQ_WORD M i_eq(I a, I b) { MAP_M(vceqq_s16(a.v[i], b.v[i])); }
HLQ_WORD M i_gt(I a, I b) { MAP_M(vcgtq_s16(a.v[i], b.v[i])); }
HLQ_WORD M i_odd(I a) { MAP_M(vtstq_s16(a.v[i], vdupq_n_s16(1))); }
HLQ_WORD M i_negative(I a) { MAP_M(vcltzq_s16(a.v[i])); }
HLQ_WORD I i_select(M m, I yes, I no) { MAP_I(vbslq_s16(m.v[i], yes.v[i], no.v[i])); }

HLQ_WORD M m_and(M a, M b) { MAP_M(vandq_u16(a.v[i], b.v[i])); }
HLQ_WORD M m_or(M a, M b) { MAP_M(vorrq_u16(a.v[i], b.v[i])); }
HLQ_WORD M m_xor(M a, M b) { MAP_M(veorq_u16(a.v[i], b.v[i])); }
HLQ_WORD M m_andnot(M a, M b) { MAP_M(vbicq_u16(a.v[i], b.v[i])); }
HLQ_WORD M m_select(M m, M yes, M no) { MAP_M(vbslq_u16(m.v[i], yes.v[i], no.v[i])); }

/* A byte of each lane, its own bit of it: adding neighbours three times gives the word. */
HLQ_WORD uint8x16_t own_bits(uint16x8_t low, uint16x8_t high)
{
    static const uint8_t bit[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint8x16_t lanes = vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high));
    return vandq_u8(lanes, vld1q_u8(bit));
}
HLQ_WORD uint32_t m_word(M a)
{
    uint8x16_t bits = vpaddq_u8(own_bits(a.v[0], a.v[1]), own_bits(a.v[2], a.v[3]));
    bits = vpaddq_u8(bits, bits);
    bits = vpaddq_u8(bits, bits);
    return vgetq_lane_u32(vreinterpretq_u32_u8(bits), 0);
}

HLQ_WORD M i_bit(I x, int j) { MAP_M(vtstq_s16(x.v[i], vdupq_n_s16((int16_t)(1 << j)))); }
HLQ_WORD uint32_t i_plane(I x, int j) { return m_word(i_bit(x, j)); }
HLQ_WORD I i_set_plane(I x, uint32_t word, int j)
{
    static const uint16_t lane[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    int16x8_t bit = vdupq_n_s16((int16_t)(1 << j));
    EACH_I {
        uint16x8_t set = vtstq_u16(vdupq_n_u16((uint16_t)(word >> 8 * i)), vld1q_u16(lane));
        x.v[i] = vorrq_s16(x.v[i], vandq_s16(vreinterpretq_s16_u16(set), bit));
    }
    return x;
}

HLQ_WORD S s_zero(void) { MAP_AS(S, vdupq_n_s32(0)); }
HLQ_WORD S s_add_products(S s, I a, I b)
{
    MAP_AS(S, vmlal_high_s16(vmlal_s16(s.v[i], vget_low_s16(a.v[i]), vget_low_s16(b.v[i])), a.v[i],
                             b.v[i]));
}
HLQ_WORD uint32_t s_total(S s)
{
    int32x4_t all = vaddq_s32(vaddq_s32(s.v[0], s.v[1]), vaddq_s32(s.v[2], s.v[3]));
    return (uint32_t)vaddvq_s32(all);
}

#undef EACH_F
#undef EACH_I
#undef MAP_AS
#undef MAP_F
#undef MAP_I
#undef MAP_M
#endif
