/*
 * One block of a coded run: from its source to side words and planes, and back. coded_run.h and
 * kernels/cuda/ walk over runs with these.
 */
#ifndef HLQ_BODY_CODED_H
#define HLQ_BODY_CODED_H

#include "../kernels.h"
#include "plain.h"
#include "source.h"

HLQ_BODY int exponent_of(const hlq_run *run, size_t b)
{
    return run->code[b] - HLQ_CODE_TOP + 8 * run->base;
}

/* Where the walk through a run stands: side words and planes of coded blocks follow each other. */
typedef struct {
    uint32_t *side, *planes;
} cursor;

HLQ_BODY cursor cursor_start(const hlq_run *run)
{
    cursor at = {run->side, run->planes};
    return at;
}

HLQ_BODY void cursor_advance(const hlq_run *run, size_t b, cursor *at)
{
    at->side += run->modular ? 1 : HLQ_RAMP_WORDS;
    at->planes += (size_t)run->bits[b] * HLQ_PLANE_WORDS;
}

HLQ_BODY ramp_choice ramp_of(const hlq_run *run, size_t b, const cursor *at)
{
    if (run->modular) return no_ramp();
    ramp_choice ramp = {at->side[0], at->side[1], run->wide[b / 8] >> b % 8 & 1};
    return ramp;
}

/* The points of a block of at most 12 bits, less its dither, in units of the rms, times factor; of
   a whole block its numbers. */
HLQ_BODY void coordinates(const hlq_steps *steps, const hlq_run *run, size_t b, const cursor *at,
                          float factor, const I point[HLQ_ROWS], const F *u, F y[HLQ_ROWS])
{
    int bits = run->bits[b];
    if (bits == HLQ_BITS_WHOLE) {
        load_full(at->planes, HLQ_FLOAT32, 0, y);
        scale_rows(y, 0, factor / NORM_UNITS);
    } else {
        scale_points(&steps[bits], ramp_of(run, b, at), factor, point, u, y);
    }
}

/* A block without codes leaves all of itself in the residual; a non-finite one nothing. */
HLQ_APART void residual_uncoded(const hlq_run *run, const hlq_source *src, size_t b,
                                const uint32_t sign[HLQ_ROWS])
{
    F x[HLQ_ROWS];
    if (run->code[b] == HLQ_CODE_NONFINITE) {
        fill_rows(x, 0.0f);
    } else {
        load_source(&run->place, src, b, 0, x);
        if (src->rotated) {
            unrotate(x, sign);
            scale_rows(x, 8 * src->unit, 1.0f / 16);
        }
    }
    store_block(src->residual, HLQ_FLOAT32, 0, src->elems, position(&run->place, b), x);
}

/* residual = y (1/512 rms, rotated) minus the points, rotated back. */
HLQ_APART void residual_coded(const hlq_run *run, const hlq_source *src, size_t b,
                              const uint32_t sign[HLQ_ROWS], const F y[HLQ_ROWS],
                              const F sent[HLQ_ROWS])
{
    F x[HLQ_ROWS];
    for (int r = 0; r < HLQ_ROWS; r++) x[r] = f_sub(y[r], sent[r]);
    unrotate(x, sign);
    scale_rows(x, exponent_of(run, b), 1.0f / (16 * NORM_UNITS));
    store_block(src->residual, HLQ_FLOAT32, 0, src->elems, position(&run->place, b), x);
}

/* Source → coordinates in 1/512 rms, rotated. In modular form the scale is that of all ranks, and
   may be too fine for denormals, which count as zero. */
HLQ_BODY void load_rotated(const hlq_run *run, const hlq_source *src, size_t b,
                           const uint32_t sign[HLQ_ROWS], F y[HLQ_ROWS])
{
    int unit = src->rotated ? src->unit : unit_of(src->dtype, exponent_of(run, b));
    load_source(&run->place, src, b, unit, y);
    if (run->modular && counts_as_zero(y)) fill_rows(y, 0.0f);
    if (src->rotated) {
        scale_rows(y, 8 * unit - exponent_of(run, b), NORM_UNITS);
    } else {
        scale_rows(y, 8 * unit - exponent_of(run, b), NORM_UNITS / 16.0f);
        rotate(y, sign);
    }
}

/* The dither of block b; `dithered` is a constant, so that runs without have none of this. */
HLQ_BODY const F *dither_of(hlq_lattice lattice, int dithered, const hlq_run *run, size_t b,
                            F u[HLQ_ROWS])
{
    if (!dithered) return NULL;
    dither_rows(lattice, run->dither_key, position(&run->place, b), u);
    return u;
}

/* A block that has bits, and its residual. Returns 1 if it had to go wide, or in modular form, had
   a vector out of range. */
HLQ_BODY int encode_block(hlq_lattice lattice, int dithered, const hlq_steps *steps,
                          const hlq_run *run, const hlq_source *src, size_t b,
                          const uint32_t sign[HLQ_ROWS], const cursor *at)
{
    int bits = run->bits[b], beyond;
    F y[HLQ_ROWS], sent[HLQ_ROWS], dither[HLQ_ROWS];
    I point[HLQ_ROWS], z[HLQ_ROWS];
    ramp_choice ramp = no_ramp();
    load_rotated(run, src, b, sign, y);
    const F *u = dither_of(lattice, dithered, run, b, dither);
    if (run->modular) {
        quantize(lattice, y, f_set(steps[bits].gain[0]), NULL, point);
        beyond = overloaded(lattice, point, bits) != 0;
        at->side[0] = check_sum(point);
    } else {
        ramp = quantize_on_ramp(lattice, &steps[bits], bits, y, u, point);
        beyond = ramp.wide;
        at->side[0] = ramp.bit0;
        at->side[1] = ramp.bit1;
    }
    codes_from_point(lattice, HLQ_ROWS, point, z);
    planes_store(z, bits, at->planes);
    if (src->residual) {
        scale_points(&steps[bits], ramp, NORM_UNITS, point, u, sent);
        residual_coded(run, src, b, sign, y, sent);
    }
    return beyond;
}

/* A block of the tensor out. With is_checked, one whose check does not match is left unwritten, and
   1 returned. */
HLQ_BODY int decode_block(hlq_lattice lattice, int dithered, const hlq_steps *steps,
                          const hlq_run *run, size_t b, const cursor *at, int is_checked,
                          float factor, hlq_dtype dtype, void *out, size_t elems)
{
    int bits = run->bits[b];
    uint64_t index = position(&run->place, b);
    F x[HLQ_ROWS], dither[HLQ_ROWS];
    I point[HLQ_ROWS];
    uint32_t sign[HLQ_ROWS];
    if (!bits) {
        fill_rows(x, run->code[b] == HLQ_CODE_NONFINITE ? not_a_number : 0.0f);
        store_block(out, dtype, 0, elems, index, x);
        return 0;
    }
    points_from_planes(lattice, bits, at->planes, point);
    if (is_checked && check_sum(point) != at->side[0]) return 1;
    int unit = unit_of(dtype, exponent_of(run, b));
    sign_words(run->place.seed, index, sign);
    const F *u = dither_of(lattice, dithered, run, b, dither);
    coordinates(steps, run, b, at, 1.0f, point, u, x);
    unrotate(x, sign);
    scale_rows(x, exponent_of(run, b) - 8 * unit, factor / 16);
    store_block(out, dtype, unit, elems, index, x);
    return 0;
}

HLQ_BODY int adds_nothing(const hlq_run *run, size_t b)
{
    return !run->bits[b] && run->code[b] != HLQ_CODE_NONFINITE;
}

/* A block that adds something, to sum, in units of 2^unit. */
HLQ_BODY void add_coded(hlq_lattice lattice, int dithered, const hlq_steps *steps,
                        const hlq_run *run, size_t b, const cursor *at, int unit, F sum[HLQ_ROWS])
{
    F y[HLQ_ROWS], dither[HLQ_ROWS];
    I point[HLQ_ROWS];
    if (run->bits[b]) {
        points_from_planes(lattice, run->bits[b], at->planes, point);
        float size = pow2_eighths(exponent_of(run, b) - 8 * unit);
        const F *u = dither_of(lattice, dithered, run, b, dither);
        coordinates(steps, run, b, at, size, point, u, y);
    } else {
        fill_rows(y, not_a_number);
    }
    for (int r = 0; r < HLQ_ROWS; r++) sum[r] = f_add(sum[r], y[r]);
}

/* A copy of the code for each lattice. */
#define FOR_LATTICE(lattice, call)                                                                 \
    switch (lattice) {                                                                             \
    case HLQ_LATTICE_E8: call(HLQ_LATTICE_E8); break;                                              \
    case HLQ_LATTICE_D4: call(HLQ_LATTICE_D4); break;                                              \
    case HLQ_LATTICE_Z: call(HLQ_LATTICE_Z); break;                                                \
    }

#endif
