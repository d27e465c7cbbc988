/*
 * Words of table look-ups for NEON. What each word means: scalar_look_up.h.
 *
 * One instruction looks up in 64 entries, which are four registers; an index beyond them leaves
 * what was there. So the table is four quarters, and 16 of the 32 registers.
 */
#ifndef HLQ_LANES_LOOK_UP_H
#define HLQ_LANES_LOOK_UP_H

#include "neon.h"

typedef struct {
    uint8x16_t v[4];
} B;
typedef struct {
    uint8x16x4_t quarter[4];
} T;
typedef struct {
    int16x8_t v[4];
} S;

#define EACH_B for (int i = 0; i < 4; i++)

HLQ_WORD T t_load(const int8_t *entries)
{
    T table;
    for (int q = 0; q < 4; q++) {
        EACH_B table.quarter[q].val[i] = load_bytes(entries + 64 * q + 16 * i);
    }
    return table;
}
HLQ_WORD B b_load(const uint8_t *p)
{
    B r;
    EACH_B r.v[i] = load_bytes(p + 16 * i);
    return r;
}
HLQ_WORD B b_look_up(T table, B index)
{
    B r;
    EACH_B
    {
        uint8x16_t found = vqtbl4q_u8(table.quarter[0], index.v[i]);
        for (int q = 1; q < 4; q++) {
            uint8x16_t within = vsubq_u8(index.v[i], vdupq_n_u8((uint8_t)(64 * q)));
            found = vqtbx4q_u8(found, table.quarter[q], within);
        }
        r.v[i] = found;
    }
    return r;
}

HLQ_WORD S s_zero(void)
{
    S r;
    EACH_B r.v[i] = vdupq_n_s16(0);
    return r;
}
HLQ_WORD S s_add_weighted(S sum, B entries, int even, int odd)
{
    int8x16_t weights = vreinterpretq_s8_u16(vdupq_n_u16((uint16_t)(even | odd << 8)));
    EACH_B
    {
        int8x16_t x = vreinterpretq_s8_u8(entries.v[i]);
        int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(weights));
        int16x8_t high = vmull_high_s8(x, weights);
        sum.v[i] = vaddq_s16(sum.v[i], vpaddq_s16(low, high));
    }
    return sum;
}
HLQ_WORD void s_add_to(int32_t *to, S sum)
{
    EACH_B
    {
        int32x4_t low = vreinterpretq_s32_u8(load_bytes(to + 8 * i));
        int32x4_t high = vreinterpretq_s32_u8(load_bytes(to + 8 * i + 4));
        low = vaddw_s16(low, vget_low_s16(sum.v[i]));
        high = vaddw_high_s16(high, sum.v[i]);
        store_bytes(to + 8 * i, vreinterpretq_u8_s32(low));
        store_bytes(to + 8 * i + 4, vreinterpretq_u8_s32(high));
    }
}

/* The low byte of each of 16 lanes, in order. */
HLQ_WORD uint8x16_t low_bytes(const int32x4_t x[4])
{
    uint16x8_t front = vuzp1q_u16(vreinterpretq_u16_s32(x[0]), vreinterpretq_u16_s32(x[1]));
    uint16x8_t back = vuzp1q_u16(vreinterpretq_u16_s32(x[2]), vreinterpretq_u16_s32(x[3]));
    return vuzp1q_u8(vreinterpretq_u8_u16(front), vreinterpretq_u8_u16(back));
}
HLQ_WORD void f_store_planes(int8_t *table, int planes, F x)
{
    int32x4_t left[8];
    EACH_F left[i] = vcvtnq_s32_f32(x.v[i]);
    for (int p = 0; p < planes; p++) {
        store_bytes(table + 256 * p, low_bytes(left));
        store_bytes(table + 256 * p + 16, low_bytes(left + 4));
        EACH_F left[i] = vrshrq_n_s32(left[i], 8); /* rounding adds 128 */
    }
}

#undef EACH_B
#undef EACH_F
#undef MAP_F
#endif
