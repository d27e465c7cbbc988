/*
 * Scales: how many units of a block's rms one lattice unit stands for, by lattice, bits and ramp
 * step. Part of the wire format: encoder and decoder derive them from the same few numbers.
 *
 * A lane starts at the finest scale and climbs the ramp until its vector fits into 2^bits times the
 * Voronoi cell. Wide blocks start three steps higher: their last step fits any vector, even one
 * that holds the whole energy of its block: 16 rms long, Voronoi norm at most 32 (Z) or 16 √2 rms,
 * plus the 1 (in lattice units) that rounding can add, for bits ≥ 2: 32 × 4/3 < 44.
 *
 * With dither (dither.h), the point λ nearest to y + u must fit for every u, so that no choice
 * shows which u it was. The Voronoi norm N is a norm, and at most 1 for u and for what rounding
 * leaves: N(λ) ≤ N(y) + 2. So a scale serves vectors with N(y) < 2^bits - 2. Scales are that much
 * wider, width / (2^bits - 2) in place of width / 2^bits: a step then serves the same vectors at
 * any bits, and widths are those of many bits. The last wide step still fits any vector: N(y) ≤ 32
 * rms < 44 rms.
 */
#ifndef HLQ_BODY_SCALES_H
#define HLQ_BODY_SCALES_H

#include "plain.h"

#include <stdint.h>
#include <string.h>

enum {
    ALL_STEPS = 2 * HLQ_RAMP_STEPS - 1,
    NORM_UNITS = 512,   /* the encoder measures coordinates in 1/512 rms */
    SPLIT_UNITS = 8192, /* and rounds them in 1/8192 lattice units, see i_split */
};

/* Finest scale times 2^bits: the width of the code in units of the rms, by bits. Tuned on Gaussian
   blocks, which is what the rotation makes of most data. Lattices in the order of hlq_lattice. */
HLQ_TABLE float first_width[3][HLQ_BITS_MAX + 1] = {
    {0, 3.33f, 3.33f, 3.08f, 3.04f, 2.96f, 2.94f, 2.94f, 2.94f, 2.94f, 2.94f, 2.94f, 2.94f},
    {0, 3.05f, 3.05f, 2.85f, 2.74f, 2.63f, 2.63f, 2.63f, 2.63f, 2.63f, 2.63f, 2.63f, 2.63f},
    {0, 4.30f, 4.30f, 3.75f, 3.60f, 3.60f, 3.50f, 3.50f, 3.50f, 3.50f, 3.50f, 3.50f, 3.50f},
};
static const float ramp_ratio = 1.3f;
/* Width in modular form, before the spread. */
HLQ_TABLE float modular_width[3] = {4.0f, 3.6f, 4.8f};
/* Widths of the last steps of wide blocks, whatever the lattice and bits. */
HLQ_TABLE float wide_width[HLQ_RAMP_STEPS - 1] = {11.0f, 22.0f, 44.0f};
/* A scale is tried if the vector's norm is below 2^bits minus this, by bits (4 stands for more);
   then its point is tested. Small margins find more fits, and cost more trials. */
HLQ_TABLE float ramp_margin[5] = {0.0f, 0.0f, 0.0f, 0.25f, 0.5f};
/*
 * With dither nothing is tested afterwards, so the margin is for the worst case: 2, and 1/128 for
 * arithmetic: gain × y rounded three times, 2^-24 of up to 2^12 each, and to 1/8192; u beyond its
 * cell by 1/16384 in eight coordinates: together less than 1/256. The norm itself is taken of
 * coordinates rounded to 1/512 rms, which can hide 8 × ½ × ½ and its own halving ½ of these units.
 */
static const float dither_margin = 2.0f + 1.0f / 128;
enum { DITHER_NORM_MARGIN = 3 };

typedef struct {
    float scale[ALL_STEPS];   /* lattice units → rms */
    float gain[ALL_STEPS];    /* 1/512 rms → 1/8192 lattice units */
    int16_t limit[ALL_STEPS]; /* largest Voronoi norm, 1/512 rms, to try this step with */
} hlq_steps;

/* 2^(eighths/8); zero or infinite where that is below or above the normal numbers. */
HLQ_PLAIN float pow2_eighths(int eighths)
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

HLQ_PLAIN void steps_fill_one(hlq_steps *s, int step, float width, float codes)
{
    s->scale[step] = width / codes;
    s->gain[step] = (float)(SPLIT_UNITS / NORM_UNITS) / s->scale[step];
}

/* Below 2^15, as the widest step is. */
HLQ_PLAIN int16_t ramp_limit(float scale, int bits, int dithered)
{
    float codes = (float)(1 << bits), per_unit = (float)NORM_UNITS * scale;
    if (dithered) return (int16_t)((int)(per_unit * (codes - dither_margin)) - DITHER_NORM_MARGIN);
    return (int16_t)(per_unit * (codes - ramp_margin[bits < 4 ? bits : 4]));
}

/* The steps of a number of bits. In modular form all are one, 2^(spread/8) wider. */
HLQ_PLAIN void steps_fill_bits(hlq_steps *steps, hlq_lattice lattice, int bits, int modular,
                               int spread, int dithered)
{
    float codes = (float)((1 << bits) - 2 * dithered);
    float width = first_width[lattice][dithered ? HLQ_BITS_MAX : bits];
    if (modular) width = modular_width[lattice] * pow2_eighths(spread);
    for (int step = 0; step < ALL_STEPS; step++) {
        if (step >= HLQ_RAMP_STEPS && !modular) width = wide_width[step - HLQ_RAMP_STEPS];
        steps_fill_one(steps, step, width, codes);
        if (modular) continue; /* no ramp, and widths without bound */
        steps->limit[step] = ramp_limit(steps->scale[step], bits, dithered);
        width *= ramp_ratio;
    }
}

/* The steps of every number of bits; with dither, of 2 and more. */
HLQ_PLAIN void steps_fill(hlq_steps table[HLQ_BITS_MAX + 1], hlq_lattice lattice, int modular,
                          int spread, int dithered)
{
    for (int bits = 1 + dithered; bits <= HLQ_BITS_MAX; bits++) {
        steps_fill_bits(&table[bits], lattice, bits, modular, spread, dithered);
    }
}

#endif
