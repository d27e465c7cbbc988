/*
 * Lane words for NEON of AArch64. What each word means: scalar.h.
 * 32 floats are eight registers of 4 lanes, in lane order.
 */
#ifndef HLQ_LANES_NEON_H
#define HLQ_LANES_NEON_H

#include <arm_neon.h>
#include <stdint.h>

#define HLQ_WORD static inline __attribute__((always_inline))
#define HLQ_BODY static inline __attribute__((always_inline))

typedef struct {
    float32x4_t v[8];
} F;

#define EACH_F for (int i = 0; i < 8; i++)
#define MAP_F(expression)                                                                          \
    F r;                                                                                           \
    EACH_F r.v[i] = expression;                                                                    \
    return r

/* 16 bytes at any address: loads of wider elements promise the compiler their alignment. */
HLQ_WORD uint8x16_t load_bytes(const void *p) { return vld1q_u8((const uint8_t *)p); }
HLQ_WORD void store_bytes(void *p, uint8x16_t x) { vst1q_u8((uint8_t *)p, x); }

HLQ_WORD F f_set(float x) { MAP_F(vdupq_n_f32(x)); }
HLQ_WORD F f_load(const float *p) { MAP_F(vreinterpretq_f32_u8(load_bytes(p + 4 * i))); }
HLQ_WORD void f_store(float *p, F x)
{
    EACH_F store_bytes(p + 4 * i, vreinterpretq_u8_f32(x.v[i]));
}

HLQ_WORD uint16x8_t load_u16(const uint16_t *p) { return vreinterpretq_u16_u8(load_bytes(p)); }
HLQ_WORD uint32x4_t is_nan(float32x4_t x) { return vmvnq_u32(vceqq_f32(x, x)); }

HLQ_WORD F f_load_bf16(const uint16_t *p)
{
    F r;
    for (int i = 0; i < 4; i++) {
        uint16x8_t half = load_u16(p + 8 * i);
        r.v[2 * i] = vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(half), 16));
        r.v[2 * i + 1] = vreinterpretq_f32_u32(vshll_high_n_u16(half, 16));
    }
    return r;
}

HLQ_WORD uint16x4_t bf16_round(float32x4_t x)
{
    uint32x4_t u = vreinterpretq_u32_f32(x);
    uint32x4_t odd = vandq_u32(vshrq_n_u32(u, 16), vdupq_n_u32(1));
    u = vaddq_u32(vaddq_u32(u, vdupq_n_u32(0x7fff)), odd);
    return vshrn_n_u32(vbslq_u32(is_nan(x), vdupq_n_u32(0x7fc00000), u), 16);
}

HLQ_WORD void f_store_bf16(uint16_t *p, F x)
{
    for (int i = 0; i < 4; i++) {
        uint16x8_t half = vcombine_u16(bf16_round(x.v[2 * i]), bf16_round(x.v[2 * i + 1]));
        store_bytes(p + 8 * i, vreinterpretq_u8_u16(half));
    }
}

HLQ_WORD F f_load_f16(const uint16_t *p)
{
    F r;
    for (int i = 0; i < 4; i++) {
        uint16x8_t half = load_u16(p + 8 * i);
        r.v[2 * i] = vcvt_f32_f16(vreinterpret_f16_u16(vget_low_u16(half)));
        r.v[2 * i + 1] = vcvt_f32_f16(vreinterpret_f16_u16(vget_high_u16(half)));
    }
    return r;
}

HLQ_WORD uint16x4_t f16_round(float32x4_t x)
{
    uint16x4_t half = vreinterpret_u16_f16(vcvt_f16_f32(x));
    return vbsl_u16(vmovn_u32(is_nan(x)), vdup_n_u16(0x7e00), half);
}

HLQ_WORD void f_store_f16(uint16_t *p, F x)
{
    for (int i = 0; i < 4; i++) {
        uint16x8_t half = vcombine_u16(f16_round(x.v[2 * i]), f16_round(x.v[2 * i + 1]));
        store_bytes(p + 8 * i, vreinterpretq_u8_u16(half));
    }
}

HLQ_WORD float64x2_t f64_scaled(const double *p, double factor)
{
    return vmulq_n_f64(vreinterpretq_f64_u8(load_bytes(p)), factor);
}

HLQ_WORD F f_load_f64(const double *p, double factor)
{
    MAP_F(vcvt_high_f32_f64(vcvt_f32_f64(f64_scaled(p + 4 * i, factor)),
                            f64_scaled(p + 4 * i + 2, factor)));
}

HLQ_WORD void f_store_f64(double *p, F x, double factor)
{
    EACH_F {
        float64x2_t lo = vmulq_n_f64(vcvt_f64_f32(vget_low_f32(x.v[i])), factor);
        float64x2_t hi = vmulq_n_f64(vcvt_high_f64_f32(x.v[i]), factor);
        store_bytes(p + 4 * i, vreinterpretq_u8_f64(lo));
        store_bytes(p + 4 * i + 2, vreinterpretq_u8_f64(hi));
    }
}

/* Bit k in lane k, for lanes 4i … 4i + 3. */
HLQ_WORD uint32x4_t lane_bits(int i)
{
    static const uint32_t bit[4] = {1, 2, 4, 8};
    return vshlq_u32(vld1q_u32(bit), vdupq_n_s32(4 * i));
}
/* All bits of the lanes in `lanes`, of register i; and the way back, for all registers. */
HLQ_WORD uint32x4_t lanes_of(uint32_t lanes, int i)
{
    return vtstq_u32(vdupq_n_u32(lanes), lane_bits(i));
}
HLQ_WORD uint32_t word_of(const uint32x4_t lanes[8])
{
    uint32x4_t bits = vdupq_n_u32(0);
    EACH_F bits = vorrq_u32(bits, vandq_u32(lanes[i], lane_bits(i)));
    return vaddvq_u32(bits);
}

HLQ_WORD F f_add(F a, F b) { MAP_F(vaddq_f32(a.v[i], b.v[i])); }
HLQ_WORD F f_sub(F a, F b) { MAP_F(vsubq_f32(a.v[i], b.v[i])); }
HLQ_WORD F f_mul(F a, F b) { MAP_F(vmulq_f32(a.v[i], b.v[i])); }
HLQ_WORD F f_max_abs(F a, F b) { MAP_F(vmaxq_f32(vabsq_f32(a.v[i]), vabsq_f32(b.v[i]))); }
HLQ_WORD F f_flip(F x, uint32_t lanes)
{
    uint32x4_t sign = vdupq_n_u32(UINT32_C(1) << 31);
    MAP_F(vreinterpretq_f32_u32(
        veorq_u32(vreinterpretq_u32_f32(x.v[i]), vandq_u32(lanes_of(lanes, i), sign))));
}
HLQ_WORD F f_select(uint32_t lanes, F yes, F no)
{
    MAP_F(vbslq_f32(lanes_of(lanes, i), yes.v[i], no.v[i]));
}
HLQ_WORD uint32_t f_abs_not_below(F x, float limit)
{
    uint32x4_t lanes[8];
    EACH_F lanes[i] = vmvnq_u32(vcltq_f32(vabsq_f32(x.v[i]), vdupq_n_f32(limit)));
    return word_of(lanes);
}

HLQ_WORD void exchange(float32x4_t *a, float32x4_t *b, int distance)
{
    float32x4_t x = *a, y = *b;
    if (distance == 1) {
        *a = vtrn1q_f32(x, y);
        *b = vtrn2q_f32(x, y);
    } else {
        float64x2_t x2 = vreinterpretq_f64_f32(x), y2 = vreinterpretq_f64_f32(y);
        *a = vreinterpretq_f32_f64(vtrn1q_f64(x2, y2));
        *b = vreinterpretq_f32_f64(vtrn2q_f64(x2, y2));
    }
}

HLQ_WORD void f_exchange(F *a, F *b, int distance)
{
    if (distance >= 4) {
        int step = distance / 4;
        EACH_F
            if (i & step) {
                float32x4_t t = a->v[i];
                a->v[i] = b->v[i - step];
                b->v[i - step] = t;
            }
    } else {
        EACH_F exchange(&a->v[i], &b->v[i], distance);
    }
}

HLQ_WORD float f_sum_lanes(F x)
{
    for (int d = 4; d; d /= 2) {
        for (int i = 0; i < d; i++) x.v[i] = vaddq_f32(x.v[i], x.v[i + d]);
    }
    float32x2_t two = vadd_f32(vget_low_f32(x.v[0]), vget_high_f32(x.v[0]));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}
HLQ_WORD float f_max_lanes(F x)
{
    for (int d = 4; d; d /= 2) {
        for (int i = 0; i < d; i++) x.v[i] = vmaxq_f32(x.v[i], x.v[i + d]);
    }
    return vmaxvq_f32(x.v[0]);
}

#endif
