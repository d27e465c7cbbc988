/*
 * One segment end to end. Writing: exponents → codes → plan → kernels. Reading: header → plan →
 * run.
 */
#include "codec.h"
#include "plan.h"

#include <kernels/body/scales.h>

#include <hlqcomm/transport.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

/* In half a byte, a block's 12 bits at most, or all of its 32. */
enum { WHOLE_ON_WIRE = 15 };

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
    int least = frame->dithered ? HLQ_DITHER_BITS : 0;
    return hlq_plan_bits(code, blocks, least, HLQ_BITS_MAX, HLQ_RAMP_WORDS * 4, budget, bits);
}

/* What blocks of these bits take. */
static hlq_plan count_bits(const uint8_t *bits, size_t blocks)
{
    hlq_plan plan = {0, 0};
    for (size_t b = 0; b < blocks; b++) {
        plan.coded += bits[b] != 0;
        plan.planes += bits[b];
    }
    return plan;
}

static void put_bits(const uint8_t *bits, size_t blocks, uint8_t *packed)
{
    for (size_t b = 0; b < blocks; b++) {
        int half = bits[b] == HLQ_BITS_WHOLE ? WHOLE_ON_WIRE : bits[b];
        packed[b / 2] |= (uint8_t)(half << b % 2 * 4);
    }
}

/* Everything after the codes of a RAMP segment. Returns the end, which its size is known to be. */
static uint8_t *encode_planned(const hlq_kernels *kernels, const hlq_frame *frame,
                               const hlq_source *src, hlq_run *run, hlq_scratch scratch,
                               uint8_t *segment, uint64_t *overloads)
{
    hlq_plan plan = plan_segment(frame, run->code, scratch.bits);
    uint8_t *end = hlq_segment_lay_out(frame, run, plan.coded, plan.planes, segment);
    memset(end, 0, (size_t)(segment + frame->bytes - end));
    *overloads += kernels->encode(run, src);
    return segment + frame->bytes;
}

/* Of a BOUND segment. Small blocks count, too: with the least code, larger than they are. Until
   blocks have their bits, every one has room for side words. */
static uint8_t *encode_within(const hlq_kernels *kernels, const hlq_frame *frame,
                              const hlq_source *src, hlq_run *run, hlq_scratch scratch,
                              uint8_t *segment, uint64_t *overloads)
{
    size_t blocks = frame->place.blocks;
    uint8_t *code = segment + HLQ_HEADER_BYTES, *bits = scratch.bits;
    for (size_t b = 0; b < blocks; b++) {
        code[b] += code[b] == HLQ_CODE_ZERO && scratch.exponent[b] != HLQ_EXPONENT_ZERO;
    }
    hlq_segment_lay_out(frame, run, blocks, 0, segment);
    const uint32_t *planes = run->planes;
    *overloads += kernels->encode_within(run, src, frame->allowed, bits);
    hlq_plan plan = count_bits(bits, blocks);
    put_bits(bits, blocks, hlq_segment_bits(blocks, segment));
    uint8_t *end = hlq_segment_lay_out(frame, run, plan.coded, plan.planes, segment);
    memmove(run->planes, planes, plan.planes * HLQ_PLANE_BYTES);
    return end;
}

size_t hlq_segment_encode(const hlq_kernels *kernels, const hlq_frame *frame, const hlq_source *src,
                          hlq_scratch scratch, uint8_t *segment, hlq_code_stats *stats)
{
    size_t blocks = frame->place.blocks;
    int is_bound = frame->form == HLQ_FORM_BOUND;
    kernels->exponents(&frame->place, src, scratch.exponent);
    int base = hlq_base_of_exponents(frame->dtype, scratch.exponent, blocks);
    hlq_run run = hlq_segment_begin(frame, base, segment);
    hlq_codes_from_exponents(scratch.exponent, blocks, base, segment + HLQ_HEADER_BYTES);
    run.bits = scratch.bits;
    uint8_t *end = (is_bound ? encode_within : encode_planned)(kernels, frame, src, &run, scratch,
                                                               segment, &stats->overloads);
    hlq_frame made = *frame;
    made.bytes = (size_t)(end - segment);
    hlq_segment_seal(&made, segment);
    hlq_code_stats_add(stats, &run);
    return made.bytes;
}

/* The bits that a BOUND segment says its blocks have, and whether they are its whole size. */
static hlq_status read_bits(const hlq_frame *frame, uint8_t *segment, const uint8_t *code,
                            uint8_t *bits, hlq_plan *plan, char *error)
{
    size_t blocks = frame->place.blocks;
    const uint8_t *packed = hlq_segment_bits(blocks, segment);
    for (size_t b = 0; b < blocks; b++) {
        int half = packed[b / 2] >> b % 2 * 4 & 15;
        int is_special = code[b] == HLQ_CODE_ZERO || code[b] == HLQ_CODE_NONFINITE;
        if (half == 1 || (half > HLQ_BITS_MAX && half < WHOLE_ON_WIRE) || (half && is_special)) {
            snprintf(error, HLQ_ERROR_BYTES, "a message has %d bits for a block of code %d", half,
                     code[b]);
            return HLQ_E_WIRE;
        }
        bits[b] = (uint8_t)(half == WHOLE_ON_WIRE ? HLQ_BITS_WHOLE : half);
    }
    *plan = count_bits(bits, blocks);
    size_t expected = hlq_segment_overhead(frame->form, blocks) + plan->coded * HLQ_RAMP_WORDS * 4 +
                      plan->planes * HLQ_PLANE_BYTES;
    if (expected == frame->bytes) return HLQ_OK;
    snprintf(error, HLQ_ERROR_BYTES, "a message has %zu bytes where its blocks take %zu",
             frame->bytes, expected);
    return HLQ_E_WIRE;
}

hlq_status hlq_segment_read(const hlq_frame *frame, uint8_t *segment, uint8_t *bits, hlq_run *run,
                            char *error)
{
    hlq_status status = hlq_segment_open(frame, segment, run, error);
    if (status != HLQ_OK) return status;
    hlq_plan plan;
    if (frame->form == HLQ_FORM_BOUND) {
        status = read_bits(frame, segment, run->code, bits, &plan, error);
    } else {
        plan = plan_segment(frame, run->code, bits);
    }
    run->bits = bits;
    if (status == HLQ_OK) hlq_segment_lay_out(frame, run, plan.coded, plan.planes, segment);
    return status;
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
