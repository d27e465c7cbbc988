/*
 * Scales: how many units of a block's rms one lattice unit stands for, by lattice, bits and ramp
 * step. Part of the wire format: encoder and decoder derive them from the same few numbers.
 *
 * A lane starts at the finest scale and climbs the ramp until its vector fits into 2^bits times the
 * Voronoi cell. Wide blocks start three steps higher: their last step fits any vector, even one
 * that holds the whole energy of its block: 16 rms long, Voronoi norm at most 32 (Z) or 16 √2 rms,
 * plus the 1 (in lattice units) that rounding can add, for bits ≥ 2: 32 × 4/3 < 44.
 */
#ifndef HLQ_BODY_SCALES_H
#define HLQ_BODY_SCALES_H

#include <stdint.h>
#include <string.h>

enum {
    ALL_STEPS = 2 * HLQ_RAMP_STEPS - 1,
    NORM_UNITS = 512,   /* the encoder measures coordinates in 1/512 rms */
    SPLIT_UNITS = 8192, /* and rounds them in 1/8192 lattice units, see i_split */
};

/* Finest scale times 2^bits: the width of the code in units of the rms, by bits. Tuned on Gaussian
   blocks, which is what the rotation makes of most data. */
static const float first_width[3][HLQ_BITS_MAX + 1] = {
    [HLQ_LATTICE_E8] = {0, 3.33f, 3.33f, 3.08f, 3.04f, 2.96f, 2.94f, 2.94f, 2.94f, 2.94f, 2.94f,
                        2.94f, 2.94f},
    [HLQ_LATTICE_D4] = {0, 3.05f, 3.05f, 2.85f, 2.74f, 2.63f, 2.63f, 2.63f, 2.63f, 2.63f, 2.63f,
                        2.63f, 2.63f},
    [HLQ_LATTICE_Z] = {0, 4.30f, 4.30f, 3.75f, 3.60f, 3.60f, 3.50f, 3.50f, 3.50f, 3.50f, 3.50f,
                       3.50f, 3.50f},
};
static const float ramp_ratio = 1.3f;
/* Width in modular form, before the spread. */
static const float modular_width[3] = {
    [HLQ_LATTICE_E8] = 4.0f, [HLQ_LATTICE_D4] = 3.6f, [HLQ_LATTICE_Z] = 4.8f};
/* Widths of the last steps of wide blocks, whatever the lattice and bits. */
static const float wide_width[HLQ_RAMP_STEPS - 1] = {11.0f, 22.0f, 44.0f};
/* A scale is tried if the vector's norm is below 2^bits minus this, by bits (4 stands for more);
   then its point is tested. Small margins find more fits, and cost more trials. */
static const float ramp_margin[5] = {0.0f, 0.0f, 0.0f, 0.25f, 0.5f};

typedef struct {
    float scale[ALL_STEPS];   /* lattice units → rms */
    float gain[ALL_STEPS];    /* 1/512 rms → 1/8192 lattice units */
    int16_t limit[ALL_STEPS]; /* largest Voronoi norm, 1/512 rms, to try this step with */
} hlq_steps;

/* 2^(eighths/8); zero or infinite where that is below or above the normal numbers. */
static inline float pow2_eighths(int eighths)
{
    static const float fraction[8] = {1.0f,        1.09050773f, 1.18920712f, 1.29683955f,
                                      1.41421356f, 1.54221083f, 1.68179283f, 1.83400809f};
    int octave = eighths >> 3;
    if (octave < -126) return 0.0f;
    if (octave > 127) return __builtin_inff();
    uint32_t u = (uint32_t)(octave + 127) << 23;
    float power;
    memcpy(&power, &u, sizeof power);
    return power * fraction[eighths & 7];
}

static inline void steps_fill_one(hlq_steps *s, int step, float width, int bits)
{
    float codes = (float)(1 << bits);
    s->scale[step] = width / codes;
    s->gain[step] = (float)(SPLIT_UNITS / NORM_UNITS) / s->scale[step];
}

/* Below 2^15, as the widest step is. */
static inline int16_t ramp_limit(float scale, int bits)
{
    float codes = (float)(1 << bits);
    return (int16_t)((float)NORM_UNITS * scale * (codes - ramp_margin[bits < 4 ? bits : 4]));
}

/* The steps of every number of bits. In modular form all are one, 2^(spread/8) wider. */
static inline void steps_fill(hlq_steps table[HLQ_BITS_MAX + 1], hlq_lattice lattice, int modular,
                              int spread)
{
    for (int bits = 1; bits <= HLQ_BITS_MAX; bits++) {
        float width =
            modular ? modular_width[lattice] * pow2_eighths(spread) : first_width[lattice][bits];
        for (int step = 0; step < ALL_STEPS; step++) {
            if (step >= HLQ_RAMP_STEPS && !modular) width = wide_width[step - HLQ_RAMP_STEPS];
            steps_fill_one(&table[bits], step, width, bits);
            if (modular) continue; /* no ramp, and widths without bound */
            table[bits].limit[step] = ramp_limit(table[bits].scale[step], bits);
            width *= ramp_ratio;
        }
    }
}

#endif
