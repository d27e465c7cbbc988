/*
 * The functions of codec.h.
 */
#include "codec.h"
#include "levels.h"

#include <kernels/body/scales.h>

#include <math.h>

int hlq_base_of_exponents(hlq_dtype dtype, const int16_t *exponent, size_t blocks)
{
    int largest = HLQ_EXPONENT_ZERO;
    for (size_t b = 0; b < blocks; b++) {
        if (exponent[b] != HLQ_EXPONENT_NONFINITE && exponent[b] > largest) largest = exponent[b];
    }
    return base_of_largest(largest, hlq_base_limit(dtype));
}

void hlq_codes_from_exponents(const int16_t *exponent, size_t blocks, int base, uint8_t *code)
{
    for (size_t b = 0; b < blocks; b++) code[b] = code_of_exponent(exponent[b], base);
}

hlq_plan hlq_plan_segment(const hlq_frame *frame, const uint8_t *code, uint8_t *bits)
{
    size_t blocks = frame->place.blocks;
    size_t budget = frame->bytes - hlq_segment_overhead(HLQ_FORM_RAMP, blocks);
    int least = frame->dithered ? HLQ_DITHER_BITS : 0;
    return hlq_plan_bits(code, blocks, least, HLQ_BITS_MAX, HLQ_RAMP_WORDS * 4, budget, bits);
}

double hlq_energy_of_exponents(const int16_t *exponent, size_t blocks)
{
    double energy = 0;
    for (size_t b = 0; b < blocks; b++) {
        if (exponent[b] == HLQ_EXPONENT_ZERO || exponent[b] == HLQ_EXPONENT_NONFINITE) continue;
        energy += exp2(exponent[b] / 4.0);
    }
    return energy * HLQ_BLOCK_ELEMS;
}

/* Of a block of k bits, wide or not, in units of its rms: the largest scale, which is its last ramp
   step or, if it is not coded, the longest a vector of it can be; and the squared error to
   expect. */
static void predict(const hlq_run *run, double top[2][HLQ_BITS_WHOLE + 1], double *distortion)
{
    static const double second_moment[3] = {[HLQ_LATTICE_E8] = 929.0 / 12960,
                                            [HLQ_LATTICE_D4] = 13.0 / 120,
                                            [HLQ_LATTICE_Z] = 1.0 / 12};
    hlq_steps steps[HLQ_BITS_MAX + 1];
    steps_fill(steps, run->lattice, run->modular, run->spread, run->dithered);
    for (int k = 0; k <= HLQ_BITS_MAX; k++) {
        const float *scale = steps[k].scale;
        distortion[k] = hlq_plan_distortion(run->lattice, run->dithered, k);
        top[0][k] = top[1][k] = 16;
        if (k < 1 + run->dithered) continue;
        top[0][k] = run->modular ? scale[0] : scale[HLQ_RAMP_STEPS - 1];
        top[1][k] = run->modular ? scale[0] : scale[ALL_STEPS - 1];
        /* Without a ramp, rounding alone: second moment per dimension of the scaled cell. */
        if (run->modular)
            distortion[k] = second_moment[run->lattice] * (double)scale[0] * (double)scale[0];
    }
}

void hlq_code_stats_add(hlq_code_stats *stats, const hlq_run *run)
{
    double top[2][HLQ_BITS_WHOLE + 1] = {{0}}, distortion[HLQ_BITS_WHOLE + 1] = {0};
    double rms[256] = {0}; /* nothing is expected of zero and nonfinite blocks */
    double energy = 0, error = 0, largest = 0;
    predict(run, top, distortion);
    /* An octave of them, and halves: exp2() for each would be most of what statistics cost. */
    for (int c = HLQ_CODE_TOP; c > HLQ_CODE_TOP - 8; c--) rms[c] = exp2((c - HLQ_CODE_TOP) / 8.0);
    for (int c = HLQ_CODE_TOP - 8; c >= 1; c--) rms[c] = rms[c + 8] / 2;
    for (size_t b = 0; b < run->place.blocks; b++) {
        double size = rms[run->code[b]], power = size * size;
        int k = run->bits[b], wide = !run->modular && (run->wide[b / 8] >> b % 8 & 1);
        double scale = size * top[wide][k];
        energy += power;
        error += power * distortion[k];
        if (scale > largest) largest = scale;
    }
    if (energy == 0) return; /* 0 × Inf is NaN, and 2^base may be Inf */
    double unit = exp2(run->base);
    stats->energy += energy * unit * unit * HLQ_BLOCK_ELEMS;
    stats->error += error * unit * unit * HLQ_BLOCK_ELEMS;
    stats->largest_scale = fmax(stats->largest_scale, largest * unit);
}
