/*
 * Runs of blocks, and the table of functions that a variant offers (kernels.h says what each does).
 * Included once by every kernels/cpu/<variant>.c after its lane words and HLQ_VARIANT_NAME.
 */
#ifndef HLQ_BODY_RUN_H
#define HLQ_BODY_RUN_H

#include "../kernels.h"
#include "../hnlq.h"
#include "../look_up.h"
#include "../cpu/fp_env.h"
#include "check_weights.h"
#include "rotate.h"
#include "nearest.h"
#include "codes.h"
#include "planes.h"
#include "scales.h"
#include "block.h"
#include "tensor.h"

static const float not_a_number = __builtin_nanf("");

HLQ_BODY uint64_t position(const hlq_place *place, size_t i)
{
    return place->list ? place->list[i] : place->first + i * place->stride;
}

/* Block i of a source, residual added; a float64 tensor in units of 2^unit. */
HLQ_BODY void load_source(const hlq_place *place, const hlq_source *src, size_t i, int unit,
                          F x[HLQ_ROWS])
{
    if (src->rotated) {
        load_full((const float *)src->data + i * HLQ_BLOCK_ELEMS, HLQ_FLOAT32, 0, x);
        return;
    }
    load_block(src->data, src->dtype, unit, src->elems, position(place, i), x);
    if (src->residual) {
        F more[HLQ_ROWS];
        load_block(src->residual, HLQ_FLOAT32, 0, src->elems, position(place, i), more);
        for (int r = 0; r < HLQ_ROWS; r++) x[r] = f_add(x[r], more[r]);
    }
}

HLQ_BODY void fill_rows(F x[HLQ_ROWS], float value)
{
    for (int r = 0; r < HLQ_ROWS; r++) x[r] = f_set(value);
}

/*
 * ⌈8 log2 rms⌉ from the largest |x| and the sum of squares of x / 2^scale, where scale is the
 * exponent of the largest, so that squares neither overflow nor vanish.
 */
HLQ_BODY int exponent_from_squares(float squares, int scale)
{
    /* 2^(j/4): 4 log2 of the sum rounds up to the count of these that its mantissa exceeds */
    static const float quarter[4] = {1.0f, 1.18920712f, 1.41421356f, 1.68179283f};
    uint32_t u;
    memcpy(&u, &squares, sizeof u);
    int exponent = (int)(u >> 23) - 127;
    u = (u & 0x7fffff) | 0x3f800000;
    float mantissa;
    memcpy(&mantissa, &u, sizeof mantissa);
    int eighths = 4 * exponent;
    for (int j = 0; j < 4; j++) eighths += mantissa > quarter[j];
    return eighths - 4 * 8 + 8 * scale; /* mean of 256 = 2^8 squares */
}

HLQ_BODY int16_t block_exponent(const F x[HLQ_ROWS])
{
    uint32_t bad = 0;
    F largest = f_max_abs(x[0], x[0]);
    for (int r = 0; r < HLQ_ROWS; r++) bad |= f_abs_not_below(x[r], __builtin_inff());
    if (bad) return HLQ_EXPONENT_NONFINITE;
    for (int r = 1; r < HLQ_ROWS; r++) largest = f_max_abs(largest, x[r]);
    float top = f_max_lanes(largest);
    uint32_t u;
    memcpy(&u, &top, sizeof u);
    int scale = (int)(u >> 23) - 127;
    if (scale < -126) return HLQ_EXPONENT_ZERO; /* zeros and denormals */
    F squares = f_set(0.0f), down = f_set(pow2_eighths(-8 * (scale < 126 ? scale : 126)));
    for (int r = 0; r < HLQ_ROWS; r++) {
        F y = f_mul(x[r], down);
        squares = f_add(squares, f_mul(y, y));
    }
    return (int16_t)exponent_from_squares(f_sum_lanes(squares), scale < 126 ? scale : 126);
}

HLQ_BODY int is_special(int exponent)
{
    return exponent == HLQ_EXPONENT_ZERO || exponent == HLQ_EXPONENT_NONFINITE;
}

static void exponents(const hlq_place *place, const hlq_source *src, int16_t *exponent)
{
    fp_env saved = fp_env_enter();
    for (size_t b = 0; b < place->blocks; b++) {
        F x[HLQ_ROWS];
        int unit = src->rotated ? src->unit : 0;
        if (src->dtype == HLQ_FLOAT64) {
            int octave = double_octave(src->data, src->elems, position(place, b));
            exponent[b] = (int16_t)octave;
            if (is_special(octave)) continue;
            unit = unit_of(HLQ_FLOAT64, 8 * octave);
        }
        load_source(place, src, b, unit, x);
        exponent[b] = block_exponent(x);
        if (!is_special(exponent[b])) exponent[b] = (int16_t)(exponent[b] + 8 * unit);
    }
    fp_env_leave(saved);
}

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

/* The points of a block of at most 12 bits, in units of the rms, times factor; else its numbers. */
HLQ_BODY void coordinates(const hlq_steps *steps, const hlq_run *run, size_t b, const cursor *at,
                          float factor, const I point[HLQ_ROWS], F y[HLQ_ROWS])
{
    int bits = run->bits[b];
    if (bits == HLQ_BITS_WHOLE) {
        load_full(at->planes, HLQ_FLOAT32, 0, y);
        scale_rows(y, 0, factor / NORM_UNITS);
    } else {
        scale_points(&steps[bits], ramp_of(run, b, at), factor, point, y);
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

/* Whether exponents() takes the block for zero. */
HLQ_BODY int counts_as_zero(const F x[HLQ_ROWS])
{
    uint32_t normal = 0;
    for (int r = 0; r < HLQ_ROWS; r++) normal |= f_abs_not_below(x[r], 0x1p-126f);
    return !normal;
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

HLQ_BODY uint64_t encode_run(hlq_lattice lattice, const hlq_run *run, const hlq_source *src)
{
    hlq_steps steps[HLQ_BITS_MAX + 1];
    steps_fill(steps, lattice, run->modular, run->spread);
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
        F y[HLQ_ROWS], sent[HLQ_ROWS];
        I point[HLQ_ROWS], z[HLQ_ROWS];
        ramp_choice ramp = {0, 0, 0};
        load_rotated(run, src, b, sign, y);
        if (run->modular) {
            quantize(lattice, y, f_set(steps[bits].gain[0]), point);
            beyond += overloaded(lattice, point, bits) != 0;
            at.side[0] = check_sum(point);
        } else {
            ramp = quantize_on_ramp(lattice, &steps[bits], bits, y, point);
            beyond += (uint64_t)ramp.wide;
            run->wide[b / 8] |= (uint8_t)(ramp.wide << b % 8);
            at.side[0] = ramp.bit0;
            at.side[1] = ramp.bit1;
        }
        codes_from_point(lattice, HLQ_ROWS, point, z);
        planes_store(z, bits, at.planes);
        if (src->residual) {
            scale_points(&steps[bits], ramp, NORM_UNITS, point, sent);
            residual_coded(run, src, b, sign, y, sent);
        }
        cursor_advance(run, b, &at);
    }
    return beyond;
}

HLQ_BODY uint64_t decode_run(hlq_lattice lattice, const hlq_run *run, float factor, hlq_dtype dtype,
                             void *out, size_t elems, uint8_t *failed)
{
    hlq_steps steps[HLQ_BITS_MAX + 1];
    steps_fill(steps, lattice, run->modular, run->spread);
    cursor at = cursor_start(run);
    uint64_t failures = 0;
    for (size_t b = 0; b < run->place.blocks; b++) {
        int bits = run->bits[b];
        F x[HLQ_ROWS];
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
            coordinates(steps, run, b, &at, 1.0f, point, x);
            unrotate(x, sign);
            scale_rows(x, exponent_of(run, b) - 8 * unit, factor / 16);
            store_block(out, dtype, unit, elems, position(&run->place, b), x);
        }
        cursor_advance(run, b, &at);
    }
    return failures;
}

HLQ_BODY void decode_add_run(hlq_lattice lattice, const hlq_run *run, int unit, float *acc)
{
    hlq_steps steps[HLQ_BITS_MAX + 1];
    steps_fill(steps, lattice, run->modular, run->spread);
    cursor at = cursor_start(run);
    for (size_t b = 0; b < run->place.blocks; b++, acc += HLQ_BLOCK_ELEMS) {
        int bits = run->bits[b];
        if (!bits && run->code[b] != HLQ_CODE_NONFINITE) continue;
        F y[HLQ_ROWS], sum[HLQ_ROWS];
        load_full(acc, HLQ_FLOAT32, 0, sum);
        if (bits) {
            float size = pow2_eighths(exponent_of(run, b) - 8 * unit);
            I point[HLQ_ROWS];
            points_from_planes(lattice, bits, at.planes, point);
            coordinates(steps, run, b, &at, size, point, y);
            cursor_advance(run, b, &at);
        } else {
            fill_rows(y, not_a_number);
        }
        for (int r = 0; r < HLQ_ROWS; r++) sum[r] = f_add(sum[r], y[r]);
        store_full(acc, HLQ_FLOAT32, 0, sum);
    }
}

#include "within.h"

#define FOR_LATTICE(lattice, call)                                                                 \
    switch (lattice) {                                                                             \
    case HLQ_LATTICE_E8: call(HLQ_LATTICE_E8); break;                                              \
    case HLQ_LATTICE_D4: call(HLQ_LATTICE_D4); break;                                              \
    case HLQ_LATTICE_Z: call(HLQ_LATTICE_Z); break;                                                \
    }

static uint64_t encode(const hlq_run *run, const hlq_source *src)
{
    fp_env saved = fp_env_enter();
    uint64_t beyond = 0;
#define CALL(lattice) beyond = encode_run(lattice, run, src)
    FOR_LATTICE(run->lattice, CALL)
#undef CALL
    fp_env_leave(saved);
    return beyond;
}

static uint64_t encode_within(const hlq_run *run, const hlq_source *src, double allowed,
                              uint8_t *bits)
{
    fp_env saved = fp_env_enter();
    uint64_t beyond = 0;
#define CALL(lattice) beyond = encode_within_run(lattice, run, src, allowed, bits)
    FOR_LATTICE(run->lattice, CALL)
#undef CALL
    fp_env_leave(saved);
    return beyond;
}

static uint64_t decode(const hlq_run *run, float factor, hlq_dtype dtype, void *out, size_t elems,
                       uint8_t *failed)
{
    fp_env saved = fp_env_enter();
    uint64_t failures = 0;
#define CALL(lattice) failures = decode_run(lattice, run, factor, dtype, out, elems, failed)
    FOR_LATTICE(run->lattice, CALL)
#undef CALL
    fp_env_leave(saved);
    return failures;
}

static void decode_add(const hlq_run *run, int unit, float *acc)
{
    fp_env saved = fp_env_enter();
#define CALL(lattice) decode_add_run(lattice, run, unit, acc)
    FOR_LATTICE(run->lattice, CALL)
#undef CALL
    fp_env_leave(saved);
}

static void rotate_add(const hlq_place *place, const hlq_source *src, int unit, float *acc)
{
    fp_env saved = fp_env_enter();
    for (size_t i = 0; i < place->blocks; i++, acc += HLQ_BLOCK_ELEMS) {
        F y[HLQ_ROWS], sum[HLQ_ROWS];
        uint32_t sign[HLQ_ROWS];
        int read = unit_of(src->dtype, 8 * unit);
        load_source(place, src, i, read, y);
        if (counts_as_zero(y)) continue;
        sign_words(place->seed, position(place, i), sign);
        scale_rows(y, 8 * (read - unit), 1.0f / 16);
        rotate(y, sign);
        load_full(acc, HLQ_FLOAT32, 0, sum);
        for (int r = 0; r < HLQ_ROWS; r++) sum[r] = f_add(sum[r], y[r]);
        store_full(acc, HLQ_FLOAT32, 0, sum);
    }
    fp_env_leave(saved);
}

static uint64_t unrotate_run(const hlq_place *place, const float *acc, int unit, float factor,
                             hlq_dtype dtype, void *out, size_t elems)
{
    fp_env saved = fp_env_enter();
    uint64_t nonfinite = 0;
    for (size_t i = 0; i < place->blocks; i++, acc += HLQ_BLOCK_ELEMS) {
        F x[HLQ_ROWS];
        uint32_t sign[HLQ_ROWS], bad = 0;
        int written = unit_of(dtype, 8 * unit);
        load_full(acc, HLQ_FLOAT32, 0, x);
        for (int r = 0; r < HLQ_ROWS; r++) bad |= f_abs_not_below(x[r], __builtin_inff());
        if (bad) {
            nonfinite++;
            fill_rows(x, not_a_number);
        } else {
            sign_words(place->seed, position(place, i), sign);
            unrotate(x, sign);
            scale_rows(x, 8 * (unit - written), factor / 16);
            for (int r = 0; r < HLQ_ROWS; r++) x[r] = f_add(x[r], f_set(0.0f)); /* no -0 */
        }
        store_block(out, dtype, written, elems, position(place, i), x);
    }
    fp_env_leave(saved);
    return nonfinite;
}

static void planes_add(const hlq_run *acc, const hlq_run *in)
{
    cursor to = cursor_start(acc), from = cursor_start(in);
    for (size_t b = 0; b < acc->place.blocks; b++) {
        int bits = acc->bits[b];
        if (!bits) continue;
        to.side[0] += from.side[0];
        planes_ripple(to.planes, from.planes, bits);
        cursor_advance(acc, b, &to);
        cursor_advance(in, b, &from);
    }
}

#define HLQ_JOIN_(a, b) a##b
#define HLQ_JOIN(a, b) HLQ_JOIN_(a, b)
#define HLQ_STRING_(a) #a
#define HLQ_STRING(a) HLQ_STRING_(a)

const hlq_kernels HLQ_JOIN(hlq_kernels_, HLQ_VARIANT_NAME) = {
    .name = HLQ_STRING(HLQ_VARIANT_NAME),
    .hnlq = &HLQ_JOIN(hlq_hnlq_kernels_, HLQ_VARIANT_NAME),
    .look_up = &HLQ_JOIN(hlq_look_up_kernels_, HLQ_VARIANT_NAME),
    .exponents = exponents,
    .encode = encode,
    .encode_within = encode_within,
    .decode = decode,
    .decode_add = decode_add,
    .rotate_add = rotate_add,
    .unrotate = unrotate_run,
    .planes_add = planes_add,
};

#endif
