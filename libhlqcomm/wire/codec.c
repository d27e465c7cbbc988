/*
 * One segment end to end. Writing: exponents → codes → plan → kernels. Reading: header → plan →
 * run.
 */
#include "codec.h"
#include "plan.h"

#include <kernels/body/scales.h>

#include <math.h>

int hlq_base_of_exponents(hlq_dtype dtype, const int16_t *exponent, size_t blocks)
{
    int largest = HLQ_EXPONENT_ZERO;
    for (size_t b = 0; b < blocks; b++) {
        if (exponent[b] != HLQ_EXPONENT_NONFINITE && exponent[b] > largest) largest = exponent[b];
    }
    return largest == HLQ_EXPONENT_ZERO ? -hlq_base_limit(dtype) : (largest + 7) >> 3;
}

void hlq_codes_from_exponents(const int16_t *exponent, size_t blocks, int base, uint8_t *code)
{
    for (size_t b = 0; b < blocks; b++) {
        int c = exponent[b] - 8 * base + HLQ_CODE_TOP;
        if (exponent[b] == HLQ_EXPONENT_NONFINITE) code[b] = HLQ_CODE_NONFINITE;
        else if (exponent[b] == HLQ_EXPONENT_ZERO || c < 1) code[b] = HLQ_CODE_ZERO;
        else code[b] = (uint8_t)c;
    }
}

/* What a RAMP segment has left for side words and planes is the budget of its plan. */
static hlq_plan plan_segment(const hlq_frame *frame, const uint8_t *code, uint8_t *bits)
{
    size_t blocks = frame->place.blocks;
    size_t budget = frame->bytes - hlq_segment_overhead(HLQ_FORM_RAMP, blocks);
    return hlq_plan_bits(code, blocks, HLQ_BITS_MAX, HLQ_RAMP_WORDS * 4, budget, bits);
}

void hlq_segment_encode(const hlq_kernels *kernels, const hlq_frame *frame, const hlq_source *src,
                        hlq_scratch scratch, uint8_t *segment, hlq_code_stats *stats)
{
    size_t blocks = frame->place.blocks;
    kernels->exponents(&frame->place, src, scratch.exponent);
    int base = hlq_base_of_exponents(frame->dtype, scratch.exponent, blocks);
    hlq_run run = hlq_segment_begin(frame, base, segment);
    uint8_t *code = segment + HLQ_HEADER_BYTES;
    hlq_codes_from_exponents(scratch.exponent, blocks, base, code);
    hlq_plan plan = plan_segment(frame, code, scratch.bits);
    run.bits = scratch.bits;
    uint8_t *end = hlq_segment_lay_out(frame, &run, plan.coded, plan.planes, segment);
    memset(end, 0, (size_t)(segment + frame->bytes - end));
    stats->overloads += kernels->encode(&run, src);
    hlq_segment_seal(frame, segment);
    hlq_code_stats_add(stats, &run);
}

hlq_status hlq_segment_read(const hlq_frame *frame, uint8_t *segment, uint8_t *bits, hlq_run *run,
                            char *error)
{
    hlq_status status = hlq_segment_open(frame, segment, run, error);
    if (status != HLQ_OK) return status;
    hlq_plan plan = plan_segment(frame, run->code, bits);
    run->bits = bits;
    hlq_segment_lay_out(frame, run, plan.coded, plan.planes, segment);
    return HLQ_OK;
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
static void predict(const hlq_run *run, double top[2][HLQ_BITS_MAX + 1], double *distortion)
{
    static const double second_moment[3] = {[HLQ_LATTICE_E8] = 929.0 / 12960,
                                            [HLQ_LATTICE_D4] = 13.0 / 120,
                                            [HLQ_LATTICE_Z] = 1.0 / 12};
    hlq_steps steps[HLQ_BITS_MAX + 1];
    steps_fill(steps, run->lattice, run->modular, run->spread);
    top[0][0] = top[1][0] = 16;
    for (int k = 0; k <= HLQ_BITS_MAX; k++) {
        const float *scale = steps[k].scale;
        distortion[k] = hlq_plan_distortion(run->lattice, k);
        if (!k) continue;
        top[0][k] = run->modular ? scale[0] : scale[HLQ_RAMP_STEPS - 1];
        top[1][k] = run->modular ? scale[0] : scale[ALL_STEPS - 1];
        /* Without a ramp, rounding alone: second moment per dimension of the scaled cell. */
        if (run->modular)
            distortion[k] = second_moment[run->lattice] * (double)scale[0] * (double)scale[0];
    }
}

void hlq_code_stats_add(hlq_code_stats *stats, const hlq_run *run)
{
    double top[2][HLQ_BITS_MAX + 1], distortion[HLQ_BITS_MAX + 1];
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
