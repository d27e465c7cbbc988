/*
 * Coded runs: blocks of a source to side words and planes, and back (kernels.h says what each
 * function does).
 */
#ifndef HLQ_BODY_CODED_H
#define HLQ_BODY_CODED_H

#include "../kernels.h"
#include "../cpu/fp_env.h"
#include "source.h"

HLQ_BODY int exponent_of(const hlq_run *run, size_t b)
{
    return run->code[b] - HLQ_CODE_TOP + 8 * run->base;
}

/* Where the walk through a run stands: side words and planes of coded blocks follow each other. */
typedef struct {
    uint32_t *side, *planes;
} cursor;

HLQ_BODY cursor cursor_start(const hlq_run *run) { return (cursor){run->side, run->planes}; }

HLQ_BODY void cursor_advance(const hlq_run *run, size_t b, cursor *at)
{
    at->side += run->modular ? 1 : HLQ_RAMP_WORDS;
    at->planes += (size_t)run->bits[b] * HLQ_PLANE_WORDS;
}

HLQ_BODY ramp_choice ramp_of(const hlq_run *run, size_t b, const cursor *at)
{
    if (run->modular) return (ramp_choice){0, 0, 0};
    return (ramp_choice){at->side[0], at->side[1], run->wide[b / 8] >> b % 8 & 1};
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
HLQ_BODY void residual_uncoded(const hlq_run *run, const hlq_source *src, size_t b,
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
HLQ_BODY void residual_coded(const hlq_run *run, const hlq_source *src, size_t b,
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

HLQ_BODY uint64_t encode_run(hlq_lattice lattice, int dithered, const hlq_run *run,
                             const hlq_source *src)
{
    hlq_steps steps[HLQ_BITS_MAX + 1];
    steps_fill(steps, lattice, run->modular, run->spread, dithered);
    cursor at = cursor_start(run);
    uint64_t beyond = 0;
    if (run->wide) memset(run->wide, 0, (run->place.blocks + 7) / 8);
    for (size_t b = 0; b < run->place.blocks; b++) {
        int bits = run->bits[b];
        uint32_t sign[HLQ_ROWS];
        if (bits || src->residual) sign_words(run->place.seed, position(&run->place, b), sign);
        if (!bits) {
            if (src->residual) residual_uncoded(run, src, b, sign);
            continue;
        }
        F y[HLQ_ROWS], sent[HLQ_ROWS], dither[HLQ_ROWS];
        I point[HLQ_ROWS], z[HLQ_ROWS];
        fetch_source(&run->place, src, b + 2);
        ramp_choice ramp = {0, 0, 0};
        load_rotated(run, src, b, sign, y);
        const F *u = dither_of(lattice, dithered, run, b, dither);
        if (run->modular) {
            quantize(lattice, y, f_set(steps[bits].gain[0]), NULL, point);
            beyond += overloaded(lattice, point, bits) != 0;
            at.side[0] = check_sum(point);
        } else {
            ramp = quantize_on_ramp(lattice, &steps[bits], bits, y, u, point);
            beyond += (uint64_t)ramp.wide;
            run->wide[b / 8] |= (uint8_t)(ramp.wide << b % 8);
            at.side[0] = ramp.bit0;
            at.side[1] = ramp.bit1;
        }
        codes_from_point(lattice, HLQ_ROWS, point, z);
        planes_store(z, bits, at.planes);
        if (src->residual) {
            scale_points(&steps[bits], ramp, NORM_UNITS, point, u, sent);
            residual_coded(run, src, b, sign, y, sent);
        }
        cursor_advance(run, b, &at);
    }
    return beyond;
}

HLQ_BODY uint64_t decode_run(hlq_lattice lattice, int dithered, const hlq_run *run, float factor,
                             hlq_dtype dtype, void *out, size_t elems, uint8_t *failed)
{
    hlq_steps steps[HLQ_BITS_MAX + 1];
    steps_fill(steps, lattice, run->modular, run->spread, dithered);
    cursor at = cursor_start(run);
    uint64_t failures = 0;
    for (size_t b = 0; b < run->place.blocks; b++) {
        int bits = run->bits[b];
        F x[HLQ_ROWS], dither[HLQ_ROWS];
        if (!bits) {
            fill_rows(x, run->code[b] == HLQ_CODE_NONFINITE ? not_a_number : 0.0f);
            store_block(out, dtype, 0, elems, position(&run->place, b), x);
            continue;
        }
        I point[HLQ_ROWS];
        points_from_planes(lattice, bits, at.planes, point);
        if (failed && check_sum(point) != at.side[0]) {
            failed[b / 8] |= (uint8_t)(1 << b % 8);
            failures++;
        } else {
            uint32_t sign[HLQ_ROWS];
            int unit = unit_of(dtype, exponent_of(run, b));
            sign_words(run->place.seed, position(&run->place, b), sign);
            const F *u = dither_of(lattice, dithered, run, b, dither);
            coordinates(steps, run, b, &at, 1.0f, point, u, x);
            unrotate(x, sign);
            scale_rows(x, exponent_of(run, b) - 8 * unit, factor / 16);
            store_block(out, dtype, unit, elems, position(&run->place, b), x);
        }
        cursor_advance(run, b, &at);
    }
    return failures;
}

HLQ_BODY void decode_add_run(hlq_lattice lattice, int dithered, const hlq_run *run, int unit,
                             float *acc)
{
    hlq_steps steps[HLQ_BITS_MAX + 1];
    steps_fill(steps, lattice, run->modular, run->spread, dithered);
    cursor at = cursor_start(run);
    for (size_t b = 0; b < run->place.blocks; b++, acc += HLQ_BLOCK_ELEMS) {
        int bits = run->bits[b];
        if (!bits && run->code[b] != HLQ_CODE_NONFINITE) continue;
        F y[HLQ_ROWS], sum[HLQ_ROWS], dither[HLQ_ROWS];
        load_full(acc, HLQ_FLOAT32, 0, sum);
        if (bits) {
            I point[HLQ_ROWS];
            points_from_planes(lattice, bits, at.planes, point);
            float size = pow2_eighths(exponent_of(run, b) - 8 * unit);
            const F *u = dither_of(lattice, dithered, run, b, dither);
            coordinates(steps, run, b, &at, size, point, u, y);
            cursor_advance(run, b, &at);
        } else {
            fill_rows(y, not_a_number);
        }
        for (int r = 0; r < HLQ_ROWS; r++) sum[r] = f_add(sum[r], y[r]);
        store_full(acc, HLQ_FLOAT32, 0, sum);
    }
}

/* A copy of the code for each lattice. Those with dither are functions of their own, so that
   compilers make of the others what they make without. */
#define FOR_LATTICE(lattice, call)                                                                 \
    switch (lattice) {                                                                             \
    case HLQ_LATTICE_E8: call(HLQ_LATTICE_E8); break;                                              \
    case HLQ_LATTICE_D4: call(HLQ_LATTICE_D4); break;                                              \
    case HLQ_LATTICE_Z: call(HLQ_LATTICE_Z); break;                                                \
    }
#define HLQ_APART static __attribute__((noinline))

HLQ_APART uint64_t encode_with(const hlq_run *run, const hlq_source *src)
{
    uint64_t beyond = 0;
#define CALL(lattice) beyond = encode_run(lattice, 1, run, src)
    FOR_LATTICE(run->lattice, CALL)
#undef CALL
    return beyond;
}

HLQ_APART uint64_t encode_without(const hlq_run *run, const hlq_source *src)
{
    uint64_t beyond = 0;
#define CALL(lattice) beyond = encode_run(lattice, 0, run, src)
    FOR_LATTICE(run->lattice, CALL)
#undef CALL
    return beyond;
}

static uint64_t encode(const hlq_run *run, const hlq_source *src)
{
    fp_env saved = fp_env_enter();
    uint64_t beyond = run->dithered ? encode_with(run, src) : encode_without(run, src);
    fp_env_leave(saved);
    return beyond;
}

HLQ_APART void decode_with(const hlq_run *run, float factor, hlq_dtype dtype, void *out,
                           size_t elems)
{
    hlq_lattice lattice = run->lattice;
#define CALL(lattice) decode_run(lattice, 1, run, factor, dtype, out, elems, NULL)
    FOR_LATTICE(lattice, CALL)
#undef CALL
}

HLQ_APART uint64_t decode_without(const hlq_run *run, float factor, hlq_dtype dtype, void *out,
                                  size_t elems, uint8_t *failed)
{
    uint64_t failures = 0;
#define CALL(lattice) failures = decode_run(lattice, 0, run, factor, dtype, out, elems, failed)
    FOR_LATTICE(run->lattice, CALL)
#undef CALL
    return failures;
}

static uint64_t decode(const hlq_run *run, float factor, hlq_dtype dtype, void *out, size_t elems,
                       uint8_t *failed)
{
    fp_env saved = fp_env_enter();
    uint64_t failures = 0;
    if (run->dithered) decode_with(run, factor, dtype, out, elems);
    else failures = decode_without(run, factor, dtype, out, elems, failed);
    fp_env_leave(saved);
    return failures;
}

HLQ_APART void decode_add_with(const hlq_run *run, int unit, float *acc)
{
    hlq_lattice lattice = run->lattice;
#define CALL(lattice) decode_add_run(lattice, 1, run, unit, acc)
    FOR_LATTICE(lattice, CALL)
#undef CALL
}

HLQ_APART void decode_add_without(const hlq_run *run, int unit, float *acc)
{
#define CALL(lattice) decode_add_run(lattice, 0, run, unit, acc)
    FOR_LATTICE(run->lattice, CALL)
#undef CALL
}

static void decode_add(const hlq_run *run, int unit, float *acc)
{
    fp_env saved = fp_env_enter();
    if (run->dithered) decode_add_with(run, unit, acc);
    else decode_add_without(run, unit, acc);
    fp_env_leave(saved);
}

#endif
